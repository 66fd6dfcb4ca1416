//! What one message can cost: what is allocated at the peak, while a peer sends long messages of
//! all shapes to the node port and to the port of its gossip.
//!
//! A test program of its own, as it counts what the whole process allocates. All sizes go with
//! `max_request`, which is 4 MiB here, or as many as `AEMP_REQUEST_MIB` says.

mod support;

use std::time::Instant;

use aemp::Node;
use aemp::proto::Framing;
use aemp::proto::generation::Generations;
use peak_alloc::PeakAlloc;
use support::{Scripted, builder, up};

const MIB: usize = 1 << 20;

/// The bound of what is read of a message about the mesh or the database.
fn max_request() -> usize {
    let mib = std::env::var("AEMP_REQUEST_MIB").ok();
    mib.map_or(4, |mib| mib.parse().unwrap()) * MIB
}

/// How long a long message is: beyond that bound.
fn long() -> usize {
    max_request() / 4 * 5
}

/// What a message of so many octets may take: itself, growing in a buffer that is doubled, and
/// once more, as it is while it is sent on. What is made of one that is within the bound may take
/// more.
fn most(octets: usize) -> usize {
    match octets <= max_request() {
        true => 7 * max_request(),
        false => 5 * octets + max_request() / 2,
    }
}

/// A message: something before, pieces, and something behind.
struct Shape {
    name: &'static str,
    before: Vec<u8>,
    piece: fn(usize) -> Vec<u8>,
    /// The octets of all of it.
    octets: usize,
    behind: &'static [u8],
}

fn shape(
    name: &'static str,
    before: &str,
    piece: fn(usize) -> Vec<u8>,
    behind: &'static str,
) -> Shape {
    Shape {
        name,
        before: before.as_bytes().to_vec(),
        piece,
        octets: long(),
        behind: behind.as_bytes(),
    }
}

impl Shape {
    fn of(self, octets: usize) -> Self {
        Shape { octets, ..self }
    }

    /// Sends it, in parts: it is never in memory as a whole on this side.
    async fn send(&self, peer: &mut Scripted) {
        peer.send(&self.before).await;
        let (mut sent, mut n) = (self.before.len(), 0);
        while sent < self.octets {
            let mut block = Vec::with_capacity(MIB);
            while block.len() < MIB && sent + block.len() < self.octets {
                block.extend_from_slice(&(self.piece)(n));
                n += 1;
            }
            sent += block.len();
            peer.send(&block).await;
        }
        peer.send(self.behind).await;
    }
}

/// Counts what is allocated: what the system gives for it comes in large steps, and what is left of
/// one message hides what the next one takes.
#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// What is allocated at the peak beyond what is now, while that is done. A buffer that grows is
/// there twice for a moment.
async fn peak(work: impl Future<Output = ()>) -> usize {
    ALLOCATED.reset_peak_usage();
    let before = ALLOCATED.current_usage();
    work.await;
    ALLOCATED.peak_usage() - before
}

/// Has the node answer, behind everything that it was sent.
async fn answered(peer: &mut Scripted, request: &[u8], answer: &[u8]) {
    peer.send(request).await;
    let found = |octets: &[u8]| octets.windows(answer.len()).any(|part| part == answer);
    peer.read_until("the answer", found).await;
}

async fn costs_little(framing: &'static str, id: &str, params: &str, shapes: Vec<Shape>) {
    let node = builder("costs")
        .generation(Generations::Auto)
        .framings(Framing::ALL)
        .set("max_request", max_request().to_string());
    let node: Node = node.binds(["127.0.0.1:0"]).start().await.unwrap();
    let victim = node.port();
    let mut peer = Scripted::connect(&node).await;
    peer.framing = framing;
    peer.handshake(id, 1, params).await;
    up(&node, id).await;
    let name = victim.id().name().to_owned();
    let (request, answer): (Vec<u8>, Vec<u8>) = match framing {
        "json" => {
            let spawn = r#"["","AnyEvent::MP::_spawn","gossip","AnyEvent::MP::Global::connect",0,"#;
            peer.send(format!("{spawn}\"{id}\"]")).await;
            let request = format!(r#"["","time","{id}#answer","t"]"#);
            (request.into(), b"[\"answer\",\"t\",".to_vec())
        }
        _ => {
            let mut request = b"\x84\x40\x44time".to_vec();
            request.push(0x40 + u8::try_from(id.len() + 7).unwrap());
            request.extend_from_slice(format!("{id}#answer").as_bytes());
            request.extend_from_slice(b"\x41t");
            (request, b"\x46answer\x41t".to_vec())
        }
    };
    answered(&mut peer, &request, &answer).await;
    for shape in shapes {
        let started = Instant::now();
        let mut shape = shape;
        let before = String::from_utf8_lossy(&shape.before).replace("VICTIM", &name);
        if framing == "json" {
            shape.before = before.into_bytes();
        }
        let taken = peak(async {
            shape.send(&mut peer).await;
            answered(&mut peer, &request, &answer).await;
        })
        .await;
        let (name, time) = (shape.name, started.elapsed());
        println!(
            "{framing} {name}: {} KiB at the peak, {time:.1?}",
            taken >> 10
        );
        assert!(taken < most(shape.octets), "{framing} {name}: {taken}");
    }
    node.shutdown().await;
}

fn trees(_: usize) -> Vec<u8> {
    b"{\"\":0},".to_vec()
}
fn zeros(_: usize) -> Vec<u8> {
    b"0,".to_vec()
}
fn floats(_: usize) -> Vec<u8> {
    b"1e9,".to_vec()
}
fn text(_: usize) -> Vec<u8> {
    vec![b'x'; 1000]
}
fn keys(n: usize) -> Vec<u8> {
    format!("\"{n:x}\":0,").into_bytes()
}
fn lists(n: usize) -> Vec<u8> {
    format!("\"{n:x}\":[],").into_bytes()
}
fn hashes(n: usize) -> Vec<u8> {
    format!("\"{n:x}\":{{\"k\":0}},").into_bytes()
}
fn addresses(n: usize) -> Vec<u8> {
    format!("\"h:{n}\",").into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_takes_much_memory() {
    let generation_1 = vec![
        shape("a message for nobody", r#"["nobody","#, zeros, "0]"),
        shape("a death of trees", r#"["","kil0","x","#, trees, "0]"),
        shape("a kill of trees", r#"["","kil","VICTIM","#, trees, "0]"),
        shape("an unknown function", r#"["","no::such","#, zeros, "0]"),
        shape("a function's name", r#"["",""#, text, "\"]"),
        shape(
            "a spawn",
            r#"["","AnyEvent::MP::_spawn","p","no::such","#,
            trees,
            "0]",
        ),
        shape("to be sent on", r#"["","snd","nobody","#, trees, "0]"),
        shape(
            "to be sent on to ourselves",
            r#"["","#,
            |_| b"\"snd\",\"\",".to_vec(),
            "0]",
        ),
        shape(
            "replies to ourselves",
            r#"["","#,
            |_| b"\"time\",\"\",".to_vec(),
            "0]",
        ),
        shape(
            "many to be sent on",
            r#"["","snd_multiple","#,
            |_| b"[\"x\"],".to_vec(),
            "[\"x\"]]",
        )
        .of(long() / 4),
        shape(
            "many to be sent on to ourselves",
            r#"["","snd_multiple","#,
            |_| b"[\"\",\"snd\",\"\",\"devnull\"],".to_vec(),
            "[\"x\"]]",
        )
        .of(long() / 4),
        shape("addresses", r#"["gossip","addr",["#, addresses, "\"h:1\"]]"),
        shape("nodes", r#"["gossip","nodes",{"#, lists, "\"h\":[]}]"),
        shape(
            "nodes within the bound",
            r#"["gossip","nodes",{"#,
            lists,
            "\"h\":[]}]",
        )
        .of(max_request() / 8),
        shape("groups", r#"["gossip","set",{"#, lists, "\"h\":[]}]"),
        shape(
            "groups within the bound",
            r#"["gossip","set",{"#,
            lists,
            "\"h\":[]}]",
        )
        .of(max_request() / 8),
        shape("trees as gossip", r#"["gossip","set",["#, trees, "0]]"),
    ];
    costs_little("json", "one", "provider=AE-1.30", generation_1).await;

    let generation_2 = || {
        vec![
            shape("one that makes it global", r#"["","g_slave",{}"#, text, "]").of(0),
            shape("a slave", r#"["","g_slave",{"#, hashes, "\"\":{}}]"),
            shape(
                "a value of trees",
                r#"["","g_upd","f",{"k":["#,
                trees,
                "0]}]",
            ),
            shape(
                "trees within the bound",
                r#"["","g_upd","f",{"k":["#,
                trees,
                "0]}]",
            )
            .of(max_request() - 99),
            shape(
                "floats within the bound",
                r#"["","g_upd","f",{"k":["#,
                floats,
                "0]}]",
            )
            .of(max_request() - 99),
            shape("keys", r#"["","g_upd","f",{"#, keys, "\"\":0}]"),
            shape(
                "keys within the bound",
                r#"["","g_upd","f",{"#,
                keys,
                "\"\":0}]",
            )
            .of(max_request() / 16),
            shape(
                "the same keys again",
                r#"["","g_upd","f",{"#,
                keys,
                "\"\":0}]",
            )
            .of(max_request() / 16),
            shape("families", r#"["","g_set",{"#, hashes, "\"\":{}}]"),
            shape(
                "families within the bound",
                r#"["","g_set",{"#,
                hashes,
                "\"\":{}}]",
            )
            .of(max_request() / 16),
            shape("trees as families", r#"["","g_set",["#, trees, "0]]"),
            shape("deleted keys", r#"["","g_upd","f",null,["#, zeros, "0]]"),
            shape("an answer", r#"["","g_reply","b",["#, trees, "0]]"),
            shape(
                "what nobody monitors",
                r#"["","g_chg1","f",{"#,
                keys,
                "\"\":0}]",
            ),
            shape("a change of it", r#"["","g_chg2","f",{"#, keys, "\"\":0}]"),
            shape("a family's name", r#"["","g_mon1",""#, text, "\"]"),
            shape("a node's name", r#"["","g_find",""#, text, "\"]"),
            shape(
                "addresses",
                r#"["","g_found","n",["#,
                addresses,
                "\"h:1\"]]",
            ),
        ]
    };
    let params = "provider=AE-2.02;mproto=1;gproto=1";
    costs_little("json", "two", params, generation_2()).await;

    let cbor = |name, before: &[u8], piece, octets, behind| Shape {
        name,
        before: before.to_vec(),
        piece,
        octets,
        behind,
    };
    let tree: fn(usize) -> Vec<u8> = |_| b"\xa1\x40\x00".to_vec();
    let zero: fn(usize) -> Vec<u8> = |_| b"\x00".to_vec();
    let update = b"\x84\x40\x45g_upd\x41f\xa1\x41k\x9f";
    let octets = long();
    let shapes = vec![
        cbor(
            "a message for nobody",
            b"\x9f\x46nobody",
            zero,
            octets,
            b"\xff",
        ),
        cbor(
            "one that makes it global",
            b"\x82\x40\x47g_slave",
            |_| vec![],
            0,
            b"",
        ),
        cbor("a value of trees", update, tree, octets, b"\xff"),
        cbor(
            "trees within the bound",
            update,
            tree,
            max_request() - 99,
            b"\xff",
        ),
        cbor(
            "half floats",
            update,
            |_| b"\xf9\x04\x01".to_vec(),
            max_request() - 99,
            b"\xff",
        ),
        cbor(
            "a death of trees",
            b"\x9f\x40\x44kil0\x41x",
            tree,
            octets,
            b"\xff",
        ),
        cbor(
            "an answer",
            b"\x84\x40\x47g_reply\x41b\x9f",
            tree,
            octets,
            b"\xff",
        ),
    ];
    costs_little("cbor", "three", params, shapes).await;
}
