//! The measurements, each made in a process of its own.

mod accept;
mod bridge;
mod groups;
mod large;
mod links;
mod local;
mod many;
mod monitors;
mod nodes;

use std::time::Instant;

use serde_json::{Value, json};

use crate::child::{Linked, Setup, Who, rate};
use crate::failure::Failure;
use crate::node::say;

/// A measurement, or one of its other processes.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// What is measured
    #[arg(long)]
    row: String,
    /// How many
    #[arg(long)]
    size: u64,
    /// Where to connect to
    #[arg(long)]
    address: Option<String>,
    /// A key and certificates in PEM
    #[arg(long, value_name = "PEM", allow_hyphen_values = true)]
    cert: Option<String>,
}

impl Options {
    /// The threads of its runtime: meshes have both processors.
    pub fn threads(&self) -> usize {
        match &*self.row {
            "mesh" | "globals" => 2,
            _ => 1,
        }
    }
}

/// Measures, and says what came of it.
pub async fn play(options: Options) -> Result<(), Failure> {
    let size = options.size as usize;
    let answer = match &*options.row {
        "register" => groups::register(size, false).await?,
        "register-followed" => groups::register(size, true).await?,
        "join-1" => groups::join(size, 1).await?,
        "join-2" => groups::join(size, 2).await?,
        "db-change" => groups::db_change(size).await?,
        "monitors" => monitors::measure(size).await?,
        "mesh" => many::mesh(size).await?,
        "globals" => many::globals(size).await?,
        "links-1" => links::measure(size, 1).await?,
        "links-2" => links::measure(size, 2).await?,
        "links-open" => return links::open(&options, size).await,
        "members" => groups::message_to_members(size).await?,
        "large" => large::measure(size).await?,
        "large-receiver" => return large::receive(size).await,
        "cal" => tokio::task::spawn_blocking(move || cal(size)).await??,
        "local" => local::measure(size).await?,
        "bridge" => bridge::measure(size).await?,
        "accept" => tokio::task::spawn_blocking(move || accept::measure(size)).await??,
        "accept-bare" => return accept::serve_bare(&options).await,
        "accept-open" => return accept::open_bare(&options, size).await,
        other => return Err(format!("{other} is not known").into()),
    };
    say(&answer);
    Ok(())
}

/// Calls to another process.
fn cal(callers: usize) -> Result<Value, Failure> {
    let mut linked = Linked::start(&Who::own()?, Setup::default())?;
    let count = if callers == 1 { 40_000 } else { 400_000 };
    let answer = linked.ask(json!({"do": "cal", "count": count, "callers": callers}))?;
    Ok(json!({"rate": rate(&answer)}))
}

/// The time since `start`, in milliseconds.
fn millis(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}
