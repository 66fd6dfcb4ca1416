//! The command `aemp run` takes another certificate while it runs.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

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

    fn hang_up(&self) {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-HUP", &id]).status().unwrap();
        assert!(sent.success());
    }
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
    let address = line.split(['[', ']']).nth(1).unwrap().to_owned();

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
    running.hang_up();
    running.says("the old certificate stays");
    let second = reaches("second", &old).await;
    write(&new);
    running.hang_up();
    running.says("new links use the new certificate");
    let third = reaches("third", &new).await;
    // Links that were up stay.
    first.round_trip("running", LIMIT).await.unwrap();
    for node in [first, second, third] {
        node.shutdown().await;
    }
}
