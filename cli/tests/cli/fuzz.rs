//! `aemp fuzz`: against a node of ours, and against one with known weaknesses.

use std::path::PathBuf;

use aemp::Node;
use assert_cmd::assert::Assert;

use super::Home;
use super::address::free_address;

/// Says where the weak node listens, to the process that is to be one.
const WEAK: &str = "AEMP_TEST_WEAK_NODE";
/// A file that, if it is named, has the weak node stand still once only: until the file is there.
const ONCE: &str = "AEMP_TEST_WEAK_NODE_ONCE";

fn fuzz(home: &Home, args: &[&str]) -> Assert {
    let mut command = assert_cmd::Command::from_std(home.command());
    command.arg("fuzz").args(args);
    command.args(["--secret", "geheim", "--answer", "1"]);
    command.arg("--save").arg(saved(home));
    command.timeout(super::LIMIT * 6).assert()
}

/// Where findings are saved: a folder that is not there before.
fn saved(home: &Home) -> PathBuf {
    home.folder.path().join("new/found")
}

fn output(assert: &Assert) -> String {
    let output = assert.get_output();
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// No test: the weak node, where the environment asks for it. It has functions that no node should
/// have, of names that Perl nodes have them by.
#[test]
fn weak_node() {
    let Ok(address) = std::env::var(WEAK) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let node = Node::builder()
            .no_rc()
            .nodeid("weak")
            .secret("geheim")
            .binds([address]);
        let node = node.seeds([""; 0]).start().await.unwrap();
        node.function("POSIX::_exit", |_, _: serde_json::Value| -> () {
            std::process::exit(3)
        });
        let once = std::env::var_os(ONCE);
        node.function("POSIX::pause", move |_, _: serde_json::Value| {
            // Whoever was paused before this process began is so no more.
            let paused = once.as_ref().map(std::fs::File::create_new);
            while paused.as_ref().is_none_or(Result::is_ok) {
                std::thread::park();
            }
        });
        std::future::pending::<()>().await;
    });
}

/// The command that starts the weak node.
fn weak(address: &str) -> String {
    let program = std::env::current_exe().unwrap();
    format!(
        "env {WEAK}={address} '{}' --exact fuzz::weak_node --nocapture",
        program.display()
    )
}

/// The command that starts a node of ours.
fn ours(address: &str) -> String {
    format!(
        "'{}' run nodeid tried secret geheim binds {address}",
        assert_cmd::cargo::cargo_bin("aemp").display()
    )
}

#[test]
fn a_node_of_ours_survives() {
    let (home, address) = (Home::new(), free_address());
    let run = ours(&address);
    let args = [
        address.as_str(),
        "--seconds",
        "5",
        "--exec",
        &run,
        "--max-memory",
        "100",
    ];
    let done = fuzz(&home, &args).success();
    let said = String::from_utf8_lossy(&done.get_output().stdout).into_owned();
    assert!(
        said.starts_with(&format!("tried at {address}: aemp-rs")),
        "{said}"
    );
    let last = said.lines().last().unwrap();
    assert!(
        last.ends_with(": 0 found, 0 known, 0 seen once only"),
        "{said}"
    );
    let held: u32 = last.split(' ').next().unwrap().parse().unwrap();
    assert!(held > 20, "{said}");
}

#[test]
fn what_does_harm_is_found_made_short_and_shown_again() {
    let (home, address) = (Home::new(), free_address());
    let weak = weak(&address);
    let args = |more: &[&'static str]| {
        let mut all = vec![address.as_str(), "--exec", &weak, "--stage", "requests"];
        all.extend(more);
        all.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let run = |more: &[&'static str]| {
        let args = args(more);
        fuzz(&home, &args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let said = output(&run(&["--seconds", "30", "--all"]).failure().code(1));
    assert!(
        said.contains("ended: the node ended (exit status: 3)"),
        "{said}"
    );
    assert!(
        said.contains("not-served: another, honest link is not served"),
        "{said}"
    );

    // The shortest conversations, as they were saved, do the same again.
    let mut replayed = Vec::new();
    for file in std::fs::read_dir(saved(&home)).unwrap() {
        let path = file.unwrap().path();
        if path
            .extension()
            .is_none_or(|extension| extension != "jsonl")
        {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let is_said = |line: &&str| line.contains(r#""dir":">""#) && !line.contains(r#""as":"#);
        let said: Vec<&str> = text.lines().filter(is_said).collect();
        assert_eq!(said.len(), 1, "{text}");
        assert!(said[0].contains("POSIX::") && said[0].len() < 150, "{text}");
        let path = path.to_str().unwrap();
        let args = [address.as_str(), "--exec", &weak, "--replay", path];
        let again = output(&fuzz(&home, &args).failure().code(1));
        assert!(again.contains("behind step 2: "), "{again}");
        replayed.push(again.contains("(exit status: 3)"));
    }
    replayed.sort_unstable();
    assert_eq!(replayed, [false, true]);

    // What is known is passed over.
    let known = home.folder.path().join("known");
    std::fs::write(&known, "*POSIX::* # they are there to be found\n").unwrap();
    let known = known.to_str().unwrap();
    let args = [
        &*address,
        "--exec",
        &weak,
        "--stage",
        "requests",
        "--seconds",
        "10",
        "--known",
        known,
    ];
    let said = output(&fuzz(&home, &args).success());
    assert!(
        said.contains("known (they are there to be found)"),
        "{said}"
    );
    assert!(said.contains(" 0 found, "), "{said}");
}

/// A machine may stand still for a moment. Nobody is to look for the fault of a node then.
#[test]
fn a_silence_that_does_not_come_again_is_no_finding() {
    let (home, address) = (Home::new(), free_address());
    let once = home.folder.path().join("once");
    let run = format!("env {ONCE}='{}' {}", once.display(), weak(&address));
    let known = home.folder.path().join("known");
    std::fs::write(&known, "*POSIX::_exit* # looked for elsewhere\n").unwrap();
    let known = known.to_str().unwrap();
    let args = [
        &*address,
        "--exec",
        &run,
        "--stage",
        "requests",
        "--seconds",
        "20",
        "--known",
        known,
    ];
    let said = output(&fuzz(&home, &args).success());
    assert!(said.contains("did not come again in 3 tries"), "{said}");
    assert!(said.contains(" 0 found, "), "{said}");
    assert!(said.contains(", 1 seen once only"), "{said}");
    let file = std::fs::read_dir(saved(&home)).unwrap().next().unwrap();
    let name = file.unwrap().file_name().into_string().unwrap();
    assert!(name.ends_with("-once.jsonl"), "{name}");
}

/// The conversations that did harm to Perl nodes.
#[test]
fn what_harms_perl_nodes_does_not_harm_ours() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/found");
    let Ok(files) = std::fs::read_dir(folder) else {
        eprintln!("not run: {folder} is not in the package of the crate");
        return;
    };
    let mut held = 0;
    for file in files {
        let path = file.unwrap().path();
        let (home, address) = (Home::new(), free_address());
        let run = ours(&address);
        let path = path.to_str().unwrap();
        let done = fuzz(&home, &[&address, "--exec", &run, "--replay", path]).success();
        let said = String::from_utf8_lossy(&done.get_output().stdout).into_owned();
        assert!(
            said.ends_with("nothing is wrong with the node\n"),
            "{path}: {said}"
        );
        held += 1;
    }
    assert!(held > 10, "{held}");
}

#[test]
fn other_machines_are_left_alone_unless_that_is_allowed() {
    let home = Home::new();
    let said = output(&fuzz(&home, &["192.0.2.1:4040"]).failure().code(1));
    let expected = "aemp: 192.0.2.1:4040 is not on this machine. If you may attack it say so: --allow 192.0.2.1:4040\n";
    assert_eq!(said, expected);
    let nobody = free_address();
    let said = output(&fuzz(&home, &["nobody"]).failure());
    assert!(said.starts_with("aemp: nobody: "), "{said}");
    let said = output(&fuzz(&home, &[&nobody, "--exec", "false"]).failure().code(1));
    assert!(
        said.contains("the node ended before it listened: exit status: 1"),
        "{said}"
    );
}
