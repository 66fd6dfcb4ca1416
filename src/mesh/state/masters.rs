//! Masters, whom a node of generation 1 asks for news.

use super::known::{Link, State};
use crate::mesh::line::line;
use crate::proto::NodeId;

impl State {
    pub(super) fn up_seeds(&self) -> Vec<NodeId> {
        let with_masters = |node: &&NodeId| {
            let link = self.nodes.get(*node).and_then(|k| k.up.as_ref());
            link.is_some_and(Link::has_masters)
        };
        let mut seeds: Vec<NodeId> = self.seeds.nodes().filter(with_masters).cloned().collect();
        seeds.sort();
        seeds.dedup();
        seeds
    }

    pub(super) fn check_master(&mut self) {
        if self.config.stands_in {
            return;
        }
        if self
            .master
            .as_ref()
            .is_some_and(|master| self.is_up(master))
        {
            return;
        }
        let seeds = self.up_seeds();
        let master = if seeds.is_empty() {
            let mut up = self.up_nodes();
            up.rfind(|(_, _, link)| link.has_masters())
                .map(|(id, ..)| id.clone())
        } else {
            let at = ((self.random)() * seeds.len() as f64) as usize;
            seeds.get(at.min(seeds.len() - 1)).cloned()
        };
        self.set_master(master);
    }

    pub(super) fn set_master(&mut self, master: Option<NodeId>) {
        if self.master == master {
            return;
        }
        if let Some(old) = self.master.take() {
            self.say(&old, ("seedme0",));
        }
        self.master = master;
        if let Some(master) = self.master.clone() {
            self.say(&master, ("seedme1",));
            self.log(7, line!(master: "selected new master: {master}."));
        }
    }
}
