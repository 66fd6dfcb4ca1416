//! What was said to the node, as a stream of JSON: whether it has a question to answer.

use serde::de::IgnoredAny;

/// Where a stream of messages is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// All messages are whole: whoever reads them answers the next one.
    Between,
    /// In the middle of one: what follows belongs to it, and is no question.
    Within,
    /// Behind something that is no JSON: whoever reads that closes the connection, or goes on with
    /// what follows.
    Broken,
}

/// The octets that were said since the last whole message.
#[derive(Debug, Default)]
pub(super) struct Stream {
    rest: Vec<u8>,
    broken: bool,
}

impl Stream {
    /// More was said.
    pub(super) fn say(&mut self, octets: &[u8]) -> Place {
        if self.broken {
            return Place::Broken;
        }
        self.rest.extend_from_slice(octets);
        let mut reader = serde_json::Deserializer::from_slice(&self.rest);
        // What is not kept is read without recursion, however deep it is.
        reader.disable_recursion_limit();
        let mut all = reader.into_iter::<IgnoredAny>();
        let error = loop {
            match all.next() {
                Some(Ok(_)) => {}
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        let read = all.byte_offset();
        match error {
            None => {
                self.rest.clear();
                Place::Between
            }
            Some(error) if error.is_eof() => {
                self.rest.drain(..read);
                Place::Within
            }
            Some(_) => {
                self.broken = true;
                Place::Broken
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_are_whole_or_not() {
        for (text, place) in [
            ("", Place::Between),
            (r#"["a"]["b"]"#, Place::Between),
            ("[", Place::Within),
            (r#"["a"]["b""#, Place::Within),
            (r#"["a"]["\"#, Place::Within),
            ("]", Place::Broken),
            ("{]", Place::Broken),
            ("\u{0}", Place::Broken),
        ] {
            assert_eq!(Stream::default().say(text.as_bytes()), place, "{text}");
        }
        let deep = "[".repeat(1_000_000);
        assert_eq!(Stream::default().say(deep.as_bytes()), Place::Within);
    }

    #[test]
    fn what_is_broken_stays_so() {
        let mut stream = Stream::default();
        assert_eq!(stream.say(b"[\"a"), Place::Within);
        assert_eq!(stream.say(b"\"]"), Place::Between);
        assert_eq!(stream.say(b"}"), Place::Broken);
        assert_eq!(stream.say(b"[]"), Place::Broken);
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same(
            texts in prop::collection::vec(r#"\[("[a\\]{0,3}"|[0-9],|\[\]|\{|\})*\]"#, 0..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let text = texts.concat();
            let (first, second) = text.as_bytes().split_at(cut.index(text.len() + 1));
            let mut whole = Stream::default();
            let mut pieces = Stream::default();
            let expected = whole.say(text.as_bytes());
            let place = pieces.say(first);
            prop_assert_eq!(pieces.say(second), expected, "{:?}", place);
        }
    }
}
