//! What has to have been run, so that a matrix in which nothing failed means something.

use crate::run::Done;

/// What a run was to show.
#[derive(Debug, Clone, Default)]
pub struct Demand {
    /// Releases that have to have been played, each in one cell or more.
    pub releases: Vec<String>,
    /// It is enough if nodes of this crate were played with each other.
    pub none_is_enough: bool,
}

impl Demand {
    /// What is missing before anything is run, as these are the releases found; a sentence each.
    pub fn missing(&self, found: &[&str]) -> Vec<String> {
        let missing = self.releases.iter();
        let missing = missing.filter(|release| !found.contains(&release.as_str()));
        missing
            .map(|release| format!("AnyEvent::MP {release} is required, and was not found"))
            .collect()
    }

    /// What is missing behind a run; a sentence each.
    pub fn unmet(&self, all: &[Done]) -> Vec<String> {
        let played = |release: &str| {
            let mut real = all.iter().filter(|done| done.was_run());
            real.any(|done| {
                let own = done.cell.pairing.release();
                own.is_some_and(|own| own.version == release)
            })
        };
        let mut unmet: Vec<String> = self
            .releases
            .iter()
            .filter(|release| !played(release))
            .map(|release| format!("AnyEvent::MP {release} is required, and no cell played it"))
            .collect();
        if !self.none_is_enough && !shows_something(all) {
            unmet.push(
                "no cell played a real node of AnyEvent::MP, so nothing is shown (--allow-none if \
                 that is meant)"
                    .to_owned(),
            );
        }
        unmet
    }
}

/// Whether a real node was played at all.
pub fn shows_something(all: &[Done]) -> bool {
    all.iter().any(|done| done.was_run() && done.cell.is_real())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::matrix::{Cell, pairings};
    use crate::peers::{Generation, Release};
    use crate::run::Outcome;
    use crate::scenarios;

    /// Each pairing of 1.30, and Rust with Rust, with this outcome in those with Perl.
    fn played(outcome: &Outcome) -> Vec<Done> {
        let release = Arc::new(Release {
            version: "1.30".into(),
            include: None,
            generation: Generation::G1b,
        });
        let scenario = scenarios::all()[0];
        let done = |pairing| {
            let cell = Cell { scenario, pairing };
            let outcome = match cell.is_real() {
                true => outcome.clone(),
                false => Outcome::Passed,
            };
            Done {
                cell,
                outcome,
                took: Duration::ZERO,
                others: Vec::new(),
            }
        };
        pairings(&[release]).into_iter().map(done).collect()
    }

    fn demand(releases: &[&str], none_is_enough: bool) -> Demand {
        Demand {
            releases: releases.iter().map(|&release| release.to_owned()).collect(),
            none_is_enough,
        }
    }

    #[test]
    fn nothing_real_is_not_enough_unless_that_is_said() {
        let reason = "no perl".to_owned();
        let not_run = played(&Outcome::NotRun { reason });
        for all in [&not_run[..], &not_run[3..], &[]] {
            assert_eq!(demand(&[], false).unmet(all).len(), 1);
            assert!(demand(&[], true).unmet(all).is_empty());
            // What is required is required.
            assert_eq!(demand(&["1.30"], true).unmet(all).len(), 1);
            assert!(!shows_something(all));
        }
    }

    #[test]
    fn what_is_required_has_to_have_been_played() {
        let reason = "a fault of the release".to_owned();
        let text = String::new();
        for outcome in [Outcome::Passed, Outcome::ExpectedFailure { reason, text }] {
            let all = played(&outcome);
            assert!(demand(&["1.30"], false).unmet(&all).is_empty());
            let unmet = demand(&["1.30", "2.02"], false).unmet(&all);
            assert_eq!(
                unmet,
                ["AnyEvent::MP 2.02 is required, and no cell played it"]
            );
        }
        assert!(
            demand(&["1.30"], false)
                .missing(&["1.0", "1.30"])
                .is_empty()
        );
        assert_eq!(demand(&["1.3"], false).missing(&["1.0", "1.30"]).len(), 1);
    }
}
