//! What the subcommands and the shell ask of other nodes: each function talks to one, and says why
//! it could not, if it could not.

use std::fmt::Write as _;
use std::time::Duration;

use aemp::{LinkStats, Message, Node, NodeId, PortId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use crate::Failure;
use crate::settings::as_perl_reads;

/// How long each may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);

/// The reason of the monitors of a node that can't be reached.
pub(crate) const UNREACHABLE: &str = "transport_error";

/// What Perl's command says of a message that was taken.
pub(crate) const SENT: &str = "message sent successfully";

/// Has a node start again that is run by Perl's `aemp run` or by ours, which knows this function by
/// name: see [`crate::run`].
const RESTART: &str = "\
    require AnyEvent::Watchdog::Util; \
    AnyEvent::Watchdog::Util::enabled () or die \"it was not started by aemp run\\n\"; \
    my $soon; \
    $soon = AE::timer (0.1, 0, sub { undef $soon; AnyEvent::Watchdog::Util::restart () }); \
    ()";

/// The ID of a node or port that was typed.
pub(crate) fn typed(id: impl AsRef<str>) -> PortId {
    PortId::new(as_perl_reads(id.as_ref()))
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

/// Sends a message, and waits until the node of the port has taken it.
pub(crate) async fn deliver(
    node: &Node,
    port: &PortId,
    args: &impl Serialize,
) -> Result<(), Failure> {
    let message = Message::encode(args)?;
    let mut inbox = node.mailbox();
    node.snd(port, &message)?;
    let _monitor = node.mon_snd(port, inbox.id(), &("died",))?.guard();
    node.snd_on(port, inbox.id(), &("sent",))?;
    let Ok(reply) = timeout(LIMIT, inbox.recv()).await else {
        return Err(unreached(
            node,
            format_args!("{port}: no answer within {LIMIT:?}"),
        ));
    };
    let reply = reply?;
    if reply.tag().as_deref() == Some("sent") {
        return Ok(());
    }
    let reason = aemp::Reason::from(reply.without_tag().values());
    match reason.kind() {
        Some(UNREACHABLE) => Err(unreached(node, reason)),
        _ => Err(reason.to_string().into()),
    }
}

/// Sends a message with a reply port behind it, and waits for the reply.
pub(crate) async fn call<R: DeserializeOwned>(
    node: &Node,
    port: &PortId,
    message: &impl Serialize,
) -> Result<R, Failure> {
    call_within(node, port, message, LIMIT).await
}

/// The same, with a limit of its own.
pub(crate) async fn call_within<R: DeserializeOwned>(
    node: &Node,
    port: &PortId,
    message: &impl Serialize,
    limit: Duration,
) -> Result<R, Failure> {
    let called = node.cal(port, message, Some(limit)).await;
    called.map_err(|error| match error {
        aemp::CalError::TimedOut(_) => unreached(node, format_args!("{port}: {error}")),
        aemp::CalError::Died(reason) if reason.kind() == Some(UNREACHABLE) => {
            unreached(node, format_args!("{port}: {reason}"))
        }
        other => other.into(),
    })
}

/// Has a node evaluate an expression in its own language, and gives the results.
pub(crate) async fn evaluate(
    node: &Node,
    target: &NodeId,
    expression: &str,
) -> Result<Message, Failure> {
    let reply = call(node, &target.node_port(), &("eval", expression)).await?;
    results(reply)
}

/// What an evaluated expression has come to: an error that is no empty text is one, whatever it is.
pub(crate) fn results(reply: Vec<Value>) -> Result<Message, Failure> {
    let Some((error, results)) = reply.split_first() else {
        return Err("the reply is empty".into());
    };
    match error.as_str() {
        Some("") => Ok(Message::from_values(results)),
        Some(error) => Err(error.trim_end().into()),
        None => Err(error.to_string().into()),
    }
}

/// Has a node start again.
pub(crate) async fn restart(node: &Node, target: &NodeId) -> Result<(), Failure> {
    evaluate(node, target, RESTART).await.map(drop)
}

/// The statistics of a node of this crate, with the time of a round trip.
pub(crate) async fn stats(node: &Node, target: &NodeId) -> Result<Value, Failure> {
    let request = (aemp::node::STATS_FUNCTION,);
    let (mut stats,): (Value,) = call(node, &target.node_port(), &request).await?;
    let round_trip = node.round_trip(target, LIMIT).await?;
    stats["round_trip_seconds"] = round_trip.as_secs_f64().into();
    Ok(stats)
}

/// Whether the node at the other end of a link is one of AnyEvent::MP. Old ones say nothing of what
/// they are.
pub(crate) fn is_perl(link: &LinkStats) -> bool {
    let provider = link.provider.as_deref();
    provider.is_none_or(|provider| provider.starts_with("AE-"))
}

/// A list as JSON without the outer brackets.
pub(crate) fn bare(list: &Message) -> String {
    let json = list.to_json();
    json[1..json.len() - 1].to_owned()
}
