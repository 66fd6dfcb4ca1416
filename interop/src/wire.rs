//! Recorded conversations made readable.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde_json::Value;

/// One direction of one connection.
#[derive(Default)]
struct Stream {
    lines: u8,
    pending: Vec<u8>,
}

/// The handshake's lines and the messages of a recording, one a line, in the order in which they were complete.
///
/// Only JSON framing is taken apart; another framing's chunks are shown as they came.
pub fn decode(recording: &str) -> String {
    let mut streams: BTreeMap<(u64, String), Stream> = BTreeMap::new();
    let mut out = String::new();
    for row in recording.lines() {
        let Ok(row) = serde_json::from_str::<Value>(row) else {
            continue;
        };
        let conn = row["conn"].as_u64().unwrap_or(0);
        let dir = row["dir"].as_str().unwrap_or("?").to_owned();
        let at = row["at"].as_f64().unwrap_or(0.0);
        let octets = match row["text"].as_str() {
            Some(text) => text.as_bytes().to_vec(),
            None => base64::engine::general_purpose::STANDARD
                .decode(row["base64"].as_str().unwrap_or(""))
                .unwrap_or_default(),
        };
        let stream = streams.entry((conn, dir.clone())).or_default();
        stream.pending.extend(octets);
        for item in stream.items() {
            out.push_str(&format!("{at:8.4} {conn}{dir} {item}\n"));
        }
    }
    for ((conn, dir), stream) in streams {
        if !stream.pending.is_empty() {
            out.push_str(&format!(
                "         {conn}{dir} left over: {}\n",
                String::from_utf8_lossy(&stream.pending)
            ));
        }
    }
    out
}

impl Stream {
    /// Takes what is complete.
    fn items(&mut self) -> Vec<String> {
        let mut items = Vec::new();
        while self.lines < 3 {
            let Some(end) = self.pending.iter().position(|&octet| octet == b'\n') else {
                return items;
            };
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            items.push(String::from_utf8_lossy(&line[..end]).into_owned());
            self.lines += 1;
        }
        let mut used = 0;
        let mut values = serde_json::Deserializer::from_slice(&self.pending).into_iter::<Value>();
        while let Some(Ok(value)) = values.next() {
            items.push(value.to_string());
            used = values.byte_offset();
        }
        self.pending.drain(..used);
        items
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn chunks_become_messages() {
        let recording = concat!(
            "{\"conn\":1,\"dir\":\">\",\"at\":0.5,\"text\":\"aemp;1;a\\nnonce\\nauth\\n[\\\"\\\",\"}\n",
            "{\"conn\":1,\"dir\":\"<\",\"at\":0.6,\"text\":\"aemp;1;b\\n\"}\n",
            "{\"conn\":1,\"dir\":\">\",\"at\":0.7,\"base64\":\"IngiXVtd\"}\n",
        );
        let text = super::decode(recording);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert_eq!(
            lines,
            [
                "0.5000 1> aemp;1;a",
                "0.5000 1> nonce",
                "0.5000 1> auth",
                "0.6000 1< aemp;1;b",
                "0.7000 1> [\"\",\"x\"]",
                "0.7000 1> []"
            ]
        );
    }
}
