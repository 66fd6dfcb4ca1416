//! A large message.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use aemp::{Context, Node, PortId, Receive};
use serde_json::{Value, json};

use super::millis;
use super::nodes::up;
use crate::child::{Child, SECRET, Who, number};
use crate::failure::Failure;
use crate::node::{commands, say};

const MB: usize = 1_000_000;

/// The most memory that this process has had at a time, in octets.
fn peak() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    let kib: f64 = kib.ok_or("no VmHWM")?.parse()?;
    Ok(kib * 1024.0)
}

/// How long it takes to another process, and the most memory that either has for it, as a multiple
/// of the message: the sender's own text counts as well.
pub async fn measure(size: usize) -> Result<Value, Failure> {
    let own = Who::own()?;
    let arguments = ["--row", "large-receiver", "--size", "0"].map(str::to_owned);
    let mut receiver = own.start("scale-row", &arguments)?;
    let ready = receiver.line()?;
    let address = ready["address"].as_str().ok_or("no address")?;
    let port = PortId::new(ready["port"].as_str().ok_or("no port")?);
    let node = Node::builder()
        .no_rc()
        .nodeid("sender")
        .secret(SECRET)
        .binds(Vec::<String>::new())
        .seeds([address])
        .start()
        .await?;
    up(&node, 1).await?;
    // Both have sent something before.
    let (_,): (usize,) = node.cal(&port, &("size", "x"), None).await?;
    let (before, before_there) = (peak()?, peak_of(&mut receiver)?);
    // The framing and the other elements are to fit as well: the bound is that of the whole.
    let text = "x".repeat(size * MB);
    let start = Instant::now();
    node.snd_wait(&port, &("text", &text)).await?;
    let (length,): (usize,) = node.cal(&port, &("size", ""), None).await?;
    let took = millis(start);
    if length != text.len() {
        return Err(format!("{length} octets came in place of {}", text.len()).into());
    }
    let of = |octets: f64| octets / text.len() as f64;
    Ok(json!({
        "ms": took,
        "sender": of(peak()? - before),
        "receiver": of(peak_of(&mut receiver)? - before_there),
    }))
}

fn peak_of(receiver: &mut Child) -> Result<f64, Failure> {
    number(&receiver.ask(&json!({}))?, "peak")
}

/// Remembers how long the last text was.
struct Length(Arc<AtomicUsize>);

impl Receive for Length {
    type Args<'a> = (&'a str,);
    type Outcome = ();

    fn receive(&mut self, _: &Context, (text,): (&str,)) {
        self.0.store(text.len(), Ordering::Relaxed);
    }
}

/// The receiver: says how much memory it has had whenever it is asked.
pub async fn receive(_: usize) -> Result<(), Failure> {
    let node = Node::builder()
        .no_rc()
        .nodeid("receiver")
        .secret(SECRET)
        .binds(["127.0.0.1:0"])
        .start()
        .await?;
    let (port, length) = (node.port(), Arc::new(AtomicUsize::new(0)));
    port.rcv_with("text", Length(length.clone()));
    port.rcv("size", move |cx, (_, reply): (String, PortId)| {
        cx.snd(&reply, &(length.load(Ordering::Relaxed),))
    });
    say(&json!({"address": node.listeners()[0], "port": port.id()}));
    let mut input = commands();
    while input.recv().await.is_some() {
        say(&json!({"peak": peak()?}));
    }
    Ok(())
}
