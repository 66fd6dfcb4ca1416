//! One list of rules, by whom they are for.

use std::collections::HashMap;

use super::rule::{Action, Rule, Who, digits};

/// A list of rules. Those for one node, or one certificate, are looked up; those for a pattern of
/// nodes are tried one by one.
#[derive(Debug, Clone, Default)]
pub(super) struct List {
    rules: Vec<Rule>,
    of_node: HashMap<Box<str>, Vec<usize>>,
    of_certificate: HashMap<Box<str>, Vec<usize>>,
    others: Vec<usize>,
    /// The actions that any rule is about.
    about: [bool; Action::ALL.len()],
}

impl List {
    pub(super) fn push(&mut self, rule: Rule) {
        let at = self.rules.len();
        self.about[rule.action as usize] = true;
        let places = match &rule.who {
            Who::Certificate(digits) => self.of_certificate.entry(digits.as_str().into()),
            Who::Node(pattern) => match pattern.literal() {
                Some(node) => self.of_node.entry(node.into()),
                None => {
                    self.others.push(at);
                    self.rules.push(rule);
                    return;
                }
            },
        };
        places.or_default().push(at);
        self.rules.push(rule);
    }

    /// Whether any rule is about the action.
    pub(super) fn is_about(&self, action: Action) -> bool {
        self.about[action as usize]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    /// The rules for a node of that ID with a certificate of that SHA-256 fingerprint.
    pub(super) fn of(&self, node: &str, fingerprint: Option<&str>) -> impl Iterator<Item = &Rule> {
        let of_node = self.of_node.get(node);
        let shown = fingerprint.map(digits);
        let of_certificate = shown.and_then(|shown| self.of_certificate.get(shown.as_str()));
        let named = [of_node, of_certificate].into_iter().flatten().flatten();
        let named = named.map(|at| &self.rules[*at]);
        let others = self.others.iter().map(|at| &self.rules[*at]);
        named.chain(others.filter(move |rule| rule.is_for(node)))
    }

    /// The rules for everybody.
    pub(super) fn of_everybody(&self) -> impl Iterator<Item = &Rule> {
        let others = self.others.iter().map(|at| &self.rules[*at]);
        others.filter(|rule| rule.is_for_everybody())
    }
}

impl FromIterator<Rule> for List {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> Self {
        let mut list = List::default();
        rules.into_iter().for_each(|rule| list.push(rule));
        list
    }
}
