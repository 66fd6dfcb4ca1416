//! What programs say: a line of their standard output each, which is a request to us.

use aemp::{PortId, Reason};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

/// Elements of a message, as the program wrote them: no digit of a number is lost.
pub(crate) type Args = Vec<Box<RawValue>>;

/// A request of a program.
#[derive(Debug)]
pub(crate) enum Request {
    /// `["snd", PORT, ARGS..]`
    Send(PortId, Args),
    /// `["mon", PORT]`
    Monitor(PortId),
    /// `["unmon", PORT]`
    Unmonitor(PortId),
    /// `["kil", PORT, REASON..]`; `null`, or nothing, is the program's own port.
    Kill(Option<PortId>, Reason),
    /// `["reg", GROUP]`
    Register(String),
    /// `["unreg", GROUP]`
    Unregister(String),
    /// `["grp", GROUP]`
    Group(String),
    /// `["spawn", NODE, FUNCTION, ARGS..]`
    Spawn(PortId, String, Args),
    /// `["cal", ID, PORT, ARGS..]`
    Call(Value, PortId, Args),
}

/// Why a line is no request.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("it is no JSON array: {0}")]
    Json(String),
    #[error("it is an empty array, and the name of a request is missing")]
    Empty,
    #[error("{0} is no request: there are snd, mon, unmon, kil, reg, unreg, grp, spawn and cal")]
    Unknown(String),
    #[error("{0}: {1} is missing")]
    Missing(&'static str, &'static str),
    #[error("{0}: {1} is no {2}")]
    Kind(&'static str, String, &'static str),
    #[error("{0}: there is more than it takes")]
    More(&'static str),
}

impl Request {
    /// Reads a line, without its end.
    pub(crate) fn read(line: &str) -> Result<Request, RequestError> {
        let all: Args =
            serde_json::from_str(line).map_err(|error| RequestError::Json(error.to_string()))?;
        let mut words = Words {
            of: "",
            left: all.into_iter(),
        };
        let name = words.left.next().ok_or(RequestError::Empty)?;
        let known = NAMES
            .into_iter()
            .find(|known| serde_json::from_str::<&str>(name.get()).ok() == Some(*known));
        words.of = known.ok_or_else(|| RequestError::Unknown(clip(name.get())))?;
        let request = match words.of {
            "snd" => Request::Send(words.port()?, words.rest()),
            "mon" => Request::Monitor(words.port()?),
            "unmon" => Request::Unmonitor(words.port()?),
            "kil" => {
                let port = match words.left.next() {
                    Some(word) => words.read::<Option<PortId>>(&word, "port ID")?,
                    None => None,
                };
                let reason = words.rest();
                let values = reason.iter().map(|value| words.read(value, "value"));
                Request::Kill(
                    port,
                    Reason::new(values.collect::<Result<Vec<Value>, _>>()?),
                )
            }
            "reg" => Request::Register(words.group()?),
            "unreg" => Request::Unregister(words.group()?),
            "grp" => Request::Group(words.group()?),
            "spawn" => {
                let node = words.next("the node's ID")?;
                let node = words.read(&node, "node ID")?;
                let function = words.next("the function's name")?;
                let function = words.read(&function, "name of a function")?;
                Request::Spawn(node, function, words.rest())
            }
            _ => {
                let id = words.next("the ID for its reply")?;
                let id = words.read(&id, "value")?;
                Request::Call(id, words.port()?, words.rest())
            }
        };
        match words.left.next() {
            Some(_) => Err(RequestError::More(words.of)),
            None => Ok(request),
        }
    }
}

const NAMES: [&str; 9] = [
    "snd", "mon", "unmon", "kil", "reg", "unreg", "grp", "spawn", "cal",
];

/// A request that is being read.
struct Words {
    of: &'static str,
    left: std::vec::IntoIter<Box<RawValue>>,
}

impl Words {
    fn next(&mut self, what: &'static str) -> Result<Box<RawValue>, RequestError> {
        let missing = RequestError::Missing(self.of, what);
        self.left.next().ok_or(missing)
    }

    fn read<T: DeserializeOwned>(
        &self,
        word: &RawValue,
        what: &'static str,
    ) -> Result<T, RequestError> {
        serde_json::from_str(word.get())
            .map_err(|_| RequestError::Kind(self.of, clip(word.get()), what))
    }

    fn port(&mut self) -> Result<PortId, RequestError> {
        let word = self.next("the port's ID")?;
        self.read(&word, "port ID")
    }

    fn group(&mut self) -> Result<String, RequestError> {
        let word = self.next("the group's name")?;
        self.read(&word, "name of a group")
    }

    fn rest(&mut self) -> Args {
        self.left.by_ref().collect()
    }
}

/// The beginning of what the program wrote, for a line that is shown.
fn clip(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        match Request::read(line) {
            Ok(request) => format!("{request:?}"),
            Err(error) => format!("no: {error}"),
        }
    }

    #[test]
    fn each_form_is_read() {
        for (line, wanted) in [
            (
                r#"["snd","a#b","hi",1.50,[18446744073709551616]]"#,
                r#"Send("a#b", [RawValue("hi"), RawValue(1.50), RawValue([18446744073709551616])])"#,
            ),
            (r#" [ "mon" , "a#b" ] "#, r#"Monitor("a#b")"#),
            (r#"["unmon","a"]"#, r#"Unmonitor("a")"#),
            (r#"["kil"]"#, "Kill(None, <>)"),
            (r#"["kil",null,"die",3]"#, "Kill(None, <die 3>)"),
            (r#"["kil","a#b"]"#, r#"Kill(Some("a#b"), <>)"#),
            (r#"["reg","g"]"#, r#"Register("g")"#),
            (r#"["unreg","g"]"#, r#"Unregister("g")"#),
            (r#"["grp","g"]"#, r#"Group("g")"#),
            (
                r#"["spawn","a","f::g",7]"#,
                r#"Spawn("a", "f::g", [RawValue(7)])"#,
            ),
            (
                r#"["cal",{"n":1},"a#b"]"#,
                r#"Call(Object {"n": Number(1)}, "a#b", [])"#,
            ),
        ] {
            assert_eq!(shown(line), wanted, "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, wanted) in [
            ("", "it is no JSON array: EOF"),
            ("hello", "it is no JSON array: expected value"),
            (r#"{"snd":1}"#, "it is no JSON array: invalid type: map"),
            (r#"["snd","a"] x"#, "it is no JSON array: trailing"),
            ("[]", "it is an empty array"),
            (
                r#"["send","a"]"#,
                r#""send" is no request: there are snd, mon"#,
            ),
            ("[1]", "1 is no request"),
            (r#"["snd"]"#, "snd: the port's ID is missing"),
            (r#"["snd",{"a":1}]"#, r#"snd: {"a":1} is no port ID"#),
            (r#"["mon","a","b"]"#, "mon: there is more than it takes"),
            (r#"["reg",[]]"#, "reg: [] is no name of a group"),
            (r#"["spawn","a"]"#, "spawn: the function's name is missing"),
            (r#"["cal","a"]"#, "cal: the port's ID is missing"),
        ] {
            let error = Request::read(line).unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{line}: {error}");
        }
        let long = format!("[\"{}\"]", "é".repeat(1000));
        assert!(shown(&long).len() < 300);
    }
}
