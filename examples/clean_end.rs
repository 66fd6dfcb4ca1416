//! A service that ends without losing what it has begun.
//!
//!     cargo run --example clean_end

use std::time::Duration;

use aemp::Node;
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let builder = |id: &str| Node::builder().no_rc().nodeid(id).secret("end");
    let service = builder("service").binds(["127.0.0.1:0"]).start().await?;
    let port = service.port();
    port.answer_async("work", |_, (n,): (u64,)| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok::<_, String>(n + 1)
    });
    let client = builder("client").binds([""; 0]).seeds(service.listeners());
    let client = client.start().await?;

    // One after the other, as the port takes one message at a time.
    let mut calls = JoinSet::new();
    for n in 0..10 {
        let (client, port) = (client.clone(), port.id().clone());
        calls.spawn(async move { client.cal::<u64>(&port, &("work", n), None).await });
    }
    let first = calls.join_next().await.expect("there are calls")?;
    println!("the first answer: {}", first?);

    // As a program does on SIGTERM, so that whoever waits for `closed` knows.
    let ended = tokio::spawn(service.closed());
    service.shutdown_within(Duration::from_secs(10)).await?;
    ended.await?;

    let answers = calls.join_all().await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    println!("{} more while it ended", answers.len());
    // Whoever still has a handle of the node is told.
    match service.snd(&port, &("work", 1)) {
        Err(error) => println!("then: {error}"),
        Ok(()) => panic!("it went on"),
    }
    Ok(())
}
