//! The subcommands that talk to a network: as an anonymous node, configured by the profile `aemp`.

use std::collections::BTreeSet;
use std::time::Duration;

use aemp::{Message, Node, PortId};
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use crate::Failure;
use crate::output;
use crate::settings::read_arguments;

/// How long `snd`, `cal` and `eval` may take.
const LIMIT: Duration = Duration::from_secs(5);

/// How long `trace` may take.
const TRACE_LIMIT: Duration = Duration::from_secs(15);

async fn join() -> Result<Node, Failure> {
    let node = Node::builder().profile("aemp").nodeid("anon/");
    Ok(node.start().await?)
}

/// The port ID and the message of a command line, both of which may be JSON as with Perl.
fn message(port: String, message: Vec<String>) -> Result<(PortId, Vec<Value>), Failure> {
    let mut all = vec![port];
    all.extend(message);
    let mut values = read_arguments(&all)?.into_iter();
    match values.next() {
        Some(Value::String(port)) => Ok((PortId::new(port), values.collect())),
        other => Err(format!("{} is no port ID", other.unwrap_or_default()).into()),
    }
}

/// As JSON without the outer brackets.
fn bare(message: &Message) -> String {
    let json = message.to_json();
    json[1..json.len() - 1].to_owned()
}

pub(crate) async fn snd(port: String, args: Vec<String>) -> Result<(), Failure> {
    let (port, args) = message(port, args)?;
    let node = join().await?;
    let mut inbox = node.mailbox();
    node.snd(&port, &args)?;
    node.mon_snd(&port, inbox.id(), &("died",))?;
    node.snd_on(&port, inbox.id(), &("sent", "message sent successfully"))?;
    let limit = Instant::now() + LIMIT;
    let reply = timeout_at(limit, inbox.recv()).await;
    let reply = reply.map_err(|_| format!("{port}: no answer within {LIMIT:?}"))??;
    let texts: Vec<aemp::Text> = reply.without_tag().args()?;
    let text: Vec<String> = texts.into_iter().map(|text| text.0).collect();
    node.shutdown().await;
    match reply.tag().as_deref() {
        Some("sent") => {
            // The blank is Perl's.
            Ok(output::line(format_args!("{} ", text.join(" ")))?)
        }
        _ => Err(text.join(" ").into()),
    }
}

pub(crate) async fn cal(port: String, args: Vec<String>) -> Result<(), Failure> {
    let (port, args) = message(port, args)?;
    let node = join().await?;
    let reply: Vec<Box<serde_json::value::RawValue>> = node.cal(&port, &args, Some(LIMIT)).await?;
    node.shutdown().await;
    Ok(output::line(bare(&Message::encode(&reply)?))?)
}

pub(crate) async fn mon(port: String) -> Result<(), Failure> {
    let node = join().await?;
    let (done, reason) = tokio::sync::oneshot::channel();
    node.mon(port, move |reason| drop(done.send(reason)));
    let reason = reason.await?;
    node.shutdown().await;
    // The blank is Perl's.
    match reason.is_normal() {
        true => output::line("")?,
        false => output::line(format_args!("{reason} "))?,
    }
    Ok(())
}

pub(crate) async fn eval(target: String, expression: String) -> Result<(), Failure> {
    let target = PortId::new(target).node_id();
    let node = join().await?;
    let request = ("eval", expression);
    let reply: Vec<Value> = node.cal(&target, &request, Some(LIMIT)).await?;
    node.shutdown().await;
    let Some((error, results)) = reply.split_first() else {
        return Err("the reply is empty".into());
    };
    match error.as_str() {
        Some("") => Ok(output::line(bare(&Message::from_values(results)))?),
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
    let target = PortId::new(target).node_id();
    let node = join().await?;
    let request = (aemp::node::STATS_FUNCTION,);
    let (mut stats,): (Value,) = node.cal(&target, &request, Some(LIMIT)).await?;
    let round_trip = node.round_trip(&target, LIMIT).await?;
    stats["round_trip_seconds"] = round_trip.as_secs_f64().into();
    node.shutdown().await;
    Ok(output::line(format_args!("{stats:#}"))?)
}

pub(crate) async fn trace(first: String) -> Result<(), Failure> {
    let node = join().await?;
    let mut inbox = node.mailbox();
    let mut asked = BTreeSet::new();
    let mut waiting = 1;
    node.snd(inbox.id(), &("seed", &first))?;
    let walk = async {
        while waiting > 0 {
            let reply: Vec<String> = inbox.recv().await?.args()?;
            waiting -= 1;
            let (of, neighbours) = reply.split_first().ok_or("an empty reply")?;
            let others: Vec<&String> = neighbours
                .iter()
                .filter(|other| *other != node.id().as_str())
                .collect();
            let mut line = of.clone();
            for other in &others {
                line.push(' ');
                line.push_str(other);
            }
            output::line(line)?;
            for other in others {
                if asked.insert(other.clone()) {
                    waiting += 1;
                    node.snd(other.as_str(), &("up_nodes", inbox.id(), other))?;
                }
            }
        }
        Ok::<(), Failure>(())
    };
    let walked = timeout(TRACE_LIMIT, walk).await;
    node.shutdown().await;
    walked.map_err(|_| format!("no answer from all nodes within {TRACE_LIMIT:?}"))?
}
