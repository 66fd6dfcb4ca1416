//! Who plays whom.

use std::fmt;
use std::sync::Arc;

use crate::peers::{Generation, Release};
use crate::scenario::Scenario;

/// An implementation that can play a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Impl {
    /// A release of AnyEvent::MP.
    Perl(Arc<Release>),
    /// This project's.
    Rust,
}

impl Impl {
    /// The generation of a Perl release; none for Rust, which has them all.
    pub fn generation(&self) -> Option<Generation> {
        match self {
            Self::Perl(release) => Some(release.generation),
            Self::Rust => None,
        }
    }

    /// Is it ours?
    pub fn is_rust(&self) -> bool {
        *self == Self::Rust
    }
}

impl fmt::Display for Impl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Perl(release) => release.fmt(f),
            Self::Rust => f.write_str("rust"),
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

    /// The generation spoken: that of the Perl side; none between two Rust nodes.
    pub fn generation(&self) -> Option<Generation> {
        self.a.generation().or_else(|| self.b.generation())
    }

    /// Is a Rust node in it?
    pub fn has_rust(&self) -> bool {
        self.a.is_rust() || self.b.is_rust()
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

/// A scenario in a pairing.
#[derive(Debug, Clone)]
pub struct Cell {
    /// What happens.
    pub scenario: &'static Scenario,
    /// Between whom.
    pub pairing: Pairing,
}

impl Cell {
    /// `scenario/listener+connector`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.scenario.name, self.pairing)
    }
}

/// The pairings of the releases: for each the control, Perl listens, Rust listens; and Rust with Rust.
pub fn pairings(releases: &[Arc<Release>]) -> Vec<Pairing> {
    let mut all = Vec::new();
    for release in releases {
        let perl = Impl::Perl(Arc::clone(release));
        all.push(Pairing {
            a: perl.clone(),
            b: perl.clone(),
        });
        all.push(Pairing {
            a: perl.clone(),
            b: Impl::Rust,
        });
        all.push(Pairing {
            a: Impl::Rust,
            b: perl,
        });
    }
    all.push(Pairing {
        a: Impl::Rust,
        b: Impl::Rust,
    });
    all
}

/// Every scenario in every pairing whose name contains one of `only` (`*` matches anything); all if `only` is empty.
pub fn cells(
    scenarios: &[&'static Scenario],
    releases: &[Arc<Release>],
    only: &[String],
) -> Vec<Cell> {
    let pairings = pairings(releases);
    let mut cells = Vec::new();
    for &scenario in scenarios {
        for pairing in &pairings {
            let cell = Cell {
                scenario,
                pairing: pairing.clone(),
            };
            if only.is_empty() || only.iter().any(|pattern| matches(pattern, &cell.name())) {
                cells.push(cell);
            }
        }
    }
    cells
}

/// Does `pattern` match the name? With `*` it must match from end to end, without it is looked for inside.
pub fn matches(pattern: &str, name: &str) -> bool {
    if !pattern.contains('*') {
        return name.contains(pattern);
    }
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let (last, middle) = parts.split_last().unwrap_or((&"", &[]));
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let name = "echo/perl-1.30+rust";
        for pattern in [
            "echo",
            "perl-1.30",
            "*",
            "echo/*",
            "*+rust",
            "e*1.30*rust",
            "*1.30*",
        ] {
            assert!(matches(pattern, name), "{pattern}");
        }
        for pattern in ["1.0", "rust/*", "echo/*perl", "*rust+*"] {
            assert!(!matches(pattern, name), "{pattern}");
        }
    }

    #[test]
    fn three_pairings_for_a_release_and_one_without() {
        let release = Arc::new(Release {
            version: "1.30".into(),
            include: None,
            generation: Generation::G1b,
        });
        let names: Vec<String> = pairings(&[release])
            .iter()
            .map(Pairing::to_string)
            .collect();
        assert_eq!(
            names,
            [
                "perl-1.30+perl-1.30",
                "perl-1.30+rust",
                "rust+perl-1.30",
                "rust+rust"
            ]
        );
    }
}
