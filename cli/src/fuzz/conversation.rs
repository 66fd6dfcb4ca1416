//! What is said to the node that is tried, and how that is written down.
//!
//! The file has the format of the captures in `fixtures/`: a line is a chunk of octets of one
//! connection in one direction. Lines of ours that can't be said again as they are, because the
//! node has another nonce each time, have a key `as` besides; so have the questions that we ask in
//! between, which are no part of the conversation.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::Failure;

/// A step of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Greets and proves that it knows the secret, as a node of this name.
    Login(String),
    /// Says these octets.
    Say(Vec<u8>),
}

/// What is said on one connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Conversation(pub(super) Vec<Step>);

/// Why a line is there, where it is not simply said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum As {
    /// Our greeting.
    Greeting,
    /// Our proof.
    Proof,
    /// A question of ours, to see whether the node still answers.
    Question,
}

/// A chunk of octets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Line {
    conn: u32,
    dir: char,
    /// Seconds since the connection was made.
    at: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(rename = "as", default, skip_serializing_if = "Option::is_none")]
    role: Option<As>,
}

impl Line {
    /// `said`: by us, not by the node.
    pub(super) fn new(said: bool, at: f64, octets: &[u8], role: Option<As>) -> Self {
        let text = std::str::from_utf8(octets).ok().map(str::to_owned);
        Line {
            conn: 1,
            dir: if said { '>' } else { '<' },
            at: (at * 1e4).round() / 1e4,
            base64: text.is_none().then(|| BASE64.encode(octets)),
            text,
            role,
        }
    }

    fn octets(&self) -> Result<Vec<u8>, Failure> {
        match (&self.text, &self.base64) {
            (Some(text), _) => Ok(text.clone().into_bytes()),
            (None, Some(base64)) => Ok(BASE64.decode(base64)?),
            (None, None) => Err("a line has neither `text` nor `base64`".into()),
        }
    }
}

/// Writes lines down, one JSON object each.
pub(super) fn save(path: &Path, lines: &[Line]) -> Result<(), Failure> {
    let mut text = String::new();
    for line in lines {
        text += &serde_json::to_string(line)?;
        text.push('\n');
    }
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()).into())
}

impl Conversation {
    /// Reads what [`save`] wrote, or a capture of one connection.
    ///
    /// # Errors
    ///
    /// The file can't be read, or is nothing of that kind.
    pub(super) fn load(path: &Path) -> Result<Self, Failure> {
        let named = |error: String| Failure::from(format!("{}: {error}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
        Self::parse(&text).map_err(|error| named(error.to_string()))
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let lines: Result<Vec<Line>, _> = text.lines().map(serde_json::from_str).collect();
        let lines = lines?;
        let first = lines.first().map(|line| line.conn);
        let mut steps = Vec::new();
        for line in &lines {
            if Some(line.conn) != first || line.dir != '>' {
                continue;
            }
            let octets = line.octets()?;
            match line.role {
                None => steps.push(Step::Say(octets)),
                Some(As::Greeting) => steps.push(Step::Login(name_in(&octets)?)),
                Some(As::Proof | As::Question) => {}
            }
        }
        Ok(Conversation(steps))
    }
}

/// The node ID in a greeting.
fn name_in(greeting: &[u8]) -> Result<String, Failure> {
    let text = String::from_utf8_lossy(greeting);
    let name = text.split(';').nth(2);
    name.map(str::to_owned)
        .ok_or_else(|| "a line that is a greeting has no node ID".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_said_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("found.jsonl");
        let lines = [
            Line::new(
                true,
                0.0,
                b"aemp;1;vandal;hmac;json\nN\n",
                Some(As::Greeting),
            ),
            Line::new(false, 0.1, b"aemp;1;node;hmac;json\nM\n", None),
            Line::new(true, 0.2, b"hmac;00;json\n", Some(As::Proof)),
            Line::new(true, 0.3, b"[\"\",\"x\"", None),
            Line::new(true, 0.4, b"\xff\x00", None),
            Line::new(true, 0.5, b"[\"\",\"time\"]", Some(As::Question)),
        ];
        save(&path, &lines).unwrap();
        let expected = [
            Step::Login("vandal".to_owned()),
            Step::Say(b"[\"\",\"x\"".to_vec()),
            Step::Say(b"\xff\x00".to_vec()),
        ];
        assert_eq!(Conversation::load(&path).unwrap().0, expected);
    }

    #[test]
    fn what_is_no_conversation_is_named() {
        assert!(Conversation::parse("{}").is_err());
        assert!(Conversation::parse(r#"{"conn":1,"dir":">","at":0}"#).is_err());
        let path = Path::new("/nonexistent/found");
        let error = Conversation::load(path).unwrap_err().to_string();
        assert!(error.starts_with("/nonexistent/found: "), "{error}");
    }
}
