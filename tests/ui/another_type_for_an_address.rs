use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
enum Log {
    Line(String),
}

fn main() {
    let node = aemp::Node::local();
    let log = node.serve(|_, Log::Line(line)| println!("{line}"));
    let _ = node.snd(&log, &("line", "hello"));
}
