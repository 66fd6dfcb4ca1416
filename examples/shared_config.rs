//! A configuration that all nodes see: keys and values of the database of AnyEvent::MP 2.x.
//!
//!     cargo run --example shared_config

use std::collections::BTreeMap;

use aemp::{DbChanges, Node};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Limit {
    requests: u32,
    seconds: f64,
}

/// Keeps a copy up to date until it is as wanted.
async fn follow(
    changes: &mut DbChanges<Limit>,
    copy: &mut BTreeMap<String, Limit>,
    is_wanted: impl Fn(&BTreeMap<String, Limit>) -> bool,
) -> Result<(), Box<dyn std::error::Error>> {
    while !is_wanted(copy) {
        let change = changes.next().await.ok_or("the node has stopped")??;
        copy.extend(change.added);
        copy.extend(change.changed);
        for (key, _) in change.deleted {
            copy.remove(&key);
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let builder = |id: &str| Node::builder().no_rc().nodeid(id).secret("config");
    // A seed is a global node, as a rule: it keeps the database together.
    let seed = builder("seed").binds(["127.0.0.1:0"]).start().await?;
    let member = |id| builder(id).binds([""; 0]).seeds(seed.listeners()).start();
    let (operator, service) = (member("operator").await?, member("service").await?);

    let mut changes = service.db_mon::<Limit>("limits");
    let mut limits = BTreeMap::new();

    let strict = Limit {
        requests: 10,
        seconds: 0.5,
    };
    operator.db_set("limits", "guests", &strict)?;
    follow(&mut changes, &mut limits, |limits| {
        limits.contains_key("guests")
    })
    .await?;
    println!("the service knows {limits:?}");
    assert_eq!(limits["guests"], strict);

    // Who comes later asks.
    let late = member("late").await?;
    assert_eq!(late.db_keys("limits").await?, ["guests"]);

    // What a node has set goes with it.
    operator.shutdown().await;
    follow(&mut changes, &mut limits, BTreeMap::is_empty).await?;
    println!("the operator is gone, and its limits");
    Ok(())
}
