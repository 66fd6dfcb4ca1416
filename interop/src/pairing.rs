//! Who plays whom.

use std::fmt;
use std::sync::Arc;

use crate::peers::{Generation, Release};

/// An implementation that can play a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Impl {
    /// A release of AnyEvent::MP.
    Perl(Arc<Release>),
    /// This project's.
    Rust,
    /// The small node in `interop/python`.
    Python,
}

impl Impl {
    /// The generation of a Perl release; none for the others, which have them all.
    pub fn generation(&self) -> Option<Generation> {
        match self {
            Self::Perl(release) => Some(release.generation),
            Self::Rust | Self::Python => None,
        }
    }

    /// Is it ours?
    pub fn is_rust(&self) -> bool {
        *self == Self::Rust
    }

    /// The letter that stands for it in the table.
    pub fn letter(&self) -> char {
        match self {
            Self::Perl(_) => 'P',
            Self::Rust => 'R',
            Self::Python => 'Y',
        }
    }
}

impl fmt::Display for Impl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Perl(release) => release.fmt(f),
            Self::Rust => f.write_str("rust"),
            Self::Python => f.write_str("python"),
        }
    }
}

/// Which of the two roles of a pairing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Listens; is the seed; called alice.
    A,
    /// Connects; called bob.
    B,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }
}

/// Who listens and who connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    /// Listens.
    pub a: Impl,
    /// Connects.
    pub b: Impl,
}

impl Pairing {
    /// The implementation of a side.
    pub fn side(&self, side: Side) -> &Impl {
        match side {
            Side::A => &self.a,
            Side::B => &self.b,
        }
    }

    /// The generation spoken: that of the Perl side; none where there is no Perl node.
    pub fn generation(&self) -> Option<Generation> {
        self.a.generation().or_else(|| self.b.generation())
    }

    /// The name of the cell that a scenario makes with it: `scenario/listener+connector`.
    pub fn cell(&self, scenario: &str) -> String {
        format!("{scenario}/{self}")
    }

    /// Is a Rust node in it?
    pub fn has_rust(&self) -> bool {
        self.a.is_rust() || self.b.is_rust()
    }

    /// Is a Python node in it?
    pub fn has_python(&self) -> bool {
        self.a == Impl::Python || self.b == Impl::Python
    }

    /// The Perl release in it.
    pub fn release(&self) -> Option<&Arc<Release>> {
        match (&self.a, &self.b) {
            (Impl::Perl(release), _) | (_, Impl::Perl(release)) => Some(release),
            _ => None,
        }
    }
}

impl fmt::Display for Pairing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.a, self.b)
    }
}
