//! As much of HTTP as who collects metrics needs.

use std::io;
use std::time::Duration;

use aemp::Node;
use aemp::node::OPEN_METRICS_TYPE;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// No request is longer, in octets, or takes longer.
const LONGEST: u64 = 16 * 1024;
const LIMIT: Duration = Duration::from_secs(5);

/// Serves the counters of a node at `/metrics`.
pub async fn serve(listener: TcpListener, node: Node) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let node = node.clone();
        tokio::spawn(async move {
            // Who asks too slowly, or goes away, gets no answer.
            let _ = timeout(LIMIT, answer(stream, &node)).await;
        });
    }
}

async fn answer(mut stream: TcpStream, node: &Node) -> io::Result<()> {
    let (input, mut output) = stream.split();
    let mut lines = BufReader::new(input.take(LONGEST)).lines();
    let request = lines.next_line().await?.unwrap_or_default();
    // The headers say nothing that matters here.
    while lines
        .next_line()
        .await?
        .is_some_and(|line| !line.is_empty())
    {}
    let (status, kind, body) = match request.split(' ').collect::<Vec<_>>()[..] {
        ["GET", "/metrics", _] => {
            let text = node.metrics().open_metrics();
            ("200 OK", OPEN_METRICS_TYPE, text)
        }
        ["GET", ..] => ("404 Not Found", "text/plain", "see /metrics\n".to_owned()),
        _ => ("405 Method Not Allowed", "text/plain", String::new()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: \
         close\r\n\r\n"
    );
    output.write_all(head.as_bytes()).await?;
    output.write_all(body.as_bytes()).await?;
    output.shutdown().await
}
