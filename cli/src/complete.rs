//! What the shells complete: subcommands and options by clap's definition, and what stands behind a
//! configuration command or `run`, of which clap knows nothing: more commands, keys, values, and
//! the profiles that are in the configuration.

use std::ffi::OsStr;

use aemp::config::{self, Environment, RcFile};
use clap_complete::engine::{PathCompleter, ValueCompleter as _};
use clap_complete::env::{CompleteEnv, Shells};
use clap_complete::{CompletionCandidate, Shell};

use crate::node_arguments::FLAGS;
use crate::settings::table::{self, COMMANDS, Info, Takes};
use crate::{Failure, definition, output};

/// Answers a shell that asks for completions, and ends then.
pub(crate) fn answer_a_shell() {
    CompleteEnv::with_factory(definition::command_to_complete).complete();
}

/// Prints the script that has a shell ask.
pub(crate) fn print_script(shell: Shell) -> Result<(), Failure> {
    let shell = shell.to_string();
    let builtins = Shells::builtins();
    let completer = builtins.completer(&shell).ok_or("there is no such shell")?;
    let mut script = Vec::new();
    completer.write_registration("COMPLETE", "aemp", "aemp", "aemp", &mut script)?;
    Ok(output::print(&String::from_utf8(script)?)?)
}

/// The candidates for a word that stands behind a configuration command or `run`.
pub(crate) fn word(current: &OsStr) -> Vec<CompletionCandidate> {
    let before = words_before(std::env::args(), std::env::var("_CLAP_COMPLETE_INDEX").ok());
    let begins = |(word, _): &(String, String)| {
        let current = current.to_str();
        current.is_some_and(|current| word.starts_with(current))
    };
    match expected(&before) {
        Expected::File => PathCompleter::file().complete(current),
        Expected::Words(words) => candidates(words.into_iter().filter(begins)),
        Expected::Commands => {
            let offered = COMMANDS.iter().filter(|info| info.is_offered());
            let named =
                |name: &str, info: &Info| (name.to_owned(), definition::first_upper(&info.about));
            let names = offered.clone().map(|info| named(&info.name, info));
            let found = candidates(names.filter(begins));
            if !found.is_empty() {
                return found;
            }
            // The names without `set` would double the list.
            let aliases = offered.filter_map(|info| Some(named(info.alias?, info)));
            candidates(aliases.filter(begins))
        }
    }
}

fn candidates(words: impl Iterator<Item = (String, String)>) -> Vec<CompletionCandidate> {
    let candidate = |(word, help): (String, String)| {
        let help = Some(help).filter(|help| !help.is_empty());
        CompletionCandidate::new(word).help(help.map(Into::into))
    };
    words.map(candidate).collect()
}

/// The words between `aemp` and the one to complete. The shells call `aemp -- WORD..` with the
/// words of the line, and say which of them is meant; if one does not, it is the last.
fn words_before(args: impl Iterator<Item = String>, index: Option<String>) -> Vec<String> {
    let mut words: Vec<String> = args.skip_while(|arg| arg != "--").skip(2).collect();
    let last = words.len().saturating_sub(1);
    let index = index.and_then(|index| index.parse::<usize>().ok());
    words.truncate(
        index
            .map_or(last, |index| index.saturating_sub(1))
            .min(last),
    );
    words
}

enum Expected {
    /// Words, and what they are about.
    Words(Vec<(String, String)>),
    /// The name of a file.
    File,
    /// The next configuration command.
    Commands,
}

/// What may follow these words.
fn expected(before: &[String]) -> Expected {
    let mut words = before
        .iter()
        .map(String::as_str)
        .filter(|word| !word.starts_with('-'));
    loop {
        let Some(name) = words.next() else {
            return Expected::Commands;
        };
        if name == "run" {
            return of_node(words.collect());
        }
        let Some(info) = table::find(name) else {
            return Expected::Words(Vec::new());
        };
        let taken = match info.takes {
            Takes::Nothing => continue,
            Takes::Settings => return of_node(words.collect()),
            Takes::One | Takes::Profile | Takes::File => words.next(),
        };
        if taken.is_none() {
            return match info.takes {
                Takes::File => Expected::File,
                Takes::Profile => profiles(),
                _ => plain(info.offers),
            };
        }
    }
}

fn plain(words: &[&str]) -> Expected {
    let words = words.iter().map(|word| ((*word).to_owned(), String::new()));
    Expected::Words(words.collect())
}

/// The profiles of the configuration; none if it can't be read, for there is nowhere to say so.
fn profiles() -> Expected {
    let rc = RcFile::load(Environment::from_process().rc_path()).unwrap_or_default();
    plain(&rc.profile_names().collect::<Vec<_>>())
}

/// What may follow a profile or settings.
fn of_node(words: Vec<&str>) -> Expected {
    let is_key = |word: &str| config::setting_names().any(|name| name == word);
    let keys = || config::setting_names().filter(|key| *key != "cert");
    let (first, last) = match (words.first(), words.last()) {
        (Some(first), Some(last)) => (*first, *last),
        _ => {
            let Expected::Words(mut all) = profiles() else {
                return plain(&[]);
            };
            let more = keys().chain(FLAGS).chain(["profile"]);
            all.extend(more.map(|key| (key.to_owned(), String::new())));
            return Expected::Words(all);
        }
    };
    // A profile in front makes the number of words before a key odd.
    let has_profile = !is_key(first) && first != "profile" && !FLAGS.contains(&first);
    let settings = words.iter().skip(usize::from(has_profile));
    let counted = settings.filter(|word| !FLAGS.contains(word)).count();
    match counted % 2 {
        0 => plain(&keys().chain(FLAGS).collect::<Vec<_>>()),
        _ if last == "profile" => profiles(),
        _ => plain(table::offers(last)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(line: &str) -> Vec<String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match expected(&words) {
            Expected::Words(words) => words.into_iter().map(|(word, _)| word).collect(),
            Expected::File => vec!["(file)".to_owned()],
            Expected::Commands => vec!["(command)".to_owned()],
        }
    }

    #[test]
    fn what_follows_a_command() {
        for (line, wanted) in [
            ("", "(command)"),
            ("gensecret", "(command)"),
            ("profile seed", "(command)"),
            ("profile seed nodeid anon/", "(command)"),
            ("nodeid x setgeneration", "auto"),
            ("secure", "1"),
            ("setcert", "(file)"),
            ("run", "nodeid"),
            ("run seed", "binds"),
            ("run seed binds", ""),
            ("run seed binds *", "seeds"),
            ("run norc nodeid x", "force"),
            ("run seed generation", "2"),
            ("showconfig seed framing_format", "json"),
        ] {
            let offered = offered(line);
            let has_it = offered.iter().any(|word| word == wanted);
            assert!(
                has_it || (wanted.is_empty() && offered.is_empty()),
                "{line}: {offered:?}"
            );
        }
        assert!(!offered("nodeid").contains(&"(command)".to_owned()));
    }

    #[test]
    fn which_word_is_meant() {
        let words = |index: Option<&str>| {
            let line = "aemp -- aemp profile seed bi";
            words_before(line.split(' ').map(str::to_owned), index.map(str::to_owned)).join(" ")
        };
        assert_eq!(words(None), "profile seed");
        assert_eq!(words(Some("3")), "profile seed");
        assert_eq!(words(Some("2")), "profile");
        assert_eq!(words(Some("99")), "profile seed");
    }
}
