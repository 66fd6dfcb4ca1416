//! `aemp run`: a node and nothing else.

use std::time::Duration;

use aemp::config::Arguments;
use aemp::{Builder, Node};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use crate::Failure;
use crate::settings::{is_setting, read_node_arguments};

/// How long what there is to be done may take after the first signal to end.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) async fn run(arguments: Vec<String>) -> Result<(), Failure> {
    let words = with_bridge(read_node_arguments(&arguments)?);
    let arguments = Arguments::from_list(words)?;
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

/// The word `bridge` at the end stands for `bridge all`, unless it is the value of the setting
/// before it.
fn with_bridge(mut words: Vec<Value>) -> Vec<Value> {
    let text = |word: Option<&Value>| word.and_then(Value::as_str).unwrap_or_default().to_owned();
    if text(words.last()) != "bridge" {
        return words;
    }
    let before = words.len().checked_sub(2).and_then(|at| words.get(at));
    let before = text(before);
    let is_value = before != "bridge"
        && (is_setting(&before) || matches!(&*before, "profile" | "norc" | "force"));
    if !is_value {
        words.push("all".into());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::with_bridge;

    #[test]
    fn the_last_word_may_be_bridge() {
        for (line, wanted) in [
            ("bridge", "bridge all"),
            ("seed bridge", "seed bridge all"),
            ("seed binds * bridge", "seed binds * bridge all"),
            ("nodeid bridge bridge", "nodeid bridge bridge all"),
            ("nodeid bridge", "nodeid bridge"),
            ("seed nodeid bridge", "seed nodeid bridge"),
            ("profile bridge", "profile bridge"),
            ("bridge 0,1", "bridge 0,1"),
            ("", ""),
        ] {
            let words = line.split(' ').filter(|word| !word.is_empty());
            let read = with_bridge(words.map(Into::into).collect());
            let read: Vec<&str> = read.iter().filter_map(|word| word.as_str()).collect();
            assert_eq!(read.join(" "), wanted);
        }
    }
}
