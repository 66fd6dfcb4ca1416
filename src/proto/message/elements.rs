//! The elements of a message one by one, without a list of them.

use serde::ser::{Serialize, SerializeSeq as _, Serializer};

use super::element::RawElement;
use super::list::JsonElements;
use crate::proto::framing::cbor::Sequence;

/// The elements of a message, each just as it came: see [`Message::elements`].
///
/// It reads on in the message's octets as it is iterated, and holds nothing else, so that a message
/// of many elements costs no more than its octets. Each step goes over the octets of one element.
///
/// It serialises as the list of the elements that are left.
///
/// ```
/// use aemp::Message;
/// let message = Message::encode(&("test", 1, [2, 3]))?;
/// let mut elements = message.elements();
/// assert_eq!(elements.next().unwrap().json(), "\"test\"");
/// assert_eq!(elements.clone().count(), 2);
/// assert_eq!(Message::encode(&elements)?.to_json(), "[1,[2,3]]");
/// # Ok::<(), aemp::proto::message::EncodeError>(())
/// ```
///
/// [`Message::elements`]: super::Message::elements
#[derive(Clone)]
pub struct Elements<'a>(pub(super) Source<'a>);

#[derive(Clone)]
pub(super) enum Source<'a> {
    Json(JsonElements<'a>),
    Cbor(Sequence<'a>),
}

impl<'a> Iterator for Elements<'a> {
    type Item = RawElement<'a>;

    fn next(&mut self) -> Option<RawElement<'a>> {
        match &mut self.0 {
            Source::Json(elements) => elements.next().map(RawElement::of_json),
            Source::Cbor(elements) => {
                let item = elements.next_item().ok().flatten();
                item.map(RawElement::of_cbor)
            }
        }
    }
}

impl std::iter::FusedIterator for Elements<'_> {}

impl Serialize for Elements<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.clone().count()))?;
        for element in self.clone() {
            seq.serialize_element(&element)?;
        }
        seq.end()
    }
}

impl std::fmt::Debug for Elements<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}
