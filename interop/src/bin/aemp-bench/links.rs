//! Links opened to a node, as fast as it takes them: the handshake of this crate without a node
//! behind it, so that the node at the other end is what is measured.

use std::time::Instant;

use aemp::proto::Handshake;
use aemp::proto::generation::Generations;
use aemp::proto::handshake::Local;
use aemp::{NodeId, Secret};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::child::SECRET;
use crate::failure::Failure;
use crate::node::say;

/// What is opened.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Where the node listens
    #[arg(long)]
    address: String,
    /// The greeting's version: 0 for 0.95 and 1.0, else 1
    #[arg(long, default_value_t = 1)]
    version: u32,
    /// How many links
    #[arg(long)]
    count: u64,
    /// How many at a time
    #[arg(long, default_value_t = 4)]
    at_once: u64,
}

/// Opens links, each under a node ID of its own, and closes each as soon as the other side has
/// proved itself.
pub async fn open(options: Options) -> Result<(), Failure> {
    let start = Instant::now();
    let mut all = tokio::task::JoinSet::new();
    for worker in 0..options.at_once {
        let count =
            options.count / options.at_once + u64::from(worker < options.count % options.at_once);
        let (address, version) = (options.address.clone(), options.version);
        all.spawn(async move {
            for n in 0..count {
                one(&address, version, &format!("link{worker}/{n}")).await?;
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(done) = all.join_next().await {
        done??;
    }
    say(&json!({"seconds": start.elapsed().as_secs_f64(), "count": options.count}));
    Ok(())
}

async fn one(address: &str, version: u32, id: &str) -> Result<(), Failure> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut local = Local::new(NodeId::new(id), Some(Secret::from(SECRET)));
    local.generations = Generations::Only(version);
    let nonce: [u8; aemp::proto::handshake::NONCE_LEN] =
        std::array::from_fn(|i| (i as u8).wrapping_mul(37));
    let mut handshake = Handshake::connect(std::sync::Arc::new(local), &nonce, address);
    let mut out = Vec::new();
    let mut input = [0; 4096];
    handshake.greet(&mut out);
    loop {
        if handshake.is_verified() {
            handshake.complete(&mut out);
            stream.write_all(&out).await?;
            return Ok(());
        }
        stream.write_all(&out).await?;
        out.clear();
        match stream.read(&mut input).await? {
            0 => return Err(format!("{id}: the node closed the connection").into()),
            read => drop(handshake.recv(&input[..read], &mut out)?),
        }
    }
}
