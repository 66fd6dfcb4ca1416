//! A program's standard input.

use aemp::Message;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::lines::line_of;

/// What a program is told, and who else could not say it: a message that begins with the cookie,
/// which only we know, is one of these.
#[derive(Serialize)]
#[serde(untagged)]
enum Told<'a> {
    Died {
        died: &'a RawValue,
        reason: &'a [Box<RawValue>],
    },
    Spawned {
        spawned: &'a RawValue,
        function: &'a RawValue,
    },
    Group {
        group: &'a RawValue,
        ports: &'a RawValue,
    },
    Reply {
        reply: &'a RawValue,
        args: &'a RawValue,
    },
    Lost {
        lost: &'a RawValue,
        reason: &'a RawValue,
    },
}

/// The line for a message to the program's port.
pub(super) fn line(cookie: &str, message: &Message) -> Vec<u8> {
    let json = message.to_json();
    match message.tag().as_deref() == Some(cookie) {
        true => told(&json).unwrap_or_default(),
        false => line_of(&json),
    }
}

/// The line for something to be told: an array of the cookie, what it is, and about what.
fn told(json: &str) -> Option<Vec<u8>> {
    let all: Vec<Box<RawValue>> = serde_json::from_str(json).ok()?;
    let [_, what, about, rest @ ..] = all.as_slice() else {
        return None;
    };
    let told = match (what.get(), rest) {
        (r#""died""#, reason) => Told::Died {
            died: about,
            reason,
        },
        (r#""spawned""#, [function, ..]) => Told::Spawned {
            spawned: about,
            function,
        },
        (r#""group""#, [ports, ..]) => Told::Group {
            group: about,
            ports,
        },
        (r#""reply""#, [args, ..]) => Told::Reply { reply: about, args },
        (r#""lost""#, [reason, ..]) => Told::Lost {
            lost: about,
            reason,
        },
        _ => return None,
    };
    Some(line_of(&serde_json::to_string(&told).ok()?))
}

/// The input, until it is closed on either side.
pub(super) struct Input {
    pipe: Mutex<Option<ChildStdin>>,
    closing: CancellationToken,
}

impl Input {
    pub(super) fn new(pipe: Option<ChildStdin>) -> Self {
        Input {
            pipe: Mutex::new(pipe),
            closing: CancellationToken::new(),
        }
    }

    /// Writes a line; waits for as long as the program does not read. To a program that has closed
    /// its input, nothing is said.
    pub(super) async fn write(&self, line: &[u8]) {
        let mut pipe = self.pipe.lock().await;
        if let Some(open) = &mut *pipe {
            let written = self.closing.run_until_cancelled(open.write_all(line)).await;
            if !matches!(written, Some(Ok(()))) {
                *pipe = None;
            }
        }
    }

    /// Closes it, also while something is being written.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        self.pipe.lock().await.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(message: &impl Serialize) -> String {
        let message = Message::encode(message).unwrap();
        String::from_utf8(line("cookie", &message)).unwrap()
    }

    #[test]
    fn messages_are_arrays_and_what_is_told_is_an_object() {
        assert_eq!(shown(&("died", "a#b", 1.5)), "[\"died\",\"a#b\",1.5]\n");
        for (told, wanted) in [
            (
                shown(&("cookie", "died", "a#b", "exit", 3)),
                r#"{"died":"a#b","reason":["exit",3]}"#,
            ),
            (
                shown(&("cookie", "died", "a#b")),
                r#"{"died":"a#b","reason":[]}"#,
            ),
            (
                shown(&("cookie", "spawned", "a#b", "f::g")),
                r#"{"spawned":"a#b","function":"f::g"}"#,
            ),
            (
                shown(&("cookie", "group", "g", ["a#b"])),
                r#"{"group":"g","ports":["a#b"]}"#,
            ),
            (
                shown(&("cookie", "reply", 7, [1])),
                r#"{"reply":7,"args":[1]}"#,
            ),
            (
                shown(&("cookie", "lost", "x", ["no_such_port"])),
                r#"{"lost":"x","reason":["no_such_port"]}"#,
            ),
        ] {
            assert_eq!(told, format!("{wanted}\n"));
        }
    }
}
