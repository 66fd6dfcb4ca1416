//! The subcommands that talk to a network: as an anonymous node, configured by the profile `aemp`.

use std::fmt::Write as _;
use std::time::Duration;

use aemp::{Message, Node, PortId, Reason};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::settings::{as_perl_reads, read_arguments};
use crate::{Failure, output};

/// How long `snd`, `cal` and `eval` may take.
const LIMIT: Duration = Duration::from_secs(5);

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

/// A failure to reach somebody, with what is known of why: which seeds can't be reached.
pub(crate) fn unreached(node: &Node, failure: impl std::fmt::Display) -> Failure {
    let seeds = node.seeds();
    let mut text = failure.to_string();
    if seeds.is_empty() {
        text.push_str(
            "; no seeds are configured, so no other node can be found: try `aemp setseeds \
             HOST:PORT`, or the same for the profile aemp",
        );
    }
    for seed in seeds {
        let address = &seed.address;
        let _ = match (&seed.node, &seed.last_failure, seed.tries) {
            (Some(id), ..) if node.node_is_up(id) => {
                write!(text, "; seed {address}: it is {id}, and connected")
            }
            (_, Some(why), 1) => write!(text, "; seed {address}: {why}"),
            (_, Some(why), tries) => write!(text, "; seed {address}: {why} (tried {tries} times)"),
            (_, None, _) => write!(text, "; seed {address}: no answer yet"),
        };
    }
    text.into()
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

/// The ID of a node or port that was typed.
pub(crate) fn typed(id: impl AsRef<str>) -> PortId {
    PortId::new(as_perl_reads(id.as_ref()))
}

/// As JSON without the outer brackets.
fn bare(message: &Message) -> String {
    let json = message.to_json();
    json[1..json.len() - 1].to_owned()
}

pub(crate) async fn snd(port: String, args: Vec<String>) -> Result<(), Failure> {
    let (port, args) = message(port, args)?;
    let begun = Instant::now();
    let node = join().await?;
    let mut inbox = node.mailbox();
    node.snd(&port, &args)?;
    node.mon_snd(&port, inbox.id(), &("died",))?;
    node.snd_on(&port, inbox.id(), &("sent", "message sent successfully"))?;
    let limit = Instant::now() + LIMIT;
    let Ok(reply) = timeout_at(limit, inbox.recv()).await else {
        return Err(unreached(
            &node,
            format_args!("{port}: no answer within {LIMIT:?}"),
        ));
    };
    let reply = reply?;
    let texts: Vec<aemp::Text> = reply.without_tag().args()?;
    let text: Vec<String> = texts.into_iter().map(|text| text.0).collect();
    let text = text.join(" ");
    let failure = match text.starts_with(UNREACHABLE) {
        true => unreached(&node, &text),
        false => text.clone().into(),
    };
    node.shutdown().await;
    took(begun);
    match (reply.tag().as_deref(), output::is_json()) {
        (Some("sent"), true) => Ok(output::line(json!({"port": port.as_str(), "sent": true}))?),
        // The blank is Perl's.
        (Some("sent"), false) => Ok(output::line(format_args!("{text} "))?),
        _ => Err(failure),
    }
}

/// The reason of the monitors of a node that can't be reached.
const UNREACHABLE: &str = "transport_error";

fn took(begun: Instant) {
    output::note(format_args!("{:.3} s", begun.elapsed().as_secs_f64()));
}

/// A call that may fail for want of a way to the node.
async fn call<R: serde::de::DeserializeOwned>(
    node: &Node,
    port: &PortId,
    message: &impl serde::Serialize,
) -> Result<R, Failure> {
    let called = node.cal(port, message, Some(LIMIT)).await;
    called.map_err(|error| match error {
        aemp::CalError::TimedOut(_) => unreached(node, format_args!("{port}: {error}")),
        aemp::CalError::Died(reason) if reason.kind() == Some(UNREACHABLE) => {
            unreached(node, format_args!("{port}: {reason}"))
        }
        other => other.into(),
    })
}

/// Prints what came back: without the outer brackets, or as a member of an object.
fn print_list(name: &str, list: &Message) -> Result<(), output::OutputError> {
    match output::is_json() {
        true => output::line(format_args!("{{\"{name}\":{}}}", list.to_json())),
        false => output::line(bare(list)),
    }
}

pub(crate) async fn cal(port: String, args: Vec<String>) -> Result<(), Failure> {
    let (port, args) = message(port, args)?;
    let begun = Instant::now();
    let node = join().await?;
    let reply: Vec<Box<serde_json::value::RawValue>> = call(&node, &port, &args).await?;
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
    let target = PortId::from(typed(target).node_id());
    let begun = Instant::now();
    let node = join().await?;
    let reply: Vec<Value> = call(&node, &target, &("eval", expression)).await?;
    node.shutdown().await;
    took(begun);
    let Some((error, results)) = reply.split_first() else {
        return Err("the reply is empty".into());
    };
    match error.as_str() {
        Some("") => Ok(print_list("results", &Message::from_values(results))?),
        Some(error) => Err(error.trim_end().into()),
        None => Err(error.to_string().into()),
    }
}

/// Has a node start again that is run by Perl's `aemp run` or by ours, which knows this function by
/// name: see [`crate::run`].
const RESTART: &str = "\
    require AnyEvent::Watchdog::Util; \
    AnyEvent::Watchdog::Util::enabled () or die \"it was not started by aemp run\\n\"; \
    my $soon; \
    $soon = AE::timer (0.1, 0, sub { undef $soon; AnyEvent::Watchdog::Util::restart () }); \
    ()";

pub(crate) async fn restart(target: String) -> Result<(), Failure> {
    eval(target, RESTART.to_owned()).await
}

pub(crate) async fn stats(target: String) -> Result<(), Failure> {
    let target = typed(target).node_id();
    let node = join().await?;
    let request = (aemp::node::STATS_FUNCTION,);
    let (mut stats,): (Value,) = call(&node, &target.clone().into(), &request).await?;
    let round_trip = node.round_trip(&target, LIMIT).await?;
    stats["round_trip_seconds"] = round_trip.as_secs_f64().into();
    node.shutdown().await;
    match output::is_json() {
        true => output::line(stats)?,
        false => output::line(format_args!("{stats:#}"))?,
    }
    Ok(())
}
