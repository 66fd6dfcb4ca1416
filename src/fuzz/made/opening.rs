//! Greetings and handshakes.

use arbitrary::{Arbitrary, Unstructured};

use super::Flaw;
use crate::proto::greeting::Purpose;
use crate::proto::{AuthMethod, Framing, Generation, Greeting, NodeId, Secret};

/// How a peer begins: its greeting, and its proof once it has heard the other side's.
///
/// ```
/// use aemp::fuzz::Opening;
/// use aemp::{Generation, proto::{Framing, Greeting}};
/// let opening = Opening::new(Generation::Gen1b, Framing::Json, "fuzz");
/// let lines = String::from_utf8(opening.lines()).unwrap();
/// let greeting = Greeting::parse(lines.lines().next().unwrap().as_bytes())?;
/// assert_eq!((greeting.version, greeting.node.as_str()), (1, "fuzz"));
/// let heard = "aemp;1;ruth;hmac_md6_64_256;json\nnonce\n";
/// let token = opening.token(heard, &"geheim".into()).unwrap();
/// assert!(token.starts_with(b"hmac_md6_64_256;") && token.ends_with(b";json\n"));
/// # Ok::<(), aemp::proto::greeting::GreetingError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Opening {
    /// The generation of the peer.
    pub generation: Generation,
    /// What it sends in.
    pub framing: Framing,
    /// Its node ID.
    pub node: String,
    /// Further keys of the greeting.
    pub params: Vec<(String, String)>,
    /// What is wrong with the greeting and the nonce.
    pub flaws: Vec<Flaw>,
    /// What is wrong with the proof.
    pub token_flaws: Vec<Flaw>,
}

impl Opening {
    /// Without flaws.
    ///
    /// See [`Opening`] for an example.
    pub fn new(generation: Generation, framing: Framing, node: &str) -> Self {
        Opening {
            generation,
            framing,
            node: node.to_owned(),
            params: Vec::new(),
            flaws: Vec::new(),
            token_flaws: Vec::new(),
        }
    }

    /// The greeting without its flaws, as Perl nodes of the generation have it.
    ///
    /// ```
    /// use aemp::{Generation, proto::Framing};
    /// let opening = aemp::fuzz::Opening::new(Generation::Gen2, Framing::Cbor, "fuzz");
    /// assert_eq!(Generation::of_greeting(&opening.greeting()), Some(Generation::Gen2));
    /// ```
    pub fn greeting(&self) -> Greeting {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let mut params = match self.generation {
            Generation::Gen0 => vec![pair("provider", "AE-1.0"), pair("timeout", "12")],
            Generation::Gen1a => vec![pair("provider", "AE-1.21")],
            Generation::Gen1b => vec![pair("provider", "AE-1.30")],
            Generation::Gen2 => vec![
                pair("provider", "AE-2.01"),
                pair("mproto", "1"),
                pair("gproto", "1"),
            ],
        };
        params.push(pair("peeraddr", "127.0.0.1:4040"));
        params.extend(self.params.iter().cloned());
        let auths: &[&str] = match self.generation {
            Generation::Gen2 => &["hmac_sha3_512", "cleartext"],
            _ => &["hmac_md6_64_256", "cleartext"],
        };
        Greeting {
            purpose: Purpose::Link,
            version: self.generation.greeting_version(),
            node: NodeId::new(self.node.as_str()),
            auths: auths.iter().map(|name| (*name).to_owned()).collect(),
            framings: vec![self.framing.name().to_owned(), "json".to_owned()],
            params,
        }
    }

    /// The greeting and the nonce, each with its line end, and with the flaws.
    ///
    /// See [`Opening`] for an example.
    pub fn lines(&self) -> Vec<u8> {
        let mut lines = self.said().into_bytes();
        for flaw in &self.flaws {
            flaw.apply(&mut lines);
        }
        lines
    }

    fn said(&self) -> String {
        format!("{}\n{}\n", self.greeting().to_line(), "Zm9v".repeat(22))
    }

    /// The proof, with its flaws, once both lines of the other side are in `heard`. `None` before
    /// that, and if the other side accepts no method that works without TLS.
    ///
    /// The flaws of the greeting are not proved: who hears those refuses the proof.
    ///
    /// See [`Opening`] for an example.
    pub fn token(&self, heard: &str, secret: &Secret) -> Option<Vec<u8>> {
        let end = heard.match_indices('\n').nth(1)?.0;
        let heard = heard[..=end].replace("\r\n", "\n");
        let theirs = Greeting::parse(heard.lines().next()?.as_bytes()).ok()?;
        let known = [
            AuthMethod::HmacSha3,
            AuthMethod::HmacMd6,
            AuthMethod::Cleartext,
        ];
        let named = |name: &String| AuthMethod::from_name(name).filter(|m| known.contains(m));
        let method = theirs.auths.iter().find_map(named)?;
        let token = method.token(secret, &self.said(), &heard);
        let mut line = format!("{method};{token};{}\n", self.framing.name()).into_bytes();
        for flaw in &self.token_flaws {
            flaw.apply(&mut line);
        }
        Some(line)
    }
}

impl<'a> Arbitrary<'a> for Opening {
    fn arbitrary(from: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let generations = [
            Generation::Gen0,
            Generation::Gen1a,
            Generation::Gen1b,
            Generation::Gen2,
        ];
        let generation = *from.choose(&generations)?;
        let framing = *from.choose(&Framing::ALL)?;
        Ok(Opening {
            flaws: from.arbitrary()?,
            token_flaws: from.arbitrary()?,
            ..Opening::new(generation, framing, "fuzz")
        })
    }
}
