//! Many patterns at once: what has no star is looked up, the others are tried one by one.

use std::collections::HashSet;

use super::pattern::Pattern;
use super::rule::Name;

/// A set of patterns.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Patterns {
    literal: HashSet<Box<str>>,
    others: Vec<Pattern>,
}

impl Patterns {
    fn insert(&mut self, pattern: &Pattern) {
        match pattern.literal() {
            Some(name) => drop(self.literal.insert(name.into())),
            None if self.others.contains(pattern) => {}
            None => self.others.push(pattern.clone()),
        }
    }

    /// Whether one of them matches.
    pub(crate) fn match_any(&self, name: &str) -> bool {
        self.literal.contains(name) || self.others.iter().any(|pattern| pattern.matches(name))
    }

    fn is_empty(&self) -> bool {
        self.literal.is_empty() && self.others.is_empty()
    }
}

/// What rules name: all of it, or some names, and groups of ports.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Names {
    any: bool,
    named: Patterns,
    groups: Patterns,
}

impl Names {
    pub(super) fn insert(&mut self, name: &Name) {
        match name {
            Name::Any => self.any = true,
            Name::Named(pattern) => self.named.insert(pattern),
            Name::Member(pattern) => self.groups.insert(pattern),
        }
    }

    /// Whether everything is named.
    pub(super) fn is_any(&self) -> bool {
        self.any
    }

    /// Whether nothing is.
    pub(super) fn is_empty(&self) -> bool {
        !self.any && self.named.is_empty() && self.groups.is_empty()
    }

    /// Whether this is named, or in a group of such a name, which `is_member` says.
    pub(super) fn mean(&self, name: &str, is_member: impl Fn(&Patterns) -> bool) -> bool {
        self.any || self.named.match_any(name) || !self.groups.is_empty() && is_member(&self.groups)
    }
}
