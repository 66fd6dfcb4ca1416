//! Whole networks of real nodes, over the network in memory and in virtual time.
//!
//! A schedule, which a seed makes, says what happens to a network, step by step: messages, kills,
//! cuts, partitions, crashes and so on. When it is over, everything is healed, time passes until
//! the network is at rest, and then it is looked at what always has to hold.
//!
//! | module | does |
//! |---|---|
//! | [`schedule`], [`make`] | what happens, as data and as text; made from a seed |
//! | [`world`], [`program`], [`exam`] | runs it, and looks at the network in the end |
//! | [`follow`] | puts together what readers of changes are told |
//! | [`record`], [`evidence`] | what happened, and what there is to be judged |
//! | [`invariants`] | what has to hold, each by name |
//! | [`search`] | runs many, and makes short what breaks something |
//! | [`faults`] | shows that each invariant can break |
//! | [`regressions`] | schedules that broke something once |
//!
//! `scripts/simulate` runs as many as one likes.

mod evidence;
mod exam;
mod faults;
mod follow;
mod frames;
mod invariants;
mod log;
mod make;
mod panics;
mod program;
mod record;
mod regressions;
mod rng;
mod schedule;
mod search;
mod world;

use std::time::Duration;

use schedule::Schedule;
use search::Search;
use world::{Options, run};

/// How many schedules are run unless `AEMP_SIMULATE` says otherwise, and for how long at most.
const SCHEDULES: u64 = 200;
const LIMIT: Duration = Duration::from_secs(20);

/// How long one that breaks something may be made shorter.
const SHRINK: Duration = Duration::from_secs(60);

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    let value = text.parse().ok();
    Some(value.unwrap_or_else(|| panic!("{name} is no number: {text}")))
}

#[test]
fn what_always_holds_holds_after_every_schedule() {
    let asked: Option<u64> = setting("AEMP_SIMULATE");
    let fewest = setting("AEMP_SIMULATE_FEWEST").unwrap_or(3);
    let most = setting("AEMP_SIMULATE_MOST").unwrap_or(12);
    let search = Search {
        first: setting("AEMP_SIMULATE_FIRST").unwrap_or(0),
        schedules: asked.unwrap_or(SCHEDULES),
        nodes: fewest..=most,
        limit: asked.is_none().then_some(LIMIT),
    };
    let outcome = search.run();
    let (schedules, seconds) = (outcome.schedules, outcome.seconds);
    println!(
        "{schedules} schedules in {seconds:.1} s, {:.1} a second; {} steps, {} events; after {} of them nodes of old \
         generations stayed apart until they were asked for something; {} broke something",
        schedules as f64 / seconds,
        outcome.steps,
        outcome.events,
        outcome.apart,
        outcome.findings.len(),
    );
    assert!(schedules > 0, "there was no time for any schedule");
    if let Some(finding) = outcome.findings.first() {
        panic!("{}", search::report(finding, &search.nodes, SHRINK));
    }
}

#[test]
fn a_schedule_gives_the_same_history_twice() {
    let history = |seed| {
        let options = Options {
            log_level: 9,
            ..Options::default()
        };
        run(&Schedule::make(seed, &(3..=8)), &options).trace()
    };
    for seed in 0..6 {
        let (one, other) = (history(seed), history(seed));
        let mut lines = one.lines().zip(other.lines());
        let different = lines.find(|(one, other)| one != other);
        assert_eq!(different, None, "seed {seed}");
        assert_eq!(one.lines().count(), other.lines().count());
    }
    assert_ne!(history(0), history(1));
}

/// Shows the trace of one seed: `AEMP_SIMULATE_FIRST=7 cargo test --test simulation trace --
/// --ignored --nocapture`.
#[test]
#[ignore = "for looking at one schedule"]
fn trace() {
    let fewest = setting("AEMP_SIMULATE_FEWEST").unwrap_or(3);
    let most = setting("AEMP_SIMULATE_MOST").unwrap_or(12);
    let seed = setting("AEMP_SIMULATE_FIRST").unwrap_or(0);
    let schedule = Schedule::make(seed, &(fewest..=most));
    let options = Options {
        log_level: setting("AEMP_SIMULATE_LOG").unwrap_or(0),
        ..Options::default()
    };
    let evidence = run(&schedule, &options);
    println!("{schedule}\n{}", evidence.trace());
    for (name, text) in invariants::broken(&evidence) {
        println!("{name}: {text}");
    }
}
