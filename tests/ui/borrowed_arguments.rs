fn main() {
    let node = aemp::Node::local();
    node.port()
        .rcv("log", |_, (line,): (&str,)| println!("{line}"));
}
