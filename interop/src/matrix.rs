//! The cells: every scenario in every pairing.

use std::sync::Arc;

use crate::pairing::{Impl, Pairing};
use crate::pattern::matches;
use crate::peers::Release;
use crate::python;
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

/// The pairings of the Python node: with the newest release of each way of behaving, with Rust, and
/// with itself, either of the two listening.
pub fn with_python(releases: &[Arc<Release>]) -> Vec<Pairing> {
    let is_newest = |(at, release): &(usize, &Arc<Release>)| {
        let next = releases.get(at + 1);
        next.is_none_or(|next| next.generation != release.generation)
    };
    let newest = releases.iter().enumerate().filter(is_newest);
    let mut all = Vec::new();
    for other in newest
        .map(|(_, release)| Impl::Perl(Arc::clone(release)))
        .chain([Impl::Rust])
    {
        all.push(Pairing {
            a: other.clone(),
            b: Impl::Python,
        });
        all.push(Pairing {
            a: Impl::Python,
            b: other,
        });
    }
    all.push(Pairing {
        a: Impl::Python,
        b: Impl::Python,
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
    in_pairings(scenarios, &pairings(releases), only)
}

/// The same for the Python node: the scenarios that it plays.
pub fn python_cells(
    scenarios: &[&'static Scenario],
    releases: &[Arc<Release>],
    only: &[String],
) -> Vec<Cell> {
    let plays = |scenario: &&&'static Scenario| python::PLAYS.contains(&scenario.name);
    let scenarios: Vec<_> = scenarios.iter().filter(plays).copied().collect();
    in_pairings(&scenarios, &with_python(releases), only)
}

fn in_pairings(
    scenarios: &[&'static Scenario],
    pairings: &[Pairing],
    only: &[String],
) -> Vec<Cell> {
    let mut cells = Vec::new();
    for &scenario in scenarios {
        for pairing in pairings {
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

    fn release(version: &str) -> Arc<Release> {
        Arc::new(Release {
            version: version.into(),
            include: None,
            generation: Generation::of(version),
        })
    }

    #[test]
    fn the_python_node_plays_with_the_newest_of_each_way() {
        let releases = ["0.95", "1.0", "1.24", "1.26", "1.30"].map(release);
        let names: Vec<String> = with_python(&releases)
            .iter()
            .map(Pairing::to_string)
            .collect();
        assert_eq!(
            names,
            [
                "perl-1.0+python",
                "python+perl-1.0",
                "perl-1.24+python",
                "python+perl-1.24",
                "perl-1.30+python",
                "python+perl-1.30",
                "rust+python",
                "python+rust",
                "python+python"
            ]
        );
    }

    #[test]
    fn three_pairings_for_a_release_and_one_without() {
        let names: Vec<String> = pairings(&[release("1.30")])
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
