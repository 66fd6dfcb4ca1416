//! What came of it: as a table, as JSON, and as a picture.

use std::fmt::Write as _;

use aemp_interop::plot;
use serde_json::{Value, json};

use super::rows::{Bound, Figure, Row};
use super::{Taken, fit};
use crate::bench::machine;
use crate::stats::median;
use crate::table::value;

/// Medians by size of all figures that were taken.
pub struct Report {
    figures: Vec<Growth>,
}

/// A figure with its sizes.
struct Growth {
    figure: &'static Figure,
    points: Vec<(u64, f64)>,
    /// Those of the build that is compared with, if there is one.
    before: Vec<(u64, f64)>,
    exponent: Option<f64>,
    met: Option<bool>,
}

impl Growth {
    fn new(row: &Row, figure: &'static Figure, taken: &Taken) -> Option<Self> {
        let of = |who: &str| -> Vec<(u64, f64)> {
            let size = |size: &u64| {
                let rounds = taken.get(who)?.get(&(figure.name, *size))?;
                Some((*size, median(rounds.clone())?))
            };
            row.sizes.iter().filter_map(size).collect()
        };
        let points = of("rust");
        let last = points.last()?;
        let met = match figure.bound {
            // A smaller size says nothing of what is asked of the largest.
            _ if row.sizes.last() != Some(&last.0) => None,
            Bound::AtMost(most) => Some(last.1 <= most),
            Bound::AtLeast(least) => Some(last.1 >= least),
            Bound::Less | Bound::More => None,
        };
        let floats: Vec<(f64, f64)> = points.iter().map(|(x, y)| (*x as f64, *y)).collect();
        Some(Growth {
            figure,
            before: of("before"),
            exponent: fit::exponent(&floats),
            points,
            met,
        })
    }

    fn asked(&self) -> String {
        let unit = self.figure.unit;
        match self.figure.bound {
            Bound::AtMost(most) => format!("at most {most} {unit}"),
            Bound::AtLeast(least) => format!("at least {least} {unit}"),
            Bound::Less | Bound::More => String::new(),
        }
    }

    fn cells(&self, points: &[(u64, f64)]) -> String {
        let cell = |(size, is): &(u64, f64)| match self.points.len() {
            1 => value(Some(*is)),
            _ => format!("{} ({size})", value(Some(*is))),
        };
        points.iter().map(cell).collect::<Vec<_>>().join(", ")
    }

    fn met(&self) -> &'static str {
        match self.met {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        }
    }

    fn exponent(&self) -> String {
        self.exponent
            .map_or(String::new(), |power| format!("{power:.2}"))
    }
}

impl Report {
    pub fn new(rows: &[&Row], taken: &Taken) -> Self {
        let of_row = |row: &&Row| -> Vec<Growth> {
            let figures = row.figures.iter();
            figures
                .filter_map(|figure| Growth::new(row, figure, taken))
                .collect()
        };
        Report {
            figures: rows.iter().flat_map(of_row).collect(),
        }
    }

    pub fn len(&self) -> usize {
        self.figures.len()
    }

    pub fn all_met(&self) -> bool {
        self.figures.iter().all(|growth| growth.met != Some(false))
    }

    /// A line for each figure, while the measurement goes on.
    pub fn lines(&self) -> String {
        let mut out = String::new();
        for growth in &self.figures {
            let Figure { name, unit, .. } = growth.figure;
            let (cells, exponent) = (growth.cells(&growth.points), growth.exponent());
            let _ = writeln!(out, "{name}: {cells} {unit}; exponent {exponent}");
        }
        out
    }

    /// All of it, in Markdown.
    pub fn table(&self) -> String {
        let compared = self.figures.iter().any(|growth| !growth.before.is_empty());
        let mut out = String::new();
        let (name, line) = match compared {
            true => (" before |", "---|"),
            false => ("", ""),
        };
        let _ = writeln!(
            out,
            "| figure | unit |{name} today (with so many) | exponent | asked for | met |"
        );
        let _ = writeln!(out, "|---|---|{line}---|---:|---|---|");
        for growth in &self.figures {
            let Figure { name, unit, .. } = growth.figure;
            let before = match compared {
                true => format!(" {} |", growth.cells(&growth.before)),
                false => String::new(),
            };
            let _ = writeln!(
                out,
                "| {name} | {unit} |{before} {} | {} | {} | {} |",
                growth.cells(&growth.points),
                growth.exponent(),
                growth.asked(),
                growth.met(),
            );
        }
        out
    }

    pub fn json(&self, rounds: usize) -> Value {
        let figure = |growth: &Growth| {
            let points = |points: &[(u64, f64)]| -> Vec<Value> {
                let point = |(size, is): &(u64, f64)| json!({"size": size, "value": is});
                points.iter().map(point).collect()
            };
            json!({
                "name": growth.figure.name,
                "unit": growth.figure.unit,
                "points": points(&growth.points),
                "before": points(&growth.before),
                "exponent": growth.exponent,
                "asked": growth.asked(),
                "met": growth.met,
            })
        };
        let figures: Vec<Value> = self.figures.iter().map(figure).collect();
        json!({"machine": machine(), "rounds": rounds, "figures": figures})
    }

    /// How many times its cost with the smallest size each figure costs with the others.
    pub fn svg(&self) -> String {
        let series = |growth: &Growth| -> Option<plot::Series> {
            let power = growth.exponent?;
            // A rate that rises is a cost that falls.
            let of = |is: f64| match growth.figure.bound {
                Bound::AtLeast(_) | Bound::More => 1.0 / is,
                Bound::AtMost(_) | Bound::Less => is,
            };
            let (first, cost) = growth.points.first().map(|(n, is)| (*n as f64, of(*is)))?;
            let point = |(n, is): &(u64, f64)| (*n as f64 / first, of(*is) / cost);
            let points = growth.points.iter().map(point).collect();
            Some((format!("{} ({power:.2})", growth.figure.name), points))
        };
        let all: Vec<plot::Series> = self.figures.iter().filter_map(series).collect();
        let title =
            "Growth: cost and size, as multiples of the smallest measured (and the exponent)";
        plot::powers(title, ("size", "cost"), &all)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::ROWS;
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn what_is_asked_for_counts_with_the_largest_size() {
        let row = &ROWS[0];
        let name = row.figures[0].name;
        let taken = |values: &[f64]| -> Taken {
            let values = row.sizes.iter().zip(values);
            let values = values.map(|(size, is)| ((name, *size), vec![9.0, *is, *is]));
            BTreeMap::from([("rust".to_owned(), values.collect())])
        };
        let report = Report::new(&[row], &taken(&[0.002, 0.02, 0.2]));
        assert!(report.all_met());
        let table = report.table();
        assert!(table.contains("| 1.00 | at most 0.3 s | yes |"), "{table}");
        assert_eq!(report.json(3)["figures"][0]["points"][2]["value"], 0.2);
        let svg = report.svg();
        assert!(svg.contains("polyline") && svg.contains("(1.00)"), "{svg}");

        let report = Report::new(&[row], &taken(&[0.002, 0.2, 20.0]));
        assert!(!report.all_met());
        let table = report.table();
        assert!(
            table.contains("| 2.00 | at most 0.3 s | **no** |"),
            "{table}"
        );

        // Without the largest size nothing is said.
        let report = Report::new(&[row], &taken(&[0.2, 2.0]));
        assert!(report.all_met() && report.table().contains("| at most 0.3 s |  |"));
    }
}
