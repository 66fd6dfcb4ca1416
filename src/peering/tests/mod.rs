//! The guarantee, over a model of everything that is not peering: see the world beside this.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use super::world::{Plan, World};
use super::{Afterwards, Effect, Pace, Peering, Room, Sender, Sent, Step, Which};
use crate::proto::{Framing, Reason};

/// How many schedules are run, unless `AEMP_SCHEDULES` says otherwise.
const SCHEDULES: u64 = 100_000;

/// Seeds of schedules that failed once; a failure adds its own.
const SEEDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/peering/tests/seeds.txt");

/// What is wrong with the schedule of this seed.
fn violation(seed: u64) -> Option<String> {
    World::new(Plan::new(seed)).run().err()
}

/// Fails with the schedule's history, and keeps its seed.
fn report(seed: u64, violation: &str) -> ! {
    let mut world = World::new(Plan::new(seed));
    world.keep_history();
    let _ = world.run();
    if std::env::var_os("CI").is_none()
        && let Ok(mut file) = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(SEEDS)
    {
        let _ = writeln!(file, "{seed}");
    }
    panic!("schedule {seed}: {violation}\n{}", world.history());
}

#[test]
fn schedules_that_failed_once() {
    let seeds = std::fs::read_to_string(SEEDS).unwrap_or_default();
    for line in seeds.lines().filter(|line| !line.starts_with('#')) {
        let seed = line.trim().parse().expect("each line is a seed");
        if let Some(violation) = violation(seed) {
            report(seed, &violation);
        }
    }
}

/// Two and three nodes, links that are cut, delayed and opened from both sides at once, in any
/// order: no hole, no reordering, nothing after a loss before the monitor fired, each monitor
/// exactly once.
#[test]
fn the_guarantee_holds() {
    let schedules = match std::env::var("AEMP_SCHEDULES") {
        Ok(number) => number.parse().expect("AEMP_SCHEDULES is a number"),
        Err(_) => SCHEDULES,
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicU64::new(0);
    let failed = std::thread::scope(|scope| {
        let search = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= schedules {
                    return None;
                }
                if let Some(violation) = violation(seed) {
                    next.store(schedules, Ordering::Relaxed);
                    return Some((seed, violation));
                }
            }
        };
        let searching: Vec<_> = (0..threads).map(|_| scope.spawn(search)).collect();
        let found = searching
            .into_iter()
            .filter_map(|thread| thread.join().unwrap());
        found.min()
    });
    if let Some((seed, violation)) = failed {
        report(seed, &violation);
    }
}

#[test]
fn a_schedule_gives_the_same_history_twice() {
    let history = |seed| {
        let mut world = World::new(Plan::new(seed));
        world.keep_history();
        world.run().unwrap();
        world.history()
    };
    for seed in 0..20 {
        assert_eq!(history(seed), history(seed));
    }
    assert_ne!(history(1), history(2));
}

/// Somebody sends to a port without a pause, and its monitor is set anew whenever it fires: the
/// loss is settled all the same, the monitor fires twice for it at the most, and what it covers
/// then is kept.
#[test]
fn a_loss_is_settled_however_much_is_sent() {
    let mut rules = Peering::<u64>::new(1);
    let send = |rules: &mut Peering<u64>| {
        let mut message = b"[\"p\",1]".to_vec();
        let (sender, framing) = (Sender::Program, Framing::Json);
        rules.send(
            "p",
            sender,
            framing.into(),
            &mut message,
            Room::Any,
            Pace::Gather,
        )
    };
    rules.monitor("p", Sender::Program, 1, 1);
    rules.want(2);
    send(&mut rules);
    let effects = rules.lose(Which::Present, Reason::normal(), 3);
    assert_eq!(effects.last(), Some(&Effect::Ended(1)));
    assert_eq!(rules.ended(1), [Effect::Settle]);
    let (mut fired, mut lost) = (0, 0);
    for serial in 10.. {
        match rules.settle(Afterwards::GoOn, serial) {
            Step::Settled(effects) => {
                assert!(effects.contains(&Effect::Attempt(serial)), "{effects:?}");
                break;
            }
            Step::Fire(actions, _) => {
                for _ in actions {
                    fired += 1;
                    lost += u32::from(send(&mut rules) == Sent::Lost);
                    rules.monitor("p", Sender::Action, serial, serial);
                    lost += u32::from(send(&mut rules) == Sent::Lost);
                }
            }
            Step::TellUnreachable | Step::Unwatch(_) | Step::TellDown(_) => {}
        }
        assert!(serial < 20, "it goes on and on");
    }
    assert_eq!((fired, lost), (2, 2));
    assert!(rules.monitors_port("p") && rules.queued() > 0);
}
