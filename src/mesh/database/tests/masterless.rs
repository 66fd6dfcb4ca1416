//! A node without a master: on its own, or in search of one.

use super::super::{Seeds, Timer};
use super::*;

fn seeds(state: &mut State, seeds: Seeds) -> Vec<Effect> {
    state.handle(Input::Seeds(seeds))
}

fn replies(effects: &[Effect]) -> Vec<(u64, Value)> {
    let reply = |effect: &Effect| match effect {
        Effect::Reply(id, value) => Some((*id, value.read().unwrap())),
        _ => None,
    };
    effects.iter().filter_map(reply).collect()
}

/// The searches that begin.
fn searches(effects: &[Effect]) -> Vec<Timer> {
    let search = |effect: &Effect| match effect {
        Effect::After(delay, timer @ Timer::Search(_)) => {
            assert_eq!(delay.as_secs(), 30);
            Some(timer.clone())
        }
        _ => None,
    };
    effects.iter().filter_map(search).collect()
}

/// The questions that are refused, the monitors that are told so, and the search.
fn refused(effects: &[Effect]) -> Vec<(Vec<u64>, Vec<u64>, u64)> {
    let refused = |effect: &Effect| match effect {
        Effect::NoMaster {
            questions,
            monitors,
            search,
        } => Some((questions.clone(), monitors.clone(), *search)),
        _ => None,
    };
    effects.iter().filter_map(refused).collect()
}

#[test]
fn a_node_without_seeds_answers_itself() {
    let mut state = state("a");
    set(&mut state, "f", "k", json!(1));
    assert!(replies(&query(&mut state, 1, Kind::Keys, "f")).is_empty());
    assert!(changes(&monitor(&mut state, 1, "f")).is_empty());
    // Now it is known that there will be nobody else.
    let effects = seeds(&mut state, Seeds::None);
    assert_eq!(replies(&effects), [(1, json!(["k"]))]);
    let added = |effects: &[Effect]| changes(effects)[0].1.added.len();
    assert_eq!((changes(&effects).len(), added(&effects)), (1, 1));
    assert!(searches(&effects).is_empty());

    let answer = |state: &mut State, kind| replies(&query(state, 2, kind, "f"));
    assert_eq!(answer(&mut state, Kind::Family), [(2, json!({"k": 1}))]);
    assert_eq!(answer(&mut state, Kind::Values), [(2, json!([1]))]);
    assert_eq!(
        replies(&query(&mut state, 3, Kind::Keys, "x")),
        [(3, json!([]))]
    );
    let effects = set(&mut state, "f", "k", json!(2));
    assert_eq!(changes(&effects)[0].1.changed["k"], json!(2));
    assert!(changes(&set(&mut state, "f", "k", json!(2))).is_empty());
    let effects = del(&mut state, "f", &["k", "none"]);
    assert_eq!(changes(&effects)[0].1.deleted["k"], json!(2));
    // A second monitor of the family, and one of another.
    set(&mut state, "f", "l", json!(3));
    assert_eq!(added(&monitor(&mut state, 2, "f")), 1);
    assert_eq!(added(&monitor(&mut state, 3, "g")), 0);
    assert!(!state.is_global() && state.master().is_none());
}

#[test]
fn a_node_that_is_no_longer_alone_asks_others() {
    let mut state = state("a");
    seeds(&mut state, Seeds::None);
    set(&mut state, "f", "own", json!(1));
    monitor(&mut state, 1, "f");
    // There is a global node, but it will not be the master: it is no seed.
    up(&mut state, "g", false);
    let effects = hear(&mut state, "g", json!(["g_global"]));
    let [search] = &searches(&effects)[..] else {
        panic!("{effects:?}");
    };
    let effects = query(&mut state, 1, Kind::Keys, "f");
    assert!(replies(&effects).is_empty() && refused(&effects).is_empty());
    let effects = state.handle(Input::Timer(search.clone()));
    // What the monitor knows it knows.
    assert_eq!(refused(&effects), [(vec![1], vec![], 1)]);
    // When it is gone, this node is alone again.
    down(&mut state, "g");
    assert_eq!(
        replies(&query(&mut state, 2, Kind::Keys, "f")),
        [(2, json!(["own"]))]
    );
    // The first slave makes it a global one; then it is its own master.
    up(&mut state, "s", false);
    let effects = hear(&mut state, "s", json!(["g_slave", {"f": {"theirs": 2}}]));
    assert!(state.is_global());
    let changes = changes(&effects);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0].1.added["theirs"], json!(2));
    assert!(searches(&effects).is_empty());
}

#[test]
fn who_finds_no_master_is_told_once_a_search() {
    let mut state = state("a");
    let effects = seeds(&mut state, Seeds::Some);
    let [first] = &searches(&effects)[..] else {
        panic!("{effects:?}");
    };
    query(&mut state, 1, Kind::Keys, "f");
    monitor(&mut state, 7, "f");
    monitor(&mut state, 8, "f");
    query(&mut state, 2, Kind::Keys, "f");
    state.handle(Input::Forget(2));
    let effects = state.handle(Input::Timer(first.clone()));
    assert_eq!(refused(&effects), [(vec![1], vec![7, 8], 1)]);
    assert!(state.handle(Input::Timer(first.clone())).is_empty());
    // From then on at once.
    let effects = query(&mut state, 3, Kind::Values, "f");
    assert_eq!(refused(&effects), [(vec![3], vec![], 1)]);
    let effects = monitor(&mut state, 9, "f");
    assert_eq!(refused(&effects), [(vec![], vec![9], 1)]);
    let effects = monitor(&mut state, 10, "g");
    assert_eq!(refused(&effects), [(vec![], vec![10], 1)]);

    // With a master all is as ever, and its loss begins another search.
    let effects = up(&mut state, "s", true);
    assert!(sent(&effects).contains(&json!(["s", "g_mon1", "f"])));
    let effects = hear(&mut state, "s", json!(["g_chg1", "f", {"k": 1}]));
    assert_eq!(changes(&effects)[0].0, [7, 8, 9]);
    query(&mut state, 4, Kind::Keys, "f");
    let effects = down(&mut state, "s");
    let [second] = &searches(&effects)[..] else {
        panic!("{effects:?}");
    };
    assert!(state.handle(Input::Timer(first.clone())).is_empty());
    // The seed comes back in time, and goes again: it is a third search.
    up(&mut state, "s", true);
    let effects = down(&mut state, "s");
    let [third] = &searches(&effects)[..] else {
        panic!("{effects:?}");
    };
    assert!(state.handle(Input::Timer(second.clone())).is_empty());
    let effects = state.handle(Input::Timer(third.clone()));
    // The content of `f` is known and stays; that of `g` is not.
    assert_eq!(refused(&effects), [(vec![4], vec![10], 3)]);
}
