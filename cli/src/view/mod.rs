//! The network as it is by now, for whoever watches it: `aemp top`, and the page of `aemp run ..
//! http HOST:PORT`.
//!
//! ```text
//! nodes of the network -> Watch -> Network -> View, Graph -> screen, tables, JSON, page
//!                        (asks)    (pure)
//! ```
//!
//! Nodes of this crate say all of it in one call (`aemp::report`). Perl's are asked to evaluate an
//! expression, or, if they do not, for those that they are connected to. Nothing is asked as long
//! as nobody looks.

mod answer;
mod network;
mod shape;
mod watch;

pub(crate) use shape::{DeathView, GroupView, LinkView, LossView, NodeView, Rate, View};
pub(crate) use watch::{Look, Place, Watch};
