//! Ten thousand ports.

use serde_json::json;

use crate::ctx::{Ctx, Pair};
use crate::fault::{Result, ensure};
use crate::scenario::{Scenario, everywhere};

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "ports-10000",
    about: "10,000 ports on one node are each monitored and written to by the other; then they are killed, and every monitor fires",
    not_in: everywhere,
    run,
};

const COUNT: usize = 10_000;

fn run(ctx: &mut Ctx) -> Result<()> {
    let Pair { alice, bob, .. } = ctx.pair()?;
    for (one, other) in [(&bob, &alice), (&alice, &bob)] {
        ctx.step(format!(
            "{} makes {COUNT} ports, {} monitors them",
            other.name(),
            one.name()
        ));
        let made = other.call("ports", json!({ "kind": "tags", "count": COUNT }))?;
        let ports: Vec<&str> = made["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|p| p.as_str())
            .collect();
        let distinct: std::collections::HashSet<&&str> = ports.iter().collect();
        ensure(distinct.len() == COUNT, || {
            format!("{} different ports", distinct.len())
        })?;
        let sent: Result<Vec<u64>> = ports
            .iter()
            .map(|port| one.send("mon", &json!({ "port": port, "form": "call" })))
            .collect();
        let mut monitors = std::collections::HashSet::new();
        for id in sent? {
            monitors.extend(one.answer(id, "mon")?["mon"].as_u64());
        }
        ctx.step(format!("each port of {} is told to end", other.name()));
        let mut sent = Vec::new();
        for (n, port) in ports.iter().enumerate() {
            sent.push(one.send("snd", &json!({ "to": port, "msg": ["kil", "number", n] }))?);
        }
        for id in sent {
            one.answer(id, "snd")?;
        }
        for _ in 0..COUNT {
            let event = one.wait("all monitors to fire", |e| e["ev"] == "mon")?;
            let known = event["mon"]
                .as_u64()
                .is_some_and(|mon| monitors.remove(&mon));
            ensure(known && event["reason"][0] == "number", || {
                format!("unexpected: {event}")
            })?;
        }
        ensure(monitors.is_empty(), || {
            format!("{} monitors did not fire", monitors.len())
        })?;
        one.sync(other.name())?;
    }
    Ok(())
}
