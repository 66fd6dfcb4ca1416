//! What a running node takes over of a configuration that has changed.

use std::collections::BTreeSet;

use super::Builder;
use super::start::add_seeds;
use crate::config::{Config, ConfigError, Settings};
use crate::node::Node;

/// What came of [`Builder::reload`]: the settings that have changed, by name.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Reloaded {
    /// The node goes by these from now on.
    pub taken: Vec<String>,
    /// These count when the node is started again.
    pub later: Vec<String>,
    /// These can't be used, and why; the old value stays.
    pub refused: Vec<(String, String)>,
    /// The settings that the node goes by now: to be given to the next `reload`.
    pub settings: Settings,
    /// The configuration as it is by now, also as far as the node does not go by it yet.
    pub config: Config,
    /// All settings as they are by now.
    now: Settings,
}

impl Builder {
    /// Has a node that runs go by the configuration as it is by now, as far as that is possible:
    /// `allow`, `deny` and `secure`, `cert`, `max_log_lines`, and seeds that have been added.
    /// `before` are the settings that it goes by, from [`settings`](Self::settings) or the last
    /// time.
    ///
    /// # Errors
    ///
    /// [`ConfigError`]: the configuration can't be read, or is wrong. Nothing has changed then.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = aemp::Node::builder().no_rc().nodeid("ruth").binds(["127.0.0.1:0"]);
    /// let (node, before) = (builder.clone().start().await?, builder.settings()?);
    /// let changed = builder.secure().nodeid("bob").reload(&node, &before).await?;
    /// assert_eq!((changed.taken, changed.later), (vec!["secure".into()], vec!["nodeid".into()]));
    /// # Ok(()) }
    /// ```
    pub async fn reload(&self, node: &Node, before: &Settings) -> Result<Reloaded, ConfigError> {
        let now = self.settings()?;
        let config = self.config_of(&now)?;
        let mut changed: BTreeSet<String> = BTreeSet::new();
        for (key, _) in now.iter().chain(before.iter()) {
            let value = |settings: &Settings| settings.get(key).map(|set| set.value.clone());
            if value(&now) != value(before) {
                changed.insert(key.to_owned());
            }
        }
        let mut reloaded = Reloaded {
            settings: before.clone(),
            now,
            config,
            ..Reloaded::default()
        };
        let config = reloaded.config.clone();
        // One change of the rules, however many settings it is made of.
        let rules = ["allow", "deny", "secure"];
        let rules: Vec<&str> = rules
            .into_iter()
            .filter(|key| changed.remove(*key))
            .collect();
        if !rules.is_empty() {
            let done = node.reload_rules(&config.allow, &config.deny, config.secure);
            let done = done.map_err(|error| error.to_string());
            rules
                .iter()
                .for_each(|key| reloaded.note(key, done.clone()));
        }
        for key in changed {
            let done = match (&*key, &config.cert) {
                ("cert", Some(cert)) => node.reload_cert(cert).map_err(|error| error.to_string()),
                ("max_log_lines", _) => {
                    crate::log::set_max_lines(
                        u32::try_from(config.max_log_lines).unwrap_or(u32::MAX),
                    );
                    Ok(())
                }
                ("seeds", _) => {
                    let old = Config::from_settings("", before)?.seeds;
                    let new = config.seeds.iter().filter(|seed| !old.contains(seed));
                    let new: Vec<String> = new.cloned().collect();
                    if new.is_empty() {
                        // One that has been met stays in the node's mind.
                        reloaded.later.push(key);
                        continue;
                    }
                    let added = add_seeds(node.inner(), new).await;
                    added.map_err(|error| error.to_string())
                }
                _ => {
                    reloaded.later.push(key);
                    continue;
                }
            };
            reloaded.note(&key, done);
        }
        Ok(reloaded)
    }
}

impl Reloaded {
    /// Says that the program itself goes by a setting from now on that would have had to wait for
    /// the next start. False: it is not among these.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = aemp::Node::builder().no_rc().nodeid("ruth").binds(["127.0.0.1:0"]);
    /// let (node, before) = (builder.clone().start().await?, builder.settings()?);
    /// let changed = builder.set("services_path", "/srv/services");
    /// let mut changed = changed.reload(&node, &before).await?;
    /// assert!(changed.take("services_path") && !changed.take("binds"));
    /// assert!(changed.later.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn take(&mut self, key: &str) -> bool {
        let before = self.later.len();
        self.later.retain(|other| other != key);
        let is_new = self.later.len() < before;
        if is_new {
            self.note(key, Ok(()));
        }
        is_new
    }

    fn note(&mut self, key: &str, done: Result<(), String>) {
        if let Err(why) = done {
            self.refused.push((key.to_owned(), why));
            return;
        }
        match self.now.get(key) {
            Some(set) => {
                let (value, origin) = (set.value.clone(), set.origin.clone());
                self.settings.set(key, value, origin);
            }
            None => self.settings.unset(key),
        }
        self.taken.push(key.to_owned());
    }
}
