//! Ports whose handlers share a state.

mod support;

use std::sync::Arc;

use aemp::{Address, CalError, Node, PortId, Reason, Reply};
use serde::{Deserialize, Serialize};
use support::{LIMIT, joining, listening, up, within};
use tokio::sync::mpsc;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Log {
    Line(String),
    Count(Reply<usize>),
}

#[tokio::test]
async fn handlers_of_all_kinds_share_it() {
    let node = listening("state-kinds").await;
    let other = joining("state-kinds-other", &node).await;
    up(&other, node.id().as_str()).await;
    for from in [&node, &other] {
        let port = node.port_with_state(Vec::new());
        port.rcv("now", |_, lines, (line,): (String,)| lines.push(line))
            .rcv_async("later", |_, mut lines, (line,): (String,)| async move {
                tokio::task::yield_now().await;
                lines.push(line);
            })
            .answer("count", |_, lines, (): ()| Ok::<_, &str>(lines.len()))
            .answer_async("last", |_, lines, (): ()| async move {
                tokio::task::yield_now().await;
                lines.last().cloned().ok_or("there is none")
            });
        let last = from.cal::<String>(&port, &("last",), Some(LIMIT)).await;
        assert!(matches!(last, Err(CalError::Refused(_))), "{last:?}");
        for n in 0..100 {
            let tag = ["now", "later"][n % 2];
            from.snd(&port, &(tag, n.to_string())).unwrap();
        }
        let count = from.cal::<usize>(&port, &("count",), Some(LIMIT));
        assert_eq!(within("the count", count).await.unwrap(), 100);
        let last = from.cal::<String>(&port, &("last",), Some(LIMIT));
        assert_eq!(within("the last", last).await.unwrap(), "99");
    }
}

#[tokio::test]
async fn typed_ports_have_one() {
    let node = Node::local();
    let now: Address<Log> = node.serve_with_state(0, |cx, count, message| match message {
        Log::Line(_) => {
            *count += 1;
            Ok(())
        }
        Log::Count(reply) => cx.answer(&reply, Ok::<_, &str>(*count)),
    });
    let port = node.port_with_state(0);
    let later: Address<Log> = port.serve_async(|cx, mut count, message| async move {
        tokio::task::yield_now().await;
        match message {
            Log::Line(_) => {
                *count += 1;
                Ok(())
            }
            Log::Count(reply) => cx.answer(&reply, Ok::<_, &str>(*count)),
        }
    });
    for log in [now, later] {
        for _ in 0..10 {
            node.snd(&log, &Log::Line("x".to_owned())).unwrap();
        }
        let count = node.ask(&log, Log::Count, Some(LIMIT));
        assert_eq!(within("the count", count).await.unwrap(), 10);
    }
}

/// Of handlers that are at work together one has it at a time, and whoever wants it waits, those
/// that are not asynchronous as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_waited_for() {
    let node = Node::local();
    let port = node.port_with_state((0_u32, false));
    port.concurrently(16);
    port.rcv_async("later", |_, mut state, (): ()| async move {
        assert!(
            !std::mem::replace(&mut state.1, true),
            "somebody else has it"
        );
        tokio::task::yield_now().await;
        state.0 += 1;
        state.1 = false;
    });
    port.rcv("now", |_, state, (): ()| {
        assert!(!state.1, "somebody else has it");
        state.0 += 1;
    });
    let (tell, mut told) = mpsc::unbounded_channel();
    port.rcv("tell", move |_, state, (): ()| {
        let _ = tell.send(state.0);
    });
    for n in 0..1000 {
        node.snd(&port, &(["later", "now"][n % 2],)).unwrap();
    }
    let count = async {
        loop {
            node.snd(&port, &("tell",)).unwrap();
            if told.recv().await.expect("the port lives") == 1000 {
                break;
            }
        }
    };
    within("all of them", count).await;
}

/// A handler that hands its state on, to who keeps it longer.
#[tokio::test]
async fn it_may_be_handed_on() {
    let node = Node::local();
    let port = node.port_with_state(0);
    port.rcv_async("lend", |cx, mut state, (): ()| async move {
        cx.spawn_task(async move {
            for _ in 0..10 {
                tokio::task::yield_now().await;
                *state += 1;
            }
        });
    });
    port.answer("get", |_, state, (): ()| Ok::<_, &str>(*state));
    node.snd(&port, &("lend",)).unwrap();
    let got = node.cal::<u32>(&port, &("get",), Some(LIMIT));
    assert_eq!(within("the state", got).await.unwrap(), 10);
}

#[tokio::test]
async fn it_goes_with_the_port() {
    let node = Node::local();
    let kept = Arc::new(());
    let port = node.port_with_state(kept.clone());
    port.rcv_async("hang", |_, state, (): ()| async move {
        let () = std::future::pending().await;
        drop(state);
    });
    port.rcv("ping", |cx, _, (reply,): (PortId,)| cx.snd(&reply, &()));
    node.snd(&port, &("hang",)).unwrap();
    tokio::task::yield_now().await;
    let id = port.id().clone();
    drop(port);
    assert_eq!(Arc::strong_count(&kept), 2);
    node.kil(id, Reason::normal());
    let gone = async {
        while Arc::strong_count(&kept) > 1 {
            tokio::task::yield_now().await;
        }
    };
    within("the state to go", gone).await;
}
