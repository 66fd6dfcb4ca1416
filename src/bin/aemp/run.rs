//! `aemp run`: a node and nothing else.

use aemp::Node;
use aemp::config::Arguments;
use tokio::signal::unix::{SignalKind, signal};

use crate::Failure;
use crate::settings::read_arguments;

pub(crate) async fn run(arguments: Vec<String>) -> Result<(), Failure> {
    let arguments = Arguments::from_list(read_arguments(&arguments)?)?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let node = Node::builder().arguments(arguments).start().await?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    node.shutdown().await;
    Ok(())
}
