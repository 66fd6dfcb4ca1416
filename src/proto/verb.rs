//! The requests to a node port, as data (PROTOCOL.md, "Node requests").
//!
//! A *verb* is the name of a request that every node of some generation knows. This is the list of
//! them: what there is to say of a verb stands in its line of the table, and a line that lacks
//! something does not compile. What is done with a request is not said here, but where it is done,
//! by a `match` that names every verb, so that the compiler asks for a new one there, too: in
//! `node::request` what the node port does, in `mesh::database` what the database reads, and in
//! `bridge::translate` how a request gets from one generation to another (docs/bridge.md).

use serde::{Serialize, Serializer};

use crate::proto::Generation::{self, Gen0, Gen1a, Gen1b, Gen2};

/// Makes an enum of a table with a line for each verb. The columns: its name, a pattern of the
/// generations whose nodes know it, and whether `can` says so. Behind `and`, the verbs of another
/// table are taken in.
macro_rules! verbs {
    (
        $(#[$about:meta])*
        pub enum $Enum:ident {
            $($(#[$doc:meta])* $Variant:ident = $name:literal, [$known:pat], $can:literal;)+
        }
        $(and { $(#[$more:meta])* $Others:ident($Other:ident) })?
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $Enum {
            $($(#[$doc])* $Variant,)+
            $($(#[$more])* $Others($Other),)?
        }

        impl $Enum {
            /// All of them.
            ///
            /// See [the enum](Self) for an example.
            pub fn all() -> impl Iterator<Item = Self> {
                let all = [$(Self::$Variant),+].into_iter();
                $(let all = all.chain($Other::all().map(Self::$Others));)?
                all
            }

            /// The verb of that name. `None` if no generation knows one.
            ///
            /// See [the enum](Self) for an example.
            pub fn parse(name: &str) -> Option<Self> {
                match name {
                    $($name => return Some(Self::$Variant),)+
                    _ => {}
                }
                $(if let Some(other) = $Other::parse(name) {
                    return Some(Self::$Others(other));
                })?
                None
            }

            /// The name, as it goes over the wire.
            ///
            /// See [the enum](Self) for an example.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$Variant => $name,)+
                    $(Self::$Others(other) => other.name(),)?
                }
            }

            /// Whether nodes of that generation know the request.
            ///
            /// See [the enum](Self) for an example.
            pub const fn known_in(self, generation: Generation) -> bool {
                match self {
                    $(Self::$Variant => matches!(generation, $known),)+
                    $(Self::$Others(other) => other.known_in(generation),)?
                }
            }

            /// Whether a node of that generation says so when it is asked with `can`, or would if
            /// its generation knew that request.
            ///
            /// See [the enum](Self) for an example.
            pub const fn told_by_can(self, generation: Generation) -> bool {
                let told = match self {
                    $(Self::$Variant => $can,)+
                    $(Self::$Others(other) => return other.told_by_can(generation),)?
                };
                told && self.known_in(generation)
            }
        }

        impl std::fmt::Display for $Enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        /// As an element of a message: its name.
        impl Serialize for $Enum {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }
    };
}

verbs! {
    /// A request that nodes know by name. Any other name is that of a function.
    ///
    /// ```
    /// use aemp::Generation;
    /// use aemp::proto::Verb;
    /// assert_eq!(Verb::parse("kil1"), Some(Verb::Kil1));
    /// assert_eq!(Verb::parse("my::function"), None);
    /// assert_eq!(Verb::Spawn.to_string(), "AnyEvent::MP::_spawn");
    /// assert!(Verb::all().all(|verb| Verb::parse(verb.name()) == Some(verb)));
    /// assert!(Verb::Info.known_in(Generation::Gen1b) && !Verb::Info.known_in(Generation::Gen2));
    /// assert!(Verb::Time.told_by_can(Generation::Gen2));
    /// ```
    pub enum Verb {
        /// Nothing.
        Empty = "", [_], true;
        /// Nothing, whatever its arguments are.
        Devnull = "devnull", [_], true;
        /// The sender monitors a port of the receiver's.
        Mon1 = "mon1", [_], true;
        /// It does so no longer.
        Mon0 = "mon0", [_], true;
        /// What it says depends on the generation: see [`fate`](Verb::fate).
        Kil = "kil", [Gen0 | Gen1a | Gen1b], true;
        /// A monitored port of the sender's died.
        Kil0 = "kil0", [Gen1b | Gen2], true;
        /// A port of the receiver's is to be killed.
        Kil1 = "kil1", [Gen2], true;
        /// A port is to be created. To Perl this is the name of a function, which `can` does not
        /// tell.
        Spawn = "AnyEvent::MP::_spawn", [_], false;
        /// A message is to be sent on.
        Snd = "snd", [_], true;
        /// Several messages are to be sent on.
        SndMultiple = "snd_multiple", [Gen0 | Gen1a | Gen1b], true;
        /// The receiver's node ID is asked for.
        Info = "info", [Gen0 | Gen1a | Gen1b], true;
        /// The IDs of all nodes that it knows.
        KnownNodes = "known_nodes", [Gen0 | Gen1a | Gen1b], true;
        /// The IDs of the nodes that it has links to.
        UpNodes = "up_nodes", [Gen0 | Gen1a | Gen1b], true;
        /// Whether it knows a request.
        Can = "can", [Gen2], true;
        /// The time.
        Time = "time", [_], true;
        /// An expression is to be evaluated.
        Eval = "eval", [_], true;
        /// Who waits for room in a port of the sender's is to wait. Nodes of this crate alone know
        /// this and the next, whatever their generation; they say so when they greet, and are not
        /// asked with `can`.
        Hold = "aemp_hold", [_], false;
        /// It may go on.
        Go = "aemp_go", [_], false;
        /// A message to a port, or a request, that belongs to a trace. Nodes of this crate know it
        /// that have been asked to; they say so when they greet.
        Traced = "aemp_trace", [_], false;
    }
    and {
        /// Something about the database.
        Database(DatabaseVerb)
    }
}

verbs! {
    /// A request about the database (PROTOCOL.md, "The database (generation 2)").
    ///
    /// ```
    /// use aemp::proto::verb::{DatabaseVerb, Verb};
    /// assert_eq!(DatabaseVerb::parse("g_find"), Some(DatabaseVerb::Find));
    /// assert_eq!(Verb::parse("g_find"), Some(Verb::Database(DatabaseVerb::Find)));
    /// assert_eq!(DatabaseVerb::DbKeys.name(), "g_db_keys");
    /// ```
    pub enum DatabaseVerb {
        /// The sender is a global node.
        Global = "g_global", [Gen2], true;
        /// The receiver is to be the sender's master.
        Slave = "g_slave", [Gen2], true;
        /// What a global node tells another of its slaves.
        Set = "g_set", [Gen2], true;
        /// Keys of a family are set or deleted.
        Upd = "g_upd", [Gen2], true;
        /// Where a node listens is asked for.
        Find = "g_find", [Gen2], true;
        /// The answer to that.
        Found = "g_found", [Gen2], true;
        /// The keys and values of a family are asked for.
        DbFamily = "g_db_family", [Gen2], true;
        /// Its keys.
        DbKeys = "g_db_keys", [Gen2], true;
        /// Its values.
        DbValues = "g_db_values", [Gen2], true;
        /// The answer to such a question.
        Reply = "g_reply", [Gen2], true;
        /// The sender monitors a family.
        Mon1 = "g_mon1", [Gen2], true;
        /// It does so no longer.
        Mon0 = "g_mon0", [Gen2], true;
        /// The content of a monitored family.
        Chg1 = "g_chg1", [Gen2], true;
        /// What has changed in it.
        Chg2 = "g_chg2", [Gen2], true;
    }
}

/// Two verbs mean one thing in one generation and another in the next.
impl Generation {
    /// The node request that tells the death of a monitored port.
    ///
    /// ```
    /// use aemp::{Generation, proto::Verb};
    /// let verbs = [Generation::Gen1a, Generation::Gen1b].map(Generation::death_verb);
    /// assert_eq!(verbs, [Verb::Kil, Verb::Kil0]);
    /// ```
    pub fn death_verb(self) -> Verb {
        match self {
            Generation::Gen0 | Generation::Gen1a => Verb::Kil,
            Generation::Gen1b | Generation::Gen2 => Verb::Kil0,
        }
    }

    /// The node request that kills a port of the receiver's.
    ///
    /// ```
    /// use aemp::{Generation, proto::Verb};
    /// let verbs = [Generation::Gen1b, Generation::Gen2].map(Generation::kill_verb);
    /// assert_eq!(verbs, [Verb::Kil, Verb::Kil1]);
    /// ```
    pub fn kill_verb(self) -> Verb {
        match self {
            Generation::Gen0 | Generation::Gen1a | Generation::Gen1b => Verb::Kil,
            Generation::Gen2 => Verb::Kil1,
        }
    }
}

/// What a request says of a port.
///
/// See [`Verb::fate`] for an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// A port of the sender's, which the receiver monitors, died.
    Died,
    /// A port of the receiver's is to be killed.
    Kill,
}

impl Verb {
    /// What the request says of a port, if it comes from a node of that generation. `None` if that
    /// generation has no such request, or it says no such thing.
    ///
    /// ```
    /// use aemp::Generation;
    /// use aemp::proto::verb::{Fate, Verb};
    /// assert_eq!(Verb::Kil.fate(Generation::Gen1a), Some(Fate::Died));
    /// assert_eq!(Verb::Kil.fate(Generation::Gen1b), Some(Fate::Kill));
    /// assert_eq!(Verb::Kil.fate(Generation::Gen2), None);
    /// ```
    pub fn fate(self, generation: Generation) -> Option<Fate> {
        // Where one verb is both, it tells a death: no node of that generation can be told to kill.
        if self == generation.death_verb() {
            Some(Fate::Died)
        } else if self == generation.kill_verb() {
            Some(Fate::Kill)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const ALL: [Generation; 4] = [Gen0, Gen1a, Gen1b, Gen2];

    #[test]
    fn names_are_unique_and_parse_back() {
        let mut names = HashMap::new();
        for verb in Verb::all() {
            assert_eq!(names.insert(verb.name(), verb), None, "{verb:?}");
            assert_eq!(Verb::parse(verb.name()), Some(verb));
            assert_eq!(verb.to_string(), verb.name());
            assert_eq!(serde_json::to_value(verb).unwrap(), verb.name());
        }
        for verb in DatabaseVerb::all() {
            assert!(verb.name().starts_with("g_"), "{verb}");
            assert_eq!(names.get(verb.name()), Some(&Verb::Database(verb)));
        }
    }

    /// The table of PROTOCOL.md, read once more.
    #[test]
    fn who_knows_what() {
        let known = |generation| {
            let verbs = Verb::all().filter(|verb| verb.known_in(generation));
            let mut names: Vec<_> = verbs.map(Verb::name).collect();
            names.retain(|name| !name.starts_with("g_"));
            names.sort_unstable();
            names.join(" ")
        };
        let [old, new_1b, new] = [
            " AnyEvent::MP::_spawn aemp_go aemp_hold aemp_trace devnull eval info kil known_nodes mon0 mon1 snd snd_multiple time up_nodes",
            " AnyEvent::MP::_spawn aemp_go aemp_hold aemp_trace devnull eval info kil kil0 known_nodes mon0 mon1 snd snd_multiple time up_nodes",
            " AnyEvent::MP::_spawn aemp_go aemp_hold aemp_trace can devnull eval kil0 kil1 mon0 mon1 snd time",
        ];
        assert_eq!(ALL.map(known), [old, old, new_1b, new]);
        for verb in DatabaseVerb::all() {
            assert_eq!(
                ALL.map(|generation| verb.known_in(generation)),
                [false, false, false, true]
            );
        }
    }

    #[test]
    fn can_tells_of_what_perl_nodes_tell_of() {
        for (verb, generation) in Verb::all().flat_map(|verb| ALL.map(|g| (verb, g))) {
            let untold = matches!(verb, Verb::Spawn | Verb::Hold | Verb::Go | Verb::Traced);
            let told = verb.known_in(generation) && !untold;
            assert_eq!(verb.told_by_can(generation), told, "{verb} {generation}");
        }
    }

    #[test]
    fn deaths_and_kills() {
        use Fate::{Died, Kill};
        for (verb, fates) in [
            (Verb::Kil, [Some(Died), Some(Died), Some(Kill), None]),
            (Verb::Kil0, [None, None, Some(Died), Some(Died)]),
            (Verb::Kil1, [None, None, None, Some(Kill)]),
        ] {
            assert_eq!(ALL.map(|generation| verb.fate(generation)), fates, "{verb}");
        }
        for (verb, generation) in Verb::all().flat_map(|verb| ALL.map(|g| (verb, g))) {
            let is_one = matches!(verb, Verb::Kil | Verb::Kil0 | Verb::Kil1);
            let fate = verb.fate(generation);
            assert_eq!(
                fate.is_some(),
                is_one && verb.known_in(generation),
                "{verb} {generation}"
            );
            assert!(fate != Some(Kill) || generation.has_remote_kill());
        }
    }

    fn names() -> Vec<String> {
        Verb::all().map(|verb| verb.name().to_owned()).collect()
    }

    proptest! {
        #[test]
        fn a_string_is_a_verb_if_it_is_in_the_table(
            name in prop_oneof![
                ".*",
                "(g_)?(mon|kil|chg)[0-2]?",
                proptest::sample::select(names()),
            ],
            more in "[ #:0a-z]?",
        ) {
            let name = name + &more;
            let listed = Verb::all().find(|verb| verb.name() == name);
            prop_assert_eq!(Verb::parse(&name), listed);
        }
    }
}
