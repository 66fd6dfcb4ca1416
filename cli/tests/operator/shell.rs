//! `aemp shell` without a terminal: the lines of standard input, one after another.

use std::process::Stdio;
use std::time::Instant;

use serde_json::{Value, json};

use crate::perl::{perl, releases};
use crate::support::{Home, LIMIT, Running, builder, repository};

/// A shell that writes JSON: what comes of each line is told from what comes by itself.
pub struct Shell {
    process: Running,
    typed: u64,
    /// What came by itself.
    told: Vec<Value>,
}

impl Shell {
    pub fn start(home: &Home, arguments: &[&str]) -> Shell {
        let mut command = home.command(["--json", "shell"]);
        command.args(arguments).stdin(Stdio::piped());
        Shell {
            process: Running::start(command),
            typed: 0,
            told: Vec::new(),
        }
    }

    fn next(&self) -> Value {
        serde_json::from_str(&self.process.prints()).unwrap()
    }

    /// What comes of a line, without its number.
    pub fn run(&mut self, line: &str) -> Value {
        self.process.types(line);
        self.typed += 1;
        loop {
            let mut said = self.next();
            match said["line"].as_u64() {
                Some(number) => {
                    assert_eq!(number, self.typed, "{said}");
                    said.as_object_mut().unwrap().remove("line");
                    return said;
                }
                None => self.told.push(said),
            }
        }
    }

    /// The next of what comes by itself.
    pub fn told(&mut self) -> Value {
        if self.told.is_empty() {
            let said = self.next();
            assert_eq!(said["line"], Value::Null, "{said}");
            return said;
        }
        self.told.remove(0)
    }

    /// A port of a group, as soon as it has one that is not this.
    pub fn find(&mut self, group: &str, not: &str) -> String {
        let begun = Instant::now();
        while begun.elapsed() < LIMIT {
            let found = self.run(&format!("groups {group}"));
            let mut ports = found["ports"].as_array().into_iter().flatten();
            if let Some(port) = ports.find(|port| *port != not) {
                return port.as_str().unwrap().to_owned();
            }
        }
        panic!("nobody is in {group}")
    }

    /// Its status at the end of its input.
    pub fn ends(mut self) -> Option<i32> {
        self.process.types_no_more();
        self.process.ends().code()
    }
}

/// A network of one node of the test, which the shell finds.
async fn network() -> (Home, aemp::Node) {
    let node = builder("worker")
        .binds(["127.0.0.1:0"])
        .set("generation", 1);
    let node = node.start().await.unwrap();
    let home = Home::new(json!({}));
    let seeds = node.listeners();
    home.configure(json!({"profile": {"aemp": {"binds": [], "seeds": seeds}, "till": {}}}));
    (home, node)
}

/// Runs lines to their end: status, standard output, standard error.
fn run(home: &Home, arguments: &[&str], lines: &str) -> (Option<i32>, String, String) {
    let mut command = assert_cmd::Command::from_std(home.command(arguments));
    let output = command.write_stdin(lines).output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn lines_are_run_one_after_another() {
    let (home, node) = network().await;
    let port = node.port_with(|cx, message| {
        let (what, reply): (Value, aemp::PortId) = message.args()?;
        cx.snd(&reply, &("got", what))?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    });
    node.register("workers", &port);
    let id = port.id();
    let lines = format!(
        "# nothing\n\ncal . time\ncal {id} [1.5,{{\"a\": null}}]\ncal {id} \"two words\"\n\
         groups\ngroups workers\nports worker\nsnd {id} x worker\nshowprofile till\nquit\ncal nobody\n"
    );
    let (status, output, errors) = run(&home, &["shell", "worker"], &lines);
    assert_eq!((status, &*errors), (Some(0), ""), "{output}");
    let lines: Vec<&str> = output.lines().collect();
    assert!(lines[0].parse::<f64>().unwrap() > 1.7e9, "{output}");
    assert_eq!(
        lines[1..],
        [
            r#""got",[1.5,{"a":null}]"#,
            r#""got","two words""#,
            &format!("workers: {id}"),
            id.as_str(),
            id.as_str(),
            "sent",
            "{}",
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_line_that_fails_is_told_and_the_rest_is_run() {
    let (home, _node) = network().await;
    let lines = "cal worker info\ncal worker#no x\nevaluate this\nnodse\nmon\ncal . info\n";
    let (status, output, errors) = run(&home, &["shell", "worker"], lines);
    assert_eq!((status, &*output), (Some(1), "\"worker\"\n\"worker\"\n"));
    for wanted in [
        "line 2: the called port died: no_such_port",
        "line 3: this node does not evaluate expressions\n",
        "line 4: this node does not evaluate expressions; did you mean `nodes`?",
        "line 5: it is: mon PORT..",
    ] {
        assert!(
            errors.contains(&format!("aemp: {wanted}")),
            "{wanted}: {errors}"
        );
    }
    let (status, output, _) = run(&home, &["--json", "shell"], "1 + 1\n# x\nport x\n");
    let said: Vec<Value> = output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(status, Some(1));
    assert_eq!(said.len(), 2, "{output}");
    assert_eq!(said[0]["line"], 1);
    assert_eq!(said[1], json!({"line": 3, "error": "it is: port"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn ports_are_spawned_monitored_killed_and_heard() {
    let (home, node) = network().await;
    node.function("main::echo", |cx, (reply,): (aemp::PortId,)| {
        cx.this()
            .rcv("die", |_, (text,): (String,)| Err::<(), _>(text));
        cx.snd(&reply, &("ready", cx.id()))
    });
    let mut shell = Shell::start(&home, &["worker"]);
    let functions = shell.run("functions . main::");
    assert_eq!(functions, json!({"functions": ["main::echo"]}));
    let own = shell.run("port")["port"].as_str().unwrap().to_owned();
    let spawned = shell.run(&format!("spawn . ::echo {own}"));
    let spawned = spawned["port"].as_str().unwrap().to_owned();
    assert_eq!(
        shell.told(),
        json!({"port": own, "message": ["ready", spawned]})
    );
    // The spawned port is monitored.
    assert!(
        shell.run("wait 0")["error"]
            .as_str()
            .unwrap()
            .contains(&spawned)
    );
    let sent = shell.run(&format!("snd {spawned} die oops"));
    // The port was dead before its node could say that it has taken the message, or even before it
    // was asked to.
    let error = sent["error"].as_str().unwrap();
    assert!(
        error == "die oops" || error.starts_with("no_such_port "),
        "{sent}"
    );
    assert_eq!(
        shell.told(),
        json!({"died": spawned, "reason": ["die", "oops"]})
    );
    assert_eq!(shell.run("wait"), json!({}));
    let refused = shell.run("spawn . main::none");
    assert!(
        refused["error"].as_str().unwrap().contains(" died: "),
        "{refused}"
    );

    let port = node.port();
    let id = port.id().as_str();
    assert_eq!(
        shell.run(&format!("mon {id} {own}")),
        json!({"monitored": [id, own]})
    );
    assert_eq!(shell.run(&format!("unmon {own}")), json!({}));
    shell.run("cal worker time");
    shell.run(&format!("kil {id} custom 7"));
    assert_eq!(shell.told(), json!({"died": id, "reason": ["custom", 7]}));

    shell.run(&format!("reg listeners {own}"));
    assert_eq!(shell.find("listeners", ""), own);
    let nodes = shell.run("=");
    let worker = nodes["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|node| node["node"] == "worker");
    assert_eq!(worker.unwrap()["connected"], true, "{nodes}");
    assert_eq!(shell.run("=other"), json!({"node": "other"}));
    assert_eq!(shell.run("stats worker")["node"], "worker");
    // The node is lost with what is monitored there.
    shell.run("mon worker");
    node.shutdown().await;
    assert_eq!(shell.told()["died"], "worker");
    assert_eq!(shell.ends(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_database() {
    let node = builder("keeper")
        .binds(["127.0.0.1:0"])
        .set("generation", 2);
    let node = node.start().await.unwrap();
    let home = Home::new(json!({}));
    let aemp = json!({"binds": [], "seeds": node.listeners()});
    home.configure(json!({"generation": 2, "profile": {"aemp": aemp}}));
    node.db_set("shop", "till", &json!({"open": true})).unwrap();
    let mut shell = Shell::start(&home, &[]);
    shell.run("db_set shop \"the door\" [1,2]");
    shell.run("db_set shop gone");
    shell.run("db_del shop gone");
    let all = json!({"values": {"till": {"open": true}, "the door": [1, 2]}});
    assert_eq!(shell.run("db shop"), all);
    assert_eq!(shell.run("db shop till"), json!({"value": {"open": true}}));
    let error = json!({"error": "shop has no key gone"});
    assert_eq!(shell.run("db shop gone"), error);
    assert_eq!(shell.ends(), Some(1));
}

/// On a Perl node, lines are Perl.
#[test]
fn perl_evaluates_lines() {
    for release in releases(&["0.95", "1.30"]) {
        let home = Home::new(json!({}));
        let mut node = perl(&release, &home);
        node.arg(repository("interop/perl/node.pl"))
            .stdin(Stdio::piped());
        let mut node = Running::start(node);
        let settings = json!({"nodeid": "perl", "binds": ["127.0.0.1:*"], "seeds": []});
        node.types(&json!({"id": 1, "cmd": "configure", "args": settings}).to_string());
        let seed = loop {
            let said: Value = serde_json::from_str(&node.prints()).unwrap();
            if said["id"] == 1 {
                break said["ok"]["listeners"][0].clone();
            }
        };
        home.configure(json!({"profile": {"aemp": {"binds": [], "seeds": [seed]}}}));
        let mut shell = Shell::start(&home, &["perl"]);
        assert_eq!(shell.run("our $n = 6; $n * 7"), json!({"results": [42]}));
        assert_eq!(
            shell.run("$main::n, [1, {a => 2}]")["results"][1],
            json!([1, {"a": 2}])
        );
        let died = shell.run("die \"oops\\n\"");
        assert_eq!(died, json!({"error": "oops"}));
        assert_eq!(shell.run("eval eval { 1 }"), json!({"results": [1]}));
        shell.run("sub Shop::till { } sub Shop::toll { } 1");
        let functions = json!({"functions": ["Shop::till", "Shop::toll"]});
        assert_eq!(shell.run("functions . Shop::"), functions);
        let port = shell.run("$main::p = AnyEvent::MP::port (sub { }); $main::p");
        let ports = shell.run("ports");
        assert!(
            ports["ports"]
                .as_array()
                .unwrap()
                .contains(&port["results"][0]),
            "{ports}"
        );
        assert_eq!(shell.ends(), Some(1));
    }
}
