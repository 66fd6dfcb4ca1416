//! MD6, and what AEMP does with it.
//!
//! - `md6`: the digest of this crate against the `md6` crate, which is the reference implementation
//!   in C. 64 octets are one compression, 600 octets two and a third that joins them, 64 KiB a
//!   tree.
//! - `token`: `AuthMethod::HmacMd6.token`, which is four compressions. Each side of a handshake
//!   makes a token and checks one.

#![allow(missing_docs)]

mod support;

use std::hint::black_box;

use aemp::Secret;
use aemp::proto::AuthMethod;
use aemp::proto::md6;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// The digest by the `md6` crate.
fn reference(message: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    ::md6::hash(256, message, &mut digest).expect("256 bits are possible");
    digest
}

fn hash(c: &mut Criterion) {
    let mut group = c.benchmark_group("md6");
    for (size, len) in [("64", 64), ("600", 600), ("64KiB", 64 * 1024)] {
        let message: Vec<u8> = (0_u8..=255).cycle().take(len).collect();
        assert_eq!(md6::digest(&message), reference(&message));
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(format!("{size}/aemp"), |b| {
            b.iter(|| md6::digest(black_box(&message)));
        });
        group.bench_function(format!("{size}/md6_crate"), |b| {
            b.iter(|| reference(black_box(&message)));
        });
    }
}

fn token(c: &mut Criterion) {
    let lines = |node: &str| {
        let nonce = "n".repeat(88);
        let greeting = "hmac_md6_64_256,cleartext;json;provider=aemp-rs-0.1.0";
        format!("aemp;1;{node};{greeting};peeraddr=127.0.0.1:4040;versions=1,0\n{nonce}\n")
    };
    let (own, peer) = (lines("ruth"), lines("doomed"));
    let secret = Secret::from("geheim");
    c.bench_function("token/hmac_md6", |b| {
        b.iter(|| AuthMethod::HmacMd6.token(black_box(&secret), &own, &peer));
    });
}

criterion_group! {
    name = benches;
    config = support::criterion();
    targets = hash, token
}
criterion_main!(benches);
