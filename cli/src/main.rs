//! The command `aemp`: runs nodes, talks to nodes, edits the configuration shared with Perl.

// These macros panic when the text can't be written: `output` writes all there is to write.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod ask;
mod cert;
mod client;
mod complete;
mod definition;
mod demo;
mod doctor;
mod dump;
mod exec;
mod fuzz;
#[cfg(feature = "http")]
mod http;
mod logs;
mod manual;
mod node_arguments;
mod output;
mod perl;
mod pipe;
mod program;
mod progress;
mod proxy;
mod record;
mod relay;
mod run;
mod settings;
mod shell;
mod system;
mod top;
mod trace;
mod view;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use aemp::config::{Environment, RcFile};
use clap::{FromArgMatches as _, Parser, Subcommand};
use clap_complete::ArgValueCompleter;

/// What a subcommand fails with: the text goes to standard error, the exit status is 1. But see
/// [`output::end`] for a failure to write the output, and for what is wrong with the command line.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Message passing in the manner of AnyEvent::MP.
#[derive(Parser)]
#[command(
    name = "aemp",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(flatten)]
    output: output::Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a node until SIGINT or SIGTERM
    #[command(after_help = run::HELP)]
    Run {
        /// Start it again when it crashes, after a second at first, then later and later
        #[arg(long)]
        autorestart: bool,
        /// A profile's name, then settings as key and value
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "PROFILE | KEY VALUE",
            add = ArgValueCompleter::new(complete::word)
        )]
        arguments: Vec<String>,
    },
    /// Run a node and a program, whose port is printed: aemp exec [PROFILE] [KEY VALUE..] -- CMD
    #[command(after_help = exec::HELP)]
    Exec {
        /// Run so many of the program, each of which is a port
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
        instances: u16,
        /// A profile's name, then settings as key and value, as for `run`
        #[arg(value_name = "PROFILE | KEY VALUE")]
        arguments: Vec<String>,
        /// The program and its arguments
        #[arg(last = true, required = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Have a node that was started by `aemp run` start again
    #[command(after_help = "Example: aemp restart ruth")]
    Restart {
        /// The node's ID
        node: String,
    },
    /// Send a message to a port; succeeds when the port's node has taken it
    #[command(after_help = "Example: aemp snd ruth#log '[\"warn\", 5]'")]
    Snd {
        /// The port's ID
        port: String,
        /// The message
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        message: Vec<String>,
    },
    /// Send a message with a reply port behind it and print the reply as JSON
    #[command(after_help = "Example: aemp cal ruth time")]
    Cal {
        /// The port's ID
        port: String,
        /// The message
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        message: Vec<String>,
    },
    /// Wait until ports or nodes die and print the reasons
    #[command(after_help = "\
Exit status: 0 if all ended normally, 1 if one ended otherwise.

Example: aemp mon -v ruth ruth#log")]
    Mon {
        /// The IDs of ports and nodes
        #[arg(required = true)]
        ports: Vec<String>,
    },
    /// Have a node evaluate an expression, in its own language, and print the results as JSON
    #[command(after_help = "Example: aemp eval ruth '$$'")]
    Eval {
        /// The node's ID
        node: String,
        /// The expression
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        expression: Vec<String>,
    },
    /// Talk to a network: send, call, monitor, spawn, evaluate, and see what comes back
    #[command(after_help = shell::help())]
    Shell {
        /// The node that lines are evaluated on [default: the shell's own, which evaluates nothing]
        node: Option<String>,
    },
    /// Print a node and the nodes connected to it, and so on for each of them
    #[command(after_help = trace::HELP)]
    Trace(trace::Options),
    /// Show the network live: nodes, links, rates, queues, groups, ports that died
    #[command(after_help = top::HELP)]
    Top(top::Options),
    /// Pass standard input and output through a data connection to a function of another node:
    /// aemp pipe NODE FUNCTION [ARGS..], or aemp pipe --listen NAME
    #[command(after_help = "\
Examples: aemp pipe --listen backup --nodeid ruth > backup.tar
          tar c . | aemp pipe ruth backup")]
    Pipe(pipe::Options),
    /// Print the log lines of all nodes of the network until SIGINT or SIGTERM
    #[command(after_help = "Example: aemp logs 7")]
    Logs {
        /// The highest level; with nodes of generations 0 and 1 it is 1 errors, 2 warnings, 5 what
        /// may pass by itself, with those of generation 2 it is 4 errors, 5 warnings, 6 notes, with
        /// all 7 nodes that come and go, 8 debugging, 9 every step
        #[arg(default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=9))]
        level: u8,
    },
    /// Print the statistics of a node and its links, as JSON (nodes of this crate have them)
    #[command(after_help = "Example: aemp stats ruth")]
    Stats {
        /// The node's ID
        node: String,
    },
    /// Look for what is wrong with a set-up: the file, the settings, where the node would listen,
    /// and each seed step by step
    #[command(after_help = "\
Examples: aemp doctor
          aemp doctor seed binds 127.0.0.1:4040")]
    Doctor {
        /// As of `aemp run`: a profile's name, then settings as key and value
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "PROFILE | KEY VALUE",
            add = ArgValueCompleter::new(complete::word)
        )]
        arguments: Vec<String>,
    },
    /// Attack a running node, of any implementation, and say what does it harm
    #[command(after_help = "Example: aemp fuzz 127.0.0.1:4040 --secret geheim --seconds 60")]
    Fuzz(fuzz::Options),
    /// Say what captured conversations mean, message by message, and check them
    #[command(after_help = dump::HELP)]
    Dump(dump::Options),
    /// Pass on what nodes say to each other, and write it down for `aemp dump`
    #[command(after_help = record::HELP)]
    Record(record::Options),
    /// Pass on what nodes say to each other, and show it while it passes
    #[command(after_help = proxy::HELP)]
    Proxy(proxy::Options),
    /// Play the tutorial on 127.0.0.1 and check every step
    #[command(after_help = "Example: aemp demo")]
    Demo,
    /// Say more about a command, or about all
    #[command(after_help = "Example: aemp help setbinds")]
    Help {
        /// The command
        command: Option<String>,
    },
    /// Print a script that has a shell complete commands, keys, values and profiles
    #[command(after_help = "\
Examples: aemp completions bash > ~/.local/share/bash-completion/completions/aemp
          aemp completions zsh > ~/.zfunc/_aemp
          aemp completions fish > ~/.config/fish/completions/aemp.fish")]
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(after_help = "\
Examples: aemp manpage | man -l -
          aemp manpage > ~/.local/share/man/man1/aemp.1")]
    Manpage,
}

fn main() -> ExitCode {
    complete::answer_a_shell();
    let matches = match settings::of_process() {
        Ok(words) => definition::command().try_get_matches_from(words),
        Err(error) => return output::end(Err(error.into())),
    };
    let matches = match matches {
        Ok(matches) => matches,
        Err(said) => return output::end_with_clap(&said),
    };
    let options = output::Options::from_arg_matches(&matches);
    output::set(options.unwrap_or_default());
    if !has_screen(&matches) {
        aemp::log::init_from_env_to(output::log);
    }
    // Each link is an open file; what is allowed at first is often just a thousand.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    match matches.subcommand() {
        Some((name, rest)) if settings::table::find(name).is_some() => {
            let rest = rest.get_many::<String>(definition::ARGUMENTS);
            output::end(configure(name, rest.into_iter().flatten()))
        }
        _ => match Cli::from_arg_matches(&matches) {
            Ok(cli) => output::end(perform(cli.command)),
            Err(said) => output::end_with_clap(&said),
        },
    }
}

/// Whether lines of the log would be written over what is shown.
fn has_screen(matches: &clap::ArgMatches) -> bool {
    let options = match matches.subcommand() {
        Some(("top", options)) => top::Options::from_arg_matches(options),
        _ => return false,
    };
    let is_shown = options.is_ok_and(|options| options.has_screen());
    is_shown && std::io::stderr().is_terminal()
}

fn perform(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run {
            arguments,
            autorestart: false,
        } => block_on(run::run(arguments)),
        Command::Run { .. } => block_on(run::again::run()),
        Command::Exec {
            arguments,
            command,
            instances,
        } => block_on(exec::exec(arguments, command, instances)),
        Command::Restart { node } => block_on(client::restart(node)),
        Command::Snd { port, message } => block_on(client::snd(port, message)),
        Command::Cal { port, message } => block_on(client::cal(port, message)),
        Command::Mon { ports } => block_on(client::mon(ports)),
        Command::Eval { node, expression } => block_on(client::eval(node, expression.join(" "))),
        Command::Shell { node } => block_on(shell::shell(node)),
        Command::Trace(options) => block_on(trace::trace(options)),
        Command::Top(options) => block_on(top::top(options)),
        Command::Pipe(options) => block_on(pipe::pipe(options)),
        Command::Logs { level } => block_on(logs::logs(level)),
        Command::Stats { node } => block_on(client::stats(node)),
        Command::Doctor { arguments } => block_on(doctor::doctor(arguments)),
        Command::Fuzz(options) => fuzz::fuzz(options),
        Command::Dump(options) => dump::dump(options),
        Command::Record(options) => block_on(record::record(options)),
        Command::Proxy(options) => block_on(proxy::proxy(options)),
        Command::Demo => block_on(demo::demo()),
        Command::Help { command } => manual::help(command.as_deref()),
        Command::Completions { shell } => complete::print_script(shell),
        Command::Manpage => manual::print(),
    }
}

fn configure<'a>(name: &str, rest: impl Iterator<Item = &'a String>) -> Result<(), Failure> {
    let words: Vec<String> = [name.to_owned()].into_iter().chain(rest.cloned()).collect();
    let path = Environment::from_process().rc_path();
    // What was asked for is done, even if nobody can be shown the rest.
    let shown = RcFile::update(path, |rc| settings::run(&words, rc))?;
    Ok(output::print(&shown)?)
}

fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    let result = runtime.block_on(work);
    // Nothing that is left may hold the process up.
    runtime.shutdown_background();
    result
}
