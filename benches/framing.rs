//! Messages from octets and to octets.
//!
//! - `scan`: `JsonScanner::next`, which checks every octet and finds the end, on one message at a
//!   time and on a block of 64 KiB full of the usual one. Nothing is read into types.
//! - `read`: the messages of a block of 64 KiB, each read into types that borrow from it. `scanner`
//!   is the scanner and then `Message::args`, `serde_json` the parser alone, without looking for a
//!   port: what the other is to be compared with. What a link does when it can, in one pass, is not
//!   public; `scripts/bench` measures it with all the rest of the way.
//! - `encode`: `encode_to` against `serde_json::to_writer` with the same elements.
//! - `cbor`: the same in CBOR: `scanner` to read, `encode` to write.

#![allow(missing_docs)]

mod support;

use std::hint::black_box;

use aemp::Message;
use aemp::proto::framing::json::JsonScanner;
use aemp::proto::message::{Incoming, encode_in, encode_to};
use aemp::proto::{Framing, Limits};
use bytes::BytesMut;
use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main,
};
use support::{Args, EXTRA, Extra, HELLO, PORT, block, message, message_in, texts};

fn scan(c: &mut Criterion) {
    let mut group = c.benchmark_group("scan");
    let usual = message(HELLO);
    let expected = br#"["Hk1iaV1cSu.ab","m",12345,"hello world",{"k":[1,2,3]}]"#;
    assert_eq!(usual, expected);
    let mut inputs: Vec<_> = texts()
        .iter()
        .map(|(size, text)| (*size, message(text)))
        .collect();
    inputs.push(("1KiB_umlauts", message(&"ä\tö\u{fc}. ".repeat(103))));
    inputs.push(("block_of_usual", block(&usual)));
    for (name, octets) in inputs {
        group.throughput(Throughput::Bytes(octets.len() as u64));
        group.bench_function(name, |b| {
            let mut scanner = JsonScanner::new(Limits::default());
            b.iter(|| {
                let mut rest = black_box(&octets[..]);
                while !rest.is_empty() {
                    let frame = scanner.next(rest).expect("sound");
                    rest = &rest[frame.expect("whole").end..];
                }
            });
        });
    }
}

/// Reads all messages of a block, and gives something that depends on all of them.
type Reading = fn(&mut BytesMut) -> u64;

fn read_scanner(block: &mut BytesMut) -> u64 {
    let mut scanner = JsonScanner::new(Limits::default());
    let mut sum = 0;
    while let Some(frame) = scanner.next(block).expect("sound") {
        let octets = block.split_to(frame.end);
        let dest = frame.dest.expect("a destination");
        black_box(dest.text(&octets));
        let message = Message::from_frame(octets, dest.end + 1);
        black_box(message.tag());
        sum += consume(message.without_tag().args().expect("readable"));
    }
    sum
}

fn read_serde_json(block: &mut BytesMut) -> u64 {
    type Whole<'a> = (&'a str, &'a str, u64, &'a str, Extra);
    let messages = serde_json::Deserializer::from_slice(block).into_iter::<Whole>();
    messages
        .map(|message| {
            let (name, tag, n, text, extra) = message.expect("readable");
            black_box((name, tag));
            consume((n, text, extra))
        })
        .sum()
}

fn read_scanner_cbor(block: &mut BytesMut) -> u64 {
    let mut incoming = Incoming::new(Framing::Cbor, Limits::default());
    let mut sum = 0;
    while let Some(arrived) = incoming.next(block).expect("sound") {
        black_box((arrived.name, arrived.message.tag()));
        sum += consume(arrived.message.without_tag().args().expect("readable"));
    }
    sum
}

fn cbor(c: &mut Criterion) {
    let mut group = c.benchmark_group("cbor");
    let ways: [(&str, Reading); 1] = [("scanner", read_scanner_cbor)];
    for (size, text) in texts() {
        let message = message_in(Framing::Cbor, &text);
        read_ways(&mut group, size, &text, &message, &ways);
        let mut out = message;
        group.throughput(Throughput::Bytes(out.len() as u64));
        group.bench_function(format!("{size}/encode"), |b| {
            b.iter(|| {
                out.clear();
                let (name, n, text) = black_box((PORT, 12_345_u64, text.as_str()));
                encode_in(&mut out, Framing::Cbor, name, &("m", n, text, EXTRA))
                    .expect("it serialises");
                black_box(out.as_slice());
            });
        });
    }
}

fn consume((n, text, extra): Args) -> u64 {
    n + text.len() as u64 + u64::from(extra.k[2])
}

/// Measures each way to read a block of the message.
fn read_ways(
    group: &mut BenchmarkGroup<'_, WallTime>,
    size: &str,
    text: &str,
    message: &[u8],
    ways: &[(&str, Reading)],
) {
    let block = block(message);
    let count = (block.len() / message.len()) as u64;
    let sum = count * consume((12_345, text, EXTRA));
    group.throughput(Throughput::ElementsAndBytes {
        elements: count,
        bytes: block.len() as u64,
    });
    for (name, reading) in ways {
        assert_eq!(reading(&mut BytesMut::from(&block[..])), sum, "{name}");
        group.bench_function(format!("{size}/{name}"), |b| {
            let copy = || BytesMut::from(&block[..]);
            b.iter_batched_ref(copy, *reading, BatchSize::PerIteration);
        });
    }
}

fn read(c: &mut Criterion) {
    let mut group = c.benchmark_group("read");
    let ways: [(&str, Reading); 2] = [("scanner", read_scanner), ("serde_json", read_serde_json)];
    for (size, text) in texts() {
        read_ways(&mut group, size, &text, &message(&text), &ways);
    }
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    for (size, text) in texts() {
        let mut out = message(&text);
        group.throughput(Throughput::Bytes(out.len() as u64));
        group.bench_function(format!("{size}/encode_to"), |b| {
            b.iter(|| {
                out.clear();
                let (name, n, text) = black_box((PORT, 12_345_u64, text.as_str()));
                encode_to(&mut out, name, &("m", n, text, EXTRA)).expect("it serialises");
                black_box(out.as_slice());
            });
        });
        group.bench_function(format!("{size}/serde_json"), |b| {
            b.iter(|| {
                out.clear();
                let (name, n, text) = black_box((PORT, 12_345_u64, text.as_str()));
                let all = (name, "m", n, text, EXTRA);
                serde_json::to_writer(&mut out, &all).expect("it serialises");
                black_box(out.as_slice());
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = support::criterion();
    targets = scan, read, encode, cbor
}
criterion_main!(benches);
