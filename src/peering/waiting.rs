//! What waits for a link, in its order.

use super::terms::WithPort;
use crate::proto::framing::json::JsonScanner;
use crate::proto::message::{EncodeError, encode_in, json_in};
use crate::proto::{Framing, Generation, Limits, Reason};

/// What is sent while there is no link, and so no framing and no generation.
#[derive(Default)]
pub(super) struct Waiting {
    pieces: Vec<Piece>,
    octets: usize,
}

enum Piece {
    /// Messages in JSON framing.
    Messages(Vec<u8>),
    /// The order to kill a port there, which each generation says in a word of its own.
    Kill(Box<str>, Reason),
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// How much waits, in octets; an order to kill is estimated.
    #[inline]
    pub(super) fn octets(&self) -> usize {
        self.octets
    }

    /// Adds a message in JSON framing.
    pub(super) fn message(&mut self, encoded: &[u8]) {
        self.octets += encoded.len();
        match self.pieces.last_mut() {
            Some(Piece::Messages(octets)) => octets.extend_from_slice(encoded),
            _ => self.pieces.push(Piece::Messages(encoded.to_vec())),
        }
    }

    /// Adds the order to kill the port `name` there.
    pub(super) fn kill(&mut self, name: &str, reason: &Reason) {
        self.octets += name.len() + 64 + reason.size();
        self.pieces.push(Piece::Kill(name.into(), reason.clone()));
    }

    /// Appends all of it to `out`, as it goes over a link.
    pub(super) fn write(
        self,
        out: &mut Vec<u8>,
        framing: Framing,
        generation: Generation,
    ) -> Result<(), EncodeError> {
        let mut pieces = self.pieces.into_iter();
        pieces.try_for_each(|piece| piece.write(out, framing, generation))
    }
}

impl Piece {
    fn write(
        self,
        out: &mut Vec<u8>,
        framing: Framing,
        generation: Generation,
    ) -> Result<(), EncodeError> {
        let messages = match self {
            Piece::Kill(name, reason) => {
                let verb = generation.kill_verb();
                return encode_in(out, framing, "", &WithPort(verb, &name, &reason));
            }
            Piece::Messages(messages) => messages,
        };
        if framing == Framing::Json {
            out.extend_from_slice(&messages);
            return Ok(());
        }
        // They are our own, so they are sound and no limit counts.
        let mut scanner = JsonScanner::new(Limits {
            max_message: usize::MAX,
            max_depth: usize::MAX,
        });
        let mut rest = &messages[..];
        while let Ok(Some(frame)) = scanner.next(rest) {
            json_in(out, framing, &rest[..frame.end])?;
            rest = &rest[frame.end..];
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::message::Incoming;

    /// Each message's destination and values.
    fn received(octets: &[u8], framing: Framing) -> Vec<(String, Vec<serde_json::Value>)> {
        let mut block = octets.into();
        let mut incoming = Incoming::new(framing, Limits::default());
        let next = || incoming.next(&mut block).unwrap();
        std::iter::from_fn(next)
            .map(|arrived| (arrived.name.unwrap(), arrived.message.values()))
            .collect()
    }

    #[test]
    fn what_waited_goes_over_links_of_any_framing() {
        use serde_json::json;
        let mut messages = vec![
            ("a.b", json!(["m", 1, "é☺", [], {"k": [null, -7]}])),
            ("a.b", json!([])),
            ("c\"d", json!(vec!["x"; 40])),
            ("", json!(["mon1", "p"])),
        ];
        let mut json = Vec::new();
        for (name, args) in &messages {
            encode_in(&mut json, Framing::Json, name, args).unwrap();
        }
        json.extend(b"[ \"relayed\" , \"\\u00e9\" , [ 1 ] ]");
        messages.extend([
            ("relayed", json!(["é", [1]])),
            ("", json!(["kil", "p", "why", "é"])),
            ("last", json!([])),
        ]);
        for framing in Framing::ALL {
            let mut out = b"token".to_vec();
            let mut waiting = Waiting::default();
            waiting.message(&json);
            waiting.kill("p", &Reason::new(["why", "é"]));
            waiting.message(b"[\"last\"]");
            waiting.write(&mut out, framing, Generation::Gen1b).unwrap();
            let got = received(out.strip_prefix(b"token").unwrap(), framing);
            assert_eq!(got.len(), messages.len(), "{framing}");
            for ((name, values), (to, args)) in got.iter().zip(&messages) {
                assert_eq!((name.as_str(), &json!(values)), (*to, args), "{framing}");
            }
        }
    }
}
