//! Real Perl nodes. What is not there is said, and left out.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::address::free_address;
use crate::peers;
use crate::services::{RUN, TELLS};
use crate::support::{Home, LIMIT, Running, node, repository};

/// The modules of these releases, as far as they are there and perl has what they need.
pub fn releases(wanted: &[&str]) -> Vec<PathBuf> {
    let there = |release: &&str| {
        let modules = peers::release(release)?;
        let perl = bare_perl(&modules).args(["-MAnyEvent::MP", "-e1"]).status();
        let found = perl.is_ok_and(|status| status.success());
        if !found {
            println!("NOT RUN: perl can't load AnyEvent::MP {release}");
        }
        found.then_some(modules)
    };
    wanted.iter().filter_map(there).collect()
}

/// A perl that finds the modules of a release.
fn bare_perl(release: &Path) -> Command {
    let mut perl = Command::new("perl");
    perl.arg("-I").arg(release).stdin(Stdio::null());
    perl.stderr(Stdio::null());
    perl
}

/// One that finds the configuration as well.
pub fn perl(release: &Path, home: &Home) -> Command {
    let mut perl = bare_perl(release);
    perl.env("HOME", home.0.path());
    perl.env("PERL_ANYEVENT_MP_RC", home.rc());
    perl
}

/// Spawns a function of the node that is its first argument, and tells the port that is its second
/// what comes of it.
const MAKER: &str = r#"#!/bin/sh
echo "[\"spawn\",\"$1\",\"main::made\",\"$AEMP_PORT\"]"
while read -r line; do
    case $line in
    '{"spawned":"'*)
        port=${line#*'":"'}
        port=${port%%'"'*}
        echo "[\"mon\",\"$port\"]"
        echo "[\"snd\",\"$port\",\"go\"]"
        ;;
    '["made",'*) printf '["snd","%s",%s]\n' "$2" "$line" ;;
    *) printf '["snd","%s",%s]\n' "$2" "$line" ;;
    esac
done
"#;

/// A Perl node spawns a service by its name, gives it arguments, talks to it, and its status is the
/// reason of the death; the other way round, a service spawns a function of the Perl node.
#[test]
fn perl_spawns_a_service() {
    for release in releases(&["1.0", "1.30", "2.02"]) {
        let home = Home::new(json!({}));
        home.program("services/shop/till", TELLS);
        home.program("services/shop/maker", MAKER);
        home.configure(json!({"services_path": [home.path("services")]}));
        let running = home.start(&RUN);
        let address = running.address();
        let mut perl = perl(&release, &home);
        perl.arg(repository("cli/tests/operator/spawns.pl"));
        let said = perl.arg(address).output().unwrap();
        let said = String::from_utf8_lossy(&said.stdout);
        let wanted = "\
            got shop::till from perl\n\
            got hello 7\n\
            died exit 3\n\
            got made 5\n\
            reason custom why\n";
        assert_eq!(said, wanted, "{}", release.display());
        assert_eq!(running.rest(), Vec::<String>::new());
    }
}

/// The program `aemp` of a release.
fn perl_aemp(release: &Path, home: &Home) -> Command {
    let mut command = perl(release, home);
    command.arg(release.join("bin/aemp"));
    command
}

fn has_watchdog(release: &Path) -> bool {
    let found = bare_perl(release)
        .args(["-MAnyEvent::Watchdog", "-e1"])
        .status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        eprintln!("skipped: no AnyEvent::Watchdog");
    }
    found
}

#[test]
fn perls_restart_restarts_ours() {
    for release in releases(&["1.24", "1.30"]) {
        let home = Home::new(json!({}));
        let running = home.start(&["run", "nodeid", "r", "binds", "127.0.0.1:*"]);
        let first = running.address();
        home.configure(json!({"profile": {"aemp": {"binds": [], "seeds": [first]}}}));
        let mut restart = perl_aemp(&release, &home);
        let status = restart.args(["restart", "r"]).status().unwrap();
        assert!(status.success(), "{}", release.display());
        let second = running.address();
        assert_ne!(first, second);
    }
}

/// And a node of Perl's `aemp run` is restarted by ours: it is another process then.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn our_restart_restarts_perls() {
    for release in releases(&["1.24", "1.30"]) {
        if !has_watchdog(&release) {
            return;
        }
        let home = Home::new(json!({}));
        let address = free_address();
        let mut command = perl_aemp(&release, &home);
        // A list is JSON to Perl.
        let binds = json!([address]).to_string();
        command.args(["run", "nodeid", "p", "binds", &binds]);
        let _running = Running::start_group(command);
        home.configure(json!({"profile": {"aemp": {"binds": [], "seeds": [address]}}}));
        let test = node("t", &address).await;
        let process = async || -> Option<Value> {
            let request = ("eval", "$$");
            let limit = Some(Duration::from_millis(500));
            let reply = test.cal::<Vec<Value>>("p", &request, limit).await.ok()?;
            reply.get(1).cloned()
        };
        let begun = Instant::now();
        let first = loop {
            match process().await {
                Some(id) => break id,
                None => assert!(begun.elapsed() < LIMIT, "it does not run"),
            }
        };
        let mut restart = home.start(&["restart", "p"]);
        assert!(restart.ends().success(), "{:?}", restart.rest());
        let begun = Instant::now();
        while process().await.is_none_or(|id| id == first) {
            assert!(begun.elapsed() < LIMIT, "it does not start again");
        }
        test.shutdown().await;
    }
}
