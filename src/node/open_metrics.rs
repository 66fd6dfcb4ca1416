//! The counters of a node as OpenMetrics text, as Prometheus and others read it.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use super::Metrics;

/// What [`Metrics::open_metrics`] gives, for the header `Content-Type` of HTTP.
///
/// ```
/// assert!(aemp::node::OPEN_METRICS_TYPE.starts_with("application/openmetrics-text;"));
/// ```
pub const OPEN_METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Metrics {
    /// The counters as text in the format of [OpenMetrics](https://openmetrics.io), version 1.0:
    /// each sample is called `aemp_..` and has the label `node`. `aemp run .. http HOST:PORT` and
    /// the example `openmetrics` serve it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let node = aemp::Node::builder().no_rc().nodeid("till").start().await.unwrap();
    /// let text = node.metrics().open_metrics();
    /// assert!(text.contains("aemp_links{node=\"till\"} 0\n") && text.ends_with("# EOF\n"));
    /// # }
    /// ```
    pub fn open_metrics(&self) -> String {
        text(self)
    }
}

fn text(metrics: &Metrics) -> String {
    let mut page = Page {
        node: escaped(metrics.node.as_str()),
        text: String::new(),
    };
    let m = metrics;
    page.gauge("ports", "Ports that live on the node.", m.ports);
    page.gauge("links", "Links to other nodes.", m.links);
    page.counter("links_made", "Links that were made.", m.links_made);
    page.counter("sent_messages", "Messages handed to links.", m.sent);
    page.counter("sent_bytes", "Octets written to links.", m.sent_octets);
    page.counter("received_messages", "Messages received.", m.received);
    page.counter("received_bytes", "Octets received.", m.received_octets);
    page.gauge(
        "unwritten_bytes",
        "Octets that wait to be written.",
        m.unwritten_octets,
    );
    page.counters(
        "losses",
        "Links and attempts that were lost.",
        "reason",
        &m.losses,
    );
    page.counters(
        "refused_handshakes",
        "Connections that did not become a link.",
        "reason",
        &m.refused_handshakes,
    );
    page.counters("port_deaths", "Ports that died.", "kind", &m.deaths);
    page.gauge("queued_messages", "Messages that wait in ports.", m.queued);
    page.gauge(
        "queued_bytes",
        "Octets that wait in ports.",
        m.queued_octets,
    );
    page.gauge(
        "longest_queue_messages",
        "The most that wait in a port.",
        m.longest_queue,
    );
    page.gauge(
        "longest_queue_peak_messages",
        "The most that ever did.",
        m.longest_queue_ever,
    );
    page.counters("limits_met", "Limits that were met.", "limit", &m.limits);
    page.counters(
        "refused_actions",
        "Actions refused to other nodes.",
        "action",
        &m.refused,
    );
    let name = "aemp_handler_seconds";
    let _ = writeln!(
        page.text,
        "# TYPE {name} summary\n# HELP {name} Time of handlers."
    );
    page.sample("handler_seconds_count", "", m.handled);
    page.sample("handler_seconds_sum", "", m.handler_time.as_secs_f64());
    page.text.push_str("# EOF\n");
    page.text
}

struct Page {
    node: String,
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(
            self.text,
            "# TYPE aemp_{name} {kind}\n# HELP aemp_{name} {help}"
        );
    }

    fn sample(&mut self, name: &str, label: &str, value: impl Display) {
        let node = &self.node;
        let _ = writeln!(self.text, "aemp_{name}{{node=\"{node}\"{label}}} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: usize) {
        self.family(name, "gauge", help);
        self.sample(name, "", value);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help);
        self.sample(&format!("{name}_total"), "", value);
    }

    fn counters(&mut self, name: &str, help: &str, label: &str, values: &BTreeMap<String, u64>) {
        self.family(name, "counter", help);
        for (which, value) in values {
            let label = format!(",{label}=\"{}\"", escaped(which));
            self.sample(&format!("{name}_total"), &label, value);
        }
    }
}

/// The value of a label.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace('\n', "\\n")
}
