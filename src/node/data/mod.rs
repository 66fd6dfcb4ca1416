//! Data connections: octets of the program's own between two nodes (PROTOCOL.md, "Data
//! connections").
//!
//! ```text
//!   initiator                                          target
//!       │ link: _expect ID, PORT, TIME, FUNCTION, ARGS..  │
//!       ├────────────────────────────────────────────────▶│ expects ID, for its time
//!       │ link: a round trip, so that it does for sure    │
//!       │◀───────────────────────────────────────────────▶│
//!       │ a connection of its own, by whoever can: the    │
//!       │ initiator if the target listens; else it sends  │
//!       │ _connect ID, and the target connects            │
//!       │◀═══════════════════════════════════════════════▶│ FUNCTION gets ARGS and the stream
//! ```
//!
//! | file | what it does |
//! |---|---|
//! | `table` | who expects which connection |
//! | `open` | the initiator |
//! | `target` | what the initiator's requests do, and who takes a connection |
//! | `connect` | making and accepting the connection, once it is known which it is |
//! | `stream` | what the program gets |
//! | `error` | why it got none |
//!
//! # Bounds
//!
//! Whatever a peer says, this node connects to nobody but that very peer: where it listens as it
//! has told itself, or where the link to it was made. A connection that nobody expects is closed
//! before this node has proved itself. How many connections a peer may have this node expect is
//! bounded, each for a time, and what comes with them is in the peer's account.

mod connect;
mod error;
mod open;
mod stream;
mod table;
mod target;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::de::DeserializeOwned;

pub(super) use connect::accept;
pub use error::DataConnError;
pub use stream::DataStream;
pub(super) use target::{Expect, connect_back, expect, refuse};

use super::code::Outcome;
use super::{Context, IntoOutcome, Node, Table};
use crate::proto::Message;
use crate::proto::id::perl_counter;
use table::Expected;

/// The request to expect a connection.
pub(crate) const EXPECT: &str = "AnyEvent::MP::DataConn::_expect";

/// The request to connect for one that is expected.
pub(crate) const CONNECT: &str = "AnyEvent::MP::DataConn::_connect";

/// The reason that a port dies of whose connection failed begins with this.
const FAILED: &str = "AnyEvent::MP::DataConn";

/// What a node has of data connections.
#[derive(Default)]
pub(crate) struct DataConns {
    functions: Table<Function>,
    expected: Expected,
    /// How many were begun here.
    begun: AtomicU64,
}

impl DataConns {
    /// Forgets them all.
    pub(crate) fn clear(&self) {
        let functions = std::mem::take(&mut *self.functions.write());
        drop(functions);
        self.expected.clear();
    }

    /// An ID for a connection that this node begins, unlike those of all other nodes.
    fn new_id(&self, node: &Node) -> String {
        let n = self.begun.fetch_add(1, Ordering::Relaxed);
        format!("{}@{}", perl_counter(n), node.id())
    }
}

/// Says why arguments do not fit a function.
type Check = dyn Fn(&Message) -> Result<(), String> + Send + Sync;

/// Takes a connection.
type Run = dyn Fn(&Context, &Message, DataStream) -> Outcome + Send + Sync;

/// A function that takes connections.
#[derive(Clone)]
struct Function {
    check: Arc<Check>,
    run: Arc<Run>,
}

impl Node {
    /// Lets other nodes open data connections to this one: `code` is called with the arguments that
    /// come with each, and with the connection. What it returns runs until it ends by itself or the
    /// node stops; an error goes to the log.
    ///
    /// Perl's functions for `AnyEvent::MP::DataConn::connect_to` are of this sort, and named with
    /// their package. The name is of its own: there may be a
    /// [`function`](Node::function) of that name as well. Who may not
    /// [call](crate::config::Rule) it can't open connections to it either.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    ///
    /// # let node = |id: &str| aemp::Node::builder().no_rc().nodeid(id).secret("geheim").binds(["127.0.0.1:0"]);
    /// let a = node("a").start().await?;
    /// a.data_function("MyApp::shout", |_, (times,): (usize,), mut stream| async move {
    ///     let mut text = String::new();
    ///     stream.read_to_string(&mut text).await?;
    ///     stream.write_all(text.to_uppercase().repeat(times).as_bytes()).await?;
    ///     stream.shutdown().await
    /// });
    ///
    /// let b = node("b").seeds(a.listeners()).start().await?;
    /// let mut stream = b.data_conn("a", Duration::from_secs(9), "MyApp::shout", &(2,)).await?;
    /// stream.write_all(b"hello ").await?;
    /// stream.shutdown().await?; // all is said; the answer can still be read
    /// let mut text = String::new();
    /// stream.read_to_string(&mut text).await?;
    /// assert_eq!(text, "HELLO HELLO ");
    /// # Ok(()) }
    /// ```
    pub fn data_function<A, R, Fut>(
        &self,
        name: &str,
        code: impl Fn(Context, A, DataStream) -> Fut + Send + Sync + 'static,
    ) where
        A: DeserializeOwned + 'static,
        R: IntoOutcome,
        Fut: Future<Output = R> + Send + 'static,
    {
        let check = |args: &Message| match args.args::<A>() {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        let run = move |context: &Context, args: &Message, stream: DataStream| {
            let args = match args.args::<A>() {
                Ok(args) => args,
                Err(error) => return Outcome::Done(Err(error.into())),
            };
            let future = code(context.clone(), args, stream);
            Outcome::Later(Box::pin(async move { future.await.into_outcome() }))
        };
        let function = Function {
            check: Arc::new(check),
            run: Arc::new(run),
        };
        let functions = &self.inner().data.functions;
        functions.write().insert(name.to_owned(), function);
    }
}
