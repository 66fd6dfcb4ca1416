//! `aemp exec`: a port that is a child process.

use std::process::Command;

use aemp::PortId;
use serde_json::{Value, json};

use crate::support::{Home, LIMIT, Running, death, members, next, node, repository};

const NODE: [&str; 5] = ["exec", "nodeid", "e", "binds", "127.0.0.1:*"];

/// A program on a node, and where that listens.
fn exec(home: &Home, program: &[&str]) -> (Running, String, PortId) {
    let arguments: Vec<&str> = NODE.iter().chain(&["--"]).chain(program).copied().collect();
    let running = home.start(&arguments);
    let address = running.address();
    let port = running.prints().into();
    (running, address, port)
}

fn shell(home: &Home, text: &str) -> (Running, String, PortId) {
    exec(home, &["sh", "-c", text])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_shell_example_answers_and_its_status_is_the_reason() {
    let home = Home::new(json!({}));
    let script = repository("examples/programs/ping.sh");
    let (mut running, address, port) = exec(&home, &["sh", script.to_str().unwrap()]);
    let node = node("t", &address).await;
    assert_eq!(
        members(&node, "pingers", 1).await,
        std::slice::from_ref(&port)
    );
    let reply: Vec<Value> = node.cal(&port, &("ping",), Some(LIMIT)).await.unwrap();
    assert_eq!(reply, ["pong"]);
    node.snd(&port, &("what", 1)).unwrap();
    running.says(r#"sh: not understood: ["what",1]"#);
    let dies = death(&node, &port);
    node.snd(&port, &("stop", 3)).unwrap();
    assert_eq!(dies.await.values(), [json!("exit"), json!(3)]);
    assert_eq!(running.ends().code(), Some(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_python_example_monitors() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: no python3");
        return;
    }
    let home = Home::new(json!({}));
    let script = repository("examples/programs/counter.py");
    let (mut running, address, port) = exec(&home, &["python3", script.to_str().unwrap()]);
    running.says("counts");
    let node = node("t", &address).await;
    let mut inbox = node.mailbox();
    node.snd(&port, &("add", 2, inbox.id())).unwrap();
    assert_eq!(next(&mut inbox).await, json!(["sum", 2]));
    node.snd(&port, &("add", 5, inbox.id())).unwrap();
    assert_eq!(next(&mut inbox).await, json!(["sum", 7]));
    drop(inbox);
    // It is told of the death before anything that is sent after it.
    let mut inbox = node.mailbox();
    node.snd(&port, &("add", 1, inbox.id())).unwrap();
    assert_eq!(next(&mut inbox).await, json!(["sum", 1]));
    let dies = death(&node, &port);
    node.snd(&port, &("stop", 0)).unwrap();
    assert!(dies.await.is_normal());
    assert!(running.ends().success());
}

/// Each request, and what it is answered with. Every line that the program is given goes on to the
/// group `test`, as a text.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_a_program_can_ask_for() {
    let home = Home::new(json!({}));
    // It says what it is sent with "say", and hands everything else to the test.
    let program = r#"
        echo '["reg","program"]'; echo '["grp","test"]'
        while read -r line; do
            case $line in
            '["say",'*) line=${line#'["say",'}; echo "${line%]}" ;;
            '{"group":"test","ports":["'*) to=${line#*'"ports":["'}; to=${to%%'"'*};;
            *) printf '["snd","%s",%s]\n' "$to" "$line" ;;
            esac
        done"#;
    let (_running, address, port) = shell(&home, program);
    let node = node("t", &address).await;
    node.function("f::g", |cx, (reply, n): (PortId, u32)| {
        cx.this().rcv_any(|_, _| ());
        cx.snd(&reply, &("called", n))
    });
    let mut inbox = node.mailbox();
    node.register("test", inbox.id());
    members(&node, "program", 1).await;
    let say = |request: Value| node.snd(&port, &("say", request)).unwrap();
    // Until it knows whom to tell, it tells nobody.
    let mut told = Value::Null;
    for n in 0.. {
        node.snd(&port, &("hello", n)).unwrap();
        let message = inbox
            .recv_timeout(std::time::Duration::from_millis(50))
            .await;
        if let Ok(message) = message {
            told = Value::Array(message.values());
            break;
        }
        assert!(n < 200, "it does not learn of the group");
    }
    assert_eq!(told[0][0], "hello");
    node.snd(&port, &("now",)).unwrap();
    while next(&mut inbox).await != json!([["now"]]) {}

    // Numbers come through as they are, as do texts with the signs of JSON in them.
    node.snd(&port, &("x", 1.5, u64::MAX, "a\"\n\\é")).unwrap();
    assert_eq!(
        next(&mut inbox).await,
        json!([["x", 1.5, u64::MAX, "a\"\n\\é"]])
    );
    let (victim, other) = (node.port(), node.port());
    say(json!(["mon", victim.id()]));
    say(json!(["mon", other.id()]));
    say(json!(["unmon", other.id()]));
    say(json!(["kil", victim.id(), "custom", 7]));
    let died = json!([{"died": victim.id(), "reason": ["custom", 7]}]);
    assert_eq!(next(&mut inbox).await, died);
    other.kil("unseen");
    say(json!(["spawn", "t", "f::g", inbox.id(), 5]));
    let (first, second) = (next(&mut inbox).await, next(&mut inbox).await);
    let (called, spawned) = match first[0] == "called" {
        true => (first, second),
        false => (second, first),
    };
    assert_eq!(called, json!(["called", 5]));
    assert_eq!(spawned[0]["function"], "f::g");
    let id = spawned[0]["spawned"].as_str().unwrap().to_owned();
    assert!(node.local_port(&*id).is_some(), "{id}");
    let adder = node.port();
    adder.rcv("add", |cx, (a, b, reply): (u32, u32, PortId)| {
        cx.snd(&reply, &(a + b,))
    });
    say(json!(["cal", [1, "id"], adder.id(), "add", 3, 4]));
    assert_eq!(
        next(&mut inbox).await,
        json!([{"reply": [1, "id"], "args": [7]}])
    );
    say(json!(["cal", null, "t#none", "add"]));
    let lost = next(&mut inbox).await;
    assert_eq!(
        (&lost[0]["lost"], &lost[0]["reason"][0]),
        (&Value::Null, &json!("no_such_port"))
    );
    // A message is no event, whatever it looks like.
    node.snd(&port, &("died", "t#x")).unwrap();
    assert_eq!(next(&mut inbox).await, json!([["died", "t#x"]]));
    say(json!(["unreg", "program"]));
    members(&node, "program", 0).await;
    let dies = death(&node, &port);
    say(json!(["kil", null, "enough"]));
    assert_eq!(dies.await.to_string(), "enough");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_signal_is_named() {
    let home = Home::new(json!({}));
    let (mut running, address, port) = shell(&home, "read -r line; kill -KILL $$");
    let node = node("t", &address).await;
    let dies = death(&node, &port);
    node.snd(&port, &("go",)).unwrap();
    assert_eq!(dies.await.to_string(), "signal SIGKILL");
    assert_eq!(running.ends().code(), Some(128 + 9));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_no_request_kills_the_port() {
    let home = Home::new(json!({"max_message": 1000}));
    for (program, wanted) in [
        (
            "read -r line; echo hello; sleep 60",
            "program line 1 of its output can't be used: it is no JSON array",
        ),
        (
            r#"echo '["reg","g"]'; read -r line; echo '["send","a"]'; sleep 60"#,
            "program line 2 of its output can't be used: \"send\" is no request",
        ),
        (
            "read -r line; head -c 2000 /dev/zero | tr '\\0' x; sleep 60",
            "program line 1 of its output is longer than max_message allows, 1000 octets",
        ),
    ] {
        let (mut running, address, port) = shell(&home, program);
        let node = node("t", &address).await;
        let dies = death(&node, &port);
        node.snd(&port, &("go",)).unwrap();
        let reason = dies.await.to_string();
        assert!(reason.starts_with(wanted), "{reason}");
        // The program has ended before the node has.
        assert_eq!(running.ends().code(), Some(1));
        running.says("the port died: program line");
    }
}

/// By the end of its input, by SIGTERM, by SIGKILL: whichever it heeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn killing_the_port_ends_the_program() {
    let home = Home::new(json!({}));
    let file = home.path("ended");
    for (program, ended) in [
        ("while read -r line; do :; done; echo input > FILE", "input"),
        (
            "trap 'echo signal > FILE; exit' TERM; echo ready >&2; while :; do sleep 0.05; done",
            "signal",
        ),
        // What it has started ends as well.
        (
            "(trap '' TERM; echo ready >&2; sleep 60) & trap '' TERM; wait; sleep 60",
            "",
        ),
    ] {
        let _ = std::fs::remove_file(&file);
        let program = program.replace("FILE", file.to_str().unwrap());
        let (mut running, address, port) = shell(&home, &program);
        if ended != "input" {
            running.says("ready");
        }
        let node = node("t", &address).await;
        node.round_trip("e", LIMIT).await.unwrap();
        node.kil(&port, "killed");
        assert_eq!(running.ends().code(), Some(1));
        running.says("the port died: killed");
        let found = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(found.trim(), ended, "{program}");
    }
}

/// It reads nothing: what waits for it is bounded as for any port.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_program_that_does_not_read_overflows() {
    let home = Home::new(json!({"max_mailbox": 100}));
    let (mut running, address, port) = shell(&home, "sleep 60");
    let node = node("t", &address).await;
    let dies = death(&node, &port);
    // The pipe takes some, the mailbox takes 100.
    for _ in 0..1000 {
        node.snd(&port, &("x".repeat(1000),)).unwrap();
    }
    assert_eq!(dies.await.kind(), Some("overflow"));
    running.ends();
}

#[test]
fn what_cannot_be_run_is_said() {
    let home = Home::new(json!({}));
    let arguments = NODE.iter().chain(&["--", "/nowhere/program"]);
    let mut running = Running::start(home.command(arguments));
    assert_eq!(running.ends().code(), Some(1));
    running.says("/nowhere/program can't be run: No such file or directory");
}

/// Its end is the program's, within the time that programs are given.
#[test]
fn a_signal_ends_both() {
    let home = Home::new(json!({}));
    let file = home.path("ended");
    let program = format!(
        "while read -r line; do :; done; echo so > {}",
        file.display()
    );
    let (mut running, _, _) = shell(&home, &program);
    running.signal("-TERM");
    assert!(running.ends().success());
    assert_eq!(std::fs::read_to_string(file).unwrap(), "so\n");
}

/// Three of a program are three ports; the status is that of the first that fails, when all have
/// ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn many_of_a_program_are_many_ports() {
    let home = Home::new(json!({}));
    let script = repository("examples/programs/ping.sh");
    let program = ["--", "sh", script.to_str().unwrap()];
    let arguments: Vec<&str> = NODE[..1]
        .iter()
        .chain(&["--instances", "3"])
        .chain(&NODE[1..])
        .chain(&program)
        .copied()
        .collect();
    let mut running = home.start(&arguments);
    let address = running.address();
    let mut printed: Vec<PortId> = (0..3).map(|_| running.prints().into()).collect();
    let node = node("t", &address).await;
    let mut found = members(&node, "pingers", 3).await;
    printed.sort();
    found.sort();
    assert_eq!(found, printed);
    for (port, status) in printed.iter().zip([0, 4, 5]) {
        let reply: Vec<Value> = node.cal(port, &("ping",), Some(LIMIT)).await.unwrap();
        assert_eq!(reply, ["pong"]);
        let dies = death(&node, port);
        node.snd(port, &("stop", status)).unwrap();
        dies.await;
    }
    assert_eq!(running.ends().code(), Some(4));
}
