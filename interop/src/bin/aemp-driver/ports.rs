//! The kinds of ports and what they do with messages.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use aemp::proto::message::RawElement;
use aemp::{Message, Node, Num, Port, PortId, Reason, Text};
use serde::ser::{Serialize, SerializeSeq as _, Serializer};
use serde_json::{Value, json};

use crate::output;

/// The tags of the kind `tags`.
pub const TAGS: [&str; 5] = ["echo", "echoed", "die", "kil", "record"];

/// What a counter has seen.
#[derive(Default)]
pub struct Counter {
    next: HashMap<String, u64>,
    /// The last epoch and number of each sender, for streams.
    last: HashMap<String, (u64, u64)>,
    count: u64,
    holes: u64,
    problems: Vec<Value>,
}

static COUNTERS: LazyLock<Mutex<HashMap<PortId, Arc<Mutex<Counter>>>>> =
    LazyLock::new(Mutex::default);

/// Creates a port. A counter takes `pause` for each message.
pub fn make(
    node: &Node,
    kind: &str,
    expect: Option<u64>,
    pause: Option<Duration>,
) -> Result<PortId, String> {
    let port = node.port();
    match kind {
        "none" => {}
        "tags" => {
            for tag in TAGS {
                act(&port, tag, Some(tag))?;
            }
        }
        "counter" => count(&port, expect, pause),
        "stream" => stream(&port),
        action => act(&port, action, None)?,
    }
    Ok(port.id().clone())
}

/// A port and the rest of a message: `[TO, X..]`.
fn forward(message: &Message) -> Result<(PortId, Vec<RawElement<'_>>), String> {
    let mut elements: Vec<RawElement<'_>> = message.elements().collect();
    if elements.is_empty() {
        return Err("there is no port to send to".to_owned());
    }
    let to = elements
        .remove(0)
        .read()
        .map_err(|error| error.to_string())?;
    Ok((to, elements))
}

/// A word, then elements of another message.
struct Behind<'a>(&'a str, &'a [RawElement<'a>]);

impl Serialize for Behind<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(1 + self.1.len()))?;
        seq.serialize_element(self.0)?;
        for element in self.1 {
            seq.serialize_element(element)?;
        }
        seq.end()
    }
}

/// What a port does with a message.
type Code = Box<dyn FnMut(&aemp::Context, Message) -> Result<(), String> + Send>;

/// Sets what a port does with messages of a tag, or with all others.
pub fn act(port: &Port, action: &str, tag: Option<&str>) -> Result<(), String> {
    let name = tag.map(str::to_owned);
    let code: Code = match action {
        "record" => Box::new(move |cx, message| {
            output::message(cx.id(), name.as_deref(), &message);
            Ok(())
        }),
        "size" => Box::new(move |cx, message| {
            output::size(cx.id(), name.as_deref(), &message);
            Ok(())
        }),
        "mute" => Box::new(|_, _| Ok(())),
        "echo" => Box::new(|cx, message| {
            let (to, rest) = forward(&message)?;
            cx.snd(&to, &rest).map_err(|error| error.to_string())
        }),
        "echoed" => Box::new(|cx, message| {
            let (to, rest) = forward(&message)?;
            cx.snd(&to, &Behind("echoed", &rest))
                .map_err(|error| error.to_string())
        }),
        "answer" => Box::new(|cx, message| {
            let mut rest: Vec<_> = message.elements().collect();
            let to = rest.pop().and_then(|last| last.read::<PortId>().ok());
            cx.snd(to.ok_or("nobody to answer")?, &Behind("answered", &rest))
                .map_err(|error| error.to_string())
        }),
        "die" => Box::new(|_, message| {
            let (Text(text),) = message.args().map_err(|error| error.to_string())?;
            Err(text)
        }),
        "kil" => Box::new(|cx, message| {
            cx.fail(Reason::from(message.values()));
            Ok(())
        }),
        _ => return Err(format!("unknown action '{action}'")),
    };
    match tag {
        Some(tag) => port.rcv_message(tag, code),
        None => port.rcv_any(code),
    };
    Ok(())
}

/// Makes a port check sequence numbers: messages are `[FROM, N, ..]`.
fn count(port: &Port, expect: Option<u64>, pause: Option<Duration>) {
    let counter = Arc::new(Mutex::new(Counter::default()));
    COUNTERS
        .lock()
        .unwrap()
        .insert(port.id().clone(), counter.clone());
    let see = move |id: &PortId, message: &Message| -> Result<(), aemp::proto::ArgsError> {
        let (Text(from), Num(n)): (Text, Num<u64>) = message.args()?;
        let mut counter = counter.lock().unwrap();
        let expected = counter.next.insert(from.clone(), n + 1).unwrap_or(0);
        counter.count += 1;
        if n != expected {
            counter.holes += 1;
            if counter.problems.len() < 10 {
                let problem = json!({ "from": from, "expected": expected, "got": n });
                counter.problems.push(problem);
            }
        }
        if Some(counter.count) == expect {
            output::counted(id, counter.count, counter.holes);
        }
        Ok(())
    };
    match pause {
        None => port.rcv_any(move |cx, message| see(cx.id(), &message)),
        Some(pause) => {
            let see = Arc::new(see);
            port.rcv_any_async(move |cx, message| {
                let (see, id) = (see.clone(), cx.id().clone());
                async move {
                    tokio::time::sleep(pause).await;
                    see(&id, &message)
                }
            })
        }
    };
}

/// Makes a port check streams: messages are `[FROM, EPOCH, N, ..]`.
fn stream(port: &Port) {
    let counter = Arc::new(Mutex::new(Counter::default()));
    COUNTERS
        .lock()
        .unwrap()
        .insert(port.id().clone(), counter.clone());
    port.rcv_any(move |_, message| {
        let (Text(from), Num(epoch), Num(n)): (Text, Num<u64>, Num<u64>) = message.args()?;
        let mut counter = counter.lock().unwrap();
        let last = counter.last.insert(from.clone(), (epoch, n));
        counter.count += 1;
        let good = match last {
            Some((last, number)) if last == epoch => n == number + 1,
            Some((last, _)) => epoch > last && n == 0,
            None => n == 0,
        };
        if !good {
            counter.holes += 1;
            if counter.problems.len() < 10 {
                let problem = json!({ "from": from, "expected": last, "got": (epoch, n) });
                counter.problems.push(problem);
            }
        }
        Ok::<(), aemp::proto::ArgsError>(())
    });
}

/// What a counter has seen so far.
pub fn counted(port: &PortId) -> Result<Value, String> {
    let counters = COUNTERS.lock().unwrap();
    let counter = counters.get(port).ok_or("not a counter")?.lock().unwrap();
    Ok(json!({ "count": counter.count, "holes": counter.holes, "problems": counter.problems }))
}
