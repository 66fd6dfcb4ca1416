//! Asking one node.

use std::time::Duration;

use aemp::node::REPORT_FUNCTION;
use aemp::{Node, NodeId, Report};
use serde_json::Value;

/// How long a node may take; all are asked at once.
pub(super) const LIMIT: Duration = Duration::from_secs(5);

/// What Perl's nodes evaluate: how many ports there are, and the nodes that they are connected to.
const EXPRESSION: &str =
    "(scalar (keys %AnyEvent::MP::Kernel::PORT), AnyEvent::MP::Kernel::up_nodes ())";

/// How a node can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// By the function of this crate.
    Report,
    /// By an expression of Perl's.
    Evaluate,
    /// By a request that all but 2.x have: for those that it is connected to.
    Links,
    /// Only whether it is there.
    Presence,
}

impl Manner {
    /// How to ask a node of this implementation and generation first.
    fn first(provider: Option<&str>) -> Self {
        match provider {
            Some(provider) if !provider.starts_with("AE-") => Manner::Report,
            _ => Manner::Evaluate,
        }
    }

    /// What to ask of a node that did not answer to this.
    fn next(self, provider: Option<&str>, generation: &str) -> Self {
        let is_perl = Manner::first(provider) == Manner::Evaluate;
        match self {
            // Perl's 2.x does not have the request.
            Manner::Report | Manner::Evaluate if is_perl && generation == "2" => Manner::Presence,
            Manner::Report | Manner::Evaluate => Manner::Links,
            Manner::Links | Manner::Presence => Manner::Presence,
        }
    }
}

/// What a node has answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) round_trip: Duration,
    pub(super) provider: Option<String>,
    pub(super) generation: String,
    /// How it was asked, and what to ask it next time.
    pub(super) manner: Manner,
    pub(super) told: Told,
}

/// What a node has said of itself.
#[derive(Debug)]
pub(super) enum Told {
    /// All there is.
    Report(Box<Report>),
    /// Whom it is linked to, and of Perl's how many ports it has.
    Links(Vec<NodeId>, Option<usize>),
    /// It is there, and that is all.
    Nothing,
}

/// Asks a node, in the manner that it answered to before.
///
/// # Errors
///
/// It is not there, or says nothing at all; why.
pub(super) async fn ask(node: Node, id: NodeId, manner: Option<Manner>) -> Result<Answer, String> {
    // Every release knows this, and when the answer comes it is known what sort of node it is.
    let there = node.round_trip(&id, LIMIT).await;
    let round_trip = there.map_err(|error| error.to_string())?;
    let link = node.link_stats(&id);
    let link = link.ok_or_else(|| "its link is lost".to_owned())?;
    let provider = link.provider.as_deref();
    let manner = manner.unwrap_or_else(|| Manner::first(provider));
    let told = tell(&node, &id, manner).await;
    let (manner, told) = match told {
        Some(told) => (manner, told),
        None => (manner.next(provider, &link.generation), Told::Nothing),
    };
    Ok(Answer {
        round_trip,
        provider: link.provider,
        generation: link.generation,
        manner,
        told,
    })
}

async fn tell(node: &Node, id: &NodeId, manner: Manner) -> Option<Told> {
    match manner {
        Manner::Report => {
            let report = node.cal(id, &(REPORT_FUNCTION,), Some(LIMIT)).await;
            let (report,): (Report,) = report.ok()?;
            Some(Told::Report(Box::new(bounded(report))))
        }
        Manner::Evaluate => {
            let reply = node.cal(id, &("eval", EXPRESSION), Some(LIMIT)).await;
            let reply: Vec<Value> = reply.ok()?;
            evaluated(&reply)
        }
        Manner::Links => {
            let links = node.cal(id, &("up_nodes",), Some(LIMIT)).await;
            let links: Vec<NodeId> = links.ok()?;
            Some(Told::Links(links.into_iter().take(MOST).collect(), None))
        }
        Manner::Presence => Some(Told::Nothing),
    }
}

/// What the expression gives, behind the error, which is empty then.
fn evaluated(reply: &[Value]) -> Option<Told> {
    let [error, ports, links @ ..] = reply else {
        return None;
    };
    let number = |value: &Value| match value {
        Value::String(text) => text.parse().ok(),
        value => value
            .as_u64()
            .and_then(|number| usize::try_from(number).ok()),
    };
    let links = links.iter().take(MOST);
    let links = links
        .filter_map(|id| id.as_str().map(NodeId::new))
        .collect();
    (error == "").then_some(Told::Links(links, Some(number(ports)?)))
}

/// The most of anything that is kept of what a node says.
const MOST: usize = 1000;

/// What is kept of a report. Those of nodes of this crate are within that, but for their links and
/// the nodes they know.
fn bounded(mut report: Report) -> Report {
    report.stats.links.truncate(MOST);
    report.stats.known.truncate(10 * MOST);
    report.stats.seeds.truncate(MOST);
    report.deaths.truncate(MOST);
    report.losses.truncate(MOST);
    let mut left = MOST;
    report.groups.retain(|_, ports| {
        ports.truncate(left);
        left -= ports.len();
        !ports.is_empty()
    });
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_does_not_answer_is_asked_for_less() {
        let perl = Some("AE-1.30");
        assert_eq!(Manner::first(perl), Manner::Evaluate);
        assert_eq!(Manner::first(None), Manner::Evaluate);
        assert_eq!(Manner::first(Some("aemp-rs-0.1.0")), Manner::Report);
        for (manner, provider, generation, wanted) in [
            (Manner::Report, Some("aemp-rs-0.1.0"), "2", Manner::Links),
            (Manner::Evaluate, perl, "1b", Manner::Links),
            (Manner::Evaluate, Some("AE-2.02"), "2", Manner::Presence),
            (Manner::Links, perl, "1b", Manner::Presence),
        ] {
            assert_eq!(manner.next(provider, generation), wanted);
        }
    }

    #[test]
    fn what_perl_evaluates() {
        let read = |reply: Value| evaluated(reply.as_array().unwrap());
        let Some(Told::Links(links, Some(3))) = read(json!(["", 3, "a", "b"])) else {
            panic!();
        };
        assert_eq!(links, [NodeId::new("a"), NodeId::new("b")]);
        assert!(matches!(
            read(json!(["", "0"])),
            Some(Told::Links(_, Some(0)))
        ));
        for none in [
            json!(["refused"]),
            json!(["oops", 3]),
            json!([]),
            json!(["", "a"]),
        ] {
            assert!(read(none).is_none());
        }
    }
}
