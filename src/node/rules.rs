//! Other rules for a node that runs.

use super::Node;
use crate::config::Rule;
use crate::log::log_at;
use crate::rights::Rules;

/// The rules can't be changed while the node is a bridge: its stand-ins were made by the old ones.
///
/// See [`Node::reload_rules`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the rules of a bridge can't be changed while it runs")]
pub struct BridgeRules;

impl Node {
    /// Puts other rules in force, in place of those that the node was started with: what `allow`,
    /// `deny` and `secure` of the configuration are. They hold at once, for the links that are up
    /// as well: what comes after this has returned is held to them.
    ///
    /// A port that another node had spawned here before is that node's own, which it may use
    /// whatever the rules, only if it was already restricted in what it may do with ports.
    ///
    /// # Errors
    ///
    /// [`BridgeRules`]: the node is a bridge. The old rules stay.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// let start = |id: &str| aemp::Node::builder().no_rc().nodeid(id).secret("geheim").binds(["127.0.0.1:0"]);
    /// let (ruth, bob) = (start("ruth").start().await?, start("bob").start().await?);
    /// bob.add_seeds(ruth.listeners());
    /// ruth.function("hello", |cx, (reply,): (aemp::PortId,)| cx.snd(&reply, &("hello",)));
    /// let limit = Some(Duration::from_secs(5));
    /// let (said,): (String,) = bob.cal(ruth.id(), &("hello",), limit).await?;
    /// assert_eq!(said, "hello");
    ///
    /// ruth.reload_rules(&[], &["bob call hello".parse()?], false)?;
    /// let again = bob.cal::<(String,)>(ruth.id(), &("hello",), Some(Duration::from_millis(200))).await;
    /// assert!(again.is_err());
    /// # Ok(()) }
    /// ```
    pub fn reload_rules(
        &self,
        allow: &[Rule],
        deny: &[Rule],
        secure: bool,
    ) -> Result<(), BridgeRules> {
        let node = self.inner();
        if node.observer.get().is_some() || node.relay.is_some() {
            return Err(BridgeRules);
        }
        let rules = Rules::new(allow, deny, secure);
        node.control.replace_rules(node, rules);
        for link in node.peers.all().iter().filter_map(|peer| peer.link()) {
            link.hold_to(&node.gate);
        }
        log_at!(7, "other rules are in force");
        Ok(())
    }
}
