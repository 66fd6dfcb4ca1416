//! A network in memory: hosts, listeners and connections without sockets, with delays and faults.
//!
//! A [`Network`] has [`Host`]s with names. A host listens on addresses `name:port`, and dials those
//! of others. On a current-thread runtime, and with tokio's clock paused, a whole network runs in
//! virtual time, in no time, and the same way each time: nothing here is random, and nothing is
//! served in another order than it came in.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use aemp::net::memory::Network;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio::time::Instant;
//!
//! let network = Network::new(1);
//! network.set_default_delay(Duration::from_millis(20));
//! let (mars, venus) = (network.host("mars"), network.host("venus"));
//! let listener = venus.bind("venus:4040")?;
//!
//! let begun = Instant::now();
//! let mut near = mars.dial("venus:4040").await?; // there and back again
//! let (mut far, remote) = listener.accept().await?;
//! assert!(remote.starts_with("mars:"));
//!
//! network.partition("mars", "venus"); // one way
//! near.write_all(b"hello").await?;
//! far.write_all(b"welcome").await?;
//! let mut text = [0; 7];
//! near.read_exact(&mut text).await?;
//! assert_eq!(begun.elapsed(), Duration::from_millis(60));
//!
//! network.heal("mars", "venus");
//! far.read_exact(&mut text[..5]).await?;
//! assert_eq!(&text, b"hellome");
//!
//! network.cut("mars", "venus");
//! assert!(near.read(&mut text).await.is_err());
//! # Ok(()) }
//! ```
//!
//! # What is as with TCP, and what is not
//!
//! - A connection carries octets, in order, each way by itself; an end of the stream arrives behind
//!   them. Octets that were written and not yet read count for the
//!   [capacity](Network::set_capacity), wherever they are. Room is there again as soon as they are
//!   read: no delay is counted for that.
//! - Dialling takes the delay there and that back; the listener has the connection after the first
//!   of them.
//! - A side that is dropped with octets unread [resets](Pipe) the connection. What is sent to a
//!   side that is gone is lost without an error, until the end of the stream from there has
//!   arrived.
//! - Nothing gets lost on the way: a [partition](Network::partition) holds what a real network
//!   would send again. Nothing gets slower for being much, unless there is a
//!   [rate](Network::set_rate).
//! - No connection ends by itself, however long a partition lasts: who wants to notice uses a
//!   timeout.
//!
//! # Time
//!
//! Delays go by the clock of the runtime in which a write, a read or a fault happens. tokio counts
//! milliseconds, and rounds up. A paused clock is only seen within its runtime: what another thread
//! writes is dated by the real time.

mod connection;
mod host;
mod listener;
mod network;
mod pipe;
mod route;
#[cfg(test)]
mod tests;

#[cfg(feature = "tls")]
pub(crate) use connection::Waiting;
pub use host::Host;
pub use listener::Listener;
pub use network::{Network, Traffic};
pub use pipe::Pipe;
pub(crate) use pipe::{ReadHalf, WriteHalf};
