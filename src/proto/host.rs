//! Which host an address belongs to, for what is counted by host.

use std::net::{IpAddr, SocketAddr};

/// The host of a socket address, or of a name with a port. Whoever has one IPv6 address has the
/// 2^64 around it, so these count as one; upper case in names does not matter.
pub(crate) fn host_of(address: &str) -> String {
    match address.parse().map(|address: SocketAddr| address.ip()) {
        Ok(IpAddr::V6(ip)) if ip.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Ok(ip) => ip.to_canonical().to_string(),
        Err(_) => {
            let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
            host.to_ascii_lowercase()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        assert_eq!(host_of("10.0.0.1:4040"), "10.0.0.1");
        assert_eq!(host_of("[::ffff:10.0.0.1]:4040"), "10.0.0.1");
        assert_eq!(
            host_of("[2001:db8:1:2:3::4]:1"),
            host_of("[2001:db8:1:2::9]:2")
        );
        assert_ne!(
            host_of("[2001:db8:1:2::4]:1"),
            host_of("[2001:db8:1:3::4]:1")
        );
        assert_eq!(host_of("Alice:7"), "alice");
    }
}
