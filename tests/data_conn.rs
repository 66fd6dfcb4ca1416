//! Data connections: between nodes of this crate in all roles, and with a peer that is played octet
//! by octet as Perl's are.

mod support;

use std::time::Duration;

use aemp::proto::auth::{AuthMethod, Secret};
use aemp::proto::generation::Generations;
use aemp::proto::handshake::Blame;
use aemp::{Builder, DataConnError, DataStream, Node};
use support::{LIMIT, SECRET, Scripted, builder, capture_log, log, sync, up, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const PERL: &str = include_str!("../fixtures/tls/perl.pem");

/// Octets that are unlike each other, so that none can be lost or come twice.
fn octets(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Lets others open connections to `twice`, which sends what it got twice, when it has all of it.
fn serve(node: &Node) {
    node.data_function("twice", |_, (prefix,): (String,), mut stream| async move {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await?;
        stream.write_all(prefix.as_bytes()).await?;
        stream.write_all(&all).await?;
        stream.write_all(&all).await?;
        stream.shutdown().await
    });
}

async fn used(mut stream: DataStream, len: usize) {
    let sent = octets(len as u32, len);
    let got = within("the answer", async {
        stream.write_all(&sent).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.unwrap();
        got
    })
    .await;
    assert_eq!(got.len(), 2 + 2 * len);
    assert!(got.starts_with(b"->") && got[2..2 + len] == sent && got[2 + len..] == sent);
}

async fn opened(from: &Node, to: &Node) -> Result<DataStream, DataConnError> {
    let limit = Duration::from_secs(10);
    let opening = from.data_conn(to.id(), limit, "twice", &("->",));
    within("a data connection, or an error", opening).await
}

/// Two nodes; the second has connected to the first, and may listen itself.
async fn two(names: [&str; 2], listens: bool, set: impl Fn(Builder) -> Builder) -> [Node; 2] {
    let [a, b] = names.map(|name| set(builder(name)));
    let a = a.binds(["127.0.0.1:0"]).start().await.unwrap();
    let binds = ["127.0.0.1:0"].into_iter().filter(|_| listens);
    let b = b.binds(binds).seeds(a.listeners()).start().await.unwrap();
    up(&a, names[1]).await;
    up(&b, names[0]).await;
    // What they tell each other of their addresses has come, too.
    sync(&a, names[1]).await;
    sync(&b, names[0]).await;
    [a, b]
}

/// The initiator connects, and where it can't, the target does, in each generation and through TLS.
#[tokio::test]
async fn either_connects() {
    for generation in [0, 1, 2] {
        for tls in [false, true] {
            let set = |builder: Builder| {
                let builder = builder.generation(Generations::Only(generation));
                match tls {
                    true => builder.set("cert", PERL),
                    false => builder,
                }
            };
            let names = ["a", "b"].map(|name| format!("either-{name}{generation}{tls}"));
            let [a, b] = two([&names[0], &names[1]], false, set).await;
            serve(&a);
            serve(&b);
            let here = opened(&b, &a).await.unwrap();
            assert_eq!((here.peer(), here.tls().is_some()), (a.id(), tls));
            assert_eq!(here.remote(), a.listeners()[0]);
            used(here, 3_000_000).await;
            let there = opened(&a, &b).await.unwrap();
            assert_eq!((there.peer(), there.tls().is_some()), (b.id(), tls));
            used(there, 3_000_000).await;
        }
    }
}

#[tokio::test]
async fn many_at_once_and_within_a_node() {
    let [a, b] = two(["many-a", "many-b"], true, |builder| builder).await;
    serve(&a);
    serve(&b);
    let mut all = tokio::task::JoinSet::new();
    for n in 0..30 {
        let (from, to) = match n % 3 {
            0 => (a.clone(), b.clone()),
            1 => (b.clone(), a.clone()),
            _ => (a.clone(), a.clone()),
        };
        all.spawn(async move { used(opened(&from, &to).await.unwrap(), 10_000 + n).await });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn what_can_go_wrong_is_said() {
    capture_log();
    let [a, b] = two(["wrong-a", "wrong-b"], true, |builder| builder).await;
    serve(&a);
    let limit = Duration::from_secs(10);

    let error = opened(&a, &b).await.unwrap_err();
    let text = "wrong-b: unable to resolve function 'twice'";
    assert_eq!(
        (error.to_string(), error.blame()),
        (text.into(), Blame::Peer)
    );
    let error = b.data_conn("wrong-a", limit, "twice", &(1,)).await;
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("wrong-a: twice: "), "{error}");
    let error = b.data_conn("wrong-b", limit, "thrice", &()).await;
    let text = "wrong-b: unable to resolve function 'thrice'";
    assert_eq!(error.unwrap_err().to_string(), text);

    let nobody = b.data_conn("nobody", Duration::from_millis(50), "twice", &("->",));
    let error = nobody.await.unwrap_err();
    assert!(matches!(error, DataConnError::TimedOut { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "nobody: unable to establish connection within 50ms"
    );

    b.shutdown().await;
    let error = opened(&b, &a).await.unwrap_err();
    assert!(matches!(error, DataConnError::Stopped), "{error}");
}

/// Of two nodes that do not listen, linked by a third one's doing or by hand, none can connect.
#[tokio::test]
async fn without_listeners_there_is_none() {
    // The listener of a scripted peer takes one connection and is gone.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let seed = listener.local_addr().unwrap().to_string();
    let node = builder("alone").binds([""; 0]).seeds([&seed]);
    let node = node.start().await.unwrap();
    let mut peer = Scripted::accept(&listener).await;
    drop(listener);
    peer.handshake("alone-peer", 1, "provider=AE-1.30").await;
    up(&node, "alone-peer").await;
    let opening = node.data_conn("alone-peer", LIMIT, "f", &());
    let answering = async {
        let asked = |octets: &[u8]| String::from_utf8_lossy(octets).contains(",\"expected\"]");
        let said = peer.read_until("the barrier", asked).await;
        let inbox = barrier(&String::from_utf8(said).unwrap());
        peer.send(format!(r#"["{inbox}","expected"]"#)).await;
    };
    let (opened, ()) = within("an error", async { tokio::join!(opening, answering) }).await;
    let error = opened.unwrap_err();
    let DataConnError::Unreachable { address, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!((address, error.blame()), (&seed, Blame::Network));
}

/// The name of the port that a round trip is for.
fn barrier(said: &str) -> String {
    let at = said.rfind(r#"["","snd",""#).unwrap();
    let port = said[at..].split('"').nth(5).unwrap();
    port.split_once('#').unwrap().1.to_owned()
}

/// Says the three lines of a data connection of this ID as the node `name`, and `behind` in the
/// same segment.
async fn data(to: &str, name: &str, id: &str, behind: &str) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let own = format!(
        "aemp-dataconn;1;{name};hmac_md6_64_256,cleartext;json,storable;dataconn_id={id};provider=AE-1.30\nNONCE\n"
    );
    stream.write_all(own.as_bytes()).await.unwrap();
    let mut theirs = Vec::new();
    while theirs.iter().filter(|octet| **octet == b'\n').count() < 2 {
        stream.read_buf(&mut theirs).await.unwrap();
    }
    let theirs = String::from_utf8(theirs).unwrap();
    assert!(theirs.starts_with("aemp;1;"), "{theirs}");
    let token = AuthMethod::HmacMd6.token(&Secret::from(SECRET), &own, &theirs);
    let line = format!("hmac_md6_64_256;{token};json\n{behind}");
    stream.write_all(line.as_bytes()).await.unwrap();
    stream
}

/// A peer as Perl 1.30 is: what it sends, and what it gets, is what was recorded of real ones.
async fn perl(node: &Node, name: &str) -> Scripted {
    let mut peer = Scripted::connect(node).await;
    peer.handshake(name, 1, "provider=AE-1.30").await;
    up(node, name).await;
    peer
}

#[tokio::test]
async fn octets_behind_the_proof_are_the_programs() {
    let node = support::listening("early").await;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    node.data_function(
        "pkg::receiver",
        move |_, (n,): (u32,), mut stream: DataStream| {
            let tell = tell.clone();
            async move {
                let mut text = String::new();
                stream.read_to_string(&mut text).await.unwrap();
                tell.send((n, text)).unwrap();
                stream.write_all(b"thanks\n").await
            }
        },
    );
    let mut peer = perl(&node, "early-bob").await;
    peer.send(
        r#"["","AnyEvent::MP::DataConn::_expect","b@bob","early-bob#x.a",5,"pkg::receiver",1]["","snd","early-bob#x.c"]"#,
    )
    .await;
    peer.read_until("the barrier", |octets| octets.ends_with(br#"["x.c"]"#))
        .await;
    let mut stream = data(&node.listeners()[0], "early-bob", "b@bob", "blabla\n").await;
    stream.shutdown().await.unwrap();
    assert_eq!(
        within("what came", told.recv()).await,
        Some((1, "blabla\n".to_owned()))
    );
    let mut answer = String::new();
    within("the end", stream.read_to_string(&mut answer))
        .await
        .unwrap();
    assert!(answer.ends_with(";json\nthanks\n"), "{answer}");

    // It was for one connection.
    let mut again = data(&node.listeners()[0], "early-bob", "b@bob", "").await;
    let mut answer = String::new();
    within("the end", again.read_to_string(&mut answer))
        .await
        .unwrap();
    assert_eq!(answer, "", "nothing is proved");
}

#[tokio::test]
async fn who_is_asked_to_connect_connects_to_who_asks_alone() {
    let node = support::listening("back").await;
    serve(&node);
    let mut peer = perl(&node, "back-bob").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // A port of the mesh is told where this peer listens, and where another one is said to.
    peer.send(format!(
        r#"["","AnyEvent::MP::_spawn","m.a","AnyEvent::MP::Global::connect",0,"back-bob"]["","mon1","m.a"]["m.a","addr",["{address}"]]"#
    ))
    .await;
    peer.send(
        r#"["","AnyEvent::MP::DataConn::_expect","c@bob","back-bob#x.a",5,"twice","->"]["","AnyEvent::MP::DataConn::_connect","c@bob","other"]["","snd","back-bob#x.c"]"#,
    )
    .await;
    peer.read_until("the barrier", |octets| {
        String::from_utf8_lossy(octets).contains(r#"["x.c"]"#)
    })
    .await;
    // Twice is once.
    peer.send(
        r#"["","AnyEvent::MP::DataConn::_connect","c@bob","back-bob"]["","AnyEvent::MP::DataConn::_connect","c@bob","back-bob"]"#,
    )
    .await;
    let mut connection = Scripted::accept(&listener).await;
    let own = "aemp;1;back-bob;hmac_md6_64_256;json;provider=AE-1.30\nNONCE\n";
    connection.send(own).await;
    let lines = |octets: &[u8]| octets.iter().filter(|octet| **octet == b'\n').count() >= 2;
    let greeting = connection.read_until("the greeting", lines).await;
    let greeting = String::from_utf8(greeting).unwrap();
    assert!(greeting.starts_with("aemp-dataconn;1;back;"), "{greeting}");
    assert!(greeting.contains(";dataconn_id=c@bob"), "{greeting}");
    let token = AuthMethod::HmacMd6.token(&Secret::from(SECRET), own, &greeting);
    connection
        .send(format!("hmac_md6_64_256;{token};json\nabc"))
        .await;
    connection.stream.shutdown().await.unwrap();
    let answer = connection.closed().await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.ends_with(";json\n->abcabc"), "{answer}");
}

#[tokio::test]
async fn failures_are_told_as_perl_does() {
    let node = support::listening("told").await;
    serve(&node);
    let mut peer = perl(&node, "told-bob").await;
    let killed = |port: &str, text: &str| {
        let kill = format!(r#"["","kil","{port}","AnyEvent::MP::DataConn","{text}"]"#);
        move |octets: &[u8]| String::from_utf8_lossy(octets).contains(&kill)
    };
    // No listeners are known of this peer.
    peer.send(
        r#"["","AnyEvent::MP::DataConn::_expect","b@bob","told-bob#x.a",5,"twice","->"]["","AnyEvent::MP::DataConn::_connect","b@bob","told-bob"]"#,
    )
    .await;
    let text = "told-bob: no listeners found";
    peer.read_until(text, killed("x.a", text)).await;
    // It does not come in time.
    peer.send(r#"["","AnyEvent::MP::DataConn::_expect","c@bob","told-bob#x.b",0.05,"twice","->"]"#)
        .await;
    let text = "told: no connection came within 50ms";
    peer.read_until(text, killed("x.b", text)).await;
    let mut late = data(&node.listeners()[0], "told-bob", "c@bob", "").await;
    let mut answer = String::new();
    within("the end", late.read_to_string(&mut answer))
        .await
        .unwrap();
    assert_eq!(answer, "");
    // It comes from somebody else.
    peer.send(
        r#"["","AnyEvent::MP::DataConn::_expect","d@bob","told-bob#x.c",5,"twice","->"]["","snd","told-bob#x.d"]"#,
    )
    .await;
    peer.read_until("the barrier", |octets| octets.ends_with(br#"["x.d"]"#))
        .await;
    let mut other = data(&node.listeners()[0], "told-eve", "d@bob", "").await;
    let mut answer = String::new();
    within("the end", other.read_to_string(&mut answer))
        .await
        .unwrap();
    assert_eq!(answer, "");
}

#[tokio::test]
async fn so_many_are_expected_and_no_more() {
    let node = support::listening("most").await;
    serve(&node);
    let mut peer = perl(&node, "most-bob").await;
    for n in 0..257 {
        peer.send(format!(
            r#"["","AnyEvent::MP::DataConn::_expect","{n}@bob","most-bob#x.{n}",60,"twice","->"]"#
        ))
        .await;
    }
    let text = "most: 256 data connections of this node are expected already";
    let kill = format!(r#"["","kil","x.256","AnyEvent::MP::DataConn","{text}"]"#);
    let told = |octets: &[u8]| String::from_utf8_lossy(octets).contains(&kill);
    peer.read_until(text, told).await;
}

/// Both the request and the function are calls.
#[tokio::test]
async fn the_rules_are_for_data_connections_as_well() {
    for (name, rule, refused) in [
        ("rules-a", "* call twice", "call twice"),
        (
            "rules-b",
            "* call AnyEvent::MP::DataConn::*",
            "call AnyEvent::MP::DataConn::_expect",
        ),
    ] {
        let node = builder(name).binds(["127.0.0.1:0"]).deny([rule]);
        let node = node.start().await.unwrap();
        serve(&node);
        let friend = support::joining(&format!("{name}-friend"), &node).await;
        up(&friend, name).await;
        let error = opened(&friend, &node).await.unwrap_err().to_string();
        let wanted = format!("{name}: remote execution not allowed: {refused}");
        assert_eq!(error, wanted);
    }
}

/// Releases that have none are known before anything is asked of them.
#[tokio::test]
async fn old_releases_are_not_asked() {
    let node = support::listening("old").await;
    let mut peer = Scripted::connect(&node).await;
    peer.handshake("old-peer", 1, "provider=AE-1.23").await;
    up(&node, "old-peer").await;
    let error = node
        .data_conn("old-peer", LIMIT, "f", &())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "old-peer runs AnyEvent::MP 1.23, which has no data connections"
    );
    assert_eq!(error.blame(), Blame::Incompatible);
    let _ = log();
}
