//! `aemp-bench`: how fast nodes of this crate are, beside real Perl nodes and beside what the machine can do at all.
//!
//! Every measurement is made between processes that speak the same lines of JSON with this program ([`child`]): Rust
//! nodes ([`node`]), the same work without a node ([`bare`]), and real Perl nodes (`interop/perl/bench.pl`).

mod bare;
mod child;
mod figures;
mod links;
mod mesh;
mod message;
mod node;
mod pauses;
mod plan;
mod stats;
mod summary;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Measures Rust nodes beside Perl nodes and beside bare loops, and prints one table.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What is to be measured, and how long.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Fewer messages and rounds: about two minutes
    #[arg(long)]
    quick: bool,
    /// Only figures whose name contains this; may be repeated
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// How often each figure is taken; the median counts [default: 5, quick: 3]
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Write the results to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Folder of AnyEvent::MP releases [default: $AEMP_PERL_PEERS, else ~/aemp-peers]
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
    /// Releases to measure, separated by commas, "all", or "none" [default: all, quick: 1.30]
    #[arg(long, value_name = "LIST")]
    releases: Option<String>,
    /// Name the figures and measure nothing
    #[arg(long)]
    list: bool,
}

/// Other things to do; those that are not shown are processes of a measurement.
#[derive(Debug, Subcommand)]
enum Role {
    /// Print several runs as one table, the medians of each figure, in Markdown
    Summary {
        /// What `--json` wrote
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// A Rust node that listens
    #[command(hide = true)]
    Server(node::ServerOptions),
    /// Rust nodes that connect to it
    #[command(hide = true)]
    Client(node::ClientOptions),
    /// The work of the server without a node
    #[command(hide = true)]
    BareServer(bare::ServerOptions),
    /// The work of the client without a node
    #[command(hide = true)]
    BareClient(bare::ClientOptions),
    /// Opens links to a node, one after the other
    #[command(hide = true)]
    Links(links::Options),
    /// One node of a mesh
    #[command(hide = true)]
    Mesh(mesh::Options),
    /// Counts how often the processor is taken away
    #[command(hide = true)]
    Pauses(pauses::Options),
    /// A node with many ports
    #[command(hide = true)]
    Ports(node::PortsOptions),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.role {
        None => plan::run(&cli.options),
        Some(Role::Summary { files }) => summary::print(&files),
        Some(role) => play(role),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("aemp-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What goes wrong ends the program, with a line that says what.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs it as a task, as programs do their work: what wakes the future of `block_on` itself has the runtime ask
/// the system once more.
async fn task(
    work: impl Future<Output = Result<(), Failure>> + Send + 'static,
) -> Result<(), Failure> {
    tokio::spawn(work).await?
}

/// One thread for a node: the two processes of a measurement share a small machine.
fn play(role: Role) -> Result<(), Failure> {
    let threads = match &role {
        Role::Client(options) => options.threads,
        _ => 1,
    };
    let mut runtime = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime.enable_all();
    if threads > 1 {
        runtime.worker_threads(threads);
    }
    let runtime = runtime.build()?;
    let result = runtime.block_on(async move {
        match role {
            Role::Server(options) => node::serve(options).await,
            Role::Client(options) => task(node::drive(options)).await,
            Role::BareServer(options) => bare::serve(options).await,
            Role::BareClient(options) => task(bare::drive(options)).await,
            Role::Links(options) => links::open(options).await,
            Role::Mesh(options) => mesh::join(options).await,
            Role::Ports(options) => node::many_ports(options).await,
            Role::Pauses(options) => pauses::count(&options),
            Role::Summary { files } => summary::print(&files),
        }
    });
    // Standard input may still be read by a thread of the runtime.
    runtime.shutdown_background();
    result
}
