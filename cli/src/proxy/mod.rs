//! `aemp proxy`: a relay between nodes that shows what passes, while it does.

mod filter;
mod printer;
mod statistics;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aemp::proto::{Limits, Secret};
use parking_lot::Mutex;
use serde_json::json;

use crate::dump::{Chunk, Decoder, Direction, Event, Rules, Stopped, What, printable};
use crate::relay::{self, Passing, Side, Watch};
use crate::{Failure, output};
use filter::Filter;
use printer::Printer;
use statistics::Statistics;

pub(crate) const HELP: &str = concat!(
    "Have the one node connect to LISTEN in place of TARGET, where the other one listens. A line for \
     each message: seconds since the connection began, its number, the nodes, the port, what the \
     message means, its elements. Then and now a line of rates, and statistics at the end, with SIGINT \
     or SIGTERM. What can't be decoded is passed on as it is, and that is said once.\n\n\
     --node, --port and --tag choose messages; what is given several times may be any of them, and * at \
     the end stands for anything. The statistics are of what was chosen. Lines are left out rather \
     than hold the nodes up, if the output is too slow for them; that is said, too.\n\n",
    relay::tls_help!(),
    "\n\nExamples: aemp proxy 127.0.0.1:4041 127.0.0.1:4040 --port 'ruth#log'\n",
    "          aemp proxy 127.0.0.1:4041 127.0.0.1:4040 --cert network.pem --json",
);

/// So many octets of a side are kept while the other one has not greeted. A handshake has fewer.
const MOST_WAITING: usize = 64 * 1024;

/// The options of the command.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    relay: relay::Options,
    #[command(flatten)]
    filter: filter::Options,
    /// The secret of the network, by which every token is checked
    #[arg(long, value_name = "TEXT")]
    secret: Option<String>,
    /// Show no messages, only rates and the statistics
    #[arg(long)]
    summary: bool,
    /// Show messages in full, however long they are, in plain lines too
    #[arg(long)]
    full: bool,
    /// Say the rates so often, in seconds; 0: not at all
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    every: u64,
    /// Keep so much of messages that are not complete, of all connections, in MiB: what needs more
    /// is not decoded
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    max_memory: usize,
}

/// What all connections have in common.
struct Shared {
    filter: Filter,
    rules: Rules,
    printer: Printer,
    statistics: Mutex<Statistics>,
    /// So many octets of messages are kept that are not complete.
    held: AtomicUsize,
    max_memory: usize,
    connections: AtomicU64,
    shows_messages: bool,
    is_full: bool,
}

/// The command.
pub(crate) async fn proxy(options: Options) -> Result<(), Failure> {
    let (printer, failed) = Printer::start()?;
    let shared = Arc::new(Shared {
        filter: Filter::new(options.filter),
        rules: Rules {
            secret: options.secret.as_deref().map(Secret::from_perl),
            limits: Limits::default(),
            most_waiting: MOST_WAITING,
        },
        printer,
        statistics: Mutex::new(Statistics::new(Instant::now())),
        held: AtomicUsize::new(0),
        max_memory: options.max_memory << 20,
        connections: AtomicU64::new(0),
        shows_messages: !options.summary,
        is_full: options.full,
    });
    let serving = relay::serve(&options.relay, "shows", |from| {
        Ok(View::begin(from, shared.clone()))
    });
    tokio::select! {
        served = serving => served?,
        Ok(error) = failed => return Err(error.into()),
        () = tell_rates(&shared, options.every) => {}
    }
    let said = shared.statistics.lock().all(Instant::now());
    said.into_iter().for_each(|line| shared.printer.say(line));
    Ok(shared.printer.finish()?)
}

/// Says the rates now and then.
async fn tell_rates(shared: &Shared, every: u64) {
    if every == 0 {
        return std::future::pending().await;
    }
    let mut ticks = tokio::time::interval(Duration::from_secs(every));
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let said = shared.statistics.lock().rates(Instant::now());
        if let Some(line) = said {
            shared.printer.say(line);
        }
    }
}

/// A connection that is watched.
struct View {
    shared: Arc<Shared>,
    number: u64,
    begun: Instant,
    decoder: Decoder,
    held: Held,
    /// Of which directions it was said that nothing further is decoded.
    said_stopped: [bool; 2],
}

/// What a connection keeps of the memory for all of them.
struct Held {
    shared: Arc<Shared>,
    octets: usize,
}

impl Held {
    /// Keeps so much from now on. Says whether there is room for it.
    fn set(&mut self, octets: usize) -> bool {
        let all = &self.shared.held;
        let before = all.fetch_add(octets, Ordering::Relaxed);
        all.fetch_sub(self.octets, Ordering::Relaxed);
        let others = before - self.octets;
        self.octets = octets;
        octets == 0 || others + octets <= self.shared.max_memory
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.held.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

impl View {
    fn begin(from: SocketAddr, shared: Arc<Shared>) -> Self {
        let number = shared.connections.fetch_add(1, Ordering::Relaxed) + 1;
        shared.statistics.lock().connected();
        let view = View {
            decoder: Decoder::new(shared.rules.clone()),
            held: Held {
                shared: shared.clone(),
                octets: 0,
            },
            shared,
            number,
            begun: Instant::now(),
            said_stopped: [false; 2],
        };
        view.say("begins", format_args!("from {from}"));
        view
    }

    /// Says something about the connection.
    fn say(&self, state: &str, text: impl std::fmt::Display) {
        let (number, at) = (self.number, self.begun.elapsed().as_secs_f64());
        let text = text.to_string();
        self.shared.printer.say(match output::is_json() {
            true => json!({
                "kind": "connection", "conn": number, "at": rounded(at), "state": state, "text": text,
            })
            .to_string(),
            false => printable(&format!("{at:9.4} {number} {state}: {text}")),
        });
    }

    /// Shows something that was decoded, if it is chosen.
    fn show(&self, event: &Event) {
        let other = match event.direction {
            Direction::Forth | Direction::Alone => Direction::Back,
            Direction::Back => Direction::Forth,
        };
        let from = self.decoder.node(event.direction).unwrap_or("?");
        let to = self.decoder.node(other).unwrap_or("?");
        let shared = &self.shared;
        let What::Message {
            port,
            message,
            meaning,
            octets,
        } = &event.what
        else {
            if event.is_open() {
                shared.statistics.lock().undecoded();
            }
            // Faults are for everybody to see.
            if event.is_open() || shared.shows_messages && shared.filter.takes_others(from, to) {
                shared.printer.say(match output::is_json() {
                    true => event.json(None, self.number).to_string(),
                    false => event.text(self.number),
                });
            }
            return;
        };
        let tag = message.tag();
        let tag = tag.as_deref();
        if !shared.filter.takes(from, to, port, tag) {
            return;
        }
        let mut statistics = shared.statistics.lock();
        statistics.message(from, to, port, tag, *octets);
        drop(statistics);
        if !shared.shows_messages {
            return;
        }
        let at = event.when.at.unwrap_or_default();
        shared.printer.say(match output::is_json() {
            true => json!({
                "kind": "message", "conn": self.number, "at": rounded(at), "from": from, "to": to,
                "port": port, "tag": tag, "meaning": meaning, "octets": octets,
                "message": message.values(),
            })
            .to_string(),
            false => {
                let name = if port.is_empty() { "node port" } else { port };
                let (text, number) = (message.to_json(), self.number);
                let shown = match shared.is_full {
                    true => Cow::from(&*text),
                    false => filter::cut(&text),
                };
                let begin = format!("{at:9.4} {number} {from} > {to} {name}");
                printable(&format!("{begin}: {meaning}: {shown}"))
            }
        });
    }

    /// Says once that a direction is not decoded any further.
    fn say_stopped(&mut self, direction: Direction) {
        let Some(stopped) = self.decoder.stopped(direction) else {
            return;
        };
        let place = usize::from(direction == Direction::Back);
        // Both sides go over to TLS together.
        let is_said = match stopped {
            Stopped::Tls => std::mem::replace(&mut self.said_stopped, [true; 2])[place],
            Stopped::Fault => std::mem::replace(&mut self.said_stopped[place], true),
        };
        if is_said {
            return;
        }
        let node = self.decoder.node(direction).unwrap_or("this side");
        match stopped {
            Stopped::Tls => self.say("TLS", "passed on as it is, and can't be read (see --cert)"),
            Stopped::Fault => {
                let text = format!("what {node} says from here on is passed on as it is");
                self.say("not decoded", text);
            }
        }
    }
}

impl Watch for View {
    fn passes(&mut self, what: Passing<'_>) -> Result<(), String> {
        if what.octets.is_empty() {
            return Ok(());
        }
        let direction = match what.from {
            Side::Connector => Direction::Forth,
            Side::Target => Direction::Back,
        };
        self.shared.statistics.lock().passed(what.octets.len());
        let events = self.decoder.feed(&Chunk {
            at: Some(self.begun.elapsed().as_secs_f64()),
            direction,
            octets: what.octets.to_vec(),
            inside_tls: what.inside_tls,
        });
        events.iter().for_each(|event| self.show(event));
        if !self.held.set(self.decoder.held()) {
            self.say("too long", "a message needs more than --max-memory");
            self.decoder.give_up(direction);
            self.held.set(self.decoder.held());
        }
        self.say_stopped(direction);
        Ok(())
    }

    fn ended(mut self, how: &str) -> Result<(), Failure> {
        let events = self.decoder.finish();
        events.iter().for_each(|event| self.show(event));
        self.say("ends", how);
        Ok(())
    }
}

/// Seconds, to a tenth of a millisecond.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1e4).round() / 1e4
}
