//! Each invariant can break: faults that are put in by hand, each of which breaks the one that is
//! there for it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aemp::net::memory::Network;
use aemp::supervise::Child;
use aemp::{Port, Supervisor};

use crate::frames::between;
use crate::invariants;
use crate::record::Event;
use crate::schedule::Schedule;
use crate::world::{Fault, Interpose, Options, World, run};

/// Runs a schedule of these nodes and steps with a fault and without: without it nothing is broken,
/// with it what is named is.
fn breaks(name: &str, nodes: &str, steps: &str, fault: Fault) {
    let steps = steps.replace("; ", "\n");
    let text = format!(
        "schedule seed=1 delay=1 capacity=65536 queue=0\nnodes {nodes}\nwait ms=5000\n{steps}\n"
    );
    let schedule = Schedule::all(&text).unwrap().remove(0);
    let sound = Fault {
        json: fault.json,
        ..Fault::default()
    };
    let judge = |fault: Fault| {
        let options = Options {
            fault,
            ..Options::default()
        };
        invariants::broken(&run(&schedule, &options))
    };
    assert_eq!(judge(sound), [], "without the fault");
    let broken = judge(fault);
    let names: BTreeSet<&str> = broken.iter().map(|(name, _)| *name).collect();
    assert!(names.contains(name), "{broken:?}");
}

const TWO: &str = "gen1+seed gen1";

/// Leaves messages out, once each: those that contain all of the words.
fn losing(from: usize, to: usize, words: &'static [&str]) -> Fault {
    between(from, to, move |message| {
        match words.iter().all(|word| message.contains(word)) {
            true => Vec::new(),
            false => vec![message.to_owned()],
        }
    })
}

/// Changes the one message that contains the text.
fn changing(text: &'static str, change: fn(&str) -> Vec<String>) -> Fault {
    between(1, 0, move |message| match message.contains(text) {
        true => change(message),
        false => vec![message.to_owned()],
    })
}

fn observing(observe: impl Fn(Event) -> Vec<Event> + Send + Sync + 'static) -> Fault {
    Fault {
        observer: Some(Arc::new(observe)),
        ..Fault::default()
    }
}

fn meddling(meddle: impl Fn(&World) + Send + Sync + 'static) -> Fault {
    Fault {
        meddle: Some(Arc::new(meddle)),
        ..Fault::default()
    }
}

/// Numbered messages from n1 to a port of n0.
const NUMBERED: &str = "open node=0 port=0 ms=0; send from=1 port=0 count=5 size=0; wait ms=1000";

#[test]
fn a_message_that_comes_twice() {
    let fault = changing(",3,\"\"]", |message| vec![message.to_owned(); 2]);
    breaks("messages_come_once_and_in_order", TWO, NUMBERED, fault);
}

#[test]
fn messages_out_of_order() {
    let mut kept = None;
    let fault = between(1, 0, move |message| {
        if message.contains(",2,\"\"]") {
            kept = Some(message.to_owned());
            return Vec::new();
        }
        let before = [message.to_owned()].into_iter();
        before
            .chain(kept.take_if(|_| message.contains(",3,\"\"]")))
            .collect()
    });
    breaks("messages_come_once_and_in_order", TWO, NUMBERED, fault);
}

#[test]
fn a_message_that_is_lost_between_others() {
    let fault = losing(1, 0, &[",3,\"\"]"]);
    breaks("no_message_comes_behind_a_lost_one", TWO, NUMBERED, fault);
}

#[test]
fn a_last_message_that_is_lost() {
    let fault = losing(1, 0, &[",4,\"\"]"]);
    breaks("nothing_is_lost_in_silence", TWO, NUMBERED, fault);
}

#[test]
fn a_message_to_the_wrong_port() {
    let steps = "open node=0 port=0 ms=0; open node=0 port=1 ms=0; send from=1 port=0 count=5 size=0; wait ms=1000";
    let fault = changing(",3,\"\"]", |message| {
        vec![message.replacen(".a\"", ".b\"", 1)]
    });
    breaks("messages_come_to_their_port", TWO, steps, fault);
}

/// What waited for a link that was lost is sent over the next one.
#[test]
fn a_queue_that_is_not_dropped() {
    let steps = "open node=0 port=0 ms=0; send from=1 port=0 count=5 size=0; wait ms=10; cut a=0 b=1; wait ms=20000; \
                 send from=1 port=0 count=5 size=0; wait ms=1000";
    let mut queue = Vec::new();
    let fault = between(1, 0, move |message| {
        if message.contains("\"n\",") && queue.len() < 5 {
            queue.push(message.to_owned());
            return match queue.len() {
                1..3 => vec![message.to_owned()],
                _ => Vec::new(),
            };
        }
        match message.contains("\"n\",") && queue.len() == 5 {
            true => {
                queue.push(String::new());
                vec![message.to_owned(), queue[4].clone()]
            }
            false => vec![message.to_owned()],
        }
    });
    breaks("messages_come_once_and_in_order", TWO, steps, fault);
}

/// The request that has a port monitored, and not that for the gossip port.
#[test]
fn a_lost_mon1() {
    let steps =
        "open node=0 port=0 ms=0; watch by=1 port=0; wait ms=1000; kill by=0 port=0; wait ms=1000";
    let fault = losing(1, 0, &["\"mon1\"", ".a\"]"]);
    breaks("monitors_fire_for_a_death", TWO, steps, fault);
}

#[test]
fn a_death_that_is_not_told() {
    let steps =
        "open node=0 port=0 ms=0; watch by=1 port=0; wait ms=1000; kill by=0 port=0; wait ms=1000";
    let fault = losing(0, 1, &["\"killed\""]);
    breaks("monitors_fire_for_a_death", TWO, steps, fault);
}

/// As if `mon0` were lost on the way to who fires the monitors.
#[test]
fn a_monitor_that_does_not_end() {
    let steps = "open node=0 port=0 ms=0; watch by=1 port=0; wait ms=1000; unwatch by=1 port=0; wait ms=1000; \
                 kill by=0 port=0; wait ms=1000";
    let fault = Fault {
        keep_monitors: true,
        ..Fault::default()
    };
    breaks("ended_monitors_are_quiet", TWO, steps, fault);
}

#[test]
fn a_monitor_that_fires_twice() {
    let fault = observing(|event| match event {
        Event::Fired { .. } => vec![event.clone(), event],
        event => vec![event],
    });
    breaks("monitors_fire_once", TWO, NUMBERED, fault);
}

#[test]
fn a_monitor_that_never_fires() {
    let fault = observing(|event| match event {
        Event::Fired { .. } => Vec::new(),
        event => vec![event],
    });
    breaks("monitors_fire_once", TWO, NUMBERED, fault);
}

/// A port that dies while nobody does anything to it.
#[test]
fn a_monitor_that_fires_without_a_cause() {
    let fault = meddling(|world| {
        let (node, id) = (world.living[&0].node.clone(), world.ports[&0].id.clone());
        let record = world.record.clone();
        tokio::spawn(async move {
            let monitored = |event: &Event| *event == Event::Step("ports are monitored".to_owned());
            while !record.has(monitored) {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
            node.kil(&id, aemp::Reason::new(["out of the blue"]));
        });
    });
    breaks("monitors_are_quiet_at_rest", TWO, NUMBERED, fault);
}

#[test]
fn a_group_that_is_left_behind() {
    let steps = "open node=0 port=0 ms=0; join port=0 group=1; wait ms=1000; leave port=0 group=1; wait ms=1000";
    breaks("groups_are_whole", TWO, steps, losing(0, 1, &["\"reg0\""]));
}

#[test]
fn a_member_that_is_not_told_of() {
    let steps = "open node=0 port=0 ms=0; join port=0 group=1; wait ms=1000";
    breaks("groups_are_whole", TWO, steps, losing(0, 1, &["\"reg1\""]));
}

#[test]
fn a_value_that_is_not_passed_on() {
    let steps = "set node=1 family=0 key=1 value=7; wait ms=1000";
    let fault = losing(1, 0, &["\"f0\"", "\"k1\""]);
    breaks("the_database_agrees", "gen2+seed gen2", steps, fault);
}

#[test]
fn nodes_that_are_not_told_of_each_other() {
    let fault = losing(0, 1, &["\"nodes\""]);
    breaks(
        "the_mesh_is_whole",
        "gen1+seed gen1+hidden gen1",
        "wait ms=1",
        fault,
    );
}

/// A reader of changes that has missed some of them.
#[test]
fn a_change_that_is_not_told() {
    let steps = "open node=0 port=0 ms=0; join port=0 group=1; wait ms=1000";
    let fault = meddling(|world| world.living[&1].followed.lock().unwrap().groups.clear());
    breaks("readers_see_what_there_is", TWO, steps, fault);
}

/// The same reader: that nodes go which it has not heard of makes no sense to it.
#[test]
fn a_change_that_does_not_fit() {
    let fault = meddling(|world| world.living[&1].followed.lock().unwrap().up.clear());
    breaks("changes_fit_each_other", TWO, "wait ms=1", fault);
}

#[test]
fn a_node_that_does_not_answer() {
    let fault = losing(0, 1, &["Simulation::who"]);
    let fault = Fault {
        interpose: fault.interpose.map(|there| {
            let back = losing(1, 0, &["Simulation::who"]).interpose.unwrap();
            let both = move |network: &Network, schedule: &Schedule| {
                there(network, schedule);
                back(network, schedule);
            };
            Arc::new(both) as Interpose
        }),
        json: true,
        ..Fault::default()
    };
    breaks("all_nodes_answer", TWO, "wait ms=1", fault);
}

const CALL: &str = "open node=0 port=0 ms=0; call from=1 port=0 ms=0; wait ms=1000";

#[test]
fn a_call_that_never_ends() {
    breaks("calls_end", TWO, CALL, losing(0, 1, &[",\"n0#"]));
}

#[test]
fn an_answer_of_somebody_else() {
    let fault = between(0, 1, |message| vec![message.replace(",\"n0#", ",\"n7#")]);
    breaks("calls_are_answered_by_who_was_called", TWO, CALL, fault);
}

#[test]
fn a_port_name_that_is_used_again() {
    let names = AtomicUsize::new(0);
    let fault = observing(move |event| match event {
        Event::Opened { port, owner, .. } => {
            names.fetch_add(1, Ordering::Relaxed);
            let id = format!("n{}#same", owner.node).into();
            vec![Event::Opened { port, id, owner }]
        }
        event => vec![event],
    });
    let steps = "open node=0 port=0 ms=0; open node=0 port=1 ms=0";
    breaks("port_names_are_new", TWO, steps, fault);
}

#[test]
fn a_port_that_is_not_removed() {
    let fault = meddling(|world| drop::<Port>(world.living[&1].node.port()));
    breaks("ports_are_removed", TWO, NUMBERED, fault);
}

#[test]
fn a_node_that_is_not_forgotten() {
    let fault = meddling(|world| {
        let node = world.living[&1].node.clone();
        let stop = node.clone();
        let again = async move {
            while stop.listeners().len() < 9 {
                let _ = stop.snd("n9#nobody", &("hello",));
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        drop(tokio::spawn(tokio::time::timeout(
            Duration::from_secs(3_000),
            again,
        )));
        drop(node);
    });
    breaks("peers_are_forgotten", TWO, NUMBERED, fault);
}

#[test]
fn a_queue_that_is_never_empty() {
    let fault = meddling(|world| {
        world.network.partition("n1", "n0");
        world.network.set_rate("n1", "n0", Some(1));
        let (node, id) = (world.living[&1].node.clone(), world.ports[&0].id.clone());
        let _ = node.snd(&id, &("n", 0, 0, 0, "x".repeat(200_000)));
    });
    breaks("queues_are_empty", TWO, NUMBERED, fault);
}

/// The first half of a long message, whose other half never comes.
#[test]
fn memory_that_is_held() {
    let mut begun = false;
    let fault = between(1, 0, move |message| {
        let begins = message.contains(",4,\"\"]");
        let before = begun;
        begun |= begins;
        match before {
            true => Vec::new(),
            false if begins => vec![format!("[\"x.y\",\"{}", "x".repeat(900_000))],
            false => vec![message.to_owned()],
        }
    });
    breaks("nothing_is_held", TWO, NUMBERED, fault);
}

#[test]
fn a_connection_that_is_never_finished() {
    let fault = meddling(|world| {
        let host = world.network.host("stranger");
        tokio::spawn(async move {
            let mut open = Vec::new();
            for _ in 0..4_000 {
                open.truncate(3);
                open.insert(0, host.dial("n0:4040").await);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
    });
    breaks("connections_are_finished", TWO, NUMBERED, fault);
}

#[test]
fn a_connection_that_is_left() {
    let fault = meddling(|world| {
        let host = world.network.host("stranger");
        tokio::spawn(async move {
            let _open = host.dial("n0:4040").await;
            std::future::pending::<()>().await;
        });
    });
    breaks("connections_end", TWO, NUMBERED, fault);
}

#[test]
fn a_task_that_is_left() {
    let fault = meddling(|_| drop(tokio::spawn(std::future::pending::<()>())));
    breaks("tasks_end", TWO, NUMBERED, fault);
}

#[test]
fn a_child_that_does_not_run() {
    let fault = meddling(|world| {
        let program = &world.living[&1];
        let never = Child::local_async("never", |context| async move {
            std::future::pending::<()>().await;
            context.port()
        });
        let supervisor = Supervisor::builder("idle").child(never.start_limit(None));
        let supervisor = supervisor.start(&program.node).unwrap();
        program.supervisors.lock().unwrap().push(supervisor);
    });
    breaks("children_run", TWO, NUMBERED, fault);
}

#[test]
fn a_task_that_panics() {
    let fault = meddling(|_| drop(tokio::spawn(async { panic!("this is part of a test") })));
    breaks("nothing_panics", TWO, NUMBERED, fault);
}

#[test]
fn memory_that_is_not_given_back() {
    let fault = meddling(|_| std::mem::forget(std::hint::black_box(vec![0_u8; 10_000])));
    breaks("memory_is_given_back", TWO, NUMBERED, fault);
}

/// The same with a node that somebody keeps.
#[test]
fn a_node_that_is_kept() {
    let fault = meddling(|world| std::mem::forget(world.living[&1].node.clone()));
    breaks("memory_is_given_back", TWO, NUMBERED, fault);
}

#[test]
fn a_death_that_is_not_told_by_message() {
    let steps =
        "open node=0 port=0 ms=0; notify by=1 port=0; wait ms=1000; kill by=0 port=0; wait ms=1000";
    let fault = losing(0, 1, &["\"killed\""]);
    breaks("monitors_fire_for_a_death", TWO, steps, fault);
}

/// A child that is spawned on another node, and whose spawn request is lost.
#[test]
fn a_child_elsewhere_that_is_not_spawned() {
    let fault = losing(1, 0, &["Simulation::child"]);
    let steps = "employ node=1 on=0 children=1; wait ms=1000";
    breaks("children_run", TWO, steps, fault);
}

/// Every invariant is named in a test of this file.
#[test]
fn each_invariant_is_broken_by_a_fault() {
    let this: String = include_str!("faults.rs").split_whitespace().collect();
    for invariant in invariants::ALL {
        let named = format!("breaks(\"{}\"", invariant.name);
        assert!(this.contains(&named), "nothing breaks {}", invariant.name);
    }
}
