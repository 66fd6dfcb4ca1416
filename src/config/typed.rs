//! The settings of a node with types, defaults and checks.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::defaults::{CONNECT_INTERVAL, FRAMING_FORMAT};
use super::error::ConfigError;
use super::origin::Origin;
use super::profile::{Arguments, Setting, Settings, find_profile};
use super::rc::RcFile;
use super::resolve::{Address, Host};
use super::suggest::suggest;
use super::value::{bad_value, check_node_id, generations, scalar_text, split_commas, truth};
use crate::proto::generation::Generations;
use crate::proto::{AuthMethod, Framing, Secret};
use crate::rights::Rule;

/// The longest time a setting may give, about 31 years: far enough and safe to add to any clock.
const MAX_SECONDS: f64 = 1e9;

/// A node's configuration.
///
/// ```
/// let config = aemp::config::Config::default();
/// assert_eq!((config.binds, config.connect_interval.as_secs()), (None, 2));
/// assert_eq!((config.max_depth, config.max_mailbox), (512, 1_000_000));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The profile the node runs under; its node ID comes from it if nothing sets one.
    pub profile: String,
    /// The node ID as set (`nodeid`), which may have parts that are filled in. See
    /// [`Config::node_id`].
    pub nodeid: Option<String>,
    /// Where to listen (`binds`); `None`: the default, every local address but loopback with any
    /// port; an empty list: nowhere.
    pub binds: Option<Vec<String>>,
    /// Addresses to find the network at (`seeds`).
    pub seeds: Vec<String>,
    /// What to start with the node (`services`): a name, or an array of a function's name and its
    /// arguments.
    pub services: Vec<Value>,
    /// Where the command looks for programs that are services (`services_path`): folders. A library
    /// program may do with it what it likes; see [`crate::Node::set_function_loader`].
    pub services_path: Vec<String>,
    /// Whether a node that is to run its services goes on without those that do not start
    /// (`optional_services`); false. See [`crate::Builder::require_services`].
    pub optional_services: bool,
    /// Where the command shows the node over HTTP (`http`): one address as of `binds`, but loopback
    /// if it names no host. A library program may do with it what it likes.
    pub http: Option<String>,
    /// The shared secret (`secret`).
    pub secret: Option<Secret>,
    /// Key and certificates in PEM, the text itself and not a file's name (`cert`): with it, links
    /// go through TLS where the other node has one, too. See [`crate::net::tls`].
    pub cert: Option<String>,
    /// Whether nodes that do not speak TLS are refused (`require_tls`); false.
    pub require_tls: bool,
    /// After how long without success a node counts as unreachable (`monitor_timeout`, seconds);
    /// `None`: the generation's default.
    pub monitor_timeout: Option<Duration>,
    /// How long to wait for one address before the next is tried (`connect_interval`, seconds); 2
    /// s.
    pub connect_interval: Duration,
    /// How long a message may be under way in generation 0 (`network_latency`, seconds); `None`:
    /// its default.
    pub network_latency: Option<Duration>,
    /// Framings offered and accepted, best first (`framing_format`); `cbor`, `json`.
    pub framing_format: Vec<String>,
    /// Ways we are willing to authenticate ourselves (`auth_offer`); those that are not known here
    /// are passed over.
    pub auth_offer: Vec<String>,
    /// Ways the other side may authenticate itself (`auth_accept`).
    pub auth_accept: Vec<String>,
    /// Which generation to speak (`generation`: `auto`, `0`, `1` or `2`).
    pub generation: Generations,
    /// The numbers of the generations that the node is a bridge between (`bridge`: `all`, or a
    /// list), sorted; none: it is no bridge. See [`crate::Node::bridge`].
    pub bridge: Vec<u32>,
    /// Whether other nodes are refused to have anything run here: functions, spawns, expressions
    /// (`secure`); false.
    pub secure: bool,
    /// What other nodes may do here (`allow`); nothing: whatever is not denied. See [`Rule`].
    pub allow: Vec<Rule>,
    /// What they may not do (`deny`); nothing.
    pub deny: Vec<Rule>,
    /// Whether to gather small writes (`autocork`); false. Kept for Perl; a node of this crate does
    /// not use it.
    pub autocork: bool,
    /// Whether messages say which trace they belong to, towards nodes that are configured alike
    /// (`trace_context`); false. See [`Builder::trace_context`](crate::Builder::trace_context).
    pub trace_context: bool,
    /// Whether to send without Nagle's delay (`nodelay`); true.
    pub nodelay: bool,
    /// The largest message accepted, in octets as framed (`max_message`); 64 MiB.
    pub max_message: usize,
    /// The deepest nesting accepted in a message (`max_depth`); 512.
    pub max_depth: usize,
    /// The most octets that may wait to be sent on one link, or in one port's mailbox
    /// (`max_queue`); 64 MiB.
    pub max_queue: usize,
    /// The most messages that may wait in one port's mailbox (`max_mailbox`); 1,000,000.
    pub max_mailbox: usize,
    /// The most octets that all other nodes together may make the node hold (`max_memory`): parts
    /// of messages that have not come whole, what waits to be sent to them, their part of the
    /// database and of the groups; 512 MiB. A node may hold no more of it than is free then, so a
    /// single one at most half.
    pub max_memory: usize,
    /// The most nodes that others can have this one try to reach, those that it has links to
    /// included (`max_nodes`); 10,000.
    pub max_nodes: usize,
    /// The most connections that were accepted and have proved nothing yet (`max_handshakes`);
    /// 1024. When one more comes, another one ends: of the host with the most of them, and rather
    /// one that has not greeted.
    pub max_handshakes: usize,
    /// How long a peer may take for its greeting (`greeting_timeout`, seconds); 10 s. The whole
    /// handshake may take as long as `monitor_timeout`.
    pub greeting_timeout: Duration,
    /// How often a message may be sent on within this node before it is dropped (`max_hops`);
    /// 1,000. A hop that goes over the whole message, such as a reply to the node's own port,
    /// counts as 100.
    pub max_hops: usize,
    /// The most octets of the name of a port, function, group, family or node in a request
    /// (`max_name`); 65,536.
    pub max_name: usize,
    /// The most octets of a reason that another node gives; what is longer is cut (`max_reason`);
    /// 65,536.
    pub max_reason: usize,
    /// The most octets of a message about the mesh or the database (`max_request`); 16 MiB. What is
    /// kept of it may take twice as many, where each key and each value counts as 64 octets besides
    /// its own.
    pub max_request: usize,
    /// The most keys that a node may set in the database of this one (`max_keys`); 1,000,000.
    pub max_keys: usize,
    /// The most families of the database that a node may monitor here (`max_families`); 100,000.
    pub max_families: usize,
    /// The most log lines of one kind that one node, or the host of a stranger, may cause a minute
    /// (`max_log_lines`); 60. See [`crate::log::set_max_lines`].
    pub max_log_lines: usize,
    /// The most connections that are being made at a time (`max_dials`); 64. Three in eight of them
    /// are the most nodes at a time that are connected to because another node told of them.
    pub max_dials: usize,
    /// Settings nobody knows, for a warning: a misspelt key would otherwise go unnoticed.
    pub unknown: Vec<(String, Origin)>,
}

impl Default for Config {
    /// The built-in defaults, with an empty profile name.
    fn default() -> Config {
        let methods = |list: &[AuthMethod]| list.iter().map(|it| it.name().to_owned()).collect();
        Config {
            profile: String::new(),
            nodeid: None,
            binds: None,
            seeds: Vec::new(),
            services: Vec::new(),
            services_path: Vec::new(),
            optional_services: false,
            http: None,
            secret: None,
            cert: None,
            require_tls: false,
            monitor_timeout: None,
            connect_interval: CONNECT_INTERVAL,
            network_latency: None,
            framing_format: FRAMING_FORMAT
                .map(Framing::name)
                .map(str::to_owned)
                .to_vec(),
            auth_offer: methods(&AuthMethod::OFFERED),
            auth_accept: methods(&AuthMethod::ACCEPTED),
            generation: Generations::Auto,
            bridge: Vec::new(),
            secure: false,
            allow: Vec::new(),
            deny: Vec::new(),
            autocork: false,
            nodelay: true,
            trace_context: false,
            max_message: 64 << 20,
            max_depth: 512,
            max_queue: 64 << 20,
            max_mailbox: 1_000_000,
            max_memory: 512 << 20,
            max_nodes: 10_000,
            max_handshakes: 1024,
            greeting_timeout: Duration::from_secs(10),
            max_hops: 1000,
            max_name: 64 << 10,
            max_reason: 64 << 10,
            max_request: 16 << 20,
            max_keys: 1_000_000,
            max_families: 100_000,
            max_log_lines: 60,
            max_dials: 64,
            unknown: Vec::new(),
        }
    }
}

impl Config {
    /// The configuration of a node that was started with these arguments: finds the profile (the
    /// node name, if the arguments name none), merges as [`find_profile`] says, and checks.
    ///
    /// # Errors
    ///
    /// Those of [`find_profile`] and [`Config::from_settings`]; an argument that is no setting. (A
    /// key in the file that is none may belong to a release of Perl's, and is only listed.)
    ///
    /// ```
    /// use aemp::config::{Arguments, Config, RcFile};
    /// let mut rc = RcFile::default();
    /// rc.profile_mut("ruth")?.insert("seeds".into(), "doomed:4040,10.0.0.1".into());
    /// let config = Config::load(&rc, &Arguments::default(), "ruth")?;
    /// assert_eq!(config.seeds, ["doomed:4040", "10.0.0.1"]);
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn load(
        rc: &RcFile,
        arguments: &Arguments,
        node_name: &str,
    ) -> Result<Config, ConfigError> {
        let profile = arguments.profile.as_deref().unwrap_or(node_name);
        let settings = find_profile(rc, Some(profile), &arguments.settings)?;
        let config = Config::from_settings(profile, &settings)?;
        check_names(arguments)?;
        Ok(config)
    }

    /// Gives the merged settings types. A null is as good as no setting, except for `nodeid`. Where
    /// a list is wanted, a comma-separated text will do; numbers may be given as text.
    ///
    /// # Errors
    ///
    /// The first setting, by key, that has a value of the wrong kind or out of range.
    ///
    /// ```
    /// use aemp::config::{Config, Origin, Settings};
    /// let mut settings = Settings::default();
    /// settings.set("monitor_timeout", "0.5".into(), Origin::Argument);
    /// settings.set("colour", "blue".into(), Origin::Argument);
    /// let config = Config::from_settings("seed", &settings)?;
    /// assert_eq!(config.monitor_timeout.unwrap().as_millis(), 500);
    /// assert_eq!(config.unknown, [("colour".to_owned(), Origin::Argument)]);
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn from_settings(profile: &str, settings: &Settings) -> Result<Config, ConfigError> {
        let mut config = Config {
            profile: profile.to_owned(),
            ..Config::default()
        };
        for (key, setting) in settings.iter() {
            if setting.value.is_null() && key != "nodeid" {
                continue;
            }
            // They are those of the typed configuration, as far as its generation knows them.
            if setting.origin == Origin::Default {
                continue;
            }
            let read = Read { key, setting };
            match key {
                "nodeid" => config.nodeid = Some(read.text()?),
                "binds" => config.binds = Some(read.addresses()?),
                "seeds" => config.seeds = read.addresses()?,
                "services" => config.services = read.services()?,
                "services_path" => config.services_path = read.texts()?,
                "optional_services" => {
                    config.optional_services = truth(key, &setting.value, &setting.origin)?;
                }
                "http" => config.http = Some(read.http()?),
                "secret" => config.secret = Some(Secret::from_perl(&read.text()?)),
                "cert" => config.cert = Some(read.text()?),
                "require_tls" => config.require_tls = truth(key, &setting.value, &setting.origin)?,
                "monitor_timeout" => config.monitor_timeout = Some(read.seconds()?),
                "connect_interval" => config.connect_interval = read.seconds()?,
                "network_latency" => config.network_latency = Some(read.seconds()?),
                "framing_format" => config.framing_format = read.texts()?,
                "auth_offer" => config.auth_offer = read.texts()?,
                "auth_accept" => config.auth_accept = read.texts()?,
                "generation" => config.generation = read.generation()?,
                "bridge" => config.bridge = read.bridge()?,
                "secure" => config.secure = truth(key, &setting.value, &setting.origin)?,
                "allow" => config.allow = read.rules()?,
                "deny" => config.deny = read.rules()?,
                "autocork" => config.autocork = truth(key, &setting.value, &setting.origin)?,
                "trace_context" => {
                    config.trace_context = truth(key, &setting.value, &setting.origin)?;
                }
                "nodelay" => config.nodelay = truth(key, &setting.value, &setting.origin)?,
                "max_message" => config.max_message = read.count()?,
                "max_depth" => config.max_depth = read.count()?,
                "max_queue" => config.max_queue = read.count()?,
                "max_mailbox" => config.max_mailbox = read.count()?,
                "max_memory" => config.max_memory = read.count()?,
                "max_nodes" => config.max_nodes = read.count()?,
                "max_handshakes" => config.max_handshakes = read.count()?,
                "greeting_timeout" => config.greeting_timeout = read.seconds()?,
                "max_hops" => config.max_hops = read.count()?,
                "max_name" => config.max_name = read.count()?,
                "max_reason" => config.max_reason = read.count()?,
                "max_request" => config.max_request = read.count()?,
                "max_keys" => config.max_keys = read.count()?,
                "max_families" => config.max_families = read.count()?,
                "max_log_lines" => config.max_log_lines = read.count()?,
                "max_dials" => config.max_dials = read.count()?,
                _ if PASSED_OVER.contains(&key) => {}
                _ => config
                    .unknown
                    .push((key.to_owned(), setting.origin.clone())),
            }
        }
        if let Some(id) = &config.nodeid {
            let origin = settings.get("nodeid").map(|s| s.origin.to_string());
            check_node_id(id, origin.unwrap_or_default())?;
        }
        Ok(config)
    }
}

/// Keys of the file that mean nothing here and are no mistake: its format, a mark that Perl 1.0
/// could leave, and settings that only releases of Perl's know.
const PASSED_OVER: [&str; 4] = ["version", "dirty", "data_format", "eval"];

/// The names of all settings that a node of this crate knows, sorted.
///
/// ```
/// assert!(aemp::config::setting_names().any(|name| name == "binds"));
/// ```
pub fn setting_names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().copied()
}

/// All that [`Config::from_settings`] knows.
const NAMES: [&str; 40] = [
    "allow",
    "auth_accept",
    "auth_offer",
    "autocork",
    "binds",
    "bridge",
    "cert",
    "connect_interval",
    "deny",
    "framing_format",
    "generation",
    "greeting_timeout",
    "http",
    "max_depth",
    "max_dials",
    "max_families",
    "max_handshakes",
    "max_hops",
    "max_keys",
    "max_log_lines",
    "max_mailbox",
    "max_memory",
    "max_message",
    "max_name",
    "max_nodes",
    "max_queue",
    "max_reason",
    "max_request",
    "monitor_timeout",
    "network_latency",
    "nodeid",
    "nodelay",
    "optional_services",
    "require_tls",
    "secret",
    "secure",
    "seeds",
    "services",
    "services_path",
    "trace_context",
];

/// Refuses an argument that is no setting.
pub(crate) fn check_names(arguments: &Arguments) -> Result<(), ConfigError> {
    let mut given = arguments.settings.iter().map(|(key, _)| key);
    match given.find(|key| !is_setting(key) && *key != "norc" && *key != "force") {
        Some(key) => Err(unknown_setting(key, Origin::Argument)),
        None => Ok(()),
    }
}

fn is_setting(key: &str) -> bool {
    NAMES.contains(&key) || PASSED_OVER.contains(&key)
}

fn unknown_setting(key: &str, origin: Origin) -> ConfigError {
    ConfigError::UnknownSetting {
        key: key.to_owned(),
        origin,
        like: suggest(key, NAMES).map(str::to_owned),
    }
}

/// Checks one setting by itself, as [`Config::from_settings`] would.
///
/// # Errors
///
/// The value is of the wrong kind or out of range, or there is no such setting.
///
/// ```
/// use aemp::config::{Origin, check_setting};
/// assert!(check_setting("nodelay", &"1".into(), Origin::Global).is_ok());
/// assert!(check_setting("nodelay", &"false".into(), Origin::Global).is_err());
/// ```
pub fn check_setting(key: &str, value: &Value, origin: Origin) -> Result<(), ConfigError> {
    let mut settings = Settings::default();
    settings.set(key, value.clone(), origin.clone());
    Config::from_settings("", &settings)?;
    match is_setting(key) {
        true => Ok(()),
        false => Err(unknown_setting(key, origin)),
    }
}

/// A setting being read.
struct Read<'a> {
    key: &'a str,
    setting: &'a Setting,
}

impl Read<'_> {
    fn bad(&self, expected: &'static str) -> ConfigError {
        bad_value(
            self.key,
            &self.setting.value,
            &self.setting.origin,
            expected,
        )
    }

    fn text(&self) -> Result<String, ConfigError> {
        scalar_text(&self.setting.value).ok_or_else(|| self.bad("a text"))
    }

    fn texts(&self) -> Result<Vec<String>, ConfigError> {
        let expected = "a list of texts (an array, or one text with commas)";
        match &self.setting.value {
            Value::Array(items) => items
                .iter()
                .map(|item| scalar_text(item).ok_or_else(|| self.bad(expected)))
                .collect(),
            value => {
                let text = scalar_text(value).ok_or_else(|| self.bad(expected))?;
                Ok(split_commas(&text).into_iter().map(str::to_owned).collect())
            }
        }
    }

    /// Texts that can be looked up, each of them one address or several with commas between.
    fn addresses(&self) -> Result<Vec<String>, ConfigError> {
        let texts = self.texts()?;
        for text in texts.iter().flat_map(|text| split_commas(text)) {
            self.address(text)?;
        }
        Ok(texts)
    }

    fn address(&self, text: &str) -> Result<Address, ConfigError> {
        Address::parse(text).map_err(|error| match error {
            ConfigError::BadAddress { text, reason } => ConfigError::BadSettingAddress {
                key: self.key.to_owned(),
                origin: self.setting.origin.clone(),
                text,
                reason,
            },
            other => other,
        })
    }

    /// One address, of TCP.
    fn http(&self) -> Result<String, ConfigError> {
        let expected = "where to listen for HTTP: HOST:PORT, or a port";
        let text = self.text()?;
        match self.address(&text)? {
            Address {
                host: Host::Unix(_),
                ..
            } => Err(self.bad(expected)),
            _ if text.trim().is_empty() || text.contains(',') => Err(self.bad(expected)),
            _ => Ok(text),
        }
    }

    fn rules(&self) -> Result<Vec<Rule>, ConfigError> {
        let read = |text: &String| {
            text.parse().map_err(|source| ConfigError::Rule {
                key: self.key.to_owned(),
                origin: self.setting.origin.clone(),
                source,
            })
        };
        self.texts()?.iter().map(read).collect()
    }

    fn services(&self) -> Result<Vec<Value>, ConfigError> {
        let named = |service: &Value| match service {
            Value::String(_) => true,
            Value::Array(call) => call.first().is_some_and(Value::is_string),
            _ => false,
        };
        match &self.setting.value {
            Value::String(text) => Ok(split_commas(text).into_iter().map(Value::from).collect()),
            Value::Array(services) if services.iter().all(named) => Ok(services.clone()),
            _ => Err(self.bad("a list of services (names, or arrays of a name and arguments)")),
        }
    }

    fn seconds(&self) -> Result<Duration, ConfigError> {
        let seconds = match &self.setting.value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        seconds
            .filter(|s| *s > 0.0 && *s <= MAX_SECONDS)
            .and_then(|s| Duration::try_from_secs_f64(s).ok())
            .filter(|duration| !duration.is_zero())
            .ok_or_else(|| self.bad("a time in seconds, more than 0 and at most 1e9"))
    }

    fn count(&self) -> Result<usize, ConfigError> {
        let count = match &self.setting.value {
            Value::Number(number) => number.as_u64().and_then(|n| usize::try_from(n).ok()),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        count
            .filter(|&n| n > 0)
            .ok_or_else(|| self.bad("a whole number of at least 1"))
    }

    fn generation(&self) -> Result<Generations, ConfigError> {
        let found = generations(&self.setting.value);
        found.ok_or_else(|| self.bad("a generation: auto, 0, 1 or 2"))
    }

    fn bridge(&self) -> Result<Vec<u32>, ConfigError> {
        let expected = "what a bridge joins: all, or at least two of the generations 0, 1 and 2";
        let texts = self.texts().map_err(|_| self.bad(expected))?;
        if texts == ["all"] {
            return Ok(vec![0, 1, 2]);
        }
        let numbers: Option<BTreeSet<u32>> = texts
            .iter()
            .map(|text| text.parse().ok().filter(|number| *number <= 2))
            .collect();
        match numbers {
            Some(numbers) if numbers.len() != 1 => Ok(numbers.into_iter().collect()),
            _ => Err(self.bad(expected)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::id::alnumbits;
    use proptest::prelude::*;
    use serde_json::json;

    fn config(values: Value) -> Result<Config, ConfigError> {
        let mut settings = Settings::default();
        for (key, value) in values.as_object().unwrap() {
            settings.set(key, value.clone(), Origin::Global);
        }
        Config::from_settings("prof", &settings)
    }

    fn fault(values: Value) -> String {
        config(values).unwrap_err().to_string()
    }

    #[test]
    fn defaults() {
        let merged = find_profile(&RcFile::default(), Some("p"), &[]).unwrap();
        let found = format!("{:?}", Config::from_settings("", &merged).unwrap());
        assert_eq!(found, format!("{:?}", Config::default()));
        assert!(Config::default().nodelay);
        assert_eq!(Config::default().max_message, 67_108_864);
    }

    #[test]
    fn the_names_are_those_of_the_settings() {
        assert!(NAMES.is_sorted());
        for key in NAMES {
            // No setting takes this.
            assert!(config(json!({key: {"no": [{}]}})).is_err(), "{key}");
        }
        for key in PASSED_OVER {
            assert!(
                config(json!({key: [1]})).unwrap().unknown.is_empty(),
                "{key}"
            );
        }
    }

    #[test]
    fn arguments_that_are_no_setting() {
        let load = |key: &str| {
            let given = Arguments::from_list(vec![key.into(), "1".into()]).unwrap();
            Config::load(&RcFile::default(), &given, "n").map(|_| ())
        };
        assert_eq!(
            load("bindz").unwrap_err().to_string(),
            "bindz (argument) is no setting; did you mean `binds`?"
        );
        assert_eq!(
            load("colour").unwrap_err().to_string(),
            "colour (argument) is no setting"
        );
        assert!(load("norc").is_ok() && load("force").is_ok() && load("eval").is_ok());
    }

    #[test]
    fn addresses_are_checked() {
        for (value, text) in [
            (json!("xx:99999"), "xx:99999"),
            (json!(["*:4040", "a:b:c"]), "a:b:c"),
            (json!(["*:4040,[::1"]), "[::1"),
        ] {
            for key in ["binds", "seeds"] {
                let error = fault(json!({key: value}));
                let start = format!("setting `{key}` (global configuration): {text:?}: ");
                assert!(error.starts_with(&start), "{error}");
            }
        }
    }

    #[test]
    fn values_of_either_kind() {
        let config = config(json!({
            "nodeid": 7, "binds": "*:4040,[::1]:1", "seeds": ["a", 4040], "services": "A::,b",
            "secret": "s3cr3t", "monitor_timeout": "30", "connect_interval": 0.5, "network_latency": "1e1",
            "framing_format": "json,storable", "auth_offer": [], "generation": 0, "autocork": "1", "nodelay": "",
            "allow": "* send,ruth kill @g", "deny": ["ruth mesh"], "max_message": "1000", "secure": 1, "max_depth": 9, "max_queue": null, "colour": "blue", "version": 1,
        }))
        .unwrap();
        assert_eq!(config.nodeid.as_deref(), Some("7"));
        assert_eq!(config.binds.unwrap(), ["*:4040", "[::1]:1"]);
        assert_eq!(config.seeds, ["a", "4040"]);
        assert_eq!(config.services, [json!("A::"), json!("b")]);
        assert_eq!(config.secret.as_ref().unwrap().as_bytes(), b"s3cr3t");
        assert_eq!(format!("{:?}", config.secret), "Some(Secret(..))");
        assert_eq!(config.monitor_timeout, Some(Duration::from_secs(30)));
        assert_eq!(config.connect_interval, Duration::from_millis(500));
        assert_eq!(config.network_latency, Some(Duration::from_secs(10)));
        assert_eq!(config.framing_format, ["json", "storable"]);
        assert!(config.auth_offer.is_empty());
        assert_eq!(config.generation, Generations::Only(0));
        assert!(config.autocork && config.secure && !config.nodelay);
        let rules = |rules: &[Rule]| rules.iter().map(Rule::to_string).collect::<Vec<_>>();
        assert_eq!(rules(&config.allow), ["* send", "ruth kill @g"]);
        assert_eq!(rules(&config.deny), ["ruth mesh"]);
        assert_eq!((config.max_message, config.max_depth), (1000, 9));
        assert_eq!(config.max_queue, 64 << 20);
        assert_eq!(config.unknown, [("colour".to_owned(), Origin::Global)]);
    }

    #[test]
    fn what_a_bridge_joins() {
        for (value, wanted) in [
            (json!("all"), &[0, 1, 2][..]),
            (json!("1,0"), &[0, 1]),
            (json!([2, "1", 2]), &[1, 2]),
            (json!(""), &[]),
            (json!([]), &[]),
            (json!(null), &[]),
        ] {
            assert_eq!(config(json!({"bridge": value})).unwrap().bridge, wanted);
        }
        for value in [
            json!("1"),
            json!("0,3"),
            json!(["all", 1]),
            json!([[0, 1]]),
            json!("some"),
        ] {
            let text = fault(json!({"bridge": value}));
            assert!(
                text.contains("is not what a bridge joins: all, or"),
                "{text}"
            );
        }
    }

    #[test]
    fn binds_unset_empty_and_null_differ() {
        assert_eq!(config(json!({})).unwrap().binds, None);
        assert_eq!(config(json!({"binds": null})).unwrap().binds, None);
        assert_eq!(config(json!({"binds": []})).unwrap().binds, Some(vec![]));
        assert_eq!(config(json!({"binds": ""})).unwrap().binds, Some(vec![]));
    }

    #[test]
    fn faults_name_key_value_and_origin() {
        assert_eq!(
            fault(json!({"monitor_timeout": "soon"})),
            "setting `monitor_timeout` (global configuration): \"soon\" is not a time in seconds, more than 0 and at most 1e9"
        );
        for (key, value) in [
            ("monitor_timeout", json!(-1)),
            ("monitor_timeout", json!("inf")),
            ("monitor_timeout", json!("nan")),
            ("connect_interval", json!(0)),
            ("connect_interval", json!(1e-12)),
            ("connect_interval", json!(1e10)),
            ("max_depth", json!(0)),
            ("max_depth", json!(1.5)),
            ("max_queue", json!("1k")),
            ("generation", json!(3)),
            ("nodelay", json!("false")),
            ("autocork", json!([1])),
            ("secure", json!("yes")),
            ("binds", json!({"a": 1})),
            ("seeds", json!([["a"]])),
            ("services", json!([[]])),
            ("services", json!([[1, 2]])),
            ("services", json!({"a": 1})),
            ("nodeid", json!(null)),
            ("allow", json!([[]])),
            ("http", json!("")),
            ("http", json!("unix/:/run/aemp")),
        ] {
            let text = fault(json!({key: value}));
            let start = format!("setting `{key}` (global configuration): {value} is not ");
            assert!(text.starts_with(&start), "{text}");
        }
        assert_eq!(
            fault(json!({"deny": ["* send", "ruth spwan"]})),
            "setting `deny` (global configuration): \"spwan\" is no action: spawn, call, eval, send, kill, monitor, relay, set or mesh"
        );
        let text = fault(json!({"secret": ["hush"]}));
        assert!(
            text.contains("(hidden)") && !text.contains("hush"),
            "{text}"
        );
    }

    #[test]
    fn letters_and_digits() {
        // As Perl gives them.
        assert_eq!(alnumbits(&[0xff, 0xef, 0xbe]), "x1x2x2x2");
        assert_eq!(alnumbits(b"ab"), "YWI");
        assert_eq!(alnumbits(&[0; 64]), format!("{}=", "A".repeat(86)));
    }

    proptest! {
        #[test]
        fn letters_and_digits_only(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            let text = alnumbits(&octets);
            let rest = text.trim_end_matches('=');
            prop_assert!(rest.bytes().all(|b| b.is_ascii_alphanumeric()));
            prop_assert!(text.len() - rest.len() <= 1);
        }
    }
}
