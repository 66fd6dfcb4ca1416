//! The setting `secure`: what other nodes are refused, and what they may do as ever.

#[path = "support/peers.rs"]
mod peers;
mod support;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aemp::Node;
use serde_json::Value;
use support::{LIMIT, Scripted, builder, capture_log, joining, log, members, up, within};

const REFUSED: &str = "remote execution not allowed";

/// A node with functions that count how often they run.
async fn node(id: &str, secure: bool) -> (Node, Arc<AtomicUsize>) {
    capture_log();
    let builder = builder(id).binds(["127.0.0.1:0"]).set("secure", secure);
    let node = builder.start().await.unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let count = runs.clone();
    node.function("my::init", move |context, (): ()| {
        count.fetch_add(1, Ordering::Relaxed);
        context.this().rcv_any(|_, _| ());
    });
    let count = runs.clone();
    node.set_evaluator(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(vec![Value::from(42)])
    });
    (node, runs)
}

/// Requests that run something on `node`, each straight and round about.
fn requests(node: &str) -> Vec<String> {
    vec![
        r#"["","my::init"]"#.to_owned(),
        r#"["","AnyEvent::MP::_spawn","scripted.a","my::init"]"#.to_owned(),
        r#"["","eval","6*7"]"#.to_owned(),
        format!(r#"["","snd","{node}","my::init"]"#),
        r##"["","snd","#","eval","6*7"]"##.to_owned(),
        format!(r#"["","snd_multiple",["{node}","AnyEvent::MP::_spawn","scripted.b","my::init"]]"#),
        format!(r#"["","time","{node}#","eval","6*7"]"#),
    ]
}

/// Sends these requests; how often something ran.
async fn runs(id: &str, secure: bool) -> usize {
    let (node, runs) = node(id, secure).await;
    let mut peer = Scripted::connect(&node).await;
    peer.handshake(&format!("{id}-peer"), 1, "provider=AE-1.30")
        .await;
    let requests = requests(id);
    for request in &requests {
        peer.send(request).await;
    }
    peer.send(format!(r#"["","info","{id}-peer#reply","end"]"#))
        .await;
    let answered = |octets: &[u8]| String::from_utf8_lossy(octets).contains("[\"reply\",\"end\"");
    peer.read_until("the answer", answered).await;
    node.shutdown().await;
    runs.load(Ordering::Relaxed)
}

#[tokio::test]
async fn without_it_everything_runs() {
    assert_eq!(runs("open", false).await, requests("open").len());
}

#[tokio::test]
async fn with_it_nothing_runs_not_even_round_about() {
    assert_eq!(runs("safe", true).await, 0);
    // It is said of the peer, too, where it had the node send the request itself.
    let line = format!("WARN error processing node message from safe-peer: {REFUSED}: ");
    let refused = log()
        .iter()
        .filter(|found| found.starts_with(&line))
        .count();
    assert_eq!(refused, requests("safe").len(), "{:#?}", log());
}

#[tokio::test]
async fn the_rest_works_as_ever() {
    let (node, runs) = node("closed", true).await;
    let port = node.port();
    port.rcv("ping", |context, (reply,): (aemp::PortId,)| {
        context.snd(&reply, &("pong",))
    });
    node.register("closed-group", &port);
    // The mesh is made of spawned ports, too.
    let friend = joining("closed-friend", &node).await;
    up(&friend, "closed").await;
    assert_eq!(
        members(&friend, "closed-group", 1).await,
        [port.id().clone()]
    );
    let pong = friend.cal::<(String,)>(port.id(), &("ping",), Some(LIMIT));
    assert_eq!(within("the reply", pong).await.unwrap().0, "pong");

    let spawned = friend.spawn("closed", "my::init", &());
    let (died, reason) = tokio::sync::oneshot::channel();
    friend.mon(spawned.unwrap(), move |reason| drop(died.send(reason)));
    let reason = within("the refusal to show", reason).await.unwrap();
    assert_eq!(
        reason.values(),
        ["refused", "remote execution not allowed: spawn my::init"]
    );

    let (died, reason) = tokio::sync::oneshot::channel();
    friend.mon(port.id().clone(), move |reason| drop(died.send(reason)));
    friend.kil(port.id(), aemp::Reason::new(["enough"]));
    let reason = within("the port's death", reason).await.unwrap();
    assert_eq!(reason.values(), ["enough"]);

    // The program itself may do as it likes.
    assert_eq!(runs.load(Ordering::Relaxed), 0);
    let own = node.spawn("closed", "my::init", &()).unwrap();
    within("its init function", async {
        while runs.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(node.local_port(&own).is_some());
    friend.shutdown().await;
    node.shutdown().await;
}

/// Perl refuses the same requests. What it refuses is seen in the log of its node port.
#[test]
fn perl_refuses_the_same() {
    let Some(release) = peers::release("2.02") else {
        return;
    };
    let verbs = [
        "mon1",
        "mon0",
        "kil0",
        "kil1",
        "snd",
        "can",
        "time",
        "devnull",
        "",
        "eval",
        "my::init",
        "AnyEvent::MP::_spawn",
        "POSIX::uname",
    ];
    let script = r#"
        use AnyEvent::MP;
        AnyEvent::MP::Kernel::configure("p", nodeid => "perl", binds => [], norc => 1, secure => 1);
        $| = 1;
        open STDERR, ">&", STDOUT;
        for my $verb (split /,/, $ENV{VERBS}, -1) {
            print "<$verb> ";
            $AnyEvent::MP::Kernel::SRCNODE = "other";
            $AnyEvent::MP::Kernel::PORT{""}->($verb, "x");
            print "\n";
        }
    "#;
    let out = Command::new("perl")
        .arg("-I")
        .arg(release)
        .args(["-e", script])
        .env("PERL_ANYEVENT_MP_RC", "")
        .env("VERBS", verbs.join(","))
        .output()
        .expect("perl runs");
    let errors = String::from_utf8_lossy(&out.stderr);
    if errors.contains("Can't locate") {
        println!("NOT RUN: {errors}");
        return;
    }
    assert!(out.status.success(), "perl: {errors}");
    let text = String::from_utf8_lossy(&out.stdout);
    let all = text
        .split('<')
        .skip(1)
        .map(|part| part.split_once('>').unwrap());
    let refused: Vec<&str> = all
        .clone()
        .filter(|(_, logged)| logged.contains(REFUSED))
        .map(|(verb, _)| verb)
        .collect();
    assert_eq!(all.count(), verbs.len(), "{text}");
    let expected = ["eval", "my::init", "AnyEvent::MP::_spawn", "POSIX::uname"];
    assert_eq!(refused, expected, "{text}");
}
