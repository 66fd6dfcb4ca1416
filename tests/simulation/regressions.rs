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
