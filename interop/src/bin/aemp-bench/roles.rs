//! The processes of a measurement: what the program is when it was started as a child of another
//! one.
//!
//! That one may be of another build (see [`crate::pair`]). So the names of roles and arguments, the
//! commands and the answers are a protocol between builds: something new may be added, and what is
//! there keeps its name and its meaning.

use clap::Subcommand;

use crate::failure::Failure;
use crate::{bare, links, mesh, node, pauses, scale};

/// What a child does. None is shown in the help.
#[derive(Debug, Subcommand)]
pub enum Role {
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
    /// A measurement of how cost grows
    #[command(hide = true)]
    ScaleRow(scale::play::Options),
}

/// Runs it as a task, as programs do their work: what wakes the future of `block_on` itself has the
/// runtime ask the system once more.
async fn task(
    work: impl Future<Output = Result<(), Failure>> + Send + 'static,
) -> Result<(), Failure> {
    tokio::spawn(work).await?
}

/// Plays the role. One thread for a node: the two processes of a measurement share a small machine.
pub fn play(role: Role) -> Result<(), Failure> {
    let threads = match &role {
        Role::Client(options) => options.threads,
        Role::ScaleRow(options) => options.threads(),
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
            Role::ScaleRow(options) => task(scale::play::play(options)).await,
            Role::Pauses(options) => pauses::count(&options),
        }
    });
    // Standard input may still be read by a thread of the runtime.
    runtime.shutdown_background();
    result
}
