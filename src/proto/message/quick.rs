//! Messages read in one pass, straight from a link's octets.
//!
//! The usual way of a message is the [`JsonScanner`](crate::proto::framing::json::JsonScanner), which
//! checks every octet and finds the end, and then [`Message::args`](super::Message::args), which reads
//! the elements into types. For a message that is wholly there, and whose reader wants all of it typed,
//! the second finds the end as well. [`Head::find`] and [`Quick::read`] do that. They give up wherever
//! they can't be certain to come to the same result as the usual way, which then does it.

use std::cell::Cell;

use serde::de::{Deserialize, Deserializer};

use super::args::read_rest;
use crate::proto::Limits;
use crate::proto::framing::json::plain_run;

/// The start of a message in JSON framing: the port's name and the tag, if both are plain strings and
/// nothing but a comma stands between them.
///
/// ```
/// use aemp::proto::message::Head;
/// let head = Head::find(br#"["a.b","ping",17]["#).unwrap();
/// assert_eq!((head.name, head.tag), (&b"a.b"[..], &b"ping"[..]));
/// assert!(Head::find(br#"[ "a.b","ping"]"#).is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// The name of the destination port.
    pub name: &'a [u8],
    /// The second element.
    pub tag: &'a [u8],
    /// What stands behind the tag is a comma, and not the end.
    more: bool,
    /// Where that comma or end is.
    at: usize,
}

impl<'a> Head<'a> {
    /// Reads the start of the message at the start of `octets`.
    ///
    /// See [`Head`] for an example.
    #[inline]
    pub fn find(octets: &'a [u8]) -> Option<Self> {
        let rest = octets.strip_prefix(b"[\"")?;
        let name = plain(rest)?;
        let rest = rest[name.len()..].strip_prefix(b"\",\"")?;
        let tag = plain(rest)?;
        let more = match rest.get(tag.len() + 1)? {
            b',' => true,
            b']' => false,
            _ => return None,
        };
        Some(Head {
            name,
            tag,
            more,
            at: 2 + name.len() + 3 + tag.len() + 1,
        })
    }

    /// Reads the start of a message without its destination, as [`encode_args`](super::encode_args)
    /// writes it: the name is empty.
    ///
    /// ```
    /// use aemp::proto::message::Head;
    /// let head = Head::of_args(br#"["ping",17]"#).unwrap();
    /// assert_eq!((head.name, head.tag), (&b""[..], &b"ping"[..]));
    /// ```
    #[inline]
    pub fn of_args(octets: &'a [u8]) -> Option<Self> {
        let rest = octets.strip_prefix(b"[\"")?;
        let tag = plain(rest)?;
        let more = match rest.get(tag.len() + 1)? {
            b',' => true,
            b']' => false,
            _ => return None,
        };
        let at = 2 + tag.len() + 1;
        Some(Head {
            name: b"",
            tag,
            more,
            at,
        })
    }

    /// The octets from the message's start to its tag: other ones for any other port or tag.
    #[inline]
    pub fn octets(&self, message: &'a [u8]) -> &'a [u8] {
        &message[..self.at.min(message.len())]
    }

    /// Where the rest of the message is.
    #[inline]
    pub fn rest(&self) -> RestAt {
        RestAt {
            more: self.more,
            at: self.at,
        }
    }
}

/// ASCII up to a quote: a string that is what it looks like.
#[inline]
fn plain(rest: &[u8]) -> Option<&[u8]> {
    let run = plain_run(rest);
    (rest.get(run) == Some(&b'"')).then(|| &rest[..run])
}

/// Where the elements behind a message's tag are: see [`Head::rest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestAt {
    more: bool,
    at: usize,
}

impl RestAt {
    /// The elements behind the tag, to be [read](Quick::read). The comma before them is overwritten;
    /// [`restore`](Self::restore) undoes that if they could not be read.
    ///
    /// `plain`: all octets are [plain](are_plain).
    ///
    /// ```
    /// use aemp::proto::{Limits, message::Head};
    /// let mut octets = br#"["a.b","add",1,2]["a.b","#.to_vec();
    /// let at = Head::find(&octets).unwrap().rest();
    /// let quick = at.open(&mut octets, true, Limits::default());
    /// assert_eq!(quick.read::<(u8, u8)>(), Some((1, 2)));
    /// assert_eq!(at.end(quick.used()), Some(r#"["a.b","add",1,2]"#.len()));
    /// ```
    #[inline]
    pub fn open<'a>(&self, octets: &'a mut [u8], plain: bool, limits: Limits) -> Quick<'a> {
        let text = match self.more {
            true => {
                octets[self.at] = b'[';
                &octets[self.at..]
            }
            false => b"[]",
        };
        Quick {
            text,
            plain,
            limits,
            before: self.at,
            used: Cell::new(0),
        }
    }

    /// Makes `octets` again what they were before [`open`](Self::open).
    #[inline]
    pub fn restore(&self, octets: &mut [u8]) {
        if self.more {
            octets[self.at] = b',';
        }
    }

    /// The position behind the message, given how many octets [were read](Quick::used). `None` if
    /// nothing was.
    #[inline]
    pub fn end(&self, used: usize) -> Option<usize> {
        match (used, self.more) {
            (0, _) => None,
            (used, true) => Some(self.at + used),
            (_, false) => Some(self.at + 1),
        }
    }
}

/// The elements of a message that may not be complete, and may not be sound.
///
/// See [`RestAt::open`] for an example.
#[derive(Debug)]
pub struct Quick<'a> {
    text: &'a [u8],
    plain: bool,
    limits: Limits,
    /// How much of the message stands before `text`.
    before: usize,
    used: Cell<usize>,
}

impl<'a> Quick<'a> {
    /// Reads the elements into a type, as [`Message::args`](super::Message::args) does. `None` if the
    /// message is not complete, broken, beyond the limits, or does not fit the type, and in a few cases
    /// that only the scanner can judge: it has to be read the usual way then.
    #[inline]
    pub fn read<T: Deserialize<'a>>(&self) -> Option<T> {
        // The parser itself goes no deeper than this.
        const PARSER_DEPTH: usize = 128;
        if self.limits.max_depth < PARSER_DEPTH {
            return None;
        }
        let mut messages = serde_json::Deserializer::from_slice(self.text).into_iter::<Rest<T>>();
        let Rest(value) = messages.next()?.ok()?;
        let used = messages.byte_offset();
        let read = &self.text[..used];
        let fits = self.before + used <= self.limits.max_message
            && (self.plain || is_sound(read))
            && (used <= self.limits.max_depth || brackets(read) <= self.limits.max_depth);
        if !fits {
            return None;
        }
        self.used.set(used);
        Some(value)
    }

    /// How many octets were read; none if [`read`](Self::read) gave up.
    #[inline]
    pub fn used(&self) -> usize {
        self.used.get()
    }
}

/// The elements of a message, as they are read without knowing its end.
struct Rest<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Rest<T> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_rest(deserializer).map(Rest)
    }
}

/// Whether all octets are ASCII, but no control characters (DEL is none here) and no backslashes: nothing in them needs a second look.
///
/// ```
/// use aemp::proto::message::are_plain;
/// assert!(are_plain(br#"["a.b","ping",17]["#));
/// assert!(!are_plain("[\"é\"]".as_bytes()) && !are_plain(br#"["\n"]"#));
/// ```
pub fn are_plain(octets: &[u8]) -> bool {
    // Without a branch in the loop, so that it is done many octets at a time.
    let odd = |octet: u8| u8::from(octet < 0x20) | octet >> 7 | u8::from(octet == b'\\');
    octets
        .chunks(1024)
        .all(|octets| octets.iter().fold(0, |any, &octet| any | odd(octet)) == 0)
}

/// What the parser lets pass in values that nobody asked for and the scanner does not: bad UTF-8,
/// control characters, lone surrogates.
fn is_sound(read: &[u8]) -> bool {
    let control = read.iter().fold(false, |any, &octet| any | (octet < 0x20));
    let escapes = || memchr::memchr_iter(b'\\', read).any(|at| read.get(at + 1) == Some(&b'u'));
    !control && !escapes() && std::str::from_utf8(read).is_ok()
}

/// How many brackets are opened, in strings or not: no fewer than there are levels.
fn brackets(read: &[u8]) -> usize {
    memchr::memchr2_iter(b'[', b'{', read).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::framing::json::JsonScanner;
    use crate::proto::message::Message;
    use bytes::BytesMut;
    use proptest::prelude::*;
    use serde::de::IgnoredAny;
    use serde_json::Value;

    /// Reads the first message both ways. The quick way may give up, but never differ.
    fn both<T>(octets: &[u8], limits: Limits) -> Option<T>
    where
        T: for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug,
    {
        let mut own = octets.to_vec();
        let head = Head::find(&own)?;
        let (name, tag, at) = (head.name.to_vec(), head.tag.to_vec(), head.rest());
        let quick = at.open(&mut own, are_plain(octets), limits);
        let value: Option<T> = quick.read();
        let end = at.end(quick.used());
        at.restore(&mut own);
        assert_eq!(own, octets);
        let value = value?;

        let frame = JsonScanner::new(limits).next(octets);
        let frame = frame.expect("sound").expect("complete");
        assert_eq!((frame.start, Some(frame.end)), (0, end));
        let dest = frame.dest.expect("a destination");
        assert_eq!(dest.text(octets).as_bytes(), name);
        assert_eq!(frame.tag.expect("a tag").text(octets).as_bytes(), tag);
        let message = Message::from_frame(BytesMut::from(&octets[..frame.end]), dest.end + 1);
        assert_eq!(message.without_tag().args::<T>().as_ref(), Ok(&value));
        Some(value)
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Some2 {
        a: u8,
        b: Option<String>,
    }

    #[test]
    fn usual_messages() {
        let limits = Limits::default();
        let small = br#"["server#a.b","m",17,"hello world",{"k":[1,2,3]}]["#;
        let read: (u64, String, Value) = both(small, limits).unwrap();
        assert_eq!((read.0, read.1.as_str()), (17, "hello world"));
        both::<()>(br#"["a","ping"]["a","#, limits).unwrap();
        both::<(Option<u8>,)>(br#"["a","ping"]"#, limits).unwrap();
        both::<(u8,)>(br#"["a","x",1,{"more":[[]]},null]"#, limits).unwrap();
        both::<(String,)>("[\"a\",\"x\",\"caf\u{e9}\"]".as_bytes(), limits).unwrap();
        both::<(String,)>(br#"["a","x","tab\t"]"#, limits).unwrap();
        let some: (Some2,) = both(br#"["a","x",{"a":1,"c":[{}],"b":"y"}]"#, limits).unwrap();
        assert_eq!(some.0.b.as_deref(), Some("y"));
    }

    #[test]
    fn gives_up() {
        let limits = Limits::default();
        for octets in [
            &br#"["a","x",1"#[..],
            br#"["a","x",1,"#,
            br#"["a","x",1.0]"#,
            br#"["a","x","1"]"#,
            br#"["a","x"]"#,
            br#"["a","x",1,"\ud800"]"#,
            b"[\"a\",\"x\",1,\"\xff\"]",
            b"[\"a\",\"x\",1,\"\x01\"]",
            br#"["a\u0041","x",1]"#,
            br#"["a",7,1]"#,
            br#"[]["a","x",1]"#,
        ] {
            assert_eq!(
                both::<(u8,)>(octets, limits),
                None,
                "{}",
                octets.escape_ascii()
            );
        }
        let nested = format!(r#"["a","x",1,{}{}]"#, "[".repeat(600), "]".repeat(600));
        assert_eq!(both::<(u8,)>(nested.as_bytes(), limits), None);
        let long = Limits {
            max_message: 12,
            ..limits
        };
        assert_eq!(both::<(u8,)>(br#"["a","x",1]"#, long), Some((1,)));
        assert_eq!(both::<(u8,)>(br#"["a","x",10]"#, long), Some((10,)));
        assert_eq!(both::<(u8,)>(br#"["a","x",100]"#, long), None);
    }

    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            any::<i64>().prop_map(|n| n.to_string()),
            any::<f64>().prop_map(|n| serde_json::to_string(&n).unwrap()),
            ".{0,12}".prop_map(|text| serde_json::to_string(&text).unwrap()),
            r#"[ -~]{0,4}"#.prop_map(|text| format!("\"{text}\"")),
            Just(r#""\u00e9\ud83d\ude00""#.to_owned()),
            Just(r#""\ud83d""#.to_owned()),
            Just("1e999".to_owned()),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|all| format!("[{}]", all.join(","))),
                prop::collection::vec(("[a-c]{0,2}", inner), 0..4).prop_map(|all| {
                    let all: Vec<_> = all
                        .iter()
                        .map(|(key, value)| format!("\"{key}\":{value}"))
                        .collect();
                    format!("{{{}}}", all.join(","))
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Whatever comes, the quick way gives what the usual way gives, or gives up.
        #[test]
        fn never_differs(
            name in "[a-zA-Z0-9.]{0,5}",
            tag in "[a-z ]{0,4}",
            values in prop::collection::vec(json(), 0..4),
            rest in prop_oneof![Just(String::new()), Just("[\"b\",".to_owned()), ".{0,5}"],
            cut in any::<prop::sample::Index>(),
            whole in any::<bool>(),
            damage in prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>())),
            max_depth in prop_oneof![Just(512_usize), 1..140_usize],
            max_message in prop_oneof![Just(1_usize << 20), 1..80_usize],
        ) {
            let values: String = values.iter().map(|value| format!(",{value}")).collect();
            let mut octets = format!("[\"{name}\",\"{tag}\"{values}]{rest}").into_bytes();
            if let Some((at, octet)) = damage {
                let at = at.index(octets.len());
                octets[at] = octet;
            }
            if !whole {
                octets.truncate(cut.index(octets.len() + 1));
            }
            let limits = Limits { max_message, max_depth };
            both::<()>(&octets, limits);
            both::<(Value,)>(&octets, limits);
            both::<(Option<i64>, Option<String>)>(&octets, limits);
            both::<Vec<Value>>(&octets, limits);
            both::<(IgnoredAny, String)>(&octets, limits);
            both::<(Some2,)>(&octets, limits);
        }

        /// A sound message of plain values is always read quickly.
        #[test]
        fn usual_ones_are_quick(n: u64, text in "[a-z ]{0,20}", list: Vec<i16>) {
            let mut octets = Vec::new();
            crate::proto::message::encode_to(&mut octets, "a.b", &("m", n, &text, &list)).unwrap();
            let read: (u64, String, Vec<i16>) = both(&octets, Limits::default()).unwrap();
            prop_assert_eq!(read, (n, text, list));
        }
    }
}
