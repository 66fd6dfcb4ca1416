//! Schedules that broke something once, in their text form. `scripts/simulate` prints those that do
//! now: they go to the end of `schedules.txt`, with a comment that says what was wrong.

use crate::invariants;
use crate::schedule::Schedule;
use crate::world::{Options, run};

const STORED: &str = include_str!("schedules.txt");

#[test]
fn schedules_that_broke_something_once() {
    let stored = Schedule::all(STORED).unwrap();
    assert!(!stored.is_empty());
    for schedule in stored {
        let evidence = run(&schedule, &Options::default());
        let broken = invariants::broken(&evidence);
        assert!(broken.is_empty(), "{broken:?}\n{schedule}");
    }
}

/// What the exam makes allowance for, and no more: two nodes of an old generation that can't reach
/// each other for longer than an attempt takes, while both have links to others, are linked only
/// when one has something to say to the other. For less time they find each other by themselves.
#[test]
fn only_a_long_partition_keeps_nodes_apart_until_they_have_something_to_say() {
    for (nodes, ms, stay_apart) in [
        ("gen0+seed gen0 gen0", 10_000, false),
        ("gen0+seed gen0 gen0", 40_000, true),
        ("gen1+seed gen1 gen1", 10_000, false),
        ("gen1+seed gen1 gen1", 40_000, true),
        ("all+seed all all", 10_000, false),
        ("gen2+seed gen2+seed gen2", 40_000, false),
    ] {
        let text = format!(
            "schedule seed=1 delay=1 capacity=65536 queue=0\nnodes {nodes}\nwait ms=5000\n\
             partition from=1 to=2\npartition from=2 to=1\ncut a=1 b=2\nwait ms={ms}\n"
        );
        let schedule = Schedule::all(&text).unwrap().remove(0);
        let evidence = run(&schedule, &Options::default());
        assert_eq!(invariants::broken(&evidence), [], "{text}");
        let apart = invariants::apart(&evidence);
        assert_eq!(apart.is_some(), stay_apart, "{apart:?}\n{text}");
    }
}

#[test]
fn the_text_form_holds_all_there_is_of_a_schedule() {
    let made: Vec<Schedule> = (0..300)
        .map(|seed| Schedule::make(seed, &(1..=20)))
        .collect();
    let text: String = made.iter().map(Schedule::to_string).collect();
    assert_eq!(Schedule::all(&text).unwrap(), made);
    for wrong in [
        "wait ms=1",
        "schedule seed=1",
        "schedule seed=1 delay=1 capacity=1 queue=0\nfly a=1",
        "schedule seed=1 delay=1 capacity=1 queue=0\ncut a=1",
        "schedule seed=1 delay=1 capacity=1 queue=0\nnodes gen7",
    ] {
        assert!(Schedule::all(wrong).is_err(), "{wrong}");
    }
}
