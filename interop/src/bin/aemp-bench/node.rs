//! Rust nodes that are measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aemp::{Builder, Mailbox, Node, PortId, Reason};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

use crate::child::SECRET;
use crate::failure::Failure;
use crate::message::{HASH, Hash, Known, text};
use crate::sink::Sink;
use crate::stats::{Times, resident};

/// A listening node.
#[derive(Debug, clap::Args)]
pub struct ServerOptions {
    /// Its ID
    #[arg(long, default_value = "server")]
    nodeid: String,
    /// Where it listens, on 127.0.0.1
    #[arg(long)]
    port: u16,
    /// How many ports take messages
    #[arg(long, default_value_t = 1)]
    ports: usize,
    /// The framing of its links
    #[arg(long, default_value = "json")]
    framing: String,
    /// A key and certificates in PEM: links go through TLS
    #[arg(long, value_name = "PEM", allow_hyphen_values = true)]
    cert: Option<String>,
}

/// Connecting nodes.
#[derive(Debug, clap::Args)]
pub struct ClientOptions {
    /// Where the listening node is
    #[arg(long)]
    seed: Option<String>,
    /// How many nodes connect
    #[arg(long, default_value_t = 1)]
    links: usize,
    /// What their IDs begin with
    #[arg(long, default_value = "client")]
    prefix: String,
    /// Threads of the runtime
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// The framing of their links
    #[arg(long, default_value = "json")]
    framing: String,
    /// A key and certificates in PEM: links go through TLS
    #[arg(long, value_name = "PEM", allow_hyphen_values = true)]
    cert: Option<String>,
}

/// A node with many ports.
#[derive(Debug, clap::Args)]
pub struct PortsOptions {
    /// How many
    #[arg(long)]
    count: usize,
    /// Each with a handler for a tag
    #[arg(long)]
    handler: bool,
}

/// Prints an answer.
pub fn say(value: &Value) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{value}").and_then(|()| out.flush());
}

/// The lines of standard input, read by a thread of their own.
pub fn commands() -> mpsc::UnboundedReceiver<Value> {
    let (tell, told) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if tell
                .send(serde_json::from_str(&line).unwrap_or_default())
                .is_err()
            {
                break;
            }
        }
    });
    told
}

/// Listens until standard input ends.
pub async fn serve(options: ServerOptions) -> Result<(), Failure> {
    let node = Node::builder()
        .no_rc()
        .nodeid(options.nodeid)
        .secret(SECRET)
        .binds([format!("127.0.0.1:{}", options.port)])
        .set("framing_format", options.framing);
    let node = with(node, options.cert.as_deref()).start().await?;
    let count = Arc::new(AtomicU64::new(0));
    let sinks: Vec<_> = (0..options.ports).map(|_| sink(&node, &count)).collect();
    let echo = node.port();
    echo.rcv("e", |cx, (reply, value): (PortId, u64)| {
        cx.snd(&reply, &("r", value))
    });
    echo.rcv("c", |cx, (value, reply): (u64, PortId)| {
        cx.snd(&reply, &(value,))
    });
    let counter = count.clone();
    let control = node.port();
    control.rcv("count", move |cx, (reply,): (PortId,)| {
        cx.snd(&reply, &("counted", counter.load(Ordering::Relaxed)))
    });
    control.rcv(
        "ports",
        |cx, (reply, count): (PortId, usize)| -> Result<(), aemp::SendError> {
            let ports: Vec<PortId> = (0..count).map(|_| idle(cx.node()).id().clone()).collect();
            for some in ports.chunks(500) {
                let words = std::iter::once("ports").chain(some.iter().map(PortId::as_str));
                cx.snd(&reply, &words.collect::<Vec<_>>())?;
            }
            cx.snd(&reply, &("portsend",))
        },
    );
    control.rcv("memory", |cx, (reply,): (PortId,)| {
        cx.snd(&reply, &("memory", resident()))
    });
    let slow = slow(&node);
    let forms = forms(&node, &count);
    crate::data::serve(&node);
    say(&json!({
        "ready": true,
        "node": node.id(),
        "slow": slow.id(),
        "forms": forms,
        "data": true,
        "address": node.listeners()[0],
        "sink": sinks,
        "echo": echo.id(),
        "control": control.id(),
    }));
    let mut input = commands();
    while input.recv().await.is_some() {}
    Ok(())
}

/// With this certificate, if there is one.
fn with(node: Builder, cert: Option<&str>) -> Builder {
    match cert {
        Some(pem) => node.cert(pem),
        None => node,
    }
}

fn sink(node: &Node, count: &Arc<AtomicU64>) -> PortId {
    let port = node.port();
    port.rcv_with("m", Sink(count.clone()));
    let count = count.clone();
    port.rcv("n", move |_, (n,): (u64,)| {
        std::hint::black_box(n);
        count.fetch_add(1, Ordering::Relaxed);
    });
    port.id().clone()
}

/// Two ports that take the same messages, as tuples and as an enum.
fn forms(node: &Node, count: &Arc<AtomicU64>) -> [PortId; 2] {
    let (tuples, seen) = (node.port(), count.clone());
    tuples.rcv("m", move |_, args: (u64, String, Hash)| {
        std::hint::black_box(args);
        seen.fetch_add(1, Ordering::Relaxed);
    });
    let seen = count.clone();
    let enums = node.serve(move |_, known: Known| {
        std::hint::black_box(known);
        seen.fetch_add(1, Ordering::Relaxed);
    });
    [tuples.id().clone(), enums.id().clone()]
}

/// A port that takes no more than 256 messages in a millisecond, and says how many it has had.
fn slow(node: &Node) -> aemp::Port {
    let port = node.port();
    let mut count = 0_u64;
    port.rcv_async("m", move |_, (n, _): (u64, String)| {
        let (expected, stops) = (count, count % 256 == 255);
        count += 1;
        async move {
            if stops {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            match n == expected {
                true => Ok(()),
                false => Err(format!("{n} came in place of {expected}")),
            }
        }
    });
    port.rcv("count", |cx, (reply,): (PortId,)| {
        cx.snd(&reply, &("counted",))
    });
    port
}

fn idle(node: &Node) -> aemp::Port {
    let port = node.port();
    port.rcv("x", |_, (): ()| {});
    port
}

/// Carries out commands.
pub async fn drive(options: ClientOptions) -> Result<(), Failure> {
    let mut nodes = Vec::new();
    for n in 0..options.links {
        let node = Node::builder()
            .no_rc()
            .nodeid(format!("{}{n}", options.prefix))
            .secret(SECRET)
            .set("framing_format", options.framing.as_str());
        let node = node.binds(Vec::<String>::new()).seeds(options.seed.clone());
        nodes.push(with(node, options.cert.as_deref()).start().await?);
    }
    let mut lines = commands();
    while let Some(command) = lines.recv().await {
        let answer = carry_out(&nodes, &command).await;
        say(&answer.unwrap_or_else(|error| json!({"error": error.to_string()})));
    }
    Ok(())
}

async fn carry_out(nodes: &[Node], command: &Value) -> Result<Value, Failure> {
    match command["do"].as_str().unwrap_or_default() {
        "connected" => connected(nodes).await,
        "oneway" => oneway(nodes, command).await,
        "forms" => tuples_and_enums(&nodes[0], command).await,
        "slow" => beside_a_slow_port(&nodes[0], command).await,
        "roundtrip" => roundtrip(&nodes[0], command).await,
        "loaded" => loaded(&nodes[0], command).await,
        "cal" => calls(&nodes[0], command).await,
        "monkil" => monitor_and_kill(&nodes[0], command).await,
        "memory" => {
            let control = port(command, "control")?;
            let memory: (String, u64) = nodes[0].cal(&control, &("memory",), None).await?;
            Ok(json!({"octets": memory.1}))
        }
        "local" => local(&nodes[0], command).await,
        "data" => crate::data::drive(&nodes[0], command).await,
        "touch" => {
            for node in nodes {
                counted(node, command).await?;
            }
            Ok(json!({"touched": nodes.len()}))
        }
        other => Err(format!("{other} is not known").into()),
    }
}

fn number(command: &Value, key: &str) -> Result<u64, Failure> {
    command[key]
        .as_u64()
        .ok_or_else(|| format!("no {key}").into())
}

fn port(command: &Value, key: &str) -> Result<PortId, Failure> {
    let id = command[key].as_str().ok_or_else(|| format!("no {key}"))?;
    Ok(PortId::new(id))
}

fn ports(command: &Value) -> Result<Vec<PortId>, Failure> {
    let ports = command["ports"].as_array().ok_or("no ports")?;
    Ok(ports
        .iter()
        .filter_map(Value::as_str)
        .map(PortId::new)
        .collect())
}

async fn connected(nodes: &[Node]) -> Result<Value, Failure> {
    for node in nodes {
        let mut events = node.mon_nodes();
        while node.up_nodes().is_empty() {
            events.next().await;
        }
    }
    let stats = nodes[0].stats();
    let tls = stats.links.first().and_then(|link| link.tls.as_ref());
    let tls = tls.map(|tls| format!("{}, {}", tls.version, tls.cipher));
    Ok(json!({"connected": true, "tls": tls}))
}

async fn counted(node: &Node, command: &Value) -> Result<u64, Failure> {
    let control = port(command, "control")?;
    let (_, count): (String, u64) = node.cal(&control, &("count",), None).await?;
    Ok(count)
}

async fn oneway(nodes: &[Node], command: &Value) -> Result<Value, Failure> {
    let total = number(command, "count")?;
    let text = text(command["size"].as_u64().unwrap_or(0) as usize);
    let ports = ports(command)?;
    let links = nodes.len() as u64;
    let before = counted(&nodes[0], command).await?;
    let start = Instant::now();
    let mut senders = tokio::task::JoinSet::new();
    for (link, node) in (0..links).zip(nodes) {
        let count = total / links + u64::from(link < total % links);
        let (node, ports, text) = (node.clone(), ports.clone(), text.clone());
        senders.spawn(async move {
            let mut to = ports.iter().cycle();
            for n in 0..count {
                let port = to.next().expect("there are ports");
                node.snd_wait(port, &("m", n, &text, HASH)).await?;
            }
            Ok::<(), aemp::SendError>(())
        });
    }
    while let Some(done) = senders.join_next().await {
        done??;
    }
    while counted(&nodes[0], command).await? < before + total {}
    let seconds = start.elapsed().as_secs_f64();
    Ok(json!({"seconds": seconds, "count": total}))
}

/// The same messages as tuples and as an enum, in turns, each to a port that takes them so: how
/// long each took.
async fn tuples_and_enums(node: &Node, command: &Value) -> Result<Value, Failure> {
    const TURNS: u64 = 20;
    let forms = command["forms"].as_array().ok_or("no forms")?;
    let ports: Vec<PortId> = forms
        .iter()
        .filter_map(Value::as_str)
        .map(PortId::new)
        .collect();
    let (count, text) = (number(command, "count")? / TURNS, text(0));
    let mut seconds = [0.0; 2];
    for turn in 0..2 * TURNS {
        // Who is first changes as well.
        let form = (turn + turn / 2) as usize % 2;
        let (before, start) = (counted(node, command).await?, Instant::now());
        for n in 0..count {
            match form {
                0 => {
                    let message = ("m", n, text.clone(), HASH);
                    node.snd_wait(&ports[0], &message).await?;
                }
                _ => {
                    let message = Known::Numbered(n, text.clone(), HASH);
                    node.snd_wait(&ports[1], &message).await?;
                }
            }
        }
        while counted(node, command).await? < before + count {}
        seconds[form] += start.elapsed().as_secs_f64();
    }
    Ok(json!({"tuples": seconds[0], "enums": seconds[1]}))
}

/// Messages to a port that is slow, sent with a wait for room, and beside them on the same link as
/// many as go to one that is not; before that the same to that one alone. Ends when the slow one
/// has had all.
async fn beside_a_slow_port(node: &Node, command: &Value) -> Result<Value, Failure> {
    let (slow, fast) = (port(command, "slow")?, ports(command)?);
    let (count, fast) = (number(command, "count")?, fast[0].clone());
    let text = text(0);
    // For so long the fast one is watched.
    let time = Duration::from_millis(number(command, "millis")?);
    let rate = async |time: Duration| -> Result<f64, Failure> {
        let (before, start) = (counted(node, command).await?, Instant::now());
        let mut n = 0_u64;
        while start.elapsed() < time {
            for _ in 0..100 {
                node.snd_wait(&fast, &("m", n, &text, HASH)).await?;
                n += 1;
            }
        }
        while counted(node, command).await? < before + n {}
        Ok(n as f64 / start.elapsed().as_secs_f64())
    };
    let alone = rate(time).await?;
    let start = Instant::now();
    let (sender, to, words) = (node.clone(), slow.clone(), text.clone());
    let sending = tokio::spawn(async move {
        for n in 0..count {
            sender.snd_wait(&to, &("m", n, &words)).await?;
        }
        Ok::<(), aemp::SendError>(())
    });
    let beside = rate(time).await?;
    sending.await??;
    let all: (String,) = node.cal(&slow, &("count",), None).await?;
    let seconds = start.elapsed().as_secs_f64();
    Ok(json!({"alone": alone, "beside": beside, "seconds": seconds, "count": count, "said": all.0}))
}

/// One message in flight; the answer is taken by a handler, as a node does.
async fn roundtrip(node: &Node, command: &Value) -> Result<Value, Failure> {
    let (echo, count) = (port(command, "echo")?, number(command, "count")?);
    let mut pong = Pong::new(node, echo);
    let mut times = Times::default();
    let all = Instant::now();
    for n in 0..count {
        let start = Instant::now();
        pong.ping(n).await?;
        times.since(start);
    }
    Ok(times.answer(all.elapsed()))
}

/// A port for echoes.
struct Pong {
    node: Node,
    echo: PortId,
    inbox: Mailbox,
}

impl Pong {
    fn new(node: &Node, echo: PortId) -> Self {
        let inbox = node.mailbox();
        let node = node.clone();
        Self { node, echo, inbox }
    }

    async fn ping(&mut self, n: u64) -> Result<(), Failure> {
        self.node.snd(&self.echo, &("e", self.inbox.id(), n))?;
        let (_, back): (&str, u64) = self.inbox.recv().await?.args()?;
        match back == n {
            true => Ok(()),
            false => Err(format!("echo of {n} is {back}").into()),
        }
    }
}

/// Round trips while other messages go the same way at a given rate.
async fn loaded(node: &Node, command: &Value) -> Result<Value, Failure> {
    let rate = command["rate"].as_f64().ok_or("no rate")?;
    let count = number(command, "count")?;
    let sinks = ports(command)?;
    let text = text(0);
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let load = {
        let (node, sink) = (node.clone(), sinks[0].clone());
        tokio::spawn(async move {
            let start = Instant::now();
            let mut sent = 0_u64;
            while stopped.try_recv() == Err(tokio::sync::oneshot::error::TryRecvError::Empty) {
                let due = (start.elapsed().as_secs_f64() * rate) as u64;
                while sent < due {
                    node.snd(&sink, &("m", sent, &text, HASH))?;
                    sent += 1;
                }
                tokio::task::yield_now().await;
            }
            Ok::<f64, aemp::SendError>(sent as f64 / start.elapsed().as_secs_f64())
        })
    };
    let mut pong = Pong::new(node, port(command, "echo")?);
    let mut times = Times::default();
    let all = Instant::now();
    for n in 0..count {
        let start = Instant::now();
        pong.ping(n).await?;
        times.since(start);
    }
    let mut answer = times.answer(all.elapsed());
    drop(stop);
    answer["rate"] = json!(load.await??);
    Ok(answer)
}

async fn calls(node: &Node, command: &Value) -> Result<Value, Failure> {
    let (echo, count) = (port(command, "echo")?, number(command, "count")?);
    let callers = number(command, "callers")?;
    let start = Instant::now();
    let mut all = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let (node, echo) = (node.clone(), echo.clone());
        let count = count / callers + u64::from(caller < count % callers);
        all.spawn(async move {
            for n in 0..count {
                let back: u64 = node.cal(&echo, &("c", n), None).await?;
                assert_eq!(back, n);
            }
            Ok::<(), aemp::CalError>(())
        });
    }
    while let Some(done) = all.join_next().await {
        done??;
    }
    Ok(json!({"seconds": start.elapsed().as_secs_f64(), "count": count}))
}

async fn monitor_and_kill(node: &Node, command: &Value) -> Result<Value, Failure> {
    const OUTSTANDING: usize = 1000;
    let (control, count) = (port(command, "control")?, number(command, "count")?);
    let mut inbox = node.mailbox();
    node.snd(&control, &("ports", inbox.id(), count))?;
    let mut ports: Vec<PortId> = Vec::new();
    loop {
        let message = inbox.recv().await?;
        let (tag, rest) = (message.tag(), message.without_tag());
        if tag.as_deref() == Some("portsend") {
            break;
        }
        ports.extend(rest.args::<Vec<PortId>>()?);
    }
    let room = Arc::new(Semaphore::new(OUTSTANDING));
    let start = Instant::now();
    for port in &ports {
        let permit = room.clone().acquire_owned().await?;
        node.mon(port, move |_| drop(permit));
        node.kil(port, Reason::new(["done"]));
    }
    let _all = room.acquire_many(OUTSTANDING as u32).await?;
    Ok(json!({"seconds": start.elapsed().as_secs_f64(), "count": ports.len()}))
}

/// Messages to a port of the same node.
async fn local(node: &Node, command: &Value) -> Result<Value, Failure> {
    let count = number(command, "count")?;
    let text = text(command["size"].as_u64().unwrap_or(0) as usize);
    let taken = Arc::new(AtomicU64::new(0));
    let port = sink(node, &taken);
    let bare = command["bare"] == true;
    let start = Instant::now();
    for n in 0..count {
        match bare {
            true => node.snd_wait(&port, &("n", n)).await?,
            false => node.snd_wait(&port, &("m", n, &text, HASH)).await?,
        }
    }
    while taken.load(Ordering::Relaxed) < count {
        tokio::task::yield_now().await;
    }
    Ok(json!({"seconds": start.elapsed().as_secs_f64(), "count": count}))
}

/// How much memory a port takes.
pub async fn many_ports(options: PortsOptions) -> Result<(), Failure> {
    let node = Node::local();
    let make = |count: usize| {
        for _ in 0..count {
            match options.handler {
                true => drop(idle(&node)),
                false => drop(node.port()),
            }
        }
    };
    make(1000);
    let before = resident();
    make(options.count);
    let octets = resident().saturating_sub(before) as f64 / options.count as f64;
    say(&json!({"octets": octets}));
    // Keeps the node until it is certain that nothing was measured twice.
    tokio::time::sleep(Duration::ZERO).await;
    Ok(())
}
