//! Supervisors: within one node, in virtual time, and over several.

#[path = "supervise/changes.rs"]
mod changes;
#[path = "supervise/remote.rs"]
mod remote;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aemp::supervise::{Backoff, Child, ChildState, Intensity, SuperviseError, SupervisorEvent};
use aemp::{Context, Node, Port, PortId, Reason, Supervisor};
use parking_lot::Mutex;
use support::within;
use tokio::time::Instant;

/// What happened, in its order.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn note(&self, line: impl Into<String>) {
        self.0.lock().push(line.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// A port that dies when it is told to, and whose start and end are noted.
fn mortal(cx: &Context, name: &str, diary: &Diary) -> Port {
    let port = cx.port();
    port.rcv("die", |_, (text,): (String,)| Err::<(), _>(text));
    port.rcv("panic", |cx, ()| {
        assert!(!cx.port_is_local(cx.id()), "at the disco")
    });
    port.rcv("end", |cx, ()| cx.end());
    diary.note(format!("+{name}"));
    let (name, diary) = (name.to_owned(), diary.clone());
    cx.mon(&port, move |reason| diary.note(format!("-{name} {reason}")));
    port
}

fn child(name: &'static str, diary: &Diary) -> Child {
    let diary = diary.clone();
    Child::local(name, move |cx| mortal(cx, name, &diary))
}

/// Exact waits: 100 ms, 200 ms and so on.
fn exact() -> Backoff {
    Backoff::new(Duration::from_millis(100), Duration::from_secs(30)).jitter(0.0)
}

fn port(supervisor: &Supervisor, name: &str) -> PortId {
    let child = supervisor.child(name).expect("the child is there");
    child.port.expect("the child runs")
}

async fn restarted(supervisor: &Supervisor, name: &str, times: u64) {
    let up = |children: &[aemp::supervise::ChildInfo]| {
        let mut named = children.iter().filter(|child| &*child.name == name);
        named.any(|child| child.restarts == times && child.state == ChildState::Running)
    };
    let what = format!("restart {times} of {name}");
    let waited = within(&what, supervisor.wait_for(up)).await;
    waited.expect("the supervisor lives");
}

async fn ready(supervisor: &Supervisor) {
    within("the children", supervisor.ready()).await.unwrap();
}

fn three(diary: &Diary) -> aemp::supervise::Builder {
    let builder = Supervisor::builder("three").backoff(exact());
    let children = ["a", "b", "c"].map(|name| child(name, diary));
    children
        .into_iter()
        .fold(builder, |builder, child| builder.child(child))
}

#[tokio::test(start_paused = true)]
async fn a_flapping_child_comes_back_later_and_later() {
    let (node, diary) = (Node::local(), Diary::default());
    let patient = Intensity::new(100, Duration::from_secs(5));
    let supervisor = three(&diary).intensity(patient).start(&node).unwrap();
    ready(&supervisor).await;
    let others = [port(&supervisor, "a"), port(&supervisor, "c")];
    for (n, wait) in [(1, 100), (2, 200), (3, 400), (4, 800)] {
        let died = Instant::now();
        node.snd(port(&supervisor, "b"), &("die", "oops")).unwrap();
        restarted(&supervisor, "b", n).await;
        assert_eq!(died.elapsed().as_millis(), wait);
    }
    assert_eq!([port(&supervisor, "a"), port(&supervisor, "c")], others);
    let info = supervisor.child("b").unwrap();
    assert_eq!(info.last_reason, Some(Reason::die("oops")));
    assert_eq!(diary.take().len(), 3 + 4 * 2);
    // A long life makes good.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let died = Instant::now();
    node.snd(port(&supervisor, "b"), &("die", "oops")).unwrap();
    restarted(&supervisor, "b", 5).await;
    assert_eq!(died.elapsed().as_millis(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_death() {
    let (node, diary) = (Node::local(), Diary::default());
    let supervisor = three(&diary).start(&node).unwrap();
    ready(&supervisor).await;
    node.snd(port(&supervisor, "b"), &("panic",)).unwrap();
    restarted(&supervisor, "b", 1).await;
    let last = supervisor.child("b").unwrap().last_reason.unwrap();
    assert_eq!(last.to_string(), "die at the disco");
    assert_eq!(
        diary.take(),
        ["+a", "+b", "+c", "-b die at the disco", "+b"]
    );
    // One in the start function, too.
    let tries = AtomicUsize::new(0);
    let shy = Child::local("shy", move |cx| {
        assert!(tries.fetch_add(1, Ordering::Relaxed) > 0, "not yet");
        cx.port_with(|_, _| {})
    });
    let refused = within("the start", supervisor.add(shy)).await;
    let Err(SuperviseError::NotStarted { reason, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(reason.to_string(), "die not yet");
    restarted(&supervisor, "shy", 1).await;
}

#[tokio::test(start_paused = true)]
async fn one_for_all_and_rest_for_one() {
    let (node, diary) = (Node::local(), Diary::default());
    let why = "shutdown child b ended: die oops";
    let all = three(&diary).one_for_all().start(&node).unwrap();
    ready(&all).await;
    node.snd(port(&all, "b"), &("die", "oops")).unwrap();
    restarted(&all, "c", 1).await;
    let stops = [format!("-c {why}"), format!("-a {why}")];
    let expected = [
        "+a",
        "+b",
        "+c",
        "-b die oops",
        &stops[0],
        &stops[1],
        "+a",
        "+b",
        "+c",
    ];
    assert_eq!(diary.take(), expected);
    assert!(all.children().iter().all(|child| child.restarts == 1));

    let rest = three(&diary).rest_for_one().start(&node).unwrap();
    ready(&rest).await;
    let first = port(&rest, "a");
    node.snd(port(&rest, "b"), &("die", "oops")).unwrap();
    restarted(&rest, "c", 1).await;
    let expected = ["+a", "+b", "+c", "-b die oops", &stops[0], "+b", "+c"];
    assert_eq!(diary.take(), expected);
    assert_eq!(port(&rest, "a"), first);
}

#[tokio::test(start_paused = true)]
async fn giving_up() {
    let (node, diary) = (Node::local(), Diary::default());
    let supervisor = three(&diary).start(&node).unwrap();
    let (died, reason) = tokio::sync::oneshot::channel();
    node.mon(supervisor.id(), move |reason| drop(died.send(reason)));
    let mut events = supervisor.events();
    ready(&supervisor).await;
    for n in 1..=3 {
        node.snd(port(&supervisor, "b"), &("die", "oops")).unwrap();
        restarted(&supervisor, "b", n).await;
    }
    diary.take();
    node.snd(port(&supervisor, "b"), &("die", "oops")).unwrap();
    let ended = within("the end", supervisor.ended()).await;
    let text = "gave up: child b was restarted 3 times within 5 s, last reason: die oops";
    assert_eq!(ended, Reason::new(["supervisor", text]));
    assert_eq!(reason.await.unwrap(), ended, "the port's own end");
    let (c, a) = (
        format!("-c supervisor {text}"),
        format!("-a supervisor {text}"),
    );
    assert_eq!(diary.take(), ["-b die oops", &c, &a]);
    let mut last = Vec::new();
    while let Some(event) = events.next().await {
        last.push(event);
    }
    assert!(last.contains(&SupervisorEvent::GaveUp {
        reason: ended.clone()
    }));
    assert_eq!(
        last.last(),
        Some(&SupervisorEvent::Stopped { reason: ended })
    );
    // Nothing works any more, and says so.
    let late = supervisor.add(child("d", &diary)).await;
    assert_eq!(late, Err(SuperviseError::Ended));
    assert_eq!(supervisor.ready().await, Ok(()), "nothing should run");
    assert_eq!(
        supervisor.wait_for(|_| false).await,
        Err(SuperviseError::Ended)
    );
    assert!(
        supervisor
            .children()
            .iter()
            .all(|child| child.state == ChildState::Ended)
    );
    assert_eq!(node.port_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn killing_the_supervisor_ends_all_in_reverse() {
    for reason in [Reason::new(["enough", "is enough"]), Reason::normal()] {
        let (node, diary) = (Node::local(), Diary::default());
        let supervisor = three(&diary).one_for_all().start(&node).unwrap();
        ready(&supervisor).await;
        diary.take();
        node.kil(supervisor.id(), reason.clone());
        assert_eq!(within("the end", supervisor.ended()).await, reason);
        let expected = ["c", "b", "a"].map(|name| format!("-{name} {reason}"));
        assert_eq!(diary.take(), expected);
        assert_eq!(node.port_count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_linked_port_dies_with_it_and_it_with_a_linked_port() {
    let (node, diary) = (Node::local(), Diary::default());
    let supervisor = three(&diary).start(&node).unwrap();
    let (above, below) = (node.port(), node.port());
    node.mon_kil(&above, &supervisor);
    node.mon_kil(&supervisor, &below);
    ready(&supervisor).await;
    above.kil(Reason::new(["from above"]));
    within("the end", supervisor.ended()).await;
    assert!(!below.is_alive());
    assert_eq!(node.port_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn nested_supervisors() {
    let (node, diary) = (Node::local(), Diary::default());
    let inner = Supervisor::builder("inner")
        .intensity(Intensity::new(0, Duration::from_secs(5)))
        .child(child("x", &diary))
        .child(child("y", &diary));
    // The inner one's ports are known by their last start.
    let outer = Supervisor::builder("outer")
        .rest_for_one()
        .backoff(exact())
        .child(child("a", &diary))
        .child(Child::supervisor(inner))
        .child(child("z", &diary));
    let xs: Arc<Mutex<Vec<PortId>>> = Arc::default();
    let seen = xs.clone();
    let noted = diary.clone();
    let outer = outer.child(Child::local("inner2", move |cx| {
        let (seen, diary) = (seen.clone(), noted.clone());
        let x = Child::local("x2", move |cx| {
            let port = mortal(cx, "x2", &diary);
            seen.lock().push(port.id().clone());
            port
        });
        let none = Intensity::new(0, Duration::from_secs(5));
        let builder = Supervisor::builder("inner2").intensity(none);
        builder.child(x).child(child("y2", &noted)).start(cx)
    }));
    let outer = outer.start(&node).unwrap();
    ready(&outer).await;
    let inner2 = port(&outer, "inner2");
    within("the inner children", async {
        while diary.0.lock().len() < 6 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    diary.take();

    // The inner one gives up at once, the outer one starts it again.
    let x = xs.lock()[0].clone();
    node.snd(x, &("die", "oops")).unwrap();
    restarted(&outer, "inner2", 1).await;
    assert_ne!(port(&outer, "inner2"), inner2);
    within("the inner children", async {
        while diary.0.lock().len() < 4 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let gave_up = "supervisor gave up: child x2 ended, reason: die oops";
    let y2 = format!("-y2 {gave_up}");
    assert_eq!(diary.take(), ["-x2 die oops", &y2, "+x2", "+y2"]);
    let last = outer.child("inner2").unwrap().last_reason.unwrap();
    assert_eq!(last.to_string(), gave_up);

    // Stopping the outer one stops all, the last one first, through both levels.
    within("the end", outer.stop(Reason::new(["bye"]))).await;
    let names = ["y2", "x2", "z", "y", "x", "a"];
    assert_eq!(diary.take(), names.map(|name| format!("-{name} bye")));
    assert_eq!(node.port_count(), 0);
}
