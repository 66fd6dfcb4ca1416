//! The subcommands that talk to a network: as an anonymous node, configured by the profile `aemp`.

use std::fmt::Write as _;
use std::time::Duration;

use aemp::{Message, Node, PortId, Reason};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::ask::{self, SENT, typed};
use crate::settings::read_arguments;
use crate::{Failure, output};

/// An anonymous node of the network.
pub(crate) async fn join() -> Result<Node, Failure> {
    let node = Node::builder()
        .profile("aemp")
        .nodeid("anon/")
        .start()
        .await?;
    let seeds: Vec<String> = node.seeds().into_iter().map(|seed| seed.address).collect();
    match seeds.as_slice() {
        [] => output::note(format_args!(
            "this is node {}, and it has no seeds",
            node.id()
        )),
        _ => output::note(format_args!(
            "this is node {}, seeds: {}",
            node.id(),
            seeds.join(", ")
        )),
    }
    Ok(node)
}

/// The port ID and the message of a command line, both of which may be JSON as with Perl.
fn message(port: String, message: Vec<String>) -> Result<(PortId, Vec<Value>), Failure> {
    let mut all = vec![port];
    all.extend(message);
    let mut values = read_arguments(&all)?.into_iter();
    match values.next() {
        Some(Value::String(port)) if port == all[0] => Ok((typed(port), values.collect())),
        Some(Value::String(port)) => Ok((PortId::new(port), values.collect())),
        other => Err(format!("{} is no port ID", other.unwrap_or_default()).into()),
    }
}

pub(crate) async fn snd(port: String, args: Vec<String>) -> Result<(), Failure> {
    let (port, args) = message(port, args)?;
    let begun = Instant::now();
    let node = join().await?;
    ask::deliver(&node, &port, &args).await?;
    node.shutdown().await;
    took(begun);
    match output::is_json() {
        true => output::line(json!({"port": port.as_str(), "sent": true}))?,
        // The blank is Perl's.
        false => output::line(format_args!("{SENT} "))?,
    }
    Ok(())
}

fn took(begun: Instant) {
    output::note(format_args!("{:.3} s", begun.elapsed().as_secs_f64()));
}

/// Prints what came back: without the outer brackets, or as a member of an object.
fn print_list(name: &str, list: &Message) -> Result<(), output::OutputError> {
    match output::is_json() {
        true => output::line(format_args!("{{\"{name}\":{}}}", list.to_json())),
        false => output::line(ask::bare(list)),
    }
}

pub(crate) async fn cal(port: String, args: Vec<String>) -> Result<(), Failure> {
    let (port, args) = message(port, args)?;
    let begun = Instant::now();
    let node = join().await?;
    let reply: Vec<Box<serde_json::value::RawValue>> = ask::call(&node, &port, &args).await?;
    node.shutdown().await;
    took(begun);
    Ok(print_list("reply", &Message::encode(&reply)?)?)
}

pub(crate) async fn mon(ports: Vec<String>) -> Result<(), Failure> {
    let node = join().await?;
    let (died, mut deaths) = tokio::sync::mpsc::unbounded_channel();
    let begun = Instant::now();
    for port in &ports {
        let died = died.clone();
        let port = typed(port);
        node.mon(port.clone(), move |reason| drop(died.send((port, reason))));
    }
    drop(died);
    output::status(format_args!("waiting for the end of {}", ports.join(", ")));
    let mut left = ports.len();
    let mut all_normal = true;
    while let Some((port, reason)) = deaths.recv().await {
        left -= 1;
        all_normal &= reason.is_normal();
        report_death(&port, &reason, ports.len() > 1, begun.elapsed())?;
        let seeds = node.seeds();
        let is_unreached = seeds.iter().any(|seed| seed.last_failure.is_some());
        if reason.kind() == Some(ask::UNREACHABLE) && (is_unreached || seeds.is_empty()) {
            let failure = format!("{port} can't be reached");
            output::complain(ask::unreached(&node, failure));
        }
        if left > 0 {
            output::note(format_args!("waiting for {left} more"));
        }
    }
    node.shutdown().await;
    match all_normal {
        true => Ok(()),
        false => Err(output::Status(1).into()),
    }
}

/// Prints a death: as Perl's command, if there is one port only and no more is asked for.
fn report_death(
    port: &PortId,
    reason: &Reason,
    is_one_of_many: bool,
    after: Duration,
) -> Result<(), output::OutputError> {
    let now = chrono::Local::now();
    if output::is_json() {
        let reason = reason.values();
        return output::line(json!({
            "port": port.as_str(),
            "reason": reason,
            "time": now.to_rfc3339_opts(chrono::SecondsFormat::Millis, false),
            "seconds": after.as_secs_f64(),
        }));
    }
    let mut line = String::new();
    if output::is_verbose() {
        let _ = write!(line, "{} ", now.format("%Y-%m-%d %H:%M:%S%.3f"));
    }
    if is_one_of_many || output::is_verbose() {
        let _ = write!(line, "{port}: ");
    }
    // The blank at the end is Perl's.
    match reason.is_normal() {
        true if line.is_empty() => {}
        true => line.push_str("normal"),
        false => {
            let _ = write!(line, "{reason} ");
        }
    }
    output::line(line)
}

pub(crate) async fn eval(target: String, expression: String) -> Result<(), Failure> {
    let target = typed(target).node_id();
    let begun = Instant::now();
    let node = join().await?;
    let results = ask::evaluate(&node, &target, &expression).await?;
    node.shutdown().await;
    took(begun);
    Ok(print_list("results", &results)?)
}

pub(crate) async fn restart(target: String) -> Result<(), Failure> {
    let target = typed(target).node_id();
    let begun = Instant::now();
    let node = join().await?;
    ask::restart(&node, &target).await?;
    node.shutdown().await;
    took(begun);
    Ok(print_list("results", &Message::from_values(&[]))?)
}

pub(crate) async fn stats(target: String) -> Result<(), Failure> {
    let target = typed(target).node_id();
    let node = join().await?;
    let stats = ask::stats(&node, &target).await?;
    node.shutdown().await;
    match output::is_json() {
        true => output::line(stats)?,
        false => output::line(format_args!("{stats:#}"))?,
    }
    Ok(())
}
