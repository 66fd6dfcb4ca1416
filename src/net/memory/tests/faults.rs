//! Cuts, partitions, and sides that go.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_writer_learns_that_the_other_side_is_gone_when_the_news_arrive() {
    let network = Network::new(0);
    network.set_capacity(4);
    let (mut near, far) = connected(&network).await;
    network.set_delay("b", "a", millis(30));
    let begun = Instant::now();
    near.write_all(b"lost").await.unwrap();
    drop(far);
    let error = near.write(b"more").await.unwrap_err();
    assert_eq!(begun.elapsed(), millis(30));
    // It had arrived and was not read.
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);

    network.set_delay("a", "b", millis(100)); // so that it is not there yet
    let (mut near, far) = connected(&network).await;
    let begun = Instant::now();
    near.write_all(b"lost").await.unwrap();
    drop(far);
    network.partition("b", "a");
    assert!(timeout(millis(500), near.write(b"more")).await.is_err());
    network.heal("b", "a");
    let error = near.write(b"more").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert_eq!(begun.elapsed(), millis(500));
    assert_eq!(read(&mut near, 9).await.unwrap(), b"");
}

#[tokio::test(start_paused = true)]
async fn who_goes_without_reading_resets() {
    let network = Network::new(0);
    let (mut near, mut far) = connected(&network).await;
    network.set_delay("b", "a", millis(30));
    far.write_all(b"early").await.unwrap();
    sleep(millis(1)).await;
    far.write_all(b"late").await.unwrap();
    near.write_all(b"unread").await.unwrap();
    network.set_delay("b", "a", millis(0)); // even so, nothing overtakes what was sent before
    drop(far);
    assert_eq!(read(&mut near, 9).await.unwrap(), b"early");
    let error = read(&mut near, 9).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn a_cut_resets_both_sides_at_once() {
    let network = Network::new(0);
    network.set_capacity(4);
    network.set_default_delay(millis(1000));
    let (mut near, mut far) = connected(&network).await;
    let (mut other, _other) = connected(&network).await;
    let begun = Instant::now();
    near.write_all(b"lost").await.unwrap();
    let writer = tokio::spawn(async move { (near.write(b"more").await, near) });
    let reader = tokio::spawn(async move { read(&mut far, 9).await });
    tokio::task::yield_now().await;
    network.cut("b", "c");
    network.cut("b", "a");
    let kinds = |result: std::io::Result<_>| result.err().map(|error| error.kind());
    let (written, mut near) = writer.await.unwrap();
    assert_eq!(kinds(written.map(drop)), Some(ErrorKind::ConnectionReset));
    let got = reader.await.unwrap().map(drop);
    assert_eq!(kinds(got), Some(ErrorKind::ConnectionReset));
    let got = read(&mut near, 9).await.map(drop);
    assert_eq!(kinds(got), Some(ErrorKind::ConnectionReset));
    let got = read(&mut other, 9).await.map(drop);
    assert_eq!(kinds(got), Some(ErrorKind::ConnectionReset));
    assert_eq!(begun.elapsed(), millis(0));
    connected(&network).await; // is possible again
}

#[tokio::test(start_paused = true)]
async fn a_partition_holds_one_direction() {
    let network = Network::new(0);
    network.set_default_delay(millis(10));
    let (mut near, mut far) = connected(&network).await;
    near.write_all(b"there").await.unwrap();
    sleep(millis(10)).await;
    near.write_all(b"sent").await.unwrap();
    network.partition("a", "b");
    near.write_all(b"held").await.unwrap();
    far.write_all(b"back").await.unwrap();
    assert_eq!(read(&mut near, 9).await.unwrap(), b"back");
    assert_eq!(read(&mut far, 9).await.unwrap(), b"there");
    assert!(timeout(millis(3_600_000), read(&mut far, 9)).await.is_err());
    near.write_all(b"late").await.unwrap();
    drop(near);
    let healed = Instant::now();
    let control = network.clone();
    tokio::spawn(async move {
        sleep(millis(5)).await;
        control.heal("a", "b");
    });
    assert_eq!(read(&mut far, 99).await.unwrap(), b"sentheld");
    assert_eq!(healed.elapsed(), millis(5));
    assert_eq!(read(&mut far, 99).await.unwrap(), b"late");
    assert_eq!(read(&mut far, 99).await.unwrap(), b"");
    assert_eq!(healed.elapsed(), millis(10));
}

/// A paused clock does not tell what was written before from what was written after.
#[tokio::test(start_paused = true)]
async fn a_partition_holds_what_is_written_in_the_same_instant() {
    let network = Network::new(0);
    let (mut near, mut far) = connected(&network).await;
    near.write_all(b"before").await.unwrap();
    network.partition("a", "b");
    near.write_all(b"after").await.unwrap();
    assert_eq!(read(&mut far, 99).await.unwrap(), b"before");
    assert!(polled(read(&mut far, 99)).is_none());
    network.heal("a", "b");
    network.partition("a", "b");
    near.write_all(b"again").await.unwrap();
    assert_eq!(read(&mut far, 99).await.unwrap(), b"after");
    assert!(polled(read(&mut far, 99)).is_none());
}

#[tokio::test(start_paused = true)]
async fn connecting_through_a_partition_hangs_and_goes_on() {
    let network = Network::new(0);
    let (a, b) = (network.host("a"), network.host("b"));
    let listener = b.bind("b:1").unwrap();
    for (from, to) in [("a", "b"), ("b", "a")] {
        network.partition(from, to);
        assert!(timeout(millis(100), a.dial("b:1")).await.is_err());
        let mut dial = Box::pin(a.dial("b:1"));
        assert!(timeout(millis(100), &mut dial).await.is_err());
        network.heal(from, to);
        dial.await.unwrap();
    }
    // One that got through to `b` and then back, and two of which one was given up when it had come
    // as far as `b`.
    assert_eq!(network.traffic("a", "b").connections, 3);
    for _ in 0..3 {
        let (mut far, _) = listener.accept().await.unwrap();
        assert_eq!(read(&mut far, 1).await.unwrap(), b"");
    }
}

#[tokio::test(start_paused = true)]
async fn an_isolated_host_reaches_itself_alone() {
    let network = Network::new(0);
    network.isolate("a");
    let (a, b) = (network.host("a"), network.host("b"));
    let _listeners = [a.bind("a:1").unwrap(), b.bind("b:1").unwrap()];
    a.dial("a:1").await.unwrap();
    b.dial("b:1").await.unwrap();
    let hangs = async |host: &Host, address| timeout(millis(9), host.dial(address)).await.is_err();
    assert!(hangs(&a, "b:1").await);
    assert!(hangs(&b, "a:1").await);
    network.partition("a", "b");
    network.rejoin("a");
    assert!(hangs(&a, "b:1").await);
    network.isolate("b");
    network.heal("a", "b");
    assert!(hangs(&a, "b:1").await);
    network.partition("b", "a");
    network.heal_all();
    assert!(!hangs(&a, "b:1").await);
    assert!(!hangs(&b, "a:1").await);
}

/// With several threads, and faults all the time, nothing comes to a standstill.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn faults_from_other_threads() {
    let network = Network::new(0);
    network.set_capacity(16);
    let listener = network.host("b").bind("b:1").unwrap();
    let echo = tokio::spawn(async move {
        loop {
            let (mut pipe, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                while let Ok(octets) = read(&mut pipe, 9).await
                    && !octets.is_empty()
                    && pipe.write_all(&octets).await.is_ok()
                {}
            });
        }
    });
    let clients = [(); 4].map(|()| {
        let host = network.host("a");
        tokio::spawn(async move {
            for _ in 0..500 {
                let mut pipe = host.dial("b:1").await.unwrap();
                let talk = async {
                    pipe.write_all(&pattern(32)).await?;
                    pipe.shutdown().await?;
                    pipe.read_to_end(&mut Vec::new()).await
                };
                let _ = talk.await; // it may have been cut
            }
        })
    });
    while !clients.iter().all(|client| client.is_finished()) {
        network.partition("a", "b");
        network.isolate("b");
        network.heal_all();
        network.cut("b", "a");
        tokio::task::yield_now().await;
    }
    for client in clients {
        client.await.unwrap();
    }
    echo.abort();
}

/// What is sent waits for what was sent before it, over whatever connection; then it takes its
/// delay.
#[tokio::test(start_paused = true)]
async fn a_rate_makes_much_slower_than_little() {
    let network = Network::new(0);
    let (mut one, mut far_one) = connected(&network).await;
    let (mut two, mut far_two) = connected(&network).await;
    network.set_rate("a", "b", Some(1000));
    network.set_delay("a", "b", millis(7));
    let begun = Instant::now();
    one.write_all(&pattern(500)).await.unwrap();
    two.write_all(&pattern(100)).await.unwrap();
    far_two.write_all(b"the other way").await.unwrap();
    assert_eq!(read(&mut two, 99).await.unwrap(), b"the other way");
    assert_eq!(begun.elapsed(), millis(0));
    assert_eq!(read(&mut far_one, 999).await.unwrap(), pattern(500));
    assert_eq!(begun.elapsed(), millis(507));
    assert_eq!(read(&mut far_two, 999).await.unwrap(), pattern(100));
    assert_eq!(begun.elapsed(), millis(607));
    network.set_rate("a", "b", None);
    one.write_all(&pattern(500)).await.unwrap();
    assert_eq!(read(&mut far_one, 999).await.unwrap(), pattern(500));
    assert_eq!(begun.elapsed(), millis(614));
}

/// Each new connection has something of its own on the way, in one direction; those that were there
/// are left alone.
#[tokio::test(start_paused = true)]
async fn what_stands_on_the_way_changes_what_passes() {
    let network = Network::new(0);
    network.set_capacity(5);
    let (mut old, mut far_old) = connected(&network).await;
    network.interpose("a", "b", || {
        let mut seen = 0;
        move |octets: &[u8]| {
            seen += 1;
            match seen {
                1 => Vec::new(),
                2 => octets.repeat(3),
                _ => octets.to_vec(),
            }
        }
    });
    old.write_all(b"as is").await.unwrap();
    assert_eq!(read(&mut far_old, 9).await.unwrap(), b"as is");
    for _ in 0..2 {
        let (mut near, mut far) = connected(&network).await;
        near.write_all(b"lost").await.unwrap();
        near.write_all(b"abc").await.unwrap();
        // There is more on the way than there is room for.
        assert!(polled(near.write(b"x")).is_none());
        assert_eq!(read(&mut far, 99).await.unwrap(), b"abcabcabc");
        near.write_all(b"end").await.unwrap();
        assert_eq!(read(&mut far, 99).await.unwrap(), b"end");
        far.write_all(b"back").await.unwrap();
        assert_eq!(read(&mut near, 99).await.unwrap(), b"back");
    }
}
