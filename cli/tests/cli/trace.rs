//! `aemp trace` over Perl's nodes of generation 2.

use std::io::Write as _;

use super::*;

/// The modules of a release of generation 2, if there is one.
fn release() -> Option<PathBuf> {
    let peers = std::env::var_os("AEMP_PERL_PEERS").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join("aemp-peers"));
    let folder = peers.or_else(home)?.join("2.02");
    let found = [folder.clone(), folder.join("lib/perl5")];
    found
        .into_iter()
        .find(|folder| folder.join("AnyEvent/MP.pm").is_file())
}

/// A Perl node, and its first listener.
struct PerlNode {
    process: Child,
    listener: String,
}

impl PerlNode {
    fn start(home: &Home, modules: &PathBuf, settings: &Value) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../interop/perl/node.pl");
        let mut command = Command::new("perl");
        command.arg(script).env("PERL5LIB", modules);
        command.env("PERL_ANYEVENT_MP_RC", home.rc());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let request = json!({"id": 1, "cmd": "configure", "args": settings});
        // It ends when this is closed.
        let mut input = process.stdin.take().unwrap();
        writeln!(input, "{request}").unwrap();
        process.stdin = Some(input);
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let listener = lines.find_map(|line| {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            (line["id"] == 1).then(|| line["ok"]["listeners"][0].as_str().unwrap().to_owned())
        });
        // What else it says is not read, so that it must not end the process.
        std::thread::spawn(move || lines.for_each(drop));
        PerlNode {
            process,
            listener: listener.unwrap(),
        }
    }
}

impl Drop for PerlNode {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

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
    let Some(modules) = release() else {
        assert!(
            std::env::var_os("CI").is_none(),
            "no AnyEvent::MP 2.02 in AEMP_PERL_PEERS"
        );
        eprintln!("NOT RUN: there is no AnyEvent::MP 2.02");
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
    let failed = home.aemp(&["trace", "nosuch"]).failure();
    let text = String::from_utf8(failed.get_output().stderr.clone()).unwrap();
    assert!(
        text.contains("nosuch: transport_error nosuch no known address"),
        "{text}"
    );
}
