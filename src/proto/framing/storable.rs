//! The `storable` framing: images of Perl's Storable, each with its length in front.
//!
//! ```text
//! 12   05 0B 02 00000002   0A 03 'a.b'   0A 04 'ping'
//! ```
//!
//! Every generation of AEMP knows it, and none prefers it. A message is what Storable's `nfreeze`
//! makes of a reference to an array: an *image* in network order. Its first element is the name of
//! the destination port, the empty array is a keepalive. In front of each stands its length,
//! big-endian, 7 bits to the octet, the highest bit set in all but the last (Perl's `pack "w/a*"`).
//!
//! [`StorableScanner`] finds the images. [`storable_to_json`] makes JSON of one, so that the rest
//! of this crate has to know only that, and [`json_to_storable`] and [`write_message`] go the other
//! way. Nothing of what an image says is ever executed.
//!
//! # An image
//!
//! It starts with 05 (format 2, network order) and the format's minor version: 0B here, others are
//! read as well. Then comes the array, without a reference in front of it. Every item starts with
//! an octet that says what it is; numbers are 4 octets, big-endian.
//!
//! | octet | what follows | in JSON |
//! |---|---|---|
//! | 02 | number of elements, the elements | array |
//! | 03 | number of pairs, the pairs: first the value, then the length of the key, then the key | object |
//! | 19 | an octet of flags, then as 03, but with an octet of flags in front of each key's length: 01 says that the key is UTF-8, 10 that there is no such pair | object |
//! | 04, 1B (weak), 14 and 1C (to an object with overloading) | what is referred to | as that |
//! | 05, 0E, 1F | | `null` |
//! | 08 | an octet: the integer + 128 | integer |
//! | 09 | the integer, signed | integer |
//! | 0A, 01 | length (one octet, a number), octets: a string, one octet a character | string |
//! | 17, 18 | length (one octet, a number), UTF-8: a string | string |
//! | 0F, 10, 22, 23 | | `true`, `false`, `true`, `false` |
//! | 11, 12 | a class: length and name, or the number of a class that was named before; then an object of it | `true` or `false` if the class is one of the booleans of JSON::PP and JSON::XS, else an error |
//! | 00 | a number: the item with that number stands here again. Items count from 0 in the order of their starts, references too | that again; an error if it is around this one |
//!
//! Elements that are arrays or hashes have a reference (04) in front. Everything else is an error
//! that says what it was: objects, code, regular expressions, tied values, version strings, numbers
//! in the order of the machine.
//!
//! # What Storable changes
//!
//! Measured: Storable 3.26. A number is written as such only if it is whole and of 32 bits; all
//! others become strings of at most 15 digits: 1.5 arrives as `"1.5"`.
//! [`Num`](crate::proto::message::Num) reads them all the same. The true and false of JSON::XS are
//! objects and come back as such; `!!1` is a string.
//!
//! Written here: whole numbers as Storable does it; other floats with 15 digits as well if that is
//! exact, else with as many as needed; `true` and `false` as 1 and 0, because to read objects a
//! Perl node would have to have their class; strings without characters beyond U+00FF as octets,
//! others as UTF-8.
//!
//! Storable takes images that are cut off or hold less than they say, and reads undefined values;
//! it does not check UTF-8. Here these are errors. What only a weak reference refers to is gone
//! when Storable has read it; here it is there. So is anything behind the array. A length with
//! leading zeros makes AnyEvent::Handle lose its place in the stream; here it is an error, too.

#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod check;
mod error;
mod from_json;
mod mark;
mod scan;
mod to_json;

#[cfg(test)]
mod tests;

pub use error::StorableError;
pub use from_json::{json_to_storable, write_message};
pub use scan::{Frame, StorableScanner};
pub use to_json::storable_to_json;
