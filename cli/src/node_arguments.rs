//! The words behind `aemp run`: maybe a profile, then settings as key and value. Some keys need no
//! value.

use aemp::config::{Arguments, ConfigError, Environment, RcFile, node_name};
use serde_json::Value;

use crate::settings::is_setting;

/// Words that change how the configuration is read. Each stands for itself with the value 1.
pub(crate) const FLAGS: [&str; 2] = ["norc", "force"];

/// The words as Perl's `configure` wants them: [`FLAGS`] without a value get one, and `bridge` at
/// the end stands for `bridge all`.
///
/// Whether the first word is a profile depends on what comes behind it: in `seed norc`, `seed` is
/// one, in `nodeid seed norc` it is not.
pub(crate) fn of_node(words: Vec<Value>) -> Vec<Value> {
    let from_first = complete(&words);
    let profile = words.split_first().and_then(|(profile, rest)| {
        let mut all = vec![profile.clone()];
        all.extend(complete(rest)?);
        Some(all)
    });
    let begins_with_key = words.first().is_some_and(is_key);
    match (from_first, profile) {
        (Some(settings), Some(profile)) => match begins_with_key {
            true => settings,
            false => profile,
        },
        (settings, profile) => settings.or(profile).unwrap_or(words),
    }
}

/// The same for settings alone.
pub(crate) fn with_flags(words: Vec<Value>) -> Vec<Value> {
    complete(&words).unwrap_or(words)
}

/// Keys and values, if the last key has its value.
fn complete(words: &[Value]) -> Option<Vec<Value>> {
    let mut all = Vec::with_capacity(words.len() + 1);
    let mut words = words.iter().peekable();
    while let Some(key) = words.next() {
        let flag = key.as_str().filter(|key| FLAGS.contains(key));
        let value = match flag {
            Some(_) => words
                .next_if(|next| is_truth(next))
                .cloned()
                .or(Some(1.into())),
            None if key == "bridge" => words.next().cloned().or(Some("all".into())),
            None => words.next().cloned(),
        };
        all.extend([key.clone(), value?]);
    }
    Some(all)
}

fn is_truth(word: &Value) -> bool {
    match word {
        Value::String(text) => matches!(&**text, "0" | "1" | ""),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
        _ => false,
    }
}

fn is_key(word: &Value) -> bool {
    let key = word.as_str().unwrap_or_default();
    is_setting(key) || key == "profile" || FLAGS.contains(&key)
}

/// Refuses a profile that is not in the configuration. Perl's command takes its name for the node's
/// ID then, so a misspelt profile gives a node that nobody wanted.
pub(crate) fn check_profile(arguments: &Arguments) -> Result<(), ConfigError> {
    let Some(profile) = &arguments.profile else {
        return Ok(());
    };
    if *profile == node_name() || arguments.leave_out_file()? {
        return Ok(());
    }
    RcFile::load(Environment::from_process().rc_path())?.check_profile(profile)
}

#[cfg(test)]
mod tests {
    use super::of_node;

    #[test]
    fn words_without_a_value() {
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
            ("norc", "norc 1"),
            ("norc 0", "norc 0"),
            ("nodeid q binds X norc", "nodeid q binds X norc 1"),
            (
                "norc nodeid q force binds X",
                "norc 1 nodeid q force 1 binds X",
            ),
            ("seed norc", "seed norc 1"),
            ("seed norc 0", "seed norc 0"),
            ("seed norc binds X", "seed norc 1 binds X"),
            ("seed norc bridge", "seed norc 1 bridge all"),
            ("nodeid norc", "nodeid norc"),
            ("nodeid norc norc", "nodeid norc norc 1"),
            // As with Perl, the number of words says that the first one is a profile.
            ("nodeid binds X", "nodeid binds X"),
            ("seed", "seed"),
            ("bindz X", "bindz X"),
        ] {
            let words = line.split(' ').filter(|word| !word.is_empty());
            let read = of_node(words.map(Into::into).collect());
            let read: Vec<String> = read
                .iter()
                .map(|word| word.as_str().map_or(word.to_string(), str::to_owned))
                .collect();
            assert_eq!(read.join(" "), wanted, "{line}");
        }
    }
}
