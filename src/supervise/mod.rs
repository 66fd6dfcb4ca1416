//! Supervisors: ports that keep other ports alive.
//!
//! AnyEvent::MP's tutorial leaves to the reader what to do when a port dies that is needed. This is
//! an answer in the manner of Erlang/OTP: a [`Supervisor`] starts its children, monitors them, and
//! starts them again when they die; and when that does not help it dies itself, with a reason that
//! says why, so that whoever supervises *it* can start the whole anew.
//!
//! ```text
//!                    Supervisor "main" (rest_for_one)         a port: monitor it, link it, kill it
//!                    ┌───────┼──────────────┐
//!               start, in this order  ───────────▶
//!                    │       │              │
//!               "store"   "cache"      Supervisor "workers" (one_for_one)
//!               a local    a local         ┌────┴─────┐
//!               port       port          "w1"       "w2"
//!               ◀───────────  stop         ┊          ┊
//!                                       on a node  on a node    remote: spawned where the group
//!                                       of the group "workers"  has members, moved when a node dies
//! ```
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use aemp::{Node, Supervisor};
//! use aemp::supervise::{Child, on_group};
//!
//! let node = Node::local();
//! let supervisor = Supervisor::builder("main")
//!     .child(Child::local("counter", |cx| {
//!         let port = cx.port();
//!         port.rcv("divide", |_, (a, b): (i64, i64)| println!("{}", a / b));
//!         port
//!     }))
//!     .start(&node)?;
//! supervisor.ready().await?;
//! let counter = || supervisor.child("counter").unwrap();
//!
//! let first = counter().port.unwrap();
//! node.snd(&first, &("divide", 1, 0))?; // panics, so the port dies
//! supervisor.wait_for(|_| counter().restarts == 1).await?;
//! assert_eq!(counter().last_reason.unwrap().to_string(), "die attempt to divide by zero");
//! # Ok(()) }
//! ```
//!
//! # Deaths
//!
//! A child lives as long as its port; a failed start counts as a death. Whether it is started again
//! is up to its [`Restart`] kind: *permanent* always, *transient* after an abnormal end, that is
//! one with a reason, *temporary* never. What happens to its siblings is up to the [`Strategy`].
//! When there have been too many restarts within a time, over all children (see [`Intensity`]), the
//! supervisor gives up: it stops its children and dies with a reason such as `["supervisor", "gave
//! up: child db was restarted 3 times within 5 s, last reason: die oops"]`. Before each restart
//! there is a wait that grows from death to death (see [`Backoff`]); under one_for_all the whole
//! group waits.
//!
//! # The order
//!
//! Children are started one after the other in the order in which they were added, and stopped in
//! reverse; the next one is stopped when the end of the one before was seen, or its
//! [time](Child::stop_limit) is up. Under rest_for_one and one_for_all a child is not started as
//! long as one before it should run and does not. Under one_for_one children are independent: the
//! order holds for their first starts, and a child that failed or waits for a node keeps no other
//! one from starting.
//!
//! # Stopping
//!
//! A supervisor that is killed dies at once, as any port does; then its children are killed with
//! the same reason, in reverse order. [`Supervisor::ended`] waits for all of that, and so does the
//! supervisor of a nested one. Children that are stopped for other causes are killed with the
//! reason `shutdown` and a text. When the node stops everything on it ends with it.
//!
//! # Where children run
//!
//! A local child is a function that creates a port. A remote one is spawned by a function's name
//! [on a node](on_node) or [on a node of a group](on_group), a Perl one as well. While there is
//! none the start waits: it looks again when the group or the node changes, and now and then
//! besides; that counts as no restart, but after several tries there is a warning. When the node
//! dies the child's end has the reason `transport_error`; when the function is not there, mostly
//! `no_such_port`. Both are abnormal ends, and the next start takes another node if it can. The
//! guarantee is that of monitors: a node that can't be reached may still run the old port, see
//! [`Child::spawn_with`].
//!
//! # Looking
//!
//! [`Supervisor::children`] tells how they are, [`Supervisor::events`] what happens to them. The
//! log (see [`crate::log`]) has abnormal ends as warnings.

mod backoff;
mod builder;
mod child;
mod core;
mod events;
mod handle;
mod info;
mod intensity;
mod place;
mod shell;
mod start;
mod strategy;
mod table;
mod terms;

pub use backoff::Backoff;
pub use builder::Builder;
pub use child::{Child, ChildPort, IntoChildPort};
pub use events::{SupervisorEvent, SupervisorEvents};
pub use handle::Supervisor;
pub use info::{ChildInfo, ChildState, SuperviseError};
pub use intensity::Intensity;
pub use place::{Place, on_group, on_node};
pub use strategy::{Restart, Strategy};
