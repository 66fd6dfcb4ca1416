//! Which systems there are, what each needs, and which ways to use it are measured.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::building::{Place, Unbuilt, program};
use super::kind::Kind;
use super::rival::{Launch, Rival};
use crate::failure::Failure;

/// Another system.
struct System {
    name: &'static str,
    needs: &'static [Need],
    built: Built,
    version: Version,
    ways: &'static [Way],
}

/// Something that has to be installed.
enum Need {
    /// A program, and how it is got.
    Program(&'static str, &'static str),
    /// A library with its headers, by the name that pkg-config knows, and how it is got.
    Library(&'static str, &'static str),
}

/// How its programs are built from `interop/rivals/`.
enum Built {
    /// By erlc.
    Erlang,
    /// By Cargo, as this package.
    Cargo(&'static str),
}

/// How its version is found out.
enum Version {
    /// It is a word that this program prints.
    Said(&'static str, &'static [&'static str]),
    /// That of the crate in Cargo.lock.
    Locked(&'static str),
}

/// A way to use it.
struct Way {
    name: &'static str,
    how: &'static str,
    variant: Variant,
    kinds: &'static [Kind],
}

/// What its program is told besides.
enum Variant {
    None,
    Word(&'static str),
    /// Where this other program is.
    Program(&'static str),
}

/// The names of the systems.
pub const NAMES: [&str; 5] = ["erlang", "zeromq", "nats", "tonic", "ractor_cluster"];

const CARGO: Need = Need::Program("cargo", "https://rustup.rs");
/// Their cryptography, which is not used here, is in C.
const CC: Need = Need::Program("cc", "apt-get install gcc");
const OTP: &[&str] = &[
    "-noshell",
    "-eval",
    "io:format(\"OTP ~s~n\", [erlang:system_info(otp_release)]), halt().",
];

const SYSTEMS: [System; 5] = [
    System {
        name: NAMES[0],
        needs: &[
            Need::Program("erl", "apt-get install erlang-base"),
            Need::Program("erlc", "apt-get install erlang-base"),
        ],
        built: Built::Erlang,
        version: Version::Said("erl", OTP),
        ways: &[Way {
            name: "erlang",
            how: "! to a process; two nodes, compiled code",
            variant: Variant::None,
            kinds: &Kind::ALL,
        }],
    },
    System {
        name: NAMES[1],
        needs: &[
            CARGO,
            Need::Program("pkg-config", "apt-get install pkg-config"),
            Need::Library("libzmq", "apt-get install libzmq3-dev"),
        ],
        built: Built::Cargo("rival-zeromq"),
        version: Version::Said("pkg-config", &["--modversion", "libzmq"]),
        ways: &[
            Way {
                name: "zeromq, JSON",
                how: "PUSH to PULL, DEALER to ROUTER; serde_json at both ends",
                variant: Variant::None,
                kinds: Kind::REMOTE,
            },
            Way {
                name: "zeromq, raw",
                how: "the same with as many octets that nobody writes or reads",
                variant: Variant::Word("raw"),
                kinds: Kind::REMOTE,
            },
        ],
    },
    System {
        name: NAMES[2],
        needs: &[
            CARGO,
            CC,
            Need::Program("nats-server", "apt-get install nats-server"),
        ],
        built: Built::Cargo("rival-nats"),
        version: Version::Said("nats-server", &["--version"]),
        ways: &[Way {
            name: "nats",
            how: "publish, request; async-nats, serde_json at both ends",
            variant: Variant::Program("nats-server"),
            kinds: Kind::REMOTE,
        }],
    },
    System {
        name: NAMES[3],
        needs: &[CARGO],
        built: Built::Cargo("rival-tonic"),
        version: Version::Locked("tonic"),
        ways: &[
            Way {
                name: "tonic, stream",
                how: "protobuf on one stream",
                variant: Variant::None,
                kinds: Kind::REMOTE,
            },
            Way {
                name: "tonic, unary",
                how: "protobuf, each call for itself",
                variant: Variant::Word("unary"),
                kinds: Kind::ANSWERS,
            },
        ],
    },
    System {
        name: NAMES[4],
        needs: &[CARGO, CC],
        built: Built::Cargo("rival-ractor"),
        version: Version::Locked("ractor_cluster"),
        ways: &[Way {
            name: "ractor_cluster",
            how: "cast and call to an actor of the other node; ractor alone within a process",
            variant: Variant::None,
            kinds: &Kind::ALL,
        }],
    },
];

/// What there is.
#[derive(Debug, Default)]
pub struct Found {
    /// Can be measured.
    pub rivals: Vec<Rival>,
    /// What is missing, and what to install.
    pub missing: Vec<String>,
    /// What is there and can't be built.
    pub failed: Vec<String>,
}

/// Looks for the systems of these names, or for all if there is none, and builds their programs, or
/// leaves that to another time.
pub fn find(wanted: &[String], build: bool) -> Result<Found, Failure> {
    let mut found = Found::default();
    let mut place = Place::new()?;
    let is_wanted =
        |system: &&System| wanted.is_empty() || wanted.iter().any(|name| *name == system.name);
    for system in SYSTEMS.iter().filter(is_wanted) {
        let program = match missing(system.needs) {
            Some(what) => Err(Unbuilt::Missing(what)),
            None if build => system.build(&mut place),
            None => Ok(PathBuf::new()),
        };
        match program {
            Ok(program) => found.rivals.extend(system.rivals(&program, &place)),
            Err(Unbuilt::Missing(what)) => found.missing.push(format!("{}: {what}", system.name)),
            Err(Unbuilt::Failed(why)) => found.failed.push(format!("{}: {why}", system.name)),
        }
    }
    Ok(found)
}

/// What of this is not there.
fn missing(needs: &[Need]) -> Option<String> {
    needs.iter().find_map(|need| match need {
        Need::Program(name, how) => {
            (program(name).is_none()).then(|| format!("there is no {name}: {how}"))
        }
        Need::Library(name, how) => {
            let known = Command::new("pkg-config").args(["--exists", name]).status();
            let is_there = known.is_ok_and(|status| status.success());
            (!is_there).then(|| format!("there is no {name} with its headers: {how}"))
        }
    })
}

impl System {
    fn build(&self, place: &mut Place) -> Result<PathBuf, Unbuilt> {
        eprintln!("building: {}", self.name);
        match self.built {
            Built::Erlang => place.erlang(),
            Built::Cargo(package) => place.cargo(package),
        }
    }

    fn rivals(&self, executable: &Path, place: &Place) -> Vec<Rival> {
        let version = self.version(place);
        let one = |way: &Way| Rival {
            name: way.name.to_owned(),
            version: version.clone(),
            how: way.how,
            kinds: way.kinds,
            program: executable.to_owned(),
            launch: match self.built {
                Built::Erlang => Launch::Erlang {
                    folder: place.compiled(),
                },
                Built::Cargo(_) => Launch::Own {
                    variant: match way.variant {
                        Variant::None => None,
                        Variant::Word(word) => Some(word.to_owned()),
                        Variant::Program(name) => {
                            program(name).map(|path| path.to_string_lossy().into_owned())
                        }
                    },
                },
            },
        };
        self.ways.iter().map(one).collect()
    }

    fn version(&self, place: &Place) -> Option<String> {
        match self.version {
            Version::Said(name, arguments) => {
                let said = Command::new(program(name)?).args(arguments).output().ok()?;
                let said = String::from_utf8_lossy(&said.stdout);
                // `nats-server: v2.9`
                let text = said.trim().rsplit(": ").next()?;
                (!text.is_empty()).then(|| text.to_owned())
            }
            Version::Locked(name) => {
                let lock = std::fs::read_to_string(place.sources.join("Cargo.lock")).ok()?;
                locked(&lock, name)
            }
        }
    }
}

/// The version of a package in a Cargo.lock.
fn locked(lock: &str, name: &str) -> Option<String> {
    let lock: toml::Table = lock.parse().ok()?;
    let packages = lock.get("package")?.as_array()?;
    let is_it =
        |package: &&toml::Value| package.get("name").and_then(|is| is.as_str()) == Some(name);
    let version = packages.iter().find(is_it)?.get("version")?.as_str()?;
    Some(version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_the_lock_file() {
        let lock = "version = 4\n[[package]]\nname = \"a\"\nversion = \"1.2.3\"\n";
        assert_eq!(locked(lock, "a").as_deref(), Some("1.2.3"));
        assert_eq!(locked(lock, "b"), None);
        assert_eq!(locked("no lock", "a"), None);
    }

    #[test]
    fn what_is_not_installed_is_named_with_what_to_install() {
        let there = Need::Program("sh", "it is there");
        assert_eq!(missing(&[there]), None);
        let programs = [
            Need::Program("sh", "it is there"),
            Need::Program("no-such-program-of-ours", "apt-get install it"),
        ];
        let what = "there is no no-such-program-of-ours: apt-get install it";
        assert_eq!(missing(&programs).as_deref(), Some(what));
        let library = [Need::Library(
            "no-such-library-of-ours",
            "apt-get install it",
        )];
        assert!(missing(&library).unwrap().ends_with("apt-get install it"));
    }

    #[test]
    fn all_ways_have_names_of_their_own_and_a_package_that_is_there() {
        let place = Place::new().unwrap();
        let mut names: Vec<&str> = Vec::new();
        for system in &SYSTEMS {
            names.extend(system.ways.iter().map(|way| way.name));
            let file = match system.built {
                Built::Erlang => "erlang/rival.erl".to_owned(),
                Built::Cargo(package) => {
                    let folder = package.strip_prefix("rival-").unwrap();
                    format!("{folder}/Cargo.toml")
                }
            };
            assert!(place.sources.join(&file).is_file(), "{file}");
        }
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
