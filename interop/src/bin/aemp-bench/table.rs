//! The figures as text.

use std::fmt::Write as _;

use crate::figures::{Better, Figure, USUAL_RELEASE};

/// The table: a line a figure, the other releases below it.
pub fn table(figures: &[Figure]) -> String {
    let mut out = String::new();
    let perl = format!("perl {USUAL_RELEASE}");
    let _ = writeln!(
        out,
        "{:<44} {:>6} {:>11} {:>11} {:>7} {:>11} {:>8}  target",
        "figure", "unit", "aemp", "bare", "ratio", perl, "ratio"
    );
    for figure in figures {
        out.push_str(&line(figure));
    }
    out.push_str("\nRatios: aemp / bare; how many times better than Perl.");
    if figures.iter().any(|figure| figure.better == Better::Lower) {
        out.push_str(" Of times and sizes, lower is better.");
    }
    out.push('\n');
    out
}

/// The lines of one figure.
pub fn line(figure: &Figure) -> String {
    let mut out = String::new();
    let of_bare = figure
        .of_bare
        .map_or_else(dash, |ratio| format!("{ratio:.2}"));
    let usual = figure.perl.get(USUAL_RELEASE).copied();
    let times = figure.times_perl.get(USUAL_RELEASE);
    let times = times.map_or_else(dash, |times| format!("{times:.1} x"));
    let targets: Vec<String> = figure
        .targets
        .iter()
        .map(|target| {
            let mark = match target.met {
                Some(true) => "met",
                Some(false) => "NOT MET",
                None => "not compared",
            };
            format!("{}: {mark}", target.text)
        })
        .collect();
    let _ = writeln!(
        out,
        "{:<44} {:>6} {:>11} {:>11} {:>7} {:>11} {:>8}  {}",
        figure.name,
        figure.unit,
        value(figure.rust),
        value(figure.bare),
        of_bare,
        value(usual),
        times,
        targets.join("; ")
    );
    let others: Vec<String> = figure
        .perl
        .iter()
        .filter(|(release, _)| *release != USUAL_RELEASE)
        .map(|(release, is)| {
            let times = figure.times_perl.get(release).copied().unwrap_or_default();
            format!("{release}: {} ({times:.1} x)", value(Some(*is)))
        })
        .collect();
    if !others.is_empty() {
        let _ = writeln!(out, "    perl {}", others.join(", "));
    }
    out
}

fn dash() -> String {
    "-".to_owned()
}

/// Three digits that matter, thousands apart.
pub fn value(value: Option<f64>) -> String {
    let Some(value) = value else { return dash() };
    if value >= 1000.0 {
        let digits = format!("{value:.0}");
        let mut out = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                out.push(' ');
            }
            out.push(digit);
        }
        return out;
    }
    match value {
        100.0.. => format!("{value:.0}"),
        1.0.. => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn values_are_readable() {
        let cases = [
            (1_234_567.8, "1 234 568"),
            (999.6, "1000"),
            (12.34, "12.3"),
            (0.5, "0.500"),
        ];
        for (number, text) in cases {
            assert_eq!(value(Some(number)), text);
        }
        assert_eq!(value(None), "-");
    }
}
