//! Requests and their answers.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aemp::Node;
use aemp::node::OPEN_METRICS_TYPE;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Version};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::health::Health;
use super::host::Names;
use crate::trace::svg::{self, Layout};
use crate::view::{Look, Place, View, Watch};

const TEXT: &str = "text/plain; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Nothing is loaded from elsewhere, and nothing runs that is not one of our own files.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What every answer says.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

/// As long as it is not older, what was seen is good for everybody who asks: however many do, and
/// however often, the nodes of the network are asked once a second, and the ports looked at twice.
const FRESH: Duration = Duration::from_secs(1);
const FRESH_METRICS: Duration = Duration::from_millis(500);

/// What is shown of a node, to whom.
pub(super) struct Site {
    node: Node,
    names: Names,
    health: Health,
    seen: Mutex<Seen>,
    metrics: parking_lot::Mutex<Option<(Instant, Bytes)>>,
}

/// Who looks at the network, and what was seen last.
struct Seen {
    watch: Watch,
    last: Option<(Instant, Arc<Shown>)>,
}

/// What was seen, and what it was made into so far.
struct Shown {
    look: Look,
    wide: OnceLock<Bytes>,
    narrow: OnceLock<Bytes>,
}

/// `/state.json`.
#[derive(Serialize)]
struct State<'a> {
    #[serde(flatten)]
    view: &'a View,
    /// What is wrong with this node, as `/healthz` says.
    faults: Vec<String>,
}

/// An answer: its status, the type of its body, and that.
type Answer = (StatusCode, &'static str, Bytes);

impl Site {
    pub(super) fn new(node: &Node, names: Names, health: Health) -> Self {
        Site {
            node: node.clone(),
            names,
            health,
            seen: Mutex::new(Seen {
                watch: Watch::new(node, Place::Member),
                last: None,
            }),
            metrics: parking_lot::Mutex::default(),
        }
    }

    /// Answers a request, of whomever.
    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let refused = self.refuse(&request);
        let (status, kind, body) = match refused {
            Some((status, why)) => (status, TEXT, Bytes::from(format!("{why}\n"))),
            None => self.get(request.uri().path(), request.uri().query()).await,
        };
        let mut answer = Response::new(Full::new(body));
        *answer.status_mut() = status;
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        for (name, value) in HEADERS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        if refused.is_some() {
            // What may follow is not read.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(answer)
    }

    /// Why a request gets nothing.
    fn refuse(&self, request: &Request<Incoming>) -> Option<(StatusCode, &'static str)> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let why = "there is nothing here but to be read: GET and HEAD";
            return Some((StatusCode::METHOD_NOT_ALLOWED, why));
        }
        if !request.body().is_end_stream() {
            return Some((StatusCode::BAD_REQUEST, "a request has no body here"));
        }
        let is_ours = match (host(request.headers()), request.version()) {
            (Host::Is(host), _) => self.names.has(host),
            // No browser leaves it out.
            (Host::Missing, Version::HTTP_10) => true,
            _ => return Some((StatusCode::BAD_REQUEST, "one header Host is wanted")),
        };
        let target = request.uri().authority();
        let is_ours = is_ours && target.is_none_or(|target| self.names.has(target.as_str()));
        (!is_ours).then_some((
            StatusCode::MISDIRECTED_REQUEST,
            "the name in Host is not known here: use the address, localhost, or the name that the \
             setting http has",
        ))
    }

    async fn get(&self, path: &str, query: Option<&str>) -> Answer {
        let ok = |kind, body| (StatusCode::OK, kind, body);
        let file = |kind, text: &'static str| ok(kind, Bytes::from_static(text.as_bytes()));
        match path {
            "/" => file("text/html; charset=utf-8", include_str!("page/page.html")),
            "/page.css" => file("text/css; charset=utf-8", include_str!("page/page.css")),
            "/page.js" => file(
                "text/javascript; charset=utf-8",
                include_str!("page/page.js"),
            ),
            "/state.json" => self.state().await,
            "/topology.svg" => {
                let shown = self.look().await;
                ok(SVG, shown.picture(query == Some("narrow")))
            }
            "/metrics" => ok(OPEN_METRICS_TYPE, self.metrics()),
            "/healthz" => match self.health.faults().as_slice() {
                [] => file(TEXT, "ok\n"),
                faults => {
                    let text = faults.join("\n") + "\n";
                    (StatusCode::SERVICE_UNAVAILABLE, TEXT, text.into())
                }
            },
            _ => (
                StatusCode::NOT_FOUND,
                TEXT,
                Bytes::from_static(b"there are / /state.json /topology.svg /metrics /healthz\n"),
            ),
        }
    }

    async fn state(&self) -> Answer {
        let shown = self.look().await;
        let state = State {
            view: &shown.look.view,
            faults: self.health.faults(),
        };
        match serde_json::to_vec(&state) {
            Ok(json) => (StatusCode::OK, "application/json", json.into()),
            Err(error) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                TEXT,
                format!("{error}\n").into(),
            ),
        }
    }

    /// Looks at the network, unless somebody has just done that. Who asks meanwhile waits for what
    /// is seen.
    async fn look(&self) -> Arc<Shown> {
        let mut seen = self.seen.lock().await;
        if let Some((at, shown)) = &seen.last
            && at.elapsed() < FRESH
        {
            return shown.clone();
        }
        let shown = Arc::new(Shown {
            look: seen.watch.look().await,
            wide: OnceLock::new(),
            narrow: OnceLock::new(),
        });
        seen.last = Some((Instant::now(), shown.clone()));
        shown
    }

    fn metrics(&self) -> Bytes {
        let mut last = self.metrics.lock();
        match &*last {
            Some((at, text)) if at.elapsed() < FRESH_METRICS => text.clone(),
            _ => {
                let text = Bytes::from(self.node.metrics().open_metrics());
                *last = Some((Instant::now(), text.clone()));
                text
            }
        }
    }
}

impl Shown {
    /// The picture, drawn when it is wanted first.
    fn picture(&self, is_narrow: bool) -> Bytes {
        let (drawn, layout) = match is_narrow {
            true => (&self.narrow, Layout::NARROW),
            false => (&self.wide, Layout::WIDE),
        };
        let draw = || Bytes::from(svg::render(&self.look.graph, layout));
        drawn.get_or_init(draw).clone()
    }
}

/// The header `Host`.
enum Host<'a> {
    Is(&'a str),
    Missing,
    /// There are several, or it is no text.
    Unclear,
}

fn host(headers: &HeaderMap) -> Host<'_> {
    let mut all = headers.get_all(header::HOST).iter();
    match (all.next(), all.next()) {
        (None, _) => Host::Missing,
        (Some(host), None) => host.to_str().map_or(Host::Unclear, Host::Is),
        _ => Host::Unclear,
    }
}
