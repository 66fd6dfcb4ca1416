//! What was measured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::stats::median;

/// Which way a figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Rates.
    Higher,
    /// Times and sizes.
    Lower,
}

/// One figure, of everybody who has it. All values are medians of the rounds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// In what.
    pub unit: String,
    /// Which way it is better.
    pub better: Better,
    /// A node of this crate.
    pub rust: Option<f64>,
    /// What is possible without a node.
    pub bare: Option<f64>,
    /// This crate's figure divided by the bare one, round by round.
    pub of_bare: Option<f64>,
    /// The Perl nodes, by release.
    pub perl: BTreeMap<String, f64>,
    /// How many times better than each release, round by round.
    pub times_perl: BTreeMap<String, f64>,
    /// What is asked for, in words, each with whether it holds.
    pub targets: Vec<Target>,
    /// The single rounds, by who.
    pub rounds: BTreeMap<String, Vec<f64>>,
}

/// Something that is asked of a figure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target {
    /// In words.
    pub text: String,
    /// Whether it is met; unknown if what it is compared with was not measured.
    pub met: Option<bool>,
}

/// A bound of a figure.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// At least so many times the bare limit; for times at most.
    OfBare(f64),
    /// At least so many times better than Perl 1.30.
    TimesPerl(f64),
    /// At least (for rates) or at most (for times and sizes) so much.
    Absolute(f64),
}

/// The release that targets compare with.
pub const USUAL_RELEASE: &str = "1.30";

impl Figure {
    /// Sums up rounds: for each round what each of `rust`, `bare` and the releases had.
    pub fn new(
        name: impl Into<String>,
        unit: &str,
        better: Better,
        rounds: BTreeMap<String, Vec<f64>>,
        bounds: &[Bound],
    ) -> Self {
        let of = |who: &str| rounds.get(who).and_then(|values| median(values.clone()));
        let ratio = |over: &str| {
            let (Some(own), Some(other)) = (rounds.get("rust"), rounds.get(over)) else {
                return None;
            };
            // The rounds of one who had fewer are compared with the same rounds of the other.
            median(
                own.iter()
                    .zip(other)
                    .map(|(own, other)| own / other)
                    .collect(),
            )
        };
        let releases: Vec<&str> = rounds
            .keys()
            .filter_map(|who| who.strip_prefix("perl-"))
            .collect();
        let mut perl = BTreeMap::new();
        let mut times_perl = BTreeMap::new();
        for release in releases {
            let who = format!("perl-{release}");
            perl.extend(of(&who).map(|value| (release.to_owned(), value)));
            let times = ratio(&who).map(|ratio| match better {
                Better::Higher => ratio,
                Better::Lower => 1.0 / ratio,
            });
            times_perl.extend(times.map(|times| (release.to_owned(), times)));
        }
        let mut figure = Figure {
            name: name.into(),
            unit: unit.to_owned(),
            better,
            rust: of("rust"),
            bare: of("bare"),
            of_bare: ratio("bare"),
            perl,
            times_perl,
            targets: Vec::new(),
            rounds,
        };
        figure.targets = bounds.iter().map(|bound| figure.target(*bound)).collect();
        figure
    }

    fn target(&self, bound: Bound) -> Target {
        let higher = self.better == Better::Higher;
        let least = if higher { "at least" } else { "at most" };
        let holds = |value: f64, bound: f64| {
            if higher {
                value >= bound
            } else {
                value <= bound
            }
        };
        match bound {
            Bound::OfBare(part) => Target {
                text: format!("{least} {part} x bare"),
                met: self.of_bare.map(|ratio| holds(ratio, part)),
            },
            Bound::TimesPerl(times) => Target {
                text: format!("{times} x better than Perl {USUAL_RELEASE}"),
                met: self.times_perl.get(USUAL_RELEASE).map(|is| *is >= times),
            },
            Bound::Absolute(value) => Target {
                text: format!("{least} {value} {}", self.unit),
                met: self.rust.map(|is| holds(is, value)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_rounds() {
        let rounds = BTreeMap::from([
            ("rust".to_owned(), vec![10.0, 30.0, 20.0]),
            ("bare".to_owned(), vec![20.0, 30.0, 40.0]),
            ("perl-1.30".to_owned(), vec![1.0]),
        ]);
        let bounds = [
            Bound::OfBare(0.5),
            Bound::TimesPerl(25.0),
            Bound::Absolute(20.0),
        ];
        let figure = Figure::new("x", "/s", Better::Higher, rounds, &bounds);
        assert_eq!((figure.rust, figure.bare), (Some(20.0), Some(30.0)));
        assert_eq!(figure.of_bare, Some(0.5));
        assert_eq!(figure.times_perl["1.30"], 10.0);
        let met: Vec<_> = figure.targets.iter().map(|target| target.met).collect();
        assert_eq!(met, [Some(true), Some(false), Some(true)]);
    }

    #[test]
    fn times_are_better_when_lower() {
        let rounds = BTreeMap::from([
            ("rust".to_owned(), vec![10.0]),
            ("perl-1.30".to_owned(), vec![30.0]),
        ]);
        let bounds = [Bound::TimesPerl(3.0), Bound::OfBare(1.2)];
        let figure = Figure::new("x", "µs", Better::Lower, rounds, &bounds);
        assert_eq!(figure.times_perl["1.30"], 3.0);
        assert_eq!(figure.targets[0].met, Some(true));
        assert_eq!(figure.targets[1].met, None);
    }
}
