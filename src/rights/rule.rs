//! One rule, as text and as data.

use std::fmt;
use std::str::FromStr;

use super::pattern::Pattern;

/// What other nodes do here.
macro_rules! actions {
    ($($(#[$doc:meta])* $Action:ident = $name:literal, $of:expr;)*) => {
        /// What a rule is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Action {
            $($(#[$doc])* $Action,)*
        }

        impl Action {
            pub(crate) const ALL: [Action; [$($name),*].len()] = [$(Action::$Action),*];

            /// Its name in rules.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Action::$Action => $name,)*
                }
            }

            fn of(self) -> Of {
                match self {
                    $(Action::$Action => $of,)*
                }
            }
        }
    };
}

/// What the names of an action are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// There are none.
    Nothing,
    /// Those of functions, nodes, groups, verbs.
    Names,
    /// Those of ports, which may be meant by a group, too.
    Ports,
}

actions! {
    /// To create a port by a function of that name.
    Spawn = "spawn", Of::Names;
    /// To call a function of that name.
    Call = "call", Of::Names;
    /// To have an expression evaluated.
    Eval = "eval", Of::Nothing;
    /// To send to a port.
    Send = "send", Of::Ports;
    /// To kill a port.
    Kill = "kill", Of::Ports;
    /// To monitor a port.
    Monitor = "monitor", Of::Ports;
    /// To have this node send on, or reply, to a node of that name.
    Relay = "relay", Of::Names;
    /// To register ports in a group, or set keys of a family of the database.
    Set = "set", Of::Names;
    /// To say something about the mesh with a verb of that name.
    Mesh = "mesh", Of::Names;
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A rule about what other nodes may do here: `WHO ACTION`, or `WHO ACTION NAME`.
///
/// WHO is the ID of a node, or `sha256:` and the fingerprint of its certificate as `aemp showcert`
/// prints it. ACTION and NAME are:
///
/// | action | what it is | the name |
/// |---|---|---|
/// | `spawn` | create a port by a function of this program | of the function |
/// | `call` | call a function of this program | of the function |
/// | `eval` | evaluate an expression | there is none |
/// | `send` | send to a port | of the port, or `@` and a group that it is in |
/// | `kill` | kill a port | the same |
/// | `monitor` | monitor a port | the same |
/// | `relay` | have this node send a message, or a reply, on to another node | of that node |
/// | `set` | register ports in a group, set keys of a family | of the group or family |
/// | `mesh` | say something about nodes, groups or the database | of the verb, such as `nodes` or `g_upd` |
///
/// In the node ID and the name, `*` stands for any characters or none. Without a name the rule is
/// for all names; a function `::name` is `main::name`. A node may always send to, kill and monitor
/// the ports that it has spawned itself.
///
/// ```
/// use aemp::config::Rule;
/// let rule: Rule = "shop/* spawn job::*".parse()?;
/// assert_eq!(rule.to_string(), "shop/* spawn job::*");
/// let error = "ruth spwan".parse::<Rule>().unwrap_err().to_string();
/// assert!(error.starts_with("\"spwan\" is no action: "));
/// # Ok::<(), aemp::config::RuleError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub(super) who: Who,
    pub(super) action: Action,
    pub(super) name: Name,
}

/// For whom a rule is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Who {
    /// Nodes whose ID matches.
    Node(Pattern),
    /// Who has the certificate of this SHA-256 fingerprint: upper case digits without colons.
    Certificate(String),
}

/// What a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    /// Everything.
    Any,
    /// What has such a name.
    Named(Pattern),
    /// Ports that are in a group of such a name.
    Member(Pattern),
}

/// How the fingerprint of a certificate begins in a rule.
const CERTIFICATE: &str = "sha256:";

/// The digits of a fingerprint, upper case, without the colons between them.
pub(super) fn digits(fingerprint: &str) -> String {
    let digits = fingerprint.chars().filter(|c| *c != ':');
    digits.map(|c| c.to_ascii_uppercase()).collect()
}

impl Rule {
    /// The rule for everybody and every name.
    pub(super) fn for_everybody(action: Action) -> Self {
        Rule {
            who: Who::Node(Pattern::new("*")),
            action,
            name: Name::Any,
        }
    }

    pub(super) fn is_for_everybody(&self) -> bool {
        matches!(&self.who, Who::Node(pattern) if pattern.is_any())
    }

    /// Whether it is for a node of that ID, whatever its certificate.
    pub(super) fn is_for(&self, node: &str) -> bool {
        matches!(&self.who, Who::Node(pattern) if pattern.matches(node))
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let mut words = text.split_whitespace();
        let (Some(who), Some(action)) = (words.next(), words.next()) else {
            return Err(RuleError::TooShort(text.to_owned()));
        };
        let (name, more) = (words.next(), words.next());
        if more.is_some() {
            return Err(RuleError::TooLong(text.to_owned()));
        }
        let who = match who.strip_prefix(CERTIFICATE) {
            None => Who::Node(Pattern::new(who)),
            Some(fingerprint) => {
                let wanted = digits(fingerprint);
                let is_digit = |c: char| c.is_ascii_hexdigit();
                if wanted.len() != 64 || !wanted.chars().all(is_digit) {
                    return Err(RuleError::Fingerprint(fingerprint.to_owned()));
                }
                Who::Certificate(wanted)
            }
        };
        let known = |known: &Action| known.name() == action;
        let found = Action::ALL.into_iter().find(known);
        let action = found.ok_or_else(|| RuleError::Action(action.to_owned()))?;
        let name = match name {
            None | Some("*") => Name::Any,
            Some(name) => match (action.of(), name.strip_prefix('@')) {
                (Of::Nothing, _) => return Err(RuleError::Name(action.name(), name.to_owned())),
                (Of::Ports, Some(group)) => Name::Member(Pattern::new(group)),
                (Of::Names, Some(_)) => {
                    return Err(RuleError::Group(action.name(), name.to_owned()));
                }
                (Of::Ports | Of::Names, None) => match action {
                    Action::Spawn | Action::Call => Name::Named(Pattern::of_function(name)),
                    _ => Name::Named(Pattern::new(name)),
                },
            },
        };
        Ok(Rule { who, action, name })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.who {
            Who::Node(pattern) => write!(f, "{pattern}")?,
            Who::Certificate(digits) => write!(f, "{CERTIFICATE}{digits}")?,
        }
        write!(f, " {}", self.action)?;
        match &self.name {
            Name::Any => Ok(()),
            Name::Named(pattern) => write!(f, " {pattern}"),
            Name::Member(pattern) => write!(f, " @{pattern}"),
        }
    }
}

/// Why a text is no [`Rule`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// There is no action in it.
    #[error("{0:?} is no rule: WHO ACTION, or WHO ACTION NAME")]
    TooShort(String),
    /// There is something behind the name.
    #[error("{0:?} has more words than a rule: WHO ACTION NAME")]
    TooLong(String),
    /// There is no such action.
    #[error("{0:?} is no action: spawn, call, eval, send, kill, monitor, relay, set or mesh")]
    Action(String),
    /// The action is about nothing that has a name.
    #[error("{0} takes no name, and there is {1:?}")]
    Name(&'static str, String),
    /// Only ports are meant by their groups.
    #[error("{0} takes no group, and {1:?} is one: groups are for send, kill and monitor")]
    Group(&'static str, String),
    /// That is no fingerprint.
    #[error("{0:?} is no SHA-256 fingerprint: 32 pairs of digits, as `aemp showcert` prints them")]
    Fingerprint(String),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(text: &str) -> Rule {
        text.parse().unwrap()
    }

    #[test]
    fn every_action_has_its_place_and_is_named_in_the_error() {
        let error = RuleError::Action(String::new()).to_string();
        for (place, action) in Action::ALL.into_iter().enumerate() {
            assert_eq!(action as usize, place);
            assert_eq!(rule(&format!("* {action}")), Rule::for_everybody(action));
            assert!(error.contains(action.name()), "{action}");
        }
    }

    #[test]
    fn who() {
        let shown = ["AB"; 32].join(":");
        let certificate = rule(&format!("sha256:{} send", shown.to_lowercase()));
        assert!(!certificate.is_for("a"));
        assert!(!certificate.is_for_everybody());
        assert!(rule("a* send").is_for("ab") && !rule("a* send").is_for("b"));
    }

    #[test]
    fn what_is_no_rule_says_why() {
        for (text, error) in [
            ("", "\"\" is no rule: WHO ACTION, or WHO ACTION NAME"),
            (
                "ruth",
                "\"ruth\" is no rule: WHO ACTION, or WHO ACTION NAME",
            ),
            (
                "a b c d",
                "\"a b c d\" has more words than a rule: WHO ACTION NAME",
            ),
            ("a eval x", "eval takes no name, and there is \"x\""),
            (
                "a spawn @g",
                "spawn takes no group, and \"@g\" is one: groups are for send, kill and monitor",
            ),
            (
                "sha256:ab send",
                "\"ab\" is no SHA-256 fingerprint: 32 pairs of digits, as `aemp showcert` prints them",
            ),
        ] {
            assert_eq!(text.parse::<Rule>().unwrap_err().to_string(), error);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_what_is_read_reads_the_same(
            text in prop_oneof![
                ".*",
                "(sha256:)?[a-z*:]{1,6} (spawn|call|eval|send|kill|monitor|relay|set|mesh)( @?[a-z*]{1,4})?",
            ],
        ) {
            if let Ok(rule) = text.parse::<Rule>() {
                prop_assert_eq!(&rule.to_string().parse::<Rule>().unwrap(), &rule);
            }
        }
    }
}
