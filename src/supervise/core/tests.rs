//! The decisions, case by case.

mod histories;

use super::*;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const WAIT: Duration = ms(100);
const LIMIT: Duration = ms(1000);

fn policy(restart: Restart) -> Policy {
    Policy {
        restart,
        backoff: Backoff::new(WAIT, ms(400))
            .jitter(0.0)
            .reset_after(ms(5000)),
        stop_limit: Some(LIMIT),
    }
}

/// A core with so many permanent children, all running.
fn running(strategy: Strategy, children: usize) -> Core {
    let mut core = Core::new(strategy, Intensity::new(3, ms(5000)));
    for _ in 0..children {
        core.add(policy(Restart::Permanent));
    }
    for key in 0..children as Key {
        assert_eq!(core.poll(ms(0)), Some(Action::Start(key)));
        assert_eq!(core.poll(ms(0)), None, "one after the other");
        core.started(key, ms(0));
    }
    core
}

/// Plays a world in which everything works, until nothing is to be done; what was done.
fn play(core: &mut Core, now: Now) -> Vec<Action> {
    let mut done = Vec::new();
    while let Some(action) = core.poll(now) {
        done.push(action);
        match action {
            Action::Start(key) => core.started(key, now),
            Action::Stop(key) => {
                assert_eq!(core.ended(key, false, now, 0.0), Verdict::Expected);
            }
            _ => {}
        }
    }
    done
}

use Action::{Abandon, Finished, Forget, Start, Stop};

#[test]
fn each_strategy_has_its_order() {
    let cases: [(Strategy, &[Action], &[Action]); 3] = [
        (Strategy::OneForOne, &[], &[Start(1)]),
        (
            Strategy::OneForAll,
            &[Stop(3), Stop(2), Stop(0)],
            &[Start(0), Start(1), Start(2), Start(3)],
        ),
        (
            Strategy::RestForOne,
            &[Stop(3), Stop(2)],
            &[Start(1), Start(2), Start(3)],
        ),
    ];
    for (strategy, at_once, after_the_wait) in cases {
        let mut core = running(strategy, 4);
        let verdict = core.ended(1, true, ms(10), 0.0);
        assert_eq!(verdict, Verdict::Restart { after: WAIT });
        assert_eq!(play(&mut core, ms(10)), at_once, "{strategy:?}");
        assert_eq!(core.next_timer(ms(10)), Some(ms(110)));
        assert_eq!(play(&mut core, ms(109)), []);
        assert_eq!(play(&mut core, ms(110)), after_the_wait, "{strategy:?}");
        assert_eq!(core.next_timer(ms(110)), None);
    }
}

#[test]
fn the_end_of_each_is_waited_for() {
    let mut core = running(Strategy::OneForOne, 3);
    core.shut_down();
    assert_eq!(core.poll(ms(0)), Some(Stop(2)));
    assert_eq!(core.poll(ms(0)), None);
    // One that ends by itself meanwhile is not stopped.
    assert_eq!(core.ended(1, false, ms(1), 0.0), Verdict::Expected);
    assert_eq!(core.next_timer(ms(1)), Some(LIMIT));
    assert_eq!(core.poll(LIMIT), Some(Abandon(2)));
    assert_eq!(core.poll(LIMIT), Some(Stop(0)));
    core.ended(0, true, LIMIT, 0.0);
    assert_eq!(core.poll(LIMIT), Some(Finished));
    assert_eq!(core.poll(LIMIT), None);
    assert_eq!(core.add(policy(Restart::Permanent)), 3);
    assert_eq!(core.poll(LIMIT), None, "nothing is started any more");
}

#[test]
fn kinds_of_restart() {
    for (restart, normal, again) in [
        (Restart::Permanent, true, true),
        (Restart::Permanent, false, true),
        (Restart::Transient, true, false),
        (Restart::Transient, false, true),
        (Restart::Temporary, true, false),
        (Restart::Temporary, false, false),
    ] {
        let mut core = Core::new(Strategy::OneForOne, Intensity::default());
        core.add(policy(restart));
        assert_eq!(play(&mut core, ms(0)), [Start(0)]);
        let verdict = core.ended(0, normal, ms(0), 0.0);
        let expected = match again {
            true => Verdict::Restart { after: WAIT },
            false => Verdict::Done,
        };
        assert_eq!(verdict, expected, "{restart:?}, normal: {normal}");
        let then = match (again, restart) {
            (true, _) => vec![Start(0)],
            (false, Restart::Temporary) => vec![Forget(0)],
            (false, _) => vec![],
        };
        assert_eq!(play(&mut core, WAIT), then, "{restart:?}, normal: {normal}");
    }
}

#[test]
fn waits_grow_until_a_long_life() {
    let mut core = running(Strategy::OneForOne, 1);
    let mut now = ms(0);
    // Slow enough for the intensity.
    for wait in [100, 200, 400, 400] {
        now += ms(2000);
        let after = ms(wait);
        assert_eq!(core.ended(0, false, now, 0.0), Verdict::Restart { after });
        now += after;
        assert_eq!(play(&mut core, now), [Start(0)]);
    }
    now += ms(5000);
    let verdict = core.ended(0, false, now, 0.0);
    assert_eq!(verdict, Verdict::Restart { after: WAIT });
}

#[test]
fn giving_up() {
    let mut core = running(Strategy::OneForOne, 3);
    for _ in 0..3 {
        core.ended(1, false, ms(0), 0.0);
        core.restart(1);
        assert_eq!(play(&mut core, ms(0)), [Start(1)]);
    }
    let verdict = core.ended(1, false, ms(0), 0.0);
    assert_eq!(verdict, Verdict::GiveUp { alone: true });
    assert_eq!(play(&mut core, ms(0)), [Stop(2), Stop(0), Finished]);
}

#[test]
fn a_failed_start_is_a_death() {
    let mut core = Core::new(Strategy::OneForAll, Intensity::default());
    for _ in 0..3 {
        core.add(policy(Restart::Permanent));
    }
    assert_eq!(core.poll(ms(0)), Some(Start(0)));
    core.started(0, ms(0));
    assert_eq!(core.poll(ms(0)), Some(Start(1)));
    let verdict = core.ended(1, false, ms(0), 0.0);
    assert_eq!(verdict, Verdict::Restart { after: WAIT });
    assert_eq!(play(&mut core, ms(0)), [Stop(0)]);
    assert_eq!(play(&mut core, WAIT), [Start(0), Start(1), Start(2)]);
}

#[test]
fn independent_children_wait_for_each_other_only_at_first() {
    let mut core = Core::new(Strategy::OneForOne, Intensity::default());
    for _ in 0..3 {
        core.add(policy(Restart::Permanent));
    }
    assert_eq!(core.poll(ms(0)), Some(Start(0)));
    assert_eq!(core.poll(ms(0)), None);
    core.parked(0);
    assert_eq!(core.poll(ms(0)), Some(Start(1)));
    core.ended(1, false, ms(0), 0.0);
    assert_eq!(play(&mut core, ms(0)), [Start(2)]);
    // A restart does not wait for another one.
    assert_eq!(core.poll(WAIT), Some(Start(1)));
    core.ended(2, false, WAIT, 0.0);
    assert_eq!(core.poll(WAIT * 2), Some(Start(2)));
}

#[test]
fn on_demand() {
    let mut core = running(Strategy::RestForOne, 3);
    core.terminate(1);
    assert_eq!(play(&mut core, ms(0)), [Stop(1)]);
    // A sibling's restart does not bring it back, and it holds up nobody.
    core.ended(0, false, ms(0), 0.0);
    assert_eq!(play(&mut core, ms(0)), [Stop(2)]);
    assert_eq!(play(&mut core, WAIT), [Start(0), Start(2)]);
    core.restart(1);
    assert_eq!(play(&mut core, WAIT), [Start(1)]);
    core.restart(1);
    assert_eq!(play(&mut core, WAIT), [Stop(1), Start(1)]);
    core.remove(1);
    assert_eq!(play(&mut core, WAIT), [Stop(1), Forget(1)]);
    core.restart(1);
    assert_eq!(play(&mut core, WAIT), []);
}

#[test]
fn a_transient_child_that_ends_while_its_group_restarts_stays_ended() {
    let mut core = running(Strategy::OneForAll, 1);
    core.add(policy(Restart::Transient));
    core.add(policy(Restart::Transient));
    core.add(policy(Restart::Temporary));
    play(&mut core, ms(0));
    core.ended(0, false, ms(0), 0.0);
    assert_eq!(core.poll(ms(0)), Some(Stop(3)));
    core.ended(3, false, ms(0), 0.0);
    core.ended(1, true, ms(0), 0.0);
    assert_eq!(play(&mut core, ms(0)), [Stop(2), Forget(3)]);
    assert_eq!(play(&mut core, WAIT), [Start(0), Start(2)]);
}

#[test]
fn the_next_timer_is_the_earliest() {
    let mut core = running(Strategy::OneForOne, 3);
    core.ended(2, false, ms(0), 0.0);
    core.ended(0, false, ms(50), 0.0);
    core.terminate(1);
    assert_eq!(core.poll(ms(60)), Some(Stop(1)));
    for (now, next) in [(60, 100), (100, 150), (150, 1060)] {
        assert_eq!(core.next_timer(ms(now)), Some(ms(next)));
    }
    assert_eq!(play(&mut core, ms(1060)), [Abandon(1), Start(0), Start(2)]);
    assert_eq!(core.next_timer(ms(1060)), None);
}
