//! Answers and events, one JSON object a line.

use std::io::Write as _;

use aemp::{Message, PortId, Reason};
use serde::Serialize;
use serde_json::json;

/// Writes a line; a harness that is gone ends us.
fn line(object: &impl Serialize) {
    let Ok(mut text) = serde_json::to_vec(object) else {
        return;
    };
    text.push(b'\n');
    let mut out = std::io::stdout().lock();
    if out.write_all(&text).and_then(|()| out.flush()).is_err() {
        std::process::exit(4);
    }
}

/// The answer to a command.
pub fn answer(id: u64, result: Result<serde_json::Value, String>) {
    match result {
        Ok(ok) => line(&json!({ "id": id, "ok": ok })),
        Err(error) => line(&json!({ "id": id, "err": error })),
    }
}

/// What we are.
pub fn hello() {
    line(&json!({
        "ev": "hello",
        "driver": "rust",
        "release": env!("CARGO_PKG_VERSION"),
        "generation": "",
        "pid": std::process::id(),
        "features": ["cal", "cal_any", "peval", "grp_mon", "stream", "snd_multiple", "db", "logs", "data_conn"],
    }));
}

/// What became of a data connection.
pub fn data(event: serde_json::Value) {
    line(&event);
}

/// A log line of another node.
pub fn log(caught: &aemp::LogLine) {
    line(&json!({
        "ev": "log",
        "node": caught.node,
        "level": caught.level,
        "text": caught.text,
        "timed": caught.time.is_some(),
    }));
}

/// The driver itself is in trouble.
pub fn fault(text: impl std::fmt::Display) {
    line(&json!({ "ev": "fault", "text": text.to_string() }));
}

/// A message as it came, octet by octet.
pub fn message(port: &PortId, tag: Option<&str>, message: &Message) {
    #[derive(Serialize)]
    struct Event<'a> {
        ev: &'static str,
        port: &'a PortId,
        #[serde(skip_serializing_if = "Option::is_none")]
        tag: Option<&'a str>,
        msg: &'a Message,
    }
    line(&Event {
        ev: "msg",
        port,
        tag,
        msg: message,
    });
}

/// How long a message is.
pub fn size(port: &PortId, tag: Option<&str>, message: &Message) {
    let mut event = json!({ "ev": "size", "port": port, "octets": message.to_json().len() });
    if let Some(tag) = tag {
        event["tag"] = tag.into();
    }
    line(&event);
}

/// A monitor fired.
pub fn monitor(serial: u64, reason: &Reason) {
    line(&json!({ "ev": "mon", "mon": serial, "reason": reason }));
}

/// The monitor of a stream fired.
pub fn epoch(stream: u64, ended: u64, reason: &Reason) {
    line(&json!({ "ev": "epoch", "stream": stream, "ended": ended, "reason": reason }));
}

/// A node came or went.
pub fn node(event: &aemp::NodeEvent) {
    let reason = match event {
        aemp::NodeEvent::Down { reason, .. } => reason.clone(),
        _ => Reason::normal(),
    };
    line(&json!({ "ev": "node", "node": event.node(), "up": event.is_up(), "reason": reason }));
}

/// A group changed.
pub fn group(watch: u64, group: &str, change: &aemp::GroupChange) {
    line(&json!({
        "ev": "group", "watch": watch, "group": group,
        "ports": change.members, "add": change.added, "del": change.removed,
    }));
}

/// A family of the database changed, and is `now` this.
pub fn database(
    watch: u64,
    family: &str,
    now: &std::collections::BTreeMap<String, serde_json::Value>,
    change: &aemp::DbChange,
) {
    let keys = |values: &std::collections::BTreeMap<String, serde_json::Value>| -> Vec<String> {
        values.keys().cloned().collect()
    };
    line(&json!({
        "ev": "db", "watch": watch, "family": family, "values": now,
        "add": keys(&change.added), "change": keys(&change.changed), "del": keys(&change.deleted),
    }));
}

/// A counter has seen all that it expected.
pub fn counted(port: &PortId, count: u64, holes: u64) {
    line(&json!({ "ev": "counted", "port": port, "count": count, "holes": holes }));
}

/// A function was spawned here.
pub fn spawned(port: &PortId, function: &str, args: &Message) {
    #[derive(Serialize)]
    struct Event<'a> {
        ev: &'static str,
        port: &'a PortId,
        func: &'a str,
        args: &'a Message,
    }
    line(&Event {
        ev: "spawned",
        port,
        func: function,
        args,
    });
}
