//! The subcommands that edit the configuration file, as Perl's `aemp` has them.
//!
//! Each takes the arguments it needs and leaves the rest, which is read as the next subcommand:
//! `gensecret profile seed nodeid anon/ binds '*:4040'`.

use std::io::{self, Read as _};

use aemp::config::{self, Arguments, ConfigError, Origin, RcFile};
use aemp::net::tls::{CertError, Identity};
use serde_json::{Map, Value};

use crate::cert;

/// Why a subcommand could not be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// There is no such subcommand among those that edit the configuration.
    #[error("{0}: no such configuration command")]
    UnknownCommand(String),
    /// A subcommand came without an argument it needs.
    #[error("{command}: {what} is missing")]
    Missing {
        /// The subcommand.
        command: String,
        /// What should have followed.
        what: &'static str,
    },
    /// An argument is of the wrong kind.
    #[error("{command}: {value} is not {expected}")]
    Kind {
        /// The subcommand.
        command: String,
        /// The argument, as JSON.
        value: Value,
        /// What it should be.
        expected: &'static str,
    },
    /// An argument that begins like JSON is not JSON.
    #[error("argument {argument}: not JSON: {source}")]
    Json {
        /// The argument.
        argument: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A file given as an argument cannot be read as text.
    #[error("{file}: {source}")]
    File {
        /// The file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// A certificate can't be made.
    #[error("can't make a certificate: {0}")]
    Generate(#[from] rcgen::Error),
    /// A certificate can't be used.
    #[error("{0}")]
    Cert(#[from] CertError),
    /// There is no certificate to be shown.
    #[error("no cert is configured (try `aemp gencert`)")]
    NoCert,
    /// The configuration itself, or a value for it, is at fault.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// What the value of a setting looks like, and so which subcommands it has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One text or number: `setX`, `delX`.
    Scalar,
    /// The same, but a plain argument stands for its octets, see [`octets_as_text`].
    Octets,
    /// A yes or no, kept as 1 or 0: `setX`, `delX`.
    Truth,
    /// Texts: `setX` with commas or as a JSON array, `delX`.
    List,
    /// A list that also has `addY`, which keeps each element once, and `delY`: addresses, rules.
    Addresses,
    /// A list that also has `addY`, and `delY` which removes one occurrence. Elements may be
    /// arrays.
    Services,
}

/// Settings: the key, what it looks like, the name of one element, what to call a missing value.
const SETTINGS: &[(&str, Kind, &str, &str)] = &[
    ("nodeid", Kind::Scalar, "", "the node ID"),
    ("secret", Kind::Octets, "", "the shared secret"),
    ("parent", Kind::Scalar, "", "the name of the parent profile"),
    ("binds", Kind::Addresses, "bind", "the bind address"),
    ("seeds", Kind::Addresses, "seed", "the seed address"),
    ("services", Kind::Services, "service", "the service"),
    ("services_path", Kind::List, "", "the list of folders"),
    ("optional_services", Kind::Truth, "", "0 or 1"),
    ("monitor_timeout", Kind::Scalar, "", "the number of seconds"),
    (
        "connect_interval",
        Kind::Scalar,
        "",
        "the number of seconds",
    ),
    ("network_latency", Kind::Scalar, "", "the number of seconds"),
    ("framing_format", Kind::List, "", "the list of framings"),
    (
        "auth_offer",
        Kind::List,
        "",
        "the list of authentication methods",
    ),
    (
        "auth_accept",
        Kind::List,
        "",
        "the list of authentication methods",
    ),
    ("require_tls", Kind::Truth, "", "0 or 1"),
    ("secure", Kind::Truth, "", "0 or 1"),
    ("allow", Kind::Addresses, "allow", RULE),
    ("deny", Kind::Addresses, "deny", RULE),
    ("autocork", Kind::Truth, "", "0 or 1"),
    ("nodelay", Kind::Truth, "", "0 or 1"),
    ("generation", Kind::Scalar, "", "the generation"),
    ("bridge", Kind::List, "", "all, or a list of generations"),
    ("max_message", Kind::Scalar, "", "the number of octets"),
    ("max_depth", Kind::Scalar, "", "the number of levels"),
    ("max_queue", Kind::Scalar, "", "the number of octets"),
    ("max_mailbox", Kind::Scalar, "", "the number of messages"),
    ("max_hops", Kind::Scalar, "", "the number of hops"),
    ("max_name", Kind::Scalar, "", "the number of octets"),
    ("max_reason", Kind::Scalar, "", "the number of octets"),
    ("max_request", Kind::Scalar, "", "the number of octets"),
    ("max_keys", Kind::Scalar, "", "the number of keys"),
    ("max_families", Kind::Scalar, "", "the number of families"),
    ("max_memory", Kind::Scalar, "", "the number of octets"),
    ("max_nodes", Kind::Scalar, "", "the number of nodes"),
    (
        "max_handshakes",
        Kind::Scalar,
        "",
        "the number of connections",
    ),
    (
        "greeting_timeout",
        Kind::Scalar,
        "",
        "the number of seconds",
    ),
    ("max_dials", Kind::Scalar, "", "the number of connections"),
    (
        "max_log_lines",
        Kind::Scalar,
        "",
        "the number of lines a minute",
    ),
];

/// What to call a rule that is missing.
const RULE: &str = "the rule: WHO ACTION [NAME]";

/// A subcommand.
#[derive(Clone, Copy)]
enum Command {
    Set(&'static str, Kind, &'static str),
    Unset(&'static str),
    Add(&'static str, Kind, &'static str),
    Remove(&'static str, Kind, &'static str),
    GenCert,
    SetCert,
    ShowCert,
    GenSecret,
    Profile,
    DelProfile,
    ShowProfile,
    ShowConfig,
}

fn find(name: &str) -> Option<Command> {
    match name {
        "gencert" => return Some(Command::GenCert),
        "setcert" | "cert" => return Some(Command::SetCert),
        "showcert" => return Some(Command::ShowCert),
        "delcert" => return Some(Command::Unset("cert")),
        "gensecret" => return Some(Command::GenSecret),
        "profile" => return Some(Command::Profile),
        "delprofile" => return Some(Command::DelProfile),
        "showprofile" => return Some(Command::ShowProfile),
        "showconfig" => return Some(Command::ShowConfig),
        _ => {}
    }
    let after = |verb| name.strip_prefix(verb);
    SETTINGS.iter().find_map(|&(key, kind, one, what)| {
        let one = Some(one).filter(|one| !one.is_empty());
        if name == key || after("set") == Some(key) {
            Some(Command::Set(key, kind, what))
        } else if one.is_some() && after("add") == one {
            Some(Command::Add(key, kind, what))
        } else if one.is_some() && after("del") == one {
            // Where one element is called what the list is, one is meant.
            Some(Command::Remove(key, kind, what))
        } else if after("del") == Some(key) {
            Some(Command::Unset(key))
        } else {
            None
        }
    })
}

/// Whether this is the name of a setting that is kept in the configuration.
pub fn is_setting(name: &str) -> bool {
    name == "cert" || SETTINGS.iter().any(|(key, ..)| *key == name)
}

/// Whether [`run`] knows this subcommand.
pub fn is_settings_command(name: &str) -> bool {
    find(name).is_some()
}

/// Reads arguments as Perl's `aemp` does: a single one that begins with `[` is a JSON array of all
/// of them; of several, each that begins with `[`, `{` or `"` is JSON. A bracketed IPv6 address is
/// taken as it is (Perl would refuse it).
///
/// # Errors
///
/// The first argument that should be JSON and is not.
pub fn read_arguments(args: &[String]) -> Result<Vec<Value>, SettingsError> {
    let mut words = args
        .iter()
        .map(|arg| read_argument(arg))
        .collect::<Result<Vec<Value>, _>>()?;
    match words.as_mut_slice() {
        [Value::Array(all)] => Ok(std::mem::take(all)),
        _ => Ok(words),
    }
}

fn read_argument(argument: &str) -> Result<Value, SettingsError> {
    if !argument.starts_with(['[', '{', '"']) {
        return Ok(Value::from(argument));
    }
    serde_json::from_str(argument).or_else(|source| match config::parse_addresses(argument) {
        Ok(_) => Ok(Value::from(argument)),
        Err(_) => Err(SettingsError::Json {
            argument: argument.to_owned(),
            source,
        }),
    })
}

/// Carries out a line of subcommands on the configuration, and returns what they show. The caller
/// saves `rc`, which says whether that is needed.
///
/// # Errors
///
/// The first subcommand that fails. The configuration is then as it was, also where earlier
/// subcommands had changed it (Perl keeps and saves such halves).
pub fn run(args: &[String], rc: &mut RcFile) -> Result<String, SettingsError> {
    let words: Vec<Word> = read_arguments(args)?
        .into_iter()
        .enumerate()
        .map(|(place, value)| Word {
            plain: args.get(place).is_some_and(|arg| value == arg.as_str()),
            value,
        })
        .collect();
    let mut line = Line {
        words: words.into_iter(),
        rc: rc.clone(),
        profile: None,
        command: String::new(),
        shown: String::new(),
    };
    while let Some(word) = line.words.next() {
        let name = text_of(&word.value).unwrap_or_else(|| word.value.to_string());
        let command = find(&name).ok_or_else(|| SettingsError::UnknownCommand(name.clone()))?;
        line.command = name;
        line.carry_out(command)?;
    }
    *rc = line.rc;
    Ok(line.shown)
}

/// An argument, and whether it was given as plain text rather than as JSON.
struct Word {
    value: Value,
    plain: bool,
}

/// A line of subcommands on its way.
struct Line {
    words: std::vec::IntoIter<Word>,
    rc: RcFile,
    /// The profile that is edited; `None` for the global part.
    profile: Option<String>,
    command: String,
    /// What the subcommands show.
    shown: String,
}

impl Line {
    fn carry_out(&mut self, command: Command) -> Result<(), SettingsError> {
        match command {
            Command::Set(key, kind, what) => {
                let word = self.words.next().ok_or_else(|| self.missing(what))?;
                let value = match (kind, &word.value) {
                    (Kind::Octets, Value::String(text)) if word.plain => octets_as_text(text),
                    _ => self.shape(kind, word.value)?,
                };
                self.set(key, value)
            }
            Command::Unset(key) => {
                if self.current()?.is_some_and(|map| map.contains_key(key)) {
                    self.edit()?.remove(key);
                }
                Ok(())
            }
            Command::Add(key, kind, what) => {
                let value = self.element(kind, what)?;
                let mut list = self.list(key)?.unwrap_or_default();
                if kind == Kind::Addresses {
                    list.retain(|old| *old != value);
                }
                list.push(value);
                self.set(key, Value::Array(list))
            }
            Command::Remove(key, kind, what) => {
                let value = self.element(kind, what)?;
                let Some(mut list) = self.list(key)? else {
                    return Ok(());
                };
                if kind == Kind::Addresses {
                    list.retain(|old| *old != value);
                } else if let Some(place) = list.iter().position(|old| *old == value) {
                    list.remove(place);
                }
                self.set(key, Value::Array(list))
            }
            Command::GenCert => {
                let pem = cert::generate()?;
                self.set("cert", Value::from(pem))
            }
            Command::SetCert => {
                let pem =
                    read_pem(self.next_text("the name of a PEM file (key and certificate)")?)?;
                // It is kept as it is, but not if no node could use it.
                Identity::from_pem(&pem)?;
                self.set("cert", Value::from(pem))
            }
            Command::ShowCert => {
                let certificates = match self.words.next() {
                    Some(word) => Identity::certificates_of(&read_pem(self.text(word.value)?)?)?,
                    None => self.own_identity()?.certificates(),
                };
                self.shown.push_str(&cert::show(&certificates));
                Ok(())
            }
            Command::GenSecret => {
                let mut octets = [0u8; 64];
                rand::fill(&mut octets);
                self.set("secret", Value::from(config::alnumbits(&octets)))
            }
            Command::Profile => {
                let name = self.next_text("the profile name")?;
                if self.rc.profile(&name)?.is_none() {
                    self.rc.profile_mut(&name)?;
                }
                self.profile = Some(name);
                Ok(())
            }
            Command::DelProfile => {
                let name = self.next_text("the profile name")?;
                self.rc.remove_profile(&name)?;
                Ok(())
            }
            Command::ShowProfile => {
                let name = self.next_text("the profile name")?;
                let mut shown = config::Settings::default();
                for (key, value) in self.rc.profile(&name)?.into_iter().flatten() {
                    shown.set(key.clone(), value.clone(), Origin::Profile(name.clone()));
                }
                self.shown.push_str(&shown.to_json());
                Ok(())
            }
            Command::ShowConfig => {
                let name = match self.words.next() {
                    None => config::node_name(),
                    Some(word) => self.text(word.value)?,
                };
                let rest: Vec<Value> = self.words.by_ref().map(|word| word.value).collect();
                if rest.len() % 2 == 1 {
                    return Err(self.missing("the value of the last setting"));
                }
                let given = Arguments::from_list(rest)?;
                let found = config::find_profile(&self.rc, Some(&name), &given.settings)?;
                self.shown.push_str(&found.to_json());
                Ok(())
            }
        }
    }

    /// The settings being edited, if there are any yet.
    fn current(&self) -> Result<Option<&Map<String, Value>>, SettingsError> {
        match &self.profile {
            None => Ok(Some(self.rc.root())),
            Some(name) => Ok(self.rc.profile(name)?),
        }
    }

    fn edit(&mut self) -> Result<&mut Map<String, Value>, SettingsError> {
        match &self.profile {
            None => Ok(self.rc.root_mut()),
            Some(name) => Ok(self.rc.profile_mut(name)?),
        }
    }

    /// What a node of the profile that is edited would use.
    fn own_identity(&self) -> Result<Identity, SettingsError> {
        let profile = self.profile.as_deref();
        let found = config::find_profile(&self.rc, profile, &[])?;
        let cert = found.get("cert").and_then(|setting| setting.value.as_str());
        Ok(Identity::from_pem(cert.ok_or(SettingsError::NoCert)?)?)
    }

    /// Checks a value and stores it.
    fn set(&mut self, key: &str, value: Value) -> Result<(), SettingsError> {
        if key != "parent" {
            config::check_setting(key, &value, Origin::Argument)?;
        }
        self.edit()?.insert(key.to_owned(), value);
        Ok(())
    }

    /// The list under a key, whichever way it was written.
    fn list(&self, key: &str) -> Result<Option<Vec<Value>>, SettingsError> {
        match self.current()?.and_then(|map| map.get(key)) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list.clone())),
            Some(Value::String(text)) => Ok(Some(split(text))),
            Some(other) => Err(SettingsError::Kind {
                command: self.command.clone(),
                value: other.clone(),
                expected: "a list, but that is what is configured now",
            }),
        }
    }

    /// Gives the value for a `set` the form it has in the file, so that Perl nodes can read it as
    /// well.
    fn shape(&self, kind: Kind, value: Value) -> Result<Value, SettingsError> {
        match (kind, value) {
            (Kind::Scalar | Kind::Octets, value) => match value {
                Value::String(_) | Value::Number(_) => Ok(value),
                _ => Err(self.kind(value, "a text")),
            },
            (Kind::Truth, value) => match &value {
                Value::Bool(truth) => Ok(Value::from(i32::from(*truth))),
                Value::String(text) => match &**text {
                    "1" | "true" | "yes" | "on" => Ok(Value::from(1)),
                    "" | "0" | "false" | "no" | "off" => Ok(Value::from(0)),
                    _ => Err(self.kind(value, "a boolean: 0 or 1")),
                },
                _ => Ok(value),
            },
            (_, Value::String(text)) => Ok(Value::Array(split(&text))),
            (_, value) => Ok(value),
        }
    }

    /// The argument of an `add` or `del` of one element.
    fn element(&mut self, kind: Kind, what: &'static str) -> Result<Value, SettingsError> {
        match kind {
            Kind::Services => self.next(what),
            _ => Ok(Value::from(self.next_text(what)?)),
        }
    }

    fn next(&mut self, what: &'static str) -> Result<Value, SettingsError> {
        let word = self.words.next().ok_or_else(|| self.missing(what))?;
        Ok(word.value)
    }

    fn next_text(&mut self, what: &'static str) -> Result<String, SettingsError> {
        let word = self.next(what)?;
        self.text(word)
    }

    fn text(&self, word: Value) -> Result<String, SettingsError> {
        text_of(&word).ok_or_else(|| self.kind(word, "a text"))
    }

    fn missing(&self, what: &'static str) -> SettingsError {
        SettingsError::Missing {
            command: self.command.clone(),
            what,
        }
    }

    fn kind(&self, value: Value, expected: &'static str) -> SettingsError {
        SettingsError::Kind {
            command: self.command.clone(),
            value,
            expected,
        }
    }
}

fn read_pem(file: String) -> Result<String, SettingsError> {
    read_text(&file).map_err(|source| SettingsError::File { file, source })
}

/// Reads a file of text, as long as it fits into the configuration.
fn read_text(file: &str) -> io::Result<String> {
    let mut text = String::new();
    let most = RcFile::MAX_OCTETS;
    let file = std::fs::File::open(file)?.take(most as u64 + 1);
    match io::BufReader::new(file).read_to_string(&mut text)? {
        octets if octets > most => Err(io::ErrorKind::FileTooLarge.into()),
        _ => Ok(text),
    }
}

/// A text with one character for each octet of the argument. To Perl, arguments are octets, and the
/// tokens of the handshake are computed from octets: so a secret typed to both commands is the same
/// one, beyond ASCII too.
fn octets_as_text(text: &str) -> Value {
    Value::from(text.bytes().map(char::from).collect::<String>())
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn split(text: &str) -> Vec<Value> {
    config::split_commas(text)
        .into_iter()
        .map(Value::from)
        .collect()
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
