//! Addresses, dialling, and many hosts at once.

use std::collections::BTreeSet;

use super::*;
use crate::net::memory::host::mix;
use crate::net::memory::listener::BACKLOG;
use crate::net::memory::network::FIRST_SOURCE;

#[tokio::test(start_paused = true)]
async fn addresses() {
    let network = Network::new(0);
    let host = network.host("a");
    let first = host.bind("a:0").unwrap();
    let third = host.bind("*:3").unwrap();
    let others = [(); 2].map(|()| host.bind("a:*").unwrap());
    let all = [&first, &others[0], &third, &others[1]].map(|listener| listener.local_addr());
    assert_eq!(all, ["a:1", "a:2", "a:3", "a:4"]);
    let kind = |address| host.bind(address).map(drop).map_err(|error| error.kind());
    assert_eq!(kind("a:03"), Err(ErrorKind::AddrInUse));
    assert_eq!(kind("b:5"), Err(ErrorKind::AddrNotAvailable));
    assert_eq!(kind("a"), Err(ErrorKind::InvalidInput));
    assert_eq!(kind("a:65536"), Err(ErrorKind::InvalidInput));
    let error = host.dial("b").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);

    // A listener that goes closes what was not accepted and frees its address.
    let mut pipe = network.host("b").dial("a:3").await.unwrap();
    drop(third);
    assert_eq!(read(&mut pipe, 1).await.unwrap(), b"");
    let error = host.dial("a:3").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    let again = host.bind("a:3").unwrap();
    host.dial("a:3").await.unwrap();
    network.host("b").dial("a:3").await.unwrap();
    assert_eq!(again.accept().await.unwrap().1, "a:49153");
    assert_eq!(again.accept().await.unwrap().1, "b:49153");
}

#[tokio::test(start_paused = true)]
async fn ports_run_out() {
    let host = Network::new(0).host("a");
    let listeners: Vec<_> = (1..FIRST_SOURCE)
        .map(|_| host.bind("a:0").unwrap())
        .collect();
    let error = host.bind("a:0").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    drop(listeners);
    assert_eq!(host.bind("a:0").unwrap().local_addr(), "a:1");
}

#[tokio::test(start_paused = true)]
async fn a_full_backlog_makes_diallers_wait() {
    let network = Network::new(0);
    let host = network.host("a");
    let listener = host.bind("a:1").unwrap();
    let mut pipes = Vec::new();
    for _ in 0..BACKLOG {
        pipes.push(host.dial("a:1").await.unwrap());
    }
    let mut first = Box::pin(host.dial("a:1"));
    assert!(timeout(millis(100), &mut first).await.is_err());
    let second = host.dial("a:1");
    let (second, accepted) = tokio::join!(timeout(millis(1), second), listener.accept());
    assert!(second.is_err() && accepted.is_ok());
    first.await.unwrap();
    let third = tokio::spawn(async move { host.dial("a:1").await.map(drop) });
    tokio::task::yield_now().await;
    drop(listener);
    let error = third.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

/// What some hosts that talk at random see, in the order in which they do.
fn history(seed: u64) -> Vec<String> {
    run(async {
        let network = Network::new(seed);
        network.set_default_delay(millis(4));
        let log = Arc::new(Mutex::new(Vec::new()));
        let begun = Instant::now();
        let mut tasks = Vec::new();
        for id in 0..8 {
            let host = network.host(&format!("host{id}"));
            let listener = host.bind("*:1").unwrap();
            let log_there = log.clone();
            tokio::spawn(async move {
                while let Ok((mut pipe, remote)) = listener.accept().await {
                    let log = log_there.clone();
                    tokio::spawn(async move {
                        loop {
                            let octets = read(&mut pipe, 64).await;
                            let end = !matches!(&octets, Ok(octets) if !octets.is_empty());
                            log.lock()
                                .push(format!("{:?} {remote} {octets:?}", begun.elapsed()));
                            if end {
                                return;
                            }
                        }
                    });
                }
            });
            let mut random = host.rng_seed();
            let mut next = move |below: u64| {
                random = mix(random);
                random % below
            };
            tasks.push(tokio::spawn(async move {
                for _ in 0..20 {
                    let other = format!("host{}", next(8));
                    let mut pipe = host.dial(&format!("{other}:1")).await.unwrap();
                    for _ in 0..next(5) {
                        let _ = pipe.write_all(&pattern(next(100) as usize)).await;
                        sleep(millis(next(10))).await;
                    }
                    match next(6) {
                        0 => host.network().cut(host.name(), &other),
                        1 => host.network().partition(host.name(), &other),
                        2 => host.network().isolate(&other),
                        _ => host.network().heal_all(),
                    }
                    host.network()
                        .set_delay(host.name(), &other, millis(next(9)));
                    if next(2) == 0 {
                        host.network().heal_all();
                    }
                }
            }));
        }
        let control = network.clone();
        tokio::spawn(async move {
            loop {
                sleep(millis(100)).await;
                control.heal_all();
            }
        });
        for task in tasks {
            task.await.unwrap();
        }
        std::mem::take(&mut *log.lock())
    })
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let first = history(7);
    assert!(first.len() > 200, "{}", first.len());
    assert!(first == history(7));
    assert!(first != history(8));
}

#[test]
fn random_numbers_depend_on_the_seed_and_the_name() {
    let number = |seed, name| Network::new(seed).host(name).rng_seed();
    let all = [(1, "a"), (1, "b"), (2, "a"), (1, "ab"), (1, "ba"), (0, "")];
    let numbers: BTreeSet<_> = all.iter().map(|(seed, name)| number(*seed, name)).collect();
    assert_eq!(numbers.len(), all.len());
    let network = Network::new(1);
    network.host("b").bind("b:1").unwrap();
    assert_eq!(network.host("a").rng_seed(), number(1, "a"));
    // What starts again on a host does not draw the same once more, but does so in each run.
    let second = network.host("a").rng_seed();
    assert!(!numbers.contains(&second));
    let again = Network::new(1).host("a");
    assert_eq!(
        [again.rng_seed(), again.rng_seed()],
        [number(1, "a"), second]
    );
}

#[tokio::test(start_paused = true)]
async fn a_thousand_connections() {
    let network = Network::new(0);
    network.set_default_delay(millis(1));
    let listener = network.host("b").bind("b:1").unwrap();
    let echo = tokio::spawn(async move {
        for _ in 0..1000 {
            let (mut pipe, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let octets = read(&mut pipe, 99).await.unwrap();
                pipe.write_all(&octets).await.unwrap();
            });
        }
    });
    let begun = Instant::now();
    let clients = (0..1000_u32).map(|n| {
        let host = network.host("a");
        tokio::spawn(async move {
            let mut pipe = host.dial("b:1").await.unwrap();
            pipe.write_all(&n.to_be_bytes()).await.unwrap();
            let mut answer = Vec::new();
            pipe.read_to_end(&mut answer).await.unwrap();
            assert_eq!(answer, n.to_be_bytes());
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    echo.await.unwrap();
    assert_eq!(begun.elapsed(), millis(4));
    assert_eq!(network.connections(), 0);
    let traffic = network.traffic("a", "b");
    assert_eq!((traffic.connections, traffic.octets), (1000, 4000));
}
