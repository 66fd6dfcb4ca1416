//! Recorded conversations made readable.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde_json::Value;

/// One direction of one connection.
#[derive(Default)]
struct Stream {
    lines: u8,
    cbor: bool,
    pending: Vec<u8>,
}

/// The handshake's lines and the messages of a recording, one a line, in the order in which they
/// were complete.
///
/// JSON and CBOR framing are taken apart; storable's chunks are shown as they came.
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
            let line = String::from_utf8_lossy(&line[..end]).into_owned();
            self.lines += 1;
            // the third says how the messages are written
            self.cbor = self.lines == 3 && line.trim_end().ends_with(";cbor");
            items.push(line);
        }
        if self.cbor {
            let mut rest = &self.pending[..];
            let mut after = rest;
            while let Some(text) = cbor(&mut after, 0) {
                items.push(text);
                rest = after;
            }
            let used = self.pending.len() - rest.len();
            self.pending.drain(..used);
            return items;
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

/// Takes a CBOR item that is complete, as a text that shows what it was: octet strings as `h"..."`,
/// tags as `TAG(..)`.
fn cbor(octets: &mut &[u8], depth: u8) -> Option<String> {
    let (&head, rest) = octets.split_first()?;
    *octets = rest;
    let (kind, short) = (head >> 5, head & 31);
    let count = match short {
        24..=27 => 1 << (short - 24),
        _ => 0,
    };
    if depth > 100 || octets.len() < count {
        return None;
    }
    let (number, rest) = octets.split_at(count);
    *octets = rest;
    let number = number
        .iter()
        .fold(0_u64, |all, octet| all << 8 | u64::from(*octet));
    let value = if short < 24 { u64::from(short) } else { number };
    let open = short == 31;
    let mut items = |each: usize| -> Option<Vec<String>> {
        let mut list = Vec::new();
        let mut left = value;
        while open || left > 0 {
            if open && octets.first() == Some(&0xff) {
                *octets = &octets[1..];
                break;
            }
            let parts: Option<Vec<String>> = (0..each).map(|_| cbor(octets, depth + 1)).collect();
            list.push(parts?.join(":"));
            left = left.wrapping_sub(1);
        }
        Some(list)
    };
    Some(match kind {
        0 => value.to_string(),
        1 => (-1 - i128::from(value)).to_string(),
        2 | 3 if open => items(1)?.join("+"),
        2 | 3 => {
            let length = usize::try_from(value).ok()?;
            if octets.len() < length {
                return None;
            }
            let (text, rest) = octets.split_at(length);
            *octets = rest;
            if kind == 3 {
                format!("{:?}", String::from_utf8_lossy(text))
            } else {
                let text: String = text.iter().map(|octet| char::from(*octet)).collect();
                format!("h{text:?}")
            }
        }
        4 => format!("[{}]", items(1)?.join(",")),
        5 => format!("{{{}}}", items(2)?.join(",")),
        6 => format!("{value}({})", cbor(octets, depth + 1)?),
        _ => match short {
            20 => "false".to_owned(),
            21 => "true".to_owned(),
            22 => "null".to_owned(),
            26 => format!("{:?}f32", f32::from_bits(u32::try_from(value).ok()?)),
            27 => format!("{:?}f64", f64::from_bits(value)),
            _ => format!("simple({value})"),
        },
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    #[test]
    fn cbor_messages_are_readable() {
        let octets = b"\x83\x40\x45g_upd\xa1\x43\xe2\x98\xba\x63\xe2\x98\xba\x82\x40\xfa\x3f\xc0\x00\x00\x81\x9f\x38\x63\xf6\xff\x82\x44cut";
        let row = serde_json::json!({
            "conn": 1, "dir": "<", "at": 0.0,
            "base64": base64::engine::general_purpose::STANDARD
                .encode([b"aemp;1;a\nn\nhmac_sha3_512;0;cbor\n", &octets[..]].concat()),
        });
        let text = super::decode(&row.to_string());
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert_eq!(
            lines[3..6],
            [
                "0.0000 1< [h\"\",h\"g_upd\",{h\"\u{e2}\\u{98}\u{ba}\":\"\u{263a}\"}]",
                "0.0000 1< [h\"\",1.5f32]",
                "0.0000 1< [[-100,null]]",
            ]
        );
        assert!(lines[6].contains("left over"), "{text}");
    }

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
