//! Two builds, figure by figure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::failure::Failure;
use crate::figures::Better;
use crate::stats::median;
use crate::table::value;

/// The name of the build that the other one is compared with.
pub const BEFORE: &str = "before";
/// The name of the build that is compared.
pub const AFTER: &str = "after";

/// One figure of two builds. Ratios are of single rounds, in which one was measured right behind
/// the other, and above 1 where the later build is better, whichever way that is for this figure.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    /// What was measured.
    pub name: String,
    /// In what.
    pub unit: String,
    /// Which way it is better.
    pub better: Better,
    /// The median of the earlier build.
    pub before: f64,
    /// The median of the later build.
    pub after: f64,
    /// The median of the ratios.
    pub ratio: f64,
    /// The least of the ratios.
    pub least: f64,
    /// The greatest of the ratios.
    pub greatest: f64,
    /// Whether the median of the ratios is as great as was asked for.
    pub met: bool,
    /// The single rounds, by build.
    pub rounds: BTreeMap<String, Vec<f64>>,
}

impl Compared {
    /// Compares what both had round by round.
    ///
    /// # Errors
    ///
    /// A round of one of them is missing, or so small that there is no ratio.
    pub fn new(
        name: &str,
        unit: &str,
        better: Better,
        rounds: &BTreeMap<String, Vec<f64>>,
        at_least: f64,
    ) -> Result<Self, Failure> {
        let of = |who: &str| rounds.get(who).map_or(&[][..], Vec::as_slice);
        let (before, after) = (of(BEFORE), of(AFTER));
        if before.len() != after.len() {
            return Err(format!("{name}: a round of one build is missing").into());
        }
        let mut ratios: Vec<f64> = before
            .iter()
            .zip(after)
            .map(|(before, after)| match better {
                Better::Higher => after / before,
                Better::Lower => before / after,
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        let is_one = |ratio: &f64| ratio.is_finite() && *ratio > 0.0;
        let (Some(before), Some(after), Some(ratio), [least, .., greatest] | [least @ greatest]) = (
            median(before.to_vec()),
            median(after.to_vec()),
            median(ratios.clone()),
            &ratios[..],
        ) else {
            return Err(format!("{name}: neither build has a figure").into());
        };
        if !ratios.iter().all(is_one) {
            return Err(format!("{name}: {rounds:?} have no ratios").into());
        }
        Ok(Self {
            name: name.to_owned(),
            unit: unit.to_owned(),
            better,
            before,
            after,
            ratio,
            least: *least,
            greatest: *greatest,
            met: ratio >= at_least,
            rounds: rounds.clone(),
        })
    }
}

/// The table.
pub fn table(all: &[Compared], at_least: f64) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{:<44} {:>6} {:>11} {:>11} {:>7} {:>7} {:>7}",
        "figure", "unit", BEFORE, AFTER, "ratio", "least", "most"
    );
    for one in all {
        out.push_str(&line(one, at_least));
    }
    let below = all.iter().filter(|one| !one.met).count();
    let _ = writeln!(
        out,
        "\nRatios: medians, least and greatest of single rounds; above 1 the build after is better.\n\
         {below} of {} figures below {at_least}.",
        all.len()
    );
    out
}

/// The line of one figure.
pub fn line(one: &Compared, at_least: f64) -> String {
    let mark = match one.met {
        true => String::new(),
        false => format!("  BELOW {at_least}"),
    };
    format!(
        "{:<44} {:>6} {:>11} {:>11} {:>7.3} {:>7.3} {:>7.3}{mark}\n",
        one.name,
        one.unit,
        value(Some(one.before)),
        value(Some(one.after)),
        one.ratio,
        one.least,
        one.greatest,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(before: &[f64], after: &[f64]) -> BTreeMap<String, Vec<f64>> {
        let both = [(BEFORE, before), (AFTER, after)];
        both.map(|(who, values)| (who.to_owned(), values.to_vec()))
            .into()
    }

    #[test]
    fn ratios_are_of_single_rounds() {
        // The machine became slower from round to round; in each of them the later build was a
        // tenth slower, but for one.
        let rounds = rounds(&[100.0, 50.0, 10.0], &[90.0, 45.0, 20.0]);
        let one = Compared::new("x", "/s", Better::Higher, &rounds, 0.95).unwrap();
        assert_eq!((one.before, one.after), (50.0, 45.0));
        assert_eq!((one.least, one.ratio, one.greatest), (0.9, 0.9, 2.0));
        assert!(!one.met);
        assert!(
            Compared::new("x", "/s", Better::Higher, &rounds, 0.9)
                .unwrap()
                .met
        );
    }

    #[test]
    fn of_times_and_sizes_less_is_better() {
        let rounds = rounds(&[20.0, 10.0], &[10.0, 10.0]);
        let one = Compared::new("x", "µs", Better::Lower, &rounds, 0.95).unwrap();
        assert_eq!((one.least, one.ratio, one.greatest), (1.0, 1.5, 2.0));
        assert!(one.met);
    }

    #[test]
    fn one_round_is_enough() {
        let one = Compared::new("x", "/s", Better::Higher, &rounds(&[4.0], &[5.0]), 0.95).unwrap();
        assert_eq!((one.least, one.ratio, one.greatest), (1.25, 1.25, 1.25));
    }

    #[test]
    fn what_has_no_ratio_is_no_success() {
        for (before, after) in [
            (&[1.0, 2.0][..], &[1.0][..]),
            (&[], &[]),
            (&[0.0], &[1.0]),
            (&[0.0], &[0.0]),
            (&[1.0], &[f64::INFINITY]),
            (&[-1.0], &[1.0]),
        ] {
            let rounds = rounds(before, after);
            let one = Compared::new("x", "s", Better::Lower, &rounds, 0.95);
            assert!(one.is_err(), "{rounds:?}");
        }
    }

    #[test]
    fn what_is_below_is_marked() {
        let one = |name, after| {
            Compared::new(name, "/s", Better::Higher, &rounds(&[1.0], &[after]), 0.95).unwrap()
        };
        let text = table(&[one("fine", 0.95), one("slow", 0.94)], 0.95);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("fine") && lines[1].ends_with("0.950"));
        assert!(lines[2].starts_with("slow") && lines[2].ends_with("BELOW 0.95"));
        assert_eq!(lines.last(), Some(&"1 of 2 figures below 0.95."));
    }
}
