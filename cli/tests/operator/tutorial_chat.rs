//! The second part of the tutorial, with our `aemp` in the place of Perl's: exceptions, monitors,
//! and the chat whose server and clients come and go. The part before it set up the network.
//!
//! Its server is a program of `aemp exec`, and its client is `aemp shell`; where Perl is there, its
//! own server and client take part as well.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::address::free_address;
use crate::perl::{perl, releases};
use crate::shell::Shell;
use crate::support::{Home, Running, repository};

/// The network of the first part, of which nothing runs yet: the address of the seed.
fn set_up(home: &Home) -> String {
    let seed = free_address();
    let profile = format!("profile seed binds {seed}");
    let others = format!("seeds {seed} nodeid anon/");
    for line in ["gensecret", "binds 127.0.0.1:*", &profile, &others] {
        let mut done = home.start(&line.split(' ').collect::<Vec<_>>());
        assert!(done.ends().success(), "aemp {line}: {:?}", done.rest());
    }
    seed
}

fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: no python3");
    }
    found
}

#[test]
fn exceptions_and_monitors() {
    if !has_python() {
        return;
    }
    let home = Home(tempfile::tempdir().unwrap());
    set_up(&home);
    let _seed = home.start(&["run", "profile", "seed"]);

    // A port whose code fails when it gets a message, and whoever monitors it is told.
    let fails = "import sys; sys.stdin.readline(); raise Exception('oops')";
    let mut program = home.start(&["exec", "--", "python3", "-c", fails]);
    let port = program.prints();
    let mut shell = Shell::start(&home, &[]);
    shell.run(&format!("mon {port}"));
    shell.run(&format!("snd {port}"));
    assert_eq!(shell.told(), json!({"died": port, "reason": ["exit", 1]}));
    assert_eq!(program.ends().code(), Some(1));
    program.says("Exception: oops");

    // One that was killed before somebody could monitor it.
    let own = shell.run("port")["port"].as_str().unwrap().to_owned();
    shell.run(&format!("kil {own}"));
    shell.run(&format!("mon {own}"));
    let reason = json!(["no_such_port", "cannot monitor nonexistent port", own]);
    assert_eq!(shell.told(), json!({"died": own, "reason": reason}));

    // An error of one's own, and a clean end.
    let text = "don't like your steenking face";
    for (reason, wanted) in [
        (
            format!("custom_error \"{text}\""),
            json!(["custom_error", text]),
        ),
        (String::new(), json!([])),
    ] {
        let own = shell.run("port")["port"].as_str().unwrap().to_owned();
        shell.run(&format!("mon {own}"));
        shell.run(&format!("kil {own} {reason}"));
        assert_eq!(shell.told(), json!({"died": own, "reason": wanted}));
    }
    assert_eq!(shell.ends(), Some(0));
}

/// A client in the shell, which joins whenever there is a server.
struct Client {
    shell: Shell,
    port: String,
    server: String,
}

impl Client {
    fn start(home: &Home) -> Client {
        Client {
            shell: Shell::start(home, &[]),
            port: String::new(),
            server: String::new(),
        }
    }

    fn join(&mut self, nick: &str) {
        self.server = self.shell.find("eg_chat_server", &self.server);
        self.port = self.shell.run("port")["port"].as_str().unwrap().to_owned();
        let (server, port) = (&self.server, &self.port);
        self.shell.run(&format!("snd {server} join {port} {nick}"));
        self.shell.run(&format!("mon {server}"));
        self.hears(&format!("{nick} (joins)"));
    }

    fn says(&mut self, nick: &str, text: &str) {
        let line = format!("snd {} privmsg {nick} \"{text}\"", self.server);
        assert_eq!(self.shell.run(&line)["sent"], true);
    }

    fn hears(&mut self, text: &str) {
        let wanted = json!({"port": self.port, "message": [text]});
        assert_eq!(self.shell.told(), wanted);
    }

    /// The server is lost.
    fn loses(&mut self) {
        assert_eq!(self.shell.told()["died"], self.server.as_str());
    }
}

/// What runs as server.
enum Server {
    Ours,
    Perls(PathBuf),
}

impl Server {
    fn start(&self, home: &Home) -> Running {
        let server = match self {
            Server::Ours => {
                let program = repository("examples/programs/chat_server.py");
                Running::start(home.command(["exec", "--", "python3", program.to_str().unwrap()]))
            }
            Server::Perls(release) => {
                let mut command = perl(release, home);
                command
                    .arg(release.join("eg/chat_server"))
                    .stderr(Stdio::piped());
                Running::start(command)
            }
        };
        server.says("server ready.");
        server
    }
}

#[test]
fn the_chat_of_part_2() {
    if !has_python() {
        return;
    }
    let perls = releases(&["1.30"]);
    let servers = perls.iter().cloned().map(Server::Perls);
    for server in [Server::Ours].into_iter().chain(servers) {
        let home = Home(tempfile::tempdir().unwrap());
        set_up(&home);

        // In the order of the text: clients, server, and the seed at the end.
        let mut nick1 = Client::start(&home);
        let perls_client = perls.first().map(|release| {
            let mut command = perl(release, &home);
            command
                .arg("-e")
                .arg("$| = 1; do shift")
                .arg(release.join("eg/chat_client"));
            command.arg("nick2").stdin(Stdio::piped());
            Running::start(command)
        });
        let first = server.start(&home);
        let _seed = home.start(&["run", "profile", "seed"]);
        if let Some(client) = &perls_client {
            while !client.prints().contains("nick2 (joins)") {}
        }
        nick1.join("nick1");

        nick1.says("nick1", "hello");
        nick1.hears("nick1: hello");
        let mut perls_client = perls_client;
        if let Some(client) = &mut perls_client {
            while !client.prints().contains("nick1: hello") {}
            client.types("good morning");
            nick1.hears("nick2: good morning");
        }

        // The server is stopped, and started again: everybody is told, and comes back.
        drop(first);
        nick1.loses();
        if let Some(client) = &perls_client {
            while !client.prints().contains("disconnected ") {}
        }
        let second = server.start(&home);
        if let Some(client) = &perls_client {
            while !client.prints().contains("nick2 (joins)") {}
        }
        nick1.join("nick1");

        // A client is killed.
        let mut nick3 = Client::start(&home);
        nick3.join("nick3");
        nick1.hears("nick3 (joins)");
        if let Some(client) = perls_client {
            drop(client);
            for client in [&mut nick1, &mut nick3] {
                let told = client.shell.told()["message"][0].clone();
                assert!(
                    told.as_str()
                        .unwrap()
                        .starts_with("nick2 (quits, transport_error ")
                );
            }
        }
        // A port that is killed leaves as well.
        let port = nick3.port.clone();
        nick3.shell.run(&format!("kil {port} bye"));
        nick1.hears("nick3 (quits, bye)");
        drop(second);
        nick1.loses();
        assert_eq!(nick3.shell.ends(), Some(0));
    }
}
