//! What differs between the releases of AnyEvent::MP, as data.
//!
//! There is one [`Generation`] per link. It answers every question whose answer depends on the
//! release at the other end; no other code asks for version numbers (PROTOCOL.md, "Generations").
//! Those whose answer is a request are answered [where the requests are](crate::proto::verb).

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
    /// 2.0 to 2.02: greeting version 1, but other ways to prove oneself; `kil0` tells a death and
    /// `kil1` kills; a database in place of the gossip.
    Gen2,
}

impl Generation {
    /// Reads the generation off the other side's greeting: the newest that it speaks.
    ///
    /// `None` if no generation greets with that version.
    ///
    /// ```
    /// use aemp::proto::{Generation, Greeting};
    /// let greeting = Greeting::parse(b"aemp;1;ruth;cleartext;json;provider=AE-1.24")?;
    /// assert_eq!(Generation::of_greeting(&greeting), Some(Generation::Gen1a));
    /// let greeting = Greeting::parse(b"aemp;1;ruth;cleartext;cbor,json;mproto=1;gproto=1")?;
    /// assert_eq!(Generation::of_greeting(&greeting), Some(Generation::Gen2));
    /// # Ok::<(), aemp::proto::greeting::GreetingError>(())
    /// ```
    pub fn of_greeting(greeting: &Greeting) -> Option<Generation> {
        Self::between(Generations::Auto, greeting)
    }

    /// The generation of a link between a node that speaks `ours` and one that greets so: the
    /// newest that both speak. `None` if there is none.
    ///
    /// ```
    /// use aemp::proto::{Generation, Greeting, generation::Generations};
    /// let perl = Greeting::parse(b"aemp;1;ruth;hmac_sha3_512;cbor,json;mproto=1;gproto=1")?;
    /// assert_eq!(Generation::between(Generations::Only(1), &perl), None);
    /// let rust = Greeting::parse(b"aemp;1;ruth;cleartext;json;mproto=1;generations=2,1,0")?;
    /// assert_eq!(Generation::between(Generations::Only(1), &rust), Some(Generation::Gen1b));
    /// # Ok::<(), aemp::proto::greeting::GreetingError>(())
    /// ```
    pub fn between(ours: Generations, greeting: &Greeting) -> Option<Generation> {
        let both = |number| ours.allows(number) && greeting.speaks(number);
        match greeting.version {
            0 if both(0) => Some(Generation::Gen0),
            1 if both(2) => Some(Generation::Gen2),
            1 if both(1) => Some(match greeting.perl_release() {
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

    /// The generation's number: 0, 1 or 2. Releases of one number understand each other.
    ///
    /// ```
    /// use aemp::Generation;
    /// assert_eq!([Generation::Gen0, Generation::Gen1a, Generation::Gen2].map(Generation::number), [0, 1, 2]);
    /// ```
    pub fn number(self) -> u32 {
        match self {
            Generation::Gen0 => 0,
            Generation::Gen1a | Generation::Gen1b => 1,
            Generation::Gen2 => 2,
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
            Generation::Gen1a | Generation::Gen1b | Generation::Gen2 => 1,
        }
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
        matches!(self, Generation::Gen1b | Generation::Gen2)
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

    /// Whether a node without listeners sends a keepalive now and then, as nobody could connect to
    /// it again.
    ///
    /// ```
    /// use aemp::Generation;
    /// assert!(Generation::Gen1b.hidden_keeps_alive() && !Generation::Gen2.hidden_keeps_alive());
    /// ```
    pub fn hidden_keeps_alive(self) -> bool {
        matches!(self, Generation::Gen1a | Generation::Gen1b)
    }

    /// How long a node of this generation waits before it gives a peer up, unless configured.
    ///
    /// ```
    /// assert_eq!(aemp::Generation::Gen1b.default_monitor_timeout().as_secs(), 30);
    /// ```
    pub fn default_monitor_timeout(self) -> Duration {
        match self {
            Generation::Gen0 => Duration::from_secs(15),
            Generation::Gen1a | Generation::Gen1b | Generation::Gen2 => Duration::from_secs(30),
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
            Generation::Gen1a | Generation::Gen1b | Generation::Gen2 => Duration::from_secs(30),
        }
    }

    /// A short name: `0`, `1a`, `1b`, `2`.
    ///
    /// ```
    /// assert_eq!(aemp::Generation::Gen1b.name(), "1b");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Generation::Gen0 => "0",
            Generation::Gen1a => "1a",
            Generation::Gen1b => "1b",
            Generation::Gen2 => "2",
        }
    }
}

impl std::fmt::Display for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// Which generations a node may speak.
///
/// ```
/// use aemp::proto::generation::Generations;
/// assert_eq!(Generations::default(), Generations::Auto);
/// assert_eq!(Generations::Only(2).to_string(), "2");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Generations {
    /// Every generation that this crate knows; each link uses what its other end speaks.
    #[default]
    Auto,
    /// Only the generation of this number.
    Only(u32),
}

impl Generations {
    /// The numbers of the generations known to this crate, newest first.
    ///
    /// ```
    /// assert_eq!(aemp::proto::generation::Generations::KNOWN, [2, 1, 0]);
    /// ```
    pub const KNOWN: [u32; 3] = [2, 1, 0];

    /// Whether the generation of this number is among them.
    ///
    /// ```
    /// use aemp::proto::generation::Generations;
    /// assert!(Generations::Auto.allows(0) && !Generations::Auto.allows(3));
    /// assert!(!Generations::Only(1).allows(2));
    /// ```
    pub fn allows(self, number: u32) -> bool {
        match self {
            Self::Auto => Self::KNOWN.contains(&number),
            Self::Only(only) => only == number,
        }
    }

    /// Whether one of them greets with this version.
    ///
    /// ```
    /// use aemp::proto::generation::Generations;
    /// assert!(Generations::Auto.allows_version(0) && !Generations::Auto.allows_version(2));
    /// assert!(Generations::Only(2).allows_version(1) && !Generations::Only(2).allows_version(0));
    /// ```
    pub fn allows_version(self, version: u32) -> bool {
        match self {
            Self::Auto => version <= 1,
            Self::Only(_) => version == self.preferred_version(),
        }
    }

    /// The version to greet with when the other side's is not known.
    ///
    /// ```
    /// use aemp::proto::generation::Generations;
    /// let versions = [Generations::Auto, Generations::Only(0), Generations::Only(2)];
    /// assert_eq!(versions.map(Generations::preferred_version), [1, 0, 1]);
    /// ```
    pub fn preferred_version(self) -> u32 {
        match self {
            Self::Auto => 1,
            Self::Only(number) => number.min(1),
        }
    }

    /// Whether the other side's greeting can change what ours says.
    ///
    /// ```
    /// use aemp::proto::generation::Generations;
    /// assert!(Generations::Auto.is_open() && !Generations::Only(1).is_open());
    /// ```
    pub fn is_open(self) -> bool {
        self == Self::Auto
    }

    /// The versions that they greet with, in words.
    ///
    /// ```
    /// use aemp::proto::generation::Generations;
    /// assert_eq!(Generations::Auto.versions(), "0 or 1");
    /// assert_eq!(Generations::Only(2).versions(), "1");
    /// ```
    pub fn versions(self) -> String {
        match self {
            Self::Auto => "0 or 1".to_owned(),
            Self::Only(_) => self.preferred_version().to_string(),
        }
    }
}

impl std::fmt::Display for Generations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("0, 1 or 2"),
            Self::Only(number) => write!(f, "{number}"),
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
    fn the_newest_that_both_speak() {
        use Generations::{Auto, Only};
        let perl2 = "aemp;1;a;b;c;mproto=1;provider=AE-2.01";
        let perl1 = "aemp;1;a;b;c;provider=AE-1.30";
        let open = "aemp;1;a;b;c;mproto=1;generations=2,1,0";
        for (ours, theirs, want) in [
            (Auto, open, Some(Generation::Gen2)),
            (Only(1), open, Some(Generation::Gen1b)),
            (Only(0), open, None), // it greeted with the wrong version
            (Only(2), perl2, Some(Generation::Gen2)),
            (Only(1), perl2, None),
            (Only(2), perl1, None),
            (Only(1), perl1, Some(Generation::Gen1b)),
        ] {
            let theirs = Greeting::parse(theirs.as_bytes()).unwrap();
            assert_eq!(
                Generation::between(ours, &theirs),
                want,
                "{ours} {theirs:?}"
            );
        }
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
            ("gproto=1;mproto=1;provider=AE-2.01", Generation::Gen2),
            ("mproto=1;provider=other-1.2", Generation::Gen2),
            ("generations=1,0;provider=other-1.2", Generation::Gen1b),
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
