//! Who talks to the node: octet by octet, over blocking sockets.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aemp::proto::auth::{AuthMethod, Secret};

/// The secret of all nodes here.
pub const SECRET: &str = "geheim";

/// The release that a peer says it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Release {
    /// 1.30, that is generation 1.
    Perl130,
    /// 2.02, that is generation 2.
    Perl202,
}

impl Release {
    fn parameters(self) -> &'static str {
        match self {
            Release::Perl130 => "provider=AE-1.30",
            Release::Perl202 => "provider=AE-2.02;mproto=1;gproto=1",
        }
    }

    fn method(self) -> (AuthMethod, &'static str) {
        match self {
            Release::Perl130 => (AuthMethod::HmacMd6, "hmac_md6_64_256"),
            Release::Perl202 => (AuthMethod::HmacSha3, "hmac_sha3_512"),
        }
    }
}

/// A connection to the node.
pub struct Peer {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Peer {
    /// Connects, and says nothing.
    pub fn connect(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Peer {
            stream,
            received: Vec::new(),
        })
    }

    /// A connection that was accepted.
    pub fn on(stream: TcpStream) -> Self {
        Peer {
            stream,
            received: Vec::new(),
        }
    }

    /// Connects, greets and proves that it knows the secret.
    pub fn login(address: &str, id: &str, release: Release) -> std::io::Result<Self> {
        Self::login_in(address, id, release, "json", Duration::from_secs(30))
    }

    /// The same with a framing, and a limit for every answer.
    pub fn login_in(
        address: &str,
        id: &str,
        release: Release,
        framing: &str,
        limit: Duration,
    ) -> std::io::Result<Self> {
        let mut peer = Self::connect(address)?;
        peer.stream.set_read_timeout(Some(limit))?;
        let (method, name) = release.method();
        let own = greeting(id, release, framing);
        peer.send(&own)?;
        let theirs = format!("{}\n{}\n", peer.line()?, peer.line()?);
        let token = method.token(&Secret::from(SECRET), &own, &theirs);
        peer.send(format!("{name};{token};{framing}\n"))?;
        peer.line()?;
        Ok(peer)
    }

    /// Sends octets; an error if the node has closed the connection.
    pub fn send(&mut self, octets: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(octets.as_ref())
    }

    /// Does not wait longer than that for the node to take what is sent.
    pub fn give_up_after(&mut self, limit: Duration) {
        self.stream.set_write_timeout(Some(limit)).unwrap();
    }

    /// The next line, without its LF.
    pub fn line(&mut self) -> std::io::Result<String> {
        let end = loop {
            if let Some(end) = self.received.iter().position(|octet| *octet == b'\n') {
                break end;
            }
            self.read()?;
        };
        let line: Vec<u8> = self.received.drain(..=end).collect();
        Ok(String::from_utf8_lossy(&line[..end]).into_owned())
    }

    /// Reads until that comes.
    pub fn read_until(&mut self, wanted: &str, limit: Duration) -> std::io::Result<()> {
        let started = Instant::now();
        loop {
            let text = String::from_utf8_lossy(&self.received);
            if let Some(at) = text.find(wanted) {
                let rest = text[at + wanted.len()..].to_owned();
                self.received = rest.into_bytes();
                return Ok(());
            }
            // What is wanted may have come in part.
            let keep = self.received.len().min(wanted.len());
            self.received.drain(..self.received.len() - keep);
            let left = limit.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
            self.read()?;
        }
    }

    fn read(&mut self) -> std::io::Result<()> {
        let mut buffer = [0; 65536];
        let read = self.stream.read(&mut buffer)?;
        if read == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.received.extend_from_slice(&buffer[..read]);
        Ok(())
    }

    /// Whether the node has closed the connection, without waiting.
    pub fn is_closed(&mut self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let mut buffer = [0; 4096];
        let closed = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break true,
                Ok(_) => {}
                Err(error) => break error.kind() != ErrorKind::WouldBlock,
            }
        };
        self.stream.set_nonblocking(false).unwrap();
        closed
    }

    /// Everything that the node says is read and thrown away, on a thread that ends with the
    /// connection.
    pub fn drain(&self) {
        let mut stream = self.stream.try_clone().unwrap();
        stream.set_read_timeout(None).unwrap();
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        });
    }
}

/// Both lines of a greeting.
pub fn greeting(id: &str, release: Release, framing: &str) -> String {
    let (version, (_, method), parameters) = (1, release.method(), release.parameters());
    format!("aemp;{version};{id};{method};{framing};{parameters}\nNONCE-{id}\n")
}

/// An honest peer: it is linked all the time, and asks for the time again and again.
pub struct Friend {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Noticed>,
}

/// What the honest peer noticed.
#[derive(Debug, Default)]
pub struct Noticed {
    /// Its longest round trip.
    pub slowest: Duration,
    /// How its link was lost, if it was.
    pub lost: Option<String>,
}

impl Friend {
    /// Logs in, and starts to ask.
    pub fn start(address: &str, release: Release) -> Self {
        let mut peer = Peer::login(address, "friend", release).expect("the friend logs in");
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut noticed = Noticed::default();
            for n in 0.. {
                if told.load(Ordering::Relaxed) {
                    break;
                }
                let asked = Instant::now();
                let answer = peer
                    .send(format!(r#"["","time","friend#r","q{n}"]"#))
                    .and_then(|()| peer.read_until(&format!(r#""q{n}","#), LONGEST));
                noticed.slowest = noticed.slowest.max(asked.elapsed());
                if let Err(error) = answer {
                    noticed.lost = Some(error.to_string());
                    break;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            noticed
        });
        Friend { stop, thread }
    }

    /// Ends it.
    pub fn stop(self) -> Noticed {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// How long the friend waits for an answer before it takes the node for dead.
const LONGEST: Duration = Duration::from_secs(60);
