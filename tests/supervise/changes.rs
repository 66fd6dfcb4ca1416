//! Kinds of children, changes at run time, events, starts and ends that take long; in virtual time.

use std::time::Duration;

use aemp::proto::generation::Generations;
use aemp::supervise::{Child, ChildState, Restart, SuperviseError, SupervisorEvent};
use aemp::{Context, Node, PortId, Reason, Supervisor};
use tokio::time::Instant;

use crate::support::within;
use crate::{Diary, child, mortal, port, ready, restarted, three};

#[tokio::test(start_paused = true)]
async fn transient_and_temporary() {
    let (node, diary) = (Node::local(), Diary::default());
    let supervisor = Supervisor::builder("kinds")
        .child(child("transient", &diary).restart(Restart::Transient))
        .child(child("temporary", &diary).restart(Restart::Temporary))
        .child(child("permanent", &diary))
        .start(&node)
        .unwrap();
    ready(&supervisor).await;
    node.snd(port(&supervisor, "transient"), &("die", "oops"))
        .unwrap();
    restarted(&supervisor, "transient", 1).await;
    for name in ["transient", "temporary", "permanent"] {
        node.snd(port(&supervisor, name), &("end",)).unwrap();
    }
    restarted(&supervisor, "permanent", 1).await;
    let names: Vec<String> = supervisor
        .children()
        .iter()
        .map(|child| child.name.to_string())
        .collect();
    assert_eq!(names, ["transient", "permanent"]);
    let transient = supervisor.child("transient").unwrap();
    assert_eq!((transient.state, transient.port), (ChildState::Ended, None));
    assert_eq!(transient.last_reason, Some(Reason::normal()));
}

#[tokio::test(start_paused = true)]
async fn changes_at_run_time() {
    let (node, diary) = (Node::local(), Diary::default());
    let supervisor = three(&diary).rest_for_one().start(&node).unwrap();
    ready(&supervisor).await;
    let mut events = supervisor.events();
    diary.take();
    let d = supervisor.add(child("d", &diary)).await.unwrap();
    assert_eq!(port(&supervisor, "d"), d);
    let twin = supervisor.add(child("d", &diary)).await;
    assert_eq!(twin, Err(SuperviseError::Duplicate("d".into())));
    supervisor.terminate("b").await.unwrap();
    supervisor.terminate("b").await.unwrap();
    let b = supervisor.restart("b").await.unwrap();
    assert_eq!(port(&supervisor, "b"), b);
    assert_ne!(supervisor.restart("b").await.unwrap(), b);
    supervisor.remove("b").await.unwrap();
    for gone in [
        supervisor.remove("b").await,
        supervisor.terminate("b").await,
    ] {
        assert_eq!(gone, Err(SuperviseError::Unknown("b".into())));
    }
    let expected = [
        "+d",
        "-b shutdown terminated",
        "+b",
        "-b shutdown restarted",
        "+b",
        "-b shutdown removed",
    ];
    assert_eq!(diary.take(), expected);
    // `b` can be added again, as the last one now.
    supervisor.add(child("b", &diary)).await.unwrap();
    let order: Vec<String> = supervisor
        .children()
        .iter()
        .map(|c| c.name.to_string())
        .collect();
    assert_eq!(order, ["a", "c", "d", "b"]);
    let first = events.next().await.unwrap();
    assert_eq!(
        first,
        SupervisorEvent::Started {
            child: "d".into(),
            port: d
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_of_events_learns_what_it_missed() {
    let node = Node::local();
    let supervisor = Supervisor::builder("busy").start(&node).unwrap();
    let mut events = supervisor.events();
    supervisor.add(child("a", &Diary::default())).await.unwrap();
    for _ in 0..100 {
        supervisor.restart("a").await.unwrap();
    }
    // One start, a hundred ends and starts, of which 64 are kept.
    assert_eq!(events.next().await, Some(SupervisorEvent::Missed(201 - 64)));
    let next = events.next().await;
    assert!(matches!(
        next,
        Some(SupervisorEvent::Started { .. } | SupervisorEvent::Ended { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn asynchronous_starts() {
    let (node, diary) = (Node::local(), Diary::default());
    let slow = |name: &'static str, secs| {
        let diary = diary.clone();
        Child::local_async(name, move |cx: Context| {
            let diary = diary.clone();
            async move {
                diary.note(format!("?{name}"));
                tokio::time::sleep(Duration::from_secs(secs)).await;
                mortal(&cx, name, &diary)
            }
        })
    };
    let begun = Instant::now();
    let supervisor = Supervisor::builder("slow")
        .child(slow("a", 3))
        .child(child("b", &diary))
        .start(&node)
        .unwrap();
    ready(&supervisor).await;
    assert_eq!(begun.elapsed().as_secs(), 3);
    assert_eq!(diary.take(), ["?a", "+a", "+b"]);

    // A limit of time, a failed start.
    let limited = slow("c", 10).start_limit(Duration::from_secs(1));
    let late = supervisor.add(limited.restart(Restart::Temporary)).await;
    let Err(SuperviseError::NotStarted { reason, .. }) = late else {
        panic!("{late:?}")
    };
    assert_eq!(reason.to_string(), "die it did not start within 1 s");
    supervisor
        .wait_for(|children| children.len() == 2)
        .await
        .unwrap();

    // A start that is cancelled by an end.
    let (adding, killing) = (supervisor.clone(), supervisor.clone());
    let hung = slow("d", 1_000_000);
    let added = tokio::spawn(async move { adding.add(hung).await });
    supervisor
        .wait_for(|children| children.len() == 3)
        .await
        .unwrap();
    killing.stop(Reason::new(["enough"])).await;
    assert_eq!(
        added.await.unwrap().unwrap_err().to_string(),
        "the child \"d\" did not start: enough"
    );
    assert_eq!(diary.take(), ["?c", "?d", "-b enough", "-a enough"]);
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn a_child_that_does_not_end_is_left_behind() {
    let diary = Diary::default();
    // A port that can't be reached can't be seen to end. Where there are generations 0 and 1, a
    // node that nobody knows of yet may still be told of.
    let node = Node::builder().no_rc().generation(Generations::Only(1));
    let node = node.binds([""; 0]).start().await.unwrap();
    let far = Child::local("far", |_| PortId::new("nowhere#port"));
    let supervisor = Supervisor::builder("main")
        .child(child("a", &diary))
        .child(far.stop_limit(Duration::from_secs(2)))
        .start(&node)
        .unwrap();
    ready(&supervisor).await;
    let (begun, mut events) = (Instant::now(), supervisor.events());
    supervisor.stop(Reason::new(["enough"])).await;
    assert_eq!(begun.elapsed().as_secs(), 2);
    let port = Some(PortId::new("nowhere#port"));
    let event = events.next().await;
    assert_eq!(
        event,
        Some(SupervisorEvent::Abandoned {
            child: "far".into(),
            port
        })
    );
    assert_eq!(diary.take(), ["+a", "-a enough"]);
}

#[tokio::test(start_paused = true)]
async fn the_node_takes_it_along() {
    let (node, diary) = (Node::local(), Diary::default());
    let supervisor = three(&diary).start(&node).unwrap();
    ready(&supervisor).await;
    node.shutdown().await;
    within("the end", supervisor.ended()).await;
    assert_eq!(
        supervisor.add(child("d", &diary)).await,
        Err(SuperviseError::Ended)
    );
    // On a stopped node there is no beginning either.
    let late = three(&diary).start(&node).unwrap();
    within("the end", late.ended()).await;
}
