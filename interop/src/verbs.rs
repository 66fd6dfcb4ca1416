//! The commands of a driver as methods of [`Node`].

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::compare::{same, same_list};
use crate::driver::Node;
use crate::fault::{Fault, Result, ensure, short};
use crate::spec::Spec;

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value
        .as_array()
        .map(|list| list.iter().map(text).collect())
        .unwrap_or_default()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

impl Node {
    /// Configures the node; returns its listeners.
    pub fn configure(&self, spec: &Spec) -> Result<Vec<String>> {
        let mut args = spec.args();
        if let Some(generation) = self.generation()
            && args["generation"].is_null()
        {
            args["generation"] = json!(generation.number());
        }
        let ok = self.call("configure", args)?;
        ensure(ok["nodeid"] == spec.name.as_str(), || {
            format!("{} calls itself {}", spec.name, ok["nodeid"])
        })?;
        Ok(texts(&ok["listeners"]))
    }

    /// The first address it listens on.
    pub fn listener(&self) -> Result<String> {
        let all = texts(&self.call("listeners", json!({}))?["listeners"]);
        all.into_iter()
            .next()
            .ok_or_else(|| Fault::unexpected(format!("{} has no listener", self.name())))
    }

    /// Creates a port of the kind.
    pub fn port(&self, kind: &str) -> Result<String> {
        Ok(text(&self.call("port", json!({ "kind": kind }))?["port"]))
    }

    /// Creates a port that counts numbered messages and says so when there have been `expect`.
    pub fn counter(&self, expect: u64) -> Result<String> {
        Ok(text(
            &self.call("port", json!({ "kind": "counter", "expect": expect }))?["port"],
        ))
    }

    /// The same, and each message takes it `pause` milliseconds.
    pub fn slow_counter(&self, expect: u64, pause: u64) -> Result<String> {
        let args = json!({ "kind": "counter", "expect": expect, "pause": pause });
        Ok(text(&self.call("port", args)?["port"]))
    }

    /// Waits until a counter has had all its messages; fails if they were not all in order.
    pub fn counted(&self, port: &str, limit: Duration) -> Result<()> {
        let event = self.wait_for("a counter to have had all its messages", limit, |e| {
            e["ev"] == "counted" && e["port"] == port
        });
        match event {
            Ok(event) if event["holes"] == 0 => Ok(()),
            Ok(_) => Err(Fault::unexpected(format!(
                "{}: not in order: {}",
                self.name(),
                self.call("counter", json!({ "port": port }))?
            ))),
            Err(Fault::Timeout { what, seconds, .. }) => {
                let state = self.call("counter", json!({ "port": port }))?;
                Err(Fault::Timeout {
                    what,
                    seconds,
                    seen: format!("; the counter says {state}"),
                })
            }
            Err(fault) => Err(fault),
        }
    }

    /// Sets or removes the action of a port, for a tag or as its default.
    pub fn rcv(&self, port: &str, tag: Option<&str>, action: Option<&str>) -> Result<()> {
        self.call("rcv", json!({ "port": port, "tag": tag, "action": action }))
            .map(drop)
    }

    /// Sends a message (an array).
    pub fn snd(&self, to: &str, msg: Value) -> Result<()> {
        self.call("snd", json!({ "to": to, "msg": msg })).map(drop)
    }

    /// Starts sending `count` messages `[own name, sequence number, tail..]`; the answer to the
    /// returned command comes when all are handed over.
    pub fn snd_many(&self, to: &str, count: u64, tail: &Value) -> Result<u64> {
        self.send(
            "snd_many",
            &json!({ "to": to, "head": [self.name()], "count": count, "tail": tail }),
        )
    }

    /// Waits for the next message that a `record` port (or action) reports.
    pub fn msg(&self, port: &str) -> Result<Vec<Value>> {
        Ok(list(
            &self.wait(&format!("a message to {port}"), |e| {
                e["ev"] == "msg" && e["port"] == port
            })?["msg"],
        ))
    }

    /// Waits for the next message on a port; fails unless it is `expected`.
    pub fn expect_msg(&self, port: &str, expected: &Value) -> Result<()> {
        let got = Value::Array(self.msg(port)?);
        ensure(same(&got, expected), || {
            format!(
                "{}: expected the message {}, got {}",
                self.name(),
                short(&expected.to_string()),
                short(&got.to_string())
            )
        })
    }

    /// Monitors a port with a callback; [`Node::fired`] tells what it was called with.
    pub fn mon(&self, port: &str) -> Result<u64> {
        self.mon_form(json!({ "port": port, "form": "call" }))
    }

    /// Monitors a port in the form that the arguments say (`DRIVER.md`).
    pub fn mon_form(&self, args: Value) -> Result<u64> {
        self.call("mon", args)?["mon"]
            .as_u64()
            .ok_or_else(|| Fault::unexpected("the driver gave no monitor ID"))
    }

    /// Ends a monitor.
    pub fn unmon(&self, mon: u64) -> Result<()> {
        self.call("unmon", json!({ "mon": mon })).map(drop)
    }

    /// Waits for a monitor to fire; returns the reason.
    pub fn fired(&self, mon: u64) -> Result<Vec<Value>> {
        Ok(list(
            &self.wait(&format!("monitor {mon} to fire"), |e| {
                e["ev"] == "mon" && e["mon"] == mon
            })?["reason"],
        ))
    }

    /// Waits for a monitor to fire; fails unless with this reason.
    pub fn expect_fired(&self, mon: u64, reason: &Value) -> Result<()> {
        let got = self.fired(mon)?;
        ensure(same_list(&got, &list(reason)), || {
            format!(
                "{}: expected the reason {reason}, got {}",
                self.name(),
                json!(got)
            )
        })
    }

    /// Waits for a monitor to fire for the loss of `node`.
    pub fn expect_lost(&self, mon: u64, node: &str) -> Result<()> {
        let got = self.fired(mon)?;
        // 0.95 and 1.0 leave out the node in one case ("switched connections")
        let good = got.first().is_some_and(|v| v == "transport_error")
            && (got.len() == 2 || got.len() == 3 && got[1] == node);
        ensure(good, || {
            format!(
                "{}: expected transport_error for {node}, got {}",
                self.name(),
                json!(got)
            )
        })
    }

    /// Fails if a monitor has fired (and its event was not taken).
    pub fn expect_quiet(&self, mon: u64) -> Result<()> {
        let fired = self.pending(|e| e["ev"] == "mon" && e["mon"] == mon);
        ensure(fired.is_empty(), || {
            format!(
                "{}: monitor {mon} must not have fired: {}",
                self.name(),
                fired[0]
            )
        })
    }

    /// Kills a port.
    pub fn kil(&self, port: &str, reason: Value) -> Result<()> {
        self.call("kil", json!({ "port": port, "reason": reason }))
            .map(drop)
    }

    /// Spawns a port on a node.
    pub fn spawn(&self, node: &str, func: &str, args: Value) -> Result<String> {
        Ok(text(
            &self.call("spawn", json!({ "node": node, "func": func, "args": args }))?["port"],
        ))
    }

    /// Waits for a node to come up.
    pub fn up(&self, node: &str) -> Result<()> {
        self.wait(&format!("{node} to come up"), |e| {
            e["ev"] == "node" && e["node"] == node && e["up"] == true
        })
        .map(drop)
    }

    /// Waits for a node to go down.
    pub fn down(&self, node: &str) -> Result<Vec<Value>> {
        let event = self.wait(&format!("{node} to go down"), |e| {
            e["ev"] == "node" && e["node"] == node && e["up"] == false
        })?;
        Ok(list(&event["reason"]))
    }

    /// The nodes this one is connected with, sorted.
    pub fn up_nodes(&self) -> Result<Vec<String>> {
        Ok(texts(&self.call("nodes", json!({}))?["up"]))
    }

    /// Waits until everything that `other` sent before now has been worked off here, and everything
    /// sent there from here.
    pub fn sync(&self, other: &str) -> Result<()> {
        let port = self.port("record")?;
        self.snd(other, json!(["snd", port, "sync"]))?;
        self.expect_msg(&port, &json!(["sync"]))?;
        self.kil(&port, json!([]))
    }

    /// Registers a port in a group; the returned registration ends with [`Node::grp_unreg`].
    pub fn grp_reg(&self, group: &str, port: &str) -> Result<u64> {
        let ok = self.call("grp_reg", json!({ "group": group, "port": port }))?;
        ok["reg"]
            .as_u64()
            .ok_or_else(|| Fault::unexpected("the driver gave no registration ID"))
    }

    /// Ends a registration.
    pub fn grp_unreg(&self, reg: u64) -> Result<()> {
        self.call("grp_unreg", json!({ "reg": reg })).map(drop)
    }

    /// The ports of a group, sorted.
    pub fn grp_get(&self, group: &str) -> Result<Vec<String>> {
        Ok(texts(
            &self.call("grp_get", json!({ "group": group }))?["ports"],
        ))
    }

    /// Waits until a group has exactly these members here.
    pub fn group_is(&self, group: &str, members: &[&str]) -> Result<()> {
        let mut wanted: Vec<&str> = members.to_vec();
        wanted.sort_unstable();
        self.poll(&format!("group {group} to be {wanted:?}"), || {
            let got = self.grp_get(group)?;
            Ok((got == wanted)
                .then_some(())
                .ok_or_else(|| format!("; it is {got:?}")))
        })
    }

    /// Ends a monitor of a group or of a family.
    pub fn grp_unmon(&self, watch: u64) -> Result<()> {
        self.call("grp_unmon", json!({ "watch": watch })).map(drop)
    }

    /// Sets a key of a family.
    pub fn db_set(&self, family: &str, key: &str, value: Value) -> Result<()> {
        let args = json!({ "family": family, "key": key, "value": value });
        self.call("db_set", args).map(drop)
    }

    /// Deletes own keys of a family.
    pub fn db_del(&self, family: &str, keys: &[&str]) -> Result<()> {
        self.call("db_del", json!({ "family": family, "keys": keys }))
            .map(drop)
    }

    /// Registers a port in a family; the returned registration ends with [`Node::grp_unreg`].
    pub fn db_reg(&self, family: &str, port: &str, value: Value) -> Result<u64> {
        let args = json!({ "family": family, "port": port, "value": value });
        let ok = self.call("db_reg", args)?;
        ok["reg"]
            .as_u64()
            .ok_or_else(|| Fault::unexpected("the driver gave no registration ID"))
    }

    /// Monitors a family: `db` events. Ends with [`Node::grp_unmon`].
    pub fn db_mon(&self, family: &str) -> Result<u64> {
        let ok = self.call("db_mon", json!({ "family": family }))?;
        ok["watch"]
            .as_u64()
            .ok_or_else(|| Fault::unexpected("the driver gave no watch ID"))
    }

    /// A whole family, as an object.
    pub fn db_family(&self, family: &str) -> Result<Value> {
        Ok(self.call("db_family", json!({ "family": family }))?["values"].clone())
    }

    /// The keys of a family, sorted.
    pub fn db_keys(&self, family: &str) -> Result<Vec<String>> {
        Ok(texts(
            &self.call("db_keys", json!({ "family": family }))?["keys"],
        ))
    }

    /// The values of a family, in any order.
    pub fn db_values(&self, family: &str) -> Result<Vec<Value>> {
        Ok(list(
            &self.call("db_values", json!({ "family": family }))?["values"],
        ))
    }

    /// Waits until this node is connected with exactly these.
    pub fn connected_with(&self, nodes: &[&str], limit: Duration) -> Result<()> {
        let mut wanted: Vec<&str> = nodes.to_vec();
        wanted.sort_unstable();
        self.poll_for(
            &format!("connections with exactly {wanted:?}"),
            limit,
            || {
                let got = self.up_nodes()?;
                Ok((got == wanted)
                    .then_some(())
                    .ok_or_else(|| format!("; they are {got:?}")))
            },
        )
    }

    /// Asks again and again (every 20 ms) until `ask` gives a value; its error says what was seen
    /// last.
    pub fn poll<T>(
        &self,
        what: &str,
        ask: impl FnMut() -> Result<std::result::Result<T, String>>,
    ) -> Result<T> {
        self.poll_for(what, self.limit(), ask)
    }

    /// [`Node::poll`] with its own limit.
    pub fn poll_for<T>(
        &self,
        what: &str,
        limit: Duration,
        mut ask: impl FnMut() -> Result<std::result::Result<T, String>>,
    ) -> Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            match ask()? {
                Ok(value) => return Ok(value),
                Err(seen) if Instant::now() >= deadline => {
                    return Err(Fault::Timeout {
                        what: format!("{}: {what}", self.name()),
                        seconds: limit.as_secs_f64(),
                        seen,
                    });
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}
