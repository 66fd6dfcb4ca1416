//! A port that is slower than who sends to it, and waits for room there.

use std::collections::BTreeMap;

use serde_json::json;

use crate::bench::{About, Bench, Rounds};
use crate::child::{Linked, Setup, Who, number, rate};
use crate::failure::Failure;
use crate::figures::{Better, Bound};

/// How long the fast port beside it is watched, in milliseconds.
const MILLIS: u64 = 2_000;

/// A million messages to it, others to a port beside it: the rates, and the memory that either
/// process had at the most. That all arrive, and in their order, the processes see to.
pub fn measure(bench: &mut Bench) -> Result<(), Failure> {
    let abouts = [
        About::rate("slow port"),
        About::new("fast port beside it, of alone", "", Better::Higher)
            .bounds(&[Bound::Absolute(0.5)]),
        About::new("slow port, memory of either process", "MB", Better::Lower)
            .bounds(&[Bound::Absolute(150.0)]),
    ]
    .map(|about| about.at_most(3));
    let wanted = abouts.each_ref().map(|about| bench.wants(&about.name));
    if !wanted.contains(&true) {
        return Ok(());
    }
    let builds = bench.those(Who::is_rust);
    let count = bench.count(1_000_000);
    let mut kept: [Rounds; 3] = [const { BTreeMap::new() }; 3];
    bench.rounds(&abouts[0], &builds, |who| {
        let mut linked = Linked::start(who, Setup::default())?;
        if !linked.has("slow") {
            return Ok(None);
        }
        let answer = linked.ask(json!({"do": "slow", "count": count, "millis": MILLIS}))?;
        let beside = number(&answer, "beside")? / number(&answer, "alone")?;
        let values = [rate(&answer), Some(beside), linked.peak()];
        for (kept, value) in kept.iter_mut().zip(values) {
            kept.entry(who.name()).or_default().extend(value);
        }
        Ok(values[0])
    })?;
    for ((about, rounds), wanted) in abouts.into_iter().zip(kept).zip(wanted) {
        if wanted {
            bench.add(about, rounds);
        }
    }
    Ok(())
}
