//! A pipeline that keeps itself alive: a reader of lines, and behind it a counter, under a
//! supervisor.
//!
//!     cargo run --example pipeline

use std::error::Error;

use aemp::supervise::{Child, ChildInfo};
use aemp::{Address, Context, Node, PortId, Reply, Supervisor};
use serde::{Deserialize, Serialize};

/// The second stage counts.
#[derive(Serialize, Deserialize)]
enum Count {
    Add(i64),
    Sum(Reply<i64>),
}

/// The first stage reads lines. One that is no number kills it.
#[derive(Serialize, Deserialize)]
enum Read {
    Line(String),
    /// Answers when the lines before are through.
    Flush(Reply<()>),
}

/// The port of a child, as it is now.
fn port(supervisor: &Supervisor, child: &str) -> PortId {
    let child = supervisor.child(child).expect("it is a child");
    child.port.expect("it runs")
}

fn counter(cx: &Context) -> PortId {
    let mut sum = 0;
    let counter = cx.node().serve(move |cx, message| match message {
        Count::Add(n) => {
            sum += n;
            Ok(())
        }
        Count::Sum(reply) => cx.answer(&reply, Ok::<_, String>(sum)),
    });
    cx.node().register("counters", &counter);
    counter.into()
}

fn reader(cx: &Context) -> PortId {
    // Under rest_for_one it is started behind the counter, and anew when that one is.
    let counter: Address<Count> = Address::assume(&cx.node().members("counters")[0]);
    let read = move |cx: &Context, message| -> Result<(), Box<dyn Error>> {
        match message {
            Read::Line(line) => cx.snd(&counter, &Count::Add(line.trim().parse()?))?,
            Read::Flush(reply) => cx.answer(&reply, Ok::<_, String>(()))?,
        }
        Ok(())
    };
    cx.node().serve(read).into()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let node = Node::local();
    let supervisor = Supervisor::builder("pipeline")
        .rest_for_one()
        .child(Child::local("counter", counter))
        .child(Child::local("reader", reader))
        .start(&node)?;
    supervisor.ready().await?;

    let mut restarts = 0;
    for line in ["1", "2", "three", "4"] {
        let reader: Address<Read> = Address::assume(port(&supervisor, "reader"));
        node.snd(&reader, &Read::Line(line.to_owned()))?;
        // A line that is lost with the reader is told of: there is no answer then.
        if let Err(error) = node.ask(&reader, Read::Flush, None).await {
            println!("{line}: {error}");
            restarts += 1;
            let is_back = |reader: &ChildInfo| reader.restarts == restarts && reader.port.is_some();
            supervisor
                .wait_for(|children| is_back(&children[1]))
                .await?;
        }
    }
    let counter: Address<Count> = Address::assume(port(&supervisor, "counter"));
    let sum = node.ask(&counter, Count::Sum, None).await?;
    println!("the sum of the good lines is {sum}");
    assert_eq!(sum, 7);

    println!("the reader was started again {restarts} time(s)");
    assert_eq!(restarts, 1);
    supervisor.stop("the end").await;
    Ok(())
}
