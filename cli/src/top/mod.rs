//! `aemp top`: the network, live: a screen at a terminal, else a table after the other.

mod plain;
mod screen;
mod state;
mod tables;
mod terminal;
mod units;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use aemp::Node;
use tokio::time::{Instant, sleep_until};

use crate::ask::unreached;
use crate::client::join;
use crate::system::Signals;
use crate::view::{Look, Place, Watch};
use crate::{Failure, output};

/// What is asked for.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Seconds from one look to the next
    #[arg(short, long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    interval: Duration,
    /// Write so many tables and end, also at a terminal
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

pub(crate) const HELP: &str = "\
Keys: q ends; s, S sort the nodes by the next or previous column, r the other way round; Tab, or 1 to \
4, shows links, groups, ports that died, links that were lost; arrows, Page Up and Page Down scroll; \
p pauses.

What is shown is what nodes say of themselves, nodes of this crate all of it, Perl's their ports and \
links; `-` is what nobody says. With --json, one object for each look, as docs/live.md says.

Examples: aemp top
          aemp top --count 1
          aemp top --json --interval 60 >> network.jsonl";

/// How long to wait for somebody to look at.
const LIMIT: Duration = Duration::from_secs(5);

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number is wanted".to_owned())?;
    match (0.5..=86_400.0).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err("between 0.5 and 86400 is wanted".to_owned()),
    }
}

impl Options {
    /// Whether there will be a screen, on which no line of a log may be written.
    pub(crate) fn has_screen(&self) -> bool {
        let at_terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
        at_terminal && self.count.is_none() && !output::is_json()
    }
}

pub(crate) async fn top(options: Options) -> Result<(), Failure> {
    let node = join().await?;
    let result = match options.has_screen() {
        true => terminal::run(&node, options.interval).await,
        false => lines(&node, &options).await,
    };
    node.shutdown().await;
    result
}

/// Writes what is seen as lines, until a signal comes.
async fn lines(node: &Node, options: &Options) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    tokio::select! {
        _ = signals.end() => Ok(()),
        ended = looks(node, options) => ended,
    }
}

async fn looks(node: &Node, options: &Options) -> Result<(), Failure> {
    let mut watch = Watch::new(node, Place::Observer);
    let begun = Instant::now();
    watch.look().await;
    while watch.is_alone() {
        if begun.elapsed() > LIMIT {
            let failure = format!("no node was found within {LIMIT:?}");
            return Err(unreached(node, failure));
        }
        sleep_until(Instant::now() + Duration::from_millis(50)).await;
        watch.look().await;
    }
    // Rates are of the time from one look to the next: so the first to be shown is the second.
    let mut next = Instant::now();
    for at in 0.. {
        next += options.interval;
        sleep_until(next).await;
        let Look { view, .. } = watch.look().await;
        match output::is_json() {
            true => output::line(serde_json::to_string(&view)?)?,
            false if at == 0 => output::print(&plain::text(&view))?,
            false => output::print(&format!("\n{}", plain::text(&view)))?,
        }
        if options.count.is_some_and(|count| at + 1 >= count) {
            break;
        }
    }
    Ok(())
}
