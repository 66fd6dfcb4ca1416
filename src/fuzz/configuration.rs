//! The configuration file.

use serde_json::Value;

use crate::config::{Arguments, Config, RcFile, parse_addresses, relaxed};

/// A configuration file: strict JSON means what serde_json says, relaxed JSON means what its strict
/// form does, what was read is saved as something that reads the same, and every profile of it is a
/// configuration or says what is wrong.
pub fn rc(data: &[u8]) {
    let Ok(value) = relaxed::parse_bytes(data) else {
        assert!(
            serde_json::from_slice::<Value>(data).is_err(),
            "strict JSON is relaxed JSON"
        );
        return;
    };
    let text = std::str::from_utf8(data).expect("it was read");
    let strict: Value = serde_json::from_str(&relaxed::to_strict(text)).expect("it is strict");
    assert_eq!(strict, value);
    if let Ok(theirs) = serde_json::from_str::<Value>(text) {
        assert_eq!(theirs, value);
    }
    let Value::Object(root) = value else { return };
    let mut rc = RcFile::default();
    *rc.root_mut() = root;
    let saved = relaxed::parse(&rc.to_json()).expect("what is saved can be read");
    assert_eq!(saved.as_object(), Some(rc.root()));

    let mut names: Vec<String> = vec!["none".to_owned()];
    if let Some(Value::Object(profiles)) = rc.root().get("profile") {
        names.extend(profiles.keys().take(8).cloned());
    }
    for name in names {
        let _ = Config::load(&rc, &Arguments::default(), &name);
    }
    for value in rc.root().values() {
        if let Value::String(text) = value {
            let _ = parse_addresses(text);
        }
    }
}
