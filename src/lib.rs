//! AnyEvent::MP in Rust: join a Perl network of any release, byte for byte, or build one of your
//! own.
//!
//! AnyEvent::MP (AEMP) is Perl's Erlang-style message passing: *ports* are destinations for
//! messages and contexts for code, a *node* is a process with ports, nodes find each other, and a
//! *monitor* tells when a port died or messages to it were lost. Releases 0.95 to 2.02 are spoken,
//! all at once.
//!
//! ```text
//!  |-- a Rust process ---|                    |--- a Perl process ---|
//!  | Node "A"            |                    |            Node "B"  |
//!  |                     |                    |                      |
//!  | port A#uq.a  ==== <--- JSON or CBOR ----> ====  port B#Xy.a     |
//!  | port A#uq.b  ====   |   authenticated    |   ====  port B#Xy.b  |
//!  |                     |   by a secret      |                      |
//!  |  groups, monitors  <------ the mesh ------> groups, monitors    |
//!  |---------------------|                    |----------------------|
//! ```
//!
//! # A tour
//!
//! A port and a message, within one process:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let node = aemp::Node::local();
//! let mut inbox = node.mailbox();
//! let echo = node.port();
//! echo.rcv("ping", |cx, (reply, n): (aemp::PortId, u32)| cx.snd(&reply, &("pong", n)));
//!
//! node.snd(&echo, &("ping", inbox.id(), 7))?;
//! let (n,): (u32,) = inbox.recv_tag("pong").await?.args()?;
//! assert_eq!(n, 7);
//! # Ok(()) }
//! ```
//!
//! Two nodes, a group, a monitor; either could be Perl:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use aemp::{Node, Reason};
//!
//! let node = |id: &str| Node::builder().no_rc().nodeid(id).secret("geheim").binds(["127.0.0.1:0"]);
//! let receiver = node("eg_receiver").start().await?;
//! let port = receiver.port();
//! port.rcv("stop", |cx, (why,): (String,)| cx.fail(Reason::new(["stopped", &why])));
//! receiver.register("eg_receivers", &port);
//!
//! let sender = node("eg_sender").seeds(receiver.listeners()).start().await?;
//! let mut group = sender.mon_group("eg_receivers");
//! let found = group.next().await.unwrap().members.first().unwrap().clone();
//!
//! let (died, reason) = tokio::sync::oneshot::channel();
//! sender.mon(&found, |reason| drop(died.send(reason)));
//! sender.snd(&found, &("stop", "enough"))?;
//! assert_eq!(reason.await?.to_string(), "stopped enough");
//! # sender.shutdown().await; receiver.shutdown().await;
//! # Ok(()) }
//! ```
//!
//! A group is a service, too: each call goes to one of its members, wherever it is, and waits for
//! the first one if there is none. When a member dies of a call, another one is asked, if the
//! program says that this does no harm; `examples/work_pool.rs` has a whole pool of workers:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use aemp::{Balance, Node};
//! use std::time::Duration;
//!
//! let node = Node::local();
//! for _ in 0..3 {
//!     let worker = node.port();
//!     worker.answer("square", |_, (n,): (u64,)| n.checked_mul(n).ok_or("too large"));
//!     node.register("squares", &worker);
//! }
//!
//! let squares = node.service("squares").retries(1); // squaring a number twice does no harm
//! assert_eq!(squares.cal_any::<u64>(&("square", 7), Some(Duration::from_secs(5))).await?, 49);
//!
//! squares.snd_any(&("square", 7, node.mailbox().id()))?; // or without waiting for the answer
//! let in_turn = squares.clone().balance(Balance::RoundRobin);
//! let of_ruth = squares.keyed("ruth"); // always the same member, as long as it is there
//! assert_ne!(in_turn.pick(), in_turn.pick());
//! assert_eq!(of_ruth.pick(), of_ruth.pick());
//! # Ok(()) }
//! ```
//!
//! The database of AnyEvent::MP 2.x: families of keys and values, which each node sets for itself
//! and all see. Global nodes, as a rule the seeds, keep it together:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let node = |id: &str| aemp::Node::builder().no_rc().nodeid(id).secret("geheim").binds(["127.0.0.1:0"]);
//! let seed = node("db_seed").start().await?;
//! let worker = node("db_worker").seeds(seed.listeners()).start().await?;
//! worker.db_set("load", "worker", &0.25)?; // until it is deleted, or the node goes
//!
//! let mut changes = seed.db_mon::<f64>("load");
//! loop {
//!     let change = changes.next().await.unwrap()?;
//!     if let Some(load) = change.added.get("worker") {
//!         assert_eq!(*load, 0.25);
//!         break;
//!     }
//! }
//! assert_eq!(worker.db_keys("load").await?, ["worker"]);
//! # worker.shutdown().await; seed.shutdown().await;
//! # Ok(()) }
//! ```
//!
//! The module [`guide`] goes on from here, with a program for each chapter.
//!
//! | to | there is |
//! |---|---|
//! | configure and start a node | [`Node::builder`], [`config`] |
//! | create ports | [`Node::port`], [`Node::port_with`], [`Node::mailbox`] |
//! | take messages of one type, an enum for example | [`Node::serve`], [`Address`] |
//! | take messages | [`Port::rcv`], [`Port::rcv_with`], [`Port::rcv_async`], [`Port::rcv_any`], [`Mailbox::recv`] |
//! | send | [`Node::snd`], [`Node::snd_wait`], [`Node::cal`], [`Node::snd_after`]; to a port of the same node, without encoding: [`Node::snd_value`] |
//! | keep a state that handlers are given | [`Node::port_with_state`], [`Node::serve_with_state`], [`Port::with_state`] |
//! | say what becomes of messages that do not fit | [`Port::on_misfit`], [`Port::on_misfit_with`], [`Misfit`] |
//! | have several messages of a port at work, and tasks beside them | [`Port::concurrently`], [`Context::spawn_task`], [`Port::spawn_task`] |
//! | ask and answer | [`Node::ask`], [`Reply`], [`Node::cal`], [`Port::answer`], [`Context::answer`] |
//! | monitor and kill | [`Node::mon`], [`Node::mon_kil`], [`Node::mon_snd`], [`Context::link`], [`Node::kil`] |
//! | run code on other nodes | [`Node::spawn`], and here [`Node::function`] |
//! | find each other | [`Node::register`], [`Node::members`], [`Node::mon_group`], [`Node::wait_for_member`], [`Node::wait_for_members`] |
//! | call any member of a group | [`Node::service`], [`Service`], [`Balance`] |
//! | share keys and values (2.x) | [`Node::db_set`], [`Node::db_reg`], [`Node::db_family`], [`Node::db_keys`], [`Node::db_values`], [`Node::db_mon`] |
//! | follow nodes | [`Node::mon_nodes`], [`Node::up_nodes`], [`Node::stats`], [`Node::round_trip`] |
//! | await several things at once, map, filter | [`Mailbox`], [`NodeEvents`], [`GroupChanges`], [`DbChanges`] and [`SupervisorEvents`](supervise::SupervisorEvents) are `Stream`s |
//! | keep things running | [`supervise`] |
//! | go through TLS | [`Builder::cert`], [`Node::reload_cert`], [`net::tls`] |
//! | test without sockets, in virtual time | the module `testing` (a feature), [`net::memory`], [`Builder::network`] |
//! | end a node, without leaving something undone | [`Node::shutdown_within`], [`Node::shutdown`], [`Node::closed`] |
//! | watch a node from outside | [`Node::metrics`], [`Node::time_handlers`], [`log::SPAN_TARGET`], [`Builder::trace_context`] |
//! | log as Perl does | [`log::init_from_env`](crate::log) |
//! | speak the protocol without a node | [`proto`] |
//!
//! # What delivery is guaranteed
//!
//! From the start of a monitor on a port, messages to that port arrive in their order and without a
//! hole. Once one is lost, all later ones are lost, too, until the monitor has fired; after that,
//! messages may arrive again. A monitor fires once. So a program that monitors what it talks to
//! needs no acknowledgements to know that nothing is missing in between.
//!
//! Every queue has a bound: the octets that wait for a node (`max_queue`) and the messages that
//! wait in a port (`max_mailbox`). Running over a bound loses the link to the node, or kills the
//! port: monitors fire. No message is ever dropped in silence from between two others.
//!
//! A port that is being [spawned](Node::spawn) on another node is there when the request has
//! arrived. Whoever spawns it is behind the request with all that it sends. A third node, if it is
//! told the ID before, may be too early: what it sends is lost, and its monitor fires with
//! `no_such_port`, but what it sends in between may arrive. So hand out the ID when the port has
//! answered, or have its init function do that.
//!
//! [`Node::snd`] never waits and never fails for a reason of the network. After its node has
//! stopped it is an error.
//!
//! The database is not part of this. Who monitors a family sees each change that the global node
//! makes to it once and in order. While there is no global node, what was known stays; the next
//! one's content is compared with it, and what happened in between is seen as one change. If
//! several nodes set the same key, all see one of their values; which one may differ between nodes
//! for good. A node that goes takes its keys along.
//!
//! # Where code runs
//!
//! A port takes one message after the other. Handlers run on tokio's threads, mostly on that of the
//! connection that the message came by, typed ones right out of what was read from it; a handler
//! must not block. Asynchronous handlers may wait: their port's next message waits with them,
//! unless the port has [several at work](Port::concurrently). An error or a panic kills the port
//! with the reason `die` and the text; nothing else suffers. `snd`, `kil` and `mon` may be called
//! from anywhere, under any lock: they run no code of the program.
//!
//! # How it differs from Perl's
//!
//! - Other nodes can call only functions that the program has [registered](Node::function); nothing
//!   is loaded by name. `eval` is answered with an error unless the program [says
//!   otherwise](Node::set_evaluator).
//! - Arguments are typed. What does not fit kills the port, unless it [chooses](Port::on_misfit)
//!   something else, and the reason says which element was wrong. [`Num`], [`Text`] and [`Octets`]
//!   take values as loosely as Perl does.
//! - Broken input closes that one connection, with a line in the log that says who and what. (Some
//!   Perl releases are left half deaf.)
//! - Two nodes that connect to each other at the same time keep one link and lose nothing.
//! - One node talks to releases of all generations at once. A group is what the mesh of 0.95 to
//!   1.30 and the database of 2.x have together. The Storable framing is off unless configured.
//! - [`Node::db_mon`] tells what is there at the start, on global nodes as well.
//! - A seed that was lost is tried again at once, in generation 2 too.
//!
//! The wire protocol is specified in PROTOCOL.md.
//!
//! # Features
//!
//! `node` (default): everything that needs tokio. Without it there is [`proto`] alone. `tls`:
//! [`net::tls`], by rustls and `ring`, which needs a C compiler; without it a `cert` is an error.
//! `log-subscriber`: log lines on standard error as Perl's nodes write them; any other subscriber
//! of `tracing` shows them as well. `testing`: the module `testing`, nodes in memory, their faults
//! and probes, for the tests of a program. `fuzz`: the module `fuzz`, for those who test an
//! implementation. The command `aemp` is a package of its own, `aemp-cli`.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "node")]
mod bridge;
#[cfg(feature = "node")]
mod builder;
#[cfg(feature = "node")]
pub mod config;
#[cfg(feature = "fuzz")]
pub mod fuzz;
#[cfg(all(doc, feature = "node"))]
pub mod guide;
#[cfg(feature = "node")]
pub mod log;
#[cfg(feature = "node")]
mod mesh;
#[cfg(feature = "node")]
pub mod net;
#[cfg(feature = "node")]
pub mod node;
#[cfg(feature = "node")]
mod peering;
pub mod proto;
#[cfg(feature = "node")]
mod rights;
#[cfg(feature = "node")]
pub mod supervise;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "node")]
mod trace;

#[cfg(feature = "node")]
pub use bridge::{Bridge, BridgeError};
#[cfg(feature = "node")]
pub use builder::{Builder, Probe, ProbeStep, Reloaded, StartError};
#[cfg(feature = "node")]
pub use node::{
    Address, AsMessage, Balance, BridgeRules, ByValue, CalError, Context, DataConnError,
    DataStream, DbChange, DbChanges, DbEntry, DbError, DbFamily, DbGuard, DbUnfit, DbValues,
    Destination, ERROR_REPLY, Failure, GroupChange, GroupChanges, Handled, IntoOutcome, LinkLoss,
    LinkStats, LogLine, LogLines, Mailbox, Members, Metrics, Misfit, Monitor, MonitorGuard, Node,
    NodeEvent, NodeEvents, NodeStats, Port, PortDeath, Receive, RecvError, Registration,
    RegistrationGuard, Reply, Report, SeedStatus, SendError, Service, State, StatePort, Stopped,
    Unfinished,
};
pub use proto::message::{Num, Octets, Text};
pub use proto::{Generation, Message, NodeId, PortId, Reason, Secret};
#[cfg(feature = "node")]
pub use supervise::Supervisor;

/// The program in the README compiles.
#[cfg(all(doctest, feature = "node"))]
#[doc = include_str!("../README.md")]
struct Readme;
