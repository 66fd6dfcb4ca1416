//! What can be wrong with an image.

use std::borrow::Cow;

/// Why a Storable image is no message, or a JSON text can not be made one.
///
/// ```
/// use aemp::proto::{Limits, framing::storable::storable_to_json};
/// let object = b"\x05\x0b\x02\0\0\0\x01\x04\x11\x03Foo\x03\0\0\0\0";
/// let error = storable_to_json(&mut Vec::new(), object, Limits::default()).unwrap_err();
/// assert_eq!(error.to_string(), "object of the class 'Foo' at octet 8");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at octet {offset}")]
pub struct StorableError {
    /// Where, counted from the start of the image or the text.
    pub offset: usize,
    /// What is wrong.
    pub what: Cow<'static, str>,
}

impl StorableError {
    #[cold]
    pub(super) fn new<T>(offset: usize, what: impl Into<Cow<'static, str>>) -> Result<T, Self> {
        let what = what.into();
        Err(Self { offset, what })
    }
}
