//! Which messages are shown.

use std::borrow::Cow;

/// So many characters of a message are shown in a plain line.
const SHOWN: usize = 240;

/// By what messages are chosen.
#[derive(Debug, Clone, Default, clap::Args)]
#[group(id = "messages")]
#[command(next_help_heading = "Messages")]
pub(super) struct Options {
    /// Those that a node sends or gets
    #[arg(long, value_name = "NODE")]
    node: Vec<String>,
    /// Those to a port: its ID, or its name alone; NODE# is the node port
    #[arg(long, value_name = "PORT")]
    port: Vec<String>,
    /// Those with a tag, or of requests to the node port those of that name
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
}

/// The choice.
#[derive(Debug, Default)]
pub(super) struct Filter(Options);

impl Filter {
    pub(super) fn new(options: Options) -> Self {
        Filter(options)
    }

    /// Whether a message is chosen. An empty name is the node port.
    pub(super) fn takes(&self, from: &str, to: &str, port: &str, tag: Option<&str>) -> bool {
        let Filter(Options {
            node,
            port: ports,
            tag: tags,
        }) = self;
        let id = format!("{to}#{port}");
        let is_port = |text: &String| fits(text, &id) || !port.is_empty() && fits(text, port);
        (node.is_empty() || self.is_of(from, to))
            && (ports.is_empty() || ports.iter().any(is_port))
            && (tags.is_empty()
                || tags
                    .iter()
                    .any(|text| tag.is_some_and(|tag| fits(text, tag))))
    }

    /// Whether what is no message, but passes between these nodes, is shown.
    pub(super) fn takes_others(&self, from: &str, to: &str) -> bool {
        let Filter(Options { node, port, tag }) = self;
        port.is_empty() && tag.is_empty() && (node.is_empty() || self.is_of(from, to))
    }

    fn is_of(&self, from: &str, to: &str) -> bool {
        let mut nodes = self.0.node.iter();
        nodes.any(|text| fits(text, from) || fits(text, to))
    }
}

/// `*` at the end stands for anything.
fn fits(wanted: &str, text: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(start) => text.starts_with(start),
        None => text == wanted,
    }
}

/// A text that fits into a line.
pub(super) fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}.. ({} octets)", &text[..end], text.len()).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(node: &[&str], port: &[&str], tag: &[&str]) -> Filter {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Filter(Options {
            node: owned(node),
            port: owned(port),
            tag: owned(tag),
        })
    }

    #[test]
    fn what_is_chosen() {
        let log = |filter: Filter| filter.takes("ruth", "hub", "log", Some("warn"));
        let request = |filter: Filter| filter.takes("ruth", "hub", "", Some("mon1"));
        for (node, port, tag, takes) in [
            (&[][..], &[][..], &[][..], [true, true]),
            (&["ruth"], &[], &[], [true, true]),
            (&["hub"], &[], &[], [true, true]),
            (&["h"], &[], &[], [false, false]),
            (&["h*", "x"], &[], &[], [true, true]),
            (&[], &["log"], &[], [true, false]),
            (&[], &["hub#log"], &[], [true, false]),
            (&[], &["ruth#log"], &[], [false, false]),
            (&[], &["hub#"], &[], [false, true]),
            (&[], &["hub#*"], &[], [true, true]),
            (&[], &[], &["warn"], [true, false]),
            (&[], &[], &["mon*", "err"], [false, true]),
            (&["ruth"], &["log"], &["mon1"], [false, false]),
        ] {
            let all = || filter(node, port, tag);
            assert_eq!(
                [log(all()), request(all())],
                takes,
                "{node:?} {port:?} {tag:?}"
            );
        }
        assert!(!filter(&[], &[], &["warn"]).takes("ruth", "hub", "log", None));
        assert!(filter(&["ruth"], &[], &[]).takes_others("ruth", "hub"));
        assert!(!filter(&[], &["log"], &[]).takes_others("ruth", "hub"));
    }

    #[test]
    fn lines_are_cut_between_characters() {
        assert_eq!(cut("[\"für\"]"), "[\"für\"]");
        let long = "ü".repeat(SHOWN + 1);
        let shown = cut(&long);
        assert_eq!(shown, format!("{}.. (482 octets)", "ü".repeat(SHOWN)));
    }
}
