//! Networks of answers, as they come.

use serde_json::{Value, json};

use super::super::answer::Manner;
use super::*;

fn id(name: &str) -> NodeId {
    NodeId::new(name)
}

/// What a node of this crate says after so many milliseconds of its life, of its links: to whom, so
/// many messages sent and received.
fn report(node: &str, age: u64, links: &[(&str, u64, u64)], more: &Value) -> Report {
    let link = |(other, sent, received): &(&str, u64, u64)| {
        json!({
            "node": other, "remote": "127.0.0.1:1", "generation": "2", "provider": "aemp-rs-0.1.0",
            "send_framing": "cbor", "recv_framing": "cbor", "sent": sent, "sent_octets": sent * 10,
            "received": received, "received_octets": received * 10, "queued_octets": 7,
            "reconnects": 0,
        })
    };
    let links: Vec<Value> = links.iter().map(link).collect();
    let mut report = json!({
        "age": {"secs": age / 1000, "nanos": age % 1000 * 1_000_000},
        "stats": {"node": node, "ports": 3, "groups": 0, "links": links},
        "metrics": {
            "node": node, "ports": 3, "links": 1, "links_made": 1, "sent": 0, "sent_octets": 0,
            "received": 0, "received_octets": 0, "unwritten_octets": 5, "losses": {"io": 2},
            "refused_handshakes": {}, "deaths": {"normal": 9, "die": 4}, "queued": 6,
            "queued_octets": 60, "longest_queue": 5, "longest_queue_ever": 5, "limits": {},
            "refused": {}, "handled": 0, "handler_time": {"secs": 0, "nanos": 0},
            "longest_handler": {"secs": 0, "nanos": 0},
        },
        "groups": {}, "deaths": [], "losses": [],
    });
    for (key, value) in more.as_object().unwrap() {
        report[key] = value.clone();
    }
    serde_json::from_value(report).unwrap()
}

fn answer(told: Told) -> Result<Answer, String> {
    let is_perl = matches!(told, Told::Links(..));
    Ok(Answer {
        round_trip: Duration::from_millis(2),
        provider: Some(if is_perl { "AE-1.30" } else { "aemp-rs-0.1.0" }.to_owned()),
        generation: if is_perl { "1b" } else { "2" }.to_owned(),
        manner: Manner::Report,
        told,
    })
}

fn reported(report: Report) -> Result<Answer, String> {
    answer(Told::Report(Box::new(report)))
}

fn surroundings() -> Surroundings {
    Surroundings {
        time: "now".into(),
        seeds: vec![id("hub")],
        globals: Vec::new(),
        groups: BTreeMap::from([("known".to_owned(), vec![PortId::new("hub#g")])]),
        left_out: 0,
    }
}

/// A node that looks and is linked to `hub`, which is linked to `perl`.
fn network(place: Place, now: Instant) -> Network {
    let mut network = Network::new(id("me"), place);
    let nothing = json!({});
    network.own(report("me", 1000, &[("hub", 10, 20)], &nothing), now);
    let links = [("me", 20, 10), ("perl", 100, 200)];
    network.answered(
        &id("hub"),
        reported(report("hub", 5000, &links, &nothing)),
        now,
    );
    let links = vec![id("hub")];
    network.answered(&id("perl"), answer(Told::Links(links, Some(4))), now);
    network
}

fn names(view: &View) -> Vec<&str> {
    view.nodes.iter().map(|node| &*node.node).collect()
}

#[tokio::test]
async fn who_just_looks_is_not_seen() {
    let now = Instant::now();
    let view = network(Place::Observer, now).look(surroundings(), now).view;
    assert_eq!(names(&view), ["hub", "perl"]);
    assert_eq!(view.links.len(), 1);
    let view = network(Place::Member, now).look(surroundings(), now).view;
    assert_eq!(names(&view), ["hub", "me", "perl"]);
    assert_eq!(view.links.len(), 2);
    assert_eq!(view.nodes[0].roles, ["seed"]);
}

#[tokio::test]
async fn rates_are_of_the_time_between_two_reports() {
    let now = Instant::now();
    let mut network = network(Place::Observer, now);
    let before = network.look(surroundings(), now).view;
    assert_eq!((before.links[0].there, before.nodes[0].sends), (None, None));
    let links = [("me", 20, 10), ("perl", 150, 200)];
    // Too soon after the other one to say anything: what is counted from stays.
    for age in [7000, 7100, 7000] {
        let report = report("hub", age, &links, &json!({}));
        network.answered(&id("hub"), reported(report), now);
    }
    let view = network.look(surroundings(), now).view;
    let link = &view.links[0];
    assert_eq!(link.nodes, ["hub", "perl"]);
    // A report that goes back is of another life, of which there is one only.
    assert_eq!((link.there, view.total), (None, Rate::default()));
    let report = report("hub", 9000, &[("perl", 250, 210)], &json!({}));
    network.answered(&id("hub"), reported(report), now);
    let view = network.look(surroundings(), now).view;
    let link = &view.links[0];
    let rate = |messages: f64| {
        Some(Rate {
            messages,
            octets: messages * 10.0,
        })
    };
    // What comes from a Perl node is known by who receives it.
    assert_eq!((link.there, link.back), (rate(50.0), rate(5.0)));
    assert_eq!(
        (view.nodes[0].sends, view.nodes[1].sends),
        (rate(50.0), rate(5.0))
    );
    assert_eq!(Some(view.total), rate(55.0));
    assert_eq!(link.unwritten_octets, [Some(7), None]);
}

#[tokio::test]
async fn a_link_that_is_made_anew_counts_from_its_beginning() {
    let now = Instant::now();
    let mut network = network(Place::Observer, now);
    let report = report("hub", 7000, &[("perl", 8, 4)], &json!({}));
    network.answered(&id("hub"), reported(report), now);
    let view = network.look(surroundings(), now).view;
    assert_eq!(view.links[0].there.unwrap().messages, 4.0);
}

#[tokio::test]
async fn what_nodes_do_not_tell_is_missing() {
    let now = Instant::now();
    let view = network(Place::Observer, now).look(surroundings(), now).view;
    let [hub, perl] = view.nodes.as_slice() else {
        panic!("{view:?}");
    };
    assert_eq!(
        (hub.ports, hub.queued, hub.deaths, hub.losses),
        (Some(3), Some(6), Some(4), Some(2))
    );
    assert_eq!(
        (perl.ports, perl.queued, perl.deaths),
        (Some(4), None, None)
    );
    assert_eq!((perl.links, perl.provider.as_deref()), (1, Some("AE-1.30")));
}

#[tokio::test]
async fn who_falls_silent_stays_as_long_as_others_are_linked_to_it() {
    let now = Instant::now();
    let mut network = network(Place::Observer, now);
    network.answered(&id("perl"), Err("no answer".into()), now);
    let view = network.look(surroundings(), now).view;
    assert_eq!(view.nodes[1].silent.as_deref(), Some("no answer"));
    assert_eq!(view.nodes[1].provider.as_deref(), Some("AE-1.30"));
    let report = report("hub", 7000, &[("me", 20, 10)], &json!({}));
    network.answered(&id("hub"), reported(report), now);
    let (found, _) = network.reachable(9);
    network.retain(&found);
    let view = network.look(surroundings(), now).view;
    assert_eq!(names(&view), ["hub"]);
    assert!(view.links.is_empty());
}

#[tokio::test]
async fn no_more_nodes_are_looked_at_than_these() {
    let now = Instant::now();
    let mut network = Network::new(id("me"), Place::Member);
    let others: Vec<String> = (0..50).map(|n| format!("n{n}")).collect();
    let links: Vec<(&str, u64, u64)> = others.iter().map(|name| (&**name, 0, 0)).collect();
    network.own(report("me", 1000, &links, &json!({})), now);
    let (found, left_out) = network.reachable(11);
    assert_eq!((found.len(), left_out), (11, 40));
}

#[tokio::test]
async fn groups_deaths_and_losses_are_those_of_all_nodes() {
    let now = Instant::now();
    let mut network = network(Place::Member, now);
    let ago = |secs: u64| json!({"secs": secs, "nanos": 0});
    let more = json!({
        "groups": {"<script>": ["hub#b", "hub#a"], "known": ["hub#g", "hub#h"]},
        "deaths": [
            {"port": "hub#x", "reason": "die oops", "ago": ago(9)},
            {"port": "hub#y", "reason": "die\nagain", "ago": ago(u64::MAX)},
        ],
        "losses": [{"node": "gone", "kind": "io", "reason": "broken pipe", "ago": ago(3)}],
    });
    network.answered(
        &id("hub"),
        reported(report("hub", 6000, &[("me", 1, 1)], &more)),
        now,
    );
    let more = json!({"deaths": [{"port": "me#z", "reason": "die first", "ago": ago(1)}]});
    network.own(report("me", 2000, &[("hub", 1, 1)], &more), now);
    let view = network
        .look(surroundings(), now + Duration::from_secs(1))
        .view;
    let groups: Vec<(&str, usize)> = view.groups.iter().map(|g| (&*g.group, g.count)).collect();
    assert_eq!(groups, [("<script>", 2), ("known", 2)]);
    let ports: Vec<&str> = view.deaths.iter().map(|death| &*death.port).collect();
    assert_eq!(ports, ["me#z", "hub#x", "hub#y"]);
    assert_eq!(view.deaths[0].seconds_ago, 2.0);
    assert_eq!(view.deaths[2].reason, "die\u{fffd}again");
    let loss = &view.losses[0];
    assert_eq!(
        (&*loss.node, &*loss.other, loss.seconds_ago),
        ("hub", "gone", 4.0)
    );
}

#[tokio::test]
async fn nobody_answers_for_another() {
    let now = Instant::now();
    let mut network = network(Place::Observer, now);
    let of_another = report("perl", 6000, &[("me", 1, 1)], &json!({}));
    network.answered(&id("hub"), reported(of_another), now);
    let look = network.look(surroundings(), now);
    assert!(look.graph.nodes[&id("perl")].provider.as_deref() == Some("AE-1.30"));
    assert_eq!(look.view.nodes[0].links, 1);
}

/// Many nodes, each linked to each, and all of it is counted.
#[tokio::test]
async fn many_links() {
    const MANY: u32 = 100;
    let now = Instant::now();
    let mut network = Network::new(id("me"), Place::Observer);
    let names: Vec<String> = (0..MANY)
        .map(|n| format!("a node of that name {n:03}"))
        .collect();
    for sent in [0, 100] {
        for name in &names {
            let others = names.iter().filter(|other| *other != name);
            let links: Vec<(&str, u64, u64)> = others.map(|other| (&**other, sent, sent)).collect();
            let report = report(name, 1000 + sent * 10, &links, &json!({}));
            network.answered(&id(name), reported(report), now);
        }
    }
    let view = network.look(surroundings(), now).view;
    let others = MANY - 1;
    assert_eq!(view.nodes.len(), MANY as usize);
    assert_eq!(view.links.len(), (MANY * others / 2) as usize);
    for node in &view.nodes {
        assert_eq!(node.links, others as usize);
        assert_eq!(node.sends.unwrap().messages, f64::from(100 * others));
        assert_eq!(node.receives.unwrap().octets, f64::from(1000 * others));
    }
    assert_eq!(view.total.messages, f64::from(100 * others * MANY));
}
