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

/// An axis: what stands at which part of its length.
struct Axis {
    place: Box<dyn Fn(f64) -> f64>,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From zero to beyond the greatest of the values.
    fn linear(values: impl Iterator<Item = f64>) -> Self {
        let most = nice(values.fold(0.0, f64::max));
        let tick = |n| {
            let part = f64::from(n) / 4.0;
            (part, short(part * most))
        };
        Axis {
            place: Box::new(move |value| value / most),
            ticks: (0..=4).map(tick).collect(),
        }
    }

    /// From a power of ten to one, so that all values lie between them. They are above zero.
    fn powers(values: impl Iterator<Item = f64>) -> Self {
        let logs: Vec<f64> = values.map(f64::log10).collect();
        let least = logs.iter().copied().fold(0.0, f64::min).floor();
        let most = logs.iter().copied().fold(least + 1.0, f64::max).ceil();
        let span = most - least;
        let tick = |n| {
            let power = least + f64::from(n);
            (f64::from(n) / span, short(10_f64.powf(power)))
        };
        Axis {
            place: Box::new(move |value| (value.log10() - least) / span),
            ticks: (0..=span as u32).map(tick).collect(),
        }
    }
}

/// Draws lines from zero on, both ways.
pub fn plot(title: &str, names: (&str, &str), all: &[Series]) -> String {
    let points = || all.iter().flat_map(|(_, points)| points);
    let x = Axis::linear(points().map(|(x, _)| *x));
    let y = Axis::linear(points().map(|(_, y)| *y));
    draw(title, names, all, &x, &y)
}

/// Draws lines whose points are all above zero, in powers of ten both ways: a power of x is a
/// straight line.
pub fn powers(title: &str, names: (&str, &str), all: &[Series]) -> String {
    let points = || all.iter().flat_map(|(_, points)| points);
    let x = Axis::powers(points().map(|(x, _)| *x));
    let y = Axis::powers(points().map(|(_, y)| *y));
    draw(title, names, all, &x, &y)
}

fn draw(
    title: &str,
    (x_name, y_name): (&str, &str),
    all: &[Series],
    x_axis: &Axis,
    y_axis: &Axis,
) -> String {
    // As wide as the longest name needs, and as high as all of them do.
    let longest = all.iter().map(|(name, _)| name.chars().count()).max();
    let right = RIGHT.max(50.0 + 6.2 * longest.unwrap_or(0) as f64);
    let (width, height) = (
        WIDTH - RIGHT + right,
        HEIGHT.max(TOP + BOTTOM + 16.0 * all.len() as f64),
    );
    let x = |part: f64| LEFT + part * (width - LEFT - right);
    let y = |part: f64| height - BOTTOM - part * (height - TOP - BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n\
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
    for (part, tick) in &y_axis.ticks {
        text(LEFT - 8.0, y(*part) + 4.0, "end", tick);
    }
    for (part, tick) in &x_axis.ticks {
        text(x(*part), height - BOTTOM + 18.0, "middle", tick);
    }
    text(x(0.5), height - 10.0, "middle", x_name);
    text(LEFT - 8.0, TOP - 8.0, "end", y_name);
    for (n, (name, _)) in all.iter().enumerate() {
        let at = TOP + 16.0 * n as f64;
        text(width - right + 34.0, at + 4.0, "start", name);
    }
    for (part, _) in &y_axis.ticks {
        let at = y(*part);
        let end = width - right;
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {at:.1}H{end:.1}\" stroke=\"#ddd\"/>"
        );
    }
    for (n, (_, points)) in all.iter().enumerate() {
        let colour = COLOURS[n % COLOURS.len()];
        // When the colours are used again, the lines are broken.
        let dash = match n / COLOURS.len() {
            0 => String::new(),
            again => format!(" stroke-dasharray=\"{} 3\"", 9 / again),
        };
        let line: Vec<String> = points
            .iter()
            .map(|(at, value)| {
                let (x, y) = (x((x_axis.place)(*at)), y((y_axis.place)(*value)));
                format!("{x:.1},{y:.1}")
            })
            .collect();
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"{dash} points=\"{}\"/>",
            line.join(" ")
        );
        let at = TOP + 16.0 * n as f64;
        let from = width - right + 10.0;
        let _ = writeln!(
            svg,
            "<path d=\"M{from} {at:.1}h18\" stroke=\"{colour}\" stroke-width=\"3\"{dash}/>"
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
    if value != 0.0 && value < 0.01 {
        return format!("{value}");
    }
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
    fn powers_are_straight_lines() {
        let points = |power: i32| -> Vec<(f64, f64)> {
            let at = [1.0, 10.0, 100.0, 1000.0];
            at.map(|x: f64| (x, x.powi(power))).to_vec()
        };
        let all = [0, 1, 2].map(|power| (format!("power {power}"), points(power)));
        let svg = powers("growth", ("size", "cost"), &all);
        let lines = svg.lines().filter(|line| line.contains("polyline"));
        let slopes: Vec<f64> = lines
            .map(|line| {
                let points = line.split("points=\"").nth(1).unwrap();
                let points = points.split('"').next().unwrap().split(' ');
                let points: Vec<(f64, f64)> = points
                    .map(|point| point.split_once(',').unwrap())
                    .map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap()))
                    .collect();
                let slope = |a: (f64, f64), b: (f64, f64)| (a.1 - b.1) / (b.0 - a.0);
                let slope_of_all = slope(points[0], points[3]);
                for pair in points.windows(2) {
                    assert!((slope(pair[0], pair[1]) - slope_of_all).abs() < 0.01);
                }
                slope_of_all
            })
            .collect();
        assert!(slopes[0].abs() < 0.01);
        assert!((slopes[2] - 2.0 * slopes[1]).abs() < 0.01, "{slopes:?}");
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
