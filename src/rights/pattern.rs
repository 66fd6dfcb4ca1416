//! Patterns of names.

use std::fmt;

/// A pattern that names match or not: `*` stands for any characters or none, everything else for
/// itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Box<str>);

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Pattern(text.into())
    }

    /// Of functions: `::name` is `main::name`, as requests have it.
    pub(super) fn of_function(text: &str) -> Self {
        match text.strip_prefix("::") {
            Some(rest) => Pattern(format!("main::{rest}").into()),
            None => Pattern::new(text),
        }
    }

    /// Whether every name matches.
    pub(super) fn is_any(&self) -> bool {
        &*self.0 == "*"
    }

    /// The only name that matches, if there is no other.
    pub(super) fn literal(&self) -> Option<&str> {
        (!self.0.contains('*')).then_some(&self.0)
    }

    /// Whether the name matches. The work is at most the product of both lengths.
    pub(super) fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut at, mut in_name) = (0, 0);
        // Behind the last star, and how far the name was when it was met.
        let mut star = None;
        loop {
            match pattern.get(at) {
                Some(b'*') => {
                    at += 1;
                    star = Some((at, in_name));
                    continue;
                }
                wanted => {
                    if let Some(wanted) = wanted
                        && name.get(in_name) == Some(wanted)
                    {
                        (at, in_name) = (at + 1, in_name + 1);
                        continue;
                    }
                    if wanted.is_none() && in_name == name.len() {
                        return true;
                    }
                }
            }
            // The last star stands for one octet more than was tried.
            match star {
                Some((behind, begun)) if begun < name.len() => {
                    star = Some((behind, begun + 1));
                    (at, in_name) = (behind, begun + 1);
                }
                _ => return false,
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match pattern {
            [] => name.is_empty(),
            [b'*', rest @ ..] => (0..=name.len()).any(|n| naive(rest, &name[n..])),
            [one, rest @ ..] => name.first() == Some(one) && naive(rest, &name[1..]),
        }
    }

    #[test]
    fn stars() {
        for (pattern, name, matches) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("job::*", "job::print", true),
            ("job::*", "jobs::print", false),
            ("*/db", "rack1/db", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b", false),
            ("ä*", "äö", true),
        ] {
            assert_eq!(
                Pattern::new(pattern).matches(name),
                matches,
                "{pattern} {name}"
            );
        }
    }

    /// What would take for ever if every star tried everything.
    #[test]
    fn many_stars_cost_little() {
        let pattern = Pattern::new(&format!("{}b", "a*".repeat(100)));
        assert!(!pattern.matches(&"a".repeat(64 << 10)));
    }

    proptest! {
        #[test]
        fn as_if_every_star_tried_everything(pattern in "[ab*]{0,8}", name in "[ab]{0,8}") {
            let matches = naive(pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(Pattern::new(&pattern).matches(&name), matches);
        }
    }
}
