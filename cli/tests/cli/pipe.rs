//! `aemp pipe` and `aemp logs`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use super::Home;

/// Killed when dropped.
struct Started(Child);

impl Started {
    fn of(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Started(command.stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Gives it this input, and reads its output to the end.
    fn talk(mut self, input: Vec<u8>) -> std::thread::JoinHandle<(Option<i32>, Vec<u8>)> {
        std::thread::spawn(move || {
            let mut stdin = self.0.stdin.take().unwrap();
            let writing = std::thread::spawn(move || stdin.write_all(&input));
            let mut output = Vec::new();
            let mut stdout = self.0.stdout.take().unwrap();
            stdout.read_to_end(&mut output).unwrap();
            // Who has ended does not read.
            let _ = writing.join().unwrap();
            (self.0.wait().unwrap().code(), output)
        })
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The node's ID and the name, as the line has them that says whom to pipe to.
fn waiting(listener: &mut Started) -> (String, String) {
    let mut line = String::new();
    let mut stderr = BufReader::new(listener.0.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    let words = line.trim().strip_prefix("waiting for: aemp pipe ");
    let words = words.unwrap_or_else(|| panic!("it says {line:?}"));
    let (node, name) = words.split_once(' ').unwrap();
    // What else it says is read, so that it never waits for us.
    std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    (node.to_owned(), name.to_owned())
}

fn octets(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 31 + n / 257) as u8 ^ seed).collect()
}

/// Two shells pipe to each other by way of a node of the network; neither of them listens, but for
/// the one that waits.
#[test]
fn two_shells_pipe_to_each_other() {
    let home = Home::new();
    home.network("127.0.0.1:1");
    let node = home.run("meeting");
    let listens = |binds: &str| {
        let rc = format!(
            r#"{{"version":1,"secret":"geheim","generation":1,"profile":{{"aemp":{{"binds":[{binds}],"seeds":["{}"]}}}}}}"#,
            node.listener
        );
        home.write(&rc);
    };
    for id in [None, Some("well-known")] {
        listens(r#""127.0.0.1:*""#);
        let mut command = home.command();
        command.args(["pipe", "--listen", "tube"]);
        command.args(id.iter().flat_map(|id| ["--nodeid", id]));
        let mut listener = Started::of(&mut command);
        let (found, name) = waiting(&mut listener);
        assert_eq!(name, "tube");
        assert!(id.is_none_or(|id| id == found), "{found}");

        listens("");
        let (there, back) = (octets(1, 3_000_000), octets(2, 2_000_000));
        let mut command = home.command();
        command.args(["pipe", &found, "tube", "[1,2]", "text"]);
        let dials = Started::of(&mut command).talk(there.clone());
        let waits = listener.talk(back.clone());
        let (dialled, waited) = (dials.join().unwrap(), waits.join().unwrap());
        assert_eq!((dialled.0, waited.0), (Some(0), Some(0)));
        assert!(dialled.1 == back && waited.1 == there);
    }
}

#[test]
fn who_can_not_be_piped_to_is_said() {
    let home = Home::new();
    home.network("127.0.0.1:1");
    let node = home.run("deaf");
    home.network(&node.listener);
    let failed = home.aemp(&["pipe", "deaf", "nothing"]).code(1);
    let said = super::stderr(failed);
    assert!(
        said.contains("deaf: unable to resolve function 'nothing'"),
        "{said}"
    );
    for wrong in [
        &["pipe"][..],
        &["pipe", "deaf"],
        &["pipe", "--listen", "a", "b", "c"],
    ] {
        home.aemp(wrong).code(2);
    }
}

/// The lines of a node that shows none of them itself.
#[test]
fn log_lines_of_the_network_are_printed() {
    let home = Home::new();
    home.network("127.0.0.1:1");
    let node = home.run("talker");
    home.network(&node.listener);
    let mut command = home.command();
    let mut logs = Started::of(command.args(["logs", "8"]));
    let mut lines = BufReader::new(logs.0.stdout.take().unwrap()).lines();
    let mut wait_for = |text: &str| loop {
        let line = lines.next().expect("it runs").unwrap();
        if line.contains(text) {
            break line;
        }
    };
    let line = wait_for("are sent to");
    assert!(
        line.contains(" [talker] <8> log lines up to level 8 "),
        "{line}"
    );
    let killed = home.aemp(&["snd", "talker", "no_such_request"]);
    killed.success();
    let line = wait_for("unable to resolve function 'no_such_request'");
    assert!(line.contains(" [talker] <2> "), "{line}");
    let pid = logs.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(logs.0.wait().unwrap().code(), Some(0));
    home.aemp(&["logs", "10"]).code(2);
}
