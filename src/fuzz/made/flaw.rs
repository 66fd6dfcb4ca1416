//! What can be wrong with octets.

use arbitrary::Arbitrary;

/// Something that makes octets worse. Places are taken modulo the length.
///
/// ```
/// use aemp::fuzz::Flaw;
/// let mut octets = b"[\"a\",1]".to_vec();
/// Flaw::Cut(3).apply(&mut octets);
/// assert_eq!(octets, b"[\"a");
/// ```
#[derive(Debug, Clone, PartialEq, Arbitrary)]
#[non_exhaustive]
pub enum Flaw {
    /// A bit of the octet at that place is bent.
    Bent(u16, u8),
    /// An octet is put in there.
    Inserted(u16, u8),
    /// The octet there is missing.
    Missing(u16),
    /// Everything from there on is missing.
    Cut(u16),
    /// The octets up to there come once more.
    Twice(u16),
    /// So many opening brackets and heads of arrays are put in there: deep nesting.
    Deep(u16, u16),
    /// So many times 1024 octets of text are put in there.
    Long(u16, u8),
    /// A head is put in there that announces more than anybody has.
    Announced(u16),
}

impl Flaw {
    /// Whether it costs who reads it more than who sends it, or may.
    ///
    /// ```
    /// use aemp::fuzz::Flaw;
    /// assert!(Flaw::Deep(0, 1000).is_hostile() && !Flaw::Missing(0).is_hostile());
    /// ```
    pub fn is_hostile(&self) -> bool {
        matches!(self, Flaw::Deep(..) | Flaw::Long(..) | Flaw::Announced(_))
    }

    /// Makes octets worse.
    ///
    /// See [`Flaw`] for an example.
    pub fn apply(&self, octets: &mut Vec<u8>) {
        let len = octets.len();
        let place = |at: &u16| usize::from(*at) % (len + 1);
        let put = |octets: &mut Vec<u8>, at: &u16, more: &[u8]| {
            let at = place(at);
            octets.splice(at..at, more.iter().copied());
        };
        match self {
            Flaw::Bent(at, bit) if len > 0 => octets[usize::from(*at) % len] ^= 1 << (bit % 8),
            Flaw::Missing(at) if len > 0 => drop(octets.remove(usize::from(*at) % len)),
            Flaw::Bent(..) | Flaw::Missing(_) => {}
            Flaw::Inserted(at, octet) => put(octets, at, &[*octet]),
            Flaw::Cut(at) => octets.truncate(place(at)),
            Flaw::Twice(at) => {
                let again = octets[..place(at)].to_vec();
                octets.splice(..0, again);
            }
            Flaw::Deep(at, levels) => {
                let level = [b'[', 0x81][usize::from(levels % 2)];
                put(octets, at, &vec![level; usize::from(*levels)]);
            }
            Flaw::Long(at, times) => put(octets, at, &vec![b'x'; 1024 * usize::from(*times)]),
            Flaw::Announced(at) => put(octets, at, b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff"),
        }
    }
}
