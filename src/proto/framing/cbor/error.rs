//! What goes wrong between octets and values.

use std::fmt;

/// Why CBOR items do not become the values that were asked for, or values no items.
///
/// ```
/// use aemp::proto::framing::cbor::Sequence;
/// use serde::Deserialize;
/// let error = <(u8, u8)>::deserialize(Sequence::new(b"\x01\x42ab")).unwrap_err();
/// assert_eq!(error.to_string(), r#"invalid type: string "ab", expected u8"#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CborError(Box<str>);

impl CborError {
    #[cold]
    pub(super) fn new(what: impl Into<Box<str>>) -> Self {
        Self(what.into())
    }

    #[cold]
    pub(super) fn cut_off() -> Self {
        Self::new("items are cut off")
    }
}

impl serde::de::Error for CborError {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self::new(what.to_string())
    }
}

impl serde::ser::Error for CborError {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self::new(what.to_string())
    }
}
