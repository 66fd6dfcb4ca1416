//! The tutorial's chat server: a port in the group `eg_chat_server`, to which clients send
//! messages.
//!
//! It is configured like every node, by the profile named like the host in `~/.perl-anyevent-mp`.
//! Its clients are `chat_client` and the one that comes with AnyEvent::MP. To try it, have this in
//! the file, then start `aemp run seed`, a server and some clients, each in a window of its own:
//!
//! ```text
//! {"version":1,"secret":"correct horse","nodeid":"anon/","seeds":["127.0.0.1:4040"],
//!  "profile":{"seed":{"nodeid":"seed","binds":["127.0.0.1:4040"],"seeds":[]}}}
//! ```

#[path = "support/room.rs"]
mod room;
#[path = "support/stop.rs"]
mod stop;
#[path = "support/text.rs"]
mod text;

use aemp::{Address, Node, PortId, Text};
use room::Room;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    aemp::log::init_from_env();
    let node = Node::builder().start().await?;
    let mut stop = std::pin::pin!(stop::asked());
    let room = Room::default();
    loop {
        let server = serve(&node, &room);
        let (died, end) = oneshot::channel();
        node.mon(&server, move |reason| {
            let _ = died.send(reason);
        });
        node.register("eg_chat_server", &server);
        eprintln!("server ready.");
        tokio::select! {
            // Clients that monitor the port come again, and find the new one.
            Ok(reason) = end => eprintln!("the server's port died: {reason}"),
            done = &mut stop => {
                done?;
                break;
            }
        }
    }
    node.shutdown().await;
    Ok(())
}

/// What clients say.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Said {
    Join(PortId, Text),
    Privmsg(Text, Text),
}

/// Makes the port that clients talk to.
fn serve(node: &Node, room: &Room) -> Address<Said> {
    let here = room.clone();
    node.serve(move |cx, said| match said {
        Said::Join(client, nick) => here.join(cx, &client, &nick.0),
        Said::Privmsg(nick, line) => here.say(cx, &format!("{}: {}", nick.0, line.0)),
    })
}
