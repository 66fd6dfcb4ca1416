//! Ports: their code, its end, their mailboxes.

use std::time::Duration;

use aemp::{Node, PortId, Reason};
use tokio::sync::{mpsc, oneshot};

use crate::support::{joining, listening, up, within};
use crate::{monitored, numbers};

/// A link's reader remembers the ports that it met; that must not keep alive what their code holds.
#[tokio::test]
async fn code_ends_with_its_port_or_its_replacement() {
    let a = listening("end-a").await;
    let b = joining("end-b", &a).await;
    up(&b, "end-a").await;
    let (tell, mut told) = mpsc::unbounded_channel();
    // Code that holds something whose end is seen, and says that it was called.
    let code = |name: &'static str| {
        let (kept, ended) = oneshot::channel::<()>();
        let tell = tell.clone();
        let code = move |cx: &aemp::Context, (what,): (String,)| {
            let _ = &kept;
            let _ = tell.send(name);
            match what.as_str() {
                "end" => cx.end(),
                "replace" => drop(cx.this().rcv("n", |_, (): ()| {})),
                _ => {}
            }
        };
        (code, ended)
    };
    let mut ends = Vec::new();
    for (n, last) in ["kil", "end", "replace", "unrcv"].into_iter().enumerate() {
        let (code, ended) = code(last);
        let port = a.port();
        port.rcv("n", code);
        for word in ["go", "go"] {
            b.snd(&port, &("n", word)).unwrap();
            assert_eq!(within("a call", told.recv()).await, Some(last));
        }
        match n {
            0 => port.kil(Reason::normal()),
            3 => drop(port.unrcv("n")),
            _ => {
                b.snd(&port, &("n", last)).unwrap();
                assert_eq!(within("the last call", told.recv()).await, Some(last));
            }
        }
        ends.push((port, ended));
    }
    for (port, ended) in ends {
        assert!(within("the end of the code", ended).await.is_err());
        drop(port);
    }
    for node in [a, b] {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn mailboxes_and_their_owners() {
    let node = Node::local();
    let owner = node.port();
    let (sender, receiver) = oneshot::channel();
    let mut sender = Some(sender);
    owner.rcv("make", move |cx, ()| {
        sender.take().map(|sender| sender.send(cx.mailbox()));
    });
    node.snd(&owner, &("make",)).unwrap();
    let mut inbox = within("the mailbox", receiver).await.unwrap();
    for n in 0..3 {
        node.snd(inbox.id(), &("n", n)).unwrap();
    }
    let wanted = inbox.recv_where(|message| message.args::<(String, u8)>().is_ok_and(|a| a.1 == 2));
    assert_eq!(within("two", wanted).await.unwrap().to_json(), r#"["n",2]"#);
    let none = inbox.recv_timeout(Duration::from_millis(1)).await;
    assert!(none.is_ok());
    let reason = monitored(&node, inbox.id());
    owner.kil(Reason::new(["owner", "gone"]));
    assert_eq!(
        within("the death", reason).await.unwrap().to_string(),
        "owner gone"
    );
    // What had arrived can still be received.
    let rest = within("the rest", inbox.recv()).await.unwrap();
    assert_eq!(rest.to_json(), r#"["n",1]"#);
    assert_eq!(
        within("the end", inbox.recv()).await.unwrap_err(),
        aemp::RecvError::Dead
    );
}

#[tokio::test]
async fn order_of_kills_and_local_spawns() {
    let node = Node::local();
    // A kill comes behind the messages that were sent before it.
    let (port, mut received) = numbers(&node);
    let reason = monitored(&node, &port);
    for n in 0..1000 {
        node.snd(&port, &("n", n)).unwrap();
    }
    node.kil(&port, Reason::new(["enough"]));
    for n in 0..1000 {
        assert_eq!(within("a number", received.recv()).await, Some(n));
    }
    assert_eq!(
        within("the end", reason).await.unwrap().to_string(),
        "enough"
    );
    // A port spawned here can be talked to at once.
    node.function("echo", |cx, (reply,): (PortId,)| {
        cx.this()
            .rcv("n", move |cx, (n,): (u64,)| cx.snd(&reply, &("n", n)));
    });
    let (port, mut received) = numbers(&node);
    for n in 0..1000 {
        let spawned = node.spawn(node.id(), "echo", &(&port,)).unwrap();
        node.snd(&spawned, &("n", n)).unwrap();
        node.kil(&spawned, Reason::normal());
    }
    let mut seen: Vec<u64> = Vec::new();
    while seen.len() < 1000 {
        seen.push(within("a number", received.recv()).await.unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..1000).collect::<Vec<_>>());
}

#[tokio::test]
async fn panics_and_errors_kill_only_their_port() {
    let node = Node::local();
    let port = node.port();
    port.rcv("panic", |_, ()| -> () { panic!("no way") })
        .rcv("typed", |_, (_, _): (u8, String)| {});
    let reason = monitored(&node, port.id());
    node.snd(&port, &("panic",)).unwrap();
    let reason = within("the death", reason).await.unwrap();
    assert_eq!(reason.to_string(), "die no way");

    let port = node.port();
    port.rcv("typed", |_, (_, _): (u8, String)| {});
    let reason = monitored(&node, port.id());
    node.snd(&port, &("typed", 1, 2)).unwrap();
    let reason = within("the death", reason).await.unwrap();
    assert_eq!(
        reason.to_string(),
        "die argument 2: invalid type: integer `2`, expected a string"
    );

    let port = node.port();
    port.rcv_async("wait", |_, fail: Option<bool>| async move {
        assert!(fail.is_some(), "later");
    });
    let reason = monitored(&node, port.id());
    node.snd(&port, &("wait",)).unwrap();
    assert_eq!(within("it", reason).await.unwrap().to_string(), "die later");
}

#[tokio::test]
async fn asynchronous_handlers_keep_the_order() {
    let node = Node::local();
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let port = node.port();
    port.rcv_async("n", move |_, (n,): (u64,)| {
        let sender = sender.clone();
        async move {
            if n % 3 == 0 {
                tokio::task::yield_now().await;
            }
            let _ = sender.send(n);
        }
    });
    for n in 0..1000 {
        node.snd(&port, &("n", n)).unwrap();
    }
    for n in 0..1000 {
        assert_eq!(within("a number", receiver.recv()).await, Some(n));
    }
    // Killed while it waits: the code is dropped.
    struct Dropped(Option<oneshot::Sender<()>>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.take().unwrap().send(());
        }
    }
    let (started, begun) = oneshot::channel();
    let (dropped, ended) = oneshot::channel();
    let (mut started, mut guard) = (Some(started), Some(Dropped(Some(dropped))));
    port.rcv_async("forever", move |_, ()| {
        let _ = started.take().unwrap().send(());
        let guard = guard.take();
        async move {
            std::future::pending::<()>().await;
            drop(guard);
        }
    });
    node.snd(&port, &("forever",)).unwrap();
    within("the start", begun).await.unwrap();
    port.kil(Reason::normal());
    within("the drop", ended).await.unwrap();
}
