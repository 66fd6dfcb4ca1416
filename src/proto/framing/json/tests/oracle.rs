//! Small damages of texts.

use proptest::prelude::*;
/// One small damage, at a place given in parts of the text's length.
#[derive(Debug, Clone)]
pub enum Mutation {
    Replace(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Delete(prop::sample::Index),
    FlipBit(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    /// Repeat what lies between two places.
    Repeat(prop::sample::Index, prop::sample::Index),
}

pub fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<prop::sample::Index>;
    let octet = || {
        let likely = b"[]{},:\"\\/ \n0123456789-+.eEtfnu\0\x1f\x7f\x80\xbf\xc3\xed\xa0\xf4\xff";
        prop_oneof![prop::sample::select(&likely[..]), any::<u8>()]
    };
    prop_oneof![
        (index(), octet()).prop_map(|(at, with)| Mutation::Replace(at, with)),
        (index(), octet()).prop_map(|(at, what)| Mutation::Insert(at, what)),
        index().prop_map(Mutation::Delete),
        (index(), 0..8u8).prop_map(|(at, bit)| Mutation::FlipBit(at, bit)),
        index().prop_map(Mutation::Cut),
        (index(), index()).prop_map(|(from, to)| Mutation::Repeat(from, to)),
    ]
}

impl Mutation {
    pub fn apply(&self, text: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        let len = text.len();
        let place = |index: &prop::sample::Index| index.index(len);
        match self {
            Self::Replace(at, with) => text[place(at)] = *with,
            Self::Insert(at, what) => text.insert(place(at), *what),
            Self::Delete(at) => {
                text.remove(place(at));
            }
            Self::FlipBit(at, bit) => text[place(at)] ^= 1 << bit,
            Self::Cut(at) => text.truncate(place(at)),
            Self::Repeat(from, to) => {
                let (from, to) = (place(from).min(place(to)), place(from).max(place(to)));
                let again = text[from..to].to_vec();
                text.splice(to..to, again);
            }
        }
    }
}
