//! A line of the shell: what it asks for.

use std::time::Duration;

use aemp::{NodeId, PortId, Reason};
use serde_json::Value;
use serde_json::value::RawValue;

use super::table::{self, Entry};
use super::words::{Word, WordError, split};
use crate::ask::{LIMIT, typed};

/// Elements of a message, as they were typed: no digit of a number is lost.
pub(super) type Args = Vec<Box<RawValue>>;

/// What a line asks for.
#[derive(Debug)]
pub(super) enum Line {
    /// It is empty, or a comment.
    Nothing,
    Go(NodeId),
    Evaluate(String),
    Send(PortId, Args),
    Call(PortId, Args),
    Monitor(Vec<PortId>),
    Unmonitor(Vec<PortId>),
    Wait(Duration),
    Kill(PortId, Reason),
    Spawn(NodeId, String, Args),
    Port,
    Register(String, PortId),
    Nodes,
    Groups,
    Group(String),
    Ports(NodeId),
    Functions(NodeId, String),
    Family(String, Option<String>),
    Set(String, String, Box<RawValue>),
    Delete(String, Vec<String>),
    Stats(NodeId),
    Restart(NodeId),
    /// A command that shows the configuration.
    Show(Vec<String>),
    Help(Option<&'static Entry>),
    Quit,
}

/// Why a line is not understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LineError {
    #[error(transparent)]
    Word(#[from] WordError),
    #[error("it is: {0}")]
    Usage(String),
    #[error("{0}: {1} is no {2}")]
    Kind(&'static str, String, &'static str),
    #[error("{0}: no such command{like}", like = did_you_mean(*.1))]
    Command(String, Option<&'static str>),
}

pub(super) fn did_you_mean(like: Option<&str>) -> String {
    match like {
        Some(like) => format!("; did you mean `{like}`?"),
        None => String::new(),
    }
}

/// The command that somebody may have meant.
pub(super) fn like(name: &str) -> Option<&'static str> {
    aemp::config::suggest(name, table::COMMANDS.iter().map(|entry| entry.name))
}

/// Reads a line, of a shell that is on this node.
pub(super) fn read(line: &str, current: &NodeId) -> Result<Line, LineError> {
    let line = line.trim();
    if line.is_empty() || line == "#" || line.starts_with("# ") {
        return Ok(Line::Nothing);
    }
    if let Some(node) = line.strip_prefix('=') {
        let mut words = split(node)?.into_iter();
        return match (words.next(), words.next()) {
            (None, _) => Ok(Line::Nodes),
            (Some(node), None) => Ok(Line::Go(port("=", &node, current)?.node_id())),
            _ => Err(LineError::Usage("=NODE".to_owned())),
        };
    }
    let first = line.split_whitespace().next().unwrap_or_default();
    let Some(entry) = table::find(first) else {
        return Ok(Line::Evaluate(line.to_owned()));
    };
    let rest = line[first.len()..].trim_start();
    let words = match entry.takes {
        // It is no concern of ours what it is made of.
        [table::Takes::Code] if rest.is_empty() => Vec::new(),
        [table::Takes::Code] => return Ok(Line::Evaluate(rest.to_owned())),
        _ => split(rest)?,
    };
    let (fewest, most) = entry.words;
    if !(fewest..=most).contains(&words.len()) {
        return Err(LineError::Usage(entry.usage()));
    }
    Words {
        of: entry.name,
        current,
        left: words.into_iter(),
    }
    .command()
}

/// The ID of a port that was typed: `.` is the node that the shell is on, and `#x` its port of that
/// name.
fn port(of: &'static str, word: &Word, current: &NodeId) -> Result<PortId, LineError> {
    let text = word.text();
    let text = text.ok_or_else(|| LineError::Kind(of, word.typed.clone(), "ID"))?;
    if word.is_quoted() {
        return Ok(PortId::new(text));
    }
    Ok(match text.strip_prefix('#') {
        Some(name) => current.port(typed(name).as_str()),
        None if text == "." => current.node_port(),
        None => typed(text),
    })
}

/// The words behind a command, of which there are as many as it takes.
struct Words<'a> {
    of: &'static str,
    current: &'a NodeId,
    left: std::vec::IntoIter<Word>,
}

impl Words<'_> {
    fn command(mut self) -> Result<Line, LineError> {
        Ok(match self.of {
            "snd" => Line::Send(self.port()?, self.args()),
            "cal" => Line::Call(self.port()?, self.args()),
            "mon" => Line::Monitor(self.ports()?),
            "unmon" => Line::Unmonitor(self.ports()?),
            "wait" => Line::Wait(self.seconds()?),
            "kil" => {
                let port = self.port()?;
                let values = self.args().into_iter();
                let values = values.map(|value| serde_json::from_str(value.get()));
                Line::Kill(port, Reason::new(values.flatten().collect::<Vec<Value>>()))
            }
            "spawn" => {
                let node = self.port()?.node_id();
                Line::Spawn(node, self.text("name of a function")?, self.args())
            }
            "port" => Line::Port,
            "reg" => Line::Register(self.text("name of a group")?, self.port()?),
            "nodes" => Line::Nodes,
            "groups" => match self.left.len() {
                0 => Line::Groups,
                _ => Line::Group(self.text("name of a group")?),
            },
            "ports" => Line::Ports(self.node()?),
            "functions" => {
                let node = self.node()?;
                Line::Functions(
                    node,
                    self.text_or_none("beginning of a name")?
                        .unwrap_or_default(),
                )
            }
            "db" => {
                let family = self.text("name of a family")?;
                Line::Family(family, self.text_or_none("key")?)
            }
            "db_set" => {
                let (family, key) = (self.text("name of a family")?, self.text("key")?);
                let value = self.left.next().map(|word| word.value);
                Line::Set(family, key, value.unwrap_or_default())
            }
            "db_del" => {
                let family = self.text("name of a family")?;
                let count = self.left.len();
                let keys = (0..count).map(|_| self.text("key"));
                let keys = keys.collect::<Result<_, _>>()?;
                Line::Delete(family, keys)
            }
            "stats" => Line::Stats(self.node()?),
            "restart" => Line::Restart(self.node()?),
            "help" => match self.text_or_none("name of a command")? {
                None => Line::Help(None),
                Some(name) => match table::find(&name) {
                    Some(entry) => Line::Help(Some(entry)),
                    None => {
                        let like = like(&name);
                        return Err(LineError::Command(name, like));
                    }
                },
            },
            "quit" => Line::Quit,
            // What is left is shown by the functions of the subcommands.
            shows => {
                let name = [shows.to_owned()];
                Line::Show(
                    name.into_iter()
                        .chain(self.left.map(|word| word.typed))
                        .collect(),
                )
            }
        })
    }

    fn port(&mut self) -> Result<PortId, LineError> {
        match self.left.next() {
            Some(word) => port(self.of, &word, self.current),
            None => Ok(self.current.node_port()),
        }
    }

    /// A node; if none is named, that which the shell is on.
    fn node(&mut self) -> Result<NodeId, LineError> {
        Ok(self.port()?.node_id())
    }

    fn ports(&mut self) -> Result<Vec<PortId>, LineError> {
        let (of, current) = (self.of, self.current);
        let words = self.left.by_ref();
        words.map(|word| port(of, &word, current)).collect()
    }

    fn args(&mut self) -> Args {
        self.left.by_ref().map(|word| word.value).collect()
    }

    fn text(&mut self, what: &'static str) -> Result<String, LineError> {
        Ok(self.text_or_none(what)?.unwrap_or_default())
    }

    fn text_or_none(&mut self, what: &'static str) -> Result<Option<String>, LineError> {
        let Some(word) = self.left.next() else {
            return Ok(None);
        };
        let text = word.text();
        text.map(Some)
            .ok_or(LineError::Kind(self.of, word.typed, what))
    }

    fn seconds(&mut self) -> Result<Duration, LineError> {
        let Some(word) = self.left.next() else {
            return Ok(LIMIT);
        };
        let seconds = word.typed.parse().ok();
        let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        time.ok_or(LineError::Kind(self.of, word.typed, "number of seconds"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        match read(line, &NodeId::new("ruth")) {
            Ok(line) => format!("{line:?}"),
            Err(error) => format!("no: {error}"),
        }
    }

    #[test]
    fn each_form_is_read() {
        for (line, wanted) in [
            ("", "Nothing"),
            ("# snd a b", "Nothing"),
            ("=", "Nodes"),
            (" = doom ", r#"Go("doom")"#),
            ("=doom", r#"Go("doom")"#),
            ("=.", r#"Go("ruth")"#),
            ("1 + 1", r#"Evaluate("1 + 1")"#),
            ("sndx 1", r#"Evaluate("sndx 1")"#),
            (
                r#"eval snd $x, "y z"; ["#,
                r#"Evaluate("snd $x, \"y z\"; [")"#,
            ),
            (
                "snd a#b hi 1.50 [18446744073709551616]",
                r#"Send("a#b", [RawValue("hi"), RawValue(1.50), RawValue([18446744073709551616])])"#,
            ),
            ("cal . time", r#"Call("ruth", [RawValue("time")])"#),
            ("cal #log", r#"Call("ruth#log", [])"#),
            (r##"cal "#log""##, r##"Call("#log", [])"##),
            ("mon a b#c .", r#"Monitor(["a", "b#c", "ruth"])"#),
            ("unmon a", r#"Unmonitor(["a"])"#),
            ("wait", "Wait(5s)"),
            ("wait 0.5", "Wait(500ms)"),
            ("kil a#b", r#"Kill("a#b", <>)"#),
            ("kil a#b die 3", r#"Kill("a#b", <die 3>)"#),
            (
                "spawn . main::f 1",
                r#"Spawn("ruth", "main::f", [RawValue(1)])"#,
            ),
            ("spawn a#x f", r#"Spawn("a", "f", [])"#),
            ("port", "Port"),
            ("reg g a#b", r#"Register("g", "a#b")"#),
            ("groups", "Groups"),
            ("groups 5", r#"Group("5")"#),
            ("ports", r#"Ports("ruth")"#),
            ("functions a main::", r#"Functions("a", "main::")"#),
            ("db f", r#"Family("f", None)"#),
            ("db f \"a key\"", r#"Family("f", Some("a key"))"#),
            ("db_set f k", r#"Set("f", "k", RawValue(null))"#),
            (
                "db_set f k {\"a\": 1}",
                r#"Set("f", "k", RawValue({"a": 1}))"#,
            ),
            ("db_del f k l", r#"Delete("f", ["k", "l"])"#),
            ("stats", r#"Stats("ruth")"#),
            ("restart doom", r#"Restart("doom")"#),
            ("showconfig", r#"Show(["showconfig"])"#),
            ("quit", "Quit"),
        ] {
            assert_eq!(shown(line), wanted, "{line}");
        }
        assert!(shown("help cal").starts_with("Help(Some(Entry { name: \"cal\""));
    }

    /// A name is what a terminal sends, as Perl's command takes it; JSON is as it says.
    #[test]
    fn names_beyond_ascii() {
        assert_eq!(shown("=gr\u{fc}n"), "Go(\"gr\u{c3}\u{bc}n\")");
        assert_eq!(shown("=\"gr\u{fc}n\""), "Go(\"gr\u{fc}n\")");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, wanted) in [
            ("snd", "it is: snd PORT [VALUE..]"),
            ("port x", "it is: port"),
            ("spawn a", "it is: spawn NODE FUNCTION [VALUE..]"),
            ("= a b", "it is: =NODE"),
            ("eval", "it is: eval CODE"),
            ("mon {}", "mon: {} is no ID"),
            ("wait soon", "wait: soon is no number of seconds"),
            ("wait -1", "wait: -1 is no number of seconds"),
            ("db [1]", "db: [1] is no name of a family"),
            ("help mom", "mom: no such command; did you mean `mon`?"),
            ("cal a [1", "[1: it begins like JSON, and is not: EOF"),
        ] {
            let shown = shown(line);
            assert!(
                shown.starts_with(&format!("no: {wanted}")),
                "{line}: {shown}"
            );
        }
    }
}
