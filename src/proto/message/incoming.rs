//! The messages of a link, one by one, whatever its framing.

use bytes::BytesMut;

use super::Message;
use crate::proto::framing::cbor::CborScanner;
use crate::proto::framing::json::{ElementKind, JsonScanner};
use crate::proto::framing::storable::{StorableError, StorableScanner, storable_to_json};
use crate::proto::{Framing, FramingError, Limits};

/// Takes the messages of a stream in some framing, one by one.
///
/// ```
/// use aemp::proto::{Framing, Limits, message::Incoming};
/// let mut incoming = Incoming::new(Framing::Cbor, Limits::default());
/// let mut block = bytes::BytesMut::from(&b"\x83\x43a.b\x44test\x18\x7b\x80\x82\x43a.b"[..]);
/// let arrived = incoming.next(&mut block)?.unwrap();
/// assert_eq!((arrived.name.as_deref(), arrived.octets), (Some("a.b"), 12));
/// assert_eq!(arrived.message.to_json(), r#"["test",123]"#);
/// assert_eq!(incoming.next(&mut block)?.unwrap().name, None); // a keepalive
/// assert!(incoming.next(&mut block)?.is_none()); // not yet complete
/// # Ok::<(), aemp::proto::FramingError>(())
/// ```
#[derive(Debug)]
pub struct Incoming {
    scanner: Scanner,
    limits: Limits,
}

#[derive(Debug)]
enum Scanner {
    Json(JsonScanner),
    Cbor(CborScanner),
    Storable(StorableScanner),
}

/// A message that arrived.
///
/// See [`Incoming`] for an example.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Arrived {
    /// The name of the port that it is for. `None` for a keepalive.
    pub name: Option<String>,
    /// The message.
    pub message: Message,
    /// How many octets it took, white space before it included.
    pub octets: usize,
}

impl Incoming {
    /// The start of a stream.
    ///
    /// See [`Incoming`] for an example.
    pub fn new(framing: Framing, limits: Limits) -> Self {
        let scanner = match framing {
            Framing::Json => Scanner::Json(JsonScanner::new(limits)),
            Framing::Cbor => Scanner::Cbor(CborScanner::new(limits)),
            Framing::Storable => Scanner::Storable(StorableScanner::new(limits)),
        };
        Incoming { scanner, limits }
    }

    /// The stream's framing.
    ///
    /// ```
    /// use aemp::proto::{Framing, Limits, message::Incoming};
    /// assert_eq!(Incoming::new(Framing::Json, Limits::default()).framing(), Framing::Json);
    /// ```
    pub fn framing(&self) -> Framing {
        match self.scanner {
            Scanner::Json(_) => Framing::Json,
            Scanner::Cbor(_) => Framing::Cbor,
            Scanner::Storable(_) => Framing::Storable,
        }
    }

    /// Whether no part of a message was seen yet that [`next`](Self::next) knows of: a message that
    /// stands at the start of the block may be taken off it by other means.
    ///
    /// ```
    /// use aemp::proto::{Framing, Limits, message::Incoming};
    /// let mut incoming = Incoming::new(Framing::Json, Limits::default());
    /// assert!(incoming.is_between());
    /// assert!(incoming.next(&mut bytes::BytesMut::from(r#"["a"#))?.is_none());
    /// assert!(!incoming.is_between());
    /// # Ok::<(), aemp::proto::FramingError>(())
    /// ```
    #[inline]
    pub fn is_between(&self) -> bool {
        match &self.scanner {
            Scanner::Json(scanner) => scanner.is_between(),
            Scanner::Cbor(scanner) => scanner.is_between(),
            Scanner::Storable(_) => true,
        }
    }

    /// Takes the next message off the start of `block`, which holds everything that came and was
    /// not taken yet. After `None`, call again with the same octets and more behind them.
    ///
    /// # Errors
    ///
    /// [`FramingError`] if the octets are no sequence of messages. The stream can't be read on
    /// then.
    ///
    /// See [`Incoming`] for an example.
    pub fn next(&mut self, block: &mut BytesMut) -> Result<Option<Arrived>, FramingError> {
        match &mut self.scanner {
            Scanner::Json(scanner) => Ok(next_json(scanner, block)?),
            Scanner::Cbor(scanner) => {
                let Some(frame) = scanner.next(block)? else {
                    return Ok(None);
                };
                let octets = block.split_to(frame.end).freeze();
                Ok(Some(Arrived {
                    name: frame.dest.map(|dest| dest.text(&octets).into_owned()),
                    message: Message::from_cbor(octets.slice(frame.elements())),
                    octets: frame.end,
                }))
            }
            Scanner::Storable(scanner) => {
                let Some(frame) = scanner.next(block)? else {
                    return Ok(None);
                };
                let octets = block.split_to(frame.end);
                let mut json = Vec::with_capacity(octets.len() * 2);
                storable_to_json(&mut json, &octets[frame.start..], self.limits)?;
                // The depth and the length were looked at already.
                let limits = Limits {
                    max_message: usize::MAX,
                    max_depth: usize::MAX,
                };
                let mut json = BytesMut::from(&json[..]);
                let arrived = next_json(&mut JsonScanner::new(limits), &mut json);
                let arrived = arrived.ok().flatten().ok_or(StorableError {
                    offset: 0,
                    what: "message without destination".into(),
                })?;
                Ok(Some(Arrived {
                    octets: frame.end,
                    ..arrived
                }))
            }
        }
    }
}

fn next_json(
    scanner: &mut JsonScanner,
    block: &mut BytesMut,
) -> Result<Option<Arrived>, FramingError> {
    let Some(frame) = scanner.next(block)? else {
        return Ok(None);
    };
    let octets = block.split_to(frame.end);
    let (name, behind) = match frame.dest {
        Some(dest) => {
            let quote = usize::from(!matches!(dest.kind, ElementKind::Number));
            (Some(dest.text(&octets).into_owned()), dest.end + quote)
        }
        None => (None, octets.len()),
    };
    Ok(Some(Arrived {
        name,
        message: Message::from_frame(octets, behind),
        octets: frame.end,
    }))
}
