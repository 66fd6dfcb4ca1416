//! `aemp run`: a node and nothing else.

use std::time::Duration;

use aemp::config::Arguments;
use aemp::{Builder, Node};
use tokio::signal::unix::{SignalKind, signal};

use crate::settings::read_node_arguments;
use crate::{Failure, node_arguments};

/// How long what there is to be done may take after the first signal to end.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) async fn run(arguments: Vec<String>) -> Result<(), Failure> {
    let words = node_arguments::of_node(read_node_arguments(&arguments)?);
    let arguments = Arguments::from_list(words)?;
    node_arguments::check_profile(&arguments)?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let builder = Node::builder().arguments(arguments);
    let node = builder.clone().start().await?;
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hangup.recv() => {
                if let Err(failure) = reload(&node, &builder) {
                    tracing::error!(target: "aemp", "SIGHUP: {failure}; the old certificate stays");
                }
            }
        }
    }
    tracing::info!(
        target: "aemp",
        level = 7_u8,
        "ending within {PATIENCE:?}; a second signal ends it at once"
    );
    let ended = tokio::select! {
        ended = node.shutdown_within(PATIENCE) => ended,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    if let Err(left) = ended {
        tracing::warn!(target: "aemp", level = 2_u8, "{left}");
    }
    // Does nothing but wait if it has ended already.
    node.shutdown().await;
    Ok(())
}

/// Uses the certificate that is configured by now.
fn reload(node: &Node, builder: &Builder) -> Result<(), Failure> {
    let config = builder.config()?;
    let cert = config
        .cert
        .ok_or("there is no cert in the configuration any more")?;
    Ok(node.reload_cert(&cert)?)
}
