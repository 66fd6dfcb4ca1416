//! The words of a line: JSON values, and texts that end with a blank.

use serde_json::value::RawValue;

/// A word.
#[derive(Debug, Clone)]
pub(super) struct Word {
    /// As it was typed.
    pub(super) typed: String,
    /// What it is as a value.
    pub(super) value: Box<RawValue>,
    /// Where it begins in the line.
    pub(super) at: usize,
}

/// Why a line can't be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WordError {
    #[error("{0}: it begins like JSON, and is not: {1}")]
    Json(String, String),
    #[error("{0}: a blank is missing behind it")]
    Blank(String),
}

/// What begins like JSON that may have blanks within.
const OPENING: [char; 3] = ['[', '{', '"'];

/// Cuts a line into its words.
pub(super) fn split(line: &str) -> Result<Vec<Word>, WordError> {
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        let rest = &line[at..];
        let begin = at + rest.len() - rest.trim_start().len();
        let rest = &line[begin..];
        if rest.is_empty() {
            return Ok(words);
        }
        let length = match rest.starts_with(OPENING) {
            true => json_length(rest)?,
            false => rest.find(char::is_whitespace).unwrap_or(rest.len()),
        };
        let typed = &rest[..length];
        words.push(Word {
            typed: typed.to_owned(),
            value: value_of(typed),
            at: begin,
        });
        at = begin + length;
    }
}

/// How long the JSON is that a line begins with.
fn json_length(line: &str) -> Result<usize, WordError> {
    let mut values = serde_json::Deserializer::from_str(line).into_iter::<&RawValue>();
    let first = line.split_whitespace().next().unwrap_or_default();
    match values.next() {
        Some(Ok(value)) => {
            let length = value.get().len();
            let next = line[length..].chars().next();
            match next.is_none_or(char::is_whitespace) {
                true => Ok(length),
                false => Err(WordError::Blank(line[..length].to_owned())),
            }
        }
        Some(Err(error)) => Err(WordError::Json(first.to_owned(), error.to_string())),
        None => Ok(line.len()),
    }
}

/// JSON is the value that it is, anything else a text.
fn value_of(typed: &str) -> Box<RawValue> {
    let json = serde_json::from_str(typed);
    json.unwrap_or_else(|_| {
        let text = serde_json::Value::from(typed).to_string();
        RawValue::from_string(text).unwrap_or_default()
    })
}

impl Word {
    /// The text that it is: as it was typed, or the text that the JSON is. None of other JSON that
    /// looks like nothing else.
    pub(super) fn text(&self) -> Option<String> {
        match self.typed.starts_with(OPENING) {
            true => serde_json::from_str(&self.typed).ok(),
            false => Some(self.typed.clone()),
        }
    }

    /// Whether it was typed as JSON that may have blanks within.
    pub(super) fn is_quoted(&self) -> bool {
        self.typed.starts_with(OPENING)
    }
}

/// How a text has to be typed so that it is read as a word of its own.
pub(super) fn quoted(text: &str) -> String {
    let is_plain = !text.is_empty()
        && !text.starts_with(OPENING)
        && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    match is_plain {
        true => text.to_owned(),
        false => serde_json::Value::from(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(line: &str) -> String {
        match split(line) {
            Ok(words) => {
                let values = words.iter().map(|word| word.value.get().to_owned());
                values.collect::<Vec<_>>().join(" ")
            }
            Err(error) => format!("no: {error}"),
        }
    }

    #[test]
    fn values_are_json_or_texts() {
        for (line, wanted) in [
            ("", ""),
            ("  snd  a#b\t5 ", r#""snd" "a#b" 5"#),
            (
                "1.50 -0 1e3 18446744073709551616",
                "1.50 -0 1e3 18446744073709551616",
            ),
            ("true null yes 01", r#"true null "yes" "01""#),
            (
                r#"x "a b" [1, "]"] {"a" : {}}"#,
                r#""x" "a b" [1, "]"] {"a" : {}}"#,
            ),
            ("gr\u{fc}n it's", r#""grün" "it's""#),
            (r#"a "b"#, "no: \"b: it begins like JSON"),
            (r#"["a"]b"#, "no: [\"a\"]: a blank is missing"),
            ("[1,", "no: [1,: it begins like JSON"),
        ] {
            let shown = shown(line);
            assert!(
                shown == wanted || wanted.starts_with("no: ") && shown.starts_with(wanted),
                "{line}: {shown}"
            );
        }
    }

    #[test]
    fn texts_of_words() {
        let texts = |line: &str| -> Vec<Option<String>> {
            split(line).unwrap().iter().map(Word::text).collect()
        };
        assert_eq!(
            texts(r#"5 "a b" [1] true"#),
            [
                Some("5".into()),
                Some("a b".into()),
                None,
                Some("true".into())
            ]
        );
    }

    proptest! {
        /// What is quoted is read as one word, which is that text.
        #[test]
        fn what_is_quoted_is_one_word(text in any::<String>(), before in "[a-z]{0,3}") {
            let line = format!("{before} {} x", quoted(&text));
            let words = split(&line).unwrap();
            let at = words.len() - 2;
            prop_assert_eq!(words[at].text(), Some(text));
            prop_assert_eq!(&line[words[at].at..][..words[at].typed.len()], &words[at].typed);
        }

        /// Nothing that can be typed harms.
        #[test]
        fn anything_can_be_typed(line in any::<String>()) {
            let _ = split(&line);
        }
    }
}
