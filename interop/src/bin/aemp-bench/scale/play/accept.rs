//! What it costs to accept a connection: a link, one through TLS, and TLS alone.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::Options;
use crate::bare::Transport;
use crate::certificate;
use crate::child::{Setup, Who, number};
use crate::failure::Failure;
use crate::node::say;
use crate::stats::processor_seconds;

/// The processor time of who accepts, in µs for each.
pub fn measure(count: usize) -> Result<Value, Failure> {
    let cert = certificate::generate()?;
    let plain = node(count, None)?;
    let tls = node(count, Some(cert))?;
    let bare = bare(count, cert)?;
    Ok(json!({"plain": plain, "tls": tls, "bare": bare, "of_bare": tls / bare}))
}

/// Links that as many nodes of another process open.
fn node(count: usize, cert: Option<&'static str>) -> Result<f64, Failure> {
    let who = Who::own()?;
    let reserved = aemp_interop::reserved::Reserved::new()?;
    let setup = Setup {
        links: count,
        cert,
        ..Setup::default()
    };
    let mut server = who.start("server", &setup.listen(&who, reserved.address().port()))?;
    let ready = server.line()?;
    let address = ready["address"].as_str().ok_or("no address")?;
    let spent = processor_seconds(server.id());
    let mut clients = who.start("client", &setup.connect(&who, address))?;
    clients.tell(&json!({"do": "connected"}).to_string())?;
    clients.line_within(super::super::LIMIT)?;
    let spent = processor_seconds(server.id()) - spent;
    Ok(spent * 1e6 / count as f64)
}

fn bare(count: usize, cert: &str) -> Result<f64, Failure> {
    let who = Who::own()?;
    let play = |row: &str, more: &[&str]| {
        let arguments = ["--row", row, "--cert", cert].into_iter();
        let arguments = arguments.chain(more.iter().copied()).map(str::to_owned);
        who.start("scale-row", &arguments.collect::<Vec<_>>())
    };
    let mut server = play("accept-bare", &["--size", "0"])?;
    let ready = server.line()?;
    let address = ready["address"].as_str().ok_or("no address")?;
    let spent = processor_seconds(server.id());
    let size = count.to_string();
    let mut opener = play("accept-open", &["--size", &size, "--address", address])?;
    let opened = number(&opener.line_within(super::super::LIMIT)?, "open")?;
    let spent = processor_seconds(server.id()) - spent;
    Ok(spent * 1e6 / opened)
}

/// Accepts TLS without end, and keeps each connection until it is closed.
pub async fn serve_bare(options: &Options) -> Result<(), Failure> {
    let transport = Transport::new(options.cert.as_deref())?;
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    say(&json!({"address": listener.local_addr()?.to_string()}));
    loop {
        let (stream, _) = listener.accept().await?;
        let transport = transport.clone();
        tokio::spawn(async move {
            if let Ok(mut stream) = transport.accept(stream).await {
                let _ = stream.read(&mut [0; 64]).await;
            }
        });
    }
}

/// Opens connections, each of a client of its own, so that no session is taken up again: nodes that
/// have met for the first time have none.
pub async fn open_bare(options: &Options, count: usize) -> Result<(), Failure> {
    const AT_ONCE: usize = 8;
    let address = options.address.clone().ok_or("no address")?;
    let mut streams = Vec::with_capacity(count);
    for first in (0..count).step_by(AT_ONCE) {
        let mut some = JoinSet::new();
        for _ in first..(first + AT_ONCE).min(count) {
            let (address, cert) = (address.clone(), options.cert.clone());
            some.spawn(async move { Transport::new(cert.as_deref())?.connect(&address).await });
        }
        while let Some(stream) = some.join_next().await {
            streams.push(stream??);
        }
    }
    say(&json!({"open": streams.len()}));
    Ok(())
}
