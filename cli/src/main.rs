//! The command `aemp`: runs nodes, talks to nodes, edits the configuration shared with Perl.

// These macros panic when the text can't be written: `output` writes all there is to write.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod cert;
mod client;
mod demo;
mod exec;
mod fuzz;
mod output;
mod perl;
mod program;
mod run;
mod settings;

use std::process::ExitCode;

use aemp::config::{Environment, RcFile};
use clap::{CommandFactory as _, Parser, Subcommand};

/// What a subcommand fails with: the text goes to standard error, the exit status is 1. But see
/// [`output::end`] for a failure to write the output.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

const SETTINGS_HELP: &str = "\
Configuration (kept in $PERL_ANYEVENT_MP_RC, else ~/.perl-anyevent-mp, shared with Perl's aemp). These
can be given one after the other in one command line, and change the global values or, behind
`profile NAME`, those of a profile:
  gensecret, setsecret TEXT, delsecret        the secret that all nodes of a network share
  setnodeid ID, delnodeid                     the node's ID; %n: name of the host, %u or / at the end: random
  setbinds LIST, delbinds, addbind B, delbind B      where to listen: host:port, * for all or any
  setseeds LIST, delseeds, addseed S, delseed S      where to find the network
  setservices LIST, delservices, addservice S, delservice S      functions, programs: see aemp run --help
  setservices_path LIST, delservices_path     folders with programs that are services
  setoptional_services 0|1, deloptional_services     1: goes on without services that do not start
  gencert, setcert FILE, delcert              key and certificates that all nodes of a network share:
                                              links go through TLS; a running node takes a new one
                                              when it is sent SIGHUP
  showcert [FILE]                             whose the certificates are, until when, fingerprints
  setrequire_tls 0|1, delrequire_tls          1: nodes without TLS are refused
  profile NAME, delprofile NAME, setparent NAME, delparent
  showprofile NAME, showconfig [NAME [KEY VALUE..]]
  setsecure 0|1, delsecure                    1: other nodes can have nothing run here
  setallow LIST, addallow RULE, delallow RULE        what other nodes may do here, and
  setdeny LIST, adddeny RULE, deldeny RULE           what they may not: `WHO ACTION [NAME]`, see README;
                                              ACTION: spawn call eval send kill monitor relay set mesh
  set.. and del.. of: monitor_timeout connect_interval framing_format auth_offer auth_accept
                      autocork nodelay generation
                      bridge (all, or a list as 0,1: the generations that the node is a bridge between)
The `set` may be left out: `aemp profile seed nodeid anon/ binds '*:4040'`.

Arguments that begin with [, { or \" are JSON.";

/// Message passing in the manner of AnyEvent::MP.
#[derive(Parser)]
#[command(name = "aemp", version, after_help = SETTINGS_HELP, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a node until SIGINT or SIGTERM: aemp run [PROFILE] [KEY VALUE..] [bridge]
    #[command(after_help = run::HELP)]
    Run {
        /// Start it again when it crashes, after a second at first, then later and later
        #[arg(long)]
        autorestart: bool,
        /// A profile's name, then settings as key and value; `bridge` at the end: joins the
        /// generations
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "PROFILE | KEY VALUE"
        )]
        arguments: Vec<String>,
    },
    /// Run a node and a program, whose port is printed: aemp exec [PROFILE] [KEY VALUE..] -- CMD
    #[command(after_help = exec::HELP)]
    Exec {
        /// A profile's name, then settings as key and value, as for `run`
        #[arg(value_name = "PROFILE | KEY VALUE")]
        arguments: Vec<String>,
        /// The program and its arguments
        #[arg(last = true, required = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Have a node that was started by `aemp run` start again
    Restart {
        /// The node's ID
        node: String,
    },
    /// Send a message to a port; succeeds when the port's node has taken it
    Snd {
        /// The port's ID
        port: String,
        /// The message
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        message: Vec<String>,
    },
    /// Send a message with a reply port behind it and print the reply as JSON
    Cal {
        /// The port's ID
        port: String,
        /// The message
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        message: Vec<String>,
    },
    /// Wait until a port dies and print the reason
    Mon {
        /// The port's ID, or a node's
        port: String,
    },
    /// Have a node evaluate an expression, in its own language, and print the results as JSON
    Eval {
        /// The node's ID
        node: String,
        /// The expression
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        expression: Vec<String>,
    },
    /// Print a node and the nodes connected to it, and so on for each of them
    Trace {
        /// The ID of the first node
        node: String,
    },
    /// Print the statistics of a node and its links, as JSON (nodes of this crate have them)
    Stats {
        /// The node's ID
        node: String,
    },
    /// Make a random secret and keep it in the configuration
    Gensecret {
        /// More configuration commands
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
        more: Vec<String>,
    },
    /// Keep a secret in the configuration
    Setsecret {
        /// The secret, then maybe more configuration commands
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        secret: Vec<String>,
    },
    /// Attack a running node, of any implementation, and say what does it harm
    Fuzz(fuzz::Options),
    /// Play the tutorial on 127.0.0.1 and check every step
    Demo,
    /// Print a completion script for a shell
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
    #[command(external_subcommand)]
    Settings(Vec<String>),
}

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => {
            aemp::log::init_from_env();
            // Each link is an open file; what is allowed at first is often just a thousand.
            let _ = rlimit::increase_nofile_limit(u64::MAX);
            output::end(perform(cli.command))
        }
        Err(said) => output::end_with_clap(&said),
    }
}

fn perform(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run {
            arguments,
            autorestart: false,
        } => block_on(run::run(arguments)),
        Command::Run { .. } => block_on(run::again::run()),
        Command::Exec { arguments, command } => block_on(exec::exec(arguments, command)),
        Command::Restart { node } => block_on(client::restart(node)),
        Command::Snd { port, message } => block_on(client::snd(port, message)),
        Command::Cal { port, message } => block_on(client::cal(port, message)),
        Command::Mon { port } => block_on(client::mon(port)),
        Command::Eval { node, expression } => block_on(client::eval(node, expression.join(" "))),
        Command::Trace { node } => block_on(client::trace(node)),
        Command::Stats { node } => block_on(client::stats(node)),
        Command::Fuzz(options) => fuzz::fuzz(options),
        Command::Demo => block_on(demo::demo()),
        Command::Gensecret { more } => configure("gensecret", more),
        Command::Setsecret { secret } => configure("setsecret", secret),
        Command::Completions { shell } => {
            // clap_complete panics when what it writes to fails, and memory does not.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "aemp", &mut script);
            Ok(output::print(&String::from_utf8(script)?)?)
        }
        Command::Settings(arguments) => match arguments.split_first() {
            Some((name, rest)) if settings::is_settings_command(name) => {
                configure(name, rest.to_vec())
            }
            _ => {
                let name = arguments.first().map_or("", String::as_str);
                Err(format!("{name}: no such command (see aemp --help)").into())
            }
        },
    }
}

fn configure(command: &str, mut arguments: Vec<String>) -> Result<(), Failure> {
    arguments.insert(0, command.to_owned());
    let mut rc = RcFile::load(Environment::from_process().rc_path())?;
    let shown = settings::run(&arguments, &mut rc)?;
    // What was asked for is done, even if nobody can be shown the rest.
    rc.save()?;
    Ok(output::print(&shown)?)
}

fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    let result = runtime.block_on(work);
    // Nothing that is left may hold the process up.
    runtime.shutdown_background();
    result
}
