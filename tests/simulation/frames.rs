//! What stands between two nodes and changes single messages: for faults that are put in by hand.

use std::sync::{Arc, Mutex};

use aemp::net::memory::Network;

use crate::schedule::Schedule;
use crate::world::Fault;

/// The lines that each side begins with: the greeting, the nonce, the token.
const LINES: usize = 3;

/// Changes a message in JSON: gives what is sent in its place.
type Edit = dyn FnMut(&str) -> Vec<String> + Send;

/// Cuts what one side sends into its messages.
#[derive(Default)]
struct Splitter {
    lines: usize,
    octets: Vec<u8>,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Splitter {
    /// What is sent in place of some octets.
    fn pass(&mut self, octets: &[u8], edit: &mut dyn FnMut(&str) -> Vec<String>) -> Vec<u8> {
        let mut out = Vec::new();
        for &octet in octets {
            if self.lines < LINES {
                out.push(octet);
                self.lines += usize::from(octet == b'\n');
                continue;
            }
            self.octets.push(octet);
            if self.ends(octet) {
                let message = String::from_utf8(std::mem::take(&mut self.octets)).unwrap();
                edit(&message)
                    .iter()
                    .for_each(|message| out.extend(message.as_bytes()));
            }
        }
        out
    }

    /// Whether a message ends with this octet.
    fn ends(&mut self, octet: u8) -> bool {
        match (self.in_string, octet) {
            (true, _) if self.escaped => self.escaped = false,
            (true, b'\\') => self.escaped = true,
            (_, b'"') => self.in_string = !self.in_string,
            (false, b'[' | b'{') => self.depth += 1,
            (false, b']' | b'}') => self.depth -= 1,
            _ => {}
        }
        self.depth == 0 && !self.in_string
    }
}

/// Changes what one node sends to the other, in all of their connections.
pub fn between(
    from: usize,
    to: usize,
    edit: impl FnMut(&str) -> Vec<String> + Send + 'static,
) -> Fault {
    let edit: Arc<Mutex<Edit>> = Arc::new(Mutex::new(edit));
    let interpose = move |network: &Network, _: &Schedule| {
        let edit = edit.clone();
        network.interpose(&format!("n{from}"), &format!("n{to}"), move || {
            let (mut splitter, edit) = (Splitter::default(), edit.clone());
            move |octets: &[u8]| splitter.pass(octets, &mut *edit.lock().unwrap())
        });
    };
    Fault {
        interpose: Some(Arc::new(interpose)),
        json: true,
        ..Fault::default()
    }
}

#[test]
fn messages_are_told_apart() {
    let mut splitter = Splitter::default();
    let mut seen = Vec::new();
    let mut edit = |message: &str| {
        seen.push(message.to_owned());
        vec![message.to_owned(), "[]".to_owned()]
    };
    let stream = br#"a
[b
c
["a\"]",{"b":[1]}][]"#;
    let mut out = Vec::new();
    for octets in stream.chunks(3) {
        out.extend(splitter.pass(octets, &mut edit));
    }
    assert_eq!(out, b"a\n[b\nc\n[\"a\\\"]\",{\"b\":[1]}][][][]");
    assert_eq!(seen, [r#"["a\"]",{"b":[1]}]"#, "[]"]);
}
