//! Keys and values, in families, and how much of them there may be.

use std::collections::BTreeMap;

use super::val::Val;
use crate::mesh::Bound;

/// Keys and their values.
pub(crate) type Family = BTreeMap<String, Val>;

/// Families by name.
pub(crate) type Families = BTreeMap<String, Family>;

/// The most that is kept of one node. What would go beyond it is refused and logged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Keys in all families together.
    pub(crate) keys: usize,
    /// Families that a node monitors at us.
    pub(crate) monitors: usize,
    /// Octets, as [`Global::held_by`](super::global::Global::held_by) counts them, by which that
    /// may still grow: it is set before each request, and what a request adds is taken off.
    pub(crate) room: usize,
}

impl Limits {
    /// None.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) const NONE: Limits = Limits {
        keys: usize::MAX,
        monitors: usize::MAX,
        room: usize::MAX,
    };
}

/// Families whose size is known.
#[derive(Debug, Default)]
pub(super) struct Db {
    families: Families,
    keys: usize,
    octets: usize,
}

impl Db {
    pub(super) fn families(&self) -> &Families {
        &self.families
    }

    pub(super) fn family(&self, family: &str) -> Option<&Family> {
        self.families.get(family)
    }

    pub(super) fn get(&self, family: &str, key: &str) -> Option<&Val> {
        self.families.get(family)?.get(key)
    }

    /// Whether these keys can be set within the limits; if not, beyond which that would go.
    pub(super) fn fits(&self, limits: &Limits, family: &str, set: &Family) -> Result<(), Bound> {
        let known = self.families.get(family);
        let (mut keys, mut octets) = (self.keys, self.octets);
        if known.is_none() {
            octets = octets.saturating_add(cost_of_name(family));
        }
        for (key, value) in set {
            octets = octets.saturating_add(cost(key, value));
            match known.and_then(|known| known.get(key)) {
                Some(old) => octets = octets.saturating_sub(cost(key, old)),
                None => keys += 1,
            }
        }
        let growth = octets.saturating_sub(self.octets);
        if set.is_empty() {
            Ok(())
        } else if keys > limits.keys {
            Err(Bound::Keys)
        } else if growth.saturating_mul(COPIES) > limits.room {
            Err(Bound::Memory)
        } else {
            Ok(())
        }
    }

    /// How much memory it takes, and the merged database with it.
    pub(super) fn held(&self) -> usize {
        self.octets.saturating_mul(COPIES)
    }

    /// Sets a key; the value that it had.
    pub(super) fn set(&mut self, family: &str, key: &str, value: Val) -> Option<Val> {
        if !self.families.contains_key(family) {
            self.families.insert(family.to_owned(), Family::new());
            self.octets += cost_of_name(family);
        }
        let map = self.families.get_mut(family)?;
        self.octets += cost(key, &value);
        if let Some(there) = map.get_mut(key) {
            let old = std::mem::replace(there, value);
            self.octets -= cost(key, &old);
            return Some(old);
        }
        map.insert(key.to_owned(), value);
        self.keys += 1;
        None
    }

    /// Removes a key; the value that it had. A family without keys is none.
    pub(super) fn remove(&mut self, family: &str, key: &str) -> Option<Val> {
        let map = self.families.get_mut(family)?;
        let old = map.remove(key)?;
        self.keys -= 1;
        self.octets -= cost(key, &old);
        if map.is_empty() {
            self.families.remove(family);
            self.octets -= cost_of_name(family);
        }
        Some(old)
    }
}

/// The keys exist here and in the merged database.
const COPIES: usize = 2;

/// What a family costs besides its keys: most of it is the room for more keys.
fn cost_of_name(family: &str) -> usize {
    family.len() + 600
}

/// What a key and its value take, about, in octets.
pub(super) fn cost(key: &str, value: &Val) -> usize {
    key.len() + 64 + value.octets()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn the_size_is_that_of_what_is_there() {
        let mut db = Db::default();
        assert_eq!(db.set("f", "k", json!(1).into()), None);
        assert_eq!(
            db.set("f", "k", json!([1, 2]).into()),
            Some(json!(1).into())
        );
        assert_eq!(db.keys, 1);
        assert_eq!(db.get("f", "k"), Some(&json!([1, 2]).into()));
        assert_eq!(db.remove("f", "x"), None);
        assert_eq!(db.remove("f", "k"), Some(json!([1, 2]).into()));
        assert!(db.families().is_empty());
        assert_eq!((db.keys, db.octets), (0, 0));
    }

    #[test]
    fn limits_are_kept_exactly() {
        let limits = Limits {
            keys: 2,
            ..Limits::NONE
        };
        let family = |keys: &[&str]| -> Family {
            keys.iter()
                .map(|key| ((*key).to_owned(), json!(null).into()))
                .collect()
        };
        let mut db = Db::default();
        assert_eq!(db.fits(&limits, "f", &family(&["a", "b"])), Ok(()));
        let too_many = Err(Bound::Keys);
        assert_eq!(db.fits(&limits, "f", &family(&["a", "b", "c"])), too_many);
        db.set("f", "a", json!(null).into());
        assert_eq!(db.fits(&limits, "f", &family(&["a", "b"])), Ok(()));
        assert_eq!(db.fits(&limits, "g", &family(&["a", "b"])), too_many);
        // Nor beyond what there is room for, twice: here and merged.
        let set = |text| Family::from([("b".to_owned(), json!(text).into())]);
        let room = |room| Limits { room, ..limits };
        let growth = 2 * cost("b", &json!("1234").into());
        assert_eq!(db.fits(&room(growth), "f", &set("1234")), Ok(()));
        let too_much = Err(Bound::Memory);
        assert_eq!(db.fits(&room(growth - 1), "f", &set("1234")), too_much);
        // What is replaced makes room.
        db.set("f", "b", json!("1234").into());
        assert_eq!(db.fits(&room(0), "f", &set("4321")), Ok(()));
        assert_eq!(db.fits(&room(0), "f", &set("12345")), too_much);
    }

    proptest! {
        #[test]
        fn nothing_is_left_when_all_is_removed(
            steps in prop::collection::vec((any::<bool>(), 0..3u8, 0..4u8, 0..50usize), 0..60),
        ) {
            let mut db = Db::default();
            let mut plain = BTreeMap::new();
            for (set, family, key, length) in steps {
                let (family, key) = (format!("f{family}"), format!("k{key}"));
                let value = json!("x".repeat(length));
                if set {
                    let old = db.set(&family, &key, value.clone().into());
                    let was = plain.insert((family, key), value);
                    prop_assert_eq!(old, was.map(Val::from));
                } else {
                    let old = db.remove(&family, &key);
                    prop_assert_eq!(old, plain.remove(&(family, key)).map(Val::from));
                }
                prop_assert_eq!(db.keys, plain.len());
            }
            for (family, key) in plain.into_keys() {
                prop_assert!(db.remove(&family, &key).is_some());
            }
            prop_assert_eq!((db.keys, db.octets, db.families.len()), (0, 0, 0));
        }
    }
}
