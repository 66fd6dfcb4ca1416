//! The configuration commands, each said once: what they do, what they take, an example. The help,
//! the manual page, the completions and the reading of a command line all come from here.

use std::sync::LazyLock;

/// What the value of a setting looks like, and so which subcommands it has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One text or number: `setX`, `delX`.
    Scalar,
    /// The same, but a plain argument stands for its octets, see
    /// [`octets_as_text`](super::octets_as_text).
    Octets,
    /// A yes or no, kept as "1" or "0": `setX`, `delX`.
    Truth,
    /// Texts: `setX` with commas or as a JSON array, `delX`.
    List,
    /// A list that also has `addY`, which keeps each element once, and `delY`: addresses, rules.
    Addresses,
    /// A list that also has `addY`, and `delY` which removes one occurrence. Elements may be
    /// arrays.
    Services,
}

/// A setting.
pub(super) struct Setting {
    pub(super) key: &'static str,
    pub(super) kind: Kind,
    /// The name of one element of a list that has `add` and `del` for them; else empty.
    pub(super) one: &'static str,
    /// What stands for the value, or for one element of it, in the help.
    value: &'static str,
    /// What to call a value that is missing.
    pub(super) missing: &'static str,
    /// What it is.
    about: &'static str,
    /// The value of an example; the element of it, if there is a name for one.
    example: &'static str,
    /// All values there are, if they are few.
    offers: &'static [&'static str],
    group: Group,
}

/// The headings under which the commands are listed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Node,
    Network,
    Trust,
    Profiles,
    Rights,
    Protocol,
    Limits,
}

impl Group {
    /// All, in the order of the help.
    pub(crate) const ALL: [Group; 7] = [
        Group::Node,
        Group::Network,
        Group::Trust,
        Group::Profiles,
        Group::Rights,
        Group::Protocol,
        Group::Limits,
    ];

    pub(crate) fn heading(self) -> &'static str {
        match self {
            Group::Node => "The node",
            Group::Network => "Where it listens, and where it finds the network",
            Group::Trust => "Secret and certificate, which all nodes of a network share",
            Group::Profiles => "Profiles",
            Group::Rights => "What other nodes may do here",
            Group::Protocol => "Protocol",
            Group::Limits => "Limits",
        }
    }
}

const TRUTH: &[&str] = &["0", "1"];
const FRAMINGS: &[&str] = &["cbor", "json", "storable", "cbor,json,storable"];
const METHODS: &[&str] = &[
    "tls_sha3_512",
    "tls_md6_64_256",
    "hmac_sha3_512",
    "hmac_md6_64_256",
    "tls_anon",
    "cleartext",
];
/// What to call a rule that is missing.
const RULE: &str = "the rule: WHO ACTION [NAME]";

const fn scalar(
    group: Group,
    key: &'static str,
    value: &'static str,
    missing: &'static str,
    about: &'static str,
    example: &'static str,
) -> Setting {
    Setting {
        key,
        kind: Kind::Scalar,
        one: "",
        value,
        missing,
        about,
        example,
        offers: &[],
        group,
    }
}

const fn truth(group: Group, key: &'static str, about: &'static str) -> Setting {
    Setting {
        kind: Kind::Truth,
        offers: TRUTH,
        ..scalar(group, key, "0|1", "0 or 1", about, "1")
    }
}

const fn limit(
    key: &'static str,
    missing: &'static str,
    about: &'static str,
    example: &'static str,
) -> Setting {
    scalar(Group::Limits, key, "NUMBER", missing, about, example)
}

const fn list(setting: Setting, kind: Kind, one: &'static str) -> Setting {
    Setting {
        kind,
        one,
        ..setting
    }
}

const fn offering(setting: Setting, offers: &'static [&'static str]) -> Setting {
    Setting { offers, ..setting }
}

const SECONDS: &str = "the number of seconds";
const OCTETS: &str = "the number of octets";

#[rustfmt::skip]
pub(super) const SETTINGS: &[Setting] = &[
    Setting { kind: Kind::Octets, ..scalar(Group::Node, "nodeid", "ID", "the node ID", "its ID; %n: the host's name, %u: random", "shop/%n/%u") },
    list(scalar(Group::Node, "services", "SERVICE", "the service", "what to start with the node", "mymod::service::"), Kind::Services, "service"),
    Setting { kind: Kind::List, ..scalar(Group::Node, "services_path", "FOLDER", "the list of folders", "where programs are that are services", "/usr/local/lib/services") },
    truth(Group::Node, "optional_services", "1: goes on if a service does not start"),
    scalar(Group::Node, "http", "HOST:PORT", "the address", "where to show the network to browsers", "127.0.0.1:9100"),
    list(scalar(Group::Network, "binds", "HOST:PORT", "the bind address", "where to listen; * is all hosts, or any port", "'*:4040'"), Kind::Addresses, "bind"),
    list(scalar(Group::Network, "seeds", "HOST:PORT", "the seed address", "where to find the network", "doomed:4040"), Kind::Addresses, "seed"),
    Setting { kind: Kind::Octets, ..scalar(Group::Trust, "secret", "TEXT", "the shared secret", "the shared secret", "geheim") },
    truth(Group::Trust, "require_tls", "1: nodes without TLS are refused"),
    scalar(Group::Profiles, "parent", "NAME", "the name of the parent profile", "the profile to inherit from", "base"),
    truth(Group::Rights, "secure", "1: others can have nothing run here"),
    list(scalar(Group::Rights, "allow", "RULE", RULE, "what is allowed: WHO ACTION [NAME]", "'shop/* spawn job::*'"), Kind::Addresses, "allow"),
    list(scalar(Group::Rights, "deny", "RULE", RULE, "what is refused: WHO ACTION [NAME]", "'guest* relay'"), Kind::Addresses, "deny"),
    offering(scalar(Group::Protocol, "generation", "auto|0|1|2", "the generation", "0: 0.95 to 1.0, 1: 1.1 to 1.30, 2: 2.x", "1"), &["auto", "0", "1", "2"]),
    offering(list(scalar(Group::Protocol, "bridge", "all|LIST", "all, or a list of generations", "the generations to be a bridge between", "0,1"), Kind::List, ""), &["all", "0,1", "1,2", "0,2"]),
    scalar(Group::Protocol, "monitor_timeout", "SECONDS", SECONDS, "without success, a node counts as lost", "30"),
    scalar(Group::Protocol, "connect_interval", "SECONDS", SECONDS, "until the next address is tried", "2"),
    scalar(Group::Protocol, "network_latency", "SECONDS", SECONDS, "that a message may take (generation 0)", "3"),
    offering(list(scalar(Group::Protocol, "framing_format", "LIST", "the list of framings", "framings, best first", "json,storable"), Kind::List, ""), FRAMINGS),
    offering(list(scalar(Group::Protocol, "auth_offer", "LIST", "the list of authentication methods", "how to prove that we know the secret", "hmac_sha3_512"), Kind::List, ""), METHODS),
    offering(list(scalar(Group::Protocol, "auth_accept", "LIST", "the list of authentication methods", "how others may prove that they do", "hmac_sha3_512"), Kind::List, ""), METHODS),
    truth(Group::Protocol, "autocork", "kept for Perl"),
    truth(Group::Protocol, "nodelay", "0: small messages are gathered (Nagle)"),
    truth(
        Group::Protocol,
        "trace_context",
        "1: messages say which trace they belong to",
    ),
    limit("max_message", OCTETS, "octets of a message", "67108864"),
    limit("max_depth", "the number of levels", "levels of nesting in a message", "512"),
    limit("max_queue", OCTETS, "octets that wait for a node or port", "67108864"),
    limit("max_mailbox", "the number of messages", "messages that wait in a port", "1000000"),
    limit("max_memory", OCTETS, "octets that all nodes may have us hold", "536870912"),
    limit("max_nodes", "the number of nodes", "nodes that others have us try to reach", "10000"),
    limit("max_handshakes", "the number of connections", "connections that have proved nothing", "1024"),
    scalar(Group::Limits, "greeting_timeout", "SECONDS", SECONDS, "that a greeting may take", "10"),
    limit("max_dials", "the number of connections", "connections made at a time", "64"),
    limit("max_log_lines", "the number of lines a minute", "lines of a kind, a node and a minute", "60"),
    limit("max_hops", "the number of hops", "times that a message is sent on here", "1000"),
    limit("max_name", OCTETS, "octets of a name", "65536"),
    limit("max_reason", OCTETS, "octets of a reason", "65536"),
    limit("max_request", OCTETS, "octets about the mesh or the database", "16777216"),
    limit("max_keys", "the number of keys", "keys of a node in the database", "1000000"),
    limit("max_families", "the number of families", "families that a node follows", "100000"),
];

/// What a command does.
#[derive(Clone, Copy)]
pub(super) enum Command {
    Set(&'static Setting),
    Unset(&'static str),
    Add(&'static Setting),
    Remove(&'static Setting),
    GenCert,
    SetCert,
    ShowCert,
    GenSecret,
    Profile,
    DelProfile,
    ShowProfile,
    ShowConfig,
    Resolve,
}

/// What follows the name of a command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Nothing,
    /// One argument.
    One,
    /// The name of a profile.
    Profile,
    /// The name of a file.
    File,
    /// A profile and settings: all that is left.
    Settings,
}

/// A configuration command.
pub(crate) struct Info {
    pub(crate) name: String,
    /// The name without `set`.
    pub(crate) alias: Option<&'static str>,
    /// How its arguments are written.
    pub(crate) usage: String,
    pub(crate) takes: Takes,
    /// All arguments it has, if they are few.
    pub(crate) offers: &'static [&'static str],
    pub(crate) about: String,
    /// The whole line of an example.
    pub(crate) example: String,
    pub(crate) group: Group,
    pub(super) command: Command,
}

impl Info {
    /// Whether this is the command's name.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name == name || self.alias == Some(name)
    }

    /// All its names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.name).chain(self.alias)
    }

    /// Whether the shells offer it.
    pub(crate) fn is_offered(&self) -> bool {
        !matches!(self.command, Command::Resolve)
    }

    /// Whether it stands in the list of commands; each `set` has its `del`, so these go without
    /// saying.
    pub(crate) fn is_listed(&self) -> bool {
        !matches!(self.command, Command::Unset(_) | Command::Resolve)
    }
}

/// All configuration commands.
pub(crate) static COMMANDS: LazyLock<Vec<Info>> = LazyLock::new(|| {
    let mut all = Vec::new();
    for setting in SETTINGS {
        of_setting(setting, &mut all);
    }
    all.extend(others());
    all
});

/// The command of that name.
pub(crate) fn find(name: &str) -> Option<&'static Info> {
    COMMANDS.iter().find(|info| info.is(name))
}

/// The values that a setting has, if they are few.
pub(crate) fn offers(key: &str) -> &'static [&'static str] {
    let setting = SETTINGS.iter().find(|setting| setting.key == key);
    setting.map_or(&[], |setting| setting.offers)
}

fn of_setting(setting: &'static Setting, all: &mut Vec<Info>) {
    let &Setting {
        key,
        kind,
        one,
        value,
        about,
        example,
        offers,
        group,
        ..
    } = setting;
    let takes = match key {
        "parent" => Takes::Profile,
        _ => Takes::One,
    };
    let mut add = |name: String, usage: String, takes, about: String, example, command| {
        all.push(Info {
            alias: name.strip_prefix("set").map(|_| key),
            offers: if takes == Takes::One { offers } else { &[] },
            name,
            usage,
            takes,
            about,
            example,
            group,
            command,
        });
    };
    let name = format!("set{key}");
    let usage = match kind {
        Kind::Addresses | Kind::Services => format!("{value},.."),
        _ => value.to_owned(),
    };
    let line = format!("aemp {name} {example}");
    add(
        name,
        usage,
        takes,
        about.to_owned(),
        line,
        Command::Set(setting),
    );
    if !one.is_empty() {
        for (verb, about, command) in [
            ("add", format!("add one to {key}"), Command::Add(setting)),
            (
                "del",
                format!("take one of {key} away"),
                Command::Remove(setting),
            ),
        ] {
            let name = format!("{verb}{one}");
            let line = format!("aemp {name} {example}");
            add(name, value.to_owned(), Takes::One, about, line, command);
        }
    }
    // Where one element is called what the list is, `del` is about one element.
    if one != key {
        add(
            format!("del{key}"),
            String::new(),
            Takes::Nothing,
            format!("take {key} away, which is inherited then, or has its default: {about}"),
            format!("aemp profile seed del{key}"),
            Command::Unset(key),
        );
    }
}

/// The commands that are about no setting, or about one in a way of their own.
fn others() -> impl Iterator<Item = Info> {
    use {Group::*, Takes::*};
    #[rustfmt::skip]
    let all = [
        ("gensecret", "", Nothing, Trust, "make a random secret and keep it", "gensecret", Command::GenSecret),
        ("gencert", "", Nothing, Trust, "make a key and a certificate and keep them", "gencert", Command::GenCert),
        ("setcert", "FILE", File, Trust, "keep the key and certificates of a PEM file", "setcert shared.pem", Command::SetCert),
        ("delcert", "", Nothing, Trust, "take cert away, which is inherited then: key and certificates", "delcert", Command::Unset("cert")),
        ("showcert", "[FILE]", File, Trust, "whose it is, until when, fingerprints", "showcert shared.pem", Command::ShowCert),
        ("profile", "NAME", Profile, Profiles, "what follows is about this profile", "profile seed nodeid anon/ binds '*:4040'", Command::Profile),
        ("delprofile", "NAME", Profile, Profiles, "take a profile away", "delprofile seed", Command::DelProfile),
        ("showprofile", "NAME", Profile, Profiles, "show what a profile says itself", "showprofile seed", Command::ShowProfile),
        ("showconfig", "[NAME [KEY VALUE..]]", Settings, Profiles, "show what a node of it would use", "showconfig seed", Command::ShowConfig),
        ("_resolve", "HOST:PORT,..", One, Network, "look addresses up, as binds and seeds are", "_resolve localhost:4040", Command::Resolve),
    ];
    all.into_iter().map(
        |(name, usage, takes, group, about, example, command)| Info {
            name: name.to_owned(),
            alias: name.strip_prefix("set"),
            usage: usage.to_owned(),
            takes,
            offers: &[],
            about: about.to_owned(),
            example: format!("aemp {example}"),
            group,
            command,
        },
    )
}
