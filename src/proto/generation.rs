//! What differs between the releases of AnyEvent::MP, as data.
//!
//! There is one [`Generation`] per link. It answers every question whose answer depends on the release
//! at the other end; no other code asks for version numbers (PROTOCOL.md, "Generations").

use std::time::Duration;

use crate::proto::Greeting;

/// A family of releases that share one wire protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Generation {
    /// 0.95 and 1.0: greeting version 0.
    Gen0,
    /// 1.1 to 1.24: greeting version 1, a monitored port's death is told with `kil`.
    Gen1a,
    /// 1.26 to 1.30: greeting version 1, `kil0` tells a death and `kil` kills.
    Gen1b,
}

impl Generation {
    /// Reads the generation off the other side's greeting.
    ///
    /// `None` if no generation greets with that version.
    pub fn of_greeting(greeting: &Greeting) -> Option<Generation> {
        match greeting.version {
            0 => Some(Generation::Gen0),
            1 => Some(match greeting.perl_release() {
                Some(release) if release < (1, 26) => Generation::Gen1a,
                // 1.21 to 1.23 don't know their own number, but still announce a time-out.
                None if greeting.is_perl() && greeting.param("timeout").is_some() => {
                    Generation::Gen1a
                }
                _ => Generation::Gen1b,
            }),
            _ => None,
        }
    }

    /// The version that the generation's greeting announces.
    pub fn greeting_version(self) -> u32 {
        match self {
            Generation::Gen0 => 0,
            Generation::Gen1a | Generation::Gen1b => 1,
        }
    }

    /// The node request that tells the death of a monitored port.
    pub fn death_verb(self) -> &'static str {
        match self {
            Generation::Gen0 | Generation::Gen1a => "kil",
            Generation::Gen1b => "kil0",
        }
    }

    /// The node request that kills a port of the receiver's.
    pub fn kill_verb(self) -> &'static str {
        "kil"
    }

    /// Whether a node of this generation can be told to kill one of its ports.
    ///
    /// Before 1.26 a `kil` request is always taken as the news of a death.
    pub fn has_remote_kill(self) -> bool {
        matches!(self, Generation::Gen1b)
    }

    /// Whether the answer to a monitor of a missing port names the port as third element.
    pub fn names_missing_port(self) -> bool {
        self != Generation::Gen0
    }

    /// Whether `reg1` and `reg0` carry the group before the port.
    pub fn group_before_port(self) -> bool {
        self != Generation::Gen0
    }

    /// Whether a node asks a master for news of the network (`setup`, `seedme1`, `seedme0`).
    pub fn has_masters(self) -> bool {
        self != Generation::Gen0
    }

    /// Whether both sides announce a time-out and keep even an idle link busy.
    pub fn has_idle_timeout(self) -> bool {
        self == Generation::Gen0
    }

    /// How long a node of this generation waits before it gives a peer up, unless configured.
    pub fn default_monitor_timeout(self) -> Duration {
        match self {
            Generation::Gen0 => Duration::from_secs(15),
            Generation::Gen1a | Generation::Gen1b => Duration::from_secs(30),
        }
    }

    /// The longest silence during the handshake, unless configured.
    pub fn default_handshake_timeout(self) -> Duration {
        match self {
            Generation::Gen0 => Duration::from_secs(3),
            Generation::Gen1a | Generation::Gen1b => Duration::from_secs(30),
        }
    }

    /// A short name: `0`, `1a`, `1b`.
    pub fn name(self) -> &'static str {
        match self {
            Generation::Gen0 => "0",
            Generation::Gen1a => "1a",
            Generation::Gen1b => "1b",
        }
    }
}

impl std::fmt::Display for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// Which greeting versions a node may speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Versions {
    /// Every version that this crate knows; each link uses what its other end speaks.
    #[default]
    Auto,
    /// Only this version.
    Only(u32),
}

impl Versions {
    /// The versions known to this crate, newest first.
    pub const KNOWN: [u32; 2] = [1, 0];

    /// Whether the greeting version is among them.
    pub fn allows(self, version: u32) -> bool {
        match self {
            Versions::Auto => Self::KNOWN.contains(&version),
            Versions::Only(only) => only == version,
        }
    }

    /// The version to greet with when the other side's is not known.
    pub fn preferred(self) -> u32 {
        match self {
            Versions::Auto => Self::KNOWN[0],
            Versions::Only(only) => only,
        }
    }

    /// Whether the other side's greeting can change what ours says.
    pub fn is_open(self) -> bool {
        self == Versions::Auto
    }
}

impl std::fmt::Display for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Versions::Auto => f.write_str("0 or 1"),
            Versions::Only(version) => write!(f, "{version}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generation(line: &str) -> Option<Generation> {
        Generation::of_greeting(&Greeting::parse(line.as_bytes()).unwrap())
    }

    #[test]
    fn read_off_the_greeting() {
        for (tail, want) in [
            ("provider=AE-1.1", Generation::Gen1a),
            ("provider=AE-1.21", Generation::Gen1a),
            ("provider=AE-1.24", Generation::Gen1a),
            ("provider=AE-1.26", Generation::Gen1b),
            ("provider=AE-1.30", Generation::Gen1b),
            ("provider=AE-;timeout=;peeraddr=x", Generation::Gen1a),
            ("provider=AE-;peeraddr=x", Generation::Gen1b),
            ("provider=other-1.2", Generation::Gen1b),
            ("peeraddr=x", Generation::Gen1b),
        ] {
            assert_eq!(
                generation(&format!("aemp;1;a;b;c;{tail}")),
                Some(want),
                "{tail}"
            );
        }
        assert_eq!(
            generation("aemp;0;a;b;c;provider=AE-1.0"),
            Some(Generation::Gen0)
        );
        assert_eq!(generation("aemp;7;a;b;c"), None);
    }
}
