//! Ports of one type: enums as messages, over links in each framing, and answers.

mod support;

use std::time::Duration;

use aemp::proto::Framing;
use aemp::{Address, CalError, ERROR_REPLY, Node, PortId, Reason, Reply};
use serde::{Deserialize, Serialize};
use support::{builder, joining, listening, up, within};
use tokio::sync::{mpsc, oneshot};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Room {
    Join(PortId, String),
    Say(String),
    Topic { text: String, by: Option<String> },
    Quit,
}

fn all() -> [Room; 4] {
    [
        Room::Join("a#b".into(), "ruth".to_owned()),
        Room::Say("hello, \u{fc} \u{1f600}".to_owned()),
        Room::Topic {
            text: "tests".to_owned(),
            by: None,
        },
        Room::Quit,
    ]
}

/// A port that hands out what it takes.
fn listener(node: &Node) -> (Address<Room>, mpsc::UnboundedReceiver<Room>) {
    let (tell, told) = mpsc::unbounded_channel();
    let room = node.serve(move |_, said: Room| drop(tell.send(said)));
    (room, told)
}

#[tokio::test]
async fn enums_go_over_links_of_each_framing() {
    for framing in Framing::ALL {
        let one = builder(&format!("one-{framing}")).framings([framing]);
        let one = one.start().await.unwrap();
        let (room, mut told) = listener(&one);
        let other = builder(&format!("other-{framing}")).framings([framing]);
        let other = other.seeds(one.listeners()).start().await.unwrap();
        up(&other, one.id().as_str()).await;
        // More than fit into one block, so that the quick way and the usual one both take some.
        for _ in 0..5_000 {
            for said in all() {
                other.snd(&room, &said).unwrap();
            }
        }
        // What somebody sends who knows nothing of the type.
        other.snd(room.id(), &("say", "as a tuple")).unwrap();
        for _ in 0..5_000 {
            for said in all() {
                assert_eq!(within("a message", told.recv()).await, Some(said));
            }
        }
        let last = within("the last message", told.recv()).await;
        assert_eq!(last, Some(Room::Say("as a tuple".to_owned())));
    }
}

#[tokio::test]
async fn within_a_node() {
    let node = Node::local();
    let (room, mut told) = listener(&node);
    for _ in 0..1_000 {
        for said in all() {
            node.snd_wait(&room, &said).await.unwrap();
        }
    }
    for _ in 0..1_000 {
        for said in all() {
            assert_eq!(told.recv().await, Some(said));
        }
    }
}

/// The reason that a port dies of.
fn death(node: &Node, port: impl Into<PortId>) -> oneshot::Receiver<Reason> {
    let (died, reason) = oneshot::channel();
    node.mon(port, |reason| drop(died.send(reason)));
    reason
}

#[tokio::test]
async fn what_is_no_such_message_kills_and_says_why() {
    let node = listening("typed-bad").await;
    let other = joining("typed-bad-other", &node).await;
    for (message, why) in [
        (
            serde_json::json!(["jion", "a#b", "x"]),
            "unknown variant `jion`",
        ),
        (serde_json::json!(["join", "a#b"]), "argument 2: is missing"),
        (
            serde_json::json!(["say", 7]),
            "argument 1: invalid type: integer `7`",
        ),
        (
            serde_json::json!([7]),
            "argument 1: invalid type: integer `7`",
        ),
        (serde_json::json!([]), "argument 1: is missing"),
    ] {
        for from in [&node, &other] {
            let (room, _told) = listener(&node);
            let reason = death(&node, &room);
            from.snd(room.id(), &message).unwrap();
            let reason = within("the death", reason).await.unwrap();
            assert_eq!(reason.kind(), Some("die"));
            assert!(reason.to_string().contains(why), "{message}: {reason}");
        }
    }
}

#[tokio::test]
async fn one_closure_takes_all_variants_until_it_is_replaced() {
    let node = Node::local();
    let port = node.port();
    let (told, mut tell) = mpsc::unbounded_channel();
    let mut count = 0;
    let room: Address<Room> = port.serve(move |_, _| {
        count += 1;
        let _ = told.send(count);
    });
    for said in all() {
        node.snd(&room, &said).unwrap();
    }
    for n in 1..=4 {
        assert_eq!(tell.recv().await, Some(n));
    }
    // A tag of its own takes what was that variant's; the others stay.
    let (left, gone) = oneshot::channel::<()>();
    let mut left = Some(left);
    port.rcv("quit", move |_, (): ()| drop(left.take()));
    node.snd(&room, &Room::Quit).unwrap();
    assert!(gone.await.is_err());
    node.snd(&room, &Room::Say("x".to_owned())).unwrap();
    assert_eq!(tell.recv().await, Some(5));
    // A dead port holds nothing of the closure.
    port.kil(Reason::normal());
    assert_eq!(tell.recv().await, None);
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Store {
    Get { key: String, reply: Reply<u32> },
    Slow { reply: Reply<(u32, String)> },
    Die { reply: Reply<()> },
}

fn store(node: &Node) -> Address<Store> {
    node.serve(|cx, request| match request {
        Store::Get { key, reply } => {
            let value = key.parse::<u32>();
            cx.answer(&reply, value)
        }
        Store::Slow { reply } => {
            cx.after(Duration::from_millis(5), move |cx| {
                cx.answer(&reply, Ok::<_, String>((7, "late".to_owned())))
            });
            Ok(())
        }
        Store::Die { .. } => {
            cx.fail("overheated");
            Ok(())
        }
    })
}

#[tokio::test]
async fn requests_are_answered_or_refused() {
    let here = listening("answers").await;
    let there = joining("answers-there", &here).await;
    let store = store(&here);
    for node in [&here, &there] {
        let get = |key: &str| {
            let key = key.to_owned();
            |reply| Store::Get { key, reply }
        };
        let limit = Some(Duration::from_secs(20));
        assert_eq!(node.ask(&store, get("42"), limit).await.unwrap(), 42);
        let error = node.ask(&store, get("x"), limit).await.unwrap_err();
        assert!(
            matches!(&error, CalError::Refused(why) if why.to_string() == "invalid digit found in string")
        );
        let slow = node.ask(&store, |reply| Store::Slow { reply }, limit).await;
        assert_eq!(slow.unwrap(), (7, "late".to_owned()));
    }
    let died = there.ask(&store, |reply| Store::Die { reply }, None).await;
    assert!(matches!(died, Err(CalError::Died(why)) if why.kind() == Some("overheated")));
}

/// A client that makes mistakes, again and again, costs no worker its life.
#[tokio::test]
async fn mistakes_of_who_asks_are_answered() {
    let here = listening("mistakes").await;
    let there = joining("mistakes-there", &here).await;
    let port = here.port();
    port.answer("double", |_, (n,): (u32,)| {
        n.checked_mul(2).ok_or("too much")
    })
    .answer_async("later", |_, (n,): (u32,)| async move {
        n.checked_sub(1).ok_or("too little")
    });
    let cal = async |message: serde_json::Value| {
        let called = there.cal::<u32>(&port, &message, Some(Duration::from_secs(20)));
        called.await.map_err(|error| error.to_string())
    };
    let refused = |why: &str| Err(format!("the request was answered with an error: {why}"));
    for _ in 0..3 {
        assert_eq!(cal(serde_json::json!(["double", 4])).await, Ok(8));
        assert_eq!(
            cal(serde_json::json!(["double", u32::MAX])).await,
            refused("too much")
        );
        let missing = refused("argument 1: is missing");
        assert_eq!(cal(serde_json::json!(["double"])).await, missing);
        assert_eq!(cal(serde_json::json!(["later", 4])).await, Ok(3));
        assert_eq!(
            cal(serde_json::json!(["later", 0])).await,
            refused("too little")
        );
    }
    // Nobody to answer to.
    there.snd(&port, &("double", 1)).unwrap();
    assert_eq!(cal(serde_json::json!(["double", 5])).await, Ok(10));
    assert!(port.is_alive());
}

/// On the wire an error reply is a message as any other, so a Perl program sends it, too.
#[tokio::test]
async fn an_error_reply_is_a_message() {
    let node = Node::local();
    let port = node.port();
    port.rcv("get", |cx, (reply,): (PortId,)| {
        cx.snd(&reply, &(ERROR_REPLY, "busy", 7))
    });
    let error = node.cal::<u32>(&port, &("get",), None).await.unwrap_err();
    assert!(
        matches!(&error, CalError::Refused(why) if why.values() == [serde_json::json!("busy"), 7.into()])
    );

    let mut inbox = node.mailbox();
    port.peval(|cx| cx.refuse(inbox.id(), ["busy", "try later"]));
    let sent = inbox.recv().await.unwrap();
    assert_eq!(sent.to_json(), r#"["aemp:error","busy","try later"]"#);
}
