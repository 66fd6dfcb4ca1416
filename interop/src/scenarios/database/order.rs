//! What monitors tell, and in which order.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::nodes::{settled, star};
use super::seen::family_is;
use super::watch::Watch;
use crate::ctx::Ctx;
use crate::fault::{Result, ensure};
use crate::pairing::Side;
use crate::scenario::{Scenario, only_2};

/// What monitors tell, and in which order.
pub const SCENARIO: Scenario = Scenario {
    name: "db-order",
    about: "monitors at the writer, at the global node and at another slave see each of several hundred changes once and in order; a monitor that is ended sees nothing, one that begins late sees what is there",
    not_in: only_2,
    run: order,
};

/// How many changes.
const CHANGES: u64 = 300;

/// The changes, in order: key, and value or none for a delete. Three keys; every seventh change
/// deletes. The values are texts: a Perl node that compares values makes texts of its numbers.
fn changes() -> impl Iterator<Item = (String, Option<String>)> {
    (0..CHANGES).map(|n| {
        let key = format!("k{}", n % 3);
        (key, (n % 7 != 6).then(|| n.to_string()))
    })
}

fn order(ctx: &mut Ctx) -> Result<()> {
    let (alice, slaves) = star(ctx, &[(Side::B, "bob"), (Side::A, "carol")])?;
    let (bob, carol) = (&slaves[0], &slaves[1]);
    for writer in [&alice, bob] {
        let family = format!("changes_of_{}", writer.name());
        ctx.step(format!("{} writes, all watch", writer.name()));
        let mut watches = Vec::new();
        for node in [&alice, bob, carol] {
            // two monitors of one family on each node
            for _ in 0..2 {
                watches.push(Watch::start(node, &family)?);
            }
        }
        settled(&alice, &[bob, carol])?;
        let ended = carol.db_mon(&family)?;
        carol.grp_unmon(ended)?;
        let mut pending = Vec::new();
        let mut wanted = Vec::new();
        let mut there = BTreeMap::new();
        for (key, value) in changes() {
            let (command, args) = match &value {
                Some(n) => (
                    "db_set",
                    json!({ "family": family, "key": key, "value": n }),
                ),
                None => ("db_del", json!({ "family": family, "keys": [key] })),
            };
            pending.push((writer.send(command, &args)?, command));
            let was = there.contains_key(&key);
            match value {
                Some(n) => {
                    wanted.push((if was { "change" } else { "add" }, key.clone(), json!(n)));
                    there.insert(key, json!(n));
                }
                // deleting what is not there is no change
                None if was => {
                    wanted.push(("del", key.clone(), Value::Null));
                    there.remove(&key);
                }
                None => {}
            }
        }
        for (id, command) in pending {
            writer.answer(id, command)?;
        }
        settled(&alice, &[bob, carol])?;
        for watch in &mut watches {
            ctx.step(format!(
                "each change of {} once at {}",
                writer.name(),
                watch.node.name()
            ));
            let mut seen = Vec::new();
            while seen.len() < wanted.len() {
                let event = watch.next("the next change")?;
                for how in ["add", "change", "del"] {
                    for key in event[how].as_array().into_iter().flatten() {
                        let key = key.as_str().unwrap_or_default().to_owned();
                        let value = event["values"].get(&key).cloned().unwrap_or_default();
                        seen.push((how, key, value));
                    }
                }
                let at = seen.len();
                ensure(
                    seen.last() == at.checked_sub(1).and_then(|at| wanted.get(at)),
                    || {
                        format!(
                            "change {at}: expected {:?}, got {event}",
                            wanted.get(at - 1)
                        )
                    },
                )?;
            }
            ensure(seen == wanted, || "changes out of order".to_owned())?;
            watch.quiet()?;
        }
        let none =
            carol.pending(|e| e["ev"] == "db" && e["watch"] == ended && e["add"] != json!([]));
        ensure(none.is_empty(), || format!("an ended monitor: {}", none[0]))?;

        ctx.step("a monitor that begins late is told what is there");
        let mut late = Watch::start(carol, &family)?;
        let first = late.next("what is there")?;
        ensure(json!(late.now) == json!(there), || {
            format!("expected {}, got {first}", json!(there))
        })?;
        family_is(&alice, &family, &json!(there))?;
    }
    Ok(())
}
