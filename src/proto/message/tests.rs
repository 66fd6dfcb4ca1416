//! Messages of JSON; `framings` has what is the same in all framings.

mod framings;

use super::*;
use proptest::prelude::*;

fn framed(text: &str) -> (String, Message) {
    use crate::proto::framing::{Limits, json::JsonScanner};
    let frame = JsonScanner::new(Limits::default())
        .next(text.as_bytes())
        .unwrap()
        .unwrap();
    let dest = frame.dest.unwrap();
    let name = dest.text(text.as_bytes()).into_owned();
    let quote = usize::from(text.as_bytes()[dest.end] == b'"');
    let octets = BytesMut::from(&text.as_bytes()[..frame.end]);
    (name, Message::from_frame(octets, dest.end + quote))
}

#[test]
fn frames_become_messages() {
    for (text, name, json) in [
        (r#"["a.b","test",1]"#, "a.b", r#"["test",1]"#),
        (r#"["a.b"]"#, "a.b", "[]"),
        (r#" [ "a.b" , {"x":[1]} ] "#, "a.b", r#"[ {"x":[1]} ]"#),
        (r#"[ "a.b" ] "#, "a.b", "[]"),
        (r#"["","x"]"#, "", r#"["x"]"#),
        (r#"[12,"x"]"#, "12", r#"["x"]"#),
    ] {
        let (got, message) = framed(text);
        assert_eq!(got, name, "{text}");
        assert_eq!(message.to_json(), json, "{text}");
    }
}

#[test]
fn tags() {
    for (json, tag) in [
        (r#"["test"]"#, Some("test")),
        (r#"[ "te\"st\u00e9" ]"#, Some("te\"sté")),
        ("[12.5e3,1]", Some("12.5e3")),
        ("[[1]]", None),
        ("[]", None),
        ("[null]", None),
    ] {
        let (_, message) = framed(&format!("[\"p\",{}", &json[1..]).replace(",]", "]"));
        assert_eq!(message.tag().as_deref(), tag, "{json}");
    }
    let message = Message::encode(&("a", "b", 3)).unwrap().without_tag();
    assert_eq!(message.tag().as_deref(), Some("b"));
    assert_eq!(message.to_json(), r#"["b",3]"#);
    assert_eq!(message.without_tag().without_tag().to_json(), "[]");
}

#[test]
fn numbers_beyond_rusts_are_strings_wherever_they_stand() {
    let (_, message) = framed(
        r#"["p",[1e999,{"1e999":[-18446744073709551616]}],["\\\"1e999",18446744073709551615,1e99]]"#,
    );
    let expected = serde_json::json!([
        ["1e999", {"1e999": ["-18446744073709551616"]}],
        ["\\\"1e999", u64::MAX, 1e99],
    ]);
    assert_eq!(Value::from(message.values()), expected);
}

#[test]
fn numbers_beyond_rusts_are_strings() {
    let (_, message) = framed(r#"["p",18446744073709551616,1e999,-0,-5,1e3]"#);
    let values = message.values();
    assert_eq!(values[0], "18446744073709551616");
    assert_eq!(values[1], "1e999");
    assert_eq!(
        (&values[2], &values[3]),
        (&Value::from(-0.0), &Value::from(-5))
    );
    assert_eq!(values[4], 1e3);
}

#[test]
fn sent_on_unchanged() {
    let (_, message) = framed(r#"["p","t",-0,1e+20,9007199254740993,"\u0041"]"#);
    let again = serde_json::to_string(&message).unwrap();
    assert_eq!(again, r#"["t",-0,1e+20,9007199254740993,"\u0041"]"#);
    let rest = serde_json::to_string(&message.without_tag()).unwrap();
    assert_eq!(rest, r#"[-0,1e+20,9007199254740993,"\u0041"]"#);
}

proptest! {
    #[test]
    fn values_survive(values: Vec<(i64, String, Option<f32>, Vec<u64>)>) {
        let message = Message::encode(&values).unwrap();
        let back: Vec<(i64, String, Option<f32>, Vec<u64>)> = message.args().unwrap();
        let finite = |v: &(i64, String, Option<f32>, Vec<u64>)| v.2.is_none_or(f32::is_finite);
        if values.iter().all(finite) {
            prop_assert_eq!(back, values);
        }
    }
}
