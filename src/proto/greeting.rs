//! The first greeting line (PROTOCOL.md, "Greeting").
//!
//! `aemp;VERSION;NODEID;AUTH,AUTH..;FRAMING,FRAMING..;KEY=VALUE..`, and of a data connection the
//! same with another first word.

use std::fmt::Write as _;

use crate::proto::NodeId;

/// The first word of the greeting of a connection that is to become a link.
///
/// ```
/// assert_eq!(aemp::proto::greeting::PROTOCOL, "aemp");
/// ```
pub const PROTOCOL: &str = "aemp";

/// What a connection is made for, which the first word of its greeting says.
///
/// ```
/// use aemp::proto::{Greeting, greeting::Purpose};
/// let line = "aemp-dataconn;1;ruth;cleartext;json;dataconn_id=b@ruth";
/// let greeting = Greeting::parse(line.as_bytes())?;
/// assert_eq!(greeting.purpose, Purpose::Data);
/// assert_eq!(greeting.data_id(), Some("b@ruth"));
/// # Ok::<(), aemp::proto::greeting::GreetingError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A link, by which messages go.
    Link,
    /// A data connection (PROTOCOL.md, "Data connections"): octets of the program's own. Only who
    /// connects says so; who accepts greets as for a link.
    Data,
}

impl Purpose {
    /// All of them.
    ///
    /// See [`word`](Self::word) for an example.
    pub const ALL: [Purpose; 2] = [Purpose::Link, Purpose::Data];

    /// The first word of the greeting.
    ///
    /// ```
    /// use aemp::proto::greeting::Purpose;
    /// assert_eq!(Purpose::ALL.map(Purpose::word), ["aemp", "aemp-dataconn"]);
    /// ```
    pub const fn word(self) -> &'static str {
        match self {
            Purpose::Link => PROTOCOL,
            Purpose::Data => "aemp-dataconn",
        }
    }
}

/// The greeting key that says which data connection it is.
///
/// ```
/// use aemp::proto::{greeting::DATA_ID_KEY, handshake::Local};
/// let greeting = Local::new("ruth".into(), None).for_data("b@ruth").greeting(1, "127.0.0.1:4040");
/// assert_eq!(greeting.param(DATA_ID_KEY), Some("b@ruth"));
/// ```
pub const DATA_ID_KEY: &str = "dataconn_id";

/// The greeting key in which a node of this crate lists the generations that it speaks.
///
/// Perl nodes ignore it. It keeps the gossip from telling a node of addresses of nodes that it
/// can't talk to (PROTOCOL.md, "Mixed meshes").
///
/// ```
/// use aemp::proto::{greeting::GENERATIONS_KEY, handshake::Local};
/// let greeting = Local::new("ruth".into(), None).greeting(1, "127.0.0.1:4040");
/// assert_eq!(greeting.param(GENERATIONS_KEY), Some("2,1,0"));
/// ```
pub const GENERATIONS_KEY: &str = "generations";

/// The greeting key, with the value `1`, by which a node says that it is to be told when to wait
/// before it sends more to a port ([`Verb::Hold`](crate::proto::Verb::Hold)).
///
/// Every node of this crate says so. Perl nodes ignore it, and are never told.
///
/// ```
/// use aemp::proto::{greeting::HOLD_KEY, handshake::Local};
/// let greeting = Local::new("ruth".into(), None).greeting(0, "127.0.0.1:4040");
/// assert_eq!(greeting.param(HOLD_KEY), Some("1"));
/// assert!(greeting.waits_when_told());
/// ```
pub const HOLD_KEY: &str = "hold";

/// The greeting key, with the value `1`, by which a node says that it takes messages that say which
/// trace they belong to ([`Verb::Traced`](crate::proto::Verb::Traced)).
///
/// Nodes of this crate say so if they are asked to; Perl nodes ignore it.
///
/// ```
/// use aemp::proto::{greeting::TRACE_KEY, handshake::Local};
/// let mut local = Local::new("ruth".into(), None);
/// assert_eq!(local.greeting(1, "127.0.0.1:4040").param(TRACE_KEY), None);
/// local.traces = true;
/// assert_eq!(local.greeting(1, "127.0.0.1:4040").param(TRACE_KEY), Some("1"));
/// ```
pub const TRACE_KEY: &str = "trace";

/// The greeting keys by which a node of generation 2 is known: the versions of its monitoring
/// protocol and of its services, both 1.
///
/// ```
/// use aemp::proto::{greeting::MONITOR_KEY, handshake::Local};
/// let greeting = Local::new("ruth".into(), None).greeting(1, "127.0.0.1:4040");
/// assert_eq!(greeting.param(MONITOR_KEY), Some("1"));
/// ```
pub const MONITOR_KEY: &str = "mproto";

/// See [`MONITOR_KEY`].
///
/// ```
/// assert_eq!(aemp::proto::greeting::SERVICES_KEY, "gproto");
/// ```
pub const SERVICES_KEY: &str = "gproto";

/// The greeting key of a node that wants TLS, and what it says there (PROTOCOL.md, "TLS").
///
/// ```
/// use aemp::proto::{greeting::TLS_KEY, handshake::{Local, TlsUse}};
/// let mut local = Local::new("ruth".into(), None);
/// local.tls = TlsUse::Offered;
/// assert_eq!(local.greeting(1, "127.0.0.1:4040").param(TLS_KEY), Some("1.0"));
/// ```
pub const TLS_KEY: &str = "tls";

/// See [`TLS_KEY`].
///
/// ```
/// assert_eq!(aemp::proto::greeting::TLS_VERSION, "1.0");
/// ```
pub const TLS_VERSION: &str = "1.0";

/// A parsed first greeting line.
///
/// ```
/// use aemp::proto::Greeting;
/// let line = "aemp;1;ruth;hmac_md6_64_256,cleartext;json;provider=AE-1.30;peeraddr=127.0.0.1:4040";
/// let greeting = Greeting::parse(line.as_bytes())?;
/// assert_eq!((greeting.version, greeting.node.as_str()), (1, "ruth"));
/// assert_eq!(greeting.auths, ["hmac_md6_64_256", "cleartext"]);
/// assert_eq!(greeting.to_line(), line);
/// # Ok::<(), aemp::proto::greeting::GreetingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Greeting {
    /// What the connection is made for.
    pub purpose: Purpose,
    /// The greeting version: 0 or 1 in the releases known so far.
    pub version: u32,
    /// Who greets.
    pub node: NodeId,
    /// The authentication methods that the greeter accepts, most welcome first.
    pub auths: Vec<String>,
    /// The framings that the greeter accepts, most welcome first.
    pub framings: Vec<String>,
    /// The `KEY=VALUE` pairs in their order, values unescaped.
    pub params: Vec<(String, String)>,
}

/// Why a line is no greeting.
///
/// ```
/// let error = aemp::proto::Greeting::parse(b"HTTP/1.1 400 Bad Request").unwrap_err();
/// assert_eq!(error.to_string(), r#"not an AEMP greeting: it begins with "HTTP/1.1 400 Bad Request""#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GreetingError {
    /// The line begins neither with `aemp` nor with `aemp-dataconn`.
    #[error("not an AEMP greeting: it begins with {found:?}")]
    NotAemp {
        /// The first field, at most 40 characters of it.
        found: String,
    },
    /// A field is missing.
    #[error("the greeting has no {field}")]
    Missing {
        /// The name of the field.
        field: &'static str,
    },
    /// The version is not a number.
    #[error("the greeting's version {found:?} is not a number")]
    BadVersion {
        /// What stands there, at most 40 characters of it.
        found: String,
    },
}

impl Greeting {
    /// Parses a first greeting line, without its line end. Each octet is a character, U+0000 to
    /// U+00FF (PROTOCOL.md, "Greeting").
    ///
    /// # Errors
    ///
    /// [`GreetingError`] says which field is wrong.
    ///
    /// ```
    /// use aemp::proto::Greeting;
    /// assert_eq!(Greeting::parse(b"aemp;0;ruth;cleartext;json").unwrap().version, 0);
    /// assert!(Greeting::parse(b"aemp;0;ruth").is_err());
    /// assert_eq!(Greeting::parse(b"aemp;0;b\xfc;cleartext;json").unwrap().node, "bü");
    /// ```
    pub fn parse(line: &[u8]) -> Result<Self, GreetingError> {
        let line = characters(line);
        let mut fields = line.split(';');
        let word = fields.next().unwrap_or_default();
        let mut purposes = Purpose::ALL.into_iter();
        let purpose = purposes.find(|known| known.word() == word);
        let purpose = purpose.ok_or_else(|| GreetingError::NotAemp {
            found: word.chars().take(40).collect(),
        })?;
        let mut field = |field| fields.next().ok_or(GreetingError::Missing { field });
        let version = field("version")?;
        let version = version.parse().map_err(|_| GreetingError::BadVersion {
            found: version.chars().take(40).collect(),
        })?;
        let node = field("node ID")?;
        if node.is_empty() || node.contains('#') {
            return Err(GreetingError::Missing { field: "node ID" });
        }
        let auths = list(field("list of authentication methods")?);
        let framings = list(field("list of framings")?);
        let params = fields
            .filter(|pair| !pair.is_empty() && !pair.starts_with('='))
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                (key.to_owned(), unescape(value))
            })
            .collect();
        Ok(Greeting {
            purpose,
            version,
            node: NodeId::new(node),
            auths,
            framings,
            params,
        })
    }

    /// The line as text, without its line end. [`to_octets`](Self::to_octets) has what is sent.
    ///
    /// ```
    /// let line = "aemp;1;ruth;cleartext;json;note=a%3bb";
    /// let greeting = aemp::proto::Greeting::parse(line.as_bytes())?;
    /// assert_eq!(greeting.param("note"), Some("a;b"));
    /// assert_eq!(greeting.to_line(), line);
    /// # Ok::<(), aemp::proto::greeting::GreetingError>(())
    /// ```
    pub fn to_line(&self) -> String {
        let mut line = format!(
            "{};{};{};{};{}",
            self.purpose.word(),
            self.version,
            self.node,
            self.auths.join(","),
            self.framings.join(",")
        );
        for (key, value) in &self.params {
            let _ = write!(line, ";{key}={}", escape(value));
        }
        line
    }

    /// The line as it is sent, without its line end: an octet for each character. A character
    /// beyond U+00FF has none, and becomes `?`; [`NodeId::checked`] lets none pass.
    ///
    /// ```
    /// let greeting = aemp::proto::Greeting::parse(b"aemp;1;b\xfc;cleartext;json")?;
    /// assert_eq!(greeting.to_line(), "aemp;1;bü;cleartext;json");
    /// assert_eq!(greeting.to_octets(), b"aemp;1;b\xfc;cleartext;json");
    /// # Ok::<(), aemp::proto::greeting::GreetingError>(())
    /// ```
    pub fn to_octets(&self) -> Vec<u8> {
        let octet = |c| u8::try_from(c).unwrap_or(b'?');
        self.to_line().chars().map(octet).collect()
    }

    /// The value of a key, the last one if it is there more than once.
    ///
    /// ```
    /// let greeting = aemp::proto::Greeting::parse(b"aemp;1;ruth;cleartext;json;x=1;x=2")?;
    /// assert_eq!((greeting.param("x"), greeting.param("y")), (Some("2"), None));
    /// # Ok::<(), aemp::proto::greeting::GreetingError>(())
    /// ```
    pub fn param(&self, key: &str) -> Option<&str> {
        let found = self.params.iter().rev().find(|(k, _)| k == key);
        found.map(|(_, value)| value.as_str())
    }

    /// Which data connection it is, if it is one and says so.
    ///
    /// See [`Purpose`] for an example.
    pub fn data_id(&self) -> Option<&str> {
        match self.purpose {
            Purpose::Link => None,
            Purpose::Data => self.param(DATA_ID_KEY),
        }
    }

    /// Whether the greeter wants TLS: what it says of it is a number with the integer part 1.
    ///
    /// ```
    /// use aemp::proto::Greeting;
    /// let wants = |tls: &str| {
    ///     let line = format!("aemp;1;ruth;cleartext;json;{tls}");
    ///     Greeting::parse(line.as_bytes()).unwrap().wants_tls()
    /// };
    /// assert!(wants("tls=1.0") && wants("tls=1") && wants("tls=1.7"));
    /// assert!(!wants("tls=2.0") && !wants("tls=10") && !wants("tls=") && !wants("note=1"));
    /// ```
    pub fn wants_tls(&self) -> bool {
        let number = self.param(TLS_KEY).unwrap_or_default().trim_start();
        let digits = number.strip_prefix('+').unwrap_or(number);
        let end = digits.find(|c: char| !c.is_ascii_digit());
        let whole = &digits[..end.unwrap_or(digits.len())];
        whole.trim_start_matches('0') == "1"
    }

    /// The release of AnyEvent::MP that greets, as (major, minor), if it says so.
    ///
    /// `provider=AE-1.30` is `(1, 30)`. The number may be missing in a real greeting.
    ///
    /// ```
    /// let greeting = aemp::proto::Greeting::parse(b"aemp;1;ruth;cleartext;json;provider=AE-1.3")?;
    /// assert_eq!(greeting.perl_release(), Some((1, 30)));
    /// # Ok::<(), aemp::proto::greeting::GreetingError>(())
    /// ```
    pub fn perl_release(&self) -> Option<(u32, u32)> {
        let number = self.param("provider")?.strip_prefix("AE-")?;
        let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
        // Perl's version numbers are decimal fractions: 1.1 is 1.10, 1.2 is 1.20.
        let minor: u32 = match minor.len() {
            1 => minor.parse::<u32>().ok()? * 10,
            2 => minor.parse().ok()?,
            _ => return None,
        };
        Some((major.parse().ok()?, minor))
    }

    /// Whether the greeter is one of the Perl releases.
    ///
    /// ```
    /// use aemp::proto::Greeting;
    /// assert!(Greeting::parse(b"aemp;1;ruth;cleartext;json;provider=AE-1.30")?.is_perl());
    /// assert!(!Greeting::parse(b"aemp;1;ruth;cleartext;json;provider=aemp-rs-0.1.0")?.is_perl());
    /// # Ok::<(), aemp::proto::greeting::GreetingError>(())
    /// ```
    pub fn is_perl(&self) -> bool {
        self.param("provider")
            .is_some_and(|provider| provider.starts_with("AE-"))
    }

    /// Whether the greeter is to be told when to wait: see [`HOLD_KEY`].
    ///
    /// ```
    /// use aemp::proto::Greeting;
    /// assert!(Greeting::parse(b"aemp;1;ruth;cleartext;json;hold=1")?.waits_when_told());
    /// assert!(!Greeting::parse(b"aemp;1;ruth;cleartext;json;provider=AE-1.30")?.waits_when_told());
    /// # Ok::<(), aemp::proto::greeting::GreetingError>(())
    /// ```
    pub fn waits_when_told(&self) -> bool {
        self.param(HOLD_KEY) == Some("1")
    }

    /// Whether the greeter takes messages that say which trace they belong to: see [`TRACE_KEY`].
    ///
    /// ```
    /// use aemp::proto::Greeting;
    /// assert!(Greeting::parse(b"aemp;1;ruth;cleartext;json;trace=1")?.takes_traces());
    /// assert!(!Greeting::parse(b"aemp;1;ruth;cleartext;json;provider=AE-1.30")?.takes_traces());
    /// # Ok::<(), aemp::proto::greeting::GreetingError>(())
    /// ```
    pub fn takes_traces(&self) -> bool {
        self.param(TRACE_KEY) == Some("1")
    }

    /// Whether the greeter can speak the generation of this number on a connection of its own: it
    /// lists it, or it greets as only that generation does.
    ///
    /// ```
    /// use aemp::proto::Greeting;
    /// let perl = Greeting::parse(b"aemp;1;ruth;cleartext;json;provider=AE-2.01;mproto=1")?;
    /// assert!(perl.speaks(2) && !perl.speaks(1));
    /// let rust = Greeting::parse(b"aemp;1;ruth;cleartext;json;mproto=1;generations=2,1,0")?;
    /// assert!(rust.speaks(2) && rust.speaks(1) && rust.speaks(0));
    /// # Ok::<(), aemp::proto::greeting::GreetingError>(())
    /// ```
    pub fn speaks(&self, generation: u32) -> bool {
        if let Some(list) = self.param(GENERATIONS_KEY) {
            return list
                .split(',')
                .any(|number| number.parse() == Ok(generation));
        }
        let spoken = match (self.version, self.param(MONITOR_KEY)) {
            (1, Some(_)) => 2,
            (version, _) => version,
        };
        spoken == generation
    }

    /// The greeter's idle time-out in seconds (generation 0 announces it).
    ///
    /// ```
    /// let greeting = aemp::proto::Greeting::parse(b"aemp;0;ruth;cleartext;json;timeout=12")?;
    /// assert_eq!(greeting.timeout_secs(), Some(12.0));
    /// # Ok::<(), aemp::proto::greeting::GreetingError>(())
    /// ```
    pub fn timeout_secs(&self) -> Option<f64> {
        let secs: f64 = self.param("timeout")?.parse().ok()?;
        (secs.is_finite() && secs > 0.0).then_some(secs)
    }
}

/// A line as Perl nodes read it: a character for each octet.
fn characters(line: &[u8]) -> String {
    line.iter().copied().map(char::from).collect()
}

fn list(field: &str) -> Vec<String> {
    let names = field.split(',').filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

fn escape(value: &str) -> String {
    value.replace('%', "%25").replace(';', "%3b")
}

fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let (c, len) = match rest.get(at + 1..at + 3) {
            Some("25") => ('%', 3),
            Some("3b" | "3B") => (';', 3),
            _ => ('%', 1),
        };
        out.push(c);
        rest = &rest[at + len..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_a_real_one() {
        let line = "aemp;0;bob;tls_md6_64_256,hmac_md6_64_256,tls_anon,cleartext;json,storable;peeraddr=127.0.0.1:4441;provider=AE-1.0;timeout=12";
        let greeting = Greeting::parse(line.as_bytes()).unwrap();
        assert_eq!(greeting.version, 0);
        assert_eq!(greeting.node, "bob");
        assert_eq!(greeting.auths.len(), 4);
        assert_eq!(greeting.framings, ["json", "storable"]);
        assert_eq!(greeting.timeout_secs(), Some(12.0));
        assert_eq!(greeting.perl_release(), Some((1, 0)));
        assert_eq!(greeting.to_line(), line);
    }

    /// As 1.30 greets.
    #[test]
    fn reads_that_of_a_data_connection() {
        let line = "aemp-dataconn;1;bob;tls_md6_64_256,hmac_md6_64_256,tls_anon,cleartext;json,storable;dataconn_id=b@bob;provider=AE-1.30;peeraddr=127.0.0.1:14301";
        let greeting = Greeting::parse(line.as_bytes()).unwrap();
        assert_eq!(greeting.purpose, Purpose::Data);
        assert_eq!(greeting.data_id(), Some("b@bob"));
        assert_eq!(greeting.to_line(), line);
        // The key alone makes none.
        let link = line.replacen("aemp-dataconn", "aemp", 1);
        assert_eq!(Greeting::parse(link.as_bytes()).unwrap().data_id(), None);
        let other = line.replacen("aemp-dataconn", "aemp-other", 1);
        assert!(Greeting::parse(other.as_bytes()).is_err());
    }

    #[test]
    fn says_what_is_wrong() {
        let error = |line: &[u8]| Greeting::parse(line).unwrap_err();
        assert_eq!(
            error(b"HTTP/1.1 200 OK"),
            GreetingError::NotAemp {
                found: "HTTP/1.1 200 OK".into()
            }
        );
        assert!(matches!(
            error(b"aemp;x;n;a;f"),
            GreetingError::BadVersion { .. }
        ));
        assert!(matches!(error(b"aemp"), GreetingError::Missing { .. }));
        assert!(matches!(
            error(b"aemp;1;n;a"),
            GreetingError::Missing {
                field: "list of framings"
            }
        ));
        assert!(matches!(
            error(b"aemp;1;;a;f"),
            GreetingError::Missing { field: "node ID" }
        ));
    }

    /// A character beyond an octet has none, and what is UTF-8 is no less one octet a character.
    #[test]
    fn octets_are_characters() {
        let greeting = Greeting::parse("aemp;1;b\u{fc};a;f;x=\u{263a}".as_bytes()).unwrap();
        assert_eq!(greeting.node, "b\u{c3}\u{bc}");
        assert_eq!(greeting.param("x"), Some("\u{e2}\u{98}\u{ba}"));
        let beyond = Greeting {
            node: "\u{263a}".into(),
            ..greeting
        };
        assert!(beyond.to_octets().starts_with(b"aemp;1;?;a;f;x=\xe2"));
    }

    proptest! {
        #[test]
        fn any_line_is_parsed_or_refused(line: Vec<u8>) {
            let _ = Greeting::parse(&line);
        }

        #[test]
        fn values_survive_their_escapes(value in "[^\r\n]*") {
            prop_assert_eq!(unescape(&escape(&value)), value);
        }

        #[test]
        fn lines_survive(
            purpose in prop::sample::select(Purpose::ALL.to_vec()),
            version: u32,
            node in "[\u{0}-\u{ff}&&[^;#\r\n]]{1,20}",
            auths in prop::collection::vec("[a-z0-9_]{1,12}", 0..4),
            framings in prop::collection::vec("[a-z]{1,8}", 0..3),
            params in prop::collection::vec(("[a-z]{1,8}", "[\u{0}-\u{ff}&&[^\r\n]]{0,12}"), 0..4),
        ) {
            let greeting = Greeting { purpose, version, node: NodeId::new(node), auths, framings, params };
            prop_assert_eq!(Greeting::parse(&greeting.to_octets()).unwrap(), greeting);
        }
    }
}
