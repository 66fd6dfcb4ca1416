//! The figures as text and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::contender::{Contender, OWN};
use super::kind::Kind;
use crate::bench::{Rounds, machine};
use crate::compared::{AFTER, BEFORE, Compared};
use crate::figures::Better;
use crate::stats::median;
use crate::table::value;

/// A figure of everybody who has it.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    name: &'static str,
    unit: &'static str,
    better: Better,
    all: Vec<Entry>,
}

/// What one had.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    who: String,
    version: Option<String>,
    /// The median of its rounds.
    value: f64,
    /// How many times better this crate is.
    ratio: Option<Ratio>,
    rounds: Vec<f64>,
}

/// Ratios of single rounds, above 1 where this crate is better.
#[derive(Debug, Clone, Copy, Serialize)]
struct Ratio {
    median: f64,
    least: f64,
    greatest: f64,
}

impl Row {
    /// Sums up what they had.
    pub fn new(kind: Kind, those: &[&Contender], taken: &Rounds) -> Self {
        let about = kind.about();
        let entry = |one: &&Contender| {
            let who = one.who.name();
            let rounds = taken.get(&who)?.clone();
            let own = taken.get(OWN).filter(|_| who != OWN);
            Some(Entry {
                version: one.version().map(str::to_owned),
                value: median(rounds.clone())?,
                ratio: own.and_then(|own| Ratio::new(kind, own, &rounds)),
                who,
                rounds,
            })
        };
        Self {
            name: kind.name(),
            unit: about.unit,
            better: about.better,
            all: those.iter().filter_map(entry).collect(),
        }
    }

    /// Its lines in the table.
    pub fn lines(&self) -> String {
        let mut out = String::new();
        for (at, entry) in self.all.iter().enumerate() {
            let name = if at == 0 { self.name } else { "" };
            let who = match &entry.version {
                Some(version) => format!("{} ({version})", entry.who),
                None => entry.who.clone(),
            };
            let number = value(Some(entry.value));
            let _ = write!(out, "{name:<21} {who:<32} {number:>11} {:<3}", self.unit);
            if let Some(ratio) = entry.ratio {
                let Ratio {
                    median,
                    least,
                    greatest,
                } = ratio;
                let _ = write!(out, "{median:>8.2} {least:>8.2} {greatest:>8.2}");
            }
            out.truncate(out.trim_end().len());
            out.push('\n');
        }
        out
    }
}

impl Ratio {
    /// Of rounds that were taken side by side. None if one has not had all of them.
    fn new(kind: Kind, own: &[f64], rival: &[f64]) -> Option<Self> {
        let about = kind.about();
        let rounds: BTreeMap<String, Vec<f64>> = [(BEFORE, rival), (AFTER, own)]
            .map(|(who, rounds)| (who.to_owned(), rounds.to_vec()))
            .into();
        let compared = Compared::new(kind.name(), about.unit, about.better, &rounds, 1.0);
        let compared = compared.ok()?;
        Some(Self {
            median: compared.ratio,
            least: compared.least,
            greatest: compared.greatest,
        })
    }
}

/// A whole run.
pub struct Report<'a> {
    /// The figures.
    pub rows: Vec<Row>,
    /// Who was measured.
    pub contenders: &'a [Contender],
    /// What is not there, and what to install.
    pub missing: &'a [String],
    /// What is there and could not be measured.
    pub failed: &'a [String],
    /// How often each figure was taken.
    pub rounds: usize,
    /// How long it took.
    pub took: Duration,
}

impl Report<'_> {
    /// The table.
    pub fn table(&self) -> String {
        let mut out = format!(
            "{:<21} {:<32} {:>15}{:>8} {:>8} {:>8}\n",
            "figure", "who", "median   ", "aemp is", "least", "most"
        );
        for row in &self.rows {
            out.push_str(&row.lines());
        }
        let _ = write!(
            out,
            "\naemp is so many times better: the median, least and greatest ratio of {} rounds, in \
             each of which all were measured once, one behind the other. {:.0} s.\n",
            self.rounds,
            self.took.as_secs_f64()
        );
        for line in self.missing {
            let _ = writeln!(out, "not there: {line}");
        }
        for line in self.failed {
            let _ = writeln!(out, "NOT MEASURED: {line}");
        }
        out
    }

    /// All of it.
    pub fn json(&self) -> Value {
        let contenders: Vec<Value> = self.contenders.iter().map(Contender::json).collect();
        json!({
            "machine": machine(),
            "rounds": self.rounds,
            "contenders": contenders,
            "figures": self.rows,
            "missing": self.missing,
            "failed": self.failed,
        })
    }
}

/// The figures, and who has them.
pub fn list(contenders: &[Contender]) -> String {
    let mut out = String::new();
    for kind in Kind::ALL {
        let _ = writeln!(out, "{}", kind.name());
        for one in contenders.iter().filter(|one| one.kinds.contains(&kind)) {
            let _ = writeln!(out, "    {}: {}", one.who.name(), one.how);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rivals::rival::{Launch, Rival};

    fn rival(name: &str) -> Contender {
        Contender::rival(Rival {
            name: name.to_owned(),
            version: Some("1.0".to_owned()),
            how: "",
            kinds: &Kind::ALL,
            program: "none".into(),
            launch: Launch::Own { variant: None },
        })
    }

    fn row(kind: Kind, taken: &[(&str, &[f64])]) -> Row {
        let own = Contender::own().unwrap().swap_remove(0);
        let (fast, slow) = (rival("fast"), rival("slow"));
        let taken = taken
            .iter()
            .map(|(who, rounds)| ((*who).to_owned(), rounds.to_vec()));
        Row::new(kind, &[&own, &fast, &slow], &taken.collect())
    }

    #[test]
    fn ratios_say_how_many_times_better_this_crate_is() {
        let taken: [(&str, &[f64]); 3] = [
            (OWN, &[10.0, 20.0, 30.0]),
            ("fast", &[20.0, 20.0, 20.0]),
            ("slow", &[1.0, 1.0, 1.0]),
        ];
        let rates = row(Kind::OneWay(0), &taken);
        let lines: Vec<String> = rates.lines().lines().map(str::to_owned).collect();
        assert!(lines[0].starts_with("one way, small") && lines[0].ends_with("20.0 /s"));
        assert!(lines[1].contains("fast (1.0)"), "{lines:?}");
        assert!(lines[1].ends_with("1.00     0.50     1.50"), "{lines:?}");
        assert!(lines[2].ends_with("20.00    10.00    30.00"), "{lines:?}");
        let times = row(Kind::RoundTrip, &taken);
        let ratio = times.all[2].ratio.unwrap();
        assert_eq!((ratio.least, ratio.greatest), (1.0 / 30.0, 1.0 / 10.0));
    }

    #[test]
    fn who_failed_is_left_out_and_without_our_own_there_is_no_ratio() {
        let one = row(Kind::Calls, &[(OWN, &[1.0]), ("fast", &[2.0])]);
        let names: Vec<&str> = one.all.iter().map(|entry| entry.who.as_str()).collect();
        assert_eq!(names, [OWN, "fast"]);
        let other = row(Kind::Calls, &[("fast", &[2.0])]);
        assert!(other.all[0].ratio.is_none());
        let uneven = row(Kind::Calls, &[(OWN, &[1.0, 2.0]), ("fast", &[2.0])]);
        assert!(uneven.all[1].ratio.is_none());
    }
}
