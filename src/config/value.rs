//! What one value may be, by itself: whoever merges settings and whoever gives them types reads it
//! alike.

use serde_json::Value;

use super::error::ConfigError;
use super::origin::Origin;
use crate::proto::NodeId;
use crate::proto::generation::Generations;

/// Splits a comma-separated text the way Perl's `split /,/` does: empty fields at the end are
/// dropped, so the empty text gives an empty list.
///
/// ```
/// use aemp::config::split_commas;
/// assert_eq!(split_commas("a,,b,,"), ["a", "", "b"]);
/// assert!(split_commas("").is_empty());
/// ```
pub fn split_commas(text: &str) -> Vec<&str> {
    let mut fields: Vec<&str> = text.split(',').collect();
    while fields.last().is_some_and(|field| field.is_empty()) {
        fields.pop();
    }
    fields
}

/// The text of a string or number, which Perl does not tell apart.
pub(super) fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A yes or no: JSON's, a number, or the texts "0", "1" and "". Other texts are refused: for Perl
/// they are all true, "false" as well.
pub(super) fn truth(key: &str, value: &Value, origin: &Origin) -> Result<bool, ConfigError> {
    match value {
        Value::Null => Ok(false),
        Value::Bool(truth) => Ok(*truth),
        Value::Number(number) => Ok(number.as_f64() != Some(0.0)),
        Value::String(text) if text.is_empty() || text == "0" => Ok(false),
        Value::String(text) if text == "1" => Ok(true),
        _ => Err(bad_value(key, value, origin, "a boolean: 0 or 1")),
    }
}

/// The generations that a node speaks, as the setting has them.
pub(super) fn generations(value: &Value) -> Option<Generations> {
    match scalar_text(value)?.as_str() {
        "auto" => Some(Generations::Auto),
        "0" => Some(Generations::Only(0)),
        "1" => Some(Generations::Only(1)),
        "2" => Some(Generations::Only(2)),
        _ => None,
    }
}

/// The error about a value; it never shows the secret.
pub(super) fn bad_value(
    key: &str,
    value: &Value,
    origin: &Origin,
    expected: &'static str,
) -> ConfigError {
    ConfigError::BadValue {
        key: key.to_owned(),
        value: match key {
            "secret" | "cert" => "(hidden)".to_owned(),
            _ => value.to_string(),
        },
        origin: origin.clone(),
        expected,
    }
}

/// Refuses what is no node ID. `origin` is for the error: where it was set.
pub(super) fn check_node_id(id: &str, origin: String) -> Result<(), ConfigError> {
    let reason = match NodeId::checked(id) {
        _ if id.is_empty() || id == "0" => {
            "a node ID cannot be empty (or \"0\", which is the same for Perl)"
        }
        Err(invalid) => invalid.why,
        Ok(_) => return Ok(()),
    };
    Err(ConfigError::BadNodeId {
        id: id.to_owned(),
        origin,
        reason,
    })
}
