//! Whole networks of real nodes, over the network in memory and in virtual time: a schedule, made
//! from a seed, says what happens to them; when it is over everything is healed, and then what
//! always has to hold is looked at.
#![allow(dead_code)]

mod evidence;
mod exam;
mod invariants;
mod log;
mod make;
mod panics;
mod program;
mod record;
mod rng;
mod schedule;
mod world;

use schedule::Schedule;
use world::{Options, run};

#[test]
fn first() {
    let first: u64 = std::env::var("FIRST")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(0);
    let count: u64 = std::env::var("COUNT")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(20);
    let log_level: u8 = std::env::var("LOG")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(0);
    for seed in first..first + count {
        let schedule = Schedule::make(seed, &(3..=12));
        let begun = std::time::Instant::now();
        let evidence = run(
            &schedule,
            &Options {
                log_level,
                ..Options::default()
            },
        );
        println!(
            "seed {seed}: {} nodes {} steps {} events, settled after {} s, {:?} real {:?}",
            schedule.nodes.len(),
            schedule.steps.len(),
            evidence.entries.len(),
            (evidence.settled - evidence.healed) / 1_000_000,
            begun.elapsed(),
            evidence.bare
        );
        if std::env::var("TRACE").is_ok() {
            println!("{schedule}\n{}", evidence.trace());
        }
        println!(
            "tasks {} connections {}",
            evidence.bare_tasks, evidence.bare_connections
        );
        for (name, text) in invariants::broken(&evidence) {
            println!("    {name}: {text}");
        }
    }
}
