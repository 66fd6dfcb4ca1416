//! Where a node listens, and by which addresses others find it.

mod support;

use aemp::{Node, Reason};
use support::{builder, capture_log, log, sync, up, within};

/// Messages and monitors over a Unix socket, as over TCP; and its path is told to others like any
/// address.
#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| format!("unix/:{}", folder.path().join(name).display());
    let start = |id: &str, seeds: Vec<String>| builder(id).binds([path(id)]).seeds(seeds).start();
    let alice = start("alice", Vec::new()).await.unwrap();
    assert_eq!(alice.listeners(), [path("alice")]);
    let bob = start("bob", alice.listeners()).await.unwrap();
    let carol = start("carol", alice.listeners()).await.unwrap();
    for (node, other) in [(&bob, "alice"), (&carol, "alice"), (&carol, "bob")] {
        up(node, other).await;
        sync(node, other).await;
    }
    let port = alice.port();
    let (died, reason) = tokio::sync::oneshot::channel();
    bob.mon(&port, move |reason| drop(died.send(reason)));
    sync(&bob, "alice").await;
    port.kil(Reason::die("oops"));
    assert_eq!(
        within("the death", reason).await.unwrap(),
        Reason::die("oops")
    );
    for node in [carol, bob, alice] {
        node.shutdown().await;
    }
    assert!(
        !folder.path().join("alice").exists(),
        "the socket is removed"
    );
}

async fn start(id: &str, binds: &[&str]) -> Result<Node, aemp::StartError> {
    builder(id).binds(binds.iter().copied()).start().await
}

/// What can't be looked up is said by the name of the setting, and the node starts without it.
#[tokio::test]
async fn a_name_that_can_t_be_looked_up() {
    capture_log();
    let node = start("nowhere", &["nowhere.invalid:4040", "127.0.0.1:0"])
        .await
        .unwrap();
    assert_eq!(node.listeners().len(), 1);
    let said = |text: &str| log().iter().any(|line| line.contains(text));
    assert!(
        said("binds: address \"nowhere.invalid:4040\""),
        "{:#?}",
        log()
    );
    assert!(!said("nothing is left to listen on"));
    node.shutdown().await;

    let node = start("nowhere-at-all", &["nowhere.invalid"]).await.unwrap();
    assert!(node.listeners().is_empty() && said("binds: nothing is left to listen on"));
    node.shutdown().await;
}

/// What is no address at all, or can't be had, is an error.
#[tokio::test]
async fn what_is_no_address() {
    let taken = start("taken", &["127.0.0.1:0"]).await.unwrap();
    let address = taken.listeners().swap_remove(0);
    for (binds, text) in [
        ("127.0.0.1:no.such-service", "no such service"),
        ("unix/:relative", "begins with `/`"),
        (&*address, "can't listen on"),
    ] {
        let error = start("wrong", &[binds]).await.unwrap_err().to_string();
        assert!(error.contains(text) && error.contains(binds), "{error}");
    }
    taken.shutdown().await;
}

/// By `localhost` a node is reached on all loopback addresses that there are.
#[tokio::test]
async fn localhost_is_both_families() {
    let node = start("local", &["localhost:0"]).await.unwrap();
    let listeners = node.listeners();
    assert!(listeners[0].starts_with("127.0.0.1:"), "{listeners:?}");
    let local = aemp::config::LocalHost::detect().unwrap();
    let has_v6 = local.addresses.contains(&"::1".parse().unwrap());
    assert_eq!(listeners.len(), if has_v6 { 2 } else { 1 }, "{listeners:?}");
    for (n, listener) in listeners.iter().enumerate() {
        let id = format!("local-{n}");
        let other = builder(&id).binds([""; 0]).seeds([listener.as_str()]);
        let other = other.start().await.unwrap();
        up(&other, "local").await;
        other.shutdown().await;
    }
    node.shutdown().await;
}
