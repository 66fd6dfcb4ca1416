//! What a message has this node send itself, by `snd`, by `snd_multiple` and by replies.
//!
//! # Why every request ends
//!
//! Let the *weight* of a message be how many values it has, those in lists within it included; a
//! hash counts as one, as no message is made of what is in it. What a request has this node send
//! on, to whichever node port, weighs less than the request:
//!
//! - `snd` takes off its name and the destination.
//! - `snd_multiple` takes off its name, and each list a message: they weigh less together.
//! - `info`, `time` and `can` take off at least their name and the destination, and put one value
//!   behind the rest. So does `eval` on a node that has no evaluator.
//! - `known_nodes` and `up_nodes` put values behind the rest that others choose. A node port gets
//!   no such reply: `["","known_nodes","n","known_nodes","n"]` would never end where a node is
//!   called `known_nodes`.
//! - The answers about the database and the mesh go to ports that no message names.
//!
//! What is left are the program's own functions and evaluator: what they send is theirs.
//!
//! # What it costs
//!
//! A message that is sent on is a part of the octets that came; nothing is copied before it leaves.
//! So a hop of `snd` costs what is taken off. A [`WHOLE`] hop goes over all octets once; there can
//! be few of them within a chain, so that the work for a message is bounded by its octets times a
//! constant. No hop is on the stack of another.

use std::sync::Arc;

use super::act::{Sending, first_part};
use super::{Inner, Source, dispatch, report};
use crate::node::limits::Limit;
use crate::proto::Message;

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Onward {
    /// Nothing.
    Nothing,
    /// The node port gets this message, a part of the octets of the one that asked for it.
    Part(Message),
    /// It gets this message, which was made.
    Made(Message),
    /// Each element of this is a message to be sent on: its destination and its elements.
    List(Message),
}

/// A hop that goes over a whole message counts as so many.
const WHOLE: usize = 100;

/// The way of a message from request to request.
pub(super) struct Way<'a> {
    node: &'a Arc<Inner>,
    source: Source<'a>,
    /// What is left to be done, the next last, and how many hops it is behind. It gets longer only
    /// by lists within lists, so it is short.
    left: Vec<(Onward, usize)>,
    /// It was said that something was dropped for its hops.
    reported: bool,
}

impl<'a> Way<'a> {
    /// Of what a request from there leads to.
    pub(super) fn new(node: &'a Arc<Inner>, source: Source<'a>) -> Self {
        Way {
            node,
            source,
            left: Vec::new(),
            reported: false,
        }
    }

    /// Something has to be done behind so many hops.
    fn push(&mut self, onward: Onward, hops: usize) {
        let hops = match onward {
            Onward::Nothing => return,
            Onward::Part(_) => hops + 1,
            Onward::Made(_) | Onward::List(_) => hops + WHOLE,
        };
        let most = self.node.settings.max_hops;
        if hops <= most {
            self.left.push((onward, hops));
            return;
        }
        if std::mem::replace(&mut self.reported, true) {
            // The log has said so of this message.
            return self.node.limits.met(Limit::Hops);
        }
        report(
            self.node,
            self.source,
            &super::RequestError::TooManyHops(most),
        );
    }

    /// Goes it to its end.
    pub(super) fn go(mut self, first: Onward) {
        self.push(first, 0);
        while let Some((next, hops)) = self.left.pop() {
            let done = match next {
                Onward::Nothing => continue,
                Onward::Part(message) | Onward::Made(message) => {
                    dispatch(self.node, self.source, &message)
                }
                Onward::List(parts) => self.next_of_list(parts, hops),
            };
            match done {
                Ok(onward) => self.push(onward, hops),
                Err(error) => report(self.node, self.source, &error),
            }
        }
    }

    /// Sends the first of the messages in a list on. The others stay for later, unless it is unfit.
    fn next_of_list(&mut self, parts: Message, hops: usize) -> Sending {
        let Some(first) = first_part(&parts)? else {
            return Ok(Onward::Nothing);
        };
        let rest = parts.into_without_tag();
        let sent = super::act::forward(self.node, self.source, &first)?;
        self.left.push((Onward::List(rest), hops));
        Ok(sent)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::Origin;
    use super::*;
    use crate::node::{Mailbox, Node};
    use crate::proto::Generation;

    /// A node without links whose name is that of a request.
    async fn node(max_hops: usize) -> Node {
        let builder = Node::builder().no_rc().nodeid("known_nodes").secret("x");
        let builder = builder.binds([""; 0]).seeds([""; 0]);
        builder.set("max_hops", max_hops).start().await.unwrap()
    }

    fn message(text: &str) -> Message {
        let text = format!("[\"dest\",{}", &text[1..]);
        let frame = bytes::BytesMut::from(text.as_bytes());
        Message::from_frame(frame, r#"["dest""#.len())
    }

    /// Has a peer send this to the node port.
    fn send(node: &Node, message: Message) {
        let peer = node.inner().peer("peer");
        let origin = Origin {
            peer: &peer,
            generation: Generation::Gen1b,
            rights: None,
        };
        super::super::perform(node.inner(), Source::Peer(&origin), message);
    }

    /// A message to a port, in so many layers of `snd` to the node port.
    fn layers(n: usize, inbox: &Mailbox) -> Message {
        let layers = r#""snd","","#.repeat(n);
        message(&format!(r#"[{layers}"snd","{}","arrived",1]"#, inbox.id()))
    }

    fn hops_met(node: &Node) -> u64 {
        let limits = node.stats().limits;
        limits.get("max_hops").copied().unwrap_or_default()
    }

    #[tokio::test]
    async fn many_layers_cost_what_their_octets_do() {
        let node = node(usize::MAX >> 1).await;
        let mut inbox = node.mailbox();
        send(&node, layers(100_000, &inbox));
        let arrived = inbox.recv().await.unwrap();
        assert_eq!(arrived.to_json(), r#"["arrived",1]"#);
        // In CBOR, and from the node's own program.
        let json = layers(100_000, &inbox);
        let cbor = Message::from_local(&{
            let mut octets = Vec::new();
            json.encode_local(&mut octets).unwrap();
            octets
        });
        node.inner()
            .snd_message(&node.id().node_port(), &cbor)
            .unwrap();
        let arrived = inbox.recv().await.unwrap();
        assert_eq!(arrived.to_json(), r#"["arrived",1]"#);
    }

    #[tokio::test]
    async fn hops_are_counted() {
        let node = node(50).await;
        let mut inbox = node.mailbox();
        send(&node, layers(50, &inbox));
        assert_eq!(hops_met(&node), 0);
        send(&node, layers(51, &inbox));
        assert_eq!(hops_met(&node), 1);
        send(&node, layers(50, &inbox));
        for _ in 0..2 {
            assert_eq!(
                inbox.recv().await.unwrap().tag().as_deref(),
                Some("arrived")
            );
        }
        assert!(inbox.try_recv().unwrap().is_none());
    }

    /// A list of messages, each of one within the node port's own request.
    #[tokio::test]
    async fn lists_go_on_in_order_and_within_few_others() {
        let node = node(1000).await;
        let mut inbox = node.mailbox();
        let to = inbox.id().clone();
        let parts: Vec<Value> = (0..10_000)
            .map(|n| match n % 3 {
                0 => json!([to, n]),
                1 => json!(["", "snd", to, n]),
                _ => json!(["", "snd_multiple", [to, n]]),
            })
            .collect();
        let mut all = vec![json!("snd_multiple")];
        all.extend(parts);
        send(&node, Message::from_values(&all));
        for n in 0..10_000 {
            let (arrived,): (u32,) = inbox.recv().await.unwrap().args().unwrap();
            assert_eq!(arrived, n);
        }
        for (lists, arrives) in [(9, true), (10, false)] {
            let mut nested = json!([to, "within"]);
            for _ in 1..lists {
                nested = json!(["", "snd_multiple", nested]);
            }
            send(
                &node,
                Message::from_values(&[json!("snd_multiple"), nested]),
            );
            assert_eq!(
                inbox.try_recv().unwrap().is_some(),
                arrives,
                "{lists} lists"
            );
        }
        assert_eq!(hops_met(&node), 1);
    }

    #[tokio::test]
    async fn replies_to_the_node_port_go_on_and_come_to_an_end() {
        let node = node(1000).await;
        let mut inbox = node.mailbox();
        let request = json!(["time", "", "info", "", "snd", inbox.id(), "end"]);
        send(&node, Message::from_values(request.as_array().unwrap()));
        let (end, _, id): (String, f64, String) = inbox.recv().await.unwrap().args().unwrap();
        assert_eq!((&*end, &*id), ("end", "known_nodes"));
        // Each goes over the whole message, so there may be few of them.
        send(
            &node,
            message(&format!("[{}1]", r#""time","","#.repeat(50_000))),
        );
        assert_eq!(hops_met(&node), 1);
    }

    #[tokio::test]
    async fn lists_of_nodes_are_for_ports() {
        let node = node(usize::MAX >> 1).await;
        let mut inbox = node.mailbox();
        for verb in ["known_nodes", "up_nodes"] {
            for to in ["", "known_nodes", "known_nodes#", "other", "other#"] {
                let request = json!([verb, to, verb, to]);
                let done = dispatch(
                    node.inner(),
                    Source::Local,
                    &Message::from_values(request.as_array().unwrap()),
                );
                let error = done.unwrap_err().to_string();
                assert_eq!(error, "a list of nodes is no reply for a node port");
            }
            let request = json!([verb, inbox.id(), "nodes"]);
            send(&node, Message::from_values(request.as_array().unwrap()));
            let reply = inbox.recv().await.unwrap();
            assert_eq!(reply.tag().as_deref(), Some("nodes"));
        }
    }

    /// How many values a message has, those in lists included: see the documentation above.
    fn weight(values: &[Value]) -> usize {
        let of_one = |value: &Value| match value {
            Value::Array(list) => 1 + weight(list),
            _ => 1,
        };
        values.iter().map(of_one).sum()
    }

    /// Requests in requests, most of them sound.
    fn request() -> impl Strategy<Value = Value> {
        let word = prop_oneof![
            4 => prop::sample::select(vec![
                "snd", "snd_multiple", "info", "time", "can", "eval", "known_nodes", "up_nodes",
                "", "devnull", "mon1", "kil",
            ]),
            3 => prop::sample::select(vec!["", "known_nodes", "known_nodes#", "other", "x#y"]),
        ];
        let leaf = prop_oneof![
            9 => word.prop_map(Value::from),
            1 => Just(json!({"a": ["", "snd"]})),
            1 => Just(Value::Null),
        ];
        let list = prop::collection::vec(leaf, 0..7).prop_map(Value::from);
        list.prop_recursive(4, 60, 6, |inner| {
            let begun = prop::sample::select(vec![
                json!(["", "snd_multiple"]),
                json!(["snd_multiple"]),
                json!(["snd", ""]),
            ]);
            (begun, prop::collection::vec(inner, 0..5)).prop_map(|(begun, more)| {
                let mut list = begun.as_array().unwrap().clone();
                list.extend(more);
                Value::from(list)
            })
        })
    }

    proptest! {
        /// What a request leads to weighs less than it.
        #[test]
        fn every_request_ends(request in request()) {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().unwrap();
            runtime.block_on(async {
                let node = node(usize::MAX >> 1).await;
                let request = Message::from_values(request.as_array().unwrap());
                let mut left = vec![Onward::Part(request)];
                let mut way = Way::new(node.inner(), Source::Local);
                while let Some(step) = left.pop() {
                    let (before, next) = match step {
                        Onward::Nothing => continue,
                        Onward::Part(message) | Onward::Made(message) => {
                            let next = dispatch(node.inner(), Source::Local, &message);
                            (weight(&message.values()), next)
                        }
                        Onward::List(parts) => {
                            (weight(&parts.values()), way.next_of_list(parts, 0))
                        }
                    };
                    let rest = way.left.drain(..).map(|(rest, _)| rest);
                    let led_to: Vec<Onward> = rest.chain(next.ok()).collect();
                    let of_step = |step: &Onward| match step {
                        Onward::Nothing => 0,
                        Onward::Part(message) | Onward::Made(message) | Onward::List(message) => {
                            weight(&message.values())
                        }
                    };
                    let after: usize = led_to.iter().map(of_step).sum();
                    prop_assert!(before == 0 || after < before, "{after} behind {before}");
                    left.extend(led_to);
                }
                Ok(())
            })?;
        }
    }
}
