//! The cells: every scenario in every pairing.

use std::sync::Arc;

use crate::pairing::{Impl, Pairing};
use crate::pattern::matches;
use crate::peers::Release;
use crate::scenario::Scenario;

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
        self.pairing.cell(self.scenario.name)
    }

    /// Whether a release of AnyEvent::MP plays in it.
    pub fn is_real(&self) -> bool {
        self.pairing.release().is_some()
    }
}

/// The pairings of the releases: for each the control, Perl listens, Rust listens; and Rust with
/// Rust.
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

/// Every scenario in every pairing whose name contains one of `only` (`*` matches anything); all if
/// `only` is empty.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::Generation;

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
