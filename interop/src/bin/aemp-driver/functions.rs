//! The functions that others may spawn here.

use aemp::{Context, Message, Node, PortId, SendError};
use serde_json::{Value, json};

use crate::{output, ports};

/// The values of `peer.pl`, as this language has them.
pub fn values() -> Vec<Value> {
    vec![
        json!(0),
        json!(-1),
        json!(2_147_483_648_u64),
        json!(9_007_199_254_740_993_u64),
        json!(1.5),
        json!(0.1),
        json!(1e20),
        json!(-0.0),
        json!("10"),
        json!(""),
        json!("caf\u{e9}"),
        json!("\u{263a}"),
        json!("tab\tnl\nquote\"back\\"),
        json!("\u{0}\u{1f}\u{7f}"),
        Value::Null,
        json!([]),
        json!({}),
        json!([[1], { "a": [null] }]),
        json!({ "k": "v" }),
    ]
}

/// A message of a word, a port and whatever follows.
pub fn with_port(word: &str, port: &PortId, rest: &[Value]) -> Vec<Value> {
    let mut all = vec![json!(word), json!(port)];
    all.extend_from_slice(rest);
    all
}

/// Registers all of them.
pub fn register(node: &Node) {
    crate::data::register(node);
    node.function_message("aemp_test::init", |cx, message| {
        spawned(cx, "aemp_test::init", &message);
        let (reply, args) = first(&message)?;
        for tag in ports::TAGS {
            ports::act(&cx.this(), tag, Some(tag))?;
        }
        sent(cx.snd(&reply, &with_port("ready", cx.id(), &args)))
    });
    node.function_message("aemp_test::boom", |cx, message| {
        spawned(cx, "aemp_test::boom", &message);
        let (text,): (String,) = message.args().map_err(|error| error.to_string())?;
        cx.this().rcv_any(|_, _| {});
        Err::<(), String>(text)
    });
    node.function_message("aemp_test::tied", |cx, message| {
        spawned(cx, "aemp_test::tied", &message);
        let (other, reply): (PortId, PortId) = message.args().map_err(|error| error.to_string())?;
        cx.this().rcv_any(|_, _| {});
        cx.link(&other);
        sent(cx.snd(&reply, &("tied", cx.id())))
    });
    node.function_message("aemp_test::watch", |cx, message| {
        spawned(cx, "aemp_test::watch", &message);
        let (other, reply): (PortId, PortId) = message.args().map_err(|error| error.to_string())?;
        cx.this().rcv_any(|_, _| {});
        sent(cx.mon_snd(&other, &reply, &("fired",)).map(drop))?;
        sent(cx.snd(&reply, &("watching", cx.id())))
    });
    node.function_message("aemp_test::values", |cx, message| {
        spawned(cx, "aemp_test::values", &message);
        let (reply,): (PortId,) = message.args().map_err(|error| error.to_string())?;
        cx.this().rcv_any(|_, _| {});
        let mut all = vec![json!("values")];
        all.extend(values());
        sent(cx.snd(&reply, &all))
    });
    node.function_message("::test_main", |cx, message| {
        let (reply, args) = first(&message)?;
        cx.this().rcv_any(|_, _| {});
        sent(cx.snd(&reply, &with_port("main", cx.id(), &args)))
    });
    node.function_message("aemp_test::who", |cx, message| {
        let (reply, _) = first(&message)?;
        sent(cx.snd(&reply, &("who", cx.source())))
    });
    node.function_message("aemp_test::call", |cx, message| {
        let (reply, args) = first(&message)?;
        let mut all = vec![json!("called")];
        all.extend(args);
        sent(cx.snd(&reply, &all))
    });
}

fn spawned(cx: &Context, function: &str, message: &Message) {
    output::spawned(cx.id(), function, message);
}

fn first(message: &Message) -> Result<(PortId, Vec<Value>), String> {
    let (reply,): (PortId,) = message.args().map_err(|error| error.to_string())?;
    Ok((reply, message.without_tag().values()))
}

fn sent(result: Result<(), SendError>) -> Result<(), String> {
    result.map_err(|error| error.to_string())
}
