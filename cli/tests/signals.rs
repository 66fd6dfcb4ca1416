//! What the command `aemp run` does at signals: it takes another certificate, or it ends.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use aemp::Node;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(20);

/// A key and a certificate, as the command makes them.
fn certificate(folder: &Path) -> String {
    let rc = folder.join("made");
    let mut command = Command::new(env!("CARGO_BIN_EXE_aemp"));
    let made = command.arg("gencert").env("PERL_ANYEVENT_MP_RC", &rc);
    assert!(made.status().unwrap().success());
    let made: Value = serde_json::from_slice(&std::fs::read(rc).unwrap()).unwrap();
    made["cert"].as_str().unwrap().to_owned()
}

/// Ends the process with the test.
struct Running {
    process: Child,
    lines: mpsc::Receiver<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Running {
    fn start(rc: &Path) -> Running {
        let mut process = Command::new(env!("CARGO_BIN_EXE_aemp"))
            .args(["run", "nodeid", "running", "binds", "127.0.0.1:*"])
            .env("PERL_ANYEVENT_MP_RC", rc)
            .env("PERL_ANYEVENT_MP_WARNLEVEL", "8")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stderr.take().unwrap());
        let (to, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                let _ = to.send(line);
            }
        });
        Running { process, lines }
    }

    /// Waits for a line with these words, and gives it.
    fn says(&self, words: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(LIMIT);
            let line = line.unwrap_or_else(|_| panic!("no line with {words:?}"));
            if line.contains(words) {
                return line;
            }
        }
    }

    fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until it has ended, which is to be without an error, and says how long that took.
    fn ends(&mut self) -> Duration {
        let begun = Instant::now();
        while begun.elapsed() < LIMIT {
            if let Some(status) = self.process.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                return begun.elapsed();
            }
            std::thread::sleep(Duration::from_millis(5)); // a look again, not a wait
        }
        panic!("it does not end");
    }
}

/// Where it listens, as the line in its log says.
fn address(line: &str) -> String {
    line.split(['[', ']']).nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn sighup_takes_the_new_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let rc = folder.path().join("rc");
    let write = |cert: &str| {
        std::fs::write(&rc, json!({"version": 1, "cert": cert}).to_string()).unwrap();
    };
    let (old, new) = (certificate(folder.path()), certificate(folder.path()));
    assert_ne!(old, new);
    write(&old);
    let running = Running::start(&rc);
    let line = running.says("node listens on [");
    let address = address(&line);

    let reaches = async |id: &str, cert: &str| {
        let node = Node::builder()
            .no_rc()
            .nodeid(id)
            .binds(["127.0.0.1:0"])
            .cert(cert)
            .seeds([address.clone()]);
        let node = node.start().await.unwrap();
        node.round_trip("running", LIMIT).await.unwrap();
        node
    };
    let first = reaches("first", &old).await;
    write("garbage");
    running.signal("-HUP");
    running.says("the old certificate stays");
    let second = reaches("second", &old).await;
    write(&new);
    running.signal("-HUP");
    running.says("new links use the new certificate");
    let third = reaches("third", &new).await;
    // Links that were up stay.
    first.round_trip("running", LIMIT).await.unwrap();
    for node in [first, second, third] {
        node.shutdown().await;
    }
}

/// Something for a node that nobody can reach keeps it for some seconds, unless it is told twice.
#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let rc = folder.path().join("rc");
    std::fs::write(&rc, json!({"version": 1, "secret": "geheim"}).to_string()).unwrap();
    for (first, second) in [
        ("-TERM", Some("-INT")),
        ("-INT", Some("-TERM")),
        ("-TERM", None),
    ] {
        let mut running = Running::start(&rc);
        let address = address(&running.says("node listens on ["));
        let node = Node::builder().no_rc().nodeid("first").secret("geheim");
        let node = node.binds([""; 0]).seeds([address]).start().await.unwrap();
        if second.is_some() {
            node.round_trip("running", LIMIT).await.unwrap();
            node.snd_on("running", "nowhere#port", &("hello",)).unwrap();
            node.round_trip("running", LIMIT).await.unwrap();
        }
        running.signal(first);
        running.says("ending");
        if let Some(second) = second {
            assert!(
                running.process.try_wait().unwrap().is_none(),
                "it has ended"
            );
            running.signal(second);
        }
        let took = running.ends();
        assert!(took < Duration::from_secs(4), "{took:?}");
        node.shutdown().await;
    }
}
