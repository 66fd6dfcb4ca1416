//! A connection to the node that is tried.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use aemp::proto::auth::{AuthMethod, Secret};

use super::conversation::{As, Line};

/// So much of what the node says is written down, in octets; and so much is kept to look into.
const MOST_WRITTEN: usize = 256 * 1024;
const MOST_KEPT: usize = 16 << 20;

/// How long we wait for a node to greet first of which it is not known whether it does: some wait
/// for us.
const PATIENCE: Duration = Duration::from_millis(300);

/// What the node is, by its greeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct About {
    pub(super) id: String,
    /// The version in its greeting, which is the first of its two lines.
    pub(super) version: String,
    pub(super) provider: String,
    /// It speaks the protocol of 2.x.
    pub(super) is_new: bool,
    /// The framings that it takes.
    pub(super) framings: Vec<String>,
    /// It greets before it has seen our greeting.
    pub(super) greets_first: bool,
}

impl About {
    fn read(line: &str, greets_first: bool) -> Option<Self> {
        let mut parts = line.lines().next()?.split(';');
        let (Some("aemp"), Some(version), Some(id), Some(_), Some(framings)) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return None;
        };
        let parameters: Vec<&str> = parts.collect();
        let named = |name: &str| {
            let found = parameters.iter().find_map(|part| part.strip_prefix(name));
            found.map(|value| value.trim_start_matches('=').to_owned())
        };
        Some(About {
            id: id.to_owned(),
            version: version.to_owned(),
            provider: named("provider").unwrap_or_default(),
            is_new: named("gproto").is_some(),
            framings: framings.split(',').map(str::to_owned).collect(),
            greets_first,
        })
    }
}

/// A connection, and all that passed on it.
pub(super) struct Wire {
    stream: TcpStream,
    begun: Instant,
    limit: Duration,
    /// What the node said and nobody has looked at.
    received: Vec<u8>,
    pub(super) lines: Vec<Line>,
    written: usize,
    closed: bool,
    /// Questions asked.
    asked: u32,
    /// The name that it logged in with.
    pub(super) name: String,
}

impl Wire {
    /// Connects. Every wait lasts at most `limit`.
    pub(super) fn connect(address: SocketAddr, limit: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, limit)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(limit))?;
        Ok(Wire {
            stream,
            begun: Instant::now(),
            limit,
            received: Vec::new(),
            lines: Vec::new(),
            written: 0,
            closed: false,
            asked: 0,
            name: String::new(),
        })
    }

    fn note(&mut self, said: bool, octets: &[u8], role: Option<As>) {
        if !said {
            let room = MOST_WRITTEN.saturating_sub(self.written);
            self.written += octets.len();
            if room == 0 {
                return;
            }
        }
        let at = self.begun.elapsed().as_secs_f64();
        self.lines.push(Line::new(said, at, octets, role));
    }

    /// Says something. That the node has closed the connection is no error.
    pub(super) fn say(&mut self, octets: &[u8], role: Option<As>) {
        self.note(true, octets, role);
        if !self.closed && self.stream.write_all(octets).is_err() {
            self.closed = true;
        }
    }

    /// Whether the node has closed the connection, as far as is known.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Reads what comes within a time; false if nothing did, or the connection is closed.
    fn read(&mut self, within: Duration) -> bool {
        if self.closed {
            return false;
        }
        let within = within.max(Duration::from_millis(1));
        let mut buffer = vec![0; 64 * 1024];
        let read = self
            .stream
            .set_read_timeout(Some(within))
            .and_then(|()| self.stream.read(&mut buffer));
        match read {
            Ok(0) => self.closed = true,
            Ok(n) => {
                self.note(false, &buffer[..n], None);
                self.received.extend_from_slice(&buffer[..n]);
                if self.received.len() > MOST_KEPT {
                    let early = self.received.len() - MOST_KEPT / 2;
                    self.received.drain(..early);
                }
                return true;
            }
            Err(error) => {
                let waits = [
                    ErrorKind::WouldBlock,
                    ErrorKind::TimedOut,
                    ErrorKind::Interrupted,
                ];
                self.closed = !waits.contains(&error.kind());
            }
        }
        false
    }

    /// Waits until `found` finds something in what was received, and takes what is before it.
    fn until(
        &mut self,
        within: Duration,
        found: impl Fn(&[u8]) -> Option<usize>,
    ) -> Option<Vec<u8>> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(end) = found(&self.received) {
                return Some(self.received.drain(..end).collect());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || (!self.read(left) && self.closed) {
                return None;
            }
        }
    }

    /// The node's next two lines: its greeting and its nonce.
    fn greeting(&mut self, within: Duration) -> Option<String> {
        let two = |octets: &[u8]| {
            let mut ends = octets
                .iter()
                .enumerate()
                .filter(|(_, octet)| **octet == b'\n');
            ends.nth(1).map(|(at, _)| at + 1)
        };
        let lines = self.until(within, two)?;
        String::from_utf8(lines).ok()
    }

    /// Greets as a node of this name, proves that it knows the secret, and waits until the node has
    /// proved it as well. What the node is, or what it did in place of that. `known`: what it was
    /// before.
    pub(super) fn login(
        &mut self,
        name: &str,
        secret: &Secret,
        known: Option<&About>,
    ) -> Result<About, &'static str> {
        let first = match known.map(|about| about.greets_first) {
            None => self.greeting(PATIENCE),
            Some(true) => self.greeting(self.limit),
            Some(false) => None,
        };
        let about = first
            .as_deref()
            .map(|text| About::read(text, true).ok_or("it is no node"));
        let about = about.transpose()?;
        let (version, is_new) = match &about {
            Some(about) => (about.version.as_str(), about.is_new),
            None => ("1", true),
        };
        let more = if is_new { ";mproto=1;gproto=1" } else { "" };
        // No HMAC of MD6 is known to 2.x, and none of SHA-3 to older ones.
        let own = format!(
            "aemp;{version};{name};hmac_sha3_512,hmac_md6_64_256;json;timeout=30;provider=aemp-fuzz{more};\
             peeraddr=127.0.0.1:1\nNONCE{}{name}\n",
            self.begun.elapsed().as_nanos()
        );
        self.say(own.as_bytes(), Some(As::Greeting));
        let (about, theirs) = match (about, first) {
            (Some(about), Some(theirs)) => (about, theirs),
            _ => {
                let theirs = self.greeting(self.limit).ok_or("it does not greet")?;
                (About::read(&theirs, false).ok_or("it is no node")?, theirs)
            }
        };
        let (method, name_of_method) = match theirs.contains("hmac_sha3_512") {
            true => (AuthMethod::HmacSha3, "hmac_sha3_512"),
            false => (AuthMethod::HmacMd6, "hmac_md6_64_256"),
        };
        let token = method.token(secret, &own, &theirs);
        self.say(
            format!("{name_of_method};{token};json\n").as_bytes(),
            Some(As::Proof),
        );
        let line = |octets: &[u8]| {
            octets
                .iter()
                .position(|octet| *octet == b'\n')
                .map(|at| at + 1)
        };
        self.until(self.limit, line)
            .ok_or("it does not let us in")?;
        name.clone_into(&mut self.name);
        Ok(about)
    }

    /// Asks the node for the time; whether the answer came. The node's patience is not tried: what
    /// it says besides is passed over.
    pub(super) fn is_answered(&mut self) -> bool {
        self.asked += 1;
        let tag = format!("answer-{}", self.asked);
        let question = format!(r#"["","time","{}#fuzz","{tag}"]"#, self.name);
        self.say(question.as_bytes(), Some(As::Question));
        self.comes(&format!(r#""{tag}""#))
    }

    /// Monitors a port that does not exist; whether the node says so.
    pub(super) fn is_told_of_death(&mut self) -> bool {
        self.asked += 1;
        let port = format!("no-port-{}", self.asked);
        let question = format!(r#"["","mon1","{port}"]"#);
        self.say(question.as_bytes(), Some(As::Question));
        let limit = self.limit;
        let death = format!(r#""{port}""#);
        let end = |octets: &[u8]| {
            let at = memchr::memmem::find(octets, death.as_bytes())?;
            let before = &octets[at.saturating_sub(16)..at];
            memchr::memmem::find(before, b"\"kil").map(|_| at + death.len())
        };
        self.until(limit, end).is_some()
    }

    fn comes(&mut self, text: &str) -> bool {
        let limit = self.limit;
        let end = |octets: &[u8]| {
            let at = memchr::memmem::find(octets, text.as_bytes())?;
            Some(at + text.len())
        };
        self.until(limit, end).is_some()
    }

    /// Closes our side, and waits for the node to close its own.
    pub(super) fn end(mut self) -> Vec<Line> {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        let deadline = Instant::now() + Duration::from_millis(200);
        while Instant::now() < deadline && self.read(Duration::from_millis(50)) {}
        self.lines
    }
}
