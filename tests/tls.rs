//! Links through TLS: who is let in and who is not, over sockets and in memory.
#![cfg(feature = "tls")]

use std::time::Duration;

use aemp::net::memory::Network;
use aemp::{Builder, Node};

/// A key and a certificate as Perl's `gencert` makes them.
const PERL: &str = include_str!("../fixtures/tls/perl.pem");

const LIMIT: Duration = Duration::from_secs(20);

fn node(id: &str) -> Builder {
    Node::builder().no_rc().nodeid(id)
}

#[tokio::test]
async fn two_nodes_with_a_certificate_need_no_secret() {
    let a = node("a")
        .cert(PERL)
        .binds(["127.0.0.1:0"])
        .start()
        .await
        .unwrap();
    let b = node("b")
        .cert(PERL)
        .binds(["127.0.0.1:0"])
        .seeds(a.listeners())
        .start()
        .await
        .unwrap();
    b.round_trip(a.id(), LIMIT).await.unwrap();
    let stats = b.stats();
    let tls = stats.links[0].tls.clone().unwrap();
    assert_eq!(
        (&*tls.version, tls.cipher.starts_with("TLS13_")),
        ("TLSv1_3", true)
    );
    let peer = tls.peer.unwrap();
    assert_eq!(peer.subject, "CN=AnyEvent::MP");
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_link_in_memory_goes_through_tls_as_well() {
    let network = Network::new(3);
    let host = |id: &str| node(id).cert(PERL).network(&network.host(id));
    let a = host("a").binds(["a:4040"]).start().await.unwrap();
    let b = host("b")
        .binds(["b:4040"])
        .seeds(["a:4040"])
        .start()
        .await
        .unwrap();
    b.round_trip(a.id(), LIMIT).await.unwrap();
    assert!(b.stats().links[0].tls.is_some());
    a.shutdown().await;
    b.shutdown().await;
}
