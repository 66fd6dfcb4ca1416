//! The two lines with which each side opens a connection, as far as a relay has to know them:
//! whether TLS follows, and who is the client of it (PROTOCOL.md, "TLS").

use aemp::proto::Greeting;
use aemp::proto::handshake::{MAX_LINE, TlsRole};

/// Who of a relay's two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Who has connected to the relay.
    Connector,
    /// Whom the relay has connected to.
    Target,
}

/// What follows what has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It is not known yet.
    Unknown,
    /// Octets that a relay has nothing to do with.
    Plain,
    /// TLS, in which the connector has this role, and the target the other one.
    Tls(TlsRole),
}

/// The beginning of a connection, given as it comes. A relay passes it on as it is: the nodes'
/// proofs are about these lines.
#[derive(Debug, Default)]
pub(super) struct Opening {
    connector: Lines,
    target: Lines,
}

/// Of one side.
#[derive(Debug, Default)]
struct Lines {
    /// The line that has no end yet.
    part: Vec<u8>,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Nothing,
    /// It greeted, and wants TLS.
    Greeted,
    /// It is complete, with this nonce.
    Complete(Vec<u8>),
    /// It is no node, or one that does not want TLS.
    WithoutTls,
}

impl Opening {
    /// A side has said more. Gives how many of these octets belong to its two lines, and so can be
    /// passed on: what is behind them depends on [`next`](Self::next).
    pub(super) fn take(&mut self, side: Side, octets: &[u8]) -> usize {
        self.lines_mut(side).take(octets)
    }

    /// Whether a side has said both lines.
    pub(super) fn is_complete(&self, side: Side) -> bool {
        let lines = match side {
            Side::Connector => &self.connector,
            Side::Target => &self.target,
        };
        matches!(lines.state, State::Complete(_))
    }

    /// A side says no more.
    pub(super) fn end(&mut self, side: Side) {
        self.lines_mut(side).state = State::WithoutTls;
    }

    fn lines_mut(&mut self, side: Side) -> &mut Lines {
        match side {
            Side::Connector => &mut self.connector,
            Side::Target => &mut self.target,
        }
    }

    pub(super) fn next(&self) -> Next {
        match (&self.connector.state, &self.target.state) {
            (State::WithoutTls, _) | (_, State::WithoutTls) => Next::Plain,
            (State::Complete(own), State::Complete(theirs)) => match own.cmp(theirs) {
                std::cmp::Ordering::Less => Next::Tls(TlsRole::Client),
                std::cmp::Ordering::Greater => Next::Tls(TlsRole::Server),
                // An echo: nobody would begin.
                std::cmp::Ordering::Equal => Next::Plain,
            },
            _ => Next::Unknown,
        }
    }
}

impl Lines {
    fn take(&mut self, octets: &[u8]) -> usize {
        let mut taken = 0;
        while matches!(self.state, State::Nothing | State::Greeted) {
            let rest = &octets[taken..];
            let Some(end) = memchr::memchr(b'\n', rest) else {
                self.part.extend_from_slice(rest);
                if self.part.len() >= MAX_LINE {
                    self.state = State::WithoutTls;
                }
                return octets.len();
            };
            self.part.extend_from_slice(&rest[..end]);
            taken += end + 1;
            let line = std::mem::take(&mut self.part);
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            self.state = match self.state {
                _ if line.len() >= MAX_LINE => State::WithoutTls,
                State::Greeted => State::Complete(line.to_vec()),
                _ => match Greeting::parse(line) {
                    Ok(greeting) if greeting.wants_tls() => State::Greeted,
                    _ => State::WithoutTls,
                },
            };
        }
        match self.state {
            State::Complete(_) => taken,
            _ => octets.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WITH: &str = "aemp;1;a;tls_md6_64_256;json;tls=1.0\n";
    const WITHOUT: &str = "aemp;1;a;hmac_md6_64_256;json;tls=2.0\n";

    /// What follows, and what of each side is held back, if they say so in chunks of this size.
    fn opened(connector: &str, target: &str, size: usize) -> (Next, String, String) {
        let mut opening = Opening::default();
        let mut held = [(Side::Connector, connector), (Side::Target, target)].map(|(side, all)| {
            let mut held = Vec::new();
            for chunk in all.as_bytes().chunks(size) {
                let passed = match held.is_empty() {
                    true => opening.take(side, chunk),
                    false => 0,
                };
                held.extend_from_slice(&chunk[passed..]);
            }
            String::from_utf8(held).unwrap()
        });
        (
            opening.next(),
            std::mem::take(&mut held[0]),
            std::mem::take(&mut held[1]),
        )
    }

    proptest! {
        #[test]
        fn tls_follows_if_both_greetings_say_so(size in 1..60_usize) {
            let (low, high) = (format!("{WITH}a\nrecord"), format!("{WITH}b\r\nmore"));
            let plain = format!("{WITHOUT}a\ntoken");
            let held = |text: &str| text.to_owned();
            let cases = [
                (&low, &high, Next::Tls(TlsRole::Client), "record", "more"),
                (&high, &low, Next::Tls(TlsRole::Server), "more", "record"),
                (&low, &low, Next::Plain, "record", "record"),
                (&low, &plain, Next::Plain, "record", ""),
                (&plain, &low, Next::Plain, "", "record"),
                (&plain, &plain, Next::Plain, "", ""),
            ];
            for (connector, target, next, forth, back) in cases {
                let wanted = (next, held(forth), held(back));
                prop_assert_eq!(opened(connector, target, size), wanted);
            }
        }

        #[test]
        fn what_is_no_node_passes_as_it_is(
            octets in prop::collection::vec(any::<u8>(), 0..20_000),
            size in 1..5000_usize,
        ) {
            let mut opening = Opening::default();
            for chunk in octets.chunks(size) {
                prop_assert_eq!(opening.take(Side::Connector, chunk), chunk.len());
            }
            let is_known = octets.contains(&b'\n') || octets.len() >= MAX_LINE;
            let wanted = if is_known { Next::Plain } else { Next::Unknown };
            prop_assert_eq!(opening.next(), wanted);
        }
    }

    #[test]
    fn it_takes_both_to_know() {
        for (connector, target) in [(WITH, ""), (WITH, WITH), ("aemp;1;a", ""), ("", "")] {
            assert_eq!(opened(connector, target, 9).0, Next::Unknown);
        }
        let mut opening = Opening::default();
        opening.take(Side::Connector, WITH.as_bytes());
        opening.end(Side::Target);
        assert_eq!(opening.next(), Next::Plain);
    }
}
