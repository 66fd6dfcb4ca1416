//! A connection whose octets the scenario writes itself: for peers that do not behave.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use aemp::net::tls::Identity;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use rustls::{ClientConnection, SignatureScheme};

use crate::fault::{Fault, Result};
use crate::peers::Generation;

/// A raw connection to a node.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Raw {
    /// Connects.
    pub fn connect(address: &str) -> Result<Self> {
        let stream =
            TcpStream::connect(address).map_err(Fault::io(format!("connect to {address}")))?;
        stream
            .set_read_timeout(Some(Duration::from_millis(50)))
            .map_err(Fault::io("read time limit"))?;
        Ok(Self {
            stream,
            received: Vec::new(),
        })
    }

    /// Sends octets; that the other side has closed is no error here.
    pub fn send(&mut self, octets: &[u8]) {
        let _ = self.stream.write_all(octets);
    }

    /// The local address, as the node sees it.
    pub fn address(&self) -> String {
        self.stream
            .local_addr()
            .map_or_else(|_| "?".to_owned(), |a| a.to_string())
    }

    /// Waits for a whole line and takes it, without its LF.
    pub fn line(&mut self, what: &str, limit: Duration) -> Result<String> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(end) = self.received.iter().position(|&octet| octet == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if !self.read()? {
                return Err(Fault::Unexpected(format!(
                    "the node closed the connection before {what}"
                )));
            }
            if Instant::now() > deadline {
                return Err(Fault::Timeout {
                    what: what.to_owned(),
                    seconds: limit.as_secs_f64(),
                    seen: String::new(),
                });
            }
        }
    }

    /// Waits until so many octets have come behind the lines that were taken, or the node has
    /// closed the connection. They are not taken.
    pub fn octets(&mut self, count: usize, limit: Duration) -> Result<&[u8]> {
        let deadline = Instant::now() + limit;
        while self.received.len() < count && self.read()? {
            if Instant::now() > deadline {
                return Err(Fault::Timeout {
                    what: format!("{count} octets of the node"),
                    seconds: limit.as_secs_f64(),
                    seen: format!("{} octets", self.received.len()),
                });
            }
        }
        Ok(&self.received)
    }

    /// Waits until the node closes the connection.
    pub fn closed(&mut self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        while self.read()? {
            if Instant::now() > deadline {
                return Err(Fault::Timeout {
                    what: "the node to close the connection".to_owned(),
                    seconds: limit.as_secs_f64(),
                    seen: String::new(),
                });
            }
        }
        Ok(())
    }

    /// Reads what is there; false at the end.
    fn read(&mut self) -> Result<bool> {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => Ok(false),
            Ok(n) => {
                self.received.extend(&buffer[..n]);
                Ok(true)
            }
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                Ok(true)
            }
            Err(_) => Ok(false),
        }
    }

    /// Sends a greeting of the generation under the node ID, and a nonce.
    pub fn greet(&mut self, generation: Option<Generation>, node: &str) {
        self.greet_as(version(generation), generation, node);
    }

    /// [`Raw::greet`] with another version.
    pub fn greet_as(&mut self, version: &str, generation: Option<Generation>, node: &str) {
        let (hash, more) = match generation {
            Some(Generation::G2) => ("sha3_512", "mproto=1;gproto=1"),
            _ => ("md6_64_256", "timeout=12"),
        };
        let text = format!(
            "aemp;{version};{node};tls_{hash},hmac_{hash},tls_anon,cleartext;json,storable;{more};provider=raw-1;peeraddr=127.0.0.1:1\nMm5vbmNlIG9mIGEgcmF3IGNvbm5lY3Rpb24{}\n",
            self.address().len()
        );
        self.send(text.as_bytes());
    }

    /// Greets as a node that has TLS, with this nonce: the side of the lower one, as octets,
    /// becomes the client.
    pub fn greet_tls(&mut self, generation: Option<Generation>, node: &str, nonce: &str) {
        let hash = match generation {
            Some(Generation::G2) => "sha3_512",
            _ => "md6_64_256",
        };
        let version = version(generation);
        let methods = format!("tls_{hash},hmac_{hash},tls_anon,cleartext");
        let text = format!(
            "aemp;{version};{node};{methods};json;tls=1.0;timeout=12;peeraddr=127.0.0.1:1\n{nonce}\n"
        );
        self.send(text.as_bytes());
    }

    /// Goes on as the client of TLS that trusts the certificates of this PEM and shows none, says
    /// something there, and gives what the node says in it until it closes the connection.
    pub fn within_tls(&mut self, pem: &str, text: &str, limit: Duration) -> Result<String> {
        let identity = Identity::from_pem(pem).map_err(|e| Fault::Unexpected(e.to_string()))?;
        let config = identity.client_config();
        let mut config = config.map_err(|e| Fault::Unexpected(e.to_string()))?;
        config.client_auth_cert_resolver = Arc::new(Nothing);
        let name = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
        let mut session = ClientConnection::new(Arc::new(config), name)
            .map_err(|e| Fault::Unexpected(e.to_string()))?;
        self.stream
            .set_read_timeout(Some(limit))
            .map_err(Fault::io("read time limit"))?;
        let mut stream = rustls::Stream::new(&mut session, &mut self.stream);
        let mut said = Vec::new();
        let done = stream
            .write_all(text.as_bytes())
            .and_then(|()| stream.flush())
            .and_then(|()| stream.read_to_end(&mut said));
        match done {
            Err(e) if e.kind() == ErrorKind::WouldBlock || e.kind() == ErrorKind::TimedOut => {
                Err(Fault::Timeout {
                    what: "the node to close the connection through TLS".to_owned(),
                    seconds: limit.as_secs_f64(),
                    seen: String::from_utf8_lossy(&said).into_owned(),
                })
            }
            _ => Ok(String::from_utf8_lossy(&said).into_owned()),
        }
    }

    /// Greets and authenticates (with `cleartext`, which every node accepts); then messages may
    /// pass.
    pub fn join(
        &mut self,
        generation: Option<Generation>,
        node: &str,
        secret: &str,
        limit: Duration,
    ) -> Result<()> {
        self.greet(generation, node);
        self.line("its greeting", limit)?;
        self.line("its nonce", limit)?;
        let hex: String = secret.bytes().map(|octet| format!("{octet:02x}")).collect();
        self.send(format!("cleartext;{hex};json\n").as_bytes());
        self.line("its token", limit).map(drop)
    }
}

/// Has no certificate to show.
#[derive(Debug)]
struct Nothing;

impl ResolvesClientCert for Nothing {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// A listener that sends back whatever it gets.
#[derive(Debug)]
pub struct Mirror {
    address: SocketAddr,
    ended: Receiver<(String, usize)>,
}

impl Mirror {
    /// Starts to listen.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Fault::io("mirror"))?;
        let address = listener.local_addr().map_err(Fault::io("mirror"))?;
        let (tell, ended) = channel();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut octets = 0;
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut buffer) {
                    octets += n;
                    if stream.write_all(&buffer[..n]).is_err() {
                        break;
                    }
                }
                let peer = stream
                    .peer_addr()
                    .map_or_else(|_| String::new(), |a| a.to_string());
                if tell.send((peer, octets)).is_err() {
                    return;
                }
            }
        });
        Ok(Self { address, ended })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until a node has connected, said something and closed the connection.
    pub fn closed(&self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.ended.recv_timeout(left) {
                Ok((_, 1..)) => return Ok(()),
                Ok(_) => {}
                Err(_) => {
                    return Err(Fault::Timeout {
                        what: "the node to greet its mirror image and close".to_owned(),
                        seconds: limit.as_secs_f64(),
                        seen: String::new(),
                    });
                }
            }
        }
    }
}

/// The greeting's version in a generation.
pub fn version(generation: Option<Generation>) -> &'static str {
    if generation == Some(Generation::G0) {
        "0"
    } else {
        "1"
    }
}
