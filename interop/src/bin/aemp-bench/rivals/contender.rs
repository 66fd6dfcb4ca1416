//! Who is measured: this crate in several ways, and the rivals.

use std::sync::Arc;

use serde_json::json;

use super::kind::Kind;
use super::rival::Rival;
use crate::child::{Build, Linked, Setup, Who, number};
use crate::failure::Failure;

/// The name of this crate's nodes as they are used most, with which all others are compared.
pub const OWN: &str = "aemp";

/// One who is measured.
#[derive(Debug, Clone)]
pub struct Contender {
    /// Whose processes are started.
    pub who: Who,
    /// How it is used.
    pub how: &'static str,
    /// Which figures it has.
    pub kinds: &'static [Kind],
    setup: Setup,
    local: Local,
}

/// How messages within a process are measured.
#[derive(Debug, Clone)]
enum Local {
    /// By a process with these arguments, which is told how many.
    Told(&'static str, Vec<String>),
    /// By a row of `scale`, which also measures the general way.
    Typed,
}

/// So many messages take the row a second or less.
const TYPED: u64 = 2_000_000;

impl Contender {
    /// This crate's.
    pub fn own() -> Result<Vec<Self>, Failure> {
        let program = std::env::current_exe()?;
        let one = |name: &str,
                   how: &'static str,
                   kinds: &'static [Kind],
                   framing: Option<&'static str>,
                   local: Local| Self {
            who: Who::Rust(Arc::new(Build {
                name: name.to_owned(),
                program: program.clone(),
            })),
            how,
            kinds,
            setup: Setup {
                framing,
                ..Setup::default()
            },
            local,
        };
        let told = || Local::Told("client", vec![]);
        Ok(vec![
            one(
                OWN,
                "snd_wait, rcv_with, cal; links in JSON",
                &Kind::ALL,
                None,
                told(),
            ),
            one(
                "aemp, CBOR",
                "the same; links in CBOR",
                Kind::REMOTE,
                Some("cbor"),
                told(),
            ),
            one(
                "aemp, by value",
                "snd_value_wait to a port that serves an enum",
                &[Kind::Local],
                None,
                Local::Typed,
            ),
        ])
    }

    /// Another system.
    pub fn rival(rival: Rival) -> Self {
        Self {
            how: rival.how,
            kinds: rival.kinds,
            setup: Setup::default(),
            local: Local::Told("local", rival.arguments("local", "none")),
            who: Who::Rival(Arc::new(rival)),
        }
    }

    /// Its version, if it is another system and that says so.
    pub fn version(&self) -> Option<&str> {
        match &self.who {
            Who::Rival(rival) => rival.version.as_deref(),
            _ => None,
        }
    }

    /// Takes a figure once, for about so many seconds, with new processes.
    pub fn take(&self, kind: Kind, seconds: f64) -> Result<f64, Failure> {
        match (kind, &self.local) {
            (Kind::Local, Local::Typed) => {
                let size = ((TYPED as f64 * seconds) as u64).to_string();
                let arguments = ["--row", "local", "--size", &size].map(str::to_owned);
                let answer = self.who.start("scale-row", &arguments)?.line()?;
                number(&answer, "typed")
            }
            (Kind::Local, Local::Told(role, arguments)) => {
                let mut child = self.who.start(role, arguments)?;
                kind.measure(seconds, |command| child.ask(&command))
            }
            _ => {
                let mut linked = Linked::start(&self.who, self.setup)?;
                kind.measure(seconds, |command| linked.ask(command))
            }
        }
    }

    /// What it is, for who reads the figures.
    pub fn json(&self) -> serde_json::Value {
        json!({"name": self.who.name(), "version": self.version(), "how": self.how})
    }
}
