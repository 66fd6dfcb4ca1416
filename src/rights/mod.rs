//! Who may do what on this node: rules for other nodes, of which there are none by default.
//!
//! AEMP itself knows no rights: whoever has the secret may do everything that any node may. Rules
//! are this node's own matter; nothing of them is ever said to other nodes, but that something is
//! refused.
//!
//! A [`Rule`] says for which nodes it is, and what they may or may not do. The lists `allow` and
//! `deny` of the configuration are read together, in no order:
//!
//! - What a rule in `deny` is for is refused. - Of an action that any rule in `allow` is about,
//!   only what one of those rules allows is left, to everybody: whoever says who may kill does not
//!   want all others to.
//! - Everything else is allowed, as ever.
//!
//! When a link comes up, the rules for that node become its [`Rights`]. No rules cost nothing.

mod pattern;
mod rule;

use std::sync::Arc;

pub use rule::{Rule, RuleError};

pub(crate) use pattern::Pattern;
pub(crate) use rule::Action;

use rule::Name;

/// The rules of a node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    allow: Vec<Rule>,
    deny: Vec<Rule>,
}

impl Rules {
    /// These lists. `secure`: besides, nothing is run for anybody.
    pub(crate) fn new(allow: &[Rule], deny: &[Rule], secure: bool) -> Self {
        let mut rules = Rules {
            allow: allow.to_vec(),
            deny: deny.to_vec(),
        };
        if secure {
            let preset = [Action::Spawn, Action::Call, Action::Eval];
            rules.deny.extend(preset.map(Rule::for_everybody));
        }
        rules
    }

    /// What a node may do that has this ID, and a certificate of that SHA-256 fingerprint, if any.
    /// `None`: everything.
    pub(crate) fn of(&self, node: &str, fingerprint: Option<&str>) -> Option<Arc<Rights>> {
        self.rights(|rule| rule.is_for(node, fingerprint))
    }

    /// What is allowed to, and refused to, everybody.
    pub(crate) fn of_anybody(&self) -> Option<Arc<Rights>> {
        self.rights(Rule::is_for_everybody)
    }

    /// Whether any rule is about the groups of ports.
    pub(crate) fn ask_for_groups(&self) -> bool {
        let mut all = self.allow.iter().chain(&self.deny);
        all.any(|rule| matches!(rule.name, Name::Member(_)))
    }

    fn rights(&self, is_for: impl Fn(&Rule) -> bool) -> Option<Arc<Rights>> {
        let permission = |action| {
            let about = |rule: &&Rule| rule.action == action;
            let names = |rules: &[Rule]| -> Vec<Name> {
                let meant = rules.iter().filter(about).filter(|rule| is_for(rule));
                meant.map(|rule| rule.name.clone()).collect()
            };
            let allowed = self.allow.iter().any(|rule| rule.action == action);
            let allowed = allowed.then(|| names(&self.allow));
            Permission {
                denied: names(&self.deny),
                // All names is no restriction.
                allowed: allowed.filter(|names| !names.contains(&Name::Any)),
            }
        };
        let rights = Rights(Action::ALL.map(permission));
        let some = Action::ALL
            .into_iter()
            .any(|action| rights.restrict(action));
        some.then(|| Arc::new(rights))
    }
}

/// What one node may do.
#[derive(Debug, PartialEq)]
pub(crate) struct Rights([Permission; Action::ALL.len()]);

/// What it may of one action.
#[derive(Debug, PartialEq)]
struct Permission {
    denied: Vec<Name>,
    /// `None`: everything that is not denied.
    allowed: Option<Vec<Name>>,
}

impl Rights {
    /// Whether anything of the action may be refused.
    pub(crate) fn restrict(&self, action: Action) -> bool {
        let permission = &self.0[action as usize];
        permission.allowed.is_some() || !permission.denied.is_empty()
    }

    /// Whether the action may be done with what has that name. `is_member` says whether it is in a
    /// group of such a name.
    pub(crate) fn allow(
        &self,
        action: Action,
        name: &str,
        is_member: impl Fn(&Pattern) -> bool,
    ) -> bool {
        let permission = &self.0[action as usize];
        let meant = |names: &[Name]| {
            names.iter().any(|wanted| match wanted {
                Name::Any => true,
                Name::Named(pattern) => pattern.matches(name),
                Name::Member(pattern) => is_member(pattern),
            })
        };
        !meant(&permission.denied) && permission.allowed.as_deref().is_none_or(meant)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(allow: &[&str], deny: &[&str]) -> Rules {
        let read = |rules: &[&str]| -> Vec<Rule> {
            rules.iter().map(|rule| rule.parse().unwrap()).collect()
        };
        Rules::new(&read(allow), &read(deny), false)
    }

    fn may(rules: &Rules, who: &str, action: Action, name: &str) -> bool {
        let rights = rules.of(who, None);
        rights.is_none_or(|rights| rights.allow(action, name, |_| false))
    }

    #[test]
    fn without_a_rule_everything_is_allowed() {
        assert_eq!(Rules::default().of("a", None), None);
        let shown = ["AB"; 32].join(":");
        let others = rules(&[], &["b* send", &format!("sha256:{shown} kill")]);
        assert_eq!(others.of("a", None), None);
        assert!(others.of("bob", None).is_some() && others.of("a", Some(&shown)).is_some());
    }

    #[test]
    fn who_is_allowed_something_leaves_nothing_of_it_to_others() {
        let rules = rules(&["ruth spawn job::*"], &["* spawn job::secret"]);
        assert!(may(&rules, "ruth", Action::Spawn, "job::print"));
        assert!(!may(&rules, "ruth", Action::Spawn, "job::secret"));
        assert!(!may(&rules, "ruth", Action::Spawn, "other"));
        assert!(!may(&rules, "bob", Action::Spawn, "job::print"));
        assert!(may(&rules, "bob", Action::Call, "job::print"));
    }

    #[test]
    fn all_names_are_no_restriction() {
        let rules = rules(&["* send", "ruth kill"], &[]);
        assert_eq!(rules.of("ruth", None), None);
        let bob = rules.of("bob", None).unwrap();
        assert!(!bob.restrict(Action::Send) && bob.restrict(Action::Kill));
    }

    #[test]
    fn groups_are_asked_for() {
        let rules = rules(&["* send @work*"], &[]);
        assert!(rules.ask_for_groups() && !super::Rules::default().ask_for_groups());
        let rights = rules.of("a", None).unwrap();
        let member = |group: &'static str| move |pattern: &Pattern| pattern.matches(group);
        assert!(rights.allow(Action::Send, "p", member("workers")));
        assert!(!rights.allow(Action::Send, "p", member("others")));
    }

    #[test]
    fn secure_runs_nothing_for_anybody() {
        let rules = Rules::new(&[], &[], true);
        for rights in [rules.of("a", None), rules.of_anybody()] {
            let rights = rights.unwrap();
            for action in Action::ALL {
                let runs = matches!(action, Action::Spawn | Action::Call | Action::Eval);
                assert_eq!(rights.allow(action, "x", |_| true), !runs, "{action}");
            }
        }
    }

    #[test]
    fn what_is_for_somebody_is_not_for_anybody() {
        assert_eq!(rules(&[], &["a* send", "** kill"]).of_anybody(), None);
        let rights = rules(&["ruth send"], &["* kill"]).of_anybody().unwrap();
        assert!(!rights.allow(Action::Kill, "", |_| true));
        assert!(!rights.allow(Action::Send, "", |_| true));
    }

    /// A rule in its parts: who, the action, the name.
    type Parts = (String, Action, Option<String>);

    fn parts() -> impl Strategy<Value = Parts> {
        let actions = vec![Action::Spawn, Action::Send, Action::Kill];
        let name = proptest::option::of("@?[ab*]{1,3}");
        ("[ab*]{1,3}", proptest::sample::select(actions), name).prop_map(|(who, action, name)| {
            // Only ports are in groups.
            let name = name.filter(|name| action != Action::Spawn || !name.starts_with('@'));
            (who, action, name)
        })
    }

    fn glob(pattern: &str, text: &str) -> bool {
        match pattern.split_at_checked(1) {
            None => text.is_empty(),
            Some(("*", rest)) => (0..=text.len()).any(|n| glob(rest, &text[n..])),
            Some((one, rest)) => text.strip_prefix(one).is_some_and(|text| glob(rest, text)),
        }
    }

    proptest! {
        /// The rules as the documentation says them, over the texts.
        #[test]
        fn as_it_is_said(
            allow in proptest::collection::vec(parts(), 0..4),
            deny in proptest::collection::vec(parts(), 0..4),
            who in "[ab]{1,3}",
            name in "[ab]{0,3}",
            group in "[ab]{1,2}",
        ) {
            let text = |(who, action, name): &Parts| {
                format!("{who} {action} {}", name.as_deref().unwrap_or(""))
            };
            let read = |rules: &[Parts]| -> Vec<Rule> {
                rules.iter().map(|rule| text(rule).parse().unwrap()).collect()
            };
            let rules = Rules::new(&read(&allow), &read(&deny), false);
            let rights = rules.of(&who, None);
            for action in [Action::Spawn, Action::Send, Action::Kill, Action::Eval] {
                let meant = |(whom, what, names): &Parts| {
                    *what == action && glob(whom, &who) && match names.as_deref() {
                        None => true,
                        Some(names) => match names.strip_prefix('@') {
                            Some(groups) => glob(groups, &group),
                            None => glob(names, &name),
                        },
                    }
                };
                let refused = deny.iter().any(meant)
                    || allow.iter().any(|rule| rule.1 == action) && !allow.iter().any(meant);
                let allowed = rights.as_ref().is_none_or(|rights| {
                    rights.allow(action, &name, |pattern| pattern.matches(&group))
                });
                prop_assert_eq!(allowed, !refused);
            }
        }
    }
}
