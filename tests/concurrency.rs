//! Several messages of one port at work at a time, and tasks that belong to a port.

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aemp::{CalError, Context, Failure, Handled, Node, PortId, Reason, Reply};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use support::{LIMIT, builder, joining, listening, up, within};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;

/// The reason that a port dies of.
fn death(node: &Node, port: impl Into<PortId>) -> oneshot::Receiver<Reason> {
    let (died, reason) = oneshot::channel();
    node.mon(port, |reason| drop(died.send(reason)));
    reason
}

/// Handlers that wait until they may go on, and what they did.
#[derive(Clone, Default)]
struct Stage {
    gate: Arc<Gate>,
    begun: Arc<Mutex<Vec<u32>>>,
    at_work: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Gate(Semaphore::new(0))
    }
}

/// Counts as at work until it is dropped.
struct AtWork(Arc<AtomicUsize>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Stage {
    fn play(&self, n: u32) -> impl Future<Output = ()> + Send + use<> {
        let stage = self.clone();
        async move {
            stage.begun.lock().unwrap().push(n);
            let now = stage.at_work.fetch_add(1, Ordering::SeqCst) + 1;
            let _at_work = AtWork(stage.at_work.clone());
            stage.most.fetch_max(now, Ordering::SeqCst);
            stage.gate.0.acquire().await.unwrap().forget();
        }
    }

    /// Waits until so many handlers have begun.
    async fn begun(&self, count: usize) {
        let waits = async {
            while self.begun.lock().unwrap().len() < count {
                tokio::task::yield_now().await;
            }
        };
        within("handlers to begin", waits).await;
    }

    async fn at_work(&self, count: usize) {
        let waits = async {
            while self.at_work.load(Ordering::SeqCst) != count {
                tokio::task::yield_now().await;
            }
        };
        within("handlers to be at work", waits).await;
    }
}

/// Lets all that could run do so.
async fn pass() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn so_many_are_at_work_in_the_order_of_their_starts() {
    let node = listening("concurrency-order").await;
    let other = joining("concurrency-order-sender", &node).await;
    up(&other, node.id().as_str()).await;
    for from in [&node, &other] {
        let stage = Stage::default();
        let port = node.port();
        let playing = stage.clone();
        port.concurrently(8)
            .rcv_async("play", move |_, (n,): (u32,)| playing.play(n));
        for n in 0..1000 {
            from.snd(&port, &("play", n)).unwrap();
        }
        stage.begun(8).await;
        pass().await;
        assert_eq!(stage.begun.lock().unwrap().len(), 8, "no more than may be");
        for n in 9..=500 {
            stage.gate.0.add_permits(1);
            stage.begun(n).await;
        }
        stage.gate.0.add_permits(1000);
        stage.begun(1000).await;
        stage.at_work(0).await;
        assert_eq!(stage.most.load(Ordering::SeqCst), 8);
        let begun = std::mem::take(&mut *stage.begun.lock().unwrap());
        assert_eq!(begun, (0..1000).collect::<Vec<_>>());
    }
}

/// Without anything said it is one, as it was.
#[tokio::test]
async fn one_at_a_time_is_the_default_and_the_number_may_change() {
    let node = Node::local();
    let stage = Stage::default();
    let port = node.port();
    let playing = stage.clone();
    port.rcv_async("play", move |_, (n,): (u32,)| playing.play(n));
    for n in 0..100 {
        node.snd(&port, &("play", n)).unwrap();
    }
    stage.begun(1).await;
    pass().await;
    assert_eq!(stage.at_work.load(Ordering::SeqCst), 1);
    port.concurrently(5);
    stage.begun(5).await;
    pass().await;
    assert_eq!(stage.at_work.load(Ordering::SeqCst), 5);
    port.concurrently(0); // as one: less makes no sense
    stage.gate.0.add_permits(4);
    stage.at_work(1).await;
    pass().await;
    assert_eq!(stage.begun.lock().unwrap().len(), 5);
    for n in 6..=100 {
        stage.gate.0.add_permits(1);
        stage.begun(n).await;
        assert_eq!(stage.at_work.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn death_drops_all_that_is_at_work() {
    let node = Node::local();
    for fails in [0, 1, 2] {
        let stage = Stage::default();
        let port = node.port();
        let playing = stage.clone();
        port.concurrently(4)
            .rcv_async("play", move |_, (n,): (u32,)| playing.play(n))
            .rcv_async("err", |_, (): ()| async {
                tokio::task::yield_now().await;
                Err::<(), _>(Reason::new(["no"]))
            })
            .rcv_async("panic", |_, (): ()| async {
                tokio::task::yield_now().await;
                if true {
                    panic!("oops");
                }
            });
        let dead = death(&node, &port);
        for n in 0..3 {
            node.snd(&port, &("play", n)).unwrap();
        }
        stage.begun(3).await;
        let reason = match fails {
            0 => {
                port.kil(Reason::new(["enough"]));
                Reason::new(["enough"])
            }
            1 => {
                node.snd(&port, &("err",)).unwrap();
                Reason::new(["no"])
            }
            _ => {
                node.snd(&port, &("panic",)).unwrap();
                Reason::die("oops")
            }
        };
        node.snd(&port, &("play", 4)).unwrap();
        assert_eq!(within("the death", dead).await.unwrap(), reason);
        stage.at_work(0).await;
        assert!(stage.begun.lock().unwrap().len() <= 4);
    }
}

#[derive(Serialize, Deserialize)]
enum Ask {
    Half(u32, Reply<u32>),
}

#[tokio::test(start_paused = true)]
async fn answers_and_typed_ports_go_together_too() {
    let node = Node::local();
    let port = node.port();
    port.concurrently(10);
    let slow = |n: u32| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        match n % 2 {
            0 => Ok(n / 2),
            _ => Err("odd"),
        }
    };
    port.answer_async("half", move |_, (n,): (u32,)| slow(n));
    let begun = Instant::now();
    let calls = (0..10_u32).map(|n| {
        let (node, port) = (&node, &port);
        async move { node.cal::<u32>(port, &("half", n), None).await }
    });
    for (n, answer) in (0..).zip(join_all(calls).await) {
        match answer {
            Ok(half) => assert_eq!(half * 2, n),
            Err(CalError::Refused(why)) => assert!(n % 2 == 1 && why.kind() == Some("odd")),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(begun.elapsed().as_secs(), 1);
    assert!(port.is_alive(), "an answer kills nobody");

    let asked =
        port.serve_async(
            move |cx, Ask::Half(n, reply)| async move { cx.answer(&reply, slow(n).await) },
        );
    let begun = Instant::now();
    let asks = (0..20_u32).map(|n| node.ask(&asked, move |reply| Ask::Half(2 * n, reply), None));
    for (n, half) in (0..).zip(join_all(asks).await) {
        assert_eq!(half.unwrap(), n);
    }
    assert_eq!(begun.elapsed().as_secs(), 2, "ten at a time");
}

/// Sends so many messages with nothing but `snd_wait`: all of them are handled.
async fn sends_with_room(from: &Node, node: &Node, messages: u32) {
    let port = node.port();
    let (tell, mut told) = mpsc::unbounded_channel();
    let handle = move |_, (n, _): (u32, String)| {
        let tell = tell.clone();
        async move {
            for _ in 0..n % 7 {
                tokio::task::yield_now().await;
            }
            let _ = tell.send(n);
        }
    };
    port.concurrently(1_000_000).rcv_async("n", handle);
    let text = "x".repeat(1_000);
    for n in 0..messages {
        let message = ("n", n, &text);
        let sent = from.snd_wait(&port, &message);
        within("room", sent).await.unwrap();
    }
    let mut all = Vec::new();
    while all.len() < messages as usize {
        all.push(
            within("a message", told.recv())
                .await
                .expect("the port lives"),
        );
    }
    all.sort_unstable();
    assert_eq!(all, (0..messages).collect::<Vec<_>>());
    assert!(port.is_alive());
}

/// Who waits for room goes at the pace of the handlers, and the port does not run over its bound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn senders_wait_for_room() {
    let small = builder("concurrency-small").set("max_mailbox", 64);
    let small = small.start().await.unwrap();
    sends_with_room(&small, &small, 3_000).await;
    let node = listening("concurrency-room").await;
    let other = joining("concurrency-room-sender", &node).await;
    up(&other, node.id().as_str()).await;
    sends_with_room(&other, &node, 30_000).await;
}

/// What is at work counts in the bound of the port.
#[tokio::test]
async fn what_is_at_work_counts() {
    let node = builder("concurrency-bound")
        .set("max_mailbox", 64)
        .start()
        .await
        .unwrap();
    let stage = Stage::default();
    let port = node.port();
    let playing = stage.clone();
    port.concurrently(1_000_000)
        .rcv_async("play", move |_, (n,): (u32,)| playing.play(n));
    let mut dead = death(&node, &port);
    for n in 0..32 {
        node.snd(&port, &("play", n)).unwrap();
    }
    stage.begun(32).await;
    for n in 32..64 {
        node.snd(&port, &("play", n)).unwrap();
    }
    pass().await;
    assert_eq!(
        stage.at_work.load(Ordering::SeqCst),
        32,
        "half of the bound"
    );
    assert!(dead.try_recv().is_err());
    node.snd(&port, &("play", 64)).unwrap();
    let reason = within("the death", dead).await.unwrap();
    assert_eq!(reason.kind(), Some("overflow"));
    stage.at_work(0).await;
}

#[tokio::test]
async fn a_task_ends_with_its_port() {
    let node = Node::local();
    let stage = Stage::default();
    let port = node.port();
    port.spawn_task(stage.play(1));
    let playing = stage.clone();
    port.rcv("play", move |cx, (n,): (u32,)| {
        cx.spawn_task(playing.play(n))
    });
    node.snd(&port, &("play", 2)).unwrap();
    port.peval(|cx| cx.spawn_task(stage.play(3)));
    stage.begun(3).await;
    // It is no handler: the port goes on, and what is done ends nothing.
    node.snd(&port, &("play", 4)).unwrap();
    stage.begun(4).await;
    stage.gate.0.add_permits(1);
    stage.at_work(3).await;
    assert!(port.is_alive());
    port.kil(Reason::normal());
    stage.at_work(0).await;
    // A dead port has none.
    port.spawn_task(stage.play(5));
    pass().await;
    assert_eq!(stage.begun.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_task_that_fails_kills_its_port() {
    let node = Node::local();
    let oops = || -> Handled { panic!("oops") };
    for panics in [false, true] {
        let port = node.port();
        let (kept, dropped) = oneshot::channel::<()>();
        port.spawn_task(async move {
            let () = std::future::pending().await;
            drop(kept);
        });
        let dead = death(&node, &port);
        port.spawn_task(async move {
            tokio::task::yield_now().await;
            match panics {
                true => oops(),
                false => Err(Failure::from(Reason::new(["tired"]))),
            }
        });
        let reason = match panics {
            true => Reason::die("oops"),
            false => Reason::new(["tired"]),
        };
        assert_eq!(within("the death", dead).await.unwrap(), reason);
        assert!(within("the other task", dropped).await.is_err());
    }
}

#[tokio::test]
async fn tasks_end_with_the_node() {
    let node = Node::local();
    let stage = Stage::default();
    let port = node.port();
    port.spawn_task(stage.play(1));
    node.function("play", {
        let playing = stage.clone();
        move |cx: &Context, (n,): (u32,)| cx.spawn_task(playing.play(n))
    });
    node.snd_to_func(node.id(), "play", &(2,)).unwrap();
    stage.begun(2).await;
    node.shutdown().await;
    stage.at_work(0).await;
}

/// The code of a task is the port's own, so that it can end the port at once.
#[tokio::test]
async fn a_task_and_a_handler_end_their_port_at_once() {
    let node = Node::local();
    for tasks in [false, true] {
        let port = node.port();
        let late = Arc::new(AtomicBool::new(false));
        let noted = late.clone();
        let end = |cx: Context| async move {
            cx.end();
            assert!(!cx.port_is_alive_now());
        };
        port.rcv("late", move |_, (): ()| noted.store(true, Ordering::SeqCst));
        port.rcv_async("end", move |cx, (): ()| async move {
            match tasks {
                true => cx.clone().spawn_task(end(cx)),
                false => end(cx).await,
            }
        });
        let dead = death(&node, &port);
        node.snd(&port, &("end",)).unwrap();
        if !tasks {
            node.snd(&port, &("late",)).unwrap();
        }
        assert!(within("the death", dead).await.unwrap().is_normal());
        assert!(!late.load(Ordering::SeqCst));
    }
}

trait Alive {
    fn port_is_alive_now(&self) -> bool;
}

impl Alive for Context {
    fn port_is_alive_now(&self) -> bool {
        self.this().is_alive()
    }
}

#[tokio::test]
async fn over_a_link_the_quick_way() {
    let node = listening("concurrency-quick").await;
    let other = joining("concurrency-quick-sender", &node).await;
    up(&other, node.id().as_str()).await;
    let port = node.port();
    port.concurrently(16)
        .answer_async("twice", |_, (n,): (u32,)| async move {
            for _ in 0..n % 5 {
                tokio::task::yield_now().await;
            }
            Ok::<_, &str>(2 * n)
        });
    let calls = (0..500_u32).map(|n| {
        let (other, port) = (&other, &port);
        async move { other.cal::<u32>(port, &("twice", n), Some(LIMIT)).await }
    });
    for (n, answer) in (0..).zip(within("the answers", join_all(calls)).await) {
        assert_eq!(answer.unwrap(), 2 * n);
    }
}
