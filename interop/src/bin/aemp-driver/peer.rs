//! Plays `perl/peer.pl`: the same steps, the same lines.

use std::time::Duration;

use aemp::{Mailbox, Message, Node, PortId, Reason, Text};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::functions::{values, with_port};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What bob waits between steps, so that what he did arrives first.
const PAUSE: Duration = Duration::from_millis(300);

pub async fn play(arguments: &[String]) -> Result<(), Failure> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["listen", port] => alice(port).await,
        ["connect", _, seed] => match timeout(Duration::from_secs(18), bob(seed)).await {
            Ok(result) => result,
            Err(_) => {
                eprintln!("timeout");
                Ok(())
            }
        },
        _ => Err("usage: --peer listen PORT | --peer connect PORT SEED".into()),
    }
}

/// The tag `echo` of alice's ports: `[TO, X..]` goes back as `["echoed", X..]`.
fn echo(port: &aemp::Port) {
    let act = crate::ports::act(port, "echoed", Some("echo"));
    debug_assert!(act.is_ok());
}

async fn alice(port: &str) -> Result<(), Failure> {
    let node = Node::builder()
        .nodeid("alice")
        .binds([format!("127.0.0.1:{port}")])
        .start()
        .await?;
    node.function_message("eg::init", |cx, message| {
        let (reply,): (PortId,) = message.args()?;
        let args = message.without_tag().values();
        let to = reply.clone();
        cx.this()
            .rcv_message("echo", move |cx, message| {
                let mut echoed = vec![json!("echoed")];
                echoed.extend(message.values());
                cx.snd(&to, &echoed)
            })
            .rcv_message("die", |_, _| Err::<(), _>("oops"))
            .rcv_message("kil", |cx, message| cx.fail(Reason::from(message.values())));
        cx.snd(&reply, &with_port("ready", cx.id(), &args))?;
        Ok::<(), Failure>(())
    });
    let port = node.port();
    echo(&port);
    port.rcv_message("bye", |cx, _| cx.end())
        .rcv_message("fail", |_, _| Err::<(), _>("failed"));
    node.register("eg", &port);
    node.register("eg_victim", node.port());
    sleep(Duration::from_secs(20)).await;
    node.shutdown().await;
    Ok(())
}

/// A message's elements, or a reason's, with blanks between them.
fn joined(message: &Message) -> String {
    Reason::from(message.values()).to_string()
}

fn say(line: impl std::fmt::Display) {
    println!("{line}");
}

/// Waits for a monitor.
async fn reason(node: &Node, port: &PortId) -> Result<Reason, Failure> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    node.mon(port, move |reason| drop(sender.send(reason)));
    Ok(receiver.await?)
}

async fn member(node: &Node, group: &str) -> Result<PortId, Failure> {
    let mut changes = node.mon_group(group);
    let change = changes.next().await.ok_or("the node stopped")?;
    Ok(change.members.first().ok_or("no member")?.clone())
}

async fn expect(inbox: &mut Mailbox, tag: &str) -> Result<Message, Failure> {
    Ok(inbox.recv_tag(tag).await?)
}

async fn bob(seed: &str) -> Result<(), Failure> {
    let node = Node::builder()
        .nodeid("bob")
        .binds([""; 0])
        .seeds([format!("127.0.0.1:{seed}")])
        .start()
        .await?;
    let port = member(&node, "eg").await?;

    // An echo, then a normal end.
    let mut inbox = node.mailbox();
    node.snd(
        &port,
        &[vec![json!("echo"), json!(inbox.id())], values()].concat(),
    )?;
    let echoed = expect(&mut inbox, "echoed").await?.values();
    say(format_args!("echoed: {} values", echoed.len()));
    if echoed != values() {
        eprintln!("the values came back as {echoed:?}");
    }
    let (sender, receiver) = tokio::sync::oneshot::channel();
    node.mon(&port, move |reason| drop(sender.send(reason)));
    sleep(PAUSE).await;
    node.snd(&port, &("bye",))?;
    say(format_args!("mon1 reason: {:?}", receiver.await?));
    sleep(PAUSE).await;

    // A spawned port that fails.
    let spawned = node.spawn("alice", "eg::init", &(inbox.id(), "arg", 1))?;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    node.mon(&spawned, move |reason| drop(sender.send(reason)));
    let ready = expect(&mut inbox, "ready").await?;
    say(format_args!("ready: {}", joined(&ready)));
    node.snd(&spawned, &("echo", "x"))?;
    expect(&mut inbox, "echoed").await?;
    node.snd(&spawned, &("die",))?;
    say(format_args!("spawned port died: {:?}", receiver.await?));
    sleep(PAUSE).await;

    // A port that does not exist.
    let missing = reason(&node, &"alice#nosuchport".into()).await?;
    say(format_args!("missing: {missing:?}"));
    sleep(PAUSE).await;

    // A monitor that is taken back.
    let victim = member(&node, "eg_victim").await?;
    let guard = node
        .mon(&victim, |reason| say(format_args!("victim: {reason:?}")))
        .guard();
    sleep(PAUSE).await;
    drop(guard);
    sleep(PAUSE).await;

    // A kill from here; releases before 1.26 can't be told.
    let (sender, receiver) = tokio::sync::oneshot::channel();
    node.mon(&victim, move |reason| drop(sender.send(reason)));
    node.kil(&victim, Reason::new(["remote", "kil"]));
    if let Ok(killed) = timeout(Duration::from_secs(1), receiver).await {
        say(format_args!("remote kil: {:?}", killed?));
        sleep(PAUSE).await;
    }

    // What a node port does for others.
    let stats = node.stats();
    let alice = stats.links.iter().find(|link| link.node == "alice");
    let second = alice.is_some_and(|link| {
        let perl = link.provider.as_deref().unwrap_or_default();
        link.generation == "2" && perl.starts_with("AE-")
    });
    let about: &[&[&str]] = match second {
        true => &[&["can", "mon1"], &["can", "info"]],
        false => &[&["info"], &["known_nodes"], &["up_nodes"]],
    };
    let (before, after): (&[&[&str]], &[&[&str]]) =
        (&[&["time"]], &[&["devnull"], &["eval", "6*7"], &["snd"]]);
    for request in [before, about, after].concat() {
        if request[0] == "devnull" {
            node.snd("alice", request)?;
            continue;
        }
        let mut all: Vec<Value> = request.iter().map(|word| json!(word)).collect();
        let mut inbox = node.mailbox();
        all.push(json!(inbox.id()));
        node.snd("alice", &all)?;
        let reply = inbox.recv().await?;
        let line = match reply.args::<(Text, Text)>() {
            Ok((error, Text(value))) if request[0] == "eval" => format!("{} {value}", error.0),
            _ => joined(&reply),
        };
        say(format_args!("{}: {line}", request[0]));
    }
    sleep(PAUSE).await;
    node.shutdown().await;
    Ok(())
}
