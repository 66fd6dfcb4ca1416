//! A port that says all it takes in an enum, and answers.
//!
//!     cargo run --example till

use aemp::{CalError, Node, Reply};
use serde::{Deserialize, Serialize};

/// What a till takes. `Pay(5)` is `["pay", 5]` on the wire, for a Perl node as for any other.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Till {
    Pay(u64),
    Take { amount: u64, reply: Reply<u64> },
    Sum(Reply<u64>),
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let node = Node::local();
    let mut sum = 0;
    let till = node.serve(move |cx, message| match message {
        Till::Pay(amount) => {
            sum += amount;
            Ok(())
        }
        Till::Take { amount, reply } if amount > sum => {
            cx.answer(&reply, Err::<u64, _>(format!("there are only {sum}")))
        }
        Till::Take { amount, reply } => {
            sum -= amount;
            cx.answer(&reply, Ok::<_, String>(sum))
        }
        Till::Sum(reply) => cx.answer(&reply, Ok::<_, String>(sum)),
    });

    node.snd(&till, &Till::Pay(40))?;
    node.snd(&till, &Till::Pay(2))?;
    assert_eq!(node.ask(&till, Till::Sum, None).await?, 42);

    let take = |amount| move |reply| Till::Take { amount, reply };
    assert_eq!(node.ask(&till, take(2), None).await?, 40);
    // An error is an answer, too: the till goes on.
    match node.ask(&till, take(50), None).await {
        Err(CalError::Refused(why)) => println!("no: {why}"),
        other => panic!("{other:?}"),
    }
    println!("{} are left", node.ask(&till, Till::Sum, None).await?);
    Ok(())
}
