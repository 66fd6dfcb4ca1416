//! The log lines of a network, caught by one of its nodes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::ctx::{Ctx, Pair};
use crate::driver::Node;
use crate::fault::{Fault, Result, ensure};
use crate::pairing::Pairing;
use crate::peers::Generation;
use crate::scenario::Scenario;

/// See [`run`].
pub const SCENARIO: Scenario = Scenario {
    name: "logs",
    about: "each node catches the lines that the other logs, up to a level, with those of a node that comes later; with another level it gets others, and in the end none",
    not_in: |pairing: &Pairing| {
        (pairing.generation() == Some(Generation::G0)).then_some("log lines are sent from 1.1 on")
    },
    run,
};

/// Whether it is a Perl node of generation 2.
fn is_modern(one: &Node, ctx: &Ctx) -> bool {
    one.is_perl() && ctx.pairing.generation() == Some(Generation::G2)
}

/// Has a node log an error, or what is just worth knowing.
fn logs(one: &Node, ctx: &Ctx, error: bool, text: &str) -> Result<()> {
    let level = match (error, is_modern(one, ctx)) {
        (true, false) => 1,
        (true, true) => 4,
        (false, _) => 7,
    };
    one.call("log", json!({ "level": level, "text": text }))
        .map(drop)
}

/// Waits until `catcher` has caught a line of `source` that says this.
fn caught(catcher: &Node, source: &str, text: &str) -> Result<Value> {
    caught_within(catcher, catcher.limit(), source, text)
}

fn caught_within(catcher: &Node, limit: Duration, source: &str, text: &str) -> Result<Value> {
    catcher.wait_for(&format!("the line {text:?}"), limit, |event| {
        let said = event["text"].as_str().unwrap_or_default();
        let of_source = event["node"] == source || said.contains(&format!("[{source}"));
        event["ev"] == "log" && of_source && said.contains(text)
    })
}

/// Catches lines up to this level, and waits until those of `source` come.
fn catches(ctx: &Ctx, catcher: &Node, source: &Node, level: u8) -> Result<()> {
    catcher.call("catch", json!({ "level": level }))?;
    // In generation 2 the catcher asks the database first for whom there is.
    let sure = format!("level {level}");
    let deadline = Instant::now() + ctx.limit();
    loop {
        logs(source, ctx, true, &sure)?;
        let wait = Duration::from_millis(100);
        match caught_within(catcher, wait, source.name(), &sure) {
            Err(Fault::Timeout { .. }) if Instant::now() < deadline => {}
            done => return done.map(drop),
        }
    }
}

fn run(ctx: &mut Ctx) -> Result<()> {
    let Pair { alice, bob, .. } = ctx.pair()?;
    alice.sync("bob")?;
    bob.sync("alice")?;
    for (catcher, source) in [(&alice, &bob), (&bob, &alice)] {
        ctx.step(format!(
            "{} catches what {} logs",
            catcher.name(),
            source.name()
        ));
        catches(ctx, catcher, source, 8)?;
        logs(source, ctx, false, "news \u{e9}")?;
        let line = caught(catcher, source.name(), "news \u{e9}")?;
        if !catcher.is_perl() {
            ensure(line["level"] == 7, || format!("got {line}"))?;
        }

        // The second time 2.02 is not told whom there is: a monitor of what is monitored already.
        if !is_modern(catcher, ctx) {
            ctx.step("another level");
            catches(ctx, catcher, source, 5)?;
            logs(source, ctx, false, "not wanted")?;
            logs(source, ctx, true, "asked for")?;
            caught(catcher, source.name(), "asked for")?;
        }

        ctx.step("none");
        catcher.call("catch", json!({ "level": null }))?;
        catcher.sync(source.name())?;
        logs(source, ctx, true, "too late")?;
        source.sync(catcher.name())?;
        catcher.sync(source.name())?;
        let found = catcher.pending(|event| {
            let said = event["text"].as_str().unwrap_or_default();
            event["ev"] == "log"
                && (event["node"] == source.name() || said.contains(&format!("[{}", source.name())))
                && (said.contains("not wanted") || said.contains("too late"))
        });
        ensure(found.is_empty(), || format!("got {found:?}"))?;
    }
    Ok(())
}
