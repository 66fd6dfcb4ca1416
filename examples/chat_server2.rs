//! The tutorial's other chat server, which is all code: clients find its node in the group
//! `eg_chat_server2` and spawn a port there, their bridge head.
//!
//! It is configured like `chat_server`.

#[path = "support/room.rs"]
mod room;
#[path = "support/stop.rs"]
mod stop;
#[path = "support/text.rs"]
mod text;

use aemp::{Node, PortId, Text};
use room::Room;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    aemp::log::init_from_env();
    let node = Node::builder().start().await?;
    let room = Room::default();
    // Perl's clients name the function without its package, which is `main` then.
    node.function(
        "::client_connect",
        move |cx, (client, nick): (PortId, Text)| {
            // When the client dies, so does its bridge head. (Linked, it would outlive a normal
            // end.)
            let bridge_head = cx.clone();
            cx.mon(&client, move |reason| bridge_head.fail(reason));
            room.join(cx, &client, &nick.0);
            let room = room.clone();
            cx.this().rcv_any(move |cx, message| {
                let (line,): (Option<Text>,) = message.args()?;
                room.say(cx, &format!("{}: {}", nick.0, line.unwrap_or_default().0));
                Ok::<_, aemp::proto::ArgsError>(())
            });
        },
    );
    node.register("eg_chat_server2", node.id().node_port());
    eprintln!("server ready.");

    stop::asked().await?;
    node.shutdown().await;
    Ok(())
}
