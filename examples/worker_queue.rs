//! A queue of work for a slower worker on another node: `snd_wait` alone keeps what waits small.
//!
//!     cargo run --example worker_queue

use std::time::{Duration, Instant};

use aemp::Node;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const JOBS: u64 = 2_000;

#[tokio::main]
async fn main() -> Outcome {
    let builder = |id: &str| Node::builder().no_rc().nodeid(id).secret("queue");
    let worker = builder("worker").binds(["127.0.0.1:0"]).start().await?;
    let source = builder("source").binds([""; 0]).seeds(worker.listeners());
    let source = source.start().await?;

    // Half a millisecond of work for each job; the last one says that it was done.
    let port = worker.port();
    let (told, done) = tokio::sync::oneshot::channel();
    let told = std::sync::Arc::new(std::sync::Mutex::new(Some(told)));
    port.rcv_async("job", move |_, (number, _): (u64, String)| {
        let told = told.clone();
        async move {
            tokio::time::sleep(Duration::from_micros(500)).await;
            if number + 1 == JOBS
                && let Some(told) = told.lock().unwrap().take()
            {
                let _ = told.send(());
            }
        }
    });

    let begun = Instant::now();
    let job = "x".repeat(10_000);
    for number in 0..JOBS {
        // Waits while the worker has enough to do.
        source.snd_wait(port.id(), &("job", number, &job)).await?;
    }
    println!("{JOBS} jobs handed over in {:?}", begun.elapsed());
    done.await?;
    println!("the last one was done after {:?}", begun.elapsed());
    source.shutdown().await;
    worker.shutdown().await;
    Ok(())
}
