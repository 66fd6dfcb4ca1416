//! The subcommands that edit the configuration file, as Perl's `aemp` has them.
//!
//! Each takes the arguments it needs and leaves the rest, which is read as the next subcommand:
//! `gensecret profile seed nodeid anon/ binds '*:4040'`.

use std::ffi::OsString;
use std::io::{self, Read as _};

use aemp::config::{self, Arguments, ConfigError, Origin, RcFile};
use aemp::net::tls::{CertError, Identity};
use serde_json::{Map, Value, json};

use crate::cert;
use crate::node_arguments::{FLAGS, with_flags};
use crate::output;
use table::{Command, Kind, Setting};

pub(crate) mod table;

/// Why a subcommand could not be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// There is no such subcommand, or behind another one none that edits the configuration.
    #[error("{name}: no such command{} (see aemp --help)", did_you_mean(.like.as_deref()))]
    UnknownCommand {
        /// What stands in its place.
        name: String,
        /// The command that may have been meant.
        like: Option<String>,
    },
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

impl SettingsError {
    /// Whether it is the command line that is wrong, rather than a value or a file.
    pub(crate) fn is_usage(&self) -> bool {
        use SettingsError::{Json, Kind, Missing, UnknownCommand};
        matches!(
            self,
            Json { .. } | Kind { .. } | Missing { .. } | UnknownCommand { .. }
        )
    }
}

fn did_you_mean(like: Option<&str>) -> String {
    match like {
        Some(like) => format!("; did you mean `{like}`?"),
        None => String::new(),
    }
}

/// Whether this is the name of a setting that is kept in the configuration.
pub fn is_setting(name: &str) -> bool {
    config::setting_names().any(|known| known == name)
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

/// Marks an argument that is JSON whatever it begins with. No argument of a process has this
/// character, so nobody can write it by chance.
const JSON_MARK: char = '\0';

/// The argument that is read as this value again.
fn to_argument(value: Value) -> String {
    match value {
        // Beyond ASCII, it matters whether an argument was given as JSON: see `octets_as_text`.
        Value::String(text) if text.is_ascii() && !text.starts_with(['[', '{', '"']) => text,
        other => format!("{JSON_MARK}{other}"),
    }
}

/// The arguments of this process. As in Perl's command, a single one that begins with `[` is a JSON
/// array of all of them.
pub(crate) fn of_process() -> Result<Vec<OsString>, SettingsError> {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    if let [_, all] = args.as_slice()
        && let Some(text) = all.to_str().filter(|text| text.starts_with('['))
        && let Value::Array(words) = read_argument(text)?
    {
        args.truncate(1);
        args.extend(words.into_iter().map(to_argument).map(OsString::from));
    }
    Ok(args)
}

fn read_argument(argument: &str) -> Result<Value, SettingsError> {
    let (json, is_marked) = match argument.strip_prefix(JSON_MARK) {
        Some(json) => (json, true),
        None => (argument, false),
    };
    if !is_marked && !argument.starts_with(['[', '{', '"']) {
        return Ok(Value::from(argument));
    }
    serde_json::from_str(json).or_else(|source| match config::parse_addresses(argument) {
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
        let Some(info) = table::find(&name) else {
            let known = table::COMMANDS.iter().flat_map(table::Info::names);
            return Err(SettingsError::UnknownCommand {
                like: config::suggest(&name, known).map(str::to_owned),
                name,
            });
        };
        line.command = name;
        line.carry_out(info.command)?;
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
            Command::Set(&Setting {
                key, kind, missing, ..
            }) => {
                let word = self.words.next().ok_or_else(|| self.missing(missing))?;
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
            Command::Add(&Setting {
                key, kind, missing, ..
            }) => {
                let value = self.element(kind, missing)?;
                let mut list = self.list(key)?.unwrap_or_default();
                if kind == Kind::Addresses {
                    list.retain(|old| *old != value);
                }
                list.push(value);
                self.set(key, Value::Array(list))
            }
            Command::Remove(&Setting {
                key, kind, missing, ..
            }) => {
                let value = self.element(kind, missing)?;
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
                if self.rc.profile(&name)?.is_none() {
                    self.rc.check_profile(&name)?;
                }
                let mut shown = config::Settings::default();
                for (key, value) in self.rc.profile(&name)?.into_iter().flatten() {
                    shown.set(key.clone(), value.clone(), Origin::Profile(name.clone()));
                }
                self.show(&shown);
                Ok(())
            }
            Command::ShowConfig => {
                let name = match self.words.next() {
                    None => config::node_name(),
                    Some(word) => self.named(word.value)?,
                };
                let rest = self.words.by_ref().map(|word| word.value).collect();
                let rest = with_flags(rest);
                if rest.len() % 2 == 1 {
                    return Err(self.missing("the value of the last setting"));
                }
                let given = Arguments::from_list(rest)?;
                for (key, value) in &given.settings {
                    if !FLAGS.contains(&&**key) {
                        config::check_setting(key, value, Origin::Argument)?;
                    }
                }
                let found = config::find_profile(&self.rc, Some(&name), &given.settings)?;
                self.show(&found);
                Ok(())
            }
            Command::Resolve => {
                let text = self.next_text("the address")?;
                self.shown.push_str(&resolve(&text)?);
                Ok(())
            }
        }
    }

    /// Shows settings, with where they come from if more is wanted than Perl's command shows.
    fn show(&mut self, settings: &config::Settings) {
        let json = settings.to_json();
        let text = match (output::is_json(), output::is_verbose()) {
            (true, false) => format!("{}\n", Value::Object(settings.to_map())),
            (true, true) => {
                let with_origin = |(key, setting): (&str, &config::Setting)| {
                    let origin = setting.origin.to_string();
                    let value = json!({"value": setting.value, "origin": origin});
                    (key.to_owned(), value)
                };
                format!("{}\n", Value::from_iter(settings.iter().map(with_origin)))
            }
            (false, false) => json,
            (false, true) => {
                let lines = settings
                    .iter()
                    .map(|(key, setting)| format!("# {key}: {}\n", setting.origin));
                // Comments may stand in the file as well.
                lines.chain([json]).collect()
            }
        };
        self.shown.push_str(&text);
    }

    /// The name of a profile that is there, or of this machine, which is the profile of a node that
    /// names none.
    fn named(&self, word: Value) -> Result<String, SettingsError> {
        let name = self.text(word)?;
        if name != config::node_name() {
            self.rc.check_profile(&name)?;
        }
        Ok(name)
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
                Value::Bool(truth) => Ok(Value::from(u8::from(*truth).to_string())),
                Value::String(text) => match &**text {
                    "1" | "true" | "yes" | "on" => Ok(Value::from("1")),
                    "" | "0" | "false" | "no" | "off" => Ok(Value::from("0")),
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

/// The addresses that a bind or a seed stands for, in one line as Perl's command has them.
fn resolve(text: &str) -> Result<String, SettingsError> {
    let failed = |source| SettingsError::File {
        file: text.to_owned(),
        source,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let local = config::LocalHost::detect()?;
    let found = runtime.block_on(config::resolve(text, config::BIND_PORT, &local))?;
    let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
    Ok(format!("{}\n", texts.join(",")))
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
/// greetings and tokens of the handshake are made of octets: so a secret or a node ID typed to both
/// commands is the same one, beyond ASCII too.
fn octets_as_text(text: &str) -> Value {
    Value::from(as_perl_reads(text))
}

/// What Perl's `aemp` makes of the name of a node or port that is typed to it: see
/// [`octets_as_text`].
pub(crate) fn as_perl_reads(text: &str) -> String {
    text.bytes().map(char::from).collect()
}

/// The name of a node or port as Perl's `aemp` shows it: a terminal makes of the octets what was
/// typed. What was named otherwise, so that its characters are no octets of UTF-8, is shown as it
/// is.
pub(crate) fn as_perl_shows(name: &str) -> String {
    let octets: Option<Vec<u8>> = name.chars().map(|c| u8::try_from(c).ok()).collect();
    let typed = octets.and_then(|octets| String::from_utf8(octets).ok());
    typed.unwrap_or_else(|| name.to_owned())
}

/// Reads the arguments of a node as [`read_arguments`], with its node ID as Perl has it.
pub(crate) fn read_node_arguments(args: &[String]) -> Result<Vec<Value>, SettingsError> {
    let mut words = read_arguments(args)?;
    if words.len() == args.len() {
        // Keys are at odd places behind a profile's name.
        for at in (1..words.len()).rev().step_by(2) {
            let (key, plain) = (&words[at - 1], words[at] == args[at].as_str());
            if key == "nodeid" && plain {
                words[at] = octets_as_text(&args[at]);
            }
        }
    }
    Ok(words)
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
