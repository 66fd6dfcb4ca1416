//! What the rivals share: the message and the times are `aemp-bench`'s own, and the commands are
//! those that its nodes take, in lines of JSON.
//!
//! A rival is started as `ROLE ADDRESS [VARIANT]`. A server says `{"ready":true,"address":..}` when
//! it can be reached; a client and a process that measures within itself carry out commands. All of
//! them end with their standard input.

#[path = "../../../src/bin/aemp-bench/failure.rs"]
pub mod failure;
#[path = "../../../src/bin/aemp-bench/message.rs"]
pub mod message;
#[path = "../../../src/bin/aemp-bench/stats.rs"]
pub mod stats;

use std::io::Write as _;
use std::time::Duration;

pub use failure::Failure;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

/// How many messages a sender is ahead, at most, where its library sets no bound: so many
/// acknowledgements of [`EACH`] messages are awaited.
pub const AHEAD: u64 = 8;
/// The receiver acknowledges each so many messages.
pub const EACH: u64 = 4096;

/// What a process is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Takes messages.
    Server,
    /// Sends them.
    Client,
    /// Does both.
    Local,
}

/// The command line.
#[derive(Debug, Clone)]
pub struct Arguments {
    /// What the process is to be.
    pub role: Role,
    /// Where the server is or is to be: an address of 127.0.0.1 with its port.
    pub address: String,
    /// Which of several ways to do it.
    pub variant: Option<String>,
}

impl Arguments {
    /// Those of this process.
    ///
    /// # Errors
    ///
    /// There is no such role, or no address.
    pub fn read() -> Result<Self, Failure> {
        let mut all = std::env::args().skip(1);
        let role = match all.next().as_deref() {
            Some("server") => Role::Server,
            Some("client") => Role::Client,
            Some("local") => Role::Local,
            _ => return Err("usage: server|client|local ADDRESS [VARIANT]".into()),
        };
        Ok(Self {
            role,
            address: all.next().ok_or("an address is missing")?,
            variant: all.next(),
        })
    }

    /// The port of the address.
    ///
    /// # Errors
    ///
    /// The address has none.
    pub fn port(&self) -> Result<u16, Failure> {
        let port = self.address.rsplit(':').next().unwrap_or_default();
        Ok(port.parse()?)
    }
}

/// Prints a line.
pub fn say(value: &Value) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{value}").and_then(|()| out.flush());
}

/// Says that a server is ready, and with what else its clients are to be told.
pub fn ready(address: &str, more: &[(&str, &str)]) {
    let mut ready = json!({"ready": true, "address": address});
    for (name, value) in more {
        ready[*name] = json!(value);
    }
    say(&ready);
}

/// A command.
#[derive(Debug, Clone, Default)]
pub struct Command(Value);

impl Command {
    /// Reads a line.
    ///
    /// # Errors
    ///
    /// It is no JSON.
    pub fn new(line: &str) -> Result<Self, Failure> {
        Ok(Self(serde_json::from_str(line)?))
    }

    /// What is to be done.
    pub fn what(&self) -> &str {
        self.text("do")
    }

    /// How many times.
    ///
    /// # Errors
    ///
    /// It does not say.
    pub fn count(&self) -> Result<u64, Failure> {
        Ok(self.0["count"].as_u64().ok_or("no count")?)
    }

    /// How many at a time; one if it does not say.
    pub fn callers(&self) -> u64 {
        self.0["callers"].as_u64().unwrap_or(1)
    }

    /// The text of its messages.
    pub fn message(&self) -> String {
        let size = self.0["size"].as_u64().unwrap_or(0);
        message::text(usize::try_from(size).unwrap_or_default())
    }

    /// A text that the server told of.
    pub fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }
}

/// The answer to a command that did something so many times.
pub fn answer(count: u64, elapsed: Duration) -> Value {
    json!({"count": count, "seconds": elapsed.as_secs_f64()})
}

/// The answer to a command that is not known.
///
/// # Errors
///
/// Always: what is not known is a fault.
pub fn unknown(command: &Command) -> Result<Value, Failure> {
    Err(format!("{} is not known", command.what()).into())
}

/// Says what came of a command.
pub fn conclude(outcome: Result<Value, Failure>) {
    say(&outcome.unwrap_or_else(|error| json!({"error": error.to_string()})));
}

/// The commands of standard input, read by a thread of their own. The process ends with them,
/// whatever it still waits for.
pub fn commands() -> mpsc::UnboundedReceiver<Command> {
    let (tell, told) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if tell.send(Command::new(&line).unwrap_or_default()).is_err() {
                break;
            }
        }
        std::process::exit(0);
    });
    told
}

/// Waits for the end of standard input.
pub async fn until_input_ends() {
    let (tell, told) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _tell = tell;
        for _ in std::io::stdin().lines().map_while(Result::ok) {}
    });
    let _ = told.await;
}

/// Runs it as a task on one thread, as the nodes of this crate are measured: two processes share a
/// machine of two processors.
///
/// # Errors
///
/// Those of the work, and the system's.
pub fn run(
    work: impl Future<Output = Result<(), Failure>> + Send + 'static,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build()?;
    runtime.block_on(async { tokio::spawn(work).await? })
}

/// Messages that a receiver has not acknowledged yet.
#[derive(Debug)]
pub struct Window<T> {
    sent: u64,
    count: u64,
    awaited: std::collections::VecDeque<T>,
}

impl<T> Window<T> {
    /// For so many messages.
    pub fn new(count: u64) -> Self {
        Self {
            sent: 0,
            count,
            awaited: std::collections::VecDeque::new(),
        }
    }

    /// Counts the next message: is it to be acknowledged?
    pub fn next(&mut self) -> bool {
        self.sent += 1;
        self.sent.is_multiple_of(EACH) || self.sent == self.count
    }

    /// Awaits this acknowledgement as well. The one to wait for before anything else is sent, if
    /// there is one.
    pub fn push(&mut self, acknowledgement: T) -> Option<T> {
        self.awaited.push_back(acknowledgement);
        match self.awaited.len() as u64 > AHEAD {
            true => self.awaited.pop_front(),
            false => None,
        }
    }

    /// The acknowledgements that are still awaited, in their order.
    pub fn rest(self) -> impl Iterator<Item = T> {
        self.awaited.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_bounded_and_ends_with_the_last_message() {
        let count = EACH * (AHEAD + 2) + 5;
        let mut window = Window::new(count);
        let (mut asked, mut waited) = (0_u64, Vec::new());
        for _ in 0..count {
            if window.next() {
                asked += 1;
                waited.extend(window.push(asked));
            }
        }
        assert_eq!(asked, AHEAD + 3, "one for each part, and one for the rest");
        assert_eq!(waited, [1, 2, 3]);
        assert_eq!(
            window.rest().collect::<Vec<_>>(),
            (4..=asked).collect::<Vec<_>>()
        );
    }

    #[test]
    fn commands_say_what_and_how_much() {
        let command = Command::new(r#"{"do":"oneway","count":7,"size":3,"echo":"x"}"#).unwrap();
        assert_eq!((command.what(), command.count().unwrap()), ("oneway", 7));
        assert_eq!(
            (command.message().as_str(), command.text("echo")),
            ("xxx", "x")
        );
        assert_eq!(command.callers(), 1);
        assert!(Command::new("{}").unwrap().count().is_err());
    }
}
