//! What happens between `snd` and the wire, or the port: what a thread remembers of where it sent
//! to, when a message is written at once and when it is gathered, and the quick ways that must come
//! to the same as the others.

mod support;

use std::io::{Read as _, Write as _};
use std::sync::mpsc;

use aemp::proto::framing::cbor;
use aemp::{Context, Node, PortId, Reason};
use support::{LIMIT, Scripted, builder, capture_log, event, listening, up, within};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const PERL: &str = "provider=AE-1.30";

/// A port of a given name, which somebody may have had before. Its messages come out of the
/// receiver.
async fn named(node: &Node, name: &str) -> UnboundedReceiver<u64> {
    let (tell, told) = unbounded_channel();
    let (ready, mut is_ready) = unbounded_channel();
    node.function(&format!("test::{name}"), move |cx: &Context, (): ()| {
        let (tell, ready) = (tell.clone(), ready.clone());
        cx.this().rcv("n", move |_, (n,): (u64,)| {
            let _ = tell.send(n);
        });
        let _ = ready.send(());
    });
    let spawn = ("AnyEvent::MP::_spawn", name, format!("test::{name}"));
    node.snd(node.id().node_port(), &spawn).unwrap();
    within("the port", is_ready.recv()).await.unwrap();
    told
}

#[tokio::test]
async fn a_name_that_is_given_again_is_the_new_port() {
    let node = Node::local();
    let port = node.id().port("x.1");
    for round in 0..3 {
        let mut told = named(&node, "x.1").await;
        for n in 0..2 {
            // The second one goes to where the first one went.
            node.snd(&port, &("n", round * 10 + n)).unwrap();
            assert_eq!(within("a message", told.recv()).await, Some(round * 10 + n));
        }
        let (tell, died) = tokio::sync::oneshot::channel();
        node.mon(&port, move |reason| drop(tell.send(reason)));
        node.kil(&port, Reason::normal());
        assert!(within("the end", died).await.unwrap().is_normal());
        // To a dead port, remembered or not: lost.
        node.snd(&port, &("n", 99)).unwrap();
    }
    node.shutdown().await;
}

#[tokio::test]
async fn what_is_remembered_keeps_nothing_alive() {
    let (tell, mut told) = unbounded_channel::<()>();
    let node = Node::local();
    let port = node.port();
    port.rcv("n", move |_, (_,): (u64,)| {
        let _ = tell.send(());
    });
    node.snd(&port, &("n", 1)).unwrap();
    within("the message", told.recv()).await.unwrap();
    let id = port.id().clone();
    drop((port, node));
    // The thread that runs this has sent to the port last.
    assert_eq!(within("the end of the handler", told.recv()).await, None);
    let other = Node::local();
    other.snd(&id, &("n", 2)).unwrap();
    other.shutdown().await;
}

/// A node that is lost and comes back gets what is sent then, by whoever sent to it before.
#[tokio::test]
async fn a_node_that_comes_back_is_found_again() {
    capture_log();
    for round in 0..3 {
        let a = listening(&format!("back-a{round}")).await;
        for life in 0..2 {
            let b = builder("back-b").binds([""; 0]).seeds(a.listeners());
            let b = b.start().await.unwrap();
            up(&a, "back-b").await;
            let mut inbox = b.mailbox();
            for n in 0..3 {
                a.snd(inbox.id(), &("n", n)).unwrap();
                let what = format!("message {n} in life {life} of round {round}");
                let got: (String, u64) = within(&what, inbox.recv()).await.unwrap().args().unwrap();
                assert_eq!(got.1, n, "life {life}");
            }
            let mut events = a.mon_nodes();
            b.shutdown().await;
            let down = event(&mut events, |event| !event.is_up());
            within("the end of the link", down).await;
        }
        a.shutdown().await;
    }
}

/// Plays the peer on a thread of its own, so that it goes on while the runtime's thread is blocked:
/// tells every piece that it reads.
fn on_a_thread(peer: Scripted) -> (mpsc::Receiver<String>, std::net::TcpStream) {
    let stream = peer.stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let (tell, told) = mpsc::channel();
    let mut reading = stream.try_clone().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = reading.read(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
            if tell.send(text).is_err() {
                break;
            }
        }
    });
    (told, stream)
}

#[tokio::test]
async fn the_first_message_is_written_at_once_and_the_next_are_gathered() {
    let node = listening("direct").await;
    let mut peer = Scripted::connect(&node).await;
    peer.handshake("slow", 1, PERL).await;
    up(&node, "slow").await;
    // What is said at the start is over, and then one message has gone to and fro.
    sync_with(&mut peer).await;
    sync_with(&mut peer).await;
    let (told, mut stream) = on_a_thread(peer);
    let port = PortId::new("slow#p");

    // A question, and its answer: so it is one message at a time.
    for n in 0..3 {
        node.snd(&port, &("lone", n)).unwrap();
        // Nothing else runs on this thread meanwhile.
        let text = told.recv_timeout(LIMIT).unwrap();
        assert_eq!(text, format!(r#"["p","lone",{n}]"#));
        let mut inbox = node.mailbox();
        let answer = format!(r#"["{}","back"]"#, inbox.id().name());
        stream.write_all(answer.as_bytes()).unwrap();
        within("the answer", inbox.recv()).await.unwrap();
    }

    // Of many, all but the first wait for the runtime, and come together.
    for n in 0..100 {
        node.snd(&port, &("many", n)).unwrap();
    }
    assert_eq!(told.recv_timeout(LIMIT).unwrap(), r#"["p","many",0]"#);
    assert_eq!(told.try_recv(), Err(mpsc::TryRecvError::Empty));
    let all: String = (1..100).map(|n| format!(r#"["p","many",{n}]"#)).collect();
    let collect = tokio::task::spawn_blocking(move || {
        let (mut got, mut pieces) = (String::new(), 0);
        while got.len() < all.len() {
            got += &told.recv_timeout(LIMIT).unwrap();
            pieces += 1;
        }
        assert_eq!(got, all);
        pieces
    });
    assert_eq!(within("the rest", collect).await.unwrap(), 1);
    node.shutdown().await;
}

/// Waits until the node has nothing to say that is not the test's.
async fn sync_with(peer: &mut Scripted) {
    peer.send(r#"["","time","slow#t","now"]"#).await;
    let now = |octets: &[u8]| String::from_utf8_lossy(octets).contains(r#"["t","now","#);
    peer.read_until("the time", now).await;
}

/// However a request is spelled, its monitor is set, and ended.
#[tokio::test]
async fn monitors_in_every_spelling() {
    capture_log();
    for framing in ["json", "cbor"] {
        let node = listening(&format!("spelled-{framing}")).await;
        let mut peer = Scripted::connect(&node).await;
        peer.framing = framing;
        peer.handshake("watcher", 1, PERL).await;
        type Spelling = fn(&str, &str) -> String;
        let spellings: [Spelling; 6] = [
            |verb, name| format!(r#"["","{verb}","{name}"]"#),
            |verb, name| format!(r#" [ "" , "{verb}" , "{name}" ] "#),
            |verb, name| format!(r#"["","{verb}","{name}",1,[{{"a":"\ud83d\ude00"}}]]"#),
            |verb, name| format!(r#"["","\u006d{}","{name}"]"#, &verb[1..]),
            |verb, name| format!(r#"["","{verb}","{}"]"#, name.replace('.', "\\u002e")),
            |verb, name| format!("[\"\",\"{verb}\",\"{name}\"\n]"),
        ];
        let encode = |json: String| match framing {
            "cbor" => {
                let mut octets = Vec::new();
                cbor::write_message(&mut octets, json.trim().as_bytes()).unwrap();
                octets
            }
            _ => json.into_bytes(),
        };
        let ports: Vec<_> = spellings.iter().map(|_| node.port()).collect();
        let unwatched: Vec<_> = spellings.iter().map(|_| node.port()).collect();
        let mut requests = Vec::new();
        for ((spelling, port), other) in spellings.iter().zip(&ports).zip(&unwatched) {
            requests.push(spelling("mon1", port.id().name()));
            requests.push(spelling("mon1", other.id().name()));
            requests.push(spelling("mon0", other.id().name()));
        }
        // A number is a name, too, though of no port: that is told at once.
        requests.push(r#"["","mon1",17]"#.to_owned());
        requests.push(r#"["","time","watcher#t","now"]"#.to_owned());
        let octets: Vec<u8> = requests.into_iter().flat_map(encode).collect();
        // In pieces, whose ends are anywhere.
        for piece in octets.chunks(23) {
            peer.send(piece).await;
        }
        let contains = |octets: &[u8], text: &str| {
            octets
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        };
        let seen = peer
            .read_until("the time", |octets| contains(octets, "now"))
            .await;
        assert!(contains(&seen, "17"), "{}", seen.escape_ascii());
        for port in ports.iter().chain(&unwatched) {
            port.kil(Reason::new(["bye"]));
        }
        let last = ports.last().unwrap().id().name().to_owned();
        let mut told = peer
            .read_until("the last death", |octets| contains(octets, &last))
            .await;
        peer.send(encode(r#"["","time","watcher#t","then"]"#.to_owned()))
            .await;
        told.extend(
            peer.read_until("the time", |octets| contains(octets, "then"))
                .await,
        );
        for port in &ports {
            let name = port.id().name();
            let times = told.windows(name.len()).filter(|w| *w == name.as_bytes());
            assert_eq!(times.count(), 1, "{name}: {}", told.escape_ascii());
        }
        for port in &unwatched {
            assert!(!contains(&told, port.id().name()), "{}", port.id());
        }
        node.shutdown().await;
    }
}

/// What a handler gets does not depend on where it was sent from.
#[tokio::test]
async fn local_messages_are_as_those_from_elsewhere() {
    #[derive(serde::Serialize)]
    enum Kind {
        Unit,
        With(u8, &'static str),
    }
    let a = listening("same-a").await;
    let b = builder("same-b").binds([""; 0]).seeds(a.listeners());
    let b = b.start().await.unwrap();
    up(&b, "same-a").await;
    let mut inbox = a.mailbox();
    let maps: std::collections::BTreeMap<u8, Option<bool>> =
        [(1, None), (2, Some(true))].into_iter().collect();
    let raw = serde_json::value::RawValue::from_string(r#"{"raw": [1,  2]}"#.to_owned()).unwrap();
    let message = aemp::Message::encode(&("m", 1.5, "é")).unwrap();
    macro_rules! same {
        ($($args:expr),* $(,)?) => {$(
            a.snd(inbox.id(), &$args).unwrap();
            b.snd(inbox.id(), &$args).unwrap();
            let here = within("ours", inbox.recv()).await.unwrap();
            let there = within("the other's", inbox.recv()).await.unwrap();
            assert_eq!(here.values(), there.values());
            assert_eq!(here.tag(), there.tag());
            assert_eq!(here.without_tag().values(), there.without_tag().values());
        )*};
    }
    same![
        (),
        ("t",),
        (1, -1, i64::MIN, u64::MAX, 0.5, 1e300),
        ("tag", "é", "\u{1F600}", "\0\n\"\\"),
        ("tag", [(); 0], [[1]], (None::<u8>, Some(true))),
        (vec![0; 30], &maps),
        ("tag", Kind::Unit, Kind::With(1, "x")),
        ("tag", 'c', i128::MAX, &raw),
        vec!["only", "strings"],
        message,
        message.without_tag(),
        serde_json::json!(["json", {"a": [1, null, 2.5]}]),
    ];
    assert!(a.snd(inbox.id(), &"no list").is_err());
    let numbers = std::collections::HashMap::from([((1, 2), 3)]);
    assert!(a.snd(inbox.id(), &(numbers,)).is_err());
    a.snd(inbox.id(), &("after", "errors")).unwrap();
    let after = within("what followed", inbox.recv()).await.unwrap();
    assert_eq!(after.to_json(), r#"["after","errors"]"#);
    for node in [a, b] {
        node.shutdown().await;
    }
}
