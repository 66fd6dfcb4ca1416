//! The handshake over a stream, in two steps: first the greetings, and then the proofs.
//!
//! In between the caller decides what becomes of the connection, knowing what the peer claims to
//! be: a greeting of another protocol is a branch there. TLS begins in [`Greeted::prove`], where
//! both nonces are known and no token is sent.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use super::tls::{Tls, TlsInfo};
use super::{LinkError, Stream};
use crate::proto::Handshake;
use crate::proto::greeting::Purpose;
use crate::proto::handshake::{Established, Peer, Role};

/// What a handshake may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// The time for all of it.
    pub(crate) limit: Duration,
    /// The time for the peer's greeting.
    pub(crate) greeting: Duration,
    /// How long a connector waits for the listener to greet first, in case that may be of use.
    pub(crate) patience: Duration,
}

/// How long a connector waits for the listener to greet first, if it may speak several versions,
/// given how long it took to connect. Perl's listeners greet at once. If one is too busy for that,
/// or too far away, and speaks another version than we greet with then, it is connected to again.
pub(crate) fn greeting_patience(connecting: Duration) -> Duration {
    const LEAST: Duration = Duration::from_millis(5);
    const MOST: Duration = Duration::from_millis(25);
    (connecting * 3).clamp(LEAST, MOST)
}

/// Who greeted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// We did, as connector, after the listener had been given time to.
    We,
    /// The other side, or both at once.
    They,
}

/// A handshake under way.
struct Conversation {
    stream: Stream,
    handshake: Handshake,
    terms: Terms,
    deadline: Instant,
    first: First,
}

/// A connection on which the peer has greeted; its nonce may be missing. Nothing is proved.
pub(crate) struct Greeted {
    conversation: Conversation,
    /// What is to be said next, unless the connection is refused: our greeting, if theirs came
    /// first.
    out: Vec<u8>,
}

/// A connection on which the peer has proved itself.
pub(crate) struct Proved {
    pub(crate) stream: Stream,
    /// What is known of the TLS that the stream goes through, if it does.
    pub(crate) tls: Option<Arc<TlsInfo>>,
    /// Our token, if it was withheld: it is to be sent before any message.
    pub(crate) token: Vec<u8>,
    pub(crate) established: Established,
    pub(crate) role: Role,
    pub(crate) first: First,
}

/// Exchanges the greetings.
pub(crate) async fn greet(
    stream: Stream,
    handshake: Handshake,
    terms: Terms,
) -> Result<Greeted, LinkError> {
    let mut conversation = Conversation {
        stream,
        handshake: handshake.pausing(),
        terms,
        deadline: Instant::now() + terms.limit,
        first: First::They,
    };
    let mut out = Vec::new();
    if !conversation.handshake.is_open() {
        conversation.handshake.greet(&mut out);
    }
    let greeted = |handshake: &Handshake| handshake.peer().is_some();
    let out = conversation.talk(out, greeted).await?;
    Ok(Greeted { conversation, out })
}

impl Greeted {
    /// What the peer claims to be.
    pub(crate) fn peer(&self) -> Option<&Peer> {
        self.conversation.handshake.peer()
    }

    /// Whether it is accepted, and to be a data connection.
    pub(crate) fn is_for_data(&self) -> bool {
        let purpose = self.peer().map(|peer| peer.greeting.purpose);
        self.role() == Role::Listener && purpose == Some(Purpose::Data)
    }

    pub(crate) fn role(&self) -> Role {
        self.conversation.handshake.role()
    }

    /// Goes on: with TLS if both want it; takes the peer's proof, and sends ours unless it is
    /// withheld.
    pub(crate) async fn prove(self, tls: Option<&Tls>) -> Result<Proved, LinkError> {
        let Greeted {
            mut conversation,
            out,
        } = self;
        let mut out = conversation.talk(out, Handshake::is_paused).await?;
        let (mut conversation, tls) = conversation.secure(&mut out, tls).await?;
        let resumed = conversation.handshake.resume(&mut out);
        conversation.taken(resumed, &out).await?;
        let talked = conversation.talk(out, Handshake::is_verified).await;
        let out = talked.map_err(|error| conversation.refused(error))?;
        conversation.stream.write_all(&out).await?;
        let Conversation {
            stream,
            mut handshake,
            first,
            ..
        } = conversation;
        let mut token = Vec::new();
        handshake.complete(&mut token);
        let role = handshake.role();
        let established = handshake.established().ok_or(LinkError::Closed)?;
        Ok(Proved {
            stream,
            tls,
            token,
            established,
            role,
            first,
        })
    }
}

impl Conversation {
    /// What an error says of a peer that was to prove itself. Of who has connected to us nothing is
    /// known: there are many reasons to give a connection up again.
    fn refused(&self, error: LinkError) -> LinkError {
        let closed = match &error {
            LinkError::Closed => true,
            LinkError::Io(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
            _ => false,
        };
        match self.handshake.peer() {
            Some(peer) if closed && self.handshake.role() == Role::Connector => {
                LinkError::Refused(peer.greeting.node.clone())
            }
            _ => error,
        }
    }

    /// Goes over to TLS, if the greetings say so.
    #[cfg(feature = "tls")]
    async fn secure(
        mut self,
        out: &mut Vec<u8>,
        tls: Option<&Tls>,
    ) -> Result<(Self, Option<Arc<TlsInfo>>), LinkError> {
        let (Some((role, early)), Some(tls)) = (self.handshake.begin_tls(), tls) else {
            return Ok((self, None));
        };
        // What is left of our greeting goes out as it is.
        self.stream.write_all(&std::mem::take(out)).await?;
        let Stream::Plain(plain) = self.stream else {
            return Ok((self, None));
        };
        let begun = Instant::now();
        let opening = super::tls::Stream::open(plain, tls, role, early);
        let opened = tokio::time::timeout_at(self.deadline, opening).await;
        let stream = opened.map_err(|_| LinkError::HandshakeTimeout(begun.elapsed()))??;
        let info = Arc::new(stream.info());
        self.stream = Stream::Tls(Box::new(stream));
        Ok((self, Some(info)))
    }

    /// Without the feature `tls` no greeting of ours says so.
    #[cfg(not(feature = "tls"))]
    async fn secure(
        self,
        _: &mut Vec<u8>,
        _: Option<&Tls>,
    ) -> Result<(Self, Option<Arc<TlsInfo>>), LinkError> {
        Ok((self, None))
    }

    /// Sends `out`, and then takes what comes and answers, until the handshake has come as far as
    /// this. Gives back what is to be said then.
    async fn talk(
        &mut self,
        mut out: Vec<u8>,
        far_enough: impl Fn(&Handshake) -> bool,
    ) -> Result<Vec<u8>, LinkError> {
        let mut input = [0; 1024];
        // One timer for all of it, which seldom changes.
        let timer = tokio::time::sleep_until(self.deadline);
        tokio::pin!(timer);
        loop {
            if far_enough(&self.handshake) {
                return Ok(out);
            }
            if !out.is_empty() {
                self.stream.write_all(&out).await?;
                out.clear();
            }
            let listens_first = self.listens_first();
            let now = Instant::now();
            let until = self.deadline.min(now + self.patience());
            if timer.deadline() != until {
                timer.as_mut().reset(until);
            }
            let read = tokio::select! {
                biased;
                read = self.stream.read(&mut input) => read?,
                () = &mut timer => {
                    if listens_first {
                        self.handshake.greet(&mut out);
                        self.first = First::We;
                        continue;
                    }
                    return Err(LinkError::HandshakeTimeout(until.saturating_duration_since(now)));
                }
            };
            if read == 0 {
                return Err(LinkError::Closed);
            }
            let received = self.handshake.recv(&input[..read], &mut out);
            self.taken(received, &out).await?;
        }
    }

    /// What came was taken. If that failed, what there is to be said is still said: the greeting
    /// with which we answer a wrong version tells what we would have spoken.
    async fn taken<T>(
        &mut self,
        result: Result<T, crate::proto::HandshakeError>,
        out: &[u8],
    ) -> Result<(), LinkError> {
        if let Err(error) = result {
            let _ = self.stream.write_all(out).await;
            return Err(error.into());
        }
        Ok(())
    }

    /// Whether we are a connector that waits for the listener to greet first.
    fn listens_first(&self) -> bool {
        self.handshake.is_opening() && self.handshake.role() == Role::Connector
    }

    /// How long the peer may be silent now.
    fn patience(&self) -> Duration {
        match self.handshake.peer() {
            None if self.listens_first() => self.terms.patience,
            None => self.terms.limit.min(self.terms.greeting),
            Some(peer) => {
                let usual = peer.generation.default_handshake_timeout();
                self.terms.limit.min(usual)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_far_away_is_given_more_time() {
        let millis = Duration::from_millis;
        assert_eq!(greeting_patience(Duration::from_micros(50)), millis(5));
        assert_eq!(greeting_patience(millis(4)), millis(12));
        assert_eq!(greeting_patience(millis(80)), millis(25));
    }
}
