//! Testing your own ports: nodes on a network in memory, its faults, its clock, and probes.
//!
//! This is the feature `testing`, which a program asks for among its dev-dependencies:
//!
//! ```toml
//! [dev-dependencies]
//! aemp = { version = "0.1", features = ["testing"] }
//! tokio = { version = "1", features = ["macros", "rt", "test-util"] }
//! ```
//!
//! # A port and its test
//!
//! What is to be tested is code that is given a [`Node`](crate::Node). Here that is a till, which
//! adds up what it is paid, tells the sum to whoever asks, and dies of false money:
//!
//! ```
//! use aemp::testing::{Probe, Watch};
//! use aemp::{Node, Port, PortId};
//!
//! fn till(node: &Node) -> Port {
//!     let port = node.port();
//!     let sum = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(0));
//!     let paid = sum.clone();
//!     port.rcv("pay", move |_, (amount,): (i64,)| {
//!         if amount <= 0 {
//!             return Err(format!("{amount} is no payment"));
//!         }
//!         paid.fetch_add(amount, std::sync::atomic::Ordering::Relaxed);
//!         Ok(())
//!     });
//!     port.rcv("sum?", move |cx, (reply,): (PortId,)| {
//!         cx.snd(&reply, &("sum", sum.load(std::sync::atomic::Ordering::Relaxed)))
//!     });
//!     port
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // #[tokio::test(start_paused = true)] async fn a_till_adds_up() {
//! let node = Node::local();
//! let till = till(&node);
//! let mut customer = Probe::new(&node);
//! let watch = Watch::new(&node, &till);
//!
//! node.snd(&till, &("pay", 40))?;
//! node.snd(&till, &("pay", 2))?;
//! node.snd(&till, &("sum?", customer.id()))?;
//! assert_eq!(customer.expect::<(i64,)>("sum").await, (42,));
//!
//! node.snd(&till, &("pay", -1))?;
//! assert_eq!(watch.fires().await.to_string(), "die -1 is no payment");
//! # Ok(()) }
//! ```
//!
//! A [`Probe`] is a port that the test plays. What does not come is a failure that says what came
//! in its place:
//!
//! ```should_panic
//! # use aemp::{Node, testing::Probe};
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! let node = Node::local();
//! let mut customer = Probe::new(&node);
//! node.snd(customer.id(), &("closed", "come back at 9")).unwrap();
//! let (_sum,): (i64,) = customer.expect("sum").await;
//! // no "sum" came to the probe anon/Vu2x..#c1.7 within 300s, at tests/till.rs:12:31
//! //   what came: ["closed","come back at 9"]
//! # }
//! ```
//!
//! # Several nodes
//!
//! A [`Cluster`] has nodes on a network of their own, in memory, without sockets: they are there,
//! and linked, in one line. The ports of your program don't notice.
//!
//! ```
//! # use aemp::testing::{Cluster, Probe, members};
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = Cluster::new();
//! let [shop, bank] = cluster.start(["shop", "bank"]).await;
//! let mut account = Probe::new(&bank);
//! bank.register("accounts", account.id());
//!
//! let found = members(&shop, "accounts", 1).await;
//! shop.snd(&found[0], &("deposit", 42))?;
//! assert_eq!(account.expect::<(u32,)>("deposit").await, (42,));
//! # Ok(()) }
//! ```
//!
//! # What goes wrong
//!
//! Networks fail, and a test can have that happen at any line: [`Cluster::partition`],
//! [`partition_one_way`](Cluster::partition_one_way), [`delay`](Cluster::delay),
//! [`cut`](Cluster::cut), [`heal`](Cluster::heal), [`kill`](Cluster::kill) and
//! [`restart`](Cluster::restart). What is promised holds all the same: a monitor fires if something
//! was lost.
//!
//! ```
//! # use aemp::testing::{Cluster, Probe, Watch, down};
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = Cluster::new();
//! let [shop, bank] = cluster.start(["shop", "bank"]).await;
//! let account = bank.port_with(|_, _| {});
//! let watch = Watch::new(&shop, &account);
//!
//! cluster.kill("bank").await; // as if somebody had pulled the plug
//! assert_eq!(watch.fires().await.kind(), Some("transport_error"));
//! down(&shop, "bank").await;
//!
//! let bank = cluster.restart("bank").await;
//! cluster.linked().await;
//! assert!(bank.node_is_up("shop") && shop.node_is_up("bank"));
//! # Ok(()) }
//! ```
//!
//! # Time
//!
//! On a runtime whose clock is paused, `#[tokio::test(start_paused = true)]`, nothing waits for
//! real time: as soon as all tasks wait, the clock is put forward to the next thing that is due. So
//! a time limit of a minute is met at once, and the same test takes the same course each time.
//! [`pass`] lets time pass, and fails if the clock is not paused. Tests that may also run without
//! that need no change; they only take the time that they take.

mod clock;
mod cluster;
mod probe;
mod wait;
mod watch;

pub use clock::{clock_is_paused, pass};
pub use cluster::Cluster;
pub use probe::Probe;
pub use wait::{down, members, up};
pub use watch::Watch;
