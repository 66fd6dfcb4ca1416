//! What is checked: see [the world](super).

use std::fmt::Write as _;

use super::connections::{Connection, Stage};
use super::{Check, PORTS, World};

impl World {
    /// Of the connections between two nodes one is kept, as long as nobody cuts any.
    pub(super) fn check_refusals(&self, (at, of): (usize, usize)) -> Check {
        let between = |c: &&Connection| c.nodes == [at, of] || c.nodes == [of, at];
        match self.connections.iter().filter(between).count() {
            0 => Ok(()),
            _ if self.disturbed || self.quiet_end => Ok(()),
            refused => Err(format!(
                "{at} and {of} refused all of {refused} connections"
            )),
        }
    }

    /// Once at rest: both ends have the same link, and nothing is missing on it.
    pub(super) fn check_rest(&mut self) -> Check {
        for key in self.keys() {
            let (at, of) = key;
            let link = self.peers[&key].link;
            let other = self.peers[&(of, at)].link;
            match (link, other) {
                (Some((ours, side)), Some((theirs, _))) if ours == theirs => {
                    if self.connections[ours].stage != [Stage::Link, Stage::Link] {
                        return Err(format!("{at} has a link to {of} that is none: side {side}"));
                    }
                }
                (None, None) => {}
                _ => {
                    return Err(format!(
                        "{at} and {of} have different links: {link:?}, {other:?}"
                    ));
                }
            }
            if link.is_none() && self.peers[&key].rules.queued() > 0 {
                return Err(format!("{at} has messages for {of} and no link"));
            }
        }
        for (n, monitor) in self.monitors.iter().enumerate() {
            if monitor.ended || monitor.fired.is_some() {
                continue;
            }
            let key = (monitor.at, monitor.of);
            if self.peers[&key].link.is_none() {
                return Err(format!("monitor {n} is in force, and there is no link"));
            }
            for port in monitor.covers() {
                let sent = self.peers[&key].sent[port];
                let arrived = self.peers[&key].arrived[port].map_or(0, |last| last + 1);
                if arrived < sent && sent > monitor.from[port] {
                    return Err(format!(
                        "monitor {n} did not fire, and {arrived} is missing"
                    ));
                }
            }
        }
        Ok(())
    }

    /// After the end of all links: every monitor has fired.
    pub(super) fn check_end(&mut self) -> Check {
        for (n, monitor) in self.monitors.iter().enumerate() {
            if monitor.fired.is_none() && !monitor.ended {
                return Err(format!("monitor {n} has not fired"));
            }
        }
        Ok(())
    }

    /// The message of that number arrives from the other end.
    pub(super) fn arrives(
        &mut self,
        n: usize,
        side: usize,
        (at, from): (usize, usize),
        name: &str,
        number: u64,
    ) -> Check {
        let port = PORTS.iter().position(|port| *port == name);
        let port = port.ok_or("a message to a port that nobody has")?;
        note!(self, "{at} gets {number} for {name:?} from {from}");
        let sender = self.peers.get_mut(&(from, at)).expect("it is there");
        let before = sender.arrived[port].replace(number);
        if before.is_some_and(|before| before >= number) {
            return Err(format!("{number} arrives behind {before:?}"));
        }
        let first_missing = before.map_or(0, |before| before + 1);
        let up = self.connections[n].up[1 - side];
        for (id, monitor) in self.monitors.iter().enumerate() {
            if (monitor.at, monitor.of) != (from, at) || !monitor.covers().any(|p| p == port) {
                continue;
            }
            let until = monitor.until[port].unwrap_or(u64::MAX);
            let hole = first_missing.max(monitor.from[port]);
            if number < until && hole < number {
                return Err(format!("{number} arrives, {hole} did not: monitor {id}"));
            }
            let covered = (monitor.from[port]..until).contains(&number);
            if covered && monitor.fired.is_some_and(|fired| fired < up) {
                return Err(format!(
                    "{number} goes over a link that came up after monitor {id} fired"
                ));
            }
        }
        Ok(())
    }
}
