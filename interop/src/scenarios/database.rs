//! The distributed database of generation 2.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::compare::same;
use crate::ctx::Ctx;
use crate::driver::{Event, Node};
use crate::fault::{Result, ensure};
use crate::pairing::Side;
use crate::scenario::{Scenario, only_2};
use crate::spec::Spec;

/// Values, queries, registered ports.
pub const VALUES: Scenario = Scenario {
    name: "db",
    about: "keys set by the global node and by its slave, before and after they met, are seen by both: keys, values of every type, changes, deletes; a registered port goes with its registration and with its end",
    not_in: only_2,
    run: values,
};

/// Several owners of a key.
pub const SAME_KEY: Scenario = Scenario {
    name: "db-same-key",
    about: "several nodes set the same key: the last one is seen; a delete uncovers what another has set; a node that leaves or is killed takes along its own keys and no others",
    not_in: only_2,
    run: same_key,
};

/// Monitors.
pub const ORDER: Scenario = Scenario {
    name: "db-order",
    about: "monitors at the writer, at the global node and at another slave see each of several hundred changes once and in order; a monitor that is ended sees nothing, one that begins late sees what is there",
    not_in: only_2,
    run: order,
};

/// Nodes that only know their global node.
pub const SLAVES: Scenario = Scenario {
    name: "db-slaves",
    about: "a slave finds another one through the global node and connects with it when there is something to send; one without listener and one that nobody knows cannot be found, and monitors say so",
    not_in: only_2,
    run: slaves,
};

/// Two global nodes.
pub const GLOBALS: Scenario = Scenario {
    name: "db-globals",
    about: "two global nodes with a slave each: what is set at one is seen at the other; a delete uncovers what was set at the other; slaves find each other; a global node that is killed takes its slaves' keys along until they have found the other",
    not_in: only_2,
    run: globals,
};

/// A network as it is usually set up.
pub const SEEDS: Scenario = Scenario {
    name: "db-seeds",
    about: "four nodes with the same two seeds, two of which are these: all see each other's keys and talk; a seed alone on the net is a global node; one is killed and comes back",
    not_in: only_2,
    run: same_seeds,
};

/// What a monitor has told so far, each event checked against what there was before.
struct Watch<'a> {
    node: &'a Node,
    id: u64,
    now: BTreeMap<String, Value>,
}

impl<'a> Watch<'a> {
    fn start(node: &'a Node, family: &str) -> Result<Self> {
        Ok(Self {
            node,
            id: node.db_mon(family)?,
            now: BTreeMap::new(),
        })
    }

    /// Takes in an event.
    fn take(&mut self, event: &Event) -> Result<()> {
        let list = |name: &str| -> Vec<String> {
            let list = event[name].as_array().into_iter().flatten();
            list.filter_map(|v| v.as_str().map(str::to_owned)).collect()
        };
        let bad = |what: &str| format!("{}: {what}: {event}", self.node.name());
        for (name, was_there) in [("add", false), ("change", true)] {
            for key in list(name) {
                let value = event["values"].get(&key);
                let there = self.now.contains_key(&key);
                ensure(there == was_there, || bad(name))?;
                ensure(value.is_some(), || bad("the value is missing"))?;
                self.now.insert(key, value.cloned().unwrap_or_default());
            }
        }
        for key in list("del") {
            let there = self.now.remove(&key);
            ensure(there.is_some(), || bad("deleted what was not there"))?;
        }
        let all = json!(self.now);
        ensure(same(&event["values"], &all), || {
            bad(&format!("the family should be {all}"))
        })
    }

    /// The monitor's next event.
    fn next(&mut self, what: &str) -> Result<Event> {
        let id = self.id;
        let event = self
            .node
            .wait(what, |e| e["ev"] == "db" && e["watch"] == id)?;
        self.take(&event)?;
        Ok(event)
    }

    /// Waits until the family is this (an object).
    fn becomes(&mut self, wanted: &Value) -> Result<()> {
        while !same(&json!(self.now), wanted) {
            self.next(&format!(
                "a monitor to show {wanted}, not {}",
                json!(self.now)
            ))?;
        }
        Ok(())
    }

    /// Fails if the monitor has more to tell; to be called when everything has been worked off.
    fn quiet(&self) -> Result<()> {
        let more = self
            .node
            .pending(|e| e["ev"] == "db" && e["watch"] == self.id);
        ensure(more.is_empty(), || {
            format!("{}: nothing has changed, but {}", self.node.name(), more[0])
        })
    }
}

/// Everything sent so far, directly or by way of `global`, has been worked off by all.
fn settled(global: &Node, slaves: &[&Node]) -> Result<()> {
    // what a slave says is passed on at once, after what it said before
    for slave in slaves {
        slave.sync(global.name())?;
    }
    for slave in slaves {
        global.sync(slave.name())?;
    }
    Ok(())
}

/// A node. Rust nodes alone are told to speak generation 2 only: else they would form a full mesh as well, in the
/// way of the generations before. With Perl nodes around them they speak whatever they like.
fn spec(ctx: &Ctx, name: &str) -> Spec {
    match ctx.pairing.generation() {
        None => only_2nd(name),
        Some(_) => Spec::new(name),
    }
}

/// A node that speaks generation 2 only.
fn only_2nd(name: &str) -> Spec {
    Spec::new(name).with("generation", json!(2))
}

/// A global node, `alice` of side A, and slaves of hers, each with its side; all listen.
fn star(ctx: &mut Ctx, slaves: &[(Side, &str)]) -> Result<(Node, Vec<Node>)> {
    star_of(ctx, slaves, spec)
}

fn star_of(
    ctx: &mut Ctx,
    slaves: &[(Side, &str)],
    spec: fn(&Ctx, &str) -> Spec,
) -> Result<(Node, Vec<Node>)> {
    ctx.step("nodes with one seed");
    let alice = ctx.node(Side::A, &spec(ctx, "alice").listen())?;
    let seed = alice.listener()?;
    let mut nodes = Vec::new();
    for (side, name) in slaves {
        let proxy = ctx.proxy(&seed)?;
        let node = ctx.node(*side, &spec(ctx, name).listen().seed(proxy.address()))?;
        node.up("alice")?;
        alice.up(name)?;
        nodes.push(node);
    }
    Ok((alice, nodes))
}

fn sorted(mut list: Vec<Value>) -> Vec<String> {
    let mut texts: Vec<String> = list.drain(..).map(|v| v.to_string()).collect();
    texts.sort();
    texts
}

/// `node` sees this family (an object) in all three ways.
fn family_is(node: &Node, family: &str, wanted: &Value) -> Result<()> {
    let wanted = wanted.as_object().cloned().unwrap_or_default();
    node.poll(&format!("family {family} to be {}", json!(wanted)), || {
        let got = node.db_family(family)?;
        Ok(same(&got, &json!(wanted))
            .then_some(())
            .ok_or_else(|| format!("; it is {got}")))
    })?;
    let mut keys: Vec<String> = wanted.keys().cloned().collect();
    keys.sort();
    let got = node.db_keys(family)?;
    ensure(got == keys, || {
        format!("{}: keys of {family}: {got:?}", node.name())
    })?;
    let got = node.db_values(family)?;
    ensure(
        sorted(got.clone()) == sorted(wanted.into_iter().map(|(_, v)| v).collect()),
        || format!("{}: values of {family}: {}", node.name(), json!(got)),
    )
}

fn values(ctx: &mut Ctx) -> Result<()> {
    ctx.step("keys are set before the nodes meet");
    let alice = ctx.node(Side::A, &spec(ctx, "alice").listen())?;
    alice.db_set("early", "alice", json!("was here"))?;
    let proxy = ctx.proxy(&alice.listener()?)?;
    let bob = ctx.driver(Side::B, &spec(ctx, "bob"))?;
    bob.configure(&spec(ctx, "bob").listen().seed(proxy.address()))?;
    bob.db_set("early", "bob", json!("as well"))?;
    alice.up("bob")?;
    bob.up("alice")?;
    let early = json!({ "alice": "was here", "bob": "as well" });
    for node in [&alice, &bob] {
        family_is(node, "early", &early)?;
    }

    for (one, other) in [(&alice, &bob), (&bob, &alice)] {
        let family = format!("of_{}", one.name());
        ctx.step(format!("{} sets values of every type", one.name()));
        family_is(other, &family, &json!({}))?;
        let mut wanted = Map::new();
        for (key, value) in [
            ("null", json!(null)),
            ("number", json!(-7)),
            ("float", json!(1.5)),
            ("text", json!("caf\u{e9} \u{263a}")),
            ("empty", json!("")),
            ("list", json!([1, [null, "x"], {}])),
            ("hash", json!({ "k": { "\u{e9}": [] } })),
            ("caf\u{e9} \u{263a} \"key\"", json!("odd key")),
            ("0", json!("a key that is a number")),
        ] {
            one.db_set(&family, key, value.clone())?;
            wanted.insert(key.to_owned(), value);
        }
        for node in [one, other] {
            family_is(node, &family, &json!(wanted))?;
        }

        ctx.step(format!("{} changes one and deletes three", one.name()));
        // a text: a Perl node compares an old value with a new one as texts, which makes numbers texts
        one.db_set(&family, "number", json!("eight"))?;
        wanted.insert("number".to_owned(), json!("eight"));
        one.db_del(&family, &["list", "null", "never set", "0"])?;
        for key in ["list", "null", "0"] {
            wanted.remove(key);
        }
        for node in [one, other] {
            family_is(node, &family, &json!(wanted))?;
        }

        ctx.step(format!(
            "{} cannot delete what {} has set",
            other.name(),
            one.name()
        ));
        other.db_del(&family, &["text"])?;
        other.sync(one.name())?;
        for node in [one, other] {
            family_is(node, &family, &json!(wanted))?;
        }

        ctx.step(format!("{} registers ports", one.name()));
        let group = format!("ports_of_{}", one.name());
        let (first, second) = (one.port("mute")?, one.port("mute")?);
        let reg = one.db_reg(&group, &first, json!({ "load": 3 }))?;
        one.db_reg(&group, &second, json!(null))?;
        let mut wanted = BTreeMap::from([(&first, json!({ "load": 3 })), (&second, json!(null))]);
        family_is(other, &group, &json!(wanted))?;
        one.grp_unreg(reg)?;
        wanted.remove(&first);
        family_is(other, &group, &json!(wanted))?;
        one.kil(&second, json!(["bad"]))?;
        for node in [one, other] {
            family_is(node, &group, &json!({}))?;
        }
    }
    Ok(())
}

fn same_key(ctx: &mut Ctx) -> Result<()> {
    let (alice, slaves) = star(ctx, &[(Side::B, "bob"), (Side::A, "carol")])?;
    let (bob, carol) = (&slaves[0], &slaves[1]);
    let mut watches = Vec::new();
    for node in [&alice, bob, carol] {
        watches.push(Watch::start(node, "shared")?);
    }
    let settle = || settled(&alice, &[bob, carol]);
    let mut all = |ctx: &mut Ctx, step: &str, wanted: Value, quiet: bool| -> Result<()> {
        ctx.step(step);
        settle()?;
        for watch in &mut watches {
            if quiet {
                watch.quiet()?;
            }
            watch.becomes(&wanted)?;
            watch.quiet()?;
        }
        for node in [&alice, bob, carol] {
            family_is(node, "shared", &wanted)?;
        }
        Ok(())
    };
    settle()?;
    bob.db_set("shared", "k", json!("bob's"))?;
    all(ctx, "bob sets a key", json!({ "k": "bob's" }), false)?;
    carol.db_set("shared", "k", json!("carol's"))?;
    all(
        ctx,
        "carol sets the same key",
        json!({ "k": "carol's" }),
        false,
    )?;
    carol.db_del("shared", &["k"])?;
    all(
        ctx,
        "carol's delete uncovers bob's value",
        json!({ "k": "bob's" }),
        false,
    )?;
    carol.db_set("shared", "k", json!("carol's"))?;
    all(ctx, "carol sets it again", json!({ "k": "carol's" }), false)?;
    bob.db_del("shared", &["k"])?;
    all(
        ctx,
        "what bob deletes was covered",
        json!({ "k": "carol's" }),
        true,
    )?;
    carol.db_del("shared", &["k"])?;
    all(ctx, "the last owner deletes it", json!({}), false)?;

    alice.db_set("shared", "k", json!("alice's"))?;
    settle()?;
    bob.db_set("shared", "k", json!("bob's"))?;
    bob.db_set("shared", "own", json!(1))?;
    settle()?;
    all(
        ctx,
        "the global node's own value is covered as well",
        json!({ "k": "bob's", "own": 1 }),
        false,
    )?;
    bob.db_del("shared", &["k"])?;
    all(
        ctx,
        "and uncovered",
        json!({ "k": "alice's", "own": 1 }),
        false,
    )?;
    bob.db_set("shared", "k", json!("bob's"))?;
    settle()?;
    carol.db_set("shared", "mine", json!("carol's"))?;
    all(
        ctx,
        "all have a key",
        json!({ "k": "bob's", "own": 1, "mine": "carol's" }),
        false,
    )?;
    drop(watches);

    ctx.step("bob is killed");
    let mut left = [
        Watch::start(carol, "shared")?,
        Watch::start(carol, "shared")?,
    ];
    for watch in &mut left {
        watch.becomes(&json!({ "k": "bob's", "own": 1, "mine": "carol's" }))?;
    }
    bob.kill9()?;
    alice.down("bob")?;
    let wanted = json!({ "k": "alice's", "mine": "carol's" });
    for watch in &mut left {
        watch.becomes(&wanted)?;
    }
    for node in [&alice, carol] {
        family_is(node, "shared", &wanted)?;
    }

    ctx.step("carol leaves");
    carol.quit()?;
    alice.down("carol")?;
    family_is(&alice, "shared", &json!({ "k": "alice's" }))
}

/// How many changes.
const CHANGES: u64 = 300;

/// The changes, in order: key, and value (a text, see above) or none for a delete. Three keys; every seventh change deletes.
fn changes() -> impl Iterator<Item = (String, Option<String>)> {
    (0..CHANGES).map(|n| {
        let key = format!("k{}", n % 3);
        (key, (n % 7 != 6).then(|| n.to_string()))
    })
}

fn order(ctx: &mut Ctx) -> Result<()> {
    let (alice, slaves) = star(ctx, &[(Side::B, "bob"), (Side::A, "carol")])?;
    let (bob, carol) = (&slaves[0], &slaves[1]);
    for writer in [&alice, bob] {
        let family = format!("changes_of_{}", writer.name());
        ctx.step(format!("{} writes, all watch", writer.name()));
        let mut watches = Vec::new();
        for node in [&alice, bob, carol] {
            // two monitors of one family on each node
            for _ in 0..2 {
                watches.push(Watch::start(node, &family)?);
            }
        }
        settled(&alice, &[bob, carol])?;
        let ended = carol.db_mon(&family)?;
        carol.grp_unmon(ended)?;
        let mut pending = Vec::new();
        let mut wanted = Vec::new();
        let mut there = BTreeMap::new();
        for (key, value) in changes() {
            let (command, args) = match &value {
                Some(n) => (
                    "db_set",
                    json!({ "family": family, "key": key, "value": n }),
                ),
                None => ("db_del", json!({ "family": family, "keys": [key] })),
            };
            pending.push((writer.send(command, &args)?, command));
            let was = there.contains_key(&key);
            match value {
                Some(n) => {
                    wanted.push((if was { "change" } else { "add" }, key.clone(), json!(n)));
                    there.insert(key, json!(n));
                }
                // deleting what is not there is no change
                None if was => {
                    wanted.push(("del", key.clone(), Value::Null));
                    there.remove(&key);
                }
                None => {}
            }
        }
        for (id, command) in pending {
            writer.answer(id, command)?;
        }
        settled(&alice, &[bob, carol])?;
        for watch in &mut watches {
            ctx.step(format!(
                "each change of {} once at {}",
                writer.name(),
                watch.node.name()
            ));
            let mut seen = Vec::new();
            while seen.len() < wanted.len() {
                let event = watch.next("the next change")?;
                for how in ["add", "change", "del"] {
                    for key in event[how].as_array().into_iter().flatten() {
                        let key = key.as_str().unwrap_or_default().to_owned();
                        let value = event["values"].get(&key).cloned().unwrap_or_default();
                        seen.push((how, key, value));
                    }
                }
                let at = seen.len();
                ensure(
                    seen.last() == at.checked_sub(1).and_then(|at| wanted.get(at)),
                    || {
                        format!(
                            "change {at}: expected {:?}, got {event}",
                            wanted.get(at - 1)
                        )
                    },
                )?;
            }
            ensure(seen == wanted, || "changes out of order".to_owned())?;
            watch.quiet()?;
        }
        let none =
            carol.pending(|e| e["ev"] == "db" && e["watch"] == ended && e["add"] != json!([]));
        ensure(none.is_empty(), || format!("an ended monitor: {}", none[0]))?;

        ctx.step("a monitor that begins late is told what is there");
        let mut late = Watch::start(carol, &family)?;
        let first = late.next("what is there")?;
        ensure(json!(late.now) == json!(there), || {
            format!("expected {}, got {first}", json!(there))
        })?;
        family_is(&alice, &family, &json!(there))?;
    }
    Ok(())
}

fn slaves(ctx: &mut Ctx) -> Result<()> {
    // Rust nodes that speak all generations connect with each other at once, and go on hoping for a node
    // that the database does not know.
    let (alice, slaves) = star_of(
        ctx,
        &[(Side::B, "bob"), (Side::A, "carol"), (Side::B, "dora")],
        |_, name| only_2nd(name),
    )?;
    let (bob, carol, dora) = (&slaves[0], &slaves[1], &slaves[2]);
    let erna = ctx.node(Side::A, &only_2nd("erna").seed(alice.listener()?))?;
    erna.up("alice")?;
    alice.up("erna")?;

    ctx.step("slaves are connected with their global node alone");
    let nodes = [bob, carol, dora, &erna];
    for node in nodes {
        node.connected_with(&["alice"], node.limit())?;
    }
    alice.connected_with(&["bob", "carol", "dora", "erna"], alice.limit())?;

    ctx.step("bob finds carol by a group and writes to her");
    let (at_carol, at_bob) = (carol.port("tags")?, bob.port("record")?);
    carol.grp_reg("workers", &at_carol)?;
    bob.group_is("workers", &[&at_carol])?;
    bob.snd(&at_carol, json!(["echoed", at_bob, "hello"]))?;
    bob.expect_msg(&at_bob, &json!(["echoed", "hello"]))?;
    bob.up("carol")?;
    carol.up("bob")?;
    bob.connected_with(&["alice", "carol"], bob.limit())?;
    carol.connected_with(&["alice", "bob"], carol.limit())?;
    super::echo::echoed(carol, bob)?;

    ctx.step("a monitor and a spawn find a slave as well");
    let at_dora = dora.port("tags")?;
    let mon = carol.mon(&at_dora)?;
    carol.up("dora")?;
    carol.sync("dora")?;
    dora.kil(&at_dora, json!(["enough"]))?;
    carol.expect_fired(mon, &json!(["enough"]))?;
    let spawned = dora.spawn("bob", "aemp_test::init", json!([dora.port("record")?]))?;
    let mon = dora.mon(&spawned)?;
    dora.up("bob")?;
    dora.sync("bob")?;
    dora.expect_quiet(mon)?;

    ctx.step("a slave without listener finds others");
    erna.snd(&at_carol, json!(["echoed", erna.port("mute")?, "x"]))?;
    erna.up("carol")?;
    carol.sync("erna")?;

    ctx.step("nobody finds a slave without listener, nor a node that nobody knows");
    for (node, missing) in [(bob, "erna"), (dora, "nobody"), (&erna, "nobody")] {
        let mon = node.mon(&format!("{missing}#port"))?;
        node.expect_lost(mon, missing)?;
    }

    ctx.step("carol is killed");
    let mon = bob.mon(&at_carol)?;
    bob.sync("carol")?;
    carol.kill9()?;
    bob.expect_lost(mon, "carol")?;
    bob.group_is("workers", &[])?;
    alice.down("carol")?;
    bob.connected_with(&["alice", "dora"], bob.limit())?;
    let mon = dora.mon(&at_carol)?;
    dora.expect_lost(mon, "carol")?;
    agree(&[&alice, bob, dora, &erna])
}

fn globals(ctx: &mut Ctx) -> Result<()> {
    ctx.step("two global nodes with a slave each");
    let alice = ctx.node(Side::A, &spec(ctx, "alice").listen())?;
    let first = alice.listener()?;
    let proxy = ctx.proxy(&first)?;
    let second = ctx.address()?;
    let dave = spec(ctx, "dave").bind(second).seed(proxy.address());
    let dave = ctx.node(Side::B, &dave)?;
    dave.up("alice")?;
    alice.up("dave")?;
    let bob = ctx.node(Side::B, &spec(ctx, "bob").listen().seed(&first))?;
    bob.up("alice")?;
    // the first seed that is up becomes carol's master
    let carol = ctx.node(Side::A, &spec(ctx, "carol").listen().seed(second))?;
    carol.up("dave")?;
    alice.up("bob")?;
    dave.up("carol")?;

    ctx.step("a key set at one is seen at the other");
    let nodes = [&alice, &bob, &carol, &dave];
    for node in nodes {
        node.db_set("presence", node.name(), json!([node.name()]))?;
    }
    let everybody =
        json!({ "alice": ["alice"], "bob": ["bob"], "carol": ["carol"], "dave": ["dave"] });
    for node in nodes {
        family_is(node, "presence", &everybody)?;
    }

    ctx.step("the same key on both sides");
    let mut watches = Vec::new();
    for node in nodes {
        watches.push(Watch::start(node, "shared")?);
    }
    for watch in &mut watches {
        watch.next("the first report of a monitor")?;
    }
    let mut all = |wanted: Value| -> Result<()> {
        for watch in &mut watches {
            watch.becomes(&wanted)?;
        }
        for node in nodes {
            family_is(node, "shared", &wanted)?;
        }
        Ok(())
    };
    bob.db_set("shared", "k", json!("bob's"))?;
    all(json!({ "k": "bob's" }))?;
    carol.db_set("shared", "k", json!("carol's"))?;
    all(json!({ "k": "carol's" }))?;
    ctx.step("a delete uncovers what was set at the other");
    carol.db_del("shared", &["k"])?;
    all(json!({ "k": "bob's" }))?;
    bob.db_del("shared", &["k"])?;
    all(json!({}))?;

    ctx.step("slaves of different global nodes find each other");
    let (at_bob, at_carol) = (bob.port("record")?, carol.port("tags")?);
    bob.snd(&at_carol, json!(["echoed", at_bob, "hello"]))?;
    bob.expect_msg(&at_bob, &json!(["echoed", "hello"]))?;
    bob.up("carol")?;

    ctx.step("a slave with both seeds outlives its global node");
    let erna = ctx.node(
        Side::B,
        &spec(ctx, "erna").listen().seed(second).seed(&first),
    )?;
    erna.up("alice")?;
    erna.up("dave")?;
    erna.db_set("presence", "erna", json!(["erna"]))?;
    let mut now = everybody;
    now["erna"] = json!(["erna"]);
    for node in [&alice, &bob, &erna, &dave] {
        family_is(node, "presence", &now)?;
    }
    dave.kill9()?;
    alice.down("dave")?;
    erna.down("dave")?;
    let left = json!({ "alice": ["alice"], "bob": ["bob"], "erna": ["erna"] });
    for node in [&alice, &bob, &erna] {
        family_is(node, "presence", &left)?;
    }

    ctx.step("the other global node comes back, and so do the keys of its slave");
    let dave = ctx.node(Side::B, &spec(ctx, "dave").bind(second).seed(&first))?;
    carol.up("dave")?;
    dave.up("alice")?;
    let back = json!({ "alice": ["alice"], "bob": ["bob"], "carol": ["carol"], "erna": ["erna"] });
    for node in [&alice, &bob, &carol, &dave, &erna] {
        family_is(node, "presence", &back)?;
    }
    agree(&[&alice, &bob, &carol, &dave, &erna])
}

/// All see the same nodes, listeners and global nodes alike.
fn agree(nodes: &[&Node]) -> Result<()> {
    for family in ["'l", "'g"] {
        let first = nodes[0];
        for node in &nodes[1..] {
            node.poll(&format!("{family} as {} sees it", first.name()), || {
                let (here, there) = (node.db_family(family)?, first.db_family(family)?);
                Ok(same(&here, &there)
                    .then_some(())
                    .ok_or_else(|| format!("; it is {here} and not {there}")))
            })?;
        }
    }
    Ok(())
}

/// All have set their name in the family, and all see it.
fn present(nodes: &[&Node]) -> Result<()> {
    let all: Map<String, Value> = nodes
        .iter()
        .map(|node| (node.name().to_owned(), json!("here")))
        .collect();
    for node in nodes {
        family_is(node, "presence", &json!(all))?;
    }
    Ok(())
}

fn same_seeds(ctx: &mut Ctx) -> Result<()> {
    ctx.step("a node that is its own seed");
    let (first, second) = (ctx.address()?, ctx.address()?);
    let seeds = |spec: Spec| spec.seed(first).seed(second);
    let n1 = ctx.node(Side::A, &seeds(spec(ctx, "n1").bind(first)))?;
    n1.db_set("presence", "n1", json!("here"))?;
    present(&[&n1])?;

    ctx.step("the others join");
    let n2 = ctx.node(Side::B, &seeds(spec(ctx, "n2").bind(second)))?;
    let n3 = ctx.node(Side::A, &seeds(spec(ctx, "n3").listen()))?;
    let n4 = ctx.node(Side::B, &seeds(spec(ctx, "n4").listen()))?;
    for node in [&n2, &n3, &n4] {
        node.db_set("presence", node.name(), json!("here"))?;
    }
    present(&[&n1, &n2, &n3, &n4])?;
    ctx.step("each is connected with the seeds");
    n1.connected_with(&["n2", "n3", "n4"], ctx.limit())?;
    n2.connected_with(&["n1", "n3", "n4"], ctx.limit())?;
    for node in [&n3, &n4] {
        node.connected_with(&["n1", "n2"], ctx.limit())?;
    }
    n3.sync("n4")?;
    n4.sync("n3")?;

    ctx.step("a seed is killed");
    for node in [&n2, &n3, &n4] {
        node.take(|e| e["ev"] == "node");
    }
    n1.kill9()?;
    for node in [&n2, &n3, &n4] {
        node.down("n1")?;
    }
    present(&[&n2, &n3, &n4])?;

    ctx.step("it comes back");
    let n1 = ctx.node(Side::A, &seeds(spec(ctx, "n1").bind(first)))?;
    n1.db_set("presence", "n1", json!("here"))?;
    present(&[&n1, &n2, &n3, &n4])?;
    for node in [&n2, &n3, &n4] {
        n1.sync(node.name())?;
        node.up("n1")?;
        node.sync("n1")?;
    }
    agree(&[&n1, &n2, &n3, &n4])
}
