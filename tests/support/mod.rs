//! What the tests of whole nodes share: nodes on 127.0.0.1, scripted peers, captured log lines.

#![allow(dead_code)]

use std::cell::Cell;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use aemp::proto::generation::Generations;
use aemp::{Builder, Node, NodeEvent, NodeEvents, PortId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tracing::field::{Field, Visit};

pub const SECRET: &str = "geheim";

/// What every wait is limited by: long, as it is reached only when something is broken.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A builder that reads no file.
pub fn builder(id: &str) -> Builder {
    let builder = Node::builder().no_rc().nodeid(id).secret(SECRET);
    // Tests need not wait for listeners of unknown generation.
    builder.generation(Generations::Only(1))
}

/// A node that listens on 127.0.0.1.
pub async fn listening(id: &str) -> Node {
    builder(id).binds(["127.0.0.1:0"]).start().await.unwrap()
}

/// A node with that seed.
pub async fn joining(id: &str, seed: &Node) -> Node {
    let builder = builder(id).binds(["127.0.0.1:0"]).seeds(seed.listeners());
    builder.start().await.unwrap()
}

/// Limits a wait, and says what it waited for.
pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(result) => result,
        Err(_) => panic!("timed out waiting for: {what}\nlog:\n{}", log().join("\n")),
    }
}

/// Waits for a node to be up.
pub async fn up(node: &Node, id: &str) {
    let mut events = node.mon_nodes();
    if node.node_is_up(id) {
        return;
    }
    within(&format!("{} sees {id} up", node.id()), async {
        event(&mut events, |event| event.is_up() && *event.node() == id).await;
    })
    .await;
}

/// Waits for an event.
pub async fn event(events: &mut NodeEvents, wanted: impl Fn(&NodeEvent) -> bool) -> NodeEvent {
    loop {
        let event = events.next().await.expect("the node runs");
        if wanted(&event) {
            return event;
        }
    }
}

/// Waits until a group has so many members.
pub async fn members(node: &Node, group: &str, count: usize) -> Vec<PortId> {
    let mut changes = node.mon_group(group);
    if count == 0 && node.members(group).is_empty() {
        return Vec::new();
    }
    let what = format!("{} sees {count} members of {group}", node.id());
    within(&what, async {
        loop {
            let change = changes.next().await.expect("the node runs");
            if change.members.len() == count {
                return change.members.to_vec();
            }
        }
    })
    .await
}

/// A round trip to the node, behind everything that was sent to it before.
pub async fn sync(node: &Node, other: &str) {
    let call = node.cal::<(f64,)>(other, &("time",), Some(LIMIT));
    within(&format!("{} hears from {other}", node.id()), call)
        .await
        .unwrap();
}

static LINES: OnceLock<Arc<Mutex<Vec<String>>>> = OnceLock::new();

struct Capture(Arc<Mutex<Vec<String>>>);

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Capture {
    fn enabled(
        &self,
        meta: &tracing::Metadata<'_>,
        _: tracing_subscriber::layer::Context<'_, S>,
    ) -> bool {
        // Spans of handlers would have messages go another way.
        meta.target() == "aemp"
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if event.metadata().target() != "aemp" {
            return;
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        let line = format!("{} {}", event.metadata().level(), text.0);
        self.0.lock().unwrap().push(line);
    }
}

thread_local! {
    /// How many lines there were when the test that runs in this thread began to keep them.
    static BEFORE: Cell<usize> = const { Cell::new(0) };
}

/// Starts to keep the log lines of this process. In this thread, which is that of one test, [`log`]
/// gives those that come from now on: an older one may be of another test's node that had the same
/// address.
pub fn capture_log() {
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;
    let lines = LINES.get_or_init(|| {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let _ = tracing_subscriber::registry()
            .with(Capture(lines.clone()))
            .try_init();
        lines
    });
    BEFORE.set(lines.lock().unwrap().len());
}

/// The log lines so far.
pub fn log() -> Vec<String> {
    LINES
        .get()
        .map(|lines| lines.lock().unwrap()[BEFORE.get()..].to_vec())
        .unwrap_or_default()
}

/// A peer that the test plays octet by octet.
pub struct Scripted {
    pub stream: TcpStream,
    pub received: Vec<u8>,
    /// The only framing that it says it knows; JSON unless set.
    pub framing: &'static str,
}

impl Scripted {
    /// Connects to a node.
    pub async fn connect(node: &Node) -> Self {
        let stream = TcpStream::connect(&node.listeners()[0]).await.unwrap();
        Self::on(stream)
    }

    fn on(stream: TcpStream) -> Self {
        Scripted {
            stream,
            received: Vec::new(),
            framing: "json",
        }
    }

    /// Accepts a connection of a node.
    pub async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = within("a connection", listener.accept()).await.unwrap();
        Self::on(stream)
    }

    pub fn local_address(&self) -> String {
        self.stream.local_addr().unwrap().to_string()
    }

    pub async fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.stream.write_all(octets.as_ref()).await.unwrap();
    }

    /// Reads until `done` agrees to all that was received, and takes that.
    pub async fn read_until(&mut self, what: &str, done: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        within(what, async {
            while !done(&self.received) {
                let read = self.stream.read_buf(&mut self.received).await.unwrap();
                let text = String::from_utf8_lossy(&self.received).into_owned();
                assert!(read > 0, "closed while waiting for {what}; got {text}");
            }
        })
        .await;
        std::mem::take(&mut self.received)
    }

    /// Waits until the node has closed the connection.
    pub async fn closed(&mut self) -> Vec<u8> {
        within("the connection to be closed", async {
            loop {
                match self.stream.read_buf(&mut self.received).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
            }
        })
        .await;
        std::mem::take(&mut self.received)
    }

    /// Does the whole handshake as a node of a release.
    pub async fn handshake(&mut self, id: &str, version: u32, params: &str) {
        let own = self.greeting(id, version, params);
        self.send(&own).await;
        let lines = |octets: &[u8], n| octets.iter().filter(|o| **o == b'\n').count() >= n;
        let peer = self
            .read_until("the greeting", |octets| lines(octets, 2))
            .await;
        self.prove(&own, std::str::from_utf8(&peer).unwrap()).await;
    }

    /// The same when the node has greeted already.
    pub async fn answer(&mut self, id: &str, version: u32, params: &str, peer: &str) {
        let own = self.greeting(id, version, params);
        self.send(&own).await;
        self.prove(&own, peer).await;
    }

    fn greeting(&self, id: &str, version: u32, params: &str) -> String {
        let framing = self.framing;
        format!("aemp;{version};{id};hmac_md6_64_256;{framing};{params}\nNONCE-{id}\n")
    }

    /// Proves that we know the secret, and waits for the node's proof.
    async fn prove(&mut self, own: &str, peer: &str) {
        use aemp::proto::auth::{AuthMethod, Secret};
        let token = AuthMethod::HmacMd6.token(&Secret::from(SECRET), own, peer);
        let framing = self.framing;
        self.send(format!("hmac_md6_64_256;{token};{framing}\n"))
            .await;
        let line = |octets: &[u8]| octets.contains(&b'\n');
        let mut read = self.read_until("the token", line).await;
        // Messages may have come with it.
        let end = read.iter().position(|octet| *octet == b'\n').unwrap() + 1;
        self.received = read.split_off(end);
    }
}
