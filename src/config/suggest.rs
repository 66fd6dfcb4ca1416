//! What somebody may have meant who misspelt a name.

/// The one of the known names that is most like the given one, if any is enough like it to be worth
/// asking about.
///
/// ```
/// use aemp::config::suggest;
/// assert_eq!(suggest("bind", ["seeds", "binds", "nodeid"]), Some("binds"));
/// assert_eq!(suggest("nodeld", ["seeds", "binds", "nodeid"]), Some("nodeid"));
/// assert_eq!(suggest("colour", ["seeds", "binds", "nodeid"]), None);
/// ```
pub fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters may be wrong. Two that changed places count as one wrong letter.
    let most = (name.chars().count() / 3).max(1);
    let distance = |other| strsim::damerau_levenshtein(name, other);
    let scored = known.into_iter().map(|other| (distance(other), other));
    let (_, best) = scored
        .filter(|(distance, _)| (1..=most).contains(distance))
        .min_by_key(|(distance, _)| *distance)?;
    Some(best)
}

/// The end of a sentence about a name that is not known.
pub(crate) fn did_you_mean(like: &Option<String>) -> String {
    match like {
        Some(like) => format!("; did you mean `{like}`?"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn the_nearest_one_is_meant() {
        let known = ["setbinds", "setseeds", "delbinds", "addbind", "binds"];
        for (name, wanted) in [
            ("setbinsd", Some("setbinds")),
            ("setseed", Some("setseeds")),
            ("addbinds", Some("addbind")),
            ("dlebind", Some("delbinds")),
            ("frobnicate", None),
            ("", None),
            ("ü", None),
            // What is known needs no suggestion.
            ("binds", None),
        ] {
            assert_eq!(suggest(name, known), wanted, "{name}");
        }
    }
}
