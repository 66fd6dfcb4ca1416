//! Bind and seed texts turned into addresses of sockets.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::error::ConfigError;
use super::{services, split_commas};

/// The port of a bind that names none: any free one.
///
/// See [`resolve`] for an example.
pub const BIND_PORT: u16 = 0;

/// The port of a seed that names none. (A custom; Perl nodes would try port 0 and fail.)
///
/// See [`resolve`] for an example.
pub const SEED_PORT: u16 = 4040;

/// The host part of an address.
///
/// ```
/// use aemp::config::{Address, Host};
/// let host = |text: &str| Address::parse(text).unwrap().host;
/// assert_eq!((host("4040"), host("*:4040")), (Host::NodeName, Host::All));
/// assert_eq!(host("[::1]:4040"), Host::Ip("::1".parse().unwrap()));
/// assert_eq!(host("doomed"), Host::Name("doomed".into()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Host {
    /// No host was named: this machine's node name.
    NodeName,
    /// `*`: every local address but loopback.
    All,
    /// An IP address.
    Ip(IpAddr),
    /// A name to look up.
    Name(String),
    /// No host at all: a Unix socket of that path.
    Unix(String),
}

/// How the text of a Unix socket begins, before its path.
const UNIX: &str = "unix/:";

/// Where a node listens, or is connected to.
///
/// ```
/// use aemp::config::Endpoint;
/// let ip: Endpoint = "127.0.0.1:4040".parse().unwrap();
/// let unix: Endpoint = "unix/:/run/aemp".parse().unwrap();
/// assert_eq!(unix, Endpoint::Unix("/run/aemp".into()));
/// assert_eq!([ip.to_string(), unix.to_string()], ["127.0.0.1:4040", "unix/:/run/aemp"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// A TCP port.
    Ip(SocketAddr),
    /// A Unix socket, by its path.
    Unix(String),
}

/// As Perl's AnyEvent writes it: see [`format_hostport`].
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Ip(address) => f.write_str(&format_hostport(address)),
            Endpoint::Unix(path) => write!(f, "{UNIX}{path}"),
        }
    }
}

impl std::str::FromStr for Endpoint {
    type Err = std::net::AddrParseError;

    /// Reads what is [displayed](fmt::Display): nothing is looked up.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix(UNIX) {
            Some(path) if path.starts_with('/') => Ok(Endpoint::Unix(path.to_owned())),
            _ => text.parse().map(Endpoint::Ip),
        }
    }
}

/// A bind or seed as it is written, not looked up yet.
///
/// See [`parse`](Self::parse) for an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Address {
    /// The host.
    pub host: Host,
    /// The port; `None` if there was none or it was `*`.
    pub port: Option<u16>,
}

impl Address {
    /// Reads one address: `host:port`, `host`, `port`, `*:port`, `host:*`, `*:*`, `*`, `[v6]:port`,
    /// or nothing at all, which is the node name with any port. After an IPv6 address the brackets
    /// may be left out if the port follows a space or `#`; a space will do before any port.
    ///
    /// A port may be the name of a service, as in `/etc/services`: `host:http`. In `host:aemp=4040`
    /// the name is for who reads it. `unix/:/path`, or the path alone, is a Unix socket.
    ///
    /// # Errors
    ///
    /// Anything else, with a reason; a service that the system does not know.
    ///
    /// ```
    /// use aemp::config::{Address, Host};
    /// let address = Address::parse("doomed:4040").unwrap();
    /// assert_eq!((address.host, address.port), (Host::Name("doomed".into()), Some(4040)));
    /// ```
    pub fn parse(text: &str) -> Result<Address, ConfigError> {
        parse(text).map_err(|reason| ConfigError::BadAddress {
            text: text.to_owned(),
            reason,
        })
    }
}

/// Reads a comma-separated list of addresses. As in Perl an empty text is no address, while an
/// empty field before another one is the node name.
///
/// # Errors
///
/// As [`Address::parse`], for the first bad one.
///
/// ```
/// use aemp::config::{Host, parse_addresses};
/// let found = parse_addresses("doomed:4040,,*:*").unwrap();
/// assert_eq!((found.len(), &found[1].host, found[2].port), (3, &Host::NodeName, None));
/// ```
pub fn parse_addresses(text: &str) -> Result<Vec<Address>, ConfigError> {
    split_commas(text).into_iter().map(Address::parse).collect()
}

fn parse(text: &str) -> Result<Address, &'static str> {
    let text = text.trim();
    if text.bytes().all(|octet| octet.is_ascii_digit()) {
        return Ok(Address {
            host: Host::NodeName,
            port: match text {
                "" => None,
                _ => parse_port(text)?,
            },
        });
    }
    if text.starts_with('/') {
        return unix(text);
    }
    if let Some(rest) = text.strip_prefix("unix/") {
        let path = rest.trim_start_matches([':', '#']).trim_start();
        return unix(path);
    }
    let (host, rest) = split_host(text)?;
    let mut rest_chars = rest.chars();
    let port = match rest_chars.next() {
        None => None,
        Some(':' | '#') => parse_port(rest_chars.as_str())?,
        Some(c) if c.is_whitespace() => parse_port(rest_chars.as_str().trim_start())?,
        Some(_) => return Err("there must be `:` between host and port"),
    };
    Ok(Address { host, port })
}

fn unix(path: &str) -> Result<Address, &'static str> {
    match path.starts_with('/') {
        true => Ok(Address {
            host: Host::Unix(path.to_owned()),
            port: None,
        }),
        false => Err("the path of a Unix socket begins with `/`"),
    }
}

/// The host, and what follows it.
fn split_host(text: &str) -> Result<(Host, &str), &'static str> {
    let end = text
        .find(|c: char| !(c.is_ascii_hexdigit() || c == ':' || c == '.'))
        .unwrap_or(text.len());
    if let Ok(ip) = text[..end].parse::<Ipv6Addr>() {
        return Ok((Host::Ip(IpAddr::V6(ip)), &text[end..]));
    }
    let (host, rest) = match text.strip_prefix('[') {
        Some(inner) => inner.split_once(']').ok_or("`]` is missing")?,
        None => {
            let end = text.find(|c: char| c.is_whitespace() || matches!(c, ':' | '[' | ']'));
            text.split_at(end.unwrap_or(text.len()))
        }
    };
    let host = match host {
        "" => return Err("the host is missing"),
        "*" => Host::All,
        _ => match host.parse() {
            Ok(ip) => Host::Ip(ip),
            Err(_) if host.contains([':', '[']) => return Err("this is not an IPv6 address"),
            Err(_) => Host::Name(host.to_owned()),
        },
    };
    Ok((host, rest))
}

fn parse_port(text: &str) -> Result<Option<u16>, &'static str> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    let named = text.rsplit_once('=');
    let text = match named.filter(|(name, number)| !name.is_empty() && is_number(number)) {
        Some((_, number)) => number,
        None => text,
    };
    match text {
        "*" => Ok(None),
        _ if is_number(text) => text
            .parse()
            .map(Some)
            .map_err(|_| "the port must be at most 65535"),
        "" => Err("the port is missing"),
        _ if text.contains(|c: char| c == ':' || c.is_whitespace()) => {
            Err("the port must be a number, the name of a service, or `*`")
        }
        _ => match services::port_of(text) {
            Some(port) => Ok(Some(port)),
            None => Err(
                "the port must be a number, the name of a service, or `*`; there is no \
                         such service in /etc/services",
            ),
        },
    }
}

/// What resolving needs to know about this machine.
///
/// See [`public_addresses`](Self::public_addresses) for an example.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LocalHost {
    /// The node name (`uname -n`), for addresses without a host.
    pub node_name: String,
    /// The addresses of all interfaces, for `*`.
    pub addresses: Vec<IpAddr>,
}

impl LocalHost {
    /// Asks the system.
    ///
    /// # Errors
    ///
    /// The addresses cannot be listed.
    ///
    /// ```
    /// let local = aemp::config::LocalHost::detect()?;
    /// assert_eq!(local.node_name, aemp::config::node_name());
    /// # Ok::<(), aemp::config::ConfigError>(())
    /// ```
    pub fn detect() -> Result<LocalHost, ConfigError> {
        let interfaces = if_addrs::get_if_addrs().map_err(ConfigError::Interfaces)?;
        Ok(LocalHost {
            node_name: super::node_name(),
            addresses: interfaces.iter().map(if_addrs::Interface::ip).collect(),
        })
    }

    /// The addresses that `*` stands for: IPv4 but loopback, then of IPv6 the global unicast
    /// (`2000::/3`) and the unique local ones (`fc00::/7`).
    ///
    /// ```
    /// use aemp::config::LocalHost;
    /// use std::net::IpAddr;
    /// let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    /// let mut local = LocalHost::default();
    /// local.addresses = ["127.0.0.1", "fe80::1", "2001:db8::1", "192.0.2.1"].map(ip).to_vec();
    /// assert_eq!(local.public_addresses(), [ip("192.0.2.1"), ip("2001:db8::1")]);
    /// ```
    pub fn public_addresses(&self) -> Vec<IpAddr> {
        let v4 = self
            .addresses
            .iter()
            .filter(|ip| ip.is_ipv4() && !ip.is_loopback());
        let v6 = self.addresses.iter().filter(|ip| match ip {
            IpAddr::V4(_) => false,
            IpAddr::V6(ip) => {
                let first = ip.octets()[0];
                first >> 5 == 1 || first >> 1 == 0xfc >> 1
            }
        });
        v4.chain(v6).copied().collect()
    }
}

/// Resolves a text: one address or several with commas between. Addresses that come twice are given
/// once, in the order found. `*` may give none, on a machine that has only loopback addresses.
/// `localhost` is looked up nowhere: it is 127.0.0.1, and ::1 where this machine has that.
///
/// `default_port` is for addresses without a port: [`BIND_PORT`] or [`SEED_PORT`].
///
/// # Errors
///
/// A text that is not an address; a name that cannot be looked up.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use aemp::config::{BIND_PORT, LocalHost, SEED_PORT, resolve};
/// let local = LocalHost::detect()?;
/// let found = resolve("127.0.0.1,[::1]:9,127.0.0.1:4040", SEED_PORT, &local).await?;
/// assert_eq!(found, ["127.0.0.1:4040".parse()?, "[::1]:9".parse()?]);
/// assert_eq!(resolve("127.0.0.1:*", BIND_PORT, &local).await?[0].to_string(), "127.0.0.1:0");
/// # Ok(()) }
/// ```
pub async fn resolve(
    text: &str,
    default_port: u16,
    local: &LocalHost,
) -> Result<Vec<Endpoint>, ConfigError> {
    resolve_all(std::slice::from_ref(&text), default_port, local).await
}

/// Resolves a list of texts as [`resolve`] does, giving each address once.
///
/// # Errors
///
/// As [`resolve`], for the first text that fails. To go on with the rest, for instance with seeds,
/// resolve one at a time.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use aemp::config::{LocalHost, SEED_PORT, resolve_all};
/// let local = LocalHost::detect()?;
/// let found = resolve_all(&["127.0.0.1", "127.0.0.1:4040,127.0.0.2:1"], SEED_PORT, &local).await?;
/// assert_eq!(found, ["127.0.0.1:4040".parse()?, "127.0.0.2:1".parse()?]);
/// # Ok(()) }
/// ```
pub async fn resolve_all<T: AsRef<str>>(
    texts: &[T],
    default_port: u16,
    local: &LocalHost,
) -> Result<Vec<Endpoint>, ConfigError> {
    let mut found = Vec::new();
    for text in texts {
        let text = text.as_ref();
        for address in parse_addresses(text)? {
            let port = address.port.unwrap_or(default_port);
            let ips = match address.host {
                Host::Ip(ip) => vec![ip],
                Host::All => local.public_addresses(),
                Host::NodeName => look_up(text, &local.node_name, local).await?,
                Host::Name(name) => look_up(text, &name, local).await?,
                Host::Unix(path) => {
                    found.push(Endpoint::Unix(path));
                    continue;
                }
            };
            let ips = ips.into_iter().map(|ip| SocketAddr::new(ip, port));
            found.extend(ips.map(Endpoint::Ip));
        }
    }
    let mut seen = HashSet::new();
    found.retain(|endpoint| seen.insert(endpoint.clone()));
    Ok(found)
}

async fn look_up(text: &str, host: &str, local: &LocalHost) -> Result<Vec<IpAddr>, ConfigError> {
    if host == "localhost" {
        let v6 = IpAddr::from(Ipv6Addr::LOCALHOST);
        let v6 = local.addresses.contains(&v6).then_some(v6);
        return Ok([Ipv4Addr::LOCALHOST.into()].into_iter().chain(v6).collect());
    }
    let fail = |source| ConfigError::Lookup {
        text: text.to_owned(),
        host: host.to_owned(),
        source,
    };
    let found = tokio::net::lookup_host((host, 0)).await.map_err(fail)?;
    let found: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    if found.is_empty() {
        return Err(fail(io::Error::new(
            io::ErrorKind::NotFound,
            "it has no address",
        )));
    }
    Ok(found)
}

/// An address as Perl's AnyEvent writes it: `127.0.0.1:4040`, `[::1]:4040`. Of IPv6, no scope is
/// written, a mapped IPv4 address is written as IPv4, and the old compatible (`::a.b.c.d`) and
/// translated (`::ffff:0:a.b.c.d`) forms end in IPv4 form.
///
/// ```
/// use aemp::config::format_hostport;
/// assert_eq!(format_hostport(&"127.0.0.1:4040".parse().unwrap()), "127.0.0.1:4040");
/// assert_eq!(format_hostport(&"[fd00:0::1]:4040".parse().unwrap()), "[fd00::1]:4040");
/// ```
pub fn format_hostport(address: &SocketAddr) -> String {
    let port = address.port();
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => format!("{ip}:{port}"),
        IpAddr::V6(ip) => {
            let segments = ip.segments();
            let [.., a, b, c, d] = ip.octets();
            match segments {
                [0, 0, 0, 0, 0, 0, 0, 0 | 1] if segments[6] == 0 => format!("[{ip}]:{port}"),
                [0, 0, 0, 0, 0, 0, ..] => format!("[::{a}.{b}.{c}.{d}]:{port}"),
                [0, 0, 0, 0, 0xffff, 0, ..] => format!("[::ffff:0:{a}.{b}.{c}.{d}]:{port}"),
                _ => format!("[{ip}]:{port}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn local() -> LocalHost {
        let ips = [
            "::1",
            "fd00::2",
            "127.0.0.1",
            "fe80::1",
            "192.0.2.2",
            "2001:db8::5",
            "127.1.2.3",
            "192.0.2.2",
            "fc01::1",
            "ff02::1",
            "4000::1",
        ];
        LocalHost {
            node_name: "localhost".to_owned(),
            addresses: ips.iter().map(|ip| ip.parse().unwrap()).collect(),
        }
    }

    async fn texts(text: &str, port: u16) -> String {
        match resolve(text, port, &local()).await {
            Ok(found) => found
                .iter()
                .map(Endpoint::to_string)
                .collect::<Vec<_>>()
                .join(" "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn forms() {
        let ip = |text: &str| Host::Ip(text.parse().unwrap());
        let name = |text: &str| Host::Name(text.to_owned());
        for (text, host, port) in [
            ("host:1", name("host"), Some(1)),
            ("host", name("host"), None),
            ("host:*", name("host"), None),
            ("host 17", name("host"), Some(17)),
            ("4040", Host::NodeName, Some(4040)),
            ("", Host::NodeName, None),
            ("*", Host::All, None),
            ("*:*", Host::All, None),
            ("*:4040", Host::All, Some(4040)),
            ("127.0.0.1:0", ip("127.0.0.1"), Some(0)),
            ("[::1]:4040", ip("::1"), Some(4040)),
            ("[::1]", ip("::1"), None),
            ("::1", ip("::1"), None),
            ("::1:4040", ip("::1:4040"), None),
            ("::1#4040", ip("::1"), Some(4040)),
            (" fd00::1 4040 ", ip("fd00::1"), Some(4040)),
            ("::ffff:1.2.3.4", ip("::ffff:1.2.3.4"), None),
            ("[host]:3", name("host"), Some(3)),
            ("dead:1", name("dead"), Some(1)),
            ("host:http", name("host"), Some(80)),
            ("*:https", Host::All, Some(443)),
            ("host:aemp=4040", name("host"), Some(4040)),
            ("host:http=81", name("host"), Some(81)),
            ("[::1]:no.such-service=7", ip("::1"), Some(7)),
            ("/run/x", Host::Unix("/run/x".into()), None),
            ("unix/:/run/x", Host::Unix("/run/x".into()), None),
            ("unix/ /run/x", Host::Unix("/run/x".into()), None),
        ] {
            assert_eq!(
                Address::parse(text).unwrap(),
                Address { host, port },
                "{text:?}"
            );
        }
        for text in [
            "host:",
            ":1",
            "host:no.such-service",
            "host:=80",
            "host:aemp=x",
            "host:aemp=65536",
            "unix/",
            "unix/:run",
            "host:65536",
            "99999",
            "host:-1",
            "host:1:2",
            "[::1",
            "[::1]x",
            "[]:1",
            "[fe80::1%2]:1",
            "fe80::1%eth0",
            "a]b:1",
            "host: 1",
            "[a:b]:1",
            "[[::1]]:1",
        ] {
            let error = Address::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("address {text:?}: ")), "{error}");
        }
    }

    #[tokio::test]
    async fn lists_defaults_and_duplicates() {
        assert_eq!(texts("", 0).await, "");
        assert_eq!(
            texts("127.0.0.1,[::1]:9,127.0.0.1:4040,127.0.0.1:*", 4040).await,
            "127.0.0.1:4040 [::1]:9"
        );
        assert_eq!(
            texts("*", 7).await,
            "192.0.2.2:7 [fd00::2]:7 [2001:db8::5]:7 [fc01::1]:7"
        );
        let texts_of_two = ["127.0.0.1:1", "*:1,127.0.0.1:1"];
        let all = resolve_all(&texts_of_two, BIND_PORT, &local()).await;
        assert_eq!(all.unwrap().len(), 5);
        let bad = texts("127.0.0.1,x:y", 0).await;
        let wanted = "address \"x:y\": the port must be a number, the name of a service, or `*`";
        assert!(bad.starts_with(wanted), "{bad}");
        assert_eq!(
            texts("/run/a,127.0.0.1:1,unix/:/run/a", 0).await,
            "unix/:/run/a 127.0.0.1:1"
        );
        assert_eq!(texts("localhost", 7).await, "127.0.0.1:7 [::1]:7");
        let v4_only = LocalHost::default();
        let found = resolve("localhost", 7, &v4_only).await.unwrap();
        assert_eq!(found, ["127.0.0.1:7".parse().unwrap()]);
    }

    #[tokio::test]
    async fn names() {
        for text in ["localhost:4040", "4040", ",x:y"] {
            let found = resolve(text, BIND_PORT, &local()).await;
            match text {
                ",x:y" => assert!(found.is_err()),
                _ => assert!(found.unwrap().iter().all(|endpoint| matches!(
                    endpoint,
                    Endpoint::Ip(a) if a.ip().is_loopback() && a.port() == 4040
                ))),
            }
        }
        let text = "no such host.invalid";
        assert!(resolve(text, 0, &local()).await.is_err());
        let error = texts("nowhere.invalid:1", 0).await;
        assert!(error.contains("\"nowhere.invalid:1\""), "{error}");
    }

    #[test]
    fn this_machine() {
        let local = LocalHost::detect().unwrap();
        assert!(!local.node_name.is_empty());
        assert!(local.addresses.iter().any(IpAddr::is_loopback));
        assert!(local.public_addresses().iter().all(|ip| !ip.is_loopback()));
    }

    #[test]
    fn formatted_as_any_event_does() {
        for (address, want) in [
            ("1.2.3.4:5", "1.2.3.4:5"),
            ("[::]:0", "[::]:0"),
            ("[::1]:1", "[::1]:1"),
            ("[::2]:1", "[::0.0.0.2]:1"),
            ("[::1:1]:1", "[::0.1.0.1]:1"),
            ("[::ffff:1.2.3.4]:5", "1.2.3.4:5"),
            ("[::ffff:0:102:304]:5", "[::ffff:0:1.2.3.4]:5"),
            ("[fe80::1%3]:5", "[fe80::1]:5"),
            ("[2001:db8:0:0:1:0:0:1]:5", "[2001:db8::1:0:0:1]:5"),
            ("[2001:0:1:0:1:0:1:0]:5", "[2001:0:1:0:1:0:1:0]:5"),
            ("[1:0:0:2::]:5", "[1:0:0:2::]:5"),
        ] {
            assert_eq!(format_hostport(&address.parse().unwrap()), want);
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*") {
            let _ = parse_addresses(&text);
        }

        #[test]
        fn never_panics_on_near_addresses(text in "[\\[\\]:#*,. 0-9a-fé%]{0,24}") {
            let _ = parse_addresses(&text);
        }

        #[test]
        fn formatted_addresses_read_back(octets: [u8; 16], v4: [u8; 4], port: u16) {
            for ip in [IpAddr::from(octets), IpAddr::from(v4)] {
                let text = format_hostport(&SocketAddr::new(ip, port));
                let read = Address::parse(&text).unwrap();
                prop_assert_eq!(read, Address { host: Host::Ip(ip.to_canonical()), port: Some(port) });
                let endpoint: Endpoint = text.parse().unwrap();
                prop_assert_eq!(endpoint.to_string(), text);
            }
        }
    }
}
