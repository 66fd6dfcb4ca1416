//! Log lines of other nodes: as nodes of this crate send and catch them, and as Perl's do.

mod support;

use aemp::proto::generation::Generations;
use aemp::{LogLine, LogLines, Node};
use support::{Scripted, builder, up, within};

/// The next line that a node sends with this text in it.
async fn line(lines: &mut LogLines, node: &str, text: &str) -> LogLine {
    within(&format!("{node}: {text}"), async {
        loop {
            let line = lines.next().await.expect("the node runs");
            if line.node == node && line.text.contains(text) {
                return line;
            }
        }
    })
    .await
}

/// Has the node log a line at level 2 with the text in it.
async fn complain(node: &Node, text: &str) {
    let port = node.port();
    port.kil(aemp::Reason::die(text));
}

/// Nodes that are there, that come, and that come again; in each generation. No subscriber of
/// `tracing` is needed for it.
#[tokio::test]
async fn lines_of_all_nodes_come() {
    for generation in [0, 1, 2] {
        let name = |of: &str| format!("all-{of}{generation}");
        let of = |id: &str| {
            let builder = builder(id).generation(Generations::Only(generation));
            builder.binds(["127.0.0.1:0"])
        };
        let a = of(&name("a")).start().await.unwrap();
        let b = of(&name("b")).seeds(a.listeners()).start().await.unwrap();
        up(&b, &name("a")).await;
        let mut lines = b.catch_logs(8);
        let said = line(&mut lines, &name("a"), "are sent to").await;
        assert_eq!(said.level, 8);
        assert_eq!(said.time.is_some(), generation == 2);
        complain(&a, "of a").await;
        let said = line(&mut lines, &name("a"), "of a").await;
        assert_eq!(said.level, if generation == 2 { 5 } else { 2 });

        let c = of(&name("c")).seeds(a.listeners()).start().await.unwrap();
        line(&mut lines, &name("c"), "are sent to").await;
        c.shutdown().await;
        let c = of(&name("c")).seeds(a.listeners()).start().await.unwrap();
        line(&mut lines, &name("c"), "are sent to").await;
        complain(&c, "of c").await;
        line(&mut lines, &name("c"), "of c").await;
        assert_eq!(lines.lost(), 0);
        b.shutdown().await;
        within("the end", async { while lines.next().await.is_some() {} }).await;
    }
}

async fn perl(node: &Node, name: &str, params: &str) -> Scripted {
    let mut peer = Scripted::connect(node).await;
    peer.handshake(name, 1, params).await;
    up(node, name).await;
    peer
}

/// A Perl node of either generation catches lines of this crate's nodes, up to a level, until it
/// says that its port is dead.
#[tokio::test]
async fn perl_nodes_get_lines() {
    for (kind, params, line) in [
        ("1b", "provider=AE-1.30", r#"["x.a",2,"unmonitored"#),
        (
            "2",
            "provider=AE-2.01;mproto=1;gproto=1",
            r#","aemp",5,"unmonitored"#,
        ),
    ] {
        let id = format!("perl-{kind}");
        let node = builder(&id).generation(Generations::Auto);
        let node = node.binds(["127.0.0.1:0"]).start().await.unwrap();
        let peer = format!("{id}-peer");
        let mut peer_node = perl(&node, &peer, params).await;
        peer_node
            .send(format!(
                r#"["","AnyEvent::MP::LogCatcher::connect",0,"{peer}#x.a",5]["","snd","{peer}#x.b","on"]"#
            ))
            .await;
        let has = |text: &'static str| {
            move |octets: &[u8]| String::from_utf8_lossy(octets).contains(text)
        };
        let got = peer_node
            .read_until("the monitor", has(r#"["","mon1","x.a"]"#))
            .await;
        let got = String::from_utf8(got).unwrap();
        // Lines are those of the whole process, so of other tests as well.
        assert!(!got.contains("are sent to"), "nothing of level 8: {got}");
        complain(&node, "something").await;
        let got = peer_node.read_until("a line", has("something")).await;
        let got = String::from_utf8(got).unwrap();
        assert!(got.contains(line), "{got}");

        peer_node
            .send(format!(
                r#"["","kil0","x.a","restart"]["","snd","{peer}#x.b","off"]"#
            ))
            .await;
        peer_node
            .read_until("the barrier", has(r#"["x.b","off"]"#))
            .await;
        complain(&node, "no more").await;
        peer_node
            .send(format!(r#"["","snd","{peer}#x.b","end"]"#))
            .await;
        let got = peer_node
            .read_until("the end", has(r#"["x.b","end"]"#))
            .await;
        let got = String::from_utf8(got).unwrap();
        assert!(!got.contains("no more"), "{got}");
    }
}

/// What a request says that no node of AnyEvent::MP would.
#[tokio::test]
async fn odd_requests_are_refused() {
    support::capture_log();
    let node = support::listening("odd").await;
    let mut peer = perl(&node, "odd-peer", "provider=AE-1.30").await;
    for args in [
        r#"1,"odd-peer#x.a",9"#,
        r#"0,"other#x.a",9"#,
        r#"0"#,
        r#"0,"odd-peer#x.a","loud""#,
    ] {
        peer.send(format!(
            r#"["","AnyEvent::MP::LogCatcher::connect",{args}]"#
        ))
        .await;
    }
    // As many as may be, and one more.
    for n in 0..9 {
        peer.send(format!(
            r#"["","AnyEvent::MP::LogCatcher::connect",0,"odd-peer#x.{n}",0]"#
        ))
        .await;
    }
    peer.send(r#"["","snd","odd-peer#y","end"]"#).await;
    let end = |octets: &[u8]| String::from_utf8_lossy(octets).contains(r#"["y","end"]"#);
    peer.read_until("the end", end).await;
    let said = support::log();
    for text in [
        "version 1 of log lines is not known here",
        "other#x.a is no port of odd-peer",
        "8 ports get log lines already",
    ] {
        let line = format!("error processing node message from odd-peer: log lines: {text}");
        assert!(
            said.iter().any(|said| said.contains(&line)),
            "{text}: {said:#?}"
        );
    }
}

/// Whoever may not call it gets nothing.
#[tokio::test]
async fn the_rules_are_for_log_lines_as_well() {
    let rule = "* call AnyEvent::MP::LogCatcher::connect";
    let node = builder("rule").binds(["127.0.0.1:0"]).deny([rule]);
    let node = node.start().await.unwrap();
    let friend = support::joining("rule-friend", &node).await;
    up(&friend, "rule").await;
    let _lines = friend.catch_logs(9);
    within("the refusal", async {
        while !node.stats().refused.contains_key("call") {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Who does not read loses lines, and knows how many.
#[tokio::test]
async fn a_reader_that_does_not_read_loses_lines() {
    let node = support::listening("slow").await;
    let mut peer = perl(&node, "slow-peer", "provider=AE-1.30").await;
    let mut lines = node.catch_logs(5);
    let request = r#"["","AnyEvent::MP::LogCatcher::connect",0,"slow#"#;
    let has = |octets: &[u8]| String::from_utf8_lossy(octets).contains(",5]");
    let got = peer.read_until("the request", has).await;
    let got = String::from_utf8(got).unwrap();
    let at = got.find(request).unwrap() + request.len();
    let port = got[at..].split('"').next().unwrap();
    let many: String = (0..5000)
        .map(|n| format!(r#"["{port}",2,"line {n}\n"]"#))
        .collect();
    peer.send(many).await;
    peer.send(r#"["","snd","slow-peer#y","end"]"#).await;
    let end = |octets: &[u8]| String::from_utf8_lossy(octets).contains(r#"["y","end"]"#);
    peer.read_until("the end", end).await;
    assert_eq!((lines.lost(), lines.lost()), (5000 - 4096, 0));
    for n in 0..4096 {
        let line = within("a line", lines.next()).await.unwrap();
        assert_eq!((line.level, line.text), (2, format!("line {n}")));
    }
    // Who reads again gets lines again.
    peer.send(format!(r#"["{port}",1,"the last"]"#)).await;
    assert_eq!(line(&mut lines, "slow-peer", "the last").await.level, 1);
    // Nobody wants any when the stream is dropped.
    drop(lines);
    let over = |octets: &[u8]| String::from_utf8_lossy(octets).contains(r#""kil0""#);
    peer.send(format!(r#"["","mon1","{port}"]"#)).await;
    peer.read_until("the end of the port", |octets| {
        let text = String::from_utf8_lossy(octets);
        over(octets) || text.contains(r#"["","kil""#)
    })
    .await;
}
