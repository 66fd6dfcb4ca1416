//! Messages that say which trace they belong to.

use std::sync::Arc;

use super::error::{Missing, RequestError};
use super::read::first;
use super::{Origin, Source, report};
use crate::node::Inner;
use crate::proto::{Message, Verb};

/// Takes what another node sent out of the request that says which trace it belongs to: the name of
/// the port that it is for, and the message. What is no such request is as it was. `None`: it is
/// malformed, which was reported.
pub(crate) fn open(
    node: &Arc<Inner>,
    origin: &Origin<'_>,
    name: String,
    message: Message,
) -> Option<(String, Message)> {
    if !name.is_empty() || message.tag().as_deref() != Some(Verb::Traced.name()) {
        return Some((name, message));
    }
    match opened(&message, node.settings.max_name) {
        Ok(opened) => Some(opened),
        Err(error) => {
            report(node, Source::Peer(origin), &error);
            None
        }
    }
}

fn opened(message: &Message, most: usize) -> Result<(String, Message), RequestError> {
    let args = message.without_tag();
    let text = args.tag().ok_or(RequestError::Missing(Missing::Trace))?;
    // A later version of it may say more than is known here; the message arrives in any case.
    let context = text.parse().ok();
    let rest = args.without_tag();
    let name = first(&rest, Missing::PortName, most)?;
    Ok((name, rest.into_without_tag().traced(context)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_in_it() {
        let read = |values: serde_json::Value| opened(&Message::encode(&values).unwrap(), 9);
        let trace = "00-00000000000000000000000000000001-0000000000000002-01";
        let (name, message) = read(json!(["aemp_trace", trace, "p", "a", 1])).unwrap();
        assert_eq!((&*name, &*message.to_json()), ("p", r#"["a",1]"#));
        assert_eq!(message.trace_context().unwrap().to_string(), trace);
        let (name, message) = read(json!(["aemp_trace", "later", ""])).unwrap();
        assert_eq!((&*name, message.trace_context()), ("", None));
        for bad in [
            json!(["aemp_trace"]),
            json!(["aemp_trace", [], "p"]),
            json!(["aemp_trace", trace]),
            json!(["aemp_trace", trace, {}]),
            json!(["aemp_trace", trace, "a name too long"]),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
