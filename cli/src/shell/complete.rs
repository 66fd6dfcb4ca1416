//! What may stand where the cursor is.

use aemp::{NodeId, PortId};

use super::table::{self, COMMANDS, Takes};
use super::words::{Word, quoted, split};
use crate::ask::typed;
use crate::settings::as_perl_shows;

/// So many candidates are offered.
const MOST: usize = 1000;

/// Who knows what there is.
pub(super) trait Offers {
    fn current(&self) -> NodeId;
    fn nodes(&self) -> Vec<NodeId>;
    fn ports(&self) -> Vec<PortId>;
    fn monitored(&self) -> Vec<PortId>;
    fn groups(&self) -> Vec<String>;
    fn profiles(&self) -> Vec<String>;
    /// The functions of a node that begin so.
    fn functions(&self, node: &NodeId, begin: &str) -> Vec<String>;
}

/// The candidates for what ends at the cursor, and where that begins.
pub(super) fn complete(line: &str, offers: &dyn Offers) -> (usize, Vec<String>) {
    let begin = line.len() - line.trim_start().len();
    let trimmed = &line[begin..];
    if let Some(node) = trimmed.strip_prefix('=') {
        let at = line.len() - node.trim_start().len();
        let nodes = offers.nodes().into_iter().map(|node| named(node.as_str()));
        return (at, beginning(&line[at..], nodes));
    }
    let Some(end) = trimmed.find(char::is_whitespace) else {
        let names = COMMANDS.iter().map(|entry| format!("{} ", entry.name));
        let found = beginning(trimmed, names);
        return match found.is_empty() {
            true => code(line, offers),
            false => (begin, found),
        };
    };
    let Some(entry) = table::find(&trimmed[..end]) else {
        return code(line, offers);
    };
    if entry.takes == [Takes::Code] {
        return code(line, offers);
    }
    let behind = begin + end;
    let Ok(mut words) = split(&line[behind..]) else {
        return (line.len(), Vec::new());
    };
    let at = match words.last() {
        Some(last) if !line.ends_with(char::is_whitespace) => {
            let at = behind + last.at;
            let is_quoted = last.is_quoted();
            words.pop();
            if is_quoted {
                return (line.len(), Vec::new());
            }
            at
        }
        _ => line.len(),
    };
    let word = &line[at..];
    let found = match entry.takes_at(words.len()) {
        Some(takes) => of_kind(takes, word, &words, offers),
        None => Vec::new(),
    };
    (at, found)
}

/// The candidates for a word of this kind, behind these words.
fn of_kind(takes: Takes, word: &str, before: &[Word], offers: &dyn Offers) -> Vec<String> {
    let ended = |text: String| format!("{text} ");
    let nodes = || offers.nodes().into_iter().map(|node| named(node.as_str()));
    let ports = || offers.ports().into_iter().map(|port| named(port.as_str()));
    let texts = |texts: Vec<String>| texts.into_iter().map(|text| quoted(&text));
    match takes {
        // Those of the node that the shell is on have a short form.
        Takes::Port | Takes::Value if word.starts_with('#') => {
            let current = offers.current();
            let ports = offers.ports().into_iter();
            let own = ports.filter(|port| port.node() == current.as_str());
            let short = own.map(|port| format!("#{}", as_perl_shows(port.name())));
            beginning(word, short.map(ended))
        }
        Takes::Port => beginning(word, nodes().chain(ports()).map(ended)),
        Takes::Value => beginning(word, ports().map(ended)),
        Takes::Node => beginning(word, nodes().map(ended)),
        Takes::Monitored => {
            let monitored = offers.monitored().into_iter();
            beginning(word, monitored.map(|port| named(port.as_str())).map(ended))
        }
        Takes::Group => beginning(word, texts(offers.groups()).map(ended)),
        Takes::Profile => beginning(word, texts(offers.profiles()).map(ended)),
        Takes::Command => {
            let names = COMMANDS.iter().map(|entry| entry.name.to_owned());
            beginning(word, names.map(ended))
        }
        Takes::Function => {
            let node = match before.first().and_then(Word::text) {
                Some(text) if text != "." => typed(text).node_id(),
                _ => offers.current(),
            };
            functions(&node, word, offers)
        }
        Takes::Code | Takes::Word => Vec::new(),
    }
}

/// The functions that begin so. Behind a package there may be more.
fn functions(node: &NodeId, begin: &str, offers: &dyn Offers) -> Vec<String> {
    let found = offers.functions(node, begin).into_iter();
    let ended = found.map(|name| match name.ends_with("::") {
        true => name,
        false => format!("{name} "),
    });
    beginning(begin, ended)
}

/// The candidates within code: names of functions with their packages.
fn code(line: &str, offers: &dyn Offers) -> (usize, Vec<String>) {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let at = line.len() - line.chars().rev().take_while(|c| is_name(*c)).count();
    let begin = &line[at..];
    if !begin.contains("::") {
        return (line.len(), Vec::new());
    }
    let names = offers.functions(&offers.current(), begin);
    (at, beginning(begin, names.into_iter()))
}

/// The ID of a node or port as it is typed.
fn named(id: &str) -> String {
    let shown = as_perl_shows(id);
    match quoted(&shown) == shown {
        true => shown,
        false => quoted(id),
    }
}

/// The words that begin so, in order. There may be a hundred thousand, which nobody reads, and a
/// menu of them would be laid out at every key: of more than [`MOST`] the first and the very last
/// are offered, so that what all begin with is what these begin with.
fn beginning(begin: &str, words: impl Iterator<Item = String>) -> Vec<String> {
    let mut found: Vec<String> = words.filter(|word| word.starts_with(begin)).collect();
    found.sort_unstable();
    found.dedup();
    if found.len() > MOST {
        found.drain(MOST - 1..found.len() - 1);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Some;

    impl Offers for Some {
        fn current(&self) -> NodeId {
            NodeId::new("ruth")
        }
        fn nodes(&self) -> Vec<NodeId> {
            ["ruth", "rain", "doom", "a b"].map(NodeId::new).into()
        }
        fn ports(&self) -> Vec<PortId> {
            ["ruth#log", "ruth#lamp", "doom#x"].map(PortId::new).into()
        }
        fn monitored(&self) -> Vec<PortId> {
            [PortId::new("doom#x")].into()
        }
        fn groups(&self) -> Vec<String> {
            ["workers".into(), "the printers".into()].into()
        }
        fn profiles(&self) -> Vec<String> {
            ["seed".into()].into()
        }
        fn functions(&self, node: &NodeId, begin: &str) -> Vec<String> {
            let all = match node.as_str() {
                "ruth" => vec!["main::f", "main::g", "Shop::"],
                _ => vec!["other::f"],
            };
            let found = all.into_iter().filter(|name| name.starts_with(begin));
            found.map(str::to_owned).collect()
        }
    }

    #[test]
    fn what_is_offered() {
        for (line, wanted) in [
            ("s", "snd |spawn |stats |showprofile |showconfig "),
            ("  sn", "snd "),
            ("=", "\"a b\"|doom|rain|ruth"),
            ("=r", "rain|ruth"),
            ("= ru", "ruth"),
            ("snd ru", "ruth |ruth#lamp |ruth#log "),
            ("snd #l", "#lamp |#log "),
            ("snd doom#x do", "doom#x "),
            ("mon ruth#log d", "doom |doom#x "),
            ("unmon ", "doom#x "),
            ("groups ", "\"the printers\" |workers "),
            ("reg w", "workers "),
            ("reg workers doom#", "doom#x "),
            ("spawn ", "\"a b\" |doom |rain |ruth "),
            ("spawn ruth m", "main::f |main::g "),
            ("spawn . S", "Shop::"),
            ("spawn doom ", "other::f "),
            ("showprofile ", "seed "),
            ("showprofile seed ", ""),
            ("help una", ""),
            ("help unm", "unmon "),
            ("print main::", "main::f|main::g"),
            ("eval main::f", "main::f"),
            ("1 + f", ""),
            ("snd \"ru", ""),
            ("snd a \"ru\"", ""),
            ("wait ", ""),
        ] {
            let (at, found) = complete(line, &Some);
            let mut wanted: Vec<&str> = wanted.split('|').filter(|word| !word.is_empty()).collect();
            wanted.sort_unstable();
            assert_eq!(found, wanted, "{line}");
            let begin = &line[at..];
            assert!(found.iter().all(|word| word.starts_with(begin)), "{line}");
        }
    }

    #[test]
    fn of_many_candidates_the_first_and_the_last_are_offered() {
        let many = |n: usize| (0..n).rev().map(|n| format!("hub#{n:06}"));
        assert_eq!(beginning("hub#", many(MOST)).len(), MOST);
        let offered = beginning("hub#", many(100_000));
        assert_eq!(offered.len(), MOST);
        assert_eq!(
            [&offered[0], &offered[MOST - 2], &offered[MOST - 1]],
            ["hub#000000", "hub#000998", "hub#099999"]
        );
    }

    #[test]
    fn wherever_the_cursor_is() {
        for line in [
            "spawn  ruth  main::f  5 [1, {\"a\": 2}] ",
            "=gr\u{fc}n",
            "\u{fc} \u{fc}::",
        ] {
            for at in (0..=line.len()).filter(|at| line.is_char_boundary(*at)) {
                let (begin, _) = complete(&line[..at], &Some);
                assert!(begin <= at && line.is_char_boundary(begin));
            }
        }
    }
}
