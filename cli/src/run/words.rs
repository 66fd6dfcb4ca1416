//! The arguments of `aemp run` that are not those of `configure`.

use serde_json::Value;

use crate::settings::is_setting;

/// The word `bridge` at the end stands for `bridge all`, unless it is the value of the setting
/// before it.
pub(super) fn with_bridge(mut words: Vec<Value>) -> Vec<Value> {
    let text = |word: Option<&Value>| word.and_then(Value::as_str).unwrap_or_default().to_owned();
    if text(words.last()) != "bridge" {
        return words;
    }
    let before = words.len().checked_sub(2).and_then(|at| words.get(at));
    let before = text(before);
    let is_value = before != "bridge"
        && (is_setting(&before) || matches!(&*before, "profile" | "norc" | "force"));
    if !is_value {
        words.push("all".into());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::with_bridge;

    #[test]
    fn the_last_word_may_be_bridge() {
        for (line, wanted) in [
            ("bridge", "bridge all"),
            ("seed bridge", "seed bridge all"),
            ("seed binds * bridge", "seed binds * bridge all"),
            ("nodeid bridge bridge", "nodeid bridge bridge all"),
            ("nodeid bridge", "nodeid bridge"),
            ("seed nodeid bridge", "seed nodeid bridge"),
            ("profile bridge", "profile bridge"),
            ("bridge 0,1", "bridge 0,1"),
            ("", ""),
        ] {
            let words = line.split(' ').filter(|word| !word.is_empty());
            let read = with_bridge(words.map(Into::into).collect());
            let read: Vec<&str> = read.iter().filter_map(|word| word.as_str()).collect();
            assert_eq!(read.join(" "), wanted);
        }
    }
}
