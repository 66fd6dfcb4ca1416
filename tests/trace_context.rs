//! What one request causes on several nodes belongs to one trace.

#[path = "support/spans.rs"]
mod spans;
mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aemp::proto::TraceContext;
use aemp::testing::{Cluster, Probe};
use aemp::{Context, Message, Node, PortId};
use support::{LIMIT, Scripted, builder, capture_log, log, within};
use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{self, SubscriberExt as _};

/// Who was at which step.
type Steps = mpsc::UnboundedSender<(&'static str, Option<TraceContext>)>;

/// A port that notes its step and sends a message on along the route, in the way of `how`.
fn stage(node: &Node, who: &'static str, how: How, steps: Steps) -> PortId {
    let note = move |cx: &Context| steps.send((who, cx.current_trace())).unwrap();
    let port = node.port();
    let go_on = |cx: &Context, mut route: Vec<PortId>| match route.is_empty() {
        true => Ok(()),
        false => cx.snd(route.remove(0), &("go", &route)),
    };
    match how {
        How::AtOnce => port.rcv("go", move |cx, (route,): (Vec<PortId>,)| {
            note(cx);
            go_on(cx, route)
        }),
        How::Later => port.rcv_async("go", move |cx, (route,): (Vec<PortId>,)| {
            let note = note.clone();
            async move {
                tokio::task::yield_now().await;
                note(&cx);
                go_on(&cx, route)
            }
        }),
    };
    port.id().clone()
}

#[derive(Clone, Copy)]
enum How {
    AtOnce,
    Later,
}

fn all_one_trace(trace: TraceContext, steps: &[TraceContext]) {
    let mut spans: Vec<u64> = steps.iter().map(|step| step.span_id()).collect();
    assert!(steps.iter().all(|step| step.trace_id() == trace.trace_id()));
    spans.push(trace.span_id());
    let count = spans.len();
    spans.sort_unstable();
    spans.dedup();
    assert_eq!(spans.len(), count, "each is a step of its own");
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_trace_goes_from_port_to_port_and_from_node_to_node() {
    for framing in ["json", "cbor", "storable"] {
        for generation in ["0", "1", "2", "auto"] {
            let configure = move |builder: aemp::Builder| {
                let builder = builder.set("framing_format", framing);
                builder.set("generation", generation).trace_context()
            };
            let cluster = Cluster::new().configured(configure);
            let [a, b, c] = cluster.start(["a", "b", "c"]).await;
            let (steps, mut noted) = mpsc::unbounded_channel();
            let route = [
                stage(&a, "a", How::AtOnce, steps.clone()),
                stage(&b, "b", How::Later, steps.clone()),
                stage(&c, "c", How::AtOnce, steps.clone()),
                stage(&c, "c again", How::Later, steps.clone()),
                stage(&a, "a again", How::Later, steps.clone()),
                stage(&a, "a at last", How::AtOnce, steps),
            ];
            let trace = a.new_trace();
            a.in_trace(trace, || a.snd(&route[0], &("go", &route[1..])))
                .unwrap();
            let mut seen = Vec::new();
            for expected in ["a", "b", "c", "c again", "a again", "a at last"] {
                let (who, step) = noted.recv().await.unwrap();
                assert_eq!(who, expected);
                seen.push(step.unwrap_or_else(|| panic!("{who}: no trace, {framing}")));
            }
            all_one_trace(trace, &seen);
            // And what belongs to none still belongs to none.
            a.snd(&route[0], &("go", &route[1..])).unwrap();
            for _ in 0..6 {
                assert_eq!(noted.recv().await.unwrap().1, None);
            }
            cluster.shutdown().await;
        }
    }
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn spawns_calls_and_replies_belong_to_it() {
    let cluster = Cluster::new().configured(|builder| builder.trace_context());
    let [a, b] = cluster.start(["a", "b"]).await;
    b.function("begin", |cx, (told,): (PortId,)| {
        let step = cx.current_trace().map(|step| step.to_string());
        cx.snd(&told, &("begun", step))
    });
    let mut probe = Probe::new(&a);
    let trace = a.new_trace();
    let id = probe.id().clone();
    a.in_trace(trace, || a.spawn("b", "begin", &(&id,)))
        .unwrap();
    let message = probe.expect_any().await;
    let (_, step): (String, Option<TraceText>) = message.args().unwrap();
    let (step, came) = (step.unwrap().0, message.trace_context().unwrap());
    assert_eq!(came, step, "the message is sent by the step that it names");
    all_one_trace(trace, &[step]);

    // A reply that comes by the node port's `snd`.
    a.in_trace(trace, || {
        a.snd("b", &("snd", &id, "relayed"))?;
        a.snd("b", &("time", &id))
    })
    .unwrap();
    for _ in 0..2 {
        let came = probe.expect_any().await.trace_context().unwrap();
        all_one_trace(trace, &[came]);
    }
    cluster.shutdown().await;
}

#[derive(serde::Deserialize)]
#[serde(try_from = "String")]
struct TraceText(TraceContext);

impl TryFrom<String> for TraceText {
    type Error = aemp::proto::trace_context::InvalidTraceContext;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(TraceText)
    }
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn only_who_is_asked_to_carries_it() {
    let cluster = Cluster::new();
    let traced = cluster
        .clone()
        .configured(|builder| builder.trace_context());
    let a = traced.start_alone("a").await;
    let plain = cluster.start_alone("plain").await;
    cluster.linked().await;
    for (from, to) in [(&a, &plain), (&plain, &a)] {
        let mut probe = Probe::new(to);
        let trace = from.new_trace();
        from.in_trace(trace, || from.snd(probe.id(), &("hello", 1)))
            .unwrap();
        let message = probe.expect_any().await;
        assert_eq!(message.to_json(), r#"["hello",1]"#);
        assert_eq!(message.trace_context(), None);
    }
    // Nor within a node that was not asked.
    let mut probe = Probe::new(&plain);
    let id = probe.id().clone();
    plain
        .in_trace(plain.new_trace(), || plain.snd(&id, &("here",)))
        .unwrap();
    assert_eq!(probe.expect_any().await.trace_context(), None);
    cluster.shutdown().await;
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn the_order_is_the_same_with_and_without() {
    let cluster = Cluster::new().configured(|builder| builder.trace_context());
    let [a, b] = cluster.start(["a", "b"]).await;
    let (told, mut noted) = mpsc::unbounded_channel();
    let port = b.port();
    port.rcv("n", move |_, (n,): (u32,)| told.send(n).unwrap());
    let trace = a.new_trace();
    for n in 0..1000_u32 {
        let send = || a.snd(&port, &("n", n));
        match n % 7 < 3 {
            true => a.in_trace(trace, send),
            false => send(),
        }
        .unwrap();
        if n % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    for n in 0..1000 {
        assert_eq!(noted.recv().await, Some(n));
    }
    cluster.shutdown().await;
}

const TRACE: &str = "00-0000000000000000000000000000000a-000000000000000b-01";

#[tokio::test]
async fn a_peer_gets_no_more_by_it_and_errs_alone() {
    capture_log();
    let node = builder("traced-node").binds(["127.0.0.1:0"]);
    let node = node.trace_context().deny(["* send denied*"]);
    let node = node.start().await.unwrap();
    node.register("denied", node.port());
    let mut inbox = node.mailbox();
    let port = inbox.id().name().to_owned();
    let mut peer = Scripted::connect(&node).await;
    peer.handshake("traced-peer", 1, "provider=aemp-rs-0;trace=1")
        .await;
    for line in [
        r#"["","aemp_trace"]"#.to_owned(),
        r#"["","aemp_trace",[1],"p"]"#.to_owned(),
        format!(r#"["","aemp_trace","{TRACE}"]"#),
        // One within another is a request of no known name.
        format!(r#"["","aemp_trace","{TRACE}","","aemp_trace","{TRACE}","{port}","twice"]"#),
        format!(r#"["","aemp_trace","no trace","{port}","without"]"#),
        format!(r#"["","aemp_trace","{TRACE}","{port}","with",7]"#),
    ] {
        peer.send(line).await;
    }
    let next = async |inbox: &mut aemp::Mailbox| -> Message {
        within("a message", inbox.recv()).await.unwrap()
    };
    let first = next(&mut inbox).await;
    assert_eq!(first.to_json(), r#"["without"]"#);
    assert_eq!(first.trace_context(), None);
    let second = next(&mut inbox).await;
    assert_eq!(second.to_json(), r#"["with",7]"#);
    assert_eq!(second.trace_context().unwrap().to_string(), TRACE);
    let lines = log();
    for wanted in [
        "the trace context is missing",
        "the port's name is missing",
        "unable to resolve function 'aemp_trace'",
    ] {
        let named = |line: &String| line.contains("traced-peer") && line.contains(wanted);
        assert!(lines.iter().any(named), "{wanted}: {lines:?}");
    }
    // Who did not say that it takes them gets none, and who sends one all the same asks for a
    // function that is not there.
    let mut perl = Scripted::connect(&node).await;
    perl.handshake("untraced-peer", 1, "provider=AE-1.30").await;
    perl.send(format!(
        r#"["","aemp_trace","{TRACE}","{port}","no"]["{port}","yes"]"#
    ))
    .await;
    assert_eq!(next(&mut inbox).await.to_json(), r#"["yes"]"#);
    node.in_trace(node.new_trace(), || {
        node.snd("untraced-peer#q", &("plain",))
    })
    .unwrap();
    let sent = |octets: &[u8]| octets.windows(5).any(|part| part == b"plain");
    let read = perl.read_until("the message", sent).await;
    let text = String::from_utf8(read).unwrap();
    assert!(text.contains(r#"["q","plain"]"#), "{text}");
    node.shutdown().await;
}

/// The fields of the spans of port code, as they end.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<BTreeMap<u64, Fields>>>);

#[derive(Clone, Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Spans {
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        id: &tracing::span::Id,
        _: layer::Context<'_, S>,
    ) {
        if attributes.metadata().target() == aemp::log::SPAN_TARGET {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            self.0.lock().unwrap().insert(id.into_u64(), fields);
        }
    }

    fn on_record(
        &self,
        id: &tracing::span::Id,
        values: &tracing::span::Record<'_>,
        _: layer::Context<'_, S>,
    ) {
        if let Some(fields) = self.0.lock().unwrap().get_mut(&id.into_u64()) {
            values.record(fields);
        }
    }
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn spans_say_where_they_belong() {
    let spans = Spans::default();
    // The registry gives the number of a span that has ended to another one.
    let subscriber = tracing_subscriber::registry().with(spans.clone());
    let _guard = spans::subscribe(subscriber);
    let cluster = Cluster::new().configured(|builder| builder.trace_context());
    let [a, b] = cluster.start(["a", "b"]).await;
    let (told, mut noted) = mpsc::unbounded_channel();
    let route = [
        stage(&a, "a", How::Later, told.clone()),
        stage(&b, "b", How::AtOnce, told),
    ];
    let trace = a.new_trace();
    a.in_trace(trace, || a.snd(&route[0], &("go", &route[1..])))
        .unwrap();
    let mut steps = Vec::new();
    for _ in 0..2 {
        let step = tokio::time::timeout(LIMIT, noted.recv()).await.unwrap();
        steps.push(step.unwrap().1.unwrap());
    }
    let seen = spans.0.lock().unwrap().clone();
    let parents = [trace, steps[0]];
    for (step, parent) in steps.iter().zip(parents) {
        let is =
            |fields: &&Fields| fields.0.get("span_id") == Some(&format!("{:016x}", step.span_id()));
        let fields = &seen.values().find(is).expect("its span").0;
        assert_eq!(fields["trace_id"], format!("{:032x}", trace.trace_id()));
        assert_eq!(fields["parent_id"], format!("{:016x}", parent.span_id()));
    }
    cluster.shutdown().await;
}
