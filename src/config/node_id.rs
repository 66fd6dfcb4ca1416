//! The node's ID: what is set, what it is without that, and the parts that are filled in.

use super::error::ConfigError;
use super::typed::Config;
use super::value::check_node_id;
use crate::proto::generation::Generations;
use crate::proto::id::alnumbits;

impl Config {
    /// The node's ID, made from `nodeid` and, where a random part is asked for, from 12 fresh
    /// random octets.
    ///
    /// In `nodeid`, `%n` stands for the node name, and `%u` for letters and digits made of the
    /// random octets; the same are appended if it ends in `/`. So `anon/` and `aemp/%n/%u` are IDs
    /// that no other process has. Without a `nodeid` it is the profile name (which is the node name
    /// if no profile was asked for).
    ///
    /// Perl's releases differ, and a node that is to speak one generation only goes by those of
    /// that generation. With `generation` 2, a node without `nodeid` takes its profile name, `/`
    /// and a random part. With `generation` 0 or 1, `anon/` is the only ID with a random part, and
    /// everything else is taken as it stands.
    ///
    /// # Errors
    ///
    /// The ID is the profile name, and that is empty or contains what no node ID can; or it is none
    /// once its parts are filled in. (A `nodeid` as set is checked by [`Config::from_settings`].)
    ///
    /// ```
    /// use aemp::config::{Config, Origin, Settings};
    /// let mut settings = Settings::default();
    /// assert_eq!(Config::from_settings("seed", &settings)?.node_id("doomed", &[0; 12])?, "seed");
    /// settings.set("nodeid", "shop/%n/%u".into(), Origin::Argument);
    /// let config = Config::from_settings("seed", &settings)?;
    /// assert_eq!(config.node_id("doomed", &[0; 12])?, "shop/doomed/AAAAAAAAAAAAAAAA");
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn node_id(&self, node_name: &str, random: &[u8; 12]) -> Result<String, ConfigError> {
        let unique = alnumbits(random);
        let template = match &self.nodeid {
            Some(id) => id.clone(),
            None => {
                check_node_id(&self.profile, "from the profile name".to_owned())?;
                if self.generation != Generations::Only(2) {
                    return Ok(self.profile.clone());
                }
                format!("{}/", self.profile)
            }
        };
        if matches!(self.generation, Generations::Only(0 | 1)) {
            return Ok(match &*template {
                "anon/" => template + &unique,
                _ => template,
            });
        }
        let mut id = template.replace("%n", node_name).replace("%u", &unique);
        if id.ends_with('/') {
            id.push_str(&unique);
        }
        check_node_id(&id, format!("from {template:?}"))?;
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Origin, Settings};
    use super::*;
    use serde_json::{Value, json};

    const UNIQUE: &str = "AAAAAAAAAAAAAAAA";

    fn id(profile: &str, nodeid: Value, generation: &str) -> Result<String, ConfigError> {
        let mut settings = Settings::default();
        settings.set("generation", generation.into(), Origin::Argument);
        if nodeid != json!(false) {
            settings.set("nodeid", nodeid, Origin::Global);
        }
        Config::from_settings(profile, &settings)?.node_id("doomed", &[0; 12])
    }

    #[test]
    fn parts_are_filled_in() {
        for generation in ["auto", "2"] {
            for (nodeid, want) in [
                ("ruth", "ruth".to_owned()),
                ("ab/ü", "ab/ü".to_owned()),
                ("anon/", format!("anon/{UNIQUE}")),
                ("shop/", format!("shop/{UNIQUE}")),
                ("aemp/%n/%u", format!("aemp/doomed/{UNIQUE}")),
                ("%n%n%x", "doomeddoomed%x".to_owned()),
                ("%u-%u/", format!("{UNIQUE}-{UNIQUE}/{UNIQUE}")),
                ("/", format!("/{UNIQUE}")),
                ("a/b", "a/b".to_owned()),
            ] {
                assert_eq!(id("p", json!(nodeid), generation).unwrap(), want);
            }
        }
    }

    #[test]
    fn only_anon_is_random_in_the_older_generations() {
        for generation in ["0", "1"] {
            for same in ["ruth", "shop/", "aemp/%n/%u", "/"] {
                assert_eq!(id("p", json!(same), generation).unwrap(), same);
            }
            let anon = id("p", json!("anon/"), generation).unwrap();
            assert_eq!(anon, format!("anon/{UNIQUE}"));
        }
    }

    #[test]
    fn without_one_it_comes_from_the_profile() {
        for generation in ["auto", "0", "1"] {
            for profile in ["seed", "seed/%n/"] {
                assert_eq!(id(profile, json!(false), generation).unwrap(), profile);
            }
        }
        let of = |profile| id(profile, json!(false), "2").unwrap();
        assert_eq!(of("seed"), format!("seed/{UNIQUE}"));
        assert_eq!(of("at-%n"), format!("at-doomed/{UNIQUE}"));
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in ["", "0", "a#b", "a\nb", "a b", "a;b"] {
            let text = id("p", json!(bad), "auto").unwrap_err().to_string();
            assert!(text.contains("(global configuration)"), "{text}");
            assert!(id(bad, json!(false), "auto").is_err());
        }
        assert!(Config::default().node_id("doomed", &[0; 12]).is_err());
        // The node name may be a strange one.
        let named = Config {
            nodeid: Some("%n".to_owned()),
            ..Config::default()
        };
        for bad in ["", "a#b"] {
            let text = named.node_id(bad, &[0; 12]).unwrap_err().to_string();
            assert!(text.contains("from \"%n\""), "{text}");
        }
    }
}
