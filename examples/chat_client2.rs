//! The tutorial's other chat client: spawns its bridge head on a node of the group
//! `eg_chat_server2`, and does so again whenever it is lost. The nickname is its only argument.
//!
//! It is configured like `chat_server`. End of input (Ctrl-D) or Ctrl-C ends it.

#[path = "support/client.rs"]
mod client;
#[path = "support/stop.rs"]
mod stop;
#[path = "support/terminal.rs"]
mod terminal;
#[path = "support/text.rs"]
mod text;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    client::run(
        "eg_chat_server2",
        |node, server, client, nick| node.spawn(server, "::client_connect", &(client, nick)),
        |node, bridge_head, _nick, line| node.snd(bridge_head, &[line]),
    )
    .await
}
