//! `aemp trace` over Perl's nodes of generation 2, and as a picture.

use super::perl_node::{PerlNode, release};
use super::*;

/// The configuration of the command, with that seed.
fn network(home: &Home, seed: &str) {
    let rc = json!({
        "version": 1, "secret": "geheim",
        "profile": { "aemp": { "binds": [], "seeds": [seed] } },
    });
    home.write(&rc.to_string());
}

#[test]
fn perls_nodes_of_generation_2() {
    let Some(modules) = release("2.02") else {
        return;
    };
    let home = Home::new();
    network(&home, "127.0.0.1:1");
    let start = |id: &str, seeds: Value, secure: bool| {
        let settings = json!({
            "nodeid": id, "binds": ["127.0.0.1:*"], "seeds": seeds, "secure": u8::from(secure),
        });
        PerlNode::start(&home, &modules, &settings)
    };
    let seed = start("seed", json!([]), false);
    network(&home, &seed.listener);
    let others = [("plain", false), ("safe", true)];
    let _others = others.map(|(id, secure)| start(id, json!([seed.listener]), secure));
    let trace = |id: &str| {
        let done = home.aemp(&["trace", id]).success();
        let text = String::from_utf8(done.get_output().stdout.clone()).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let wanted = ["plain seed", "safe ?", "seed plain safe"];
    let begun = Instant::now();
    for first in ["plain", "safe"] {
        let mut wanted: Vec<String> = wanted.map(str::to_owned).to_vec();
        wanted.push(format!("seed {first}"));
        wanted.sort();
        // They may not know each other yet.
        while trace(first) != wanted {
            assert!(begun.elapsed() < LIMIT, "{:?}", trace(first));
        }
    }
    let said = stdout(home.aemp(&["trace", "--json", "plain"]).success());
    let drawn: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [plain, safe, seed] = drawn.as_slice() else {
        panic!("{drawn:#?}");
    };
    assert_eq!(seed["roles"], json!(["seed", "global"]));
    assert_eq!(
        (&plain["roles"], &plain["missing"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(plain["nodes"], json!(["seed"]));
    assert_eq!(safe["nodes"], Value::Null);
    for node in &drawn {
        let provider = node["provider"].as_str().unwrap();
        assert!(provider.starts_with("AE-2"), "{provider}");
        assert_eq!(node["generation"], "2");
    }
    let failed = home.aemp(&["trace", "nosuch"]).failure();
    let text = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
    assert!(
        text.contains("nosuch: transport_error nosuch no known address"),
        "{text}"
    );
}

/// Nodes of this crate: a bridge that is the seed of all, one of generation 2 with a framing of its
/// own, and two of generation 1 of which one wants TLS and the other has none.
#[test]
fn a_network_is_drawn() {
    let home = Home::new();
    network(&home, "127.0.0.1:1");
    let without_tls = Home::new();
    network(&without_tls, "127.0.0.1:1");
    home.aemp(&["gencert"]).success();
    let run = |home: &Home, id: &str, more: &[&str]| {
        let first = ["run", "nodeid", id, "binds", "127.0.0.1:0"];
        home.run_with(&[&first, more].concat())
    };
    let hub = run(&home, "hub", &["bridge", "1,2"]);
    home.aemp(&["profile", "aemp", "setseeds", hub.address()])
        .success();
    let seeds = |more: &[&'static str]| [&["seeds", hub.address()], more].concat();
    let of_1 = seeds(&["generation", "1"]);
    let _nodes = [
        run(
            &home,
            "left",
            &seeds(&["generation", "1", "require_tls", "1"]),
        ),
        run(&without_tls, "right", &of_1),
        run(
            &home,
            "new",
            &seeds(&["generation", "2", "framing_format", "json"]),
        ),
    ];
    let begun = Instant::now();
    let nodes = loop {
        let said = stdout(home.aemp(&["--json", "trace", "hub"]).success());
        let read = |line| serde_json::from_str(line).unwrap();
        let nodes: Vec<Value> = said.lines().map(read).collect();
        let counts: Vec<usize> = ["links", "missing"]
            .iter()
            .flat_map(|what| {
                nodes
                    .iter()
                    .map(|node| node[*what].as_array().unwrap().len())
            })
            .collect();
        // The stand-ins of the new node, too, are linked with the others by then.
        if counts == [3, 2, 3, 2, 0, 1, 0, 1] {
            break nodes;
        }
        // They may not know each other yet.
        assert!(begun.elapsed() < LIMIT, "{nodes:#?}");
    };
    let [hub, left, new, right] = nodes.as_slice() else {
        panic!("{nodes:#?}");
    };
    assert_eq!(hub["roles"], json!(["seed", "global", "bridge"]));
    assert_eq!(hub["bridge"], json!([1, 2]));
    assert_eq!(hub["nodes"], json!(["left", "new", "right"]));
    assert_eq!(
        (&left["roles"], &left["missing"]),
        (&json!([]), &json!(["right"]))
    );
    assert_eq!(
        (&left["generation"], &new["generation"]),
        (&json!("1b"), &json!("2"))
    );
    let provider = left["provider"].as_str().unwrap();
    assert!(provider.starts_with("aemp-rs-"), "{provider}");
    let to_hub = json!({
        "node": "hub", "generation": "2", "sends": "json", "receives": "json", "tls": true,
    });
    assert_eq!(new["links"][0], to_hub);
    assert_eq!(right["links"][0]["tls"], false);

    let svg = stdout(home.aemp(&["trace", "--svg", "hub"]).success());
    let document = roxmltree::Document::parse(&svg).unwrap();
    let titles: Vec<&str> = document
        .descendants()
        .filter(|node| node.has_tag_name("title"))
        .filter_map(|node| node.text())
        .collect();
    assert!(
        titles.contains(&"4 nodes, 5 links, 1 missing"),
        "{titles:?}"
    );
    assert!(titles.contains(&"left – right: no link"), "{titles:?}");
    let dot = stdout(home.aemp(&["trace", "--dot", "hub"]).success());
    assert!(dot.starts_with("graph aemp {\n"), "{dot}");
    assert!(
        dot.contains("  n1 -- n3 [label=\"missing\", style=dashed"),
        "{dot}"
    );

    for both in [&["--svg", "--json"][..], &["--svg", "--dot"]] {
        home.aemp(&[&["trace", "hub"], both].concat())
            .failure()
            .stdout("");
    }
}

#[test]
fn nothing_is_drawn_where_nobody_answers() {
    let home = Home::new();
    network(&home, "127.0.0.1:1");
    let fails = &|form| {
        let error = stderr(home.aemp(&["trace", form, "nowhere"]).code(1).stdout(""));
        assert!(
            error.contains("nowhere") && error.contains("seed 127.0.0.1:1"),
            "{error}"
        );
    };
    // Each of them waits for an answer for as long as it may.
    std::thread::scope(|scope| {
        for form in ["--svg", "--dot", "--json"] {
            scope.spawn(move || fails(form));
        }
    });
}
