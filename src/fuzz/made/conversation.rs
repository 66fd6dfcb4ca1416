//! Whole conversations.

use arbitrary::{Arbitrary, Unstructured};
use serde_json::Value;

use super::{Flaw, Opening, Quality, Saying, Speaker};
use crate::proto::Secret;
use crate::proto::message::encode_in;

/// All that a peer says on one connection, from its greeting on.
///
/// Whoever plays it sends the [`lines`](Opening::lines) of the opening, reads two lines, and sends
/// the [`rest`](Self::rest). An implementation in any language can be tried so, over a socket; see
/// [`strategy`](crate::fuzz::strategy).
///
/// ```
/// use aemp::fuzz::{Conversation, Opening, Saying};
/// use aemp::{Generation, proto::Framing};
/// let conversation = Conversation {
///     opening: Opening::new(Generation::Gen2, Framing::Json, "fuzz"),
///     sayings: vec![(Saying::Monitor(0), vec![]), (Saying::Keepalive, vec![])],
/// };
/// let heard = "aemp;1;ruth;hmac_sha3_512;json\nnonce\n";
/// let rest = conversation.rest(heard, &"geheim".into(), &["a.b".into()]).unwrap();
/// assert!(rest.ends_with(b";json\n[\"\",\"mon1\",\"a.b\"][]"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// How it begins.
    pub opening: Opening,
    /// What is said then, and the flaws of each.
    pub sayings: Vec<(Saying, Vec<Flaw>)>,
}

impl Conversation {
    /// The proof and all messages, once both lines of the other side are in `heard`. `ports` are
    /// the names of ports that the other side has. `None`: there is no proof, see
    /// [`Opening::token`].
    ///
    /// See [`Conversation`] for an example.
    pub fn rest(&self, heard: &str, secret: &Secret, ports: &[String]) -> Option<Vec<u8>> {
        let mut out = self.opening.token(heard, secret)?;
        for octets in self.messages(ports) {
            out.extend_from_slice(&octets);
        }
        Some(out)
    }

    /// The messages as octets, one by one.
    ///
    /// ```
    /// use aemp::fuzz::{Conversation, Opening, Saying};
    /// use aemp::{Generation, proto::Framing};
    /// let conversation = Conversation {
    ///     opening: Opening::new(Generation::Gen0, Framing::Json, "fuzz"),
    ///     sayings: vec![(Saying::Died(1), vec![])],
    /// };
    /// assert_eq!(conversation.messages(&[]), [b"[\"\",\"kil\",\"own.1\",\"fuzz\"]"]);
    /// ```
    pub fn messages(&self, ports: &[String]) -> Vec<Vec<u8>> {
        let opening = &self.opening;
        let mut speaker = Speaker::new(opening.generation, &opening.node, ports);
        let mut all = Vec::new();
        for (saying, flaws) in &self.sayings {
            let mut octets = Vec::new();
            match saying {
                Saying::Keepalive => octets.extend_from_slice(opening.framing.keepalive()),
                Saying::Octets(raw) => octets.extend_from_slice(raw),
                saying => {
                    let Some((name, elements)) = speaker.say(saying) else {
                        continue;
                    };
                    // JSON values can be said in every framing.
                    let _ = encode_in(&mut octets, opening.framing, &name, &elements);
                }
            }
            for flaw in flaws {
                flaw.apply(&mut octets);
            }
            all.push(octets);
        }
        all
    }

    /// The messages as values, each with the name of its port in front, as far as they are without
    /// a flaw.
    ///
    /// ```
    /// use aemp::fuzz::{Conversation, Opening, Saying};
    /// use aemp::{Generation, proto::Framing};
    /// let conversation = Conversation {
    ///     opening: Opening::new(Generation::Gen2, Framing::Cbor, "fuzz"),
    ///     sayings: vec![(Saying::Monitor(0), vec![]), (Saying::Octets(vec![0xff]), vec![])],
    /// };
    /// let values = conversation.values(&["a.b".into()]);
    /// assert_eq!(values, [("".into(), vec!["mon1".into(), "a.b".into()])]);
    /// ```
    pub fn values(&self, ports: &[String]) -> Vec<(String, Vec<Value>)> {
        let opening = &self.opening;
        let mut speaker = Speaker::new(opening.generation, &opening.node, ports);
        let sound = self
            .sayings
            .iter()
            .take_while(|(saying, flaws)| flaws.is_empty() && !matches!(saying, Saying::Octets(_)));
        sound
            .filter_map(|(saying, _)| speaker.say(saying))
            .collect()
    }

    /// How good it is.
    ///
    /// ```
    /// use aemp::fuzz::{Conversation, Flaw, Opening, Quality, Saying};
    /// use aemp::{Generation, proto::Framing};
    /// let mut conversation = Conversation {
    ///     opening: Opening::new(Generation::Gen2, Framing::Cbor, "fuzz"),
    ///     sayings: vec![(Saying::Keepalive, vec![])],
    /// };
    /// assert_eq!(conversation.quality(), Quality::Valid);
    /// conversation.sayings[0].1.push(Flaw::Missing(0));
    /// assert_eq!(conversation.quality(), Quality::NearlyValid);
    /// conversation.sayings.push((Saying::Octets(vec![0xff]), vec![]));
    /// assert_eq!(conversation.quality(), Quality::Hostile);
    /// ```
    pub fn quality(&self) -> Quality {
        let of_messages = self.sayings.iter().flat_map(|(_, flaws)| flaws);
        let opening = self.opening.flaws.iter().chain(&self.opening.token_flaws);
        let flaws: Vec<&Flaw> = opening.chain(of_messages).collect();
        let raw = |(saying, _): &(Saying, Vec<Flaw>)| matches!(saying, Saying::Octets(_));
        let is_hostile = self.sayings.iter().any(raw);
        match &flaws[..] {
            _ if is_hostile => Quality::Hostile,
            [] => Quality::Valid,
            [flaw] if !flaw.is_hostile() => Quality::NearlyValid,
            _ => Quality::Hostile,
        }
    }
}

impl<'a> Arbitrary<'a> for Conversation {
    fn arbitrary(from: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let opening = from.arbitrary()?;
        let mut sayings = Vec::new();
        while !from.is_empty() {
            let saying = from.arbitrary()?;
            let flaws = match from.ratio(1, 4)? {
                true => from.arbitrary()?,
                false => Vec::new(),
            };
            sayings.push((saying, flaws));
        }
        Ok(Conversation { opening, sayings })
    }
}
