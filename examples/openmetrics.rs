//! A node whose counters are served over HTTP, as OpenMetrics text: see
//! `http://127.0.0.1:9464/metrics`, or give it another address as its argument.

#[path = "support/http.rs"]
mod http;

use aemp::Node;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:9464".to_owned());
    let node = Node::builder().nodeid("openmetrics/").start().await?;
    node.time_handlers(true);
    let listener = TcpListener::bind(address).await?;
    println!("http://{}/metrics", listener.local_addr()?);
    http::serve(listener, node).await?;
    Ok(())
}
