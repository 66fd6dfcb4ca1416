//! The states. Each is consumed by the call that leaves it.

use std::sync::Arc;

use base64::Engine as _;

use super::lines::Lines;
use super::tls::{TlsRole, TlsUse, channel};
use super::{HandshakeError, Local};
use crate::proto::auth::Channel;
use crate::proto::greeting::Purpose;
use crate::proto::{AuthMethod, Framing, Generation, Greeting, Secret};

/// Which side opened the connection.
///
/// ```
/// use aemp::proto::handshake::{Handshake, Local, Role};
/// let local = Local::new("ruth".into(), Some("geheim".into()));
/// let handshake = Handshake::connect(local.into(), &[1; 66], "127.0.0.1:4040");
/// assert_eq!(handshake.role(), Role::Connector);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// We connected to the peer.
    Connector,
    /// The peer connected to us.
    Listener,
}

/// What became of a state that was given octets.
///
/// ```
/// use aemp::proto::handshake::{Local, Opening, Step};
/// let local = Local::new("ruth".into(), Some("geheim".into()));
/// let state = Opening::new(local.into(), &[1; 66], "127.0.0.1:50000");
/// let mut out = Vec::new();
/// let Step::Pending(state) = state.recv(b"aemp;1;a;clear", &mut out)? else { panic!() };
/// let Step::Next(state) = state.recv(b"text;json\n", &mut out)? else { panic!() };
/// assert_eq!(state.peer().greeting.node, "a");
/// # Ok::<(), aemp::proto::HandshakeError>(())
/// ```
#[derive(Debug)]
pub enum Step<S, N> {
    /// More octets are needed.
    Pending(S),
    /// The state is left for the next.
    Next(N),
}

/// What is known of the other side after its greeting.
///
/// ```
/// use aemp::proto::{Greeting, handshake::Peer};
/// let greeting = Greeting::parse(b"aemp;1;a;cleartext;json;provider=AE-1.30")?;
/// let peer = Peer::of(greeting).expect("its generation is known");
/// assert!(peer.is_perl() && peer.speaks(1) && !peer.speaks(0));
/// # Ok::<(), aemp::proto::greeting::GreetingError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Peer {
    /// Its greeting. Nothing in it can be trusted before authentication.
    pub greeting: Greeting,
    /// Its generation.
    pub generation: Generation,
}

impl Peer {
    /// Who greets like that; `None` if no generation does.
    ///
    /// See [`Peer`] for an example.
    pub fn of(greeting: Greeting) -> Option<Self> {
        let generation = Generation::of_greeting(&greeting)?;
        Some(Peer {
            greeting,
            generation,
        })
    }

    /// Whether the peer is one of the Perl releases.
    ///
    /// See [`Peer`] for an example.
    pub fn is_perl(&self) -> bool {
        self.greeting.is_perl()
    }

    /// Whether the peer can talk to nodes of the generation of this number.
    ///
    /// ```
    /// use aemp::proto::{Greeting, handshake::Peer};
    /// let greeting = Greeting::parse(b"aemp;1;a;cleartext;json;generations=1,0")?;
    /// let peer = Peer::of(greeting).expect("its generation is known");
    /// assert!(peer.speaks(1) && peer.speaks(0) && !peer.speaks(2));
    /// # Ok::<(), aemp::proto::greeting::GreetingError>(())
    /// ```
    pub fn speaks(&self, generation: u32) -> bool {
        self.greeting.speaks(generation)
    }
}

/// Nothing was sent yet: the peer may greet first, so that we can answer with its version.
///
/// See [`new`](Self::new) for all states in their order.
#[derive(Debug)]
pub struct Opening {
    pub(super) local: Arc<Local>,
    nonce: String,
    peeraddr: String,
    lines: Lines,
}

/// What we said: both lines, each with its end.
#[derive(Debug, Clone)]
struct Said {
    lines: Vec<u8>,
    version: u32,
}

impl Opening {
    /// A handshake in which nothing was said yet. `peeraddr` is the other side's socket address.
    ///
    /// ```
    /// use aemp::proto::handshake::{AwaitGreeting, Local, NONCE_LEN, Opening, Step};
    /// fn next<S, N>(step: Step<S, N>) -> N {
    ///     match step {
    ///         Step::Next(state) => state,
    ///         Step::Pending(_) => panic!("more octets are needed"),
    ///     }
    /// }
    /// let local = |node: &str| Local::new(node.into(), Some("geheim".into()));
    /// let a = Opening::new(local("a").into(), &[1; NONCE_LEN], "127.0.0.1:4040");
    /// let b = Opening::new(local("b").into(), &[2; NONCE_LEN], "127.0.0.1:50000");
    /// let (mut from_a, mut from_b) = (Vec::new(), Vec::new());
    ///
    /// // a connects and greets first; b answers with a's version, and both choose.
    /// let a: AwaitGreeting = a.greet(&mut from_a);
    /// let b = next(b.recv(&std::mem::take(&mut from_a), &mut from_b)?);
    /// let b = next(b.recv(b"")?);
    /// let a = next(a.recv(&std::mem::take(&mut from_b))?);
    /// let a = next(a.recv(b"")?);
    ///
    /// // a proves itself at once, b only when a has.
    /// let a = a.begin(false, &mut from_a);
    /// let b = b.begin(true, &mut from_b);
    /// assert!(from_b.is_empty());
    /// let b = next(b.recv(&from_a)?).complete(&mut from_b);
    /// let a = next(a.recv(&from_b)?).complete(&mut from_a);
    /// assert_eq!((a.peer.greeting.node.as_str(), b.peer.greeting.node.as_str()), ("b", "a"));
    /// # Ok::<(), aemp::proto::HandshakeError>(())
    /// ```
    pub fn new(local: Arc<Local>, nonce: &[u8], peeraddr: &str) -> Self {
        Opening {
            local,
            nonce: base64::engine::general_purpose::STANDARD.encode(nonce),
            peeraddr: peeraddr.to_owned(),
            lines: Lines::default(),
        }
    }

    /// Greets first, in the version that we like best.
    ///
    /// See [`new`](Self::new) for an example.
    pub fn greet(self, out: &mut Vec<u8>) -> AwaitGreeting {
        let version = self.local.first_version();
        self.greet_in(version, out)
    }

    fn greet_in(self, version: u32, out: &mut Vec<u8>) -> AwaitGreeting {
        let greeting = self.local.greeting(version, &self.peeraddr);
        let mut state = AwaitGreeting::said(self.local, &greeting, &self.nonce, out);
        state.lines = self.lines;
        state
    }

    /// Takes octets; when the peer's first line is there, answers with its version.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`]: the line is too long, no greeting, or of a version that we don't speak.
    ///
    /// See [`new`](Self::new) for an example.
    pub fn recv(
        mut self,
        octets: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Step<Self, AwaitNonce>, HandshakeError> {
        self.lines.push(octets);
        let Some(line) = self.lines.next()? else {
            return Ok(Step::Pending(self));
        };
        let theirs = Greeting::parse(&line)?;
        // Even a refusal tells the peer what we would have spoken.
        let version = match self.local.allows_version(theirs.version) {
            true => theirs.version,
            false => self.local.first_version(),
        };
        let state = self.greet_in(version, out);
        state.greeted(line, theirs).map(Step::Next)
    }
}

/// Our greeting is sent, the peer's is awaited.
///
/// See [`Opening::new`] for all states in their order.
#[derive(Debug)]
pub struct AwaitGreeting {
    local: Arc<Local>,
    said: Said,
    lines: Lines,
}

impl AwaitGreeting {
    /// Sends a given greeting and nonce line; [`Opening::greet`] makes them itself.
    ///
    /// ```
    /// use aemp::proto::handshake::{AwaitGreeting, Local};
    /// let local = Local::new("ruth".into(), Some("geheim".into()));
    /// let greeting = local.greeting(1, "127.0.0.1:4040");
    /// let mut out = Vec::new();
    /// AwaitGreeting::said(local.into(), &greeting, "bm9uY2U=", &mut out);
    /// assert_eq!(out, format!("{}\nbm9uY2U=\n", greeting.to_line()).as_bytes());
    /// ```
    pub fn said(local: Arc<Local>, greeting: &Greeting, nonce: &str, out: &mut Vec<u8>) -> Self {
        let mut lines = greeting.to_octets();
        lines.push(b'\n');
        lines.extend_from_slice(nonce.as_bytes());
        lines.push(b'\n');
        out.extend_from_slice(&lines);
        AwaitGreeting {
            local,
            said: Said {
                lines,
                version: greeting.version,
            },
            lines: Lines::default(),
        }
    }

    /// The version of our greeting.
    ///
    /// ```
    /// use aemp::proto::handshake::{Local, NONCE_LEN, Opening};
    /// let local = Local::new("ruth".into(), Some("geheim".into())).greeting_in(0);
    /// let state = Opening::new(local.into(), &[1; NONCE_LEN], "127.0.0.1:4040");
    /// assert_eq!(state.greet(&mut Vec::new()).version(), 0);
    /// ```
    pub fn version(&self) -> u32 {
        self.said.version
    }

    /// Takes octets; the peer's first line leads on.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`]: the line is too long, no greeting, or of another version.
    ///
    /// See [`Opening::new`] for an example.
    pub fn recv(mut self, octets: &[u8]) -> Result<Step<Self, AwaitNonce>, HandshakeError> {
        self.lines.push(octets);
        let Some(line) = self.lines.next()? else {
            return Ok(Step::Pending(self));
        };
        let theirs = Greeting::parse(&line)?;
        self.greeted(line, theirs).map(Step::Next)
    }

    fn greeted(self, line: Vec<u8>, theirs: Greeting) -> Result<AwaitNonce, HandshakeError> {
        let mismatch = || HandshakeError::Version {
            ours: match self.local.is_open() && self.local.allows_version(theirs.version) {
                true => format!("{}, said before theirs was known", self.said.version),
                false => match self.local.version {
                    Some(version) => version.to_string(),
                    None => self.local.generations.versions(),
                },
            },
            theirs: theirs.version,
        };
        if theirs.version != self.said.version {
            return Err(mismatch());
        }
        let ours = self.local.generations;
        let generation = Generation::between(ours, &theirs).ok_or_else(|| {
            match Generation::of_greeting(&theirs) {
                Some(theirs) => HandshakeError::Generation { ours, theirs },
                None => mismatch(),
            }
        })?;
        let mut heard = line;
        heard.push(b'\n');
        Ok(AwaitNonce {
            local: self.local,
            said: self.said,
            heard,
            peer: Peer {
                greeting: theirs,
                generation,
            },
            lines: self.lines,
        })
    }
}

/// The peer's greeting is there, its nonce is awaited.
///
/// Here a caller refuses a peer whose node is connected already.
///
/// See [`Opening::new`] for all states in their order.
#[derive(Debug)]
pub struct AwaitNonce {
    local: Arc<Local>,
    said: Said,
    heard: Vec<u8>,
    peer: Peer,
    lines: Lines,
}

impl AwaitNonce {
    /// What the peer claims to be.
    ///
    /// See [`Step`] for an example.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whether the peer wants a data connection, and we a link.
    pub(super) fn wants_other_than_we(&self) -> bool {
        (self.local.purpose, self.peer.greeting.purpose) == (Purpose::Link, Purpose::Data)
    }

    /// Whether the peer has our node ID, and it is not our own greeting that came back.
    pub(super) fn has_our_id(&self) -> bool {
        self.peer.greeting.node == self.local.node && !self.said.lines.starts_with(&self.heard)
    }

    /// Takes octets; the nonce line leads on.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`]: a line that is too long, an echo, our own node ID, nothing
    /// in common, or no secret.
    ///
    /// See [`Opening::new`] for an example.
    pub fn recv(mut self, octets: &[u8]) -> Result<Step<Self, Authenticate>, HandshakeError> {
        self.lines.push(octets);
        let Some(line) = self.lines.next()? else {
            return Ok(Step::Pending(self));
        };
        self.heard.extend_from_slice(&line);
        self.heard.push(b'\n');
        let (local, theirs) = (&self.local, &self.peer.greeting);
        if self.heard == self.said.lines {
            return Err(HandshakeError::Echo);
        }
        if theirs.node == local.node {
            let engine = base64::engine::general_purpose::STANDARD;
            return Err(HandshakeError::OwnNodeId {
                node: local.node.clone(),
                nonce: engine.decode(&line).unwrap_or(line),
            });
        }
        let tls = local.tls.role(theirs, &self.said.lines, &self.heard)?;
        let secret = secret_of(local);
        let usable = |method: &AuthMethod| {
            local.auth_offer.contains(method) && method.works_over(channel(tls))
        };
        let named = theirs.auths.iter();
        let named = named.filter_map(|name| AuthMethod::from_name(name).filter(usable));
        let mut methods = named.clone();
        let method = methods.find(|method| secret.is_some() || !method.needs_secret());
        let method = method.ok_or_else(|| match named.count() {
            0 => HandshakeError::NoCommonAuth {
                theirs: theirs.auths.join(","),
                ours: super::names(&local.auth_offer, |method| method.name()).join(","),
            },
            _ if tls.is_none() && local.tls != TlsUse::Never => HandshakeError::NeitherTlsNorSecret,
            _ => HandshakeError::NoSecret,
        })?;
        let known = |name: &String| Framing::from_name(name).filter(|f| local.framings.contains(f));
        let framing = theirs.framings.iter().find_map(known).ok_or_else(|| {
            HandshakeError::NoCommonFraming {
                theirs: theirs.framings.join(","),
                ours: super::names(&local.framings, |framing| framing.name()).join(","),
            }
        })?;
        let none = Secret::none();
        let token = method.token(secret.unwrap_or(&none), &self.said.lines, &self.heard);
        Ok(Step::Next(Authenticate {
            token: format!("{method};{token};{}\n", framing.name()).into_bytes(),
            send_framing: framing,
            tls,
            greeted: self,
        }))
    }
}

/// The secret, unless it is empty, which is as good as none.
fn secret_of(local: &Local) -> Option<&Secret> {
    let secret = local.secret.as_ref();
    secret.filter(|secret| !secret.as_bytes().is_empty())
}

/// Both greetings are exchanged, and what is in common is chosen; nothing is proved yet. TLS begins
/// here (PROTOCOL.md, "Handshake", step 3).
///
/// See [`Opening::new`] for all states in their order.
#[derive(Debug)]
pub struct Authenticate {
    greeted: AwaitNonce,
    token: Vec<u8>,
    send_framing: Framing,
    tls: Option<TlsRole>,
}

impl Authenticate {
    /// What the peer claims to be.
    ///
    /// See [`Step`] for an example.
    pub fn peer(&self) -> &Peer {
        &self.greeted.peer
    }

    /// Which side of TLS we are; `None`: no TLS follows.
    ///
    /// See [`begin_tls`](super::Handshake::begin_tls) for an example.
    pub fn tls(&self) -> Option<TlsRole> {
        self.tls
    }

    /// Takes the octets that came behind the greeting: the first ones of TLS.
    ///
    /// See [`begin_tls`](super::Handshake::begin_tls) for an example.
    pub fn take_rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.greeted.lines).into_rest()
    }

    /// Keeps octets that came already, for the next state.
    pub(super) fn hold(&mut self, octets: &[u8]) {
        self.greeted.lines.push(octets);
    }

    /// Sends our token at once, or withholds it until the peer has proved itself.
    ///
    /// A side that withholds decides alone whether the connection comes to be: the peer can't
    /// complete it before our token (PROTOCOL.md, "Duplicate connections"). Both sides must not.
    ///
    /// See [`Opening::new`] for an example.
    pub fn begin(self, withhold: bool, out: &mut Vec<u8>) -> AwaitToken {
        let withheld = match withhold {
            true => self.token,
            false => {
                out.extend_from_slice(&self.token);
                Vec::new()
            }
        };
        AwaitToken {
            greeted: self.greeted,
            withheld,
            send_framing: self.send_framing,
            channel: channel(self.tls),
        }
    }
}

/// The peer's token is awaited.
///
/// See [`Opening::new`] for all states in their order.
#[derive(Debug)]
pub struct AwaitToken {
    greeted: AwaitNonce,
    withheld: Vec<u8>,
    send_framing: Framing,
    channel: Channel,
}

impl AwaitToken {
    /// What the peer claims to be.
    ///
    /// See [`Step`] for an example.
    pub fn peer(&self) -> &Peer {
        &self.greeted.peer
    }

    /// Takes octets; a good token leads on.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`]: the line is too long, the token is malformed or wrong, or its method or
    /// framing not ours.
    ///
    /// See [`Opening::new`] for an example.
    pub fn recv(mut self, octets: &[u8]) -> Result<Step<Self, Verified>, HandshakeError> {
        self.greeted.lines.push(octets);
        let Some(line) = self.greeted.lines.next()? else {
            return Ok(Step::Pending(self));
        };
        let line = std::str::from_utf8(&line).map_err(|_| HandshakeError::MalformedToken)?;
        let mut fields = line.split(';');
        let (Some(method), Some(token), Some(framing)) =
            (fields.next(), fields.next(), fields.next())
        else {
            return Err(HandshakeError::MalformedToken);
        };
        let clip = |name: &str| name.chars().take(40).collect::<String>();
        let AwaitNonce {
            local, said, heard, ..
        } = &self.greeted;
        let method = AuthMethod::from_name(method)
            .filter(|method| local.auth_accept.contains(method))
            .filter(|method| method.works_over(self.channel))
            .ok_or_else(|| HandshakeError::MethodRefused {
                method: clip(method),
            })?;
        let none = Secret::none();
        let secret = match (secret_of(local), method.needs_secret()) {
            (Some(secret), _) => secret,
            (None, false) => &none,
            (None, true) => return Err(HandshakeError::NoSecret),
        };
        if !method.verify(secret, heard, &said.lines, token.as_bytes()) {
            let name = method.name().to_owned();
            return Err(match method.needs_secret() {
                true => HandshakeError::WrongToken { method: name },
                false => HandshakeError::AlteredGreeting { method: name },
            });
        }
        let recv_framing = Framing::from_name(framing)
            .filter(|framing| local.framings.contains(framing))
            .ok_or_else(|| HandshakeError::FramingRefused {
                framing: clip(framing),
            })?;
        Ok(Step::Next(Verified {
            withheld: self.withheld,
            established: Established {
                peer: self.greeted.peer,
                send_framing: self.send_framing,
                recv_framing,
                rest: self.greeted.lines.into_rest(),
            },
        }))
    }
}

/// The peer has proved itself. Our token may still be withheld.
///
/// See [`Opening::new`] for all states in their order.
#[derive(Debug)]
pub struct Verified {
    withheld: Vec<u8>,
    established: Established,
}

impl Verified {
    /// What the peer is.
    ///
    /// See [`Step`] for an example.
    pub fn peer(&self) -> &Peer {
        &self.established.peer
    }

    /// Ends the handshake: a withheld token is sent, messages may follow.
    ///
    /// See [`Opening::new`] for an example.
    pub fn complete(self, out: &mut Vec<u8>) -> Established {
        out.extend_from_slice(&self.withheld);
        self.established
    }
}

/// A handshake that succeeded.
///
/// See [`Opening::new`] for all states in their order.
#[derive(Debug)]
#[non_exhaustive]
pub struct Established {
    /// The other side.
    pub peer: Peer,
    /// The framing that we send in.
    pub send_framing: Framing,
    /// The framing that the peer sends in.
    pub recv_framing: Framing,
    /// The octets that followed the peer's token: messages already.
    pub rest: Vec<u8>,
}
