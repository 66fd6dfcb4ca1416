//! What waits for a link, and requests about ports.

use serde::Serialize;

use crate::proto::framing::json::JsonScanner;
use crate::proto::message::{EncodeError, encode_in, json_in};
use crate::proto::{Framing, Generation, Limits, Reason, Verb};

/// What waits until there is a link, and so a framing and a generation.
pub(super) enum Pending {
    /// Messages in JSON framing.
    Json(Vec<u8>),
    /// The wish to kill a port there.
    Kill(Box<str>, Reason),
}

impl Pending {
    /// Appends what waited, as it goes over a link.
    pub(super) fn write(
        self,
        out: &mut Vec<u8>,
        framing: Framing,
        generation: Generation,
    ) -> Result<(), EncodeError> {
        let messages = match self {
            Pending::Kill(name, reason) => {
                let verb = generation.kill_verb();
                return encode_in(out, framing, "", &WithPort(verb, &name, &reason));
            }
            Pending::Json(messages) => messages,
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

/// The reason that a monitor of a missing port gets (PROTOCOL.md, "Reasons").
pub(crate) fn missing_port(port: Option<String>) -> Reason {
    let words = ["no_such_port", "cannot monitor nonexistent port"].map(str::to_owned);
    Reason::new(words.into_iter().chain(port))
}

/// A node request about a port, with a reason's values at its end.
pub(super) struct WithPort<'a>(pub(super) Verb, pub(super) &'a str, pub(super) &'a Reason);

impl Serialize for WithPort<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq as _;
        let mut seq = serializer.serialize_seq(Some(2 + self.2.values().len()))?;
        seq.serialize_element(&self.0)?;
        seq.serialize_element(self.1)?;
        for value in self.2.values() {
            seq.serialize_element(value)?;
        }
        seq.end()
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
            for pending in [
                Pending::Json(json.clone()),
                Pending::Kill("p".into(), Reason::new(["why", "é"])),
                Pending::Json(b"[\"last\"]".to_vec()),
            ] {
                pending.write(&mut out, framing, Generation::Gen1b).unwrap();
            }
            let got = received(out.strip_prefix(b"token").unwrap(), framing);
            assert_eq!(got.len(), messages.len(), "{framing}");
            for ((name, values), (to, args)) in got.iter().zip(&messages) {
                assert_eq!((name.as_str(), &json!(values)), (*to, args), "{framing}");
            }
        }
    }
}
