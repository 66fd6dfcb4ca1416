//! What ports do with messages that they can't take.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aemp::{
    Address, CalError, Context, ERROR_REPLY, Handled, Message, Misfit, Node, Port, PortId, Reason,
    Receive, Reply,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use support::{LIMIT, joining, listening, up, within};
use tokio::sync::{mpsc, oneshot};

/// The reason that a port dies of.
fn death(node: &Node, port: impl Into<PortId>) -> oneshot::Receiver<Reason> {
    let (died, reason) = oneshot::channel();
    node.mon(port, |reason| drop(died.send(reason)));
    reason
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Work {
    Double { n: u32, reply: Reply<u32> },
    Forget,
}

struct Length;

impl Receive for Length {
    type Args<'a> = (&'a str, PortId);
    type Outcome = Result<(), aemp::SendError>;
    fn receive(&mut self, cx: &Context, (text, reply): Self::Args<'_>) -> Self::Outcome {
        cx.snd(&reply, &(text.len(),))
    }
}

/// Sets handlers of each kind that reads its arguments.
fn worker(port: &Port) -> &Port {
    port.rcv("double", |cx, (n, reply): (u32, PortId)| {
        cx.snd(&reply, &(2 * n,))
    });
    port.rcv_async("later", |cx, (n, reply): (u32, PortId)| async move {
        tokio::task::yield_now().await;
        cx.snd(&reply, &(2 * n,))
    });
    port.rcv_with("length", Length)
}

/// Requests that no worker takes, and a part of the reason why.
fn mistakes() -> [(serde_json::Value, &'static str); 5] {
    [
        (json!(["dubble", 4]), "no handler takes `dubble`"),
        (json!([[7]]), "no handler takes a message without a tag"),
        (json!(["double", "four"]), "argument 1: invalid type"),
        (json!(["later", "four"]), "argument 1: invalid type"),
        (json!(["length", 4]), "argument 1: invalid type"),
    ]
}

#[tokio::test]
async fn a_client_that_retries_kills_nobody_and_is_told_why() {
    let node = listening("misfits-refuse").await;
    let other = joining("misfits-refuse-client", &node).await;
    up(&other, node.id().as_str()).await;
    for from in [&node, &other] {
        let port = node.port();
        worker(port.on_misfit(Misfit::Refuse));
        let mut dead = death(&node, &port);
        for (request, why) in mistakes() {
            for _ in 0..3 {
                let call = from.cal::<u32>(&port, &request, Some(LIMIT));
                match within("the refusal", call).await {
                    Err(CalError::Refused(reason)) => {
                        assert!(reason.to_string().contains(why), "{request}: {reason}");
                    }
                    other => panic!("{request}: {other:?}"),
                }
            }
        }
        for (tag, argument, result) in [
            ("double", json!(4), 8),
            ("later", json!(4), 8),
            ("length", json!("four"), 4),
        ] {
            let request = (tag, argument);
            let call = from.cal::<u32>(&port, &request, Some(LIMIT));
            assert_eq!(within("the answer", call).await.unwrap(), result, "{tag}");
        }
        assert!(dead.try_recv().is_err(), "it lives");
    }
}

#[tokio::test]
async fn by_default_a_mistake_kills() {
    let node = listening("misfits-kill").await;
    let other = joining("misfits-kill-client", &node).await;
    up(&other, node.id().as_str()).await;
    for explicit in [false, true] {
        for from in [&node, &other] {
            for (request, why) in mistakes() {
                let port = node.port();
                worker(&port);
                if explicit {
                    port.on_misfit(Misfit::Ignore).on_misfit(Misfit::Kill);
                }
                let dead = death(&node, &port);
                from.snd(&port, &request).unwrap();
                let reason = within("the death", dead).await.unwrap();
                let why = match why.starts_with("no handler") {
                    true => "received message on port without callback",
                    false => why,
                };
                assert_eq!(reason.kind(), Some("die"));
                assert!(reason.to_string().contains(why), "{request}: {reason}");
            }
        }
    }
}

#[tokio::test]
async fn typed_ports_refuse_variants_and_fields() {
    let node = listening("misfits-typed").await;
    let other = joining("misfits-typed-client", &node).await;
    up(&other, node.id().as_str()).await;
    let port = node.port();
    let address: Address<Work> = port.serve(|cx, work| match work {
        Work::Double { n, reply } => cx.answer(&reply, Ok::<_, &str>(2 * n)),
        Work::Forget => Ok(()),
    });
    port.on_misfit(Misfit::Refuse);
    for from in [&node, &other] {
        for (request, why) in [
            (json!(["dubble", 4]), "unknown variant `dubble`"),
            (json!(["double", "four"]), "invalid type"),
            (json!(["double"]), "invalid type"),
            (json!([]), "unknown variant"),
        ] {
            let call = from.cal::<u32>(&address, &request, Some(LIMIT));
            match within("the refusal", call).await {
                Err(CalError::Refused(reason)) => {
                    assert!(reason.to_string().contains(why), "{request}: {reason}");
                }
                other => panic!("{request}: {other:?}"),
            }
        }
        let ask = from.ask(&address, |reply| Work::Double { n: 4, reply }, Some(LIMIT));
        assert_eq!(within("the answer", ask).await.unwrap(), 8);
        from.snd(&address, &Work::Forget).unwrap();
    }
    assert!(port.is_alive());
}

#[tokio::test]
async fn what_names_no_port_of_a_known_node_is_not_answered() {
    support::capture_log();
    let node = Node::local();
    let port = node.port();
    worker(port.on_misfit(Misfit::Refuse));
    let before = node.known_nodes();
    for last in [
        json!("nobody-knows#a"),
        json!("#a"),
        json!("text"),
        json!(7),
        json!(node.id()),
    ] {
        node.snd(&port, &("dubble", last)).unwrap();
    }
    // A long one is not even read.
    let long = format!("{}#a", "x".repeat(100_000));
    node.snd(&port, &("dubble", long)).unwrap();
    let call = node.cal::<u32>(&port, &("double", 4), Some(LIMIT));
    assert_eq!(within("the answer", call).await.unwrap(), 8);
    assert_eq!(node.known_nodes(), before);
    let dropped = format!(
        "WARN {}: dropped a message: no handler takes `dubble`",
        port.id()
    );
    let lines = support::log();
    assert_eq!(lines.iter().filter(|line| **line == dropped).count(), 6);
}

#[tokio::test]
async fn an_error_reply_is_shown_harmless_and_short() {
    let node = Node::local();
    let port = node.port();
    port.on_misfit(Misfit::Refuse);
    let tag = format!("a\u{1b}[2J{}", "x".repeat(100_000));
    let error = node
        .cal::<u32>(&port, &(tag,), Some(LIMIT))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(r"a\u{1b}[2Jxx") && text.len() < 2_000,
        "{text}"
    );
}

#[tokio::test]
async fn what_is_ignored_is_logged_and_nobody_is_told() {
    support::capture_log();
    let node = Node::local();
    let port = node.port();
    worker(port.on_misfit(Misfit::Ignore));
    let mut inbox = node.mailbox();
    for (request, _) in mistakes() {
        let mut request: Vec<_> = request.as_array().unwrap().clone();
        request.push(json!(inbox.id()));
        node.snd(&port, &request).unwrap();
    }
    node.snd(&port, &("double", 4, inbox.id())).unwrap();
    assert_eq!(inbox.recv().await.unwrap().to_json(), "[8]");
    let of = format!("WARN {}: dropped a message: ", port.id());
    let lines = support::log();
    let lines: Vec<_> = lines
        .iter()
        .filter_map(|line| line.strip_prefix(&of))
        .collect();
    for (_, why) in mistakes() {
        assert!(
            lines.iter().any(|line| line.contains(why)),
            "{why}: {lines:?}"
        );
    }
}

#[tokio::test]
async fn code_of_ones_own_sees_the_message_as_it_was_sent() {
    let node = listening("misfits-own").await;
    let other = joining("misfits-own-client", &node).await;
    up(&other, node.id().as_str()).await;
    for from in [&node, &other] {
        let port = node.port();
        let (tell, mut told) = mpsc::unbounded_channel();
        worker(&port).on_misfit_with(move |_, message: Message, why| {
            drop(tell.send((message.to_json().into_owned(), why.to_owned())));
        });
        for (request, why) in mistakes() {
            from.snd(&port, &request).unwrap();
            let (message, reason) = within("the message", told.recv()).await.unwrap();
            assert_eq!(message, request.to_string());
            assert!(reason.contains(why), "{request}: {reason}");
        }
        // What it holds is dropped with the port.
        port.kil(Reason::normal());
        assert_eq!(within("the end", told.recv()).await, None);
    }
}

#[tokio::test]
async fn code_of_ones_own_may_fail_and_be_replaced_by_itself() {
    let node = Node::local();
    let port = node.port();
    port.on_misfit_with(|_, _, why| Err::<(), _>(Reason::new(["odd", why])));
    let dead = death(&node, &port);
    node.snd(&port, &("a",)).unwrap();
    assert_eq!(
        dead.await.unwrap(),
        Reason::new(["odd", "no handler takes `a`"])
    );

    let port = node.port();
    port.on_misfit_with(|_, _, _| -> Handled { panic!("oops") });
    let dead = death(&node, &port);
    node.snd(&port, &("a",)).unwrap();
    assert_eq!(dead.await.unwrap(), Reason::die("oops"));

    let port = node.port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    port.on_misfit_with(move |cx, _, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        cx.this().on_misfit(Misfit::Refuse);
    });
    node.snd(&port, &("a",)).unwrap();
    let error = node.cal::<()>(&port, &("b",), Some(LIMIT)).await;
    assert!(matches!(error, Err(CalError::Refused(_))), "{error:?}");
    assert_eq!(
        (count.load(Ordering::Relaxed), Arc::strong_count(&count)),
        (1, 1)
    );
}

/// A port that another node spawns ignores what nothing takes, unless something else is chosen.
#[tokio::test]
async fn spawned_ports_choose_as_well() {
    let node = listening("misfits-spawn").await;
    let other = joining("misfits-spawn-client", &node).await;
    up(&other, node.id().as_str()).await;
    node.function("plain", |cx, (): ()| {
        worker(&cx.this());
    });
    node.function("refusing", |cx, (): ()| {
        worker(cx.this().on_misfit(Misfit::Refuse));
    });
    node.function("strict", |cx, (): ()| {
        worker(cx.this().on_misfit(Misfit::Kill));
    });
    let plain = other.spawn(node.id(), "plain", &()).unwrap();
    other.snd(&plain, &("dubble", 4)).unwrap();
    let call = other.cal::<u32>(&plain, &("double", 4), Some(LIMIT));
    assert_eq!(within("the answer", call).await.unwrap(), 8);

    let refusing = other.spawn(node.id(), "refusing", &()).unwrap();
    let call = other.cal::<u32>(&refusing, &("dubble", 4), Some(LIMIT));
    let refused = within("the refusal", call).await;
    assert!(matches!(refused, Err(CalError::Refused(_))), "{refused:?}");

    let strict = other.spawn(node.id(), "strict", &()).unwrap();
    let dead = death(&other, &strict);
    other.snd(&strict, &("dubble", 4)).unwrap();
    assert_eq!(within("the death", dead).await.unwrap().kind(), Some("die"));
}

/// What a program of any language reads of a refusal.
#[tokio::test]
async fn a_refusal_is_a_message_like_others() {
    let node = Node::local();
    let port = node.port();
    port.on_misfit(Misfit::Refuse);
    let mut inbox = node.mailbox();
    node.snd(&port, &("a", inbox.id())).unwrap();
    let reply = inbox.recv().await.unwrap();
    assert_eq!(reply.tag().as_deref(), Some(ERROR_REPLY));
    assert_eq!(reply.without_tag().to_json(), r#"["no handler takes `a`"]"#);
}

#[tokio::test]
async fn an_error_of_a_handler_kills_with_its_reason() {
    let node = Node::local();
    let port = node.port();
    port.on_misfit(Misfit::Refuse);
    port.rcv("fail", |_, (): ()| {
        Err::<(), _>(Reason::new(["overheated", "CPU 0"]))
    });
    let dead = death(&node, &port);
    node.snd(&port, &("fail",)).unwrap();
    assert_eq!(dead.await.unwrap(), Reason::new(["overheated", "CPU 0"]));
}
