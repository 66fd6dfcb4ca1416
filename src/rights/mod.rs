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

mod list;
mod names;
mod pattern;
mod rule;

use std::sync::Arc;

pub use rule::{Rule, RuleError};

pub(crate) use names::Patterns;
pub(crate) use rule::Action;

use list::List;
use names::Names;
use rule::Name;

/// The rules of a node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    allow: List,
    deny: List,
}

impl Rules {
    /// These lists. `secure`: besides, nothing is run for anybody.
    pub(crate) fn new(allow: &[Rule], deny: &[Rule], secure: bool) -> Self {
        let preset = [Action::Spawn, Action::Call, Action::Eval].map(Rule::for_everybody);
        let preset = preset.into_iter().filter(|_| secure);
        Rules {
            allow: allow.iter().cloned().collect(),
            deny: deny.iter().cloned().chain(preset).collect(),
        }
    }

    /// What a node may do that has this ID, and a certificate of that SHA-256 fingerprint, if any.
    /// `None`: everything.
    pub(crate) fn of(&self, node: &str, fingerprint: Option<&str>) -> Option<Arc<Rights>> {
        self.rights(
            self.allow.of(node, fingerprint),
            self.deny.of(node, fingerprint),
        )
    }

    /// What is allowed to, and refused to, everybody.
    pub(crate) fn of_anybody(&self) -> Option<Arc<Rights>> {
        self.rights(self.allow.of_everybody(), self.deny.of_everybody())
    }

    /// Whether any rule is about the groups of ports.
    pub(crate) fn ask_for_groups(&self) -> bool {
        let mut all = self.allow.iter().chain(self.deny.iter());
        all.any(|rule| matches!(rule.name, Name::Member(_)))
    }

    fn rights<'a>(
        &'a self,
        allow: impl Iterator<Item = &'a Rule>,
        deny: impl Iterator<Item = &'a Rule>,
    ) -> Option<Arc<Rights>> {
        let mut rights = Rights(Action::ALL.map(|action| Permission {
            denied: Names::default(),
            allowed: self.allow.is_about(action).then(Names::default),
        }));
        for rule in allow {
            if let Some(allowed) = &mut rights.0[rule.action as usize].allowed {
                allowed.insert(&rule.name);
            }
        }
        for rule in deny {
            rights.0[rule.action as usize].denied.insert(&rule.name);
        }
        for permission in &mut rights.0 {
            // All names is no restriction.
            permission.allowed.take_if(|names| names.is_any());
        }
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
    denied: Names,
    /// `None`: everything that is not denied.
    allowed: Option<Names>,
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
        is_member: impl Fn(&Patterns) -> bool,
    ) -> bool {
        let permission = &self.0[action as usize];
        let meant = |names: &Names| names.mean(name, &is_member);
        !meant(&permission.denied) && permission.allowed.as_ref().is_none_or(meant)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

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
        let member = |group: &'static str| move |wanted: &Patterns| wanted.match_any(group);
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

    /// What one request or one link costs must not grow with the rules: each is looked up.
    #[test]
    fn a_hundred_thousand_rules() {
        let all = |text: fn(u32) -> String| -> Vec<Rule> {
            let rules = (0..100_000).map(|n| text(n).parse().unwrap());
            rules.collect()
        };
        let of_nodes = all(|n| format!("node{n} send port{n}"));
        let of_ports = all(|n| format!("* kill port{n}"));
        let of_groups = all(|n| format!("* monitor @group{n}"));
        let deny: Vec<Rule> = of_ports.into_iter().chain(of_groups).collect();
        let rules = Rules::new(&of_nodes, &deny, false);
        let begun = Instant::now();
        let rights = rules.of("node70000", None).unwrap();
        let a_link = Instant::now() - begun;
        let begun = Instant::now();
        for n in 0..100_000 {
            let port = format!("port{n}");
            assert!(!rights.allow(Action::Kill, &port, |_| false));
            assert_eq!(rights.allow(Action::Send, &port, |_| false), n == 70_000);
            let in_group = |wanted: &Patterns| wanted.match_any("group5");
            assert!(!rights.allow(Action::Monitor, &port, in_group));
        }
        let per_request = (Instant::now() - begun) / 300_000;
        // One after the other, 100,000 patterns would take some milliseconds a request.
        assert!(per_request < a_link / 100, "{per_request:?} of {a_link:?}");
        let some = Rules::new(&of_nodes, &[], false);
        let begun = Instant::now();
        for n in 0..1_000 {
            assert!(may(
                &some,
                &format!("node{n}"),
                Action::Send,
                &format!("port{n}")
            ));
        }
        let a_link_of_one = (Instant::now() - begun) / 1_000;
        assert!(
            a_link_of_one < a_link / 100,
            "{a_link_of_one:?} of {a_link:?}"
        );
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
                    rights.allow(action, &name, |wanted| wanted.match_any(&group))
                });
                prop_assert_eq!(allowed, !refused);
            }
        }
    }
}
