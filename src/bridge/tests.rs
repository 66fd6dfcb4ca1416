//! What needs a stand-in that no bridge here has made.

use std::sync::Arc;
use std::time::Duration;

use crate::node::link::{Link, Peer};
use crate::node::{Inner, Node, NodeEvents, Relay, stand_in};
use crate::proto::generation::Generations;
use crate::proto::{Message, NodeId};

/// Takes a link with anybody, and passes nothing on.
struct Open;

impl Relay for Open {
    fn pass(&self, _: &Arc<Inner>, _: &Arc<Peer>, _: &Arc<Link>, _: &str, _: &Message) -> bool {
        false
    }

    fn up(&self, _: &Arc<Peer>, _: &Link) {}

    fn ended(&self, _: &Arc<Peer>, _: u64) {}

    fn refuses(&self, _: &NodeId) -> bool {
        false
    }

    fn target(&self, _: &NodeId) -> Option<(Arc<Peer>, usize)> {
        None
    }
}

fn builder(id: &str) -> crate::Builder {
    let builder = Node::builder().no_rc().nodeid(id).secret("geheim");
    builder.binds(["127.0.0.1:0"])
}

async fn up(events: &mut NodeEvents, id: &str) {
    let up = async {
        while let Some(event) = events.next().await {
            if event.is_up() && event.node().as_str() == id {
                return;
            }
        }
        panic!("the node has stopped");
    };
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, up).await.expect(id);
}

#[tokio::test]
async fn a_stand_in_of_another_bridge_gets_none() {
    let middle = builder("standin-middle").start().await.unwrap();
    let bridge = middle.bridge([0, 1, 2]).unwrap();
    let mut events = middle.mon_nodes();

    let other = builder("standin-other").start().await.unwrap();
    for number in 0..3 {
        let id = NodeId::new(format!("standin-x{number}"));
        let foreign = stand_in(other.inner(), &id, number, Arc::new(Open));
        let inner = foreign.inner();
        let listeners = middle.listeners();
        inner.control.learn(inner, middle.id(), listeners);
        foreign.snd(middle.id(), &("devnull",)).unwrap();
        up(&mut events, id.as_str()).await;
        assert_eq!(bridge.stand_ins(), []);
        foreign.shutdown().await;
    }

    // An ordinary node gets them.
    let plain = builder("standin-y").generation(Generations::Only(1));
    let plain = plain.seeds(middle.listeners()).start().await.unwrap();
    up(&mut events, "standin-y").await;
    let id = NodeId::new("standin-y");
    assert_eq!(bridge.stand_ins(), [(id.clone(), 0), (id, 2)]);
    for node in [plain, other, middle] {
        node.shutdown().await;
    }
}
