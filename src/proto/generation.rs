//! What differs between the releases of AnyEvent::MP, as data.
//!
//! There is one [`Generation`] per link. It answers every question whose answer depends on the release
//! at the other end; no other code asks for version numbers (PROTOCOL.md, "Generations").

use std::time::Duration;

use crate::proto::Greeting;

/// A family of releases that share one wire protocol.
///
/// ```
/// use aemp::Generation;
/// assert!(Generation::Gen0 < Generation::Gen1b);
/// assert_eq!(Generation::Gen1a.to_string(), "1a");
/// ```
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
    ///
    /// ```
    /// use aemp::proto::{Generation, Greeting};
    /// let greeting = Greeting::parse(b"aemp;1;ruth;cleartext;json;provider=AE-1.24")?;
    /// assert_eq!(Generation::of_greeting(&greeting), Some(Generation::Gen1a));
    /// # Ok::<(), aemp::proto::greeting::GreetingError>(())
    /// ```
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
    ///
    /// ```
    /// use aemp::Generation;
    /// assert_eq!([Generation::Gen0, Generation::Gen1b].map(Generation::greeting_version), [0, 1]);
    /// ```
    pub fn greeting_version(self) -> u32 {
        match self {
            Generation::Gen0 => 0,
            Generation::Gen1a | Generation::Gen1b => 1,
        }
    }

    /// The node request that tells the death of a monitored port.
    ///
    /// ```
    /// use aemp::Generation;
    /// assert_eq!([Generation::Gen1a, Generation::Gen1b].map(Generation::death_verb), ["kil", "kil0"]);
    /// ```
    pub fn death_verb(self) -> &'static str {
        match self {
            Generation::Gen0 | Generation::Gen1a => "kil",
            Generation::Gen1b => "kil0",
        }
    }

    /// The node request that kills a port of the receiver's.
    ///
    /// ```
    /// assert_eq!(aemp::Generation::Gen1b.kill_verb(), "kil");
    /// ```
    pub fn kill_verb(self) -> &'static str {
        "kil"
    }

    /// Whether a node of this generation can be told to kill one of its ports.
    ///
    /// Before 1.26 a `kil` request is always taken as the news of a death.
    ///
    /// ```
    /// use aemp::Generation;
    /// assert!(!Generation::Gen1a.has_remote_kill() && Generation::Gen1b.has_remote_kill());
    /// ```
    pub fn has_remote_kill(self) -> bool {
        matches!(self, Generation::Gen1b)
    }

    /// Whether the answer to a monitor of a missing port names the port as third element.
    ///
    /// ```
    /// use aemp::Generation;
    /// assert!(!Generation::Gen0.names_missing_port() && Generation::Gen1a.names_missing_port());
    /// ```
    pub fn names_missing_port(self) -> bool {
        self != Generation::Gen0
    }

    /// Whether `reg1` and `reg0` carry the group before the port.
    ///
    /// ```
    /// use aemp::Generation;
    /// assert!(!Generation::Gen0.group_before_port() && Generation::Gen1a.group_before_port());
    /// ```
    pub fn group_before_port(self) -> bool {
        self != Generation::Gen0
    }

    /// Whether a node asks a master for news of the network (`setup`, `seedme1`, `seedme0`).
    ///
    /// ```
    /// use aemp::Generation;
    /// assert!(!Generation::Gen0.has_masters() && Generation::Gen1a.has_masters());
    /// ```
    pub fn has_masters(self) -> bool {
        self != Generation::Gen0
    }

    /// Whether both sides announce a time-out and keep even an idle link busy.
    ///
    /// ```
    /// use aemp::Generation;
    /// assert!(Generation::Gen0.has_idle_timeout() && !Generation::Gen1a.has_idle_timeout());
    /// ```
    pub fn has_idle_timeout(self) -> bool {
        self == Generation::Gen0
    }

    /// How long a node of this generation waits before it gives a peer up, unless configured.
    ///
    /// ```
    /// assert_eq!(aemp::Generation::Gen1b.default_monitor_timeout().as_secs(), 30);
    /// ```
    pub fn default_monitor_timeout(self) -> Duration {
        match self {
            Generation::Gen0 => Duration::from_secs(15),
            Generation::Gen1a | Generation::Gen1b => Duration::from_secs(30),
        }
    }

    /// The longest silence during the handshake, unless configured.
    ///
    /// ```
    /// assert_eq!(aemp::Generation::Gen0.default_handshake_timeout().as_secs(), 3);
    /// ```
    pub fn default_handshake_timeout(self) -> Duration {
        match self {
            Generation::Gen0 => Duration::from_secs(3),
            Generation::Gen1a | Generation::Gen1b => Duration::from_secs(30),
        }
    }

    /// A short name: `0`, `1a`, `1b`.
    ///
    /// ```
    /// assert_eq!(aemp::Generation::Gen1b.name(), "1b");
    /// ```
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
///
/// ```
/// use aemp::proto::generation::Versions;
/// assert_eq!(Versions::default(), Versions::Auto);
/// assert_eq!(Versions::Only(0).to_string(), "0");
/// ```
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
    ///
    /// ```
    /// assert_eq!(aemp::proto::generation::Versions::KNOWN, [1, 0]);
    /// ```
    pub const KNOWN: [u32; 2] = [1, 0];

    /// Whether the greeting version is among them.
    ///
    /// ```
    /// use aemp::proto::generation::Versions;
    /// assert!(Versions::Auto.allows(0) && !Versions::Auto.allows(2));
    /// assert!(!Versions::Only(1).allows(0));
    /// ```
    pub fn allows(self, version: u32) -> bool {
        match self {
            Versions::Auto => Self::KNOWN.contains(&version),
            Versions::Only(only) => only == version,
        }
    }

    /// The version to greet with when the other side's is not known.
    ///
    /// ```
    /// use aemp::proto::generation::Versions;
    /// assert_eq!([Versions::Auto, Versions::Only(0)].map(Versions::preferred), [1, 0]);
    /// ```
    pub fn preferred(self) -> u32 {
        match self {
            Versions::Auto => Self::KNOWN[0],
            Versions::Only(only) => only,
        }
    }

    /// Whether the other side's greeting can change what ours says.
    ///
    /// ```
    /// use aemp::proto::generation::Versions;
    /// assert!(Versions::Auto.is_open() && !Versions::Only(1).is_open());
    /// ```
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
