use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
enum Room {
    Say(String),
    Quit,
}

fn main() {
    let node = aemp::Node::local();
    node.serve(|_, message| match message {
        Room::Say(text) => println!("{text}"),
    });
}
