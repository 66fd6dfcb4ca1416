//! Names of ports, as the system has them.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Where the system keeps them. Names that come from elsewhere, such as a directory service, are
/// not known here.
const FILE: &str = "/etc/services";

static TCP: LazyLock<HashMap<String, u16>> =
    LazyLock::new(|| read(&std::fs::read_to_string(FILE).unwrap_or_default()));

/// The TCP port of a service, by its name or another name of it.
pub(super) fn port_of(name: &str) -> Option<u16> {
    TCP.get(name).copied()
}

/// The services in a file of lines `NAME PORT/PROTOCOL OTHER-NAMES..`. Of equal names the first
/// counts.
fn read(text: &str) -> HashMap<String, u16> {
    let mut found = HashMap::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let (Some(name), Some(port)) = (words.next(), words.next()) else {
            continue;
        };
        let port = port.strip_suffix("/tcp").and_then(|port| port.parse().ok());
        let Some(port) = port else { continue };
        for name in [name].into_iter().chain(words) {
            found.entry(name.to_owned()).or_insert(port);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_file() {
        let text =
            "# a comment\nhttp\t80/tcp  www # the web\nsyslog 514/udp\n\nodd x/tcp\nwww 8/tcp\n";
        let found = read(text);
        assert_eq!((found["http"], found["www"], found.len()), (80, 80, 2));
    }
}
