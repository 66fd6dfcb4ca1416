//! The graph as JSON: an object for each node.

use std::collections::BTreeMap;

use aemp::NodeId;
use serde_json::{Value, json};

use super::graph::{Graph, Link, Met, shown};

/// The nodes, in the order of their IDs.
pub(super) fn render(graph: &Graph) -> Vec<Value> {
    let linked = graph.linked();
    let mut missing: BTreeMap<NodeId, Vec<String>> = BTreeMap::new();
    for (a, b) in graph.missing() {
        let texts = [shown(b.as_str()), shown(a.as_str())];
        for (id, text) in [a, b].into_iter().zip(texts) {
            missing.entry(id).or_default().push(text);
        }
    }
    let node = |(id, met): (&NodeId, &Met)| {
        let text = |id: &NodeId| shown(id.as_str());
        let linked = linked.get(id).map_or(&[][..], Vec::as_slice);
        let links = linked.iter().map(|(other, link)| {
            let Link {
                generation,
                framings,
                tls,
            } = link;
            let (sends, receives) = framings.clone().unzip();
            let (sends, receives) = if id < *other {
                (sends, receives)
            } else {
                (receives, sends)
            };
            json!({
                "node": text(other), "generation": generation, "sends": sends,
                "receives": receives, "tls": tls,
            })
        });
        json!({
            "node": text(id),
            // Nobody knows whom it is linked to, if it does not tell.
            "nodes": met.has_told.then(|| linked.iter().map(|(id, _)| text(id)).collect::<Vec<_>>()),
            "seconds": met.seconds,
            "provider": met.provider,
            "generation": met.generation,
            "roles": met.roles(),
            "bridge": met.bridge,
            "links": links.collect::<Vec<_>>(),
            "missing": missing.get(id).map_or(&[][..], Vec::as_slice),
            "lost": met.lost,
        })
    };
    graph.nodes.iter().map(node).collect()
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::example;
    use super::*;

    #[test]
    fn each_node_has_its_links_and_what_is_missing() {
        let nodes = render(&example());
        let names: Vec<&str> = nodes
            .iter()
            .filter_map(|node| node["node"].as_str())
            .collect();
        assert_eq!(names, ["a", "b", "gone", "hub"]);
        let [a, _, gone, hub] = nodes.as_slice() else {
            panic!("{nodes:?}");
        };
        assert_eq!(
            (&a["nodes"], &a["missing"]),
            (&json!(["hub"]), &json!(["b"]))
        );
        let directions = |node: &Value| {
            (
                node["links"][0]["sends"].clone(),
                node["links"][0]["receives"].clone(),
            )
        };
        assert_eq!(directions(a), (json!("json"), json!("cbor")));
        assert_eq!(directions(hub), (json!("cbor"), json!("json")));
        assert_eq!(hub["roles"], json!(["seed", "global", "bridge"]));
        assert_eq!(
            (&gone["nodes"], &gone["lost"]),
            (&Value::Null, &json!("no route"))
        );
    }
}
