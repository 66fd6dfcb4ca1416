//! The tutorial's receiver: a node with a port in the group `eg_receivers`.
//!
//! Run it with the secret in place (`aemp gensecret`), then start `simple_sender`, or the sender
//! that comes with AnyEvent::MP, on the same machine or with `seeds` set to this one.

use aemp::{Node, PortId};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    aemp::log::init_from_env();
    let node = Node::builder()
        .nodeid("eg_receiver")
        .binds(["*:4040"])
        .start()
        .await?;

    let port = node.port();
    node.register("eg_receivers", &port);
    port.rcv("test", |_, (data, _reply): (aemp::Text, Option<PortId>)| {
        println!("Received data: {}", data.0);
    });

    tokio::signal::ctrl_c().await?;
    node.shutdown().await;
    Ok(())
}
