//! The graph as a picture: one file without scripts, and without anything from elsewhere.
//!
//! The nodes stand on a circle, half of them on each side, at equal distances from top to bottom:
//! so no label lies on another, and no link goes through a third node. Whatever a colour says is
//! said by a letter, a shape or a word as well.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aemp::NodeId;

use super::graph::{Graph, Link, Met, shown};

/// Colours that also who is colour-blind can tell apart (Okabe and Ito), but the one for what is
/// missing.
const COLOURS: [&str; 6] = [
    "#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000",
];
const MISSING: &str = "#d55e00";

/// From one node to the next below it: two lines of text.
const STEP: f64 = 44.0;
const MARGIN: f64 = 24.0;
const LEGEND_STEP: f64 = 20.0;

/// With more links than these, letters would hide them.
const MOST_LETTERS: usize = 80;

/// How much room there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    /// Longer texts beside nodes are cut; the whole is shown when pointed at.
    longest: usize,
    /// Lines of the legend are wrapped behind so many characters.
    columns: usize,
    least_radius: f64,
    /// Whether a node's release and roles stand below its name.
    has_words: bool,
}

impl Layout {
    /// For a file, or the screen of a computer.
    pub(crate) const WIDE: Layout = Layout {
        longest: 64,
        columns: usize::MAX,
        least_radius: 110.0,
        has_words: true,
    };

    /// For a phone.
    #[cfg(feature = "http")]
    pub(crate) const NARROW: Layout = Layout {
        longest: 14,
        columns: 40,
        least_radius: 80.0,
        has_words: false,
    };
}

/// The whole picture.
pub(crate) fn render(graph: &Graph, layout: Layout) -> String {
    let picture = Picture::new(graph, layout);
    let mut svg = String::new();
    picture.write(&mut svg);
    svg
}

/// Where a node stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    x: f64,
    y: f64,
    is_right: bool,
}

struct Picture<'a> {
    graph: &'a Graph,
    layout: Layout,
    missing: Vec<(NodeId, NodeId)>,
    /// Each sort of links: its place among them, and how many there are.
    kinds: BTreeMap<Link, (usize, usize)>,
    places: BTreeMap<&'a NodeId, Place>,
    width: f64,
    height: f64,
    /// Where the legend begins.
    legend: f64,
}

impl<'a> Picture<'a> {
    fn new(graph: &'a Graph, layout: Layout) -> Self {
        let mut kinds: BTreeMap<Link, (usize, usize)> = BTreeMap::new();
        for link in graph.links.values() {
            kinds.entry(link.clone()).or_default().1 += 1;
        }
        for (at, kind) in kinds.values_mut().enumerate() {
            kind.0 = at;
        }
        // The right side has the first half.
        let all: Vec<&NodeId> = graph.nodes.keys().collect();
        let (right, left) = all.split_at(all.len().div_ceil(2));
        let radius = (STEP * small(right.len()) / 2.0).max(layout.least_radius);
        let room = |side: &[&NodeId]| -> f64 {
            let texts = side
                .iter()
                .flat_map(|id| layout.label(id, &graph.nodes[*id]));
            texts.map(|text| width(&text)).fold(0.0, f64::max) + MARGIN * 2.0
        };
        let middle = (room(left) + radius, MARGIN + radius);
        let mut places = BTreeMap::new();
        for (side, is_right) in [(right, true), (left, false)] {
            let sign = if is_right { 1.0 } else { -1.0 };
            for (at, id) in side.iter().enumerate() {
                let y = radius * ((2.0 * small(at) + 1.0) / small(side.len()) - 1.0);
                let x = sign * (radius * radius - y * y).max(0.0).sqrt();
                let (x, y) = (middle.0 + x, middle.1 + y);
                places.insert(*id, Place { x, y, is_right });
            }
        }
        let legend = middle.1 + radius + MARGIN * 2.0;
        let mut picture = Picture {
            graph,
            layout,
            missing: graph.missing(),
            kinds,
            places,
            width: middle.0 + radius + room(right),
            height: 0.0,
            legend,
        };
        let lines = picture.legend();
        picture.height = legend + LEGEND_STEP * small(lines.len()) + MARGIN;
        let texts = lines
            .iter()
            .map(|(_, text)| width(text) + 60.0 + MARGIN * 2.0);
        picture.width = texts.fold(picture.width, f64::max);
        picture
    }

    fn write(&self, svg: &mut String) {
        let (width, height) = (self.width, self.height);
        let _ = writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" \
             font-family=\"sans-serif\" font-size=\"12\">"
        );
        let _ = writeln!(svg, "<title>{}</title>", self.title());
        let _ = writeln!(
            svg,
            "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>"
        );
        for ((a, b), link) in &self.graph.links {
            self.link(svg, (a, b), Some(link));
        }
        for (a, b) in &self.missing {
            self.link(svg, (a, b), None);
        }
        for (id, met) in &self.graph.nodes {
            self.node(svg, id, met);
        }
        for (at, (sample, text)) in self.legend().into_iter().enumerate() {
            let y = self.legend + LEGEND_STEP * small(at);
            let _ = writeln!(
                svg,
                "<g transform=\"translate({MARGIN} {y:.1})\">{sample}\
                 <text x=\"60\" y=\"4\">{}</text></g>",
                escape(&text)
            );
        }
        svg.push_str("</svg>\n");
    }

    fn title(&self) -> String {
        let Graph { nodes, links, .. } = self.graph;
        format!(
            "{}, {}, {} missing",
            counted(nodes.len(), "node"),
            counted(links.len(), "link"),
            self.missing.len()
        )
    }

    /// A link, or one that is missing.
    fn link(&self, svg: &mut String, (a, b): (&NodeId, &NodeId), link: Option<&Link>) {
        let (Some(from), Some(to)) = (self.places.get(a), self.places.get(b)) else {
            return;
        };
        let (x1, y1, x2, y2) = (from.x, from.y, to.x, to.y);
        let kind = link.map(|link| (self.kinds[link].0, link.words()));
        let (style, words) = match &kind {
            Some((at, words)) => (style(Some(*at)), words.as_str()),
            None => (style(None), "no link"),
        };
        let (a, b) = (escape(a.as_str()), escape(b.as_str()));
        let _ = writeln!(
            svg,
            "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" {style}><title>{a} – {b}: {}</title></path>",
            escape(words)
        );
        if let Some((at, _)) = kind
            && self.kinds.len() > 1
            && self.graph.links.len() <= MOST_LETTERS
        {
            // Not in the middle, where many links of a circle meet.
            let (x, y) = (x1 + (x2 - x1) * 0.3, y1 + (y2 - y1) * 0.3);
            let _ = writeln!(svg, "{}", letter(at, x, y));
        }
    }

    fn node(&self, svg: &mut String, id: &NodeId, met: &Met) {
        let Some(&Place { x, y, is_right }) = self.places.get(id) else {
            return;
        };
        let (at, anchor) = if is_right {
            (16.0, "start")
        } else {
            (-16.0, "end")
        };
        let [name, words] = self.layout.label(id, met).map(|text| escape(&text));
        let why = met.lost.as_ref().map(|why| format!(": {why}"));
        let _ = writeln!(
            svg,
            "<g transform=\"translate({x:.1} {y:.1})\"><title>{} ({}{})</title>{}\
             <text x=\"{at}\" y=\"-2\" text-anchor=\"{anchor}\" font-weight=\"bold\">{name}</text>\
             <text x=\"{at}\" y=\"12\" text-anchor=\"{anchor}\" font-size=\"11\" fill=\"#444444\">{words}</text></g>",
            escape(id.as_str()),
            escape(&met.words()),
            escape(&why.unwrap_or_default()),
            symbol(met)
        );
    }

    /// The lines of the legend: a sample, and what it means.
    fn legend(&self) -> Vec<(String, String)> {
        let sample = |at| format!("<path d=\"M0 0L48 0\" {}/>", style(at));
        let mut lines = Vec::new();
        for (link, (at, count)) in &self.kinds {
            let mut sample = sample(Some(*at));
            if self.kinds.len() > 1 {
                sample.push_str(&letter(*at, 24.0, 0.0));
            }
            let text = format!("{}: {}", link.words(), counted(*count, "link"));
            lines.push((sample, text));
        }
        if !self.missing.is_empty() {
            let mut text = format!(
                "missing, though both know of each other: {}",
                counted(self.missing.len(), "link")
            );
            if let [(a, b)] = self.missing.as_slice() {
                let cut = |id: &NodeId| cut(id.as_str(), self.layout.longest);
                let _ = write!(text, ", {} – {}", cut(a), cut(b));
            }
            lines.push((sample(None), text));
        }
        let shapes = [
            (
                "seed of another node",
                Met {
                    is_seed: true,
                    ..Met::default()
                },
            ),
            (
                "global",
                Met {
                    is_global: true,
                    ..Met::default()
                },
            ),
            (
                "bridge",
                Met {
                    bridge: vec![1, 2],
                    ..Met::default()
                },
            ),
            (
                "not reached",
                Met {
                    lost: Some(String::new()),
                    ..Met::default()
                },
            ),
        ];
        for (text, like) in shapes {
            let has = |met: &Met| match text {
                "not reached" => met.lost.is_some(),
                _ => like.roles().iter().all(|role| met.roles().contains(role)),
            };
            if self.graph.nodes.values().any(has) {
                let sample = format!("<g transform=\"translate(24 0)\">{}</g>", symbol(&like));
                lines.push((sample, text.to_owned()));
            }
        }
        // Only the first line of an entry has the sample.
        let mut wrapped = Vec::new();
        for (mut sample, text) in lines {
            for line in wrap(&text, self.layout.columns) {
                wrapped.push((std::mem::take(&mut sample), line));
            }
        }
        wrapped
    }
}

/// The text in lines of at most so many characters, if its words are not longer.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// How a link of that sort is drawn, or one that is missing.
fn style(kind: Option<usize>) -> String {
    let colour = kind.map_or(MISSING, |at| COLOURS[at % COLOURS.len()]);
    let dashes = match kind {
        Some(_) => "stroke-width=\"1.5\"",
        None => "stroke-width=\"2\" stroke-dasharray=\"6 5\"",
    };
    format!("fill=\"none\" stroke=\"{colour}\" {dashes}")
}

/// The letter of a sort of links, on its line.
fn letter(kind: usize, x: f64, y: f64) -> String {
    let letter = char::from(b'A' + u8::try_from(kind % 26).unwrap_or(0));
    let round = match kind / 26 {
        0 => String::new(),
        round => round.to_string(),
    };
    format!(
        "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"7\" fill=\"#ffffff\"/>\
         <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"11\" \
         font-weight=\"bold\" fill=\"#222222\">{letter}{round}</text>",
        y + 4.0
    )
}

/// A node: its shape says what else it is, a second outline that it is a seed.
fn symbol(met: &Met) -> String {
    let (fill, stroke) = match met.lost {
        Some(_) => ("#ffffff", "stroke=\"#555555\" stroke-dasharray=\"3 2\""),
        None => ("#e8eef4", "stroke=\"#222222\""),
    };
    let shape = |size: f64, fill: &str| match (met.bridge.is_empty(), met.is_global) {
        (false, _) => {
            let size = size + 2.0;
            format!(
                "<path d=\"M0 -{size}L{size} 0L0 {size}L-{size} 0Z\" fill=\"{fill}\" {stroke}/>"
            )
        }
        (true, true) => format!(
            "<rect x=\"-{size}\" y=\"-{size}\" width=\"{0}\" height=\"{0}\" fill=\"{fill}\" {stroke}/>",
            size * 2.0
        ),
        (true, false) => format!("<circle r=\"{size}\" fill=\"{fill}\" {stroke}/>"),
    };
    let mut symbol = String::new();
    if met.is_seed {
        symbol.push_str(&shape(10.0, "#ffffff"));
    }
    symbol.push_str(&shape(7.0, fill));
    symbol
}

impl Layout {
    /// The two lines beside a node.
    fn label(self, id: &NodeId, met: &Met) -> [String; 2] {
        let words = match self.has_words {
            true => cut(&met.words(), self.longest),
            false => String::new(),
        };
        [cut(id.as_str(), self.longest), words]
    }
}

/// A text that is not too long.
fn cut(text: &str, longest: usize) -> String {
    let text = shown(text);
    if text.chars().count() <= longest {
        return text;
    }
    let start: String = text.chars().take(longest - 1).collect();
    start + "…"
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

/// About how wide a text is; the fonts are those of who looks at it.
fn width(text: &str) -> f64 {
    let of = |letter: char| if letter.is_ascii() { 7.0 } else { 13.0 };
    text.chars().map(of).sum()
}

/// Counts here are those of nodes and lines: small.
fn small(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// A text within XML.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for letter in shown(text).chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::{example, id};
    use super::*;

    use proptest::prelude::*;
    use roxmltree::{Document, Node};

    /// The texts of all elements of that name.
    fn texts(document: &Document<'_>, element: &str) -> Vec<String> {
        let named = document
            .descendants()
            .filter(|node| node.has_tag_name(element));
        named
            .map(|node| node.text().unwrap_or("").to_owned())
            .collect()
    }

    #[test]
    fn nodes_links_and_what_is_missing_are_in_words_too() {
        let svg = render(&example(), Layout::WIDE);
        let document = Document::parse(&svg).unwrap();
        let titles = texts(&document, "title");
        for wanted in [
            "4 nodes, 3 links, 1 missing",
            "a – b: no link",
            "a – hub: generation 1b, json and cbor",
            "hub (AE-of-hub, seed, global, bridge of 1+2)",
            "gone (not reached: no route)",
        ] {
            assert!(titles.iter().any(|title| title == wanted), "{titles:?}");
        }
        let texts = texts(&document, "text");
        for wanted in [
            "hub",
            "generation 2, cbor: 1 link",
            "missing, though both know of each other: 1 link, a – b",
            "A",
            "B",
        ] {
            assert!(texts.iter().any(|text| text == wanted), "{texts:?}");
        }
        let is_dashed = |node: &Node<'_, '_>| {
            node.attribute("stroke-dasharray").is_some() && node.has_tag_name("path")
        };
        // The missing one and its sample in the legend.
        assert_eq!(document.descendants().filter(is_dashed).count(), 2);
    }

    #[test]
    fn what_is_for_a_phone_is_narrow() {
        let mut graph = example();
        graph.told(&id(&"long".repeat(99)), [&id("hub"), &id("a")]);
        let svg = render(&graph, Layout::NARROW);
        let document = Document::parse(&svg).unwrap();
        let width = document.root_element().attribute("width").unwrap();
        assert!(width.parse::<f64>().unwrap() <= 480.0, "{width}");
        let texts = texts(&document, "text").join("\n");
        assert!(texts.contains("longlonglongl…"), "{texts}");
        // All of the legend is there, in lines.
        let legend = "missing, though both know of each other:\n1 link, a – b";
        assert!(texts.contains(legend), "{texts}");
        assert_eq!(wrap("a bc def", 4), ["a bc", "def"]);
        assert_eq!(wrap("abcdef g", 4), ["abcdef", "g"]);
    }

    /// Where a group is moved to.
    fn place(node: &Node<'_, '_>) -> Option<(f64, f64)> {
        let moved = node.attribute("transform")?.strip_prefix("translate(")?;
        let (x, y) = moved.strip_suffix(')')?.split_once(' ')?;
        Some((x.parse().ok()?, y.parse().ok()?))
    }

    #[test]
    fn labels_are_beside_each_other_and_within_the_picture() {
        for count in 1..=30 {
            let names: Vec<NodeId> = (0..count).map(|at| id(&format!("node-{at}"))).collect();
            let mut graph = Graph::default();
            for name in &names {
                graph.told(name, &names);
            }
            let svg = render(&graph, Layout::WIDE);
            let document = Document::parse(&svg).unwrap();
            let size = |name: &str| -> f64 {
                document
                    .root_element()
                    .attribute(name)
                    .unwrap()
                    .parse()
                    .unwrap()
            };
            let mut sides: BTreeMap<String, Vec<f64>> = BTreeMap::new();
            for group in document.descendants().filter(|node| node.has_tag_name("g")) {
                let Some(text) = group
                    .children()
                    .find(|node| node.has_attribute("text-anchor"))
                else {
                    continue;
                };
                let (x, y) = place(&group).unwrap();
                let at: f64 = text.attribute("x").unwrap().parse().unwrap();
                let end = x + at + at.signum() * width(text.text().unwrap());
                assert!((0.0..=size("width")).contains(&end), "{count}: {end}");
                assert!((14.0..=size("height") - 14.0).contains(&y), "{count}: {y}");
                let side = text.attribute("text-anchor").unwrap().to_owned();
                sides.entry(side).or_default().push(y);
            }
            let labels: usize = sides.values().map(Vec::len).sum();
            assert_eq!(labels, count);
            for places in sides.values_mut() {
                places.sort_by(f64::total_cmp);
                for two in places.windows(2) {
                    assert!(two[1] - two[0] >= 30.0, "{count}: {two:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_ids_make_well_formed_xml(names in prop::collection::vec(any::<String>(), 1..8)) {
            let ids: Vec<NodeId> = names.iter().map(|name| id(name)).collect();
            let mut graph = Graph::default();
            graph.told(&ids[0], &ids);
            graph.met(&ids[0]).lost = Some(names[0].clone());
            let svg = render(&graph, Layout::WIDE);
            let document = Document::parse(&svg).unwrap();
            let texts = texts(&document, "text");
            for name in &names {
                prop_assert!(texts.contains(&cut(name, Layout::WIDE.longest)), "{name:?} in {texts:?}");
            }
            // Nothing is fetched, and nothing runs.
            let has = |node: Node<'_, '_>| {
                let by_name = |attribute: roxmltree::Attribute<'_, '_>| {
                    attribute.name().starts_with("on") || attribute.name().ends_with("href")
                };
                node.has_tag_name("script") || node.attributes().any(by_name)
            };
            prop_assert!(!document.descendants().any(has));
        }
    }
}
