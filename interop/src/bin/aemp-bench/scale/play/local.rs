//! Messages within a node, beside tokio's channel.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use aemp::{ByValue, Node};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::yield_now;

use crate::failure::Failure;
use crate::message::{HASH, Known, text};
use crate::sink::Sink;

/// In turns, so that what else the machine does hits all alike.
const TURNS: usize = 10;

/// The usual message, to a port that borrows its arguments, and as a value to a channel of tokio's
/// with a task that takes it out.
pub async fn measure(count: usize) -> Result<Value, Failure> {
    let each = count / TURNS;
    let node = Node::local();
    let (mut general, mut typed, mut channel) = (0.0, 0.0, 0.0);
    for _ in 0..TURNS {
        general += to_a_port(&node, each).await?;
        typed += to_a_typed_port(&node, each).await?;
        channel += to_a_channel(each).await?;
    }
    let rate = |seconds: f64| (each * TURNS) as f64 / seconds;
    Ok(json!({
        "general": rate(general),
        "mpsc": rate(channel),
        "general_of_mpsc": channel / general,
        "typed": rate(typed),
        "typed_of_mpsc": channel / typed,
    }))
}

async fn to_a_port(node: &Node, count: usize) -> Result<f64, Failure> {
    let (port, taken) = (node.port(), Arc::new(AtomicU64::new(0)));
    port.rcv_with("m", Sink(taken.clone()));
    let text = text(0);
    let start = Instant::now();
    for n in 0..count as u64 {
        node.snd_wait(&port, &("m", n, &text, HASH)).await?;
    }
    while taken.load(Ordering::Relaxed) < count as u64 {
        yield_now().await;
    }
    let seconds = start.elapsed().as_secs_f64();
    port.kil(aemp::Reason::normal());
    Ok(seconds)
}

impl ByValue for Known {}

/// The very values that go to the channel.
async fn to_a_typed_port(node: &Node, count: usize) -> Result<f64, Failure> {
    let taken = Arc::new(AtomicU64::new(0));
    let seen = taken.clone();
    let port = node.serve(move |_, known: Known| {
        black_box(known);
        seen.fetch_add(1, Ordering::Relaxed);
    });
    let text = text(0);
    let start = Instant::now();
    for n in 0..count as u64 {
        let message = Known::Numbered(n, text.clone(), HASH);
        node.snd_value_wait(&port, message).await?;
    }
    while taken.load(Ordering::Relaxed) < count as u64 {
        yield_now().await;
    }
    let seconds = start.elapsed().as_secs_f64();
    node.kil(&port, aemp::Reason::normal());
    Ok(seconds)
}

async fn to_a_channel(count: usize) -> Result<f64, Failure> {
    /// About as many as wait in a port before its senders do.
    const ROOM: usize = 1024;
    let (tell, mut told) = mpsc::channel::<Known>(ROOM);
    let taking = tokio::spawn(async move {
        while let Some(known) = told.recv().await {
            black_box(known);
        }
    });
    let text = text(0);
    let start = Instant::now();
    for n in 0..count as u64 {
        let message = Known::Numbered(n, text.clone(), HASH);
        tell.send(message).await?;
    }
    drop(tell);
    taking.await?;
    Ok(start.elapsed().as_secs_f64())
}
