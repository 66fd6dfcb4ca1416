//! The whole command line as clap knows it: the subcommands of [`Cli`] and the configuration
//! commands. Reading, help, manual page and completions all come from here.

use std::fmt::Write as _;

use aemp::config;
use clap::{Arg, CommandFactory as _, value_parser};
use clap_complete::ArgValueCompleter;

use crate::settings::SettingsError;
use crate::settings::table::{self, COMMANDS, Group, Info, Takes};
use crate::{Cli, complete};

/// The ID of what follows a configuration command.
pub(crate) const ARGUMENTS: &str = "arguments";

/// Each paragraph is one line: clap wraps it.
const CONFIGURATION: &str = "\
Configuration commands, for the file that is shared with Perl's aemp ($PERL_ANYEVENT_MP_RC, else \
~/.perl-anyevent-mp). Several can stand in one line; behind `profile NAME` they are about that \
profile, else about all. `set` may be left out; `del` in its place takes a setting away. \
`aemp help COMMAND` says more.

Example: aemp profile seed nodeid anon/ binds '*:4040' delseeds
";

/// What there is to know of all commands.
pub(crate) const REST: &str = "\
Arguments that begin with [, { or \" are JSON. If the only argument begins with [, it is a JSON \
array of all of them: aemp '[\"setnodeid\",\"x\"]'

Environment:
  PERL_ANYEVENT_MP_RC         the configuration file; empty: none
  PERL_ANYEVENT_MP_WARNLEVEL  0 to 9: how much is logged; RUST_LOG works, too
  PERL_ANYEVENT_MP_TRACE      1: every message is logged

Exit status:
  0    done; of mon: all ended normally
  1    it failed, and standard error says why; of mon: one ended otherwise
  2    the command line is wrong
  141  nobody reads the output";

/// The command line.
pub(crate) fn command() -> clap::Command {
    let mut command = Cli::command().after_help(after_help());
    for info in COMMANDS.iter() {
        // There are too many of them for clap's list, which has no headings.
        command = command.subcommand(subcommand(info).hide(true));
    }
    command
}

/// The same for completions, where all commands are as good.
pub(crate) fn command_to_complete() -> clap::Command {
    let mut command = Cli::command();
    for info in COMMANDS.iter() {
        command = command.subcommand(subcommand(info).hide(!info.is_offered()));
    }
    command
}

fn subcommand(info: &Info) -> clap::Command {
    let usage = [&*info.name, &*info.usage, "[COMMAND..]"];
    let usage: Vec<&str> = match info.takes {
        Takes::Settings => usage[..2].to_vec(),
        _ => usage.into_iter().filter(|word| !word.is_empty()).collect(),
    };
    let arguments = Arg::new(ARGUMENTS)
        .num_args(0..)
        .trailing_var_arg(true)
        .allow_hyphen_values(true)
        .value_parser(value_parser!(String))
        .hide(true)
        .add(ArgValueCompleter::new(complete::word));
    let command = clap::Command::new(info.name.clone())
        .about(first_upper(&info.about))
        .override_usage(format!("aemp {}", usage.join(" ")))
        .after_help(format!("{}Example: {}", others_like(info), info.example))
        .arg(arguments);
    match info.alias {
        Some(alias) => command.alias(alias),
        None => command,
    }
}

/// Which other commands there are for what a `set` is about.
fn others_like(info: &Info) -> String {
    match info.alias {
        Some(alias) if table::find(&format!("del{alias}")).is_some() => {
            format!("`aemp {alias}` is the same; `aemp del{alias}` takes it away.\n\n")
        }
        _ => String::new(),
    }
}

/// The configuration commands by group, and what there is to know of all commands.
fn after_help() -> String {
    let mut help = CONFIGURATION.to_owned();
    for group in Group::ALL {
        let _ = write!(help, "\n{}:\n", group.heading());
        for info in of_group(group) {
            let usage = format!("{} {}", info.name, info.usage);
            let _ = writeln!(help, "  {usage:<32} {}", info.about);
        }
    }
    help.push('\n');
    help.push_str(REST);
    help
}

/// The commands of a group that are worth a line of their own.
pub(crate) fn of_group(group: Group) -> impl Iterator<Item = &'static Info> {
    table::COMMANDS
        .iter()
        .filter(move |info| info.group == group && info.is_listed())
}

/// What to say of a command that there is not.
pub(crate) fn unknown(name: &str) -> SettingsError {
    let command = command();
    let names = |known: &clap::Command| -> Vec<String> {
        let aliases = known.get_all_aliases().map(str::to_owned);
        aliases.chain([known.get_name().to_owned()]).collect()
    };
    let names: Vec<String> = command.get_subcommands().flat_map(names).collect();
    SettingsError::UnknownCommand {
        name: name.to_owned(),
        like: config::suggest(name, names.iter().map(String::as_str)).map(str::to_owned),
    }
}

/// A sentence's beginning.
pub(crate) fn first_upper(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
        command_to_complete().debug_assert();
    }

    #[test]
    fn every_setting_has_its_commands() {
        for key in config::setting_names().chain(["parent"]) {
            for name in [format!("set{key}"), key.to_owned(), format!("del{key}")] {
                assert!(table::find(&name).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn lines_fit_a_terminal_and_every_command_has_an_example() {
        for line in after_help().lines().filter(|line| line.starts_with("  ")) {
            assert!(line.chars().count() < 80, "{line}");
        }
        let mut command = command();
        command.build();
        for subcommand in command.get_subcommands() {
            let help = subcommand.clone().render_long_help().to_string();
            let name = subcommand.get_name();
            assert!(help.contains(&format!("aemp {name}")), "{help}");
            assert!(help.contains("Example"), "{help}");
        }
    }
}
