//! A program that runs.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use aemp::{Members, Monitor, Node, Port, PortId, Reason, SendError};
use bytes::BytesMut;
use parking_lot::Mutex;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::codec::Decoder as _;
use tokio_util::sync::CancellationToken;

use super::input::{self, Input};
use super::lines::{LineError, Requests};
use super::request::{Args, Request};
use super::{Ended, Program, process};

/// How long what a program started may hold its output open after it has ended.
const LINGER: Duration = Duration::from_millis(500);

/// For how long a message of a program waits for room. Then it is sent all the same: two programs
/// that wait for each other would wait for ever.
const ROOM: Duration = Duration::from_secs(5);

pub(super) struct Running {
    requests: Performer,
    child: Child,
    output: Output,
    input: Arc<Input>,
    /// Somebody killed the port.
    killed: oneshot::Receiver<Reason>,
}

/// What the program writes.
struct Output {
    pipe: ChildStdout,
    octets: BytesMut,
    requests: Requests,
}

impl Output {
    /// The next request; `None` when there are no more.
    async fn next(&mut self) -> Result<Option<Request>, LineError> {
        loop {
            if let Some(request) = self.requests.decode(&mut self.octets)? {
                return Ok(Some(request));
            }
            if self.pipe.read_buf(&mut self.octets).await? == 0 {
                return self.requests.decode_eof(&mut self.octets);
            }
        }
    }
}

/// Carries out what the program asks for.
struct Performer {
    node: Node,
    port: Port,
    /// What to be told begins with, and no message of anybody else.
    cookie: String,
    /// Those that have not fired.
    monitors: Arc<Mutex<HashMap<PortId, Monitor>>>,
    groups: HashSet<String>,
    /// What waits for something on behalf of the program.
    waiting: JoinSet<()>,
}

impl Running {
    pub(super) fn begin(
        node: &Node,
        port: &Port,
        program: Program,
        max_line: usize,
    ) -> io::Result<Running> {
        let mut child = process::begin(&program, port.id())?;
        let input = Arc::new(Input::new(child.stdin.take()));
        let missing = || io::Error::other("it has no standard output");
        let output = child.stdout.take().ok_or_else(missing)?;
        if let Some(errors) = child.stderr.take() {
            let name = Path::new(&program.command).file_name();
            let name = name.unwrap_or_default().to_string_lossy().into_owned();
            tokio::spawn(show(name, errors));
        }
        let mut octets = [0u8; 16];
        rand::fill(&mut octets);
        let cookie = aemp::config::alnumbits(&octets);
        let (own, own_cookie) = (input.clone(), cookie.clone());
        port.rcv_any_async(move |_, message| {
            let (input, line) = (own.clone(), input::line(&own_cookie, &message));
            async move { input.write(&line).await }
        });
        let (tell, killed) = oneshot::channel();
        node.mon(port, move |reason| {
            let _ = tell.send(reason);
        });
        Ok(Running {
            requests: Performer {
                node: node.clone(),
                port: port.clone(),
                cookie,
                monitors: Arc::default(),
                groups: HashSet::new(),
                waiting: JoinSet::new(),
            },
            child,
            output: Output {
                pipe: output,
                octets: BytesMut::new(),
                requests: Requests::new(max_line),
            },
            input,
            killed,
        })
    }

    /// Until it has ended: by itself, with its port, or because it is told to.
    pub(super) async fn run(mut self, ending: CancellationToken) -> Ended {
        let done = {
            let (child, requests) = (&mut self.child, &mut self.requests);
            tokio::select! {
                done = follow(child, &mut self.output, requests) => done,
                reason = &mut self.killed => Done::Killed(reason.unwrap_or_default()),
                () = ending.cancelled() => Done::Told,
            }
        };
        let port = self.requests.port.clone();
        let ended = match done {
            Done::Itself(Ok(status)) => Ended {
                reason: process::reason(status),
                status: Some(status),
            },
            Done::Itself(Err(error)) => Ended {
                reason: Reason::new(["program", &error.to_string()]),
                status: None,
            },
            Done::Wrong(error) => {
                let reason = Reason::new(["program", &error.to_string()]);
                port.kil(reason.clone());
                self.end().await;
                Ended {
                    reason,
                    status: None,
                }
            }
            Done::Killed(reason) => {
                self.end().await;
                Ended {
                    reason,
                    status: None,
                }
            }
            Done::Told => {
                self.end().await;
                Ended {
                    reason: Reason::normal(),
                    status: None,
                }
            }
        };
        self.input.close().await;
        port.kil(ended.reason.clone());
        ended
    }

    /// Ends the process. What it still writes goes nowhere, but it must be able to write it.
    async fn end(&mut self) {
        let output = &mut self.output.pipe;
        let drained = async {
            let _ = tokio::io::copy(output, &mut tokio::io::sink()).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = process::end(&mut self.child, &self.input) => {}
            () = drained => {}
        }
    }
}

/// Why there is nothing more to be followed.
enum Done {
    Itself(io::Result<ExitStatus>),
    /// What it wrote can't be used.
    Wrong(LineError),
    Killed(Reason),
    Told,
}

/// Carries out what the program writes, until it has ended.
async fn follow(child: &mut Child, output: &mut Output, requests: &mut Performer) -> Done {
    let mut all = async || -> Result<(), LineError> {
        while let Some(request) = output.next().await? {
            requests.perform(request).await;
        }
        Ok(())
    };
    let mut reading = std::pin::pin!(all());
    let status = tokio::select! {
        read = &mut reading => match read {
            Ok(()) => return Done::Itself(child.wait().await),
            Err(error) => return Done::Wrong(error),
        },
        status = child.wait() => status,
    };
    // What it had written before is still there.
    match timeout(LINGER, reading).await {
        Ok(Err(error)) => Done::Wrong(error),
        Ok(Ok(())) | Err(_) => Done::Itself(status),
    }
}

impl Performer {
    async fn perform(&mut self, request: Request) {
        let node = &self.node;
        match request {
            Request::Send(port, args) => {
                if let Err(error) = self.send(&port, &args).await {
                    self.note(&format!("what it sends to {port} is lost: {error}"));
                }
            }
            Request::Monitor(port) => {
                // A second monitor would tell of one death twice.
                self.unmonitor(&port);
                let (monitors, teller) = (self.monitors.clone(), node.clone());
                let (own, cookie, of) = (self.port.id().clone(), self.cookie.clone(), port.clone());
                let monitor = node.mon(&port, move |reason| {
                    monitors.lock().remove(&of);
                    let mut told: Vec<Value> =
                        vec![cookie.into(), "died".into(), of.as_str().into()];
                    told.extend_from_slice(reason.values());
                    // The node stops, and with it the program.
                    let _ = teller.snd(&own, &told);
                });
                self.monitors.lock().insert(port, monitor);
            }
            Request::Unmonitor(port) => self.unmonitor(&port),
            Request::Kill(port, reason) => match port {
                Some(port) if port.is_node_port() => {
                    self.note(&format!("{port} is a node, and only ports can be killed"));
                }
                Some(port) => node.kil(&port, reason),
                None => self.port.kil(reason),
            },
            Request::Register(group) => drop(node.register(&group, self.port.id())),
            Request::Unregister(group) => node.register(&group, self.port.id()).unregister(),
            Request::Group(group) => self.follow_group(group),
            Request::Spawn(target, function, args) => match node.spawn(&target, &function, &args) {
                Ok(port) => self.tell(&("spawned", port, function)),
                Err(error) => self.note(&format!("{function} is not spawned: {error}")),
            },
            Request::Call(id, port, args) => {
                let (node, own, cookie) =
                    (node.clone(), self.port.id().clone(), self.cookie.clone());
                self.waiting.spawn(async move {
                    let reply = node.cal::<Vec<Box<RawValue>>>(&port, &args, None).await;
                    let told = match reply {
                        Ok(args) => node.snd(&own, &(cookie, "reply", id, args)),
                        Err(error) => {
                            let reason = lost(&error);
                            node.snd(&own, &(cookie, "lost", id, reason))
                        }
                    };
                    // The node stops, and with it the program.
                    let _ = told;
                });
            }
        }
        while self.waiting.try_join_next().is_some() {}
    }

    /// Sends a message at the pace of who receives it.
    async fn send(&self, port: &PortId, args: &Args) -> Result<(), SendError> {
        if port != self.port.id() {
            let sent = timeout(ROOM, self.node.snd_wait(port, args)).await;
            if let Ok(sent) = sent {
                return sent;
            }
        }
        self.node.snd(port, args)
    }

    fn unmonitor(&self, port: &PortId) {
        let old = self.monitors.lock().remove(port);
        if let Some(old) = old {
            old.stop();
        }
    }

    fn tell(&self, what: &(&str, PortId, String)) {
        let (kind, about, more) = what;
        let told = (&self.cookie, kind, about, more);
        // The node stops, and with it the program.
        let _ = self.node.snd(self.port.id(), &told);
    }

    /// Tells the ports in a group, now and whenever they change.
    fn follow_group(&mut self, group: String) {
        if !self.groups.insert(group.clone()) {
            return;
        }
        let (node, own, cookie) = (
            self.node.clone(),
            self.port.id().clone(),
            self.cookie.clone(),
        );
        self.waiting.spawn(async move {
            let mut changes = node.mon_group(&group);
            // Who is there comes as the first change; if nobody is, there is none yet.
            let mut now = tokio::select! {
                biased;
                change = changes.next() => match change {
                    Some(change) => change.members,
                    None => return,
                },
                () = std::future::ready(()) => Members::default(),
            };
            loop {
                let told = node.snd_wait(&own, &(&cookie, "group", &group, &now)).await;
                match changes.next().await {
                    Some(change) if told.is_ok() => now = change.members,
                    _ => return,
                }
            }
        });
    }

    fn note(&self, text: &str) {
        let port = self.port.id();
        tracing::warn!(target: "aemp", level = 2_u8, "the program of {port}: {text}");
    }
}

/// What a call failed of.
fn lost(error: &aemp::CalError) -> Reason {
    match error {
        aemp::CalError::Died(reason) => reason.clone(),
        other => Reason::new(["call", &other.to_string()]),
    }
}

/// Shows what a program writes to its standard error, in the log.
async fn show(name: String, errors: impl AsyncRead + Unpin) {
    /// Of a longer line, the rest is shown as the next one.
    const MOST: u64 = 4096;
    let mut errors = BufReader::new(errors);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut errors).take(MOST).read_until(b'\n', &mut line).await;
        if !matches!(read, Ok(1..)) {
            return;
        }
        let text = String::from_utf8_lossy(&line);
        let text = aemp::log::printable(text.trim_end_matches(['\n', '\r']));
        tracing::warn!(target: "aemp", level = 5_u8, "{name}: {text}");
    }
}
