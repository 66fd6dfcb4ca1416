//! A TCP proxy on 127.0.0.1 between two nodes, which writes down what passes and can do harm to it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::json;

use crate::fault::{Fault, Result};

/// What the proxy does to the octets that pass.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Keep every chunk for so long before it is passed on.
    pub delay: Duration,
    /// Pass every octet on by itself.
    pub split: bool,
    /// Pass nothing on (and lose nothing) until this is false again.
    pub hold: bool,
    /// Close new connections at once.
    pub refuse: bool,
    /// Reset each connection after so many octets of one direction.
    pub reset_after: Option<u64>,
}

/// A connection that passes the proxy, as far as it has come.
#[derive(Debug, Clone, Default)]
pub struct Link {
    /// Octets from the connector to the listener.
    pub forth: u64,
    /// Octets from the listener to the connector.
    pub back: u64,
    /// Lines (LF) from the connector; a handshake is three.
    pub forth_lines: u64,
    /// Lines (LF) from the listener.
    pub back_lines: u64,
    /// Both directions have ended.
    pub closed: bool,
}

#[derive(Debug, Default)]
struct State {
    plan: Plan,
    links: Vec<Link>,
    open: Vec<(usize, TcpStream, TcpStream)>,
    record: Option<File>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    target: SocketAddr,
    ending: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running proxy; dropping it closes everything it holds.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accept: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts a proxy to `target`, recording into the file `record` (the format of `fixtures/`).
    pub fn start(target: SocketAddr, record: Option<&Path>) -> Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Fault::io("proxy: listen"))?;
        let address = listener
            .local_addr()
            .map_err(Fault::io("proxy: own address"))?;
        let record = match record {
            Some(path) => Some(File::create(path).map_err(Fault::io(path.display().to_string()))?),
            None => None,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                record,
                ..State::default()
            }),
            changed: Condvar::new(),
            target,
            ending: AtomicBool::new(false),
        });
        let accept = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || accept_loop(&listener, &shared))
        };
        Ok(Self {
            address,
            shared,
            accept: Some(accept),
        })
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what the proxy does from now on.
    pub fn plan(&self, change: impl FnOnce(&mut Plan)) {
        change(&mut self.shared.lock().plan);
        self.shared.changed.notify_all();
    }

    /// The connections so far, oldest first.
    pub fn links(&self) -> Vec<Link> {
        self.shared.lock().links.clone()
    }

    /// Waits until `good` says so of the connections.
    pub fn wait(&self, what: &str, limit: Duration, good: impl Fn(&[Link]) -> bool) -> Result<()> {
        let deadline = Instant::now() + limit;
        let mut state = self.shared.lock();
        loop {
            if good(&state.links) {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Fault::Timeout {
                    what: what.to_owned(),
                    seconds: limit.as_secs_f64(),
                    seen: format!("; the proxy saw {:?}", state.links),
                });
            }
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Resets (RST) every open connection, both sides; what was under way is lost.
    pub fn reset(&self) {
        for (_, a, b) in &self.shared.lock().open {
            reset(a);
            reset(b);
        }
    }

    /// Ends every open connection in order (FIN), both sides.
    pub fn close(&self) {
        for (_, a, b) in &self.shared.lock().open {
            let _ = a.shutdown(Shutdown::Both);
            let _ = b.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        self.plan(|plan| plan.hold = false);
        self.close();
        let _ = TcpStream::connect(self.address); // wakes the accept loop
        if let Some(thread) = self.accept.take() {
            let _ = thread.join();
        }
    }
}

/// Makes the closing of `stream` a reset, and closes it.
fn reset(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
    let _ = stream.shutdown(Shutdown::Both);
}

fn accept_loop(listener: &TcpListener, shared: &Arc<Shared>) {
    for connector in listener.incoming() {
        if shared.ending.load(Ordering::SeqCst) {
            return;
        }
        let Ok(connector) = connector else { continue };
        if shared.lock().plan.refuse {
            continue;
        }
        let Ok(listener_side) = TcpStream::connect(shared.target) else {
            reset(&connector);
            continue;
        };
        if start_link(&connector, &listener_side, shared).is_err() {
            reset(&connector);
        }
    }
}

fn start_link(connector: &TcpStream, listener: &TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    connector.set_nodelay(true)?;
    listener.set_nodelay(true)?;
    let (c1, c2, c3) = (
        connector.try_clone()?,
        connector.try_clone()?,
        connector.try_clone()?,
    );
    let (l1, l2, l3) = (
        listener.try_clone()?,
        listener.try_clone()?,
        listener.try_clone()?,
    );
    let conn = {
        let mut state = shared.lock();
        state.links.push(Link::default());
        let conn = state.links.len();
        state.open.push((conn, c3, l3));
        conn
    };
    shared.changed.notify_all();
    let opened = Instant::now();
    let ended = Arc::new(AtomicBool::new(false));
    for (from, to, forth) in [(c1, l1, true), (l2, c2, false)] {
        let shared = Arc::clone(shared);
        let ended = Arc::clone(&ended);
        std::thread::spawn(move || {
            pump(&from, &to, conn, forth, opened, &shared);
            // the second direction to end takes the connection out
            if ended.swap(true, Ordering::SeqCst) {
                let mut state = shared.lock();
                state.open.retain(|(n, _, _)| *n != conn);
                state.links[conn - 1].closed = true;
                drop(state);
                shared.changed.notify_all();
            }
        });
    }
    Ok(())
}

/// Passes octets on in one direction until it ends.
fn pump(
    mut from: &TcpStream,
    mut to: &TcpStream,
    conn: usize,
    forth: bool,
    opened: Instant,
    shared: &Shared,
) {
    let mut buffer = vec![0; 65536];
    let mut passed = 0u64;
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => {
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => {
                reset(from);
                reset(to);
                return;
            }
        };
        let plan = note(&buffer[..n], conn, forth, opened, shared);
        if !plan.delay.is_zero() {
            std::thread::sleep(plan.delay);
        }
        passed += n as u64;
        let chunk = &buffer[..n];
        let good = if plan.split {
            chunk.iter().all(|octet| to.write_all(&[*octet]).is_ok())
        } else {
            to.write_all(chunk).is_ok()
        };
        if !good || plan.reset_after.is_some_and(|limit| passed >= limit) {
            reset(from);
            reset(to);
            return;
        }
    }
}

/// Counts and records a chunk; waits while the plan says hold; returns the plan to follow.
fn note(chunk: &[u8], conn: usize, forth: bool, opened: Instant, shared: &Shared) -> Plan {
    let mut state = shared.lock();
    let lines = chunk.iter().filter(|&&octet| octet == b'\n').count() as u64;
    let link = &mut state.links[conn - 1];
    let (octets, line) = if forth {
        (&mut link.forth, &mut link.forth_lines)
    } else {
        (&mut link.back, &mut link.back_lines)
    };
    *octets += chunk.len() as u64;
    *line += lines;
    if let Some(file) = &mut state.record {
        let at = (opened.elapsed().as_secs_f64() * 1e4).round() / 1e4;
        let dir = if forth { ">" } else { "<" };
        let row = match std::str::from_utf8(chunk) {
            Ok(text) => json!({ "conn": conn, "dir": dir, "at": at, "text": text }),
            Err(_) => {
                json!({ "conn": conn, "dir": dir, "at": at, "base64": base64::engine::general_purpose::STANDARD.encode(chunk) })
            }
        };
        let _ = writeln!(file, "{row}");
    }
    shared.changed.notify_all();
    while state.plan.hold {
        state = shared
            .changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner);
    }
    state.plan.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo_server() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || io::copy(&mut stream.try_clone().unwrap(), &mut stream));
            }
        });
        address
    }

    const LIMIT: Duration = Duration::from_secs(5);

    #[test]
    fn passes_on_and_records() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("wire.jsonl");
        let proxy = Proxy::start(echo_server(), Some(&file)).unwrap();
        proxy.plan(|plan| plan.split = true);
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        stream.write_all("caf\u{e9}\n".as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut back = String::new();
        stream.read_to_string(&mut back).unwrap();
        assert_eq!(back, "caf\u{e9}\n");
        proxy
            .wait("the end", LIMIT, |links| {
                links.len() == 1 && links[0].closed
            })
            .unwrap();
        assert_eq!(
            (proxy.links()[0].forth, proxy.links()[0].back_lines),
            (6, 1)
        );
        let rows: Vec<serde_json::Value> = std::fs::read_to_string(file)
            .unwrap()
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect();
        assert_eq!(
            (rows[0]["conn"].as_u64(), rows[0]["dir"].as_str()),
            (Some(1), Some(">"))
        );
        assert!(
            rows.iter()
                .all(|row| row["text"].is_string() || row["base64"].is_string())
        );
    }

    #[test]
    fn holds_then_lets_go() {
        let proxy = Proxy::start(echo_server(), None).unwrap();
        proxy.plan(|plan| plan.hold = true);
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        stream.write_all(b"x").unwrap();
        proxy
            .wait("the octet", LIMIT, |links| {
                links.first().is_some_and(|l| l.forth == 1)
            })
            .unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        assert!(stream.read(&mut [0]).is_err());
        proxy.plan(|plan| plan.hold = false);
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 1);
    }

    #[test]
    fn resets() {
        let proxy = Proxy::start(echo_server(), None).unwrap();
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        proxy.reset();
        assert!(!matches!(stream.read(&mut [0]), Ok(n) if n > 0));
        proxy
            .wait("the end", LIMIT, |links| links[0].closed)
            .unwrap();
    }
}
