//! A plot of lines, as SVG.

use std::fmt::Write as _;

/// A line: its name, and its points.
pub type Series = (String, Vec<(f64, f64)>);

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 200.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;

/// Colours that can be told apart, also by who sees few of them.
const COLOURS: [&str; 8] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999",
];

/// Draws lines from zero on, both ways.
pub fn plot(title: &str, (x_name, y_name): (&str, &str), all: &[Series]) -> String {
    let points = || all.iter().flat_map(|(_, points)| points);
    let x_most = nice(points().map(|(x, _)| *x).fold(0.0, f64::max));
    let y_most = nice(points().map(|(_, y)| *y).fold(0.0, f64::max));
    let x = |value: f64| LEFT + value / x_most * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - value / y_most * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"15\">{}</text>\n",
        escaped(title)
    );
    let mut text = |x: f64, y: f64, anchor: &str, what: &str| {
        let what = escaped(what);
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{what}</text>"
        );
    };
    for n in 0..=4 {
        let part = f64::from(n) / 4.0;
        text(
            LEFT - 8.0,
            y(part * y_most) + 4.0,
            "end",
            &short(part * y_most),
        );
        text(
            x(part * x_most),
            HEIGHT - BOTTOM + 18.0,
            "middle",
            &short(part * x_most),
        );
    }
    text(x(x_most / 2.0), HEIGHT - 10.0, "middle", x_name);
    text(LEFT - 8.0, TOP - 8.0, "end", y_name);
    for (n, (name, _)) in all.iter().enumerate() {
        let at = TOP + 16.0 * n as f64;
        text(WIDTH - RIGHT + 34.0, at + 4.0, "start", name);
    }
    for n in 0..=4 {
        let at = y(f64::from(n) / 4.0 * y_most);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {at:.1}H{:.1}\" stroke=\"#ddd\"/>",
            WIDTH - RIGHT
        );
    }
    for (n, (_, points)) in all.iter().enumerate() {
        let colour = COLOURS[n % COLOURS.len()];
        let line: Vec<String> = points
            .iter()
            .map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>",
            line.join(" ")
        );
        let at = TOP + 16.0 * n as f64;
        let from = WIDTH - RIGHT + 10.0;
        let _ = writeln!(
            svg,
            "<path d=\"M{from} {at:.1}h18\" stroke=\"{colour}\" stroke-width=\"3\"/>"
        );
    }
    svg + "</svg>\n"
}

/// The next number above that is one, two or five with noughts.
fn nice(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(most.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    let fits = steps.into_iter().find(|step| step * power >= most);
    fits.unwrap_or(10.0) * power
}

fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text.is_empty() {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_within_the_frame() {
        let all = [
            (
                "a & b".to_owned(),
                vec![(0.0, 0.0), (7.0, 3.0), (13.0, 41.0)],
            ),
            ("c".to_owned(), vec![(2.0, 12.5)]),
        ];
        let svg = plot("x < y", ("minutes", "MB"), &all);
        assert!(
            svg.contains("x &lt; y") && svg.contains("a &amp; b"),
            "{svg}"
        );
        let lines: Vec<&str> = svg
            .lines()
            .filter(|line| line.contains("polyline"))
            .collect();
        assert_eq!(lines.len(), 2);
        for line in lines {
            let points = line.split("points=\"").nth(1).unwrap();
            let points = points.split('"').next().unwrap();
            for point in points.split(' ') {
                let (x, y) = point.split_once(',').unwrap();
                let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                assert!((LEFT..=WIDTH - RIGHT).contains(&x), "{point}");
                assert!((TOP..=HEIGHT - BOTTOM).contains(&y), "{point}");
            }
        }
    }

    #[test]
    fn scales_end_at_round_numbers() {
        for (most, end) in [
            (0.0, 1.0),
            (1.0, 1.0),
            (1.1, 2.0),
            (4.9, 5.0),
            (51.0, 100.0),
            (0.03, 0.05),
        ] {
            assert!((nice(most) - end).abs() < 1e-9, "{most}: {}", nice(most));
        }
        assert_eq!(
            (short(0.0), short(2.5), short(10.0)),
            ("0".into(), "2.5".into(), "10".into())
        );
    }
}
