//! Finding installed releases of AnyEvent::MP.
//!
//! They are where [`usual_folder`] says, and perl's own `@INC` may hold one more.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

#[path = "../../tests/support/peers.rs"]
mod places;

/// Where releases are looked for when nothing else is said.
pub use places::folder as usual_folder;

/// The ways AnyEvent::MP behaved on the wire over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Generation {
    /// 0.95 and 1.0.
    G0,
    /// 1.1 to 1.24: `kil` both for "died" and for "kill".
    G1a,
    /// 1.26 to 1.30: `kil0` for "died".
    G1b,
    /// 2.0 and later.
    G2,
}

impl Generation {
    /// The generation of a release such as `1.24`.
    pub fn of(release: &str) -> Self {
        let mut parts = release.split('.');
        let major: u32 = parts.next().and_then(|p| p.parse().ok()).unwrap_or(0);
        // "1.1" is older than "1.21": Perl versions are decimal fractions
        let minor: f64 = format!("0.{}", parts.next().unwrap_or("0"))
            .parse()
            .unwrap_or(0.0);
        match (major, minor) {
            (0, _) => Self::G0,
            (1, m) if m < 0.1 => Self::G0,
            (1, m) if m < 0.25 => Self::G1a,
            (1, _) => Self::G1b,
            _ => Self::G2,
        }
    }

    /// The number that it is called by where its ways of behaving do not matter.
    pub fn number(self) -> u8 {
        match self {
            Self::G0 => 0,
            Self::G1a | Self::G1b => 1,
            Self::G2 => 2,
        }
    }
}

/// One installed release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// As the module says it: `1.30`.
    pub version: String,
    /// Goes in front of `PERL5LIB`; none for the perl's own.
    pub include: Option<PathBuf>,
    /// How it behaves.
    pub generation: Generation,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "perl-{}", self.version)
    }
}

impl Release {
    /// What tells the older of two releases: its generation, then its number, which is a decimal
    /// fraction.
    pub fn age(&self) -> (Generation, &str) {
        (self.generation, &self.version)
    }

    /// The release's example programs, if they were put beside its modules.
    pub fn eg(&self) -> Option<PathBuf> {
        let server = self.beside("eg/chat_server")?;
        server.parent().map(Path::to_owned)
    }

    /// A file of the release's distribution that was put beside its modules.
    pub fn beside(&self, file: &str) -> Option<PathBuf> {
        let include = self.include.as_ref()?;
        let mut places = include.ancestors().take(3).map(|place| place.join(file));
        places.find(|place| place.is_file())
    }
}

/// What discovery found.
#[derive(Debug, Default)]
pub struct Peers {
    /// Usable releases, oldest first.
    pub releases: Vec<Arc<Release>>,
    /// What is missing or unusable, one sentence each.
    pub missing: Vec<String>,
}

/// The releases that stand for all others, one or more per way of behaving.
pub const USUAL: [&str; 7] = ["0.95", "1.0", "1.21", "1.24", "1.26", "1.30", "2.02"];

/// Finds the releases below `folder`, and the perl's own, that `wanted` accepts (by version) and
/// that load.
pub fn discover(folder: Option<&Path>, wanted: &dyn Fn(&str) -> bool) -> Peers {
    let mut peers = Peers::default();
    let mut found: BTreeMap<String, Release> = BTreeMap::new();
    match Command::new("perl").arg("-e1").output() {
        Ok(out) if out.status.success() => {}
        _ => {
            peers
                .missing
                .push("no perl in PATH: cells with Perl nodes are not run".to_owned());
            return peers;
        }
    }
    for (name, include) in folder.map(places::releases_in).unwrap_or_default() {
        if !wanted(&name) {
            continue;
        }
        match load(Some(&include)) {
            Ok(version) if version == name => {
                let generation = Generation::of(&version);
                found.insert(
                    version.clone(),
                    Release {
                        version,
                        include: Some(include),
                        generation,
                    },
                );
            }
            Ok(version) => peers
                .missing
                .push(format!("{name}: its folder holds AnyEvent::MP {version}")),
            Err(text) => peers.missing.push(format!("{name}: does not load: {text}")),
        }
    }
    if let Ok(version) = load(None)
        && wanted(&version)
    {
        let generation = Generation::of(&version);
        found.entry(version.clone()).or_insert(Release {
            version,
            include: None,
            generation,
        });
    }
    if found.is_empty() {
        let place =
            folder.map_or_else(|| "no folder given".to_owned(), |f| f.display().to_string());
        peers.missing.push(format!(
            "no usable AnyEvent::MP in {place} nor in perl's own @INC; install it (interop/cpanfile) or name a folder with one \
             folder of modules per release (--peers DIR or AEMP_PERL_PEERS)"
        ));
    }
    peers.releases = found.into_values().map(Arc::new).collect();
    peers.releases.sort_by(|a, b| a.age().cmp(&b.age()));
    peers
}

/// `PERL5LIB` with `include` in front.
pub fn perl5lib(include: &Path) -> std::ffi::OsString {
    let mut value = include.as_os_str().to_owned();
    if let Some(old) = std::env::var_os("PERL5LIB").filter(|v| !v.is_empty()) {
        value.push(":");
        value.push(old);
    }
    value
}

fn load(include: Option<&Path>) -> Result<String, String> {
    let mut perl = Command::new("perl");
    perl.args([
        "-MAnyEvent::MP",
        "-MAnyEvent::MP::Global",
        "-e",
        "print $AnyEvent::MP::VERSION",
    ]);
    perl.env("HOME", "/nonexistent")
        .env("PERL_ANYEVENT_MP_RC", "/nonexistent/rc")
        .env("PERL_ANYEVENT_MP_WARNLEVEL", "1");
    if let Some(include) = include {
        perl.env("PERL5LIB", perl5lib(include));
    }
    let out = perl.output().map_err(|e| e.to_string())?;
    let version = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    // a release that cannot write its (absent) configuration when it ends has loaded all the same
    if version.is_empty() {
        let text = String::from_utf8_lossy(&out.stderr);
        return Err(text.lines().next().unwrap_or("no message").to_owned());
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_by_release() {
        for (release, generation) in [
            ("0.95", Generation::G0),
            ("1.0", Generation::G0),
            ("1.1", Generation::G1a),
            ("1.2", Generation::G1a),
            ("1.24", Generation::G1a),
            ("1.26", Generation::G1b),
            ("1.30", Generation::G1b),
            ("2.0", Generation::G2),
            ("2.02", Generation::G2),
        ] {
            assert_eq!(Generation::of(release), generation, "{release}");
        }
    }

    #[test]
    fn folders_that_look_like_a_release() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["1.0/AnyEvent", "1.30/lib/perl5/AnyEvent", "notes"] {
            std::fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        std::fs::write(dir.path().join("1.0/AnyEvent/MP.pm"), "").unwrap();
        std::fs::write(dir.path().join("1.30/lib/perl5/AnyEvent/MP.pm"), "").unwrap();
        let found = places::releases_in(dir.path());
        assert_eq!(found[0], ("1.0".to_owned(), dir.path().join("1.0")));
        assert_eq!(
            found[1],
            ("1.30".to_owned(), dir.path().join("1.30/lib/perl5"))
        );
        assert_eq!(found.len(), 2);
    }
}
