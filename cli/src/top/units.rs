//! Figures as they are shown: short, and with their unit.

use crate::view::Rate;

/// What nobody says.
pub(super) const UNKNOWN: &str = "-";

pub(super) fn known<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), show)
}

/// A number of messages, with a digit behind the point if it is small.
pub(super) fn number(value: f64) -> String {
    match value {
        value if value < 10.0 && value.fract() != 0.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

pub(super) fn octets(value: f64) -> String {
    let mut value = value;
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB"] {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    match unit {
        "B" => format!("{value:.0} {unit}"),
        _ if value < 10.0 => format!("{value:.1} {unit}"),
        _ => format!("{value:.0} {unit}"),
    }
}

#[allow(clippy::cast_precision_loss)]
pub(super) fn size(octets_: usize) -> String {
    octets(octets_ as f64)
}

pub(super) fn rate(rate: Rate) -> String {
    format!("{}/s", number(rate.messages))
}

pub(super) fn traffic(rate: Rate) -> String {
    format!("{}/s", octets(rate.octets))
}

pub(super) fn time(seconds: f64) -> String {
    match seconds {
        s if s < 0.01 => format!("{:.1} ms", s * 1000.0),
        s if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        s if s < 60.0 => format!("{:.0} s", s.floor()),
        s if s < 3600.0 => format!("{:.0} min", (s / 60.0).floor()),
        s if s < 86_400.0 => format!("{:.0} h", (s / 3600.0).floor()),
        s => format!("{:.0} d", (s / 86_400.0).floor()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let numbers = [0.0, 0.25, 3.0, 9.96, 10.4, 123_456.0].map(number);
        assert_eq!(numbers, ["0", "0.2", "3", "10.0", "10", "123456"]);
        let sizes = [0.0, 999.0, 1000.0, 12_345.0, 3.2e6, 4e15].map(octets);
        assert_eq!(
            sizes,
            ["0 B", "999 B", "1.0 kB", "12 kB", "3.2 MB", "4000 TB"]
        );
        let times = [0.0012, 0.25, 59.9, 61.0, 7200.0, 200_000.0].map(time);
        assert_eq!(times, ["1.2 ms", "250 ms", "59 s", "1 min", "2 h", "2 d"]);
        assert_eq!(known(None, number), UNKNOWN);
    }
}
