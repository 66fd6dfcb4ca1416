//! What came of the node's seeds, for whoever wants to know why there is no network.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::Node;
use crate::log::log_at;
use crate::net::LinkError;
use crate::proto::handshake::Blame;
use crate::proto::{HandshakeError, NodeId};

/// A seed of a node, and what came of the tries to reach it: see [`Node::seeds`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeedStatus {
    /// Its address, looked up; as configured, if it can't be looked up.
    pub address: String,
    /// The node that was found there, which need not have proved anything.
    pub node: Option<NodeId>,
    /// How often it was tried.
    pub tries: u64,
    /// Why the last try came to nothing: of the network, of that node, or of what is configured
    /// here. `None` while there was none, and when it has been reached since.
    pub last_failure: Option<String>,
}

/// The seeds by address.
#[derive(Default)]
pub(crate) struct Seeds(Mutex<BTreeMap<String, Seed>>);

/// A seed, and what was said of it.
struct Seed {
    status: SeedStatus,
    /// The failure that was told last, and is told again after so many tries in all.
    told: Option<(String, u64)>,
}

/// Something that whoever runs the node should know.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It is not reached, for that reason, which may pass by itself.
    Unreached(String),
    /// It is not reached, for a reason that somebody has to do something about.
    Refused(String),
    /// It is reached, after so many tries of which something was told.
    Reached(u64),
}

impl News {
    /// Says so in the log, at a level that is shown by default.
    pub(crate) fn log(&self, seed: &str) {
        match self {
            News::Unreached(why) => log_at!(5, "seed {seed}: {why}; trying again"),
            News::Refused(why) => log_at!(2, [seed], "seed {seed}: {why}; trying again"),
            News::Reached(tries) => log_at!(5, "seed {seed}: reached after {tries} tries"),
        }
    }
}

impl Seed {
    /// A try has failed. The reason is news when it is another one than before, and then again when
    /// ten times as many tries have failed.
    fn failed(&mut self, why: String) -> Option<String> {
        self.status.tries += 1;
        let tries = self.status.tries;
        let is_told = |(told, again): &(String, u64)| *told == why && tries < *again;
        let news = match &self.told {
            Some(told) if is_told(told) => None,
            Some((told, _)) if *told == why => Some(format!("{why} (tried {tries} times)")),
            _ => Some(why.clone()),
        };
        if news.is_some() {
            self.told = Some((why.clone(), tries.saturating_mul(10).max(10)));
        }
        self.status.last_failure = Some(why);
        news
    }

    fn reached(&mut self) -> Option<u64> {
        self.status.tries += 1;
        self.status.last_failure = None;
        self.told.take().map(|_| self.status.tries)
    }
}

impl Seeds {
    /// There is such a seed.
    pub(crate) fn add(&self, address: &str) {
        self.change(address, |_| {});
    }

    /// It is none any more: it is the node itself, or a name for which there are addresses now.
    pub(crate) fn remove(&self, address: &str) {
        self.0.lock().remove(address);
    }

    /// A try came to an end.
    pub(crate) fn tried(&self, address: &str, result: &Result<(), LinkError>) -> Option<News> {
        self.change(address, |seed| match result {
            // Another connection to it was there first.
            Ok(())
            | Err(
                LinkError::Duplicate(_)
                | LinkError::Handshake(HandshakeError::AlreadyConnected { .. }),
            ) => seed.reached().map(News::Reached),
            Err(error) => {
                let text = seed.failed(explained(error))?;
                Some(
                    match error.blame() == Blame::Network && !is_refusal(error) {
                        true => News::Unreached(text),
                        false => News::Refused(text),
                    },
                )
            }
        })
    }

    /// Its name can't be looked up.
    pub(crate) fn unresolved(&self, name: &str, why: String) -> Option<News> {
        self.change(name, |seed| seed.failed(why).map(News::Refused))
    }

    /// A node is there.
    pub(crate) fn found(&self, address: &str, node: &NodeId) {
        self.change(address, |seed| seed.status.node = Some(node.clone()));
    }

    fn change<T>(&self, address: &str, change: impl FnOnce(&mut Seed) -> T) -> T {
        let mut seeds = self.0.lock();
        let seed = seeds.entry(address.to_owned());
        change(seed.or_insert_with(|| Seed {
            status: SeedStatus {
                address: address.to_owned(),
                node: None,
                tries: 0,
                last_failure: None,
            },
            told: None,
        }))
    }
}

fn is_refusal(error: &LinkError) -> bool {
    matches!(error, LinkError::Refused(_))
}

/// An error, and who has to change what.
fn explained(error: &LinkError) -> String {
    let advice = match error {
        LinkError::Closed => Some("it closed before it had greeted: is it a node?"),
        error => error.advice(),
    };
    match advice {
        None => error.to_string(),
        Some(advice) => format!("{error}; {advice}"),
    }
}

impl Node {
    /// The node's seeds, sorted by address, and what came of the tries to reach them. A seed that
    /// turned out to be this node is left out.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// let node = aemp::Node::builder().no_rc().nodeid("a").secret("geheim").binds(["127.0.0.1:0"]);
    /// let node = node.seeds(["127.0.0.1:1"]).start().await?;
    /// while node.seeds()[0].last_failure.is_none() {
    ///     tokio::time::sleep(Duration::from_millis(1)).await;
    /// }
    /// let seed = &node.seeds()[0];
    /// assert_eq!((&*seed.address, &seed.node), ("127.0.0.1:1", &None));
    /// assert!(seed.tries >= 1);
    /// # Ok(()) }
    /// ```
    pub fn seeds(&self) -> Vec<SeedStatus> {
        let seeds = self.inner().seeds.0.lock();
        seeds.values().map(|seed| seed.status.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    fn fails(kind: ErrorKind) -> Result<(), LinkError> {
        Err(LinkError::Io(kind.into()))
    }

    #[test]
    fn a_failure_is_told_once_and_then_less_and_less_often() {
        let seeds = Seeds::default();
        let told: Vec<u64> = (1..=2_000)
            .filter(|_| {
                let news = seeds.tried("a:1", &fails(ErrorKind::ConnectionRefused));
                assert!(matches!(news, None | Some(News::Unreached(_))));
                news.is_some()
            })
            .collect();
        assert_eq!(told, [1, 10, 100, 1_000]);
        // Another one is news, and so is the same once more after that.
        assert!(seeds.tried("a:1", &fails(ErrorKind::TimedOut)).is_some());
        assert!(seeds.tried("a:1", &fails(ErrorKind::TimedOut)).is_none());
        assert!(
            seeds
                .tried("a:1", &fails(ErrorKind::ConnectionRefused))
                .is_some()
        );
        // Other seeds have nothing to do with it.
        assert!(
            seeds
                .tried("b:1", &fails(ErrorKind::ConnectionRefused))
                .is_some()
        );
    }

    #[test]
    fn what_is_reached_is_news_only_behind_a_failure() {
        let seeds = Seeds::default();
        assert_eq!(seeds.tried("a:1", &Ok(())), None);
        let _ = seeds.tried("a:1", &fails(ErrorKind::ConnectionRefused));
        assert_eq!(seeds.tried("a:1", &Ok(())), Some(News::Reached(3)));
        assert_eq!(seeds.tried("a:1", &Ok(())), None);
        let kept = Err(LinkError::Duplicate("a".into()));
        assert_eq!(seeds.tried("a:1", &kept), None);
    }

    #[test]
    fn what_somebody_has_to_change_is_named() {
        let seeds = Seeds::default();
        let of = |error: HandshakeError| match seeds.tried("a:1", &Err(error.into())) {
            Some(News::Refused(text)) => text,
            other => panic!("{other:?}"),
        };
        let method = "hmac_sha3_512".to_owned();
        assert!(of(HandshakeError::WrongToken { method }).contains("`secret`"));
        let (ours, theirs) = ("0".to_owned(), 1);
        assert!(of(HandshakeError::Version { ours, theirs }).contains("`generation`"));
        let (node, nonce) = ("a".into(), Vec::new());
        assert!(of(HandshakeError::OwnNodeId { node, nonce }).contains("`nodeid`"));
        let refused = seeds.tried("a:1", &Err(LinkError::Refused("b".into())));
        assert!(matches!(refused, Some(News::Refused(text)) if text.contains("`secret`")));
    }
}
