//! What goes wrong on the way: a greeting is altered, TLS does not follow, or not to its end.

use std::time::Duration;

use aemp::Node;
use aemp::net::memory::Network;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::certs::PERL;
use crate::peer::{CLIENT, SERVER};
use crate::support::{Scripted, capture_log, log, within};
use crate::trust::{logged, node};

/// What somebody on the way does to the greetings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Altered {
    OfConnector,
    OfListener,
    Both,
}

/// Passes connections on to `target`, but takes `tls=1.0` out of greetings.
async fn strip(target: String, altered: Altered) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect(&target).await.unwrap();
            let ((near_read, near_write), (far_read, far_write)) =
                (near.into_split(), far.into_split());
            let there = altered != Altered::OfListener;
            let back = altered != Altered::OfConnector;
            tokio::spawn(pass(near_read, far_write, there));
            tokio::spawn(pass(far_read, near_write, back));
        }
    });
    address
}

async fn pass(
    from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    strips: bool,
) -> std::io::Result<()> {
    let mut from = BufReader::new(from);
    let mut greeting = String::new();
    from.read_line(&mut greeting).await?;
    if strips {
        assert!(greeting.contains(";tls=1.0"), "{greeting}");
        greeting = greeting.replace(";tls=1.0", "");
    }
    to.write_all(greeting.as_bytes()).await?;
    tokio::io::copy(&mut from, &mut to).await?;
    to.shutdown().await
}

/// Both have a certificate and the secret, and somebody makes one or both believe that the other
/// has no certificate: no link comes of it, and the log says so.
#[tokio::test]
async fn tls_can_t_be_stripped() {
    capture_log();
    for altered in [Altered::OfConnector, Altered::OfListener, Altered::Both] {
        let lines = log().len();
        let both = |id: &str| {
            node(id)
                .secret("geheim")
                .cert(PERL)
                .set("monitor_timeout", 3)
        };
        let a = both("a").start().await.unwrap();
        let address = strip(a.listeners()[0].clone(), altered).await;
        let b = both("b").seeds([address]).start().await.unwrap();
        let seen = || {
            let log = log();
            let said = |words: &str| log[lines..].iter().any(|line| line.contains(words));
            match altered {
                // The greetings that were sent are not those that were received.
                Altered::Both => said("authentication failed: the other side does not have our"),
                // One side begins TLS, the other takes that for its token, or is taken so.
                _ => {
                    said("TLS was agreed, but what came is no TLS")
                        || said("handshake line is longer")
                        || said("the authentication line is malformed")
                }
            }
        };
        within(&format!("{altered:?} is seen"), async {
            while !seen() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert!(
            a.up_nodes().is_empty() && b.up_nodes().is_empty(),
            "{altered:?}"
        );
        a.shutdown().await;
        b.shutdown().await;
    }
}

async fn greeted(node: &Node, nonce: &str) -> Scripted {
    let mut peer = Scripted::connect(node).await;
    let greeting =
        format!("aemp;1;peer;tls_sha3_512,hmac_sha3_512;json;mproto=1;tls=1.0\n{nonce}\n");
    peer.send(greeting).await;
    let lines = |octets: &[u8]| octets.iter().filter(|o| **o == b'\n').count() >= 2;
    let greeting = peer.read_until("the greeting", lines).await;
    assert!(String::from_utf8_lossy(&greeting).contains(";tls=1.0"));
    peer
}

#[tokio::test]
async fn garbage_in_place_of_tls() {
    capture_log();
    for nonce in [CLIENT, SERVER] {
        let node = node("garbage")
            .secret("geheim")
            .cert(PERL)
            .start()
            .await
            .unwrap();
        let mut peer = greeted(&node, nonce).await;
        peer.send("hmac_sha3_512;00;json\n").await;
        peer.closed().await;
        logged(&["WARN 127.0.0.1:", "TLS was agreed, but what came is no TLS"]).await;
        node.shutdown().await;
    }
}

/// Whoever closes behind the greetings has seen no certificate of ours, so that is not what it
/// refuses.
#[tokio::test]
async fn a_cut_before_and_in_the_middle_of_the_handshake() {
    capture_log();
    let node = node("cut").cert(PERL).start().await.unwrap();
    let begun = "TLS: the connection was closed in the middle of the handshake";
    let not_begun = "TLS: the peer closed the connection behind the greetings, before TLS began";
    let first = &b"\x16\x03\x01\x02\x00\x01\x00"[..];
    for (nonce, first, words) in [
        (CLIENT, first, begun),
        (CLIENT, b"", not_begun),
        // The node has said its part, which nobody reads: the connection is reset.
        (SERVER, b"", not_begun),
    ] {
        let mut peer = greeted(&node, nonce).await;
        peer.send(first).await;
        let before = log().len();
        drop(peer);
        within("the line", async {
            while !log()[before..].iter().any(|line| line.contains(words)) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    node.shutdown().await;
}

#[tokio::test]
async fn a_handshake_without_end() {
    capture_log();
    let node = node("endless").cert(PERL).start().await.unwrap();
    let mut peer = greeted(&node, CLIENT).await;
    // The first fragment of a message of 16 MB, and then many more.
    let mut fragment = vec![0x16, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff];
    fragment.resize(5 + 0x4000, 0);
    for _ in 0..8 {
        if peer.stream.write_all(&fragment).await.is_err() {
            break;
        }
    }
    peer.closed().await;
    logged(&["WARN", "TLS"]).await;
    node.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_stalls() {
    capture_log();
    let network = Network::new(9);
    let a = Node::builder().no_rc().nodeid("stalls").cert(PERL);
    let a = a
        .binds(["a:4040"])
        .network(&network.host("a"))
        .start()
        .await
        .unwrap();
    let mut pipe = network.host("b").dial("a:4040").await.unwrap();
    let begun = tokio::time::Instant::now();
    let greeting = format!("aemp;1;peer;tls_sha3_512;json;mproto=1;tls=1.0\n{CLIENT}\n");
    pipe.write_all(greeting.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    pipe.read_to_end(&mut all).await.unwrap();
    assert_eq!(
        all.iter().filter(|octet| **octet == b'\n').count(),
        2,
        "nothing but the greeting"
    );
    let waited = begun.elapsed();
    assert!(
        waited > Duration::from_secs(29) && waited < Duration::from_secs(31),
        "{waited:?}"
    );
    logged(&["WARN", "handshake timed out after 30"]).await;
    a.shutdown().await;
}
