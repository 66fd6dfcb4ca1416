mod faults;
mod hosts;

use std::future::Future;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout};

use super::*;

const fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A connection from host `a` to host `b`.
async fn connected(network: &Network) -> (Pipe, Pipe) {
    let listener = network.host("b").bind("*:*").unwrap();
    let near = network.host("a").dial(listener.local_addr()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    (near, far)
}

/// Runs in virtual time.
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future)
}

fn polled<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut cx = std::task::Context::from_waker(Waker::noop());
    match std::pin::pin!(future).poll(&mut cx) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

async fn read(pipe: &mut Pipe, most: usize) -> std::io::Result<Vec<u8>> {
    let mut octets = vec![0; most];
    let len = pipe.read(&mut octets).await?;
    octets.truncate(len);
    Ok(octets)
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 31 + n / 256) as u8).collect()
}

#[test]
fn everything_can_be_sent_to_other_threads() {
    fn shared<T: Send + Sync + Unpin>() {}
    shared::<(Network, Host, Listener, Pipe, ReadHalf, WriteHalf)>();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However it is written and read, through whatever there is in between, the same octets
    /// arrive, then the end, and no more of them are ever on their way than there may be.
    #[test]
    fn octets_arrive_in_order(
        capacity in 1..300_usize,
        writes in prop::collection::vec((1..500_usize, 0..4_u64, prop::option::of(0..30_u64)), 1..30),
        reads in prop::collection::vec((1..400_usize, 0..4_u64), 1..10),
        faults in prop::collection::vec((any::<bool>(), 0..20_u64), 0..10),
    ) {
        run(async {
            let network = Network::new(0);
            network.set_capacity(capacity);
            let (near, mut far) = connected(&network).await;
            let (_, near) = near.into_split();
            let sent = pattern(writes.iter().map(|(len, ..)| len).sum());
            let written = Arc::new(AtomicUsize::new(0));
            let (octets, total, control) = (sent.clone(), written.clone(), network.clone());
            tokio::spawn(async move {
                let mut rest = &octets[..];
                for (len, pause, delay) in writes {
                    if let Some(delay) = delay {
                        control.set_delay("a", "b", millis(delay));
                    }
                    sleep(millis(pause)).await;
                    let (mut part, behind) = rest.split_at(len);
                    rest = behind;
                    while !part.is_empty() {
                        match near.try_write(part) {
                            Ok(len) => {
                                total.fetch_add(len, Ordering::Relaxed);
                                part = &part[len..];
                            }
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                                near.writable().await;
                            }
                        }
                    }
                }
            });
            let control = network.clone();
            tokio::spawn(async move {
                for (heal, pause) in faults {
                    sleep(millis(pause)).await;
                    match heal {
                        true => control.heal("a", "b"),
                        false => control.partition("a", "b"),
                    }
                }
                control.heal_all();
            });
            let mut got = Vec::new();
            for (most, pause) in reads.iter().cycle() {
                let octets = read(&mut far, *most).await.unwrap();
                if octets.is_empty() {
                    break;
                }
                got.extend(octets);
                let on_the_way = written.load(Ordering::Relaxed) - got.len();
                assert!(on_the_way <= capacity, "{on_the_way} of {capacity}");
                if *pause > 0 {
                    sleep(millis(*pause)).await;
                }
            }
            assert_eq!(got, sent);
            assert_eq!(network.traffic("a", "b").octets, sent.len() as u64);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_pipe_makes_writers_wait() {
    let network = Network::new(0);
    network.set_capacity(10);
    let (mut near, mut far) = connected(&network).await;
    assert_eq!(near.write(&pattern(100)).await.unwrap(), 10);
    assert!(polled(near.write(b"x")).is_none());
    assert_eq!(polled(near.write(b"")).unwrap().unwrap(), 0);
    assert_eq!(read(&mut far, 3).await.unwrap().len(), 3);
    assert_eq!(near.write(&pattern(100)).await.unwrap(), 3);
    // The other direction is not concerned.
    assert_eq!(far.write(&pattern(100)).await.unwrap(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_octets_through_one() {
    let network = Network::new(0);
    network.set_capacity(1);
    let (mut near, mut far) = connected(&network).await;
    let sent = pattern(100_000);
    let octets = sent.clone();
    tokio::spawn(async move { near.write_all(&octets).await.unwrap() });
    let mut got = Vec::new();
    far.read_to_end(&mut got).await.unwrap();
    assert!(got == sent);
}

#[test]
#[should_panic(expected = "a capacity of 0")]
fn a_capacity_of_nothing_is_a_mistake() {
    Network::new(0).set_capacity(0);
}

#[tokio::test(start_paused = true)]
async fn delays_are_exact() {
    let network = Network::new(0);
    network.set_default_delay(millis(3));
    network.set_delay("a", "b", millis(70));
    network.set_delay("b", "a", millis(11));
    let listener = network.host("b").bind("b:1").unwrap();
    let begun = Instant::now();
    let dial = async { (network.host("a").dial("b:1").await, begun.elapsed()) };
    let accept = async { (listener.accept().await, begun.elapsed()) };
    let ((near, dialled), (accepted, arrived)) = tokio::join!(dial, accept);
    assert_eq!((dialled, arrived), (millis(81), millis(70)));
    let (mut near, (mut far, _)) = (near.unwrap(), accepted.unwrap());

    let begun = Instant::now();
    near.write_all(b"one").await.unwrap();
    sleep(millis(5)).await;
    near.write_all(b"two").await.unwrap();
    near.shutdown().await.unwrap();
    far.write_all(b"back").await.unwrap();
    assert_eq!(read(&mut near, 9).await.unwrap(), b"back");
    assert_eq!(begun.elapsed(), millis(5 + 11));
    assert_eq!(read(&mut far, 9).await.unwrap(), b"one");
    assert_eq!(begun.elapsed(), millis(70));
    assert_eq!(read(&mut far, 9).await.unwrap(), b"two");
    assert_eq!(begun.elapsed(), millis(75));
    assert_eq!(read(&mut far, 9).await.unwrap(), b"");
    assert_eq!(begun.elapsed(), millis(75));

    let begun = Instant::now();
    let error = network.host("a").dial("c:1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(begun.elapsed(), millis(6));
}

#[tokio::test(start_paused = true)]
async fn a_shorter_delay_reorders_nothing() {
    let network = Network::new(0);
    let (mut near, mut far) = connected(&network).await;
    let begun = Instant::now();
    for (text, delay) in [("a", 50), ("b", 10), ("c", 0), ("d", 60)] {
        network.set_delay("a", "b", millis(delay));
        near.write_all(text.as_bytes()).await.unwrap();
    }
    assert_eq!(read(&mut far, 9).await.unwrap(), b"abc");
    assert_eq!(begun.elapsed(), millis(50));
    network.set_default_delay(millis(500)); // not for this pair
    network.set_delay("a", "b", millis(0));
    drop(near);
    assert_eq!(read(&mut far, 9).await.unwrap(), b"d");
    assert_eq!(read(&mut far, 9).await.unwrap(), b"");
    assert_eq!(begun.elapsed(), millis(60));
}

#[tokio::test(start_paused = true)]
async fn the_end_comes_after_the_octets() {
    let network = Network::new(0);
    let (mut near, mut far) = connected(&network).await;
    near.write_all(b"last").await.unwrap();
    near.shutdown().await.unwrap();
    let error = near.write(b"more").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert_eq!(read(&mut far, 2).await.unwrap(), b"la");
    assert_eq!(read(&mut far, 9).await.unwrap(), b"st");
    for _ in 0..3 {
        assert_eq!(read(&mut far, 9).await.unwrap(), b"");
    }
    // The other direction goes on.
    far.write_all(b"answer").await.unwrap();
    assert_eq!(read(&mut near, 9).await.unwrap(), b"answer");
    drop((near, far));
    assert_eq!(network.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn halves_end_as_those_of_a_socket() {
    let network = Network::new(0);
    let (near, mut far) = connected(&network).await;
    let (near_read, near_write) = near.into_split();
    drop(near_read);
    far.write_all(b"still possible").await.unwrap();
    drop(near_write);
    // As it goes with something unread, it resets.
    let error = read(&mut far, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);

    let (near, mut far) = connected(&network).await;
    let (near_read, near_write) = near.into_split();
    near_write.forget();
    assert!(polled(read(&mut far, 1)).is_none());
    far.write_all(b"").await.unwrap();
    drop(near_read);
    assert_eq!(read(&mut far, 1).await.unwrap(), b"");

    let (near, mut far) = connected(&network).await;
    let (_near_read, near_write) = near.into_split();
    drop(near_write);
    assert_eq!(read(&mut far, 1).await.unwrap(), b"");
}

/// A writer that waits and senders on other threads share a half; each writes whole records, one at
/// a time.
#[test]
fn several_write_to_one_half() {
    const RECORD: usize = 7;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let network = Network::new(0);
    network.set_capacity(64);
    let (near, mut far) = runtime.block_on(connected(&network));
    let half = Arc::new(near.into_split().1);
    let turn = Arc::new(tokio::sync::Mutex::new(()));
    for id in 0..4_u8 {
        let (half, turn) = (half.clone(), turn.clone());
        let records = async move {
            for _ in 0..1000 {
                let _turn = turn.lock().await;
                let mut rest = &[id; RECORD][..];
                while !rest.is_empty() {
                    match half.try_write(rest) {
                        Ok(len) => rest = &rest[len..],
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::WouldBlock);
                            half.writable().await;
                        }
                    }
                }
            }
        };
        match id % 2 {
            0 => drop(runtime.spawn(records)),
            _ => {
                let handle = runtime.handle().clone();
                drop(std::thread::spawn(move || handle.block_on(records)));
            }
        }
    }
    drop(half);
    let mut got = Vec::new();
    runtime.block_on(far.read_to_end(&mut got)).unwrap();
    let mut records = [0; 4];
    for record in got.chunks(RECORD) {
        assert_eq!(record, [record[0]; RECORD]);
        records[usize::from(record[0])] += 1;
    }
    assert_eq!(records, [1000; 4]);
}

/// Who waits for room is woken in the order of the waits, and who has stopped waiting is not.
#[tokio::test(start_paused = true)]
async fn writers_are_woken_in_their_order() {
    let network = Network::new(0);
    network.set_capacity(1);
    let (near, mut far) = connected(&network).await;
    let half = Arc::new(near.into_split().1);
    half.try_write(b"x").unwrap();
    let woken = Arc::new(Mutex::new(Vec::new()));
    let tasks = [3, 1, 2, 0].map(|id| {
        let (half, woken) = (half.clone(), woken.clone());
        tokio::spawn(async move {
            half.writable().await;
            woken.lock().push(id);
        })
    });
    tokio::task::yield_now().await;
    tasks[1].abort();
    assert!(polled(half.writable()).is_none());
    tokio::task::yield_now().await;
    assert_eq!(read(&mut far, 9).await.unwrap(), b"x");
    tokio::task::yield_now().await;
    assert_eq!(*woken.lock(), [3, 2, 0]);
}

/// A task that is never out of work leaves the others their turn.
#[tokio::test(start_paused = true)]
async fn reading_and_writing_let_others_go_on() {
    let network = Network::new(0);
    let (mut near, mut far) = connected(&network).await;
    let done = Arc::new(AtomicUsize::new(0));
    let seen = done.clone();
    tokio::spawn(async move {
        seen.store(1, Ordering::Relaxed);
    });
    for _ in 0..10_000 {
        near.write_all(b"ping").await.unwrap();
        assert_eq!(read(&mut far, 9).await.unwrap(), b"ping");
    }
    assert_eq!(done.load(Ordering::Relaxed), 1);
}
