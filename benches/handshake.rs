//! A whole handshake in memory: both sides, from the connector's greeting to the end on both of
//! them.
//!
//! `hmac_md6` is what nodes do; `cleartext` proves nothing by MD6, so it shows what all the rest
//! costs. (The nonces are given, so that there is no randomness in it.)

#![allow(missing_docs)]

mod support;

use std::hint::black_box;
use std::mem::take;
use std::sync::Arc;

use aemp::proto::handshake::{Established, Handshake, Local, NONCE_LEN};
use aemp::proto::{AuthMethod, HandshakeError, NodeId};
use criterion::{Criterion, criterion_group, criterion_main};

fn local(node: &str, method: AuthMethod) -> Arc<Local> {
    let mut local = Local::new(NodeId::new(node), Some("geheim".into()));
    local.auth_offer = vec![method];
    local.auth_accept = vec![method];
    Arc::new(local)
}

/// What each side knows of the other in the end.
fn shake(a: &Arc<Local>, b: &Arc<Local>) -> Result<[Established; 2], HandshakeError> {
    let (mut from_a, mut from_b) = (Vec::new(), Vec::new());
    let mut a = Handshake::connect(a.clone(), &[1; NONCE_LEN], "127.0.0.1:4040");
    let mut b = Handshake::accept(b.clone(), &[2; NONCE_LEN], "127.0.0.1:50000");
    a.greet(&mut from_a);
    while !a.is_verified() {
        b.recv(&take(&mut from_a), &mut from_b)?;
        b.complete(&mut from_b);
        a.recv(&take(&mut from_b), &mut from_a)?;
    }
    a.complete(&mut from_a);
    let both = [a.established(), b.established()];
    Ok(both.map(|side| side.expect("completed")))
}

fn handshake(c: &mut Criterion) {
    let mut group = c.benchmark_group("handshake");
    let methods = [
        ("hmac_md6", AuthMethod::HmacMd6),
        ("cleartext", AuthMethod::Cleartext),
    ];
    for (name, method) in methods {
        let (a, b) = (local("a", method), local("b", method));
        let nodes = shake(&a, &b)
            .expect("it succeeds")
            .map(|side| side.peer.greeting.node);
        assert_eq!(nodes, ["b", "a"].map(NodeId::new));
        group.bench_function(name, |bench| {
            bench.iter(|| shake(black_box(&a), black_box(&b)));
        });
    }
}

criterion_group! {
    name = benches;
    config = support::criterion();
    targets = handshake
}
criterion_main!(benches);
