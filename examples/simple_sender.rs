//! The tutorial's sender: every second a message to every port in the group `eg_receivers`.

use std::time::{Duration, SystemTime};

use aemp::Node;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    aemp::log::init_from_env();
    let node = Node::builder()
        .nodeid("eg_sender")
        .seeds(["*:4040"])
        .start()
        .await?;

    let mut every_second = tokio::time::interval(Duration::from_secs(1));
    loop {
        every_second.tick().await;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        for port in node.members("eg_receivers") {
            node.snd(&port, &("test", now.as_secs()))?;
        }
    }
}
