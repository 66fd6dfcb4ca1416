//! All states behind one type, for callers that only pass octets.

use std::sync::Arc;

use super::states::{
    Authenticate, AwaitGreeting, AwaitNonce, AwaitToken, Established, Opening, Peer, Role, Step,
    Verified,
};
use super::tls::TlsRole;
use super::{HandshakeError, Local};

/// A handshake in any state. See the [module](super) for the loop that drives it.
///
/// Who connected to a node of this crate proves itself first; towards a Perl node (which never
/// waits) we always withhold our token until it has proved itself, so that we alone decide whether
/// a connection comes to be.
///
/// See [`recv`](Self::recv) for an example.
#[derive(Debug)]
pub struct Handshake {
    role: Role,
    is_open: bool,
    between: Between,
    state: State,
}

/// What happens between the greetings and the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    /// The tokens follow at once.
    GoOn,
    /// The caller is asked.
    Pause,
}

#[derive(Debug)]
enum State {
    Opening(Opening),
    Greeting(AwaitGreeting),
    Nonce(AwaitNonce),
    Paused(Authenticate),
    Token(AwaitToken),
    Verified(Verified),
    Done(Option<Established>),
    Failed,
}

impl Handshake {
    /// The side that opened the connection to `peeraddr`.
    ///
    /// ```
    /// use aemp::proto::handshake::{Handshake, Local, NONCE_LEN};
    /// let local = Local::new("ruth".into(), Some("geheim".into()));
    /// let mut handshake = Handshake::connect(local.into(), &[1; NONCE_LEN], "127.0.0.1:4040");
    /// assert!(handshake.is_opening());
    /// let mut out = Vec::new();
    /// handshake.greet(&mut out);
    /// assert!(out.starts_with(b"aemp;1;ruth;") && !handshake.is_opening());
    /// ```
    pub fn connect(local: Arc<Local>, nonce: &[u8], peeraddr: &str) -> Self {
        Handshake {
            role: Role::Connector,
            is_open: local.is_open(),
            between: Between::GoOn,
            state: State::Opening(Opening::new(local, nonce, peeraddr)),
        }
    }

    /// The side that accepted the connection from `peeraddr`.
    ///
    /// ```
    /// use aemp::proto::handshake::{Handshake, Local, NONCE_LEN, Role};
    /// let local = Local::new("ruth".into(), Some("geheim".into()));
    /// let handshake = Handshake::accept(local.into(), &[1; NONCE_LEN], "127.0.0.1:50000");
    /// assert_eq!(handshake.role(), Role::Listener);
    /// ```
    pub fn accept(local: Arc<Local>, nonce: &[u8], peeraddr: &str) -> Self {
        Handshake {
            role: Role::Listener,
            is_open: local.is_open(),
            between: Between::GoOn,
            state: State::Opening(Opening::new(local, nonce, peeraddr)),
        }
    }

    /// Goes on from a greeting that was sent already.
    ///
    /// ```
    /// use aemp::proto::handshake::{AwaitGreeting, Handshake, Local, Role};
    /// let local = Local::new("ruth".into(), Some("geheim".into()));
    /// let greeting = local.greeting(0, "127.0.0.1:4040");
    /// let mut out = Vec::new();
    /// let state = AwaitGreeting::said(local.into(), &greeting, "bm9uY2U=", &mut out);
    /// assert!(!Handshake::greeted(Role::Connector, state).is_opening());
    /// ```
    pub fn greeted(role: Role, state: AwaitGreeting) -> Self {
        Handshake {
            role,
            is_open: false,
            between: Between::GoOn,
            state: State::Greeting(state),
        }
    }

    /// The same handshake, but with a stop between the greetings and the tokens, until
    /// [`resume`](Self::resume) is called. There a caller that runs several connections decides
    /// what becomes of this one, and there TLS begins (PROTOCOL.md, "Handshake", step 3): nothing
    /// has been proved yet, in either direction.
    ///
    /// ```
    /// use aemp::proto::handshake::{Handshake, Local};
    /// let local = |node: &str| Local::new(node.into(), Some("geheim".into()));
    /// let mut a = Handshake::connect(local("a").into(), &[1; 66], "127.0.0.1:4040").pausing();
    /// let mut b = Handshake::accept(local("b").into(), &[2; 66], "127.0.0.1:50000");
    /// let (mut from_a, mut from_b) = (Vec::new(), Vec::new());
    /// a.greet(&mut from_a);
    /// b.recv(&from_a, &mut from_b)?;
    ///
    /// let mut token = Vec::new();
    /// a.recv(&from_b, &mut token)?;
    /// assert!(a.is_paused() && token.is_empty());
    /// a.resume(&mut token)?;
    /// assert!(!a.is_paused() && token.starts_with(b"hmac_sha3_512;"));
    /// # Ok::<(), aemp::proto::HandshakeError>(())
    /// ```
    pub fn pausing(mut self) -> Self {
        self.between = Between::Pause;
        self
    }

    /// Whether both greetings are exchanged and [`resume`](Self::resume) is awaited.
    ///
    /// See [`pausing`](Self::pausing) for an example.
    pub fn is_paused(&self) -> bool {
        matches!(self.state, State::Paused(_))
    }

    /// Goes on after a [pause](Self::pausing): our token is sent to `out`, unless it is withheld,
    /// and what the peer has sent meanwhile is taken. Otherwise nothing happens.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// See [`pausing`](Self::pausing) for an example.
    pub fn resume(&mut self, out: &mut Vec<u8>) -> Result<(), HandshakeError> {
        self.state = match std::mem::replace(&mut self.state, State::Failed) {
            State::Paused(state) => State::Token(begin(self.role, state, out)),
            state => state,
        };
        self.recv(&[], out).map(drop)
    }

    /// Begins TLS, if both greetings ask for it (PROTOCOL.md, "TLS"): says which side of it we are,
    /// and gives the octets that came behind the peer's greeting, which are the first ones of TLS.
    /// The handshake then always [pauses](Self::pausing), and what it takes and gives after
    /// [`resume`](Self::resume) passes through TLS.
    ///
    /// `None` while it is not paused, and if no TLS follows.
    ///
    /// ```
    /// use aemp::proto::handshake::{Handshake, Local, TlsRole, TlsUse};
    /// let local = |node: &str| {
    ///     let mut local = Local::new(node.into(), None);
    ///     local.tls = TlsUse::Offered;
    ///     local
    /// };
    /// let mut a = Handshake::connect(local("a").into(), &[9; 66], "127.0.0.1:4040");
    /// let mut b = Handshake::accept(local("b").into(), &[2; 66], "127.0.0.1:50000");
    /// let (mut from_a, mut from_b) = (Vec::new(), Vec::new());
    /// a.greet(&mut from_a);
    /// b.recv(&from_a, &mut from_b)?;
    /// from_b.extend_from_slice(b"ClientHello");
    /// a.recv(&from_b, &mut Vec::new())?;
    ///
    /// assert_eq!(a.begin_tls(), Some((TlsRole::Server, b"ClientHello".to_vec())));
    /// assert_eq!(b.begin_tls(), Some((TlsRole::Client, Vec::new())));
    /// let mut token = Vec::new();
    /// a.resume(&mut token)?;
    /// assert!(token.starts_with(b"tls_sha3_512;"));
    /// # Ok::<(), aemp::proto::HandshakeError>(())
    /// ```
    pub fn begin_tls(&mut self) -> Option<(TlsRole, Vec<u8>)> {
        match &mut self.state {
            State::Paused(state) => state.tls().map(|role| (role, state.take_rest())),
            _ => None,
        }
    }

    /// Whether nothing was sent yet: [`greet`](Self::greet) would send our greeting.
    ///
    /// See [`connect`](Self::connect) for an example.
    pub fn is_opening(&self) -> bool {
        matches!(self.state, State::Opening(_))
    }

    /// Sends our greeting now, unless it is sent already.
    ///
    /// See [`connect`](Self::connect) for an example.
    pub fn greet(&mut self, out: &mut Vec<u8>) {
        self.state = match std::mem::replace(&mut self.state, State::Failed) {
            State::Opening(state) => State::Greeting(state.greet(out)),
            state => state,
        };
    }

    /// Takes octets from the peer and appends what is to be sent to `out`.
    ///
    /// Returns true when the peer's greeting was taken by this call: the moment to look at
    /// [`peer`](Self::peer) and refuse a node that is connected already.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`]; the handshake is over then, and takes nothing more.
    ///
    /// ```
    /// use aemp::proto::handshake::{Handshake, Local};
    /// let local = |node: &str| Local::new(node.into(), Some("geheim".into()));
    /// let mut a = Handshake::connect(local("a").into(), &[1; 66], "127.0.0.1:4040");
    /// let mut b = Handshake::accept(local("b").into(), &[2; 66], "127.0.0.1:50000");
    /// let (mut from_a, mut from_b) = (Vec::new(), Vec::new());
    /// a.greet(&mut from_a);
    /// assert!(b.recv(&std::mem::take(&mut from_a), &mut from_b)?);
    /// assert_eq!(b.peer().unwrap().greeting.node, "a");
    ///
    /// assert!(a.recv(&std::mem::take(&mut from_b), &mut from_a)?); // a's token is in `from_a`
    /// assert!(!b.recv(&from_a, &mut from_b)?);
    /// assert!(b.is_verified() && !a.is_verified());
    /// b.complete(&mut from_b); // the listener's token
    /// a.recv(&from_b, &mut Vec::new())?;
    /// assert!(a.complete(&mut Vec::new()).is_some());
    /// assert_eq!(a.established().unwrap().peer.greeting.node, "b");
    /// # Ok::<(), aemp::proto::HandshakeError>(())
    /// ```
    pub fn recv(&mut self, octets: &[u8], out: &mut Vec<u8>) -> Result<bool, HandshakeError> {
        let known = self.peer().is_some();
        let mut input = octets;
        loop {
            let moved;
            let state = std::mem::replace(&mut self.state, State::Failed);
            (self.state, moved) = match state {
                State::Opening(state) => match state.recv(input, out)? {
                    Step::Pending(state) => (State::Opening(state), false),
                    Step::Next(state) => (State::Nonce(named(self.role, state)?), true),
                },
                State::Greeting(state) => match state.recv(input)? {
                    Step::Pending(state) => (State::Greeting(state), false),
                    Step::Next(state) => (State::Nonce(named(self.role, state)?), true),
                },
                State::Nonce(state) => match state.recv(input)? {
                    Step::Pending(state) => (State::Nonce(state), false),
                    Step::Next(state) => match (self.between, state.tls()) {
                        (Between::GoOn, None) => (State::Token(begin(self.role, state, out)), true),
                        (Between::Pause, _) | (_, Some(_)) => (State::Paused(state), false),
                    },
                },
                State::Paused(mut state) => {
                    state.hold(input);
                    (State::Paused(state), false)
                }
                State::Token(state) => match state.recv(input)? {
                    Step::Pending(state) => (State::Token(state), false),
                    Step::Next(state) => (State::Verified(state), false),
                },
                // Verified: the caller completes before it gives us more.
                state => (state, false),
            };
            input = &[];
            if !moved {
                return Ok(!known && self.peer().is_some());
            }
        }
    }

    /// What is known of the peer, from its greeting on. `None` again after an error.
    ///
    /// See [`recv`](Self::recv) for an example.
    pub fn peer(&self) -> Option<&Peer> {
        match &self.state {
            State::Nonce(state) => Some(state.peer()),
            State::Paused(state) => Some(state.peer()),
            State::Token(state) => Some(state.peer()),
            State::Verified(state) => Some(state.peer()),
            State::Done(done) => done.as_ref().map(|done| &done.peer),
            State::Opening(_) | State::Greeting(_) | State::Failed => None,
        }
    }

    /// Whether the peer has proved itself, so that [`complete`](Self::complete) succeeds.
    ///
    /// See [`recv`](Self::recv) for an example.
    pub fn is_verified(&self) -> bool {
        matches!(self.state, State::Verified(_) | State::Done(_))
    }

    /// Ends a verified handshake; a withheld token goes to `out`.
    ///
    /// `None` if it is not verified. Completing once more sends nothing and gives the same.
    ///
    /// See [`recv`](Self::recv) for an example.
    pub fn complete(&mut self, out: &mut Vec<u8>) -> Option<&Established> {
        self.state = match std::mem::replace(&mut self.state, State::Failed) {
            State::Verified(state) => State::Done(Some(state.complete(out))),
            state => state,
        };
        match &self.state {
            State::Done(done) => done.as_ref(),
            _ => None,
        }
    }

    /// Takes the result of a completed handshake. `None` before [`complete`](Self::complete).
    ///
    /// See [`recv`](Self::recv) for an example.
    pub fn established(self) -> Option<Established> {
        match self.state {
            State::Done(done) => done,
            _ => None,
        }
    }

    /// Whether the other side's greeting can change what ours says. Unless it can, there is no
    /// reason to wait for it.
    ///
    /// ```
    /// use aemp::proto::handshake::{Handshake, Local, NONCE_LEN};
    /// let local = Local::new("ruth".into(), Some("geheim".into()));
    /// let connect = |local: Local| Handshake::connect(local.into(), &[1; NONCE_LEN], "127.0.0.1:4040");
    /// assert!(!connect(local.greeting_in(1)).is_open());
    /// assert!(connect(local).is_open());
    /// ```
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Which side opened the connection.
    ///
    /// See [`accept`](Self::accept) for an example.
    pub fn role(&self) -> Role {
        self.role
    }
}

/// Who connects to us and has our ID is refused at once. Where we connected, the nonce is awaited,
/// by which we know ourselves. What a connection is made for is for who connects to say.
fn named(role: Role, state: AwaitNonce) -> Result<AwaitNonce, HandshakeError> {
    match role {
        Role::Listener if state.has_our_id() => Err(HandshakeError::OwnNodeId {
            node: state.peer().greeting.node.clone(),
            nonce: Vec::new(),
        }),
        Role::Connector if state.wants_other_than_we() => Err(HandshakeError::NoLink),
        Role::Listener | Role::Connector => Ok(state),
    }
}

/// Sends our token, or withholds it: see [`Handshake`] for who does.
fn begin(role: Role, state: Authenticate, out: &mut Vec<u8>) -> AwaitToken {
    let withhold = role == Role::Listener || state.peer().is_perl();
    state.begin(withhold, out)
}
