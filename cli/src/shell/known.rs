//! What the shell knows of the network: for completions, and for its lists.

use std::collections::BTreeSet;
use std::time::Duration;

use aemp::config::{Environment, RcFile};
use aemp::node::FUNCTIONS_FUNCTION;
use aemp::{Node, NodeId, PortId};
use parking_lot::Mutex;
use serde_json::Value;

use super::watch::Watch;
use crate::Failure;
use crate::ask::{self, LIMIT};

/// For how long somebody who presses Tab waits for a node's answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// How many functions are looked at.
const MOST_FUNCTIONS: usize = 1000;

/// What the shell knows.
pub(super) struct Known {
    node: Node,
    watch: Watch,
    /// The node that lines are evaluated on.
    current: Mutex<NodeId>,
    /// Ports that were met: spawned, made or named in a line.
    met: Mutex<BTreeSet<PortId>>,
}

impl Known {
    pub(super) fn new(node: &Node, watch: &Watch, current: NodeId) -> Self {
        Known {
            node: node.clone(),
            watch: watch.clone(),
            current: Mutex::new(current),
            met: Mutex::default(),
        }
    }

    pub(super) fn current(&self) -> NodeId {
        self.current.lock().clone()
    }

    pub(super) fn go(&self, to: NodeId) {
        *self.current.lock() = to;
    }

    pub(super) fn meet(&self, port: &PortId) {
        if !port.is_node_port() {
            self.met.lock().insert(port.clone());
        }
    }

    pub(super) fn forget(&self, port: &PortId) {
        self.met.lock().remove(port);
    }

    /// The nodes that are known, the shell's own and the one that it is on included.
    pub(super) fn nodes(&self) -> BTreeSet<NodeId> {
        let mut nodes: BTreeSet<NodeId> = self.node.known_nodes().into_iter().collect();
        nodes.extend(self.node.up_nodes());
        nodes.extend([self.node.id().clone(), self.current()]);
        nodes
    }

    /// The ports that are known: in groups, monitored, or met.
    pub(super) fn ports(&self) -> BTreeSet<PortId> {
        let mut ports = self.met.lock().clone();
        let groups = self.node.groups();
        ports.extend(groups.iter().flat_map(|group| self.node.members(group)));
        ports.extend(self.watch.monitored());
        ports.retain(|port| !port.is_node_port());
        ports
    }

    pub(super) fn monitored(&self) -> Vec<PortId> {
        self.watch.monitored()
    }

    pub(super) fn groups(&self) -> Vec<String> {
        self.node.groups()
    }

    /// The profiles of the configuration; none if it can't be read, for there is nowhere to say so.
    pub(super) fn profiles(&self) -> Vec<String> {
        let rc = RcFile::load(Environment::from_process().rc_path()).unwrap_or_default();
        rc.profile_names().map(str::to_owned).collect()
    }

    /// Whether that is a node of Perl's, as far as there is a link to it.
    pub(super) fn is_perl(&self, node: &NodeId) -> bool {
        let link = self.node.link_stats(node);
        link.is_some_and(|link| ask::is_perl(&link))
    }

    /// The functions of a node that begin so, and with a Perl node the packages in which there may
    /// be some.
    pub(super) async fn functions(
        &self,
        node: &NodeId,
        begin: &str,
    ) -> Result<Vec<String>, Failure> {
        self.functions_within(node, begin, LIMIT).await
    }

    async fn functions_within(
        &self,
        node: &NodeId,
        begin: &str,
        limit: Duration,
    ) -> Result<Vec<String>, Failure> {
        let port = node.node_port();
        let mut names: Vec<String> = if node == self.node.id() {
            self.node.functions()
        } else if self.is_perl(node) {
            let Some(expression) = perl_functions(begin) else {
                return Ok(Vec::new());
            };
            let request = ("eval", expression);
            let reply: Vec<Value> = ask::call_within(&self.node, &port, &request, limit).await?;
            ask::results(reply)?.args()?
        } else {
            ask::call_within(&self.node, &port, &(FUNCTIONS_FUNCTION,), limit).await?
        };
        names.retain(|name| name.starts_with(begin));
        names.truncate(MOST_FUNCTIONS);
        Ok(names)
    }

    /// The same for somebody who waits for them at a terminal; blocks the thread.
    pub(super) fn functions_soon(
        &self,
        runtime: &tokio::runtime::Handle,
        node: &NodeId,
        begin: &str,
    ) -> Vec<String> {
        let asked = self.functions_within(node, begin, PATIENCE);
        runtime.block_on(asked).unwrap_or_default()
    }
}

/// The expression by which a Perl node says which functions and packages it has that begin so. A
/// name without a package would be looked for in one of AnyEvent::MP's own: of those there are only
/// the packages.
fn perl_functions(begin: &str) -> Option<String> {
    let is_name = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !begin.split("::").all(is_name) && !begin.trim_end_matches(':').split("::").all(is_name) {
        return None;
    }
    let (head, rest) = match begin.rfind("::") {
        Some(at) => begin.split_at(at + 2),
        None => ("", begin),
    };
    let rest = rest.trim_end_matches(':');
    let package = match head {
        "" | "::" => "main::",
        head => head,
    };
    let is_wanted = match head {
        "" => "/::\\z/",
        _ => "/::\\z/ || defined &{\"$p$_\"}",
    };
    Some(format!(
        "no strict 'refs'; my $p = '{package}'; \
         map '{head}' . $_, sort grep {{ /\\A{rest}[\\w:]*\\z/ && ({is_wanted}) }} keys %$p"
    ))
}

/// The expression by which a Perl node says which ports it has.
pub(super) const PERL_PORTS: &str = "map \"$AnyEvent::MP::Kernel::NODE#$_\", \
     sort grep length, keys %AnyEvent::MP::Kernel::PORT";

#[cfg(test)]
mod tests {
    use super::perl_functions;

    /// What perl itself makes of the expression, if there is one.
    #[test]
    fn perl_finds_its_functions() {
        let code = "package Shop; sub till {} sub toll {} our $table; package Shop::Door; \
             sub open {} package main; sub made {} use strict; \
             print join ' ', eval $ENV{EXPRESSION}; die $@ if $@";
        let run = |begin: &str| {
            let mut perl = std::process::Command::new("perl");
            perl.args(["-e", code]);
            perl.env("EXPRESSION", perl_functions(begin).unwrap());
            let output = perl.output().ok()?;
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{begin}: {errors}");
            Some(String::from_utf8(output.stdout).unwrap())
        };
        for (begin, wanted) in [
            ("Shop::t", "Shop::till Shop::toll"),
            ("Shop::", "Shop::Door:: Shop::till Shop::toll"),
            ("Shop::Door::", "Shop::Door::open"),
            ("Sho", "Shop::"),
            ("main::mad", "main::made"),
            ("::mad", "::made"),
            ("mad", ""),
        ] {
            match run(begin) {
                Some(found) => assert_eq!(found, wanted, "{begin}"),
                // There is no perl.
                None => return,
            }
        }
    }

    #[test]
    fn nothing_else_is_evaluated() {
        for begin in ["'; system 'x", "a::b'", "f(", "{"] {
            assert_eq!(perl_functions(begin), None, "{begin}");
        }
        assert!(perl_functions("Shop:").is_some());
    }
}
