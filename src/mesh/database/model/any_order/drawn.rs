//! What happens, decided by octets.

use arbitrary::Unstructured;
use serde_json::{Value, json};

use super::Happens;
use crate::mesh::database::terms::GLOBALS;
use crate::mesh::database::{Input, Kind, LISTENERS, Seeds, Timer};
use crate::proto::NodeId;
use crate::proto::verb::DatabaseVerb as Verb;

/// What happens, decided by octets.
pub(crate) fn drawn(from: &mut arbitrary::Unstructured<'_>) -> arbitrary::Result<Happens> {
    type From<'a, 'b> = &'a mut Unstructured<'b>;
    const NODES: [&str; 4] = ["a", "b", "c", "me"];
    fn node(from: From<'_, '_>) -> arbitrary::Result<NodeId> {
        Ok(NodeId::new(*from.choose(&NODES)?))
    }
    fn family(from: From<'_, '_>) -> arbitrary::Result<String> {
        let family = from.choose(&["f", "k", GLOBALS, LISTENERS])?;
        Ok((*family).to_owned())
    }
    fn key(from: From<'_, '_>) -> arbitrary::Result<String> {
        Ok((*from.choose(&["a", "b", "k"])?).to_owned())
    }
    fn value(from: From<'_, '_>, depth: u8) -> arbitrary::Result<Value> {
        let most = if depth > 0 { 6 } else { 4 };
        Ok(match from.int_in_range(0..=most)? {
            0 => json!(null),
            1 => json!(from.arbitrary::<i8>()?),
            2 => json!(1.5),
            3 => json!(from.arbitrary::<bool>()?),
            4 => json!(from.choose(&["", "a", "b", "k", "me", "x:1"])?),
            5 => {
                let n = from.int_in_range(0..=3)?;
                let one = |_| value(from, depth - 1);
                Value::Array((0..n).map(one).collect::<Result<_, _>>()?)
            }
            _ => hash(from, depth - 1)?,
        })
    }
    fn hash(from: From<'_, '_>, depth: u8) -> arbitrary::Result<Value> {
        let n = from.int_in_range(0..=3)?;
        let pair = |_| {
            let keys = ["", "a", "b", "k", "me", GLOBALS, LISTENERS, "f"];
            let key = (*from.choose(&keys)?).to_owned();
            Ok((key, value(from, depth)?))
        };
        Ok(Value::Object((0..n).map(pair).collect::<Result<_, _>>()?))
    }
    let input = match from.int_in_range(0..=19)? {
        0 | 1 => Input::Up {
            node: node(from)?,
            seed: from.arbitrary()?,
        },
        2 => Input::Down(node(from)?),
        3 => Input::IsSeed(node(from)?),
        4 => Input::BecomeGlobal,
        5 => Input::Find(node(from)?),
        6 => Input::ConnectFailed(node(from)?),
        7 => Input::Set {
            family: family(from)?,
            key: key(from)?,
            value: value(from, 2)?,
        },
        8 => Input::Del {
            family: family(from)?,
            keys: vec![key(from)?],
        },
        9 => Input::Query {
            id: from.int_in_range(0..=3)?,
            kind: *from.choose(&[Kind::Family, Kind::Keys, Kind::Values])?,
            family: family(from)?,
        },
        10 => Input::Forget(from.int_in_range(0..=3)?),
        11 => Input::Monitor {
            id: from.int_in_range(0..=3)?,
            family: family(from)?,
        },
        12 => Input::Unmonitor {
            id: from.int_in_range(0..=3)?,
            family: family(from)?,
        },
        13 => match from.int_in_range(0..=8)? {
            6 => Input::Seeds(Seeds::None),
            7 => Input::Seeds(Seeds::Some),
            8 => Input::Timer(Timer::Search(from.int_in_range(0..=3)?)),
            n => Input::Timer(Timer::Keepalive(n)),
        },
        n => {
            let verbs: Vec<Verb> = Verb::all().collect();
            let verb = json!(from.choose(&verbs)?);
            let mut message = vec![verb];
            if n < 17 {
                for _ in 0..from.int_in_range(0..=3)? {
                    message.push(value(from, 3)?);
                }
            } else {
                // What makes sense, for most verbs.
                let family = family(from)?;
                let set = hash(from, 2)?;
                message.extend(match from.arbitrary()? {
                    true => vec![json!({ family: set })],
                    false => vec![json!(family), set, json!([key(from)?])],
                });
            }
            return Ok(Happens::Says(from.choose(&NODES)?, Value::Array(message)));
        }
    };
    Ok(Happens::Input(input))
}
