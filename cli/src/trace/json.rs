//! The graph as JSON: an object for each node.

use serde_json::{Value, json};

use super::graph::{Graph, Link, shown};

/// The nodes, in the order of their IDs.
pub(super) fn render(graph: &Graph) -> Vec<Value> {
    let missing = graph.missing();
    let node = |(id, met): (&aemp::NodeId, &super::graph::Met)| {
        let text = |id: &aemp::NodeId| shown(id.as_str());
        let links = graph.linked(id).map(|(other, link)| {
            let Link {
                generation,
                framings,
                tls,
            } = link;
            let (sends, receives) = framings.clone().unzip();
            let (sends, receives) = if id < other {
                (sends, receives)
            } else {
                (receives, sends)
            };
            json!({
                "node": text(other), "generation": generation, "sends": sends,
                "receives": receives, "tls": tls,
            })
        });
        let without = missing.iter().filter_map(|(a, b)| match id {
            id if id == a => Some(text(b)),
            id if id == b => Some(text(a)),
            _ => None,
        });
        json!({
            "node": text(id),
            // Nobody knows whom it is linked to, if it does not tell.
            "nodes": met.has_told.then(|| graph.linked(id).map(|(id, _)| text(id)).collect::<Vec<_>>()),
            "seconds": met.seconds,
            "provider": met.provider,
            "generation": met.generation,
            "roles": met.roles(),
            "bridge": met.bridge,
            "links": links.collect::<Vec<_>>(),
            "missing": without.collect::<Vec<_>>(),
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
