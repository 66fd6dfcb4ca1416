//! The commands of the shell. Reading, help and completions all come from here.

use std::fmt::Write as _;

/// What a word of a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Port,
    Node,
    Group,
    Function,
    /// A port or node that is monitored.
    Monitored,
    /// A value, or the ID of a port that replies go to.
    Value,
    Profile,
    Command,
    /// The rest of the line as it is.
    Code,
    /// Nothing that could be completed.
    Word,
}
use Takes::{Code, Command, Function, Group, Monitored, Node, Port, Profile, Value, Word};

/// A command.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) usage: &'static str,
    pub(super) about: &'static str,
    /// What its words are; the last stands for all further ones.
    pub(super) takes: &'static [Takes],
    /// The fewest words, and the most.
    pub(super) words: (usize, usize),
}

const ANY: usize = usize::MAX;

const fn entry(
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    takes: &'static [Takes],
    words: (usize, usize),
) -> Entry {
    Entry {
        name,
        usage,
        about,
        takes,
        words,
    }
}

#[rustfmt::skip]
pub(super) const COMMANDS: &[Entry] = &[
    entry("snd", "PORT [VALUE..]", "send a message; the node of the port has to take it", &[Port, Value], (1, ANY)),
    entry("cal", "PORT [VALUE..]", "send with a reply port behind it, and show the reply", &[Port, Value], (1, ANY)),
    entry("mon", "PORT..", "be told when ports or nodes die", &[Port], (1, ANY)),
    entry("unmon", "PORT..", "no more", &[Monitored], (1, ANY)),
    entry("wait", "[SECONDS]", "wait until all that are monitored have died (5 s)", &[Word], (0, 1)),
    entry("kil", "PORT [REASON..]", "kill a port", &[Port, Value], (1, ANY)),
    entry("spawn", "NODE FUNCTION [VALUE..]", "create a port and monitor it", &[Node, Function, Value], (2, ANY)),
    entry("port", "", "create a port here, and show what it is sent", &[], (0, 0)),
    entry("reg", "GROUP PORT", "register such a port in a group", &[Group, Port], (2, 2)),
    entry("eval", "CODE", "have the node evaluate it, whatever it begins with", &[Code], (1, 1)),
    entry("nodes", "", "the nodes of the network", &[], (0, 0)),
    entry("groups", "[GROUP]", "the groups and their ports; of one, once it has some", &[Group], (0, 1)),
    entry("ports", "[NODE]", "the ports of a node: of ours, those that are known here", &[Node], (0, 1)),
    entry("functions", "[NODE] [PREFIX]", "the functions that can be spawned there", &[Node, Function], (0, 2)),
    entry("db", "FAMILY [KEY]", "a family of the database (generation 2)", &[Word], (1, 2)),
    entry("db_set", "FAMILY KEY [VALUE]", "set a key, for as long as the shell runs", &[Word, Word, Value], (2, 3)),
    entry("db_del", "FAMILY KEY..", "delete keys that were set here", &[Word], (2, ANY)),
    entry("stats", "[NODE]", "the statistics of a node of ours", &[Node], (0, 1)),
    entry("restart", "[NODE]", "have a node start again that `aemp run` runs", &[Node], (0, 1)),
    entry("showprofile", "PROFILE", "as `aemp showprofile`", &[Profile], (1, 1)),
    entry("showconfig", "[PROFILE]", "as `aemp showconfig`", &[Profile], (0, 1)),
    entry("help", "[COMMAND]", "say this, or more of a command", &[Command], (0, 1)),
    entry("quit", "", "end, as the end of the input does", &[], (0, 0)),
];

/// The command of that name.
pub(super) fn find(name: &str) -> Option<&'static Entry> {
    COMMANDS.iter().find(|entry| entry.name == name)
}

impl Entry {
    pub(super) fn usage(&self) -> String {
        let words = [self.name, self.usage];
        words.join(" ").trim_end().to_owned()
    }

    /// What the word at this place is, the name not counted.
    pub(super) fn takes_at(&self, place: usize) -> Option<Takes> {
        let last = self.takes.last().filter(|_| place < self.words.1);
        self.takes.get(place).or(last).copied()
    }
}

/// A list of the commands.
pub(super) fn list() -> String {
    let mut list = String::from(
        "  =                            the nodes of the network\n  \
         =NODE                        go to a node\n  \
         CODE                         have the node evaluate it\n",
    );
    for entry in COMMANDS {
        let _ = writeln!(list, "  {:<28} {}", entry.usage(), entry.about);
    }
    list
}

const WORDS: &str = "\
A line that begins with no command is evaluated by the node that the shell is on, which the prompt \
names: a Perl node evaluates Perl, and other nodes what their program has given them for it. A \
word that is JSON is that value (5, true, null, \"5\", [1,2], {\"a\":1}), any other is a text. `.` \
stands for the node that the shell is on, `#NAME` for its port of that name. A line that begins \
with `# ` is a comment.

Ports that were created (spawn) or are monitored (mon) are told of when they die, and messages to \
ports that were made here (port) are shown, as soon as it happens.

At a terminal, Tab completes commands, nodes, ports, groups, functions and profiles; Ctrl-C ends \
the wait for an answer, or clears the line, and Ctrl-D ends the shell. The lines of earlier times \
are in $XDG_STATE_HOME/aemp/history, else ~/.local/state/aemp/history. Otherwise the lines of \
standard input are run one after another, once a seed is connected, and the status is 1 if one \
failed; with --json there is an object for each, with its number as `line`, and its `error` if it \
failed.";

/// What `--help` of the subcommand says besides.
pub(crate) fn help() -> String {
    format!(
        "Commands:\n{}\n{WORDS}\n\nExamples:\n  aemp shell ruth\n  \
         echo 'cal ruth time' | aemp --json shell",
        list()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        for entry in COMMANDS {
            let (fewest, most) = entry.words;
            assert!(
                fewest <= most && most >= entry.takes.len().min(1),
                "{entry:?}"
            );
            assert_eq!(entry.takes.is_empty(), most == 0, "{entry:?}");
            let optional = entry.usage.matches('[').count();
            let named = entry.usage.split_whitespace().count();
            assert_eq!(named - optional, fewest, "{entry:?}");
            assert!(find(entry.name) == Some(entry));
        }
        for line in list().lines() {
            assert!(line.chars().count() <= 90, "{line}");
        }
    }

    #[test]
    fn places() {
        let at = |name: &str, place| find(name).unwrap().takes_at(place);
        assert_eq!(at("spawn", 1), Some(Function));
        assert_eq!(at("spawn", 7), Some(Value));
        assert_eq!(at("showprofile", 1), None);
        assert_eq!(at("nodes", 0), None);
        assert_eq!(at("mon", 3), Some(Port));
    }
}
