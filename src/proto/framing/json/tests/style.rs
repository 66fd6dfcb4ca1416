//! Writing JSON in all the ways it can be written.

use proptest::prelude::*;
use serde_json::{Map, Number, Value};

use super::super::{Element, ElementKind, Frame};

/// Characters of which each needs another treatment somewhere.
const CHARS: &[char] = &[
    'a',
    'Z',
    '0',
    ' ',
    '/',
    '"',
    '\\',
    '\0',
    '\u{1f}',
    '\n',
    '\t',
    '\r',
    '\u{8}',
    '\u{c}',
    '\u{7f}',
    '\u{80}',
    '\u{e9}',
    '\u{ff}',
    '\u{7ff}',
    '\u{800}',
    '\u{d7ff}',
    '\u{e000}',
    '\u{feff}',
    '\u{ffff}',
    '\u{10000}',
    '\u{10ffff}',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
];

fn text() -> impl Strategy<Value = String> {
    let char = prop_oneof![3 => prop::sample::select(CHARS), 1 => any::<char>()];
    prop_oneof![
        "[a-zA-Z0-9.#/]{0,24}",
        prop::collection::vec(char, 0..20).prop_map(String::from_iter),
    ]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-9..10i64).prop_map(Value::from),
        // Short ones: of long ones serde_json loses the last bit when it reads them.
        (any::<i16>(), 0..8).prop_map(|(n, e)| Value::from(f64::from(n) / f64::from(1 << e))),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number(),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let object = prop::collection::vec((text(), inner.clone()), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(Value::from),
            object.prop_map(|pairs| Value::Object(Map::from_iter(pairs))),
        ]
    })
}

/// A message: mostly with a destination, sometimes a keepalive.
pub fn message() -> impl Strategy<Value = Value> {
    let dest = prop_oneof![4 => text().prop_map(Value::from), 1 => number()];
    let full = (dest, prop::collection::vec(value(), 0..6)).prop_map(|(dest, mut rest)| {
        rest.insert(0, dest);
        Value::from(rest)
    });
    prop_oneof![8 => full, 1 => Just(Value::Array(vec![]))]
}

/// The messages one after the other, in a style that depends on `seed`, and where they lie.
pub fn write(messages: &[Value], seed: u64) -> (Vec<u8>, Vec<Frame>) {
    let mut writer = Writer::new(seed);
    let frames = messages.iter().map(|message| writer.message(message));
    let frames = frames.collect();
    writer.space();
    (writer.out, frames)
}

/// A string, in a style that depends on `seed`.
pub fn string(s: &str, seed: u64) -> Vec<u8> {
    let mut writer = Writer::new(seed);
    writer.string(s);
    writer.out
}

struct Writer {
    out: Vec<u8>,
    random: u64,
    spaces: u64,
    escapes: u64,
}

impl Writer {
    fn new(seed: u64) -> Self {
        let mut writer = Self {
            out: Vec::new(),
            random: seed,
            spaces: 0,
            escapes: 0,
        };
        writer.spaces = [0, 0, 2, 8][writer.below(4) as usize];
        writer.escapes = [0, 0, 2, 9][writer.below(4) as usize];
        writer
    }

    fn below(&mut self, n: u64) -> u64 {
        // Knuth's MMIX generator.
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % n
    }

    fn space(&mut self) {
        while self.below(10) < self.spaces {
            let space = b" \n\r\t"[self.below(4) as usize];
            self.out.push(space);
        }
    }

    fn message(&mut self, message: &Value) -> Frame {
        self.space();
        let start = self.out.len();
        self.out.push(b'[');
        self.space();
        let mut elements = Vec::new();
        for (i, value) in message.as_array().into_iter().flatten().enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            self.space();
            elements.push(self.value(value));
            self.space();
        }
        self.out.push(b']');
        Frame {
            start,
            end: self.out.len(),
            dest: elements.first().copied(),
            tag: elements.get(1).copied(),
        }
    }

    fn value(&mut self, value: &Value) -> Element {
        let mut start = self.out.len();
        let mut kind = ElementKind::Other;
        match value {
            Value::Number(n) => {
                self.number(n);
                kind = ElementKind::Number;
            }
            Value::String(s) => {
                let escaped = self.string(s);
                let end = self.out.len() - 1;
                start += 1;
                kind = if escaped {
                    ElementKind::Escaped
                } else {
                    ElementKind::Plain
                };
                return Element { start, end, kind };
            }
            Value::Array(values) => {
                self.out.push(b'[');
                for (i, value) in values.iter().enumerate() {
                    if i > 0 {
                        self.out.push(b',');
                    }
                    self.space();
                    self.value(value);
                    self.space();
                }
                self.space();
                self.out.push(b']');
            }
            Value::Object(map) => {
                self.out.push(b'{');
                for (i, (key, value)) in map.iter().enumerate() {
                    if i > 0 {
                        self.out.push(b',');
                    }
                    self.space();
                    self.string(key);
                    self.space();
                    self.out.push(b':');
                    self.space();
                    self.value(value);
                    self.space();
                }
                self.space();
                self.out.push(b'}');
            }
            other => self.out.extend_from_slice(other.to_string().as_bytes()),
        }
        let end = self.out.len();
        Element { start, end, kind }
    }

    fn number(&mut self, n: &Number) {
        let mut text = n.to_string();
        if n.is_f64() && !text.contains('e') && self.below(3) == 0 {
            text += ["e0", "E+00", "e-0", "000"][self.below(4) as usize];
        }
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Did it need or get escapes?
    fn string(&mut self, s: &str) -> bool {
        let start = self.out.len();
        self.out.push(b'"');
        for c in s.chars() {
            let must = c < ' ' || c == '"' || c == '\\';
            if !must && self.below(10) >= self.escapes {
                self.out
                    .extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            let short = match c {
                '"' | '\\' | '/' => Some(c),
                '\n' => Some('n'),
                '\r' => Some('r'),
                '\t' => Some('t'),
                '\u{8}' => Some('b'),
                '\u{c}' => Some('f'),
                _ => None,
            };
            let escape = match short {
                Some(short) if self.below(3) > 0 => format!("\\{short}"),
                _ => {
                    let upper = self.below(2) == 0;
                    let hex = |unit: &u16| match upper {
                        true => format!("\\u{unit:04X}"),
                        false => format!("\\u{unit:04x}"),
                    };
                    c.encode_utf16(&mut [0; 2]).iter().map(hex).collect()
                }
            };
            self.out.extend_from_slice(escape.as_bytes());
        }
        self.out.push(b'"');
        self.out[start..].contains(&b'\\')
    }
}
