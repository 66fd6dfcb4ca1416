//! The tutorial's chat client: joins the server of the group `eg_chat_server`, and comes back to it
//! whenever the two have lost each other. The nickname is its only argument.
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
        "eg_chat_server",
        |node, server, client, nick| {
            node.snd(server, &("join", client, nick))?;
            Ok(server.clone())
        },
        |node, server, nick, line| node.snd(server, &("privmsg", nick, line)),
    )
    .await
}
