//! What a program reads of a message as types of its own.

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::BytesMut;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::framings::only;
use super::input::Input;
use crate::PortId;
use crate::proto::message::{Incoming, Num, Octets, Text, encode_in, known};
use crate::proto::{Framing, Limits, Message};

/// One variant of each kind, with everything in it that messages hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Known {
    Stop,
    Name(String),
    Move(i64, u8, f64),
    Say {
        who: Text,
        #[serde(default)]
        text: Option<String>,
    },
    #[serde(rename = "also this", alias = "g_upd")]
    Flags(Vec<bool>, #[serde(default)] Option<u32>),
    Lists(Vec<Vec<Num<i64>>>, BTreeMap<String, Text>),
    To(PortId),
    Raw(Octets, char),
    Within(Box<Inner>),
    Nothing(()),
}

/// An enum within an element.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Inner {
    One,
    Two(Text),
    Both(i8, u64),
    Named { a: bool },
}

/// Messages of any framing, read as types: what was read is written in each framing as what reads
/// the same, and a variant that is known from the tag is read as the whole message is.
pub fn arguments(data: &[u8]) {
    let mut input = Input::new(data);
    let framing = Framing::ALL[usize::from(input.octet() % 3)];
    let mut block = BytesMut::from(input.rest());
    let mut incoming = Incoming::new(framing, Limits::default());
    while let Ok(Some(arrived)) = incoming.next(&mut block) {
        let message = &arrived.message;
        comes_back::<Known>(message);
        comes_back::<(Text, Num<i64>)>(message);
        comes_back::<(String, Option<u64>, Vec<Text>)>(message);
        comes_back::<(String, f64, bool)>(message);
        comes_back::<Vec<Inner>>(message);
        comes_back::<(BTreeMap<String, Octets>,)>(message);
        let _ = message.args::<(&str, &str)>();
        let _ = message.args::<(std::borrow::Cow<'_, str>, char, i128)>();
        variant_is_known(message);
    }
}

/// What was read of a message is written as one that reads the same, in each framing.
fn comes_back<T: DeserializeOwned + Serialize + PartialEq + Debug>(message: &Message) {
    let Ok(read) = message.args::<T>() else {
        return;
    };
    // A NaN, which CBOR has, equals nothing.
    #[expect(clippy::eq_op)]
    let is_comparable = read == read;
    if !is_comparable {
        return;
    }
    for framing in Framing::ALL {
        let mut octets = Vec::new();
        // No framing holds everything: JSON has no infinite number.
        if encode_in(&mut octets, framing, "a.b", &read).is_err() {
            continue;
        }
        let again = only(framing, &octets).message;
        let again = again.args::<T>();
        // Perl writes a number that is no integer as a string, and has no booleans.
        let may_differ = framing == Framing::Storable;
        assert!(
            again.as_ref().map_or(may_differ, |again| *again == read),
            "{read:?} of {message:?} is written in {framing:?} as {}, which is {again:?}",
            octets.escape_ascii()
        );
    }
}

/// Who knows the variant from the tag reads its fields as they are read behind the tag.
fn variant_is_known(message: &Message) {
    let Some(tag) = message.tag() else {
        return;
    };
    let names = known::variants::<Known>();
    let Some(variant) = names.iter().find(|name| **name == tag) else {
        return;
    };
    let rest = message.without_tag();
    let (known, whole) = (rest.args_of::<Known>(variant), message.args::<Known>());
    match (&known, &whole) {
        (Ok(known), Ok(whole)) => assert_eq!(format!("{known:?}"), format!("{whole:?}")),
        (Err(_), Err(_)) => {}
        _ => {
            // A number in the tag's place has the text of a variant, and is none.
            let first = message.elements().next().expect("it has a tag");
            assert!(
                !first.json().starts_with('"'),
                "{message:?}: {known:?}, but {whole:?}"
            );
        }
    }
}
