//! The shell's line editor: completion, history, and what comes while one types.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use crate::home::Home;
use crate::terminal::Terminal;

const TAB: &str = "\t";
const ENTER: &str = "\r";
const UP: &str = "\x1b[A";
const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const CTRL_U: &str = "\x15";

/// A node, and a home whose shell finds it.
async fn network() -> (aemp::Node, Home) {
    let node = aemp::Node::builder()
        .no_rc()
        .nodeid("worker")
        .secret("geheim");
    let node = node.binds(["127.0.0.1:0"]).start().await.unwrap();
    let home = Home::new(&node.listeners()[0]);
    (node, home)
}

/// A shell on that node, which is connected.
fn shell(home: &Home) -> Terminal {
    let terminal = home.start(&["shell", "worker"]);
    terminal.until("the connection", |lines| {
        let is_connected = lines.iter().any(|line| line == "worker is connected");
        is_connected && lines.last().is_some_and(|last| last == "worker>")
    });
    terminal
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_completed() {
    let (node, home) = network().await;
    let port = node.port();
    node.register("printers", &port);
    node.function("main::till", |_, (): ()| {});
    let mut terminal = shell(&home);
    // The group comes with the connection.
    terminal.press("groups pri");
    terminal.press(TAB);
    terminal.until_last("worker> groups printers");
    terminal.press(ENTER);
    terminal.until("the port", |lines| {
        lines.iter().any(|line| line == port.id().as_str())
    });
    for (typed, wanted) in [
        ("cal worker#", &*format!("worker> cal {}", port.id())),
        ("showpr", "worker> showprofile"),
        ("showprofile ti", "worker> showprofile till"),
        ("spawn . main::", "worker> spawn . main::till"),
        ("mon #", &*format!("worker> mon #{}", port.id().name())),
        (
            "snd . reply #",
            &*format!("worker> snd . reply #{}", port.id().name()),
        ),
        ("=w", "worker> =worker"),
    ] {
        terminal.until_last("worker>");
        terminal.press(typed);
        terminal.until_last(format!("worker> {typed}").trim_end());
        terminal.press(TAB);
        terminal.until_last(wanted);
        terminal.press(CTRL_U);
    }
    // What is common to all is completed, and the rest is listed.
    terminal.until_last("worker>");
    terminal.press("mon wor");
    terminal.until_last("worker> mon wor");
    terminal.press(TAB);
    terminal.until("a list", |lines| {
        let is_typed = lines.iter().any(|line| line == "worker> mon worker");
        let last = lines
            .last()
            .map(|last| last.split_whitespace().collect::<Vec<_>>());
        is_typed && last == Some(vec!["worker", port.id().as_str()])
    });
    terminal.press(CTRL_U);
    terminal.until_last("worker>");
    terminal.press(CTRL_D);
    assert_eq!(terminal.ends(), 0);
}

/// What comes while a line is half typed is shown above it, and the line stays whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_fires_while_one_types() {
    let (node, home) = network().await;
    let port = node.port();
    let mut terminal = shell(&home);
    terminal.press(&format!("mon {}\r", port.id()));
    // Its answer comes behind the monitor.
    terminal.press("cal . info\r");
    terminal.until("an answer", |lines| {
        lines.iter().any(|line| line == "\"worker\"")
    });
    terminal.until_last("worker>");
    terminal.press("cal . ti");
    terminal.until_last("worker> cal . ti");
    port.kil(aemp::Reason::new(["custom", "why"]));
    let died = format!("{} died: custom why", port.id());
    let lines = terminal.until("the death", |lines| {
        let is_told = lines.contains(&died);
        is_told && lines.last().is_some_and(|last| last == "worker> cal . ti")
    });
    let typed = lines.iter().filter(|line| line.contains("cal . ti"));
    assert_eq!(typed.count(), 1, "{lines:#?}");
    assert_eq!(lines[lines.len() - 2], died);

    // So is the log, and the line goes on where it was.
    node.shutdown().await;
    let lines = terminal.until("a line of the log", |lines| {
        let is_told = lines.iter().any(|line| line.contains("<7> worker is down"));
        is_told && lines.last().is_some_and(|last| last == "worker> cal . ti")
    });
    let typed = lines.iter().filter(|line| line.contains("cal . ti"));
    assert_eq!(typed.count(), 1, "{lines:#?}");
    for _ in "cal . ti".chars() {
        terminal.press("\x7f");
    }
    terminal.press("=w x");
    terminal.until_last("worker> =w x");
    terminal.press(ENTER);
    terminal.until("an error", |lines| {
        lines.iter().any(|line| line == "aemp: it is: =NODE")
    });
    terminal.press("quit\r");
    assert_eq!(terminal.ends(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_remembered() {
    let (_node, home) = network().await;
    let file = home.path().join("state/aemp/history");

    // Not those that nobody typed.
    let mut command = Command::new(env!("CARGO_BIN_EXE_aemp"));
    command.arg("shell").env("PERL_ANYEVENT_MP_RC", home.rc());
    command.env("XDG_STATE_HOME", home.path().join("state"));
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut piped = command.spawn().unwrap();
    writeln!(piped.stdin.take().unwrap(), "cal worker info").unwrap();
    assert!(piped.wait().unwrap().success());
    assert!(!file.exists());

    let mut terminal = shell(&home);
    terminal.press("cal . info\r");
    terminal.until("an answer", |lines| {
        lines.iter().any(|line| line == "\"worker\"")
    });
    terminal.until_last("worker>");
    terminal.press(CTRL_D);
    assert_eq!(terminal.ends(), 0);
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");

    let terminal = shell(&home);
    terminal.press(UP);
    terminal.until_last("worker> cal . info");
    terminal.press(ENTER);
    terminal.until("an answer", |lines| {
        lines.iter().any(|line| line == "\"worker\"")
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_waited_for_can_be_interrupted() {
    let (node, home) = network().await;
    let (asked, mut waiting) = tokio::sync::mpsc::unbounded_channel();
    let silent = node.port_with(move |_, _| {
        let _ = asked.send(());
    });
    let mut terminal = shell(&home);
    terminal.press(&format!("cal {}\r", silent.id()));
    waiting.recv().await.unwrap();
    terminal.press(CTRL_C);
    terminal.until("the interruption", |lines| {
        let is_told = lines.iter().any(|line| line == "aemp: interrupted");
        is_told && lines.last().is_some_and(|last| last == "worker>")
    });
    // A line that is being typed is cleared by it.
    terminal.press("cal . in");
    terminal.until_last("worker> cal . in");
    terminal.press(CTRL_C);
    terminal.until("the next line", |lines| {
        lines.last().is_some_and(|last| last == "worker>")
    });
    // What ends the process leaves a terminal that shows what is typed.
    let ended = Command::new("kill").arg(terminal.id().to_string()).status();
    assert!(ended.unwrap().success());
    assert_eq!(terminal.ends(), 0);
}
