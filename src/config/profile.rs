//! Which value counts: arguments, global values and profiles merged as Perl merges them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::defaults;
use super::error::ConfigError;
use super::origin::Origin;
use super::rc::{RcFile, pretty};
use super::value::{generations, scalar_text, truth};
use crate::proto::generation::Generations;

/// One effective setting.
///
/// See [`Settings`] for an example.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The value as it was written.
    pub value: Value,
    /// Who wrote it.
    pub origin: Origin,
}

/// The effective settings of a node, untyped; what `aemp showconfig` shows.
///
/// ```
/// use aemp::config::{Origin, Settings};
/// let mut settings = Settings::default();
/// settings.set("nodeid", "ruth".into(), Origin::Argument);
/// settings.set("nodeid", "doomed".into(), Origin::Global);
/// let setting = settings.get("nodeid").unwrap();
/// assert_eq!((&setting.value, &setting.origin), (&"doomed".into(), &Origin::Global));
/// assert_eq!(settings.iter().count(), 1);
/// assert_eq!(settings.to_map()["nodeid"], "doomed");
/// assert_eq!(settings.to_json(), "{\n   \"nodeid\" : \"doomed\"\n}\n");
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    map: BTreeMap<String, Setting>,
}

impl Settings {
    /// One setting, if anybody made it.
    ///
    /// See [`Settings`] for an example.
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.map.get(key)
    }

    /// All settings by key.
    ///
    /// See [`Settings`] for an example.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.map.iter().map(|(key, setting)| (&**key, setting))
    }

    /// Makes a setting, over any earlier one.
    ///
    /// See [`Settings`] for an example.
    pub fn set(&mut self, key: impl Into<String>, value: Value, origin: Origin) {
        self.map.insert(key.into(), Setting { value, origin });
    }

    /// Takes a setting away.
    ///
    /// ```
    /// let mut settings = aemp::config::Settings::default();
    /// settings.set("secure", true.into(), aemp::config::Origin::Argument);
    /// settings.unset("secure");
    /// assert!(settings.get("secure").is_none());
    /// ```
    pub fn unset(&mut self, key: &str) {
        self.map.remove(key);
    }

    /// The values alone, as a JSON object.
    ///
    /// See [`Settings`] for an example.
    pub fn to_map(&self) -> Map<String, Value> {
        self.iter()
            .map(|(key, setting)| (key.to_owned(), setting.value.clone()))
            .collect()
    }

    /// The values alone, as a JSON text to read. Includes the secret.
    ///
    /// See [`Settings`] for an example.
    pub fn to_json(&self) -> String {
        pretty(&self.to_map())
    }

    fn lay_over(&mut self, layer: &Map<String, Value>, origin: &Origin) {
        for (key, value) in layer {
            // These two belong to the file's structure, not to the node.
            if key != "profile" && key != "parent" {
                self.set(key, value.clone(), origin.clone());
            }
        }
    }
}

/// The effective settings of a node that runs under a profile.
///
/// Later ones win: built-in defaults, arguments, the file's global values, then the profiles from
/// the most distant parent down to the one that was asked for. So **the file wins over the
/// arguments**: they are a program's defaults, and whoever deploys it has the last word. A profile
/// that does not exist (as parent, too) has no settings of its own; a `parent` in the global part
/// means nothing. All this is as in Perl.
///
/// Two arguments change the rule and are no settings themselves: `norc` (true: leave out the file)
/// and `force` (true: the arguments win over the file). In the file they mean nothing. One thing is
/// not as in Perl: there, `force` has the built-in defaults win over the file as well. The defaults
/// are those of the generation that is set: `monitor_timeout`, `connect_interval`,
/// `framing_format`, `auth_offer` and `auth_accept`; others have no value here unless they are set.
///
/// # Errors
///
/// Profiles that inherit in a circle (Perl recurses until memory ends), a parent that is neither
/// text nor null, a profile that is not an object.
///
/// ```
/// use aemp::config::{Origin, RcFile, find_profile};
/// let mut rc = RcFile::default();
/// rc.root_mut().insert("seeds".into(), "doomed:4040".into());
/// rc.profile_mut("base")?.insert("max_depth".into(), 100.into());
/// rc.profile_mut("seed")?.insert("parent".into(), "base".into());
///
/// let arguments = [("seeds".to_owned(), "ruth".into()), ("binds".to_owned(), "*".into())];
/// let settings = find_profile(&rc, Some("seed"), &arguments)?;
/// assert_eq!(settings.get("seeds").unwrap().value, "doomed:4040");
/// assert_eq!(settings.get("binds").unwrap().value, "*");
/// assert_eq!(settings.get("max_depth").unwrap().origin, Origin::Profile("base".into()));
/// # Ok::<(), aemp::config::ConfigError>(())
/// ```
pub fn find_profile(
    rc: &RcFile,
    name: Option<&str>,
    arguments: &[(String, Value)],
) -> Result<Settings, ConfigError> {
    let without_file = flag(arguments, "norc")?;
    let arguments_win = flag(arguments, "force")?;
    let given = arguments
        .iter()
        .filter(|(key, _)| key != "norc" && key != "force")
        .cloned()
        .collect();

    let mut settings = Settings::default();
    settings.lay_over(&given, &Origin::Argument);
    if !without_file {
        settings.lay_over(rc.root(), &Origin::Global);
        for name in ancestry(rc, name)?.into_iter().rev() {
            if let Some(profile) = rc.profile(&name)? {
                settings.lay_over(profile, &Origin::Profile(name));
            }
        }
        if arguments_win {
            settings.lay_over(&given, &Origin::Argument);
        }
    }
    let generation = settings.get("generation");
    let spoken = generation.and_then(|setting| generations(&setting.value));
    for (key, value) in defaults::of(spoken.unwrap_or(Generations::Auto)) {
        if settings.get(key).is_none() {
            settings.set(key, value, Origin::Default);
        }
    }
    Ok(settings)
}

/// The last word of the arguments about this.
fn flag(arguments: &[(String, Value)], name: &str) -> Result<bool, ConfigError> {
    let mut is_set = false;
    for (key, value) in arguments {
        if key == name {
            is_set = truth(key, value, &Origin::Argument)?;
        }
    }
    Ok(is_set)
}

/// The profile, its parent, its parent's parent and so on.
fn ancestry(rc: &RcFile, name: Option<&str>) -> Result<Vec<String>, ConfigError> {
    let mut chain: Vec<String> = Vec::new();
    let mut next = name.map(str::to_owned);
    while let Some(name) = next {
        let seen = chain.contains(&name);
        chain.push(name.clone());
        if seen {
            return Err(ConfigError::ParentLoop { chain });
        }
        next = match rc.profile(&name)?.and_then(|profile| profile.get("parent")) {
            None | Some(Value::Null) => None,
            Some(parent) => Some(scalar_text(parent).ok_or_else(|| ConfigError::BadValue {
                key: "parent".to_owned(),
                value: parent.to_string(),
                origin: Origin::Profile(name),
                expected: "a profile name",
            })?),
        };
    }
    Ok(chain)
}

impl RcFile {
    /// Checks that a profile is there, and the profiles that it inherits from. To
    /// [`find_profile`], one that is not there is none that says anything, as in Perl; whoever
    /// names a profile to the command has at least made a mistake in its name.
    ///
    /// # Errors
    ///
    /// [`ConfigError::UnknownProfile`], which has the names that there are; those of
    /// [`find_profile`] about parents.
    ///
    /// ```
    /// let mut rc = aemp::config::RcFile::default();
    /// rc.profile_mut("seed")?;
    /// assert!(rc.check_profile("seed").is_ok());
    /// let error = rc.check_profile("sed").unwrap_err();
    /// assert_eq!(error.to_string(), "no profile is called \"sed\"; there are: seed");
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn check_profile(&self, name: &str) -> Result<(), ConfigError> {
        let mut child = None;
        for name in ancestry(self, Some(name))? {
            if self.profile(&name)?.is_none() {
                return Err(ConfigError::UnknownProfile {
                    name,
                    child,
                    known: self.profile_names().map(str::to_owned).collect(),
                });
            }
            child = Some(name);
        }
        Ok(())
    }

    /// The names of all profiles, sorted.
    ///
    /// ```
    /// let mut rc = aemp::config::RcFile::default();
    /// rc.profile_mut("seed")?;
    /// rc.profile_mut("base")?;
    /// assert_eq!(rc.profile_names().collect::<Vec<_>>(), ["base", "seed"]);
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn profile_names(&self) -> impl Iterator<Item = &str> {
        let profiles = self.root().get("profile").and_then(Value::as_object);
        profiles
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
    }
}

/// What a program or a command line passes to configure a node.
///
/// ```
/// use aemp::config::Arguments;
/// let arguments = Arguments {
///     profile: Some("seed".into()),
///     settings: vec![("binds".into(), "*:4040".into())],
/// };
/// let list = vec!["seed".into(), "binds".into(), "*:4040".into()];
/// assert_eq!(Arguments::from_list(list)?, arguments);
/// # Ok::<(), aemp::config::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arguments {
    /// The profile to use; the node name if there is none.
    pub profile: Option<String>,
    /// Settings in the order given; of two with the same key the later one counts.
    pub settings: Vec<(String, Value)>,
}

impl Arguments {
    /// Whether they say that the configuration file is left out (`norc`): then it need not even be
    /// read.
    ///
    /// # Errors
    ///
    /// The value of `norc` is no yes or no.
    ///
    /// ```
    /// use aemp::config::Arguments;
    /// let given = |norc: &str| Arguments::from_list(vec!["norc".into(), norc.into()]);
    /// assert!(given("1")?.leave_out_file()? && !given("0")?.leave_out_file()?);
    /// assert!(given("maybe")?.leave_out_file().is_err());
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn leave_out_file(&self) -> Result<bool, ConfigError> {
        flag(&self.settings, "norc")
    }

    /// Reads a flat list `KEY, VALUE, ..`. In a list of odd length the first element is a profile
    /// name, as in `aemp run seed binds '*:4040'`; the key `profile` names one as well and counts
    /// for more.
    ///
    /// # Errors
    ///
    /// A key or a profile name that is not text.
    ///
    /// ```
    /// use aemp::config::Arguments;
    /// let given = Arguments::from_list(vec!["seed".into(), "binds".into(), "*:4040".into()]).unwrap();
    /// assert_eq!(given.profile.as_deref(), Some("seed"));
    /// assert_eq!(given.settings, [("binds".to_owned(), "*:4040".into())]);
    /// ```
    pub fn from_list(list: Vec<Value>) -> Result<Arguments, ConfigError> {
        let name = |value: &Value| {
            scalar_text(value).ok_or_else(|| {
                ConfigError::Arguments(format!("{value} is not the name of a profile"))
            })
        };
        let mut found = Arguments::default();
        let odd = list.len() % 2 == 1;
        let mut list = list.into_iter();
        if odd && let Some(first) = list.next() {
            found.profile = Some(name(&first)?);
        }
        while let (Some(key), Some(value)) = (list.next(), list.next()) {
            match scalar_text(&key) {
                Some(key) if key == "profile" => {
                    found.profile = match &value {
                        Value::Null => None,
                        value => Some(name(value)?),
                    }
                }
                Some(key) => found.settings.push((key, value)),
                None => {
                    return Err(ConfigError::Arguments(format!(
                        "{key} is not the name of a setting"
                    )));
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rc(value: Value) -> RcFile {
        let mut rc = RcFile::default();
        match value {
            Value::Object(map) => *rc.root_mut() = map,
            other => panic!("{other}"),
        }
        rc
    }

    fn family() -> RcFile {
        rc(json!({
            "a": "global", "b": "global", "c": "global", "d": "global", "parent": "kid", "version": 1,
            "profile": {
                "grand": {"b": "grand", "c": "grand", "d": "grand"},
                "dad": {"c": "dad", "d": "dad", "parent": "grand"},
                "kid": {"d": "kid", "parent": "dad"},
                "orphan": {"d": "orphan", "parent": "nobody"},
                "odd": {"parent": ["dad"]},
                "self": {"parent": "self"},
                "ping": {"parent": "pong"},
                "pong": {"parent": "ping"},
            },
        }))
    }

    fn args(list: &[(&str, Value)]) -> Vec<(String, Value)> {
        list.iter()
            .map(|(k, v)| ((*k).to_owned(), v.clone()))
            .collect()
    }

    fn find(name: Option<&str>, list: &[(&str, Value)]) -> Settings {
        find_profile(&family(), name, &args(list)).unwrap()
    }

    fn show(settings: &Settings, keys: &str) -> String {
        let one = |key: char| match settings.get(&key.to_string()) {
            None => "-".to_owned(),
            Some(setting) => setting.value.as_str().unwrap_or("?").to_owned(),
        };
        keys.chars().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn who_wins() {
        let given = [("a", json!("arg")), ("e", json!("arg"))];
        assert_eq!(
            show(&find(Some("kid"), &given), "abcde"),
            "global grand dad kid arg"
        );
        assert_eq!(
            show(&find(Some("orphan"), &[]), "abcd"),
            "global global global orphan"
        );
        assert_eq!(
            show(&find(Some("unheard of"), &[]), "abcd"),
            "global global global global"
        );
        assert_eq!(show(&find(None, &given), "de"), "global arg");
        let kid = find(Some("kid"), &[]);
        assert_eq!(kid.get("c").unwrap().origin, Origin::Profile("dad".into()));
        assert_eq!(kid.get("a").unwrap().origin, Origin::Global);
        assert_eq!(kid.get("connect_interval").unwrap().origin, Origin::Default);
        assert_eq!(kid.get("profile"), None);
        assert_eq!(kid.get("parent"), None);
    }

    #[test]
    fn arguments_that_change_the_rule() {
        let given = |flag: &'static str, on: Value| [("a", json!("arg")), (flag, on)];
        assert_eq!(
            show(&find(Some("kid"), &given("force", json!(true))), "ad"),
            "arg kid"
        );
        assert_eq!(
            show(&find(Some("kid"), &given("force", json!("0"))), "ad"),
            "global kid"
        );
        assert_eq!(
            show(&find(Some("kid"), &given("norc", json!(1))), "ad"),
            "arg -"
        );
        assert_eq!(find(None, &given("norc", json!(1))).get("norc"), None);
    }

    #[test]
    fn defaults_are_those_of_the_generation() {
        let shown = |generation: Value| {
            let settings = find_profile(
                &RcFile::default(),
                None,
                &args(&[("generation", generation)]),
            );
            let settings = settings.unwrap();
            let timeout = settings.get("monitor_timeout").unwrap().value.clone();
            (timeout, settings.get("auth_offer").unwrap().value.clone())
        };
        let old = json!(["tls_md6_64_256", "hmac_md6_64_256"]);
        assert_eq!(shown(json!(0)), (json!(15), old.clone()));
        assert_eq!(shown(json!("1")), (json!(30), old));
        let new = json!(["tls_sha3_512", "hmac_sha3_512"]);
        assert_eq!(shown(json!("2")), (json!(30), new));
        let (timeout, all) = shown(json!("auto"));
        assert_eq!((timeout, all.as_array().unwrap().len()), (json!(30), 4));
        assert_eq!(shown(json!("gibberish")).1, all);
    }

    #[test]
    fn profiles_that_are_not_there() {
        let fault = |name| family().check_profile(name).unwrap_err().to_string();
        let known = "dad, grand, kid, odd, orphan, ping, pong, self";
        assert_eq!(
            fault("none"),
            format!("no profile is called \"none\"; there are: {known}")
        );
        assert_eq!(
            fault("orphan"),
            format!(
                "no profile is called \"nobody\", which is the parent of \"orphan\"; \
                 there are: {known}"
            )
        );
        assert!(family().check_profile("kid").is_ok());
        assert!(fault("ping").contains("circle"));
        assert_eq!(
            RcFile::default()
                .check_profile("none")
                .unwrap_err()
                .to_string(),
            "no profile is called \"none\": the configuration has none"
        );
    }

    #[test]
    fn circles_and_strange_parents() {
        let fail = |name| {
            find_profile(&family(), Some(name), &[])
                .unwrap_err()
                .to_string()
        };
        assert_eq!(fail("self"), "profiles inherit in a circle: self -> self");
        assert_eq!(
            fail("ping"),
            "profiles inherit in a circle: ping -> pong -> ping"
        );
        assert_eq!(
            fail("odd"),
            "setting `parent` (profile \"odd\"): [\"dad\"] is not a profile name"
        );
    }

    #[test]
    fn argument_lists() {
        let read = |list: Value| Arguments::from_list(list.as_array().unwrap().clone());
        assert_eq!(read(json!([])).unwrap(), Arguments::default());
        assert_eq!(read(json!(["p"])).unwrap().profile.as_deref(), Some("p"));
        let both = read(json!(["p", "profile", "q", "binds", []])).unwrap();
        assert_eq!(both.profile.as_deref(), Some("q"));
        assert_eq!(both.settings, args(&[("binds", json!([]))]));
        assert!(read(json!([[1], 2])).is_err());
        assert!(read(json!([[1]])).is_err());
    }
}
