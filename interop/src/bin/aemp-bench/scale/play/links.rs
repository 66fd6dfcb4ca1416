//! Many links at one node.

use std::sync::Arc;
use std::time::Instant;

use aemp::proto::Handshake;
use aemp::proto::generation::Generations;
use aemp::proto::handshake::{Local, NONCE_LEN};
use aemp::{Node, NodeId, Secret};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::nodes::up;
use super::{Options, millis};
use crate::child::{SECRET, Who};
use crate::failure::Failure;
use crate::node::{commands, say};
use crate::stats::{processor_seconds, resident};

/// The port of each that the message is for, and which nobody needs to have.
const PORT: &str = "news";

/// What a node needs for its links: to accept each of them, and to keep it; and how long a message
/// to each takes until the last one has it. The others are a process that knows the handshake and
/// nothing else.
pub async fn measure(count: usize, generation: u32) -> Result<Value, Failure> {
    let node = Node::builder()
        .no_rc()
        .nodeid("server")
        .secret(SECRET)
        .generation(Generations::Only(generation))
        .set("max_nodes", 2 * count)
        .binds(["127.0.0.1:0"])
        .start()
        .await?;
    let address = node.listeners()[0].clone();
    let arguments = ["--row", "links-open", "--address", &address, "--size"].map(str::to_owned);
    let size = (count as u64 * 10 + u64::from(generation)).to_string();
    let arguments: Vec<String> = arguments.into_iter().chain([size]).collect();
    let (before, spent) = (resident(), processor_seconds(std::process::id()));
    let mut others = Who::own()?.start("scale-row", &arguments)?;
    let (mut others, _) = tokio::try_join!(
        async {
            let opened = tokio::task::spawn_blocking(move || {
                let opened = others.line_within(super::super::LIMIT);
                opened.map(|_| others)
            });
            opened.await?
        },
        up(&node, count)
    )?;
    let spent = processor_seconds(std::process::id()) - spent;
    let octets = resident().saturating_sub(before) as f64 / count as f64;
    let start = Instant::now();
    others.tell("{}")?;
    for other in 0..count {
        let port = NodeId::new(id(other)).port(PORT);
        node.snd(&port, &("m", 7))?;
        if other % 1000 == 999 {
            tokio::task::yield_now().await;
        }
    }
    tokio::task::spawn_blocking(move || others.line()).await??;
    Ok(json!({
        "accept_us": spent * 1e6 / count as f64,
        "octets": octets,
        "message_ms": millis(start),
    }))
}

fn id(n: usize) -> String {
    format!("link{n}")
}

/// Opens links and keeps them. After a word, waits for a message on each. The last digit of the
/// size is the generation.
pub async fn open(options: &Options, size: usize) -> Result<(), Failure> {
    const AT_ONCE: usize = 16;
    let (count, version) = (size / 10, (size % 10) as u32);
    let address = options.address.clone().ok_or("no address")?;
    // What the node says of others is read as it comes, so that it has to keep none of it.
    let mut reading = JoinSet::new();
    for first in (0..count).step_by(AT_ONCE) {
        let mut some = JoinSet::new();
        for n in first..(first + AT_ONCE).min(count) {
            let address = address.clone();
            some.spawn(async move { link(&address, version, &id(n)).await });
        }
        while let Some(stream) = some.join_next().await {
            reading.spawn(has_message(stream??));
        }
    }
    say(&json!({"open": reading.len()}));
    let mut input = commands();
    let _go = input.recv().await;
    while let Some(done) = reading.join_next().await {
        done??;
    }
    say(&json!({"had": count}));
    Ok(())
}

/// Opens a link.
async fn link(address: &str, version: u32, id: &str) -> Result<TcpStream, Failure> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut local = Local::new(NodeId::new(id), Some(Secret::from(SECRET)));
    local.generations = Generations::Only(version);
    let nonce: [u8; NONCE_LEN] = std::array::from_fn(|i| (i as u8).wrapping_mul(37));
    let mut handshake = Handshake::connect(Arc::new(local), &nonce, address);
    let (mut out, mut input) = (Vec::new(), [0; 4096]);
    handshake.greet(&mut out);
    while !handshake.is_verified() {
        stream.write_all(&out).await?;
        out.clear();
        match stream.read(&mut input).await? {
            0 => return Err(format!("{id}: the node closed the connection").into()),
            read => drop(handshake.recv(&input[..read], &mut out)?),
        }
    }
    handshake.complete(&mut out);
    stream.write_all(&out).await?;
    Ok(stream)
}

/// Reads until the message has come, behind what the node says besides.
async fn has_message(mut stream: TcpStream) -> Result<TcpStream, Failure> {
    // The end of what was read before, which may be the beginning of the port, and what is new.
    let mut input = Vec::with_capacity(4096);
    while stream.read_buf(&mut input).await? > 0 {
        let mut parts = input.windows(PORT.len());
        if parts.any(|part| part == PORT.as_bytes()) {
            return Ok(stream);
        }
        let kept = input.len().min(PORT.len() - 1);
        input.drain(..input.len() - kept);
    }
    Err("the node closed a link".into())
}
