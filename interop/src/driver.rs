//! A node in a process of its own, driven over its standard input and output (`DRIVER.md`).

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::fault::{Fault, Result, short};
use crate::peers::Generation;
use crate::process::{Process, Usage};
use crate::transcript::Transcript;

/// One event or answer from a driver, as its JSON.
pub type Event = Value;

#[derive(Debug, Default)]
struct Inbox {
    events: Vec<Event>,
    answers: HashMap<u64, Value>,
    ended: bool,
}

#[derive(Debug, Default)]
struct Shared {
    inbox: Mutex<Inbox>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A driver process and what it has said. Dropping it kills the process.
#[derive(Debug)]
pub struct Node {
    name: String,
    process: Mutex<Process>,
    stdin: Mutex<Option<ChildStdin>>,
    shared: Arc<Shared>,
    transcript: Transcript,
    next: AtomicU64,
    limit: Duration,
    hello: Value,
    generation: Option<Generation>,
}

impl Node {
    /// Starts the driver `command` as the node `name` and waits for its hello.
    pub fn start(
        name: &str,
        command: Command,
        log: std::fs::File,
        transcript: &Transcript,
        limit: Duration,
    ) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut process =
            Process::start(command, log).map_err(Fault::io(format!("start {program}")))?;
        let stdin = process.child().stdin.take();
        let stdout = process.child().stdout.take();
        let shared = Arc::new(Shared::default());
        if let Some(stdout) = stdout {
            let (shared, transcript, name) =
                (Arc::clone(&shared), transcript.clone(), name.to_owned());
            std::thread::spawn(move || {
                read_all(BufReader::new(stdout), &shared, &transcript, &name)
            });
        }
        let mut node = Self {
            name: name.to_owned(),
            process: Mutex::new(process),
            stdin: Mutex::new(stdin),
            shared,
            transcript: transcript.clone(),
            next: AtomicU64::new(1),
            limit,
            hello: Value::Null,
            generation: None,
        };
        node.hello = node.wait("its hello", |e| e["ev"] == "hello")?;
        Ok(node)
    }

    /// Has it speak this generation, unless its configuration says otherwise.
    pub fn speaking(mut self, generation: Option<Generation>) -> Self {
        self.generation = generation;
        self
    }

    /// The generation that it is to speak, if it has to be told.
    pub fn generation(&self) -> Option<Generation> {
        self.generation
    }

    /// The name the scenario gave it, which is also its node ID.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Does the driver say that it has this (optional) ability?
    pub fn has(&self, feature: &str) -> bool {
        self.hello["features"]
            .as_array()
            .is_some_and(|list| list.iter().any(|f| f == feature))
    }

    /// Is it the Perl driver?
    pub fn is_perl(&self) -> bool {
        self.hello["driver"] == "perl"
    }

    /// How long waits last.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Sends a command without waiting for the answer; [`Node::answer`] takes it.
    pub fn send(&self, command: &str, args: &Value) -> Result<u64> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let line = json!({ "id": id, "cmd": command, "args": args });
        self.transcript.write(&self.name, "command", &line);
        let mut guard = self.stdin.lock().unwrap_or_else(PoisonError::into_inner);
        let written = match guard.as_mut() {
            Some(stdin) => stdin.write_all(format!("{line}\n").as_bytes()).is_ok(),
            None => false,
        };
        drop(guard);
        if written {
            Ok(id)
        } else {
            Err(self.ended(&format!("command {command}")))
        }
    }

    /// Waits for the answer to a command that was sent.
    pub fn answer(&self, id: u64, command: &str) -> Result<Value> {
        let answer = self.until(
            &format!("answer to command {command}"),
            self.limit,
            |inbox| inbox.answers.remove(&id),
        )?;
        match answer.get("err") {
            Some(text) => Err(Fault::Command {
                node: self.name.clone(),
                command: command.to_owned(),
                text: text
                    .as_str()
                    .map_or_else(|| text.to_string(), str::to_owned),
            }),
            None => Ok(answer["ok"].clone()),
        }
    }

    /// Sends a command and waits for its answer.
    pub fn call(&self, command: &str, args: Value) -> Result<Value> {
        let id = self.send(command, &args)?;
        self.answer(id, command)
    }

    /// Waits for the first event, among those not yet taken, that `good` accepts, and takes it.
    pub fn wait(&self, what: &str, good: impl FnMut(&Event) -> bool) -> Result<Event> {
        self.wait_for(what, self.limit, good)
    }

    /// [`Node::wait`] with its own limit.
    pub fn wait_for(
        &self,
        what: &str,
        limit: Duration,
        mut good: impl FnMut(&Event) -> bool,
    ) -> Result<Event> {
        self.until(what, limit, |inbox| {
            let at = inbox.events.iter().position(&mut good)?;
            Some(inbox.events.remove(at))
        })
    }

    /// The events not yet taken that `good` accepts; takes none and waits for none.
    pub fn pending(&self, good: impl Fn(&Event) -> bool) -> Vec<Event> {
        self.shared
            .lock()
            .events
            .iter()
            .filter(|e| good(e))
            .cloned()
            .collect()
    }

    /// Takes all events not yet taken that `good` accepts; waits for none.
    pub fn take(&self, good: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut inbox = self.shared.lock();
        let (taken, kept) = std::mem::take(&mut inbox.events)
            .into_iter()
            .partition(|e| good(e));
        inbox.events = kept;
        taken
    }

    fn until<T>(
        &self,
        what: &str,
        limit: Duration,
        mut take: impl FnMut(&mut Inbox) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + limit;
        let mut inbox = self.shared.lock();
        loop {
            if let Some(value) = take(&mut inbox) {
                return Ok(value);
            }
            if inbox.ended {
                drop(inbox);
                return Err(self.ended(&format!("waiting for {what}")));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let seen = match &inbox.events[..] {
                    [] => String::new(),
                    events => {
                        let last: Vec<String> = events
                            .iter()
                            .rev()
                            .take(3)
                            .map(|e| short(&e.to_string()))
                            .collect();
                        format!("; not taken so far, newest first: {}", last.join("  "))
                    }
                };
                return Err(Fault::Timeout {
                    what: format!("{}: {what}", self.name),
                    seconds: limit.as_secs_f64(),
                    seen,
                });
            }
            inbox = self
                .shared
                .changed
                .wait_timeout(inbox, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn ended(&self, what: &str) -> Fault {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let status = process.wait(Duration::from_secs(2));
        let status = status.map_or_else(
            || "its output ended, it runs on".to_owned(),
            |s| s.to_string(),
        );
        Fault::Ended {
            node: self.name.clone(),
            what: what.to_owned(),
            status,
        }
    }

    /// Kills the process with SIGKILL and waits for its end.
    pub fn kill9(&self) -> Result<()> {
        self.signal(Signal::SIGKILL);
        self.gone("SIGKILL")
    }

    /// Asks the driver to end and waits for it: its connections close in order.
    pub fn quit(&self) -> Result<()> {
        let id = self.send("quit", &json!({}))?;
        let _ = self.answer(id, "quit");
        self.gone("command quit")
    }

    fn gone(&self, why: &str) -> Result<()> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        match process.wait(self.limit) {
            Some(_) => Ok(()),
            None => Err(Fault::Unexpected(format!(
                "{} did not end after {why}",
                self.name
            ))),
        }
    }

    /// What its process has used so far. None if it has ended.
    pub fn usage(&self) -> Option<Usage> {
        self.process
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .usage()
    }

    /// Sends a signal (SIGSTOP, SIGCONT, SIGTERM ...).
    pub fn signal(&self, signal: Signal) {
        self.transcript
            .write(&self.name, "signal", &json!(signal.as_str()));
        self.process
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .signal(signal);
    }
}

/// Reads a driver's output to its end.
fn read_all(mut out: impl BufRead, shared: &Shared, transcript: &Transcript, name: &str) {
    let mut line = String::new();
    loop {
        line.clear();
        match out.read_line(&mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let said = match serde_json::from_str::<Value>(&line) {
            Ok(said) => said,
            Err(e) => {
                json!({ "ev": "fault", "text": format!("not JSON ({e}): {}", line.trim_end()) })
            }
        };
        transcript.write(name, "said", &said);
        let mut inbox = shared.lock();
        match said["id"].as_u64() {
            Some(id) => {
                inbox.answers.insert(id, said);
            }
            None => inbox.events.push(said),
        }
        drop(inbox);
        shared.changed.notify_all();
    }
    shared.lock().ended = true;
    shared.changed.notify_all();
}
