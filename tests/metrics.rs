//! A node seen from outside: counters that outlive links, as OpenMetrics over HTTP, and spans.

#[path = "../examples/support/http.rs"]
mod http;
#[path = "support/spans.rs"]
mod spans;
mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aemp::node::{OPEN_METRICS_TYPE, REPORT_FUNCTION};
use aemp::{Node, Reason, Report};
use support::{LIMIT, Scripted, builder, event, joining, listening, up, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt as _};

#[tokio::test]
async fn counters_outlive_links() {
    let a = listening("metrics-a").await;
    let b = joining("metrics-b", &a).await;
    up(&b, "metrics-a").await;
    let port = a.port_with(|_, _| {});
    for n in 0..100 {
        b.snd(&port, &("n", n)).unwrap();
    }
    b.round_trip("metrics-a", LIMIT).await.unwrap();
    let before = b.metrics();
    assert_eq!((before.links, before.links_made), (1, 1));
    assert!(before.sent > 100 && before.sent_octets > 1000, "{before:?}");

    let mut events = b.mon_nodes();
    a.shutdown().await;
    within("the end", event(&mut events, |event| !event.is_up())).await;
    let after = b.metrics();
    assert_eq!((after.links, after.links_made), (0, 1));
    assert!(after.sent >= before.sent && after.sent_octets >= before.sent_octets);
    assert!(after.received >= before.received && after.received_octets >= before.received_octets);
    assert_eq!(after.losses.values().sum::<u64>(), 1, "{after:?}");
    assert_eq!(after.losses.get("closed"), Some(&1), "{after:?}");
    b.shutdown().await;
}

#[tokio::test]
async fn refused_handshakes_are_counted_by_reason() {
    let node = listening("metrics-refuses").await;
    let wrong = builder("metrics-wrong").secret("wrong").binds([""; 0]);
    let wrong = wrong.seeds(node.listeners()).start().await.unwrap();
    let mut garbage = Scripted::connect(&node).await;
    garbage.send("GET / HTTP/1.0\n\n").await;
    garbage.closed().await;
    within("both", async {
        let counted =
            |node: &Node, kind: &str| node.metrics().refused_handshakes.contains_key(kind);
        while !counted(&node, "wrong_token") || !counted(&node, "greeting") {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    for node in [node, wrong] {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn queues_and_deaths_are_counted() {
    let node = Node::local();
    let mut inbox = node.mailbox();
    for n in 0..7 {
        node.snd(inbox.id(), &("n", n)).unwrap();
    }
    let metrics = node.metrics();
    assert_eq!((metrics.queued, metrics.longest_queue), (7, 7));
    assert!(metrics.queued_octets > 7);
    while inbox.try_recv().unwrap().is_some() {}
    let metrics = node.metrics();
    assert_eq!((metrics.queued, metrics.longest_queue_ever), (0, 7));
    node.kil(node.port(), Reason::normal());
    node.kil(node.port(), Reason::new(["too_hot"]));
    let port = node.port_with(|_, _| Err::<(), _>("oops"));
    node.snd(&port, &()).unwrap();
    within("the death", async {
        while port.is_alive() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let deaths = node.metrics().deaths;
    assert_eq!(
        (deaths["normal"], deaths["too_hot"], deaths["die"]),
        (1, 1, 1)
    );
}

/// Families, with their kinds, and samples: as strict as the specification is.
fn parsed(text: &str) -> (BTreeMap<String, String>, BTreeMap<String, f64>) {
    let (mut families, mut samples) = (BTreeMap::new(), BTreeMap::new());
    let text = text.strip_suffix("# EOF\n").expect("it ends with # EOF");
    for line in text.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "TYPE", name, kind] => {
                let again = families.insert(name.to_owned(), kind.to_owned());
                assert_eq!(again, None, "{name} comes once");
            }
            ["#", "HELP", name, help] => assert!(families.contains_key(name) && !help.is_empty()),
            _ => {
                let (name, rest) = line.split_once('{').expect("labels");
                let (labels, value) = rest.rsplit_once("} ").expect("a value");
                assert!(labels.starts_with("node=\""), "{line}");
                let family = ["_total", "_count", "_sum"]
                    .iter()
                    .find_map(|end| name.strip_suffix(end));
                let kind = families.get(family.unwrap_or(name)).expect("a family");
                let by_kind = ["counter", "summary"].contains(&kind.as_str());
                assert_eq!(by_kind, family.is_some(), "{line}");
                let again = samples.insert(format!("{name}{{{labels}}}"), value.parse().unwrap());
                assert_eq!(again, None, "{line} comes once");
            }
        }
    }
    (families, samples)
}

#[tokio::test]
async fn another_node_reads_the_report() {
    let a = listening("report-a").await;
    let b = joining("report-b", &a).await;
    up(&b, "report-a").await;
    let port = a.port();
    a.register("reported", &port);
    a.kil(a.port(), Reason::new(["overheated", "CPU 0"]));
    let read = async || -> Report {
        let report = b.cal("report-a", &(REPORT_FUNCTION,), Some(LIMIT)).await;
        let (report,): (Report,) = report.unwrap();
        report
    };
    let report = read().await;
    assert_eq!(report.stats.links[0].node, *b.id());
    assert_eq!(report.metrics.deaths["overheated"], 1);
    assert_eq!(report.deaths[0].reason, "overheated CPU 0");
    assert_eq!(report.groups["reported"], [port.id().clone()]);
    // However often it is asked for, it is made now and then.
    let again = read().await;
    assert!(again.age == report.age || again.age - report.age >= Duration::from_millis(500));
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn the_exporter_serves_openmetrics() {
    let node = Node::local();
    node.time_handlers(true);
    let port = node.port();
    port.rcv("work", |_, ()| {});
    node.cal::<(f64,)>(node.id(), &("time",), Some(LIMIT))
        .await
        .unwrap();
    for _ in 0..3 {
        node.snd(&port, &("work",)).unwrap();
    }
    within("the work", async {
        while node.metrics().handled < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    node.kil(node.port(), Reason::new(["a \"bad\" one\\\n"]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(http::serve(listener, node.clone()));
    let get = async |path: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        within("the answer", stream.read_to_string(&mut answer))
            .await
            .unwrap();
        answer
    };
    let answer = get("/metrics").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains(OPEN_METRICS_TYPE), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
    let (families, samples) = parsed(body);
    assert_eq!(families["aemp_ports"], "gauge");
    let id = node.id();
    assert_eq!(
        samples[&format!("aemp_handler_seconds_count{{node=\"{id}\"}}")],
        3.0
    );
    let died = format!("{{node=\"{id}\",kind=\"a \\\"bad\\\" one\\\\\\n\"}}");
    assert_eq!(samples[&format!("aemp_port_deaths_total{died}")], 1.0);
    assert!(get("/").await.starts_with("HTTP/1.1 404 "));
    server.abort();
}

/// Notes the spans of port code that are entered.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<String>>>);

struct What(String);

impl Visit for What {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if ["what", "port"].contains(&field.name()) {
            self.0 += &format!("{value:?} ");
        }
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Spans {
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        _: &tracing::span::Id,
        _: Context<'_, S>,
    ) {
        if attributes.metadata().target() == aemp::log::SPAN_TARGET {
            let mut what = What(String::new());
            attributes.record(&mut what);
            let name = attributes.metadata().name();
            self.0.lock().unwrap().push(format!("{name} {}", what.0));
        }
    }
}

#[tokio::test]
async fn handlers_spawns_and_supervisors_have_spans() {
    let spans = Spans::default();
    let subscriber = tracing_subscriber::registry().with(spans.clone());
    let _guard = spans::subscribe(subscriber);
    let node = Node::local();
    node.function("begin", |cx, ()| {
        cx.this().rcv("x", |_, ()| {});
    });
    let port = node.port();
    port.rcv_async("work", |_, ()| async { tokio::task::yield_now().await });
    node.snd(&port, &("work",)).unwrap();
    let spawned = node.spawn(node.id(), "begin", &()).unwrap();
    let child = aemp::supervise::Child::local("a", |cx| cx.port());
    let supervisor = aemp::Supervisor::builder("s")
        .child(child)
        .start(&node)
        .unwrap();
    supervisor.ready().await.unwrap();
    let seen = |wanted: &str| {
        spans
            .0
            .lock()
            .unwrap()
            .iter()
            .any(|span| span.contains(wanted))
    };
    within("the spans", async {
        let wanted = [
            format!("port \"handler\" {} ", port.id()),
            format!("port \"spawn\" {spawned} "),
            "supervisor".to_owned(),
            "child".to_owned(),
        ];
        while !wanted.iter().all(|wanted| seen(wanted)) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
