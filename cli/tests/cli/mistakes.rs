//! Whoever made a mistake in a set-up is told once, at the default level, in a sentence that names
//! the setting.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use serde_json::json;

use super::address::free_address;
use super::perl_node::{PerlNode, release};
use super::{Home, LIMIT, Running};

/// A node at the default level, and its log.
struct Quiet {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Quiet {
    fn start(home: &Home, arguments: &[&str]) -> Self {
        let mut command = home.command();
        command.arg("run").args(arguments).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        let (line, lines) = mpsc::channel();
        std::thread::spawn(move || {
            log.map_while(Result::ok)
                .for_each(|text| drop(line.send(text)));
        });
        Quiet { child, lines }
    }

    /// Waits for a line with all of these words.
    fn says(&self, words: &[&str]) -> String {
        let until = Instant::now() + LIMIT;
        let mut all = Vec::new();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if words.iter().all(|word| line.contains(word)) => return line,
                Ok(line) => all.push(line),
                Err(_) => panic!("{words:?} is not said:\n{}", all.join("\n")),
            }
        }
    }

    /// The lines so far that have this word.
    fn so_far(&self, word: &str) -> Vec<String> {
        self.lines
            .try_iter()
            .filter(|line| line.contains(word))
            .collect()
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The settings of a node without a configuration file, but for the secret.
fn with<'a>(id: &'a str, seed: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let usual = [
        "nodeid",
        id,
        "binds",
        "127.0.0.1:0",
        "seeds",
        seed,
        "connect_interval",
        "0.05",
    ];
    [&usual[..], more].concat()
}

fn seed(home: &Home, more: &[&str]) -> Running {
    let usual = ["run", "nodeid", "seed", "binds", "127.0.0.1:0"];
    home.run_with(&[&usual[..], more].concat())
}

#[test]
fn a_wrong_secret_on_both_sides() {
    let home = Home::new();
    home.aemp(&["setsecret", "the right secret"]).success();
    let seed = seed(&home, &[]);
    let address = seed.address().to_owned();
    let node = Quiet::start(
        &home,
        &with("a", &address, &["secret", "the wrong secret", "force", "1"]),
    );
    node.says(&["seed", &address, "`secret`"]);
    // It is tried again and again, and told no more.
    let again = Instant::now();
    while again.elapsed().as_millis() < 600 {
        std::thread::yield_now();
    }
    assert!(node.so_far("`secret`").len() <= 1, "told again and again");
    drop(node);
    seed.signal("-TERM");
    let (_, lines) = seed.wait();
    let told = lines
        .iter()
        .any(|line| line.contains("does not have our shared secret"));
    assert!(told, "{lines:?}");
}

#[test]
fn a_seed_that_is_not_there_and_comes() {
    let home = Home::new();
    home.aemp(&["setsecret", "the right secret"]).success();
    let address = free_address();
    let node = Quiet::start(&home, &with("a", &address, &[]));
    node.says(&[
        "<5>",
        "seed",
        &address,
        "Connection refused",
        "trying again",
    ]);
    node.says(&["seed", &address, "tried ", "times"]);
    let _seed = home.run_with(&["run", "nodeid", "seed", "binds", &address]);
    node.says(&["seed", &address, "reached after"]);
}

#[test]
fn an_id_that_another_node_has() {
    let home = Home::new();
    home.aemp(&["setsecret", "the right secret"]).success();
    let seed = seed(&home, &[]);
    let address = seed.address().to_owned();
    let node = Quiet::start(&home, &with("seed", &address, &[]));
    node.says(&["seed", &address, "`nodeid`"]);
}

/// The node that is connected to is told as well, and once.
#[test]
fn an_id_that_two_nodes_have_is_told_where_they_meet() {
    let home = Home::new();
    home.network("127.0.0.1:1");
    let address = free_address();
    // A seed of its own, as with one configuration for all: it finds itself, and nothing is wrong.
    let own = ["nodeid", "hub", "binds", &address, "seeds", &address];
    let hub = Quiet::start(&home, &own);
    hub.says(&[&address, "hub"]);
    let same = Quiet::start(&home, &with("hub", &address, &[]));
    hub.says(&[
        "<2>",
        "says that it is hub, as does this node",
        &address,
        "`nodeid`",
    ]);
    drop(same);
    let _first = Quiet::start(&home, &with("a", &address, &[]));
    wait_until_up(&home, &address, "a");
    let second = Quiet::start(&home, &with("a", &address, &[]));
    let told = hub.says(&[
        "<2>",
        "says that it is a, and so does 127.0.0.1:",
        "`nodeid`",
    ]);
    second.says(&["`nodeid`"]);
    let again = hub.so_far("`nodeid`");
    assert!(again.is_empty(), "{told} {again:?}");
}

/// Waits until the node at that address has a link to another one.
fn wait_until_up(home: &Home, address: &str, node: &str) {
    let begun = Instant::now();
    let wanted = format!("\"{node}\"");
    loop {
        home.network(address);
        let asked = home.command().args(["cal", "hub", "up_nodes"]).output();
        if String::from_utf8_lossy(&asked.unwrap().stdout).contains(&wanted) {
            return;
        }
        assert!(begun.elapsed() < LIMIT, "{node} is not up");
    }
}

/// The same with real Perl nodes: one is there, and then a node of ours; or the other way round.
#[test]
fn an_id_that_a_perl_node_has_as_well() {
    for version in ["1.30", "2.02"] {
        let Some(modules) = release(version) else {
            continue;
        };
        for perl_is_first in [true, false] {
            let home = Home::new();
            home.write(r#"{"version": 1, "secret": "geheim"}"#);
            let address = free_address();
            let hub = Quiet::start(
                &home,
                &["nodeid", "hub", "binds", &address, "generation", "auto"],
            );
            hub.says(&[&address, "hub"]);
            let settings = json!({"nodeid": "a", "binds": [], "seeds": [address]});
            let ours = || Quiet::start(&home, &with("a", &address, &["generation", "auto"]));
            let perls = || PerlNode::start(&home, &modules, &settings);
            let _both = if perl_is_first {
                let mut perl = perls();
                perl.up("hub");
                (perl, ours())
            } else {
                let ours = ours();
                wait_until_up(&home, &address, "a");
                (perls(), ours)
            };
            hub.says(&[
                "<2>",
                "says that it is a, and so does 127.0.0.1:",
                "`nodeid`",
            ]);
        }
    }
}

#[test]
fn generations_that_have_nothing_in_common() {
    let home = Home::new();
    home.aemp(&["setsecret", "the right secret"]).success();
    let seed = seed(&home, &["generation", "0"]);
    let address = seed.address().to_owned();
    let node = Quiet::start(&home, &with("a", &address, &["generation", "2"]));
    node.says(&["seed", &address, "mismatch", "`generation`"]);
}

#[test]
fn no_secret_and_nothing_to_listen_on() {
    let home = Home::new();
    let node = Quiet::start(&home, &["nodeid", "a", "binds", ""]);
    node.says(&["no `secret`", "aemp gensecret"]);
    node.says(&["`binds`", "`seeds`", "can't have links"]);
}
