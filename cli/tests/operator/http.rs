//! `aemp run .. http`: what is asked over HTTP, by friends and by others.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Home, LIMIT, Running, builder, node};

/// Where it answers, as the line at its start says.
pub fn address(running: &Running) -> SocketAddr {
    let line = running.says("shows the network");
    let (_, after) = line.split_once("http://").unwrap();
    after.split('/').next().unwrap().parse().unwrap()
}

/// A node with the setting, and where it answers.
fn shown(home: &Home, more: &[&str]) -> (Running, SocketAddr) {
    let mut arguments = vec![
        "run",
        "nodeid",
        "r",
        "binds",
        "127.0.0.1:*",
        "http",
        "127.0.0.1:*",
    ];
    arguments.extend(more);
    let running = home.start(&arguments);
    let address = address(&running);
    (running, address)
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(this, _)| this.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }
}

/// Sends that, and gives all that comes until the connection ends.
fn exchange(to: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    // Who is refused may not have read all of it.
    let _ = stream.write_all(request);
    let mut octets = Vec::new();
    let mut block = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut block) {
        octets.extend_from_slice(&block[..read]);
    }
    String::from_utf8(octets).unwrap()
}

fn ask(to: SocketAddr, request: &str) -> Answer {
    let answer = exchange(to, request.as_bytes());
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{request:?} gets {answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

fn get(to: SocketAddr, path: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n");
    ask(to, &request)
}

/// Asks until the answer is as wanted.
fn until(to: SocketAddr, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
    let begun = Instant::now();
    loop {
        let answer = get(to, path);
        if wanted(&answer) {
            return answer;
        }
        assert!(begun.elapsed() < LIMIT, "{path} stays {}", answer.body);
        std::thread::sleep(Duration::from_millis(20)); // a look again, not a wait
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn programs_and_browsers_get_what_they_ask_for() {
    let home = Home::new(json!({}));
    let (running, to) = shown(&home, &[]);
    assert!(to.ip().is_loopback());
    let friend = node("friend", &running.address()).await;
    let port = friend.port();
    friend.register("<script>alert(1)</script>", &port);
    friend.kil(friend.port(), aemp::Reason::new(["overheated", "CPU 0"]));

    let metrics = get(to, "/metrics");
    assert_eq!(metrics.status, 200);
    let kind = metrics.header("content-type").unwrap();
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(
        metrics.body.contains("\naemp_links{node=\"r\"} "),
        "{}",
        metrics.body
    );
    assert!(metrics.body.ends_with("# EOF\n"));

    let state = until(to, "/state.json", |answer| {
        answer.body.contains("overheated")
    });
    assert_eq!(state.header("content-type"), Some("application/json"));
    let state: Value = serde_json::from_str(&state.body).unwrap();
    let names: Vec<&Value> = state["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| &n["node"])
        .collect();
    assert_eq!(names, ["friend", "r"]);
    assert_eq!(state["groups"][0]["group"], "<script>alert(1)</script>");
    assert_eq!(state["groups"][0]["members"], json!([port.id()]));
    assert_eq!(state["deaths"][0]["reason"], "overheated CPU 0");
    assert_eq!(state["links"][0]["nodes"], json!(["friend", "r"]));
    assert_eq!(state["faults"], json!([]));
    // Two looks make a rate.
    let rated = until(to, "/state.json", |answer| {
        let state: Value = serde_json::from_str(&answer.body).unwrap();
        state["links"][0]["there"]["messages"].as_f64() > Some(0.0)
    });
    let rated: Value = serde_json::from_str(&rated.body).unwrap();
    assert!(rated["total"]["octets"].as_f64() > Some(0.0), "{rated:#}");

    let picture = get(to, "/topology.svg");
    assert_eq!(picture.header("content-type"), Some("image/svg+xml"));
    assert!(picture.body.contains(">friend<"), "{}", picture.body);
    let narrow = get(to, "/topology.svg?narrow");
    assert_ne!(narrow.body, picture.body);

    let page = get(to, "/");
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    for path in ["/", "/page.js", "/page.css", "/state.json", "/nothing"] {
        let answer = get(to, path);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.header("access-control-allow-origin").is_none());
        // Nothing is from elsewhere, but for the name of a format.
        let body = answer.body.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !body.contains("http:") && !body.contains("https:"),
            "{path}: {body}"
        );
    }
    let head = format!("HEAD /metrics HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n");
    let head = ask(to, &head);
    assert_eq!((head.status, &*head.body), (200, ""));
    assert!(
        head.header("content-length")
            .unwrap()
            .parse::<usize>()
            .unwrap()
            > 500
    );
    assert_eq!(get(to, "/healthz").body, "ok\n");
}

#[test]
fn whoever_means_something_else_gets_nothing() {
    let home = Home::new(json!({}));
    let (_running, to) = shown(&home, &[]);
    let host = format!("Host: {to}\r\n");
    for (request, status) in [
        // The page of another one, whose name leads here by now.
        (
            "GET /state.json HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(),
            421,
        ),
        (
            "GET / HTTP/1.1\r\nHost: evil.example:9100\r\n\r\n".to_owned(),
            421,
        ),
        (
            "GET / HTTP/1.0\r\nHost: evil.example\r\n\r\n".to_owned(),
            421,
        ),
        (
            format!("GET http://evil.example/ HTTP/1.1\r\n{host}\r\n"),
            421,
        ),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        (format!("GET / HTTP/1.1\r\n{host}{host}\r\n"), 400),
        (
            format!("GET / HTTP/1.1\r\n{host}Content-Length: 5\r\n\r\nhello"),
            400,
        ),
        (
            format!("GET / HTTP/1.1\r\n{host}Content-Length: 99999999999\r\n\r\n"),
            400,
        ),
        (
            format!("GET / HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n"),
            400,
        ),
        (format!("POST /state.json HTTP/1.1\r\n{host}\r\n"), 405),
        (
            format!("OPTIONS / HTTP/1.1\r\n{host}Origin: http://evil.example\r\n\r\n"),
            405,
        ),
        (format!("DELETE /metrics HTTP/1.1\r\n{host}\r\n"), 405),
        (
            format!("GET /../../etc/passwd HTTP/1.1\r\n{host}Connection: close\r\n\r\n"),
            404,
        ),
        (
            format!("GET /%2e%2e/page.js HTTP/1.1\r\n{host}Connection: close\r\n\r\n"),
            404,
        ),
        (
            format!("GET /{} HTTP/1.1\r\n{host}\r\n", "x".repeat(60_000)),
            431,
        ),
        (
            format!("GET / HTTP/1.1\r\n{host}X: {}\r\n\r\n", "x".repeat(60_000)),
            431,
        ),
        (
            format!("GET / HTTP/1.1\r\n{host}{}\r\n", "X: y\r\n".repeat(200)),
            431,
        ),
        ("nonsense\r\n\r\n".to_owned(), 400),
        ("\u{16}\u{3}\u{1}\u{2}\u{0}\r\n\r\n".to_owned(), 400),
    ] {
        let answer = ask(to, &request);
        let start = &request[..request.len().min(100)];
        // A target that is too long may be called that.
        let is_wanted = answer.status == status || (status, answer.status) == (431, 414);
        assert!(is_wanted, "{start:?}: {}", answer.head);
        assert!(!answer.body.contains("\"nodes\""), "{start:?}");
        assert_eq!(
            answer.header("allow"),
            (status == 405).then_some("GET, HEAD")
        );
    }
    // Names that can't lead elsewhere are good, and so is who sends none and is no browser.
    for host in ["localhost:1", "127.0.0.1", "[::1]:9100", "x.localhost"] {
        let request = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(ask(to, &request).status, 200, "{host}");
    }
    assert_eq!(ask(to, "GET /healthz HTTP/1.0\r\n\r\n").status, 200);
}

/// More than there may be at a time, none of which ends its request.
#[test]
fn connections_that_say_nothing_keep_nobody_out() {
    let home = Home::new(json!({}));
    let (_running, to) = shown(&home, &[]);
    let mut slow: Vec<TcpStream> = (0..150)
        .map(|n| {
            let mut stream = TcpStream::connect(to).unwrap();
            if n % 2 == 0 {
                stream.write_all(b"GET / HTTP/1.1\r\nX: ").unwrap();
            }
            stream.set_read_timeout(Some(LIMIT)).unwrap();
            stream
        })
        .collect();
    assert_eq!(get(to, "/healthz").body, "ok\n");
    // The first have been closed by then.
    let mut answer = Vec::new();
    assert!(slow[0].read_to_end(&mut answer).is_ok());
    assert!(!String::from_utf8_lossy(&answer).contains(" 200 "));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_node_is_healthy_while_it_has_its_seed_and_its_services() {
    let home = Home::new(json!({}));
    // An address that nobody listens at yet.
    let seed = builder("seed")
        .binds(["127.0.0.1:0"])
        .start()
        .await
        .unwrap();
    let at = seed.listeners().remove(0);
    seed.shutdown().await;
    let (running, to) = shown(&home, &["seeds", &at, "connect_interval", "0.2"]);
    let sick = until(to, "/healthz", |answer| answer.body.contains("refused"));
    assert_eq!(sick.status, 503);
    assert!(
        sick.body
            .starts_with(&format!("not connected to any seed: {at}: ")),
        "{}",
        sick.body
    );
    let state = get(to, "/state.json").body;
    let state: Value = serde_json::from_str(&state).unwrap();
    assert!(
        state["faults"][0].as_str().unwrap().contains(&at),
        "{state:#}"
    );

    let seed = builder("seed").binds([&*at]).start().await.unwrap();
    let well = until(to, "/healthz", |answer| answer.status == 200);
    assert_eq!(well.body, "ok\n");
    seed.shutdown().await;
    until(to, "/healthz", |answer| answer.status == 503);
    drop(running);

    // A service that fails after a while; one that ends normally is no fault.
    home.program("services/shop/till", "#!/bin/sh\nexit 7\n");
    home.program("services/shop/once", "#!/bin/sh\nexit 0\n");
    let path = home.path("services");
    home.configure(json!({"services_path": [path], "services": ["shop::once"]}));
    let (running, to) = shown(&home, &[]);
    assert_eq!(get(to, "/healthz").body, "ok\n");
    drop(running);
    home.configure(json!({"services_path": [path], "services": ["shop::till"]}));
    let (_running, to) = shown(&home, &[]);
    let sick = until(to, "/healthz", |answer| answer.status == 503);
    assert_eq!(sick.body, "the service shop::till has ended: exit 7\n");
}

#[test]
fn whoever_opens_it_to_others_is_told() {
    let home = Home::new(json!({}));
    let arguments = ["run", "nodeid", "r", "binds", "127.0.0.1:*", "http", "*:*"];
    let running = home.start(&arguments);
    let listens = address(&running);
    running.says("without a secret");
    let to = SocketAddr::from(([127, 0, 0, 1], listens.port()));
    assert_eq!(get(to, "/healthz").body, "ok\n");
    drop(running);

    // Where somebody listens already; then what is no address.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let (_, port) = at.split_once(':').unwrap();
    for (value, words) in [
        (&*at, "in use"),
        (port, "in use"),
        ("unix/:/tmp/x", "HOST:PORT"),
    ] {
        let arguments = ["run", "nodeid", "r", "binds", "127.0.0.1:*", "http", value];
        let mut running = home.start(&arguments);
        let line = running.says(words);
        assert!(line.contains("http"), "{line}");
        assert!(!running.ends().success());
    }
}

/// The setting is kept for a profile like any other.
#[test]
fn it_is_a_setting() {
    let home = Home::new(json!({}));
    for (arguments, works) in [
        (["profile", "p", "sethttp", "9100"], true),
        (["profile", "p", "http", "127.0.0.1:*"], true),
        (["profile", "p", "sethttp", "unix/:/tmp/x"], false),
    ] {
        let set = home.command(arguments).output().unwrap();
        assert_eq!(set.status.success(), works, "{set:?}");
    }
    let running = home.start(&["run", "p", "nodeid", "r", "binds", "127.0.0.1:*"]);
    assert_eq!(get(address(&running), "/healthz").status, 200);
}
