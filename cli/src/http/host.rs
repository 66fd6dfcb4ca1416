//! The header `Host`, and what it says of who asks.
//!
//! A page of somebody else's can have a browser look up a name of its own anew and get 127.0.0.1
//! for it ("DNS rebinding"). Then the browser takes this node for that page's server, and lets the
//! page read what it answers. But it sends that name in `Host`: so a name that is not this node's
//! gets nothing. An address can't be looked up anew.

use std::net::{IpAddr, Ipv6Addr};

/// The names under which this node may be asked besides its addresses.
#[derive(Debug, Clone, Default)]
pub(super) struct Names(Vec<String>);

impl Names {
    pub(super) fn new(names: impl IntoIterator<Item = String>) -> Self {
        Names(names.into_iter().map(|name| plain(&name)).collect())
    }

    /// Whether who names this host, maybe with a port, means this node.
    pub(super) fn has(&self, host: &str) -> bool {
        let Some(name) = without_port(host) else {
            return false;
        };
        if let Some(address) = name.strip_prefix('[') {
            let address = address.strip_suffix(']');
            return address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
        }
        if name.parse::<IpAddr>().is_ok() {
            return true;
        }
        let name = plain(name);
        name == "localhost" || name.ends_with(".localhost") || self.0.contains(&name)
    }
}

/// A name as it is compared.
fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn without_port(host: &str) -> Option<&str> {
    let is_port = |port: &str| port.len() <= 5 && port.bytes().all(|digit| digit.is_ascii_digit());
    match host.rsplit_once(':') {
        // A colon of an IPv6 address is within brackets.
        Some((name, port)) if !port.ends_with(']') => is_port(port).then_some(name),
        _ => Some(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_means_this_node_names_it() {
        let names = Names::new(["Monitor.Example.".to_owned()]);
        for (host, wanted) in [
            ("127.0.0.1", true),
            ("127.0.0.1:9100", true),
            ("192.0.2.7:80", true),
            ("[::1]:9100", true),
            ("[::1]", true),
            ("localhost:9100", true),
            ("LOCALHOST.", true),
            ("aemp.localhost", true),
            ("monitor.example:9100", true),
            ("MONITOR.EXAMPLE", true),
            ("evil.example", false),
            ("evil.example:9100", false),
            ("localhost.evil.example", false),
            ("notlocalhost", false),
            ("127.0.0.1.evil.example", false),
            ("127.0.0.1:9100:1", false),
            ("[evil]", false),
            ("[::1", false),
            ("user@localhost", false),
            ("localhost:http", false),
            ("", false),
        ] {
            assert_eq!(names.has(host), wanted, "{host}");
        }
    }
}
