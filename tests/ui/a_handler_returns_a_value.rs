fn main() {
    let node = aemp::Node::local();
    node.port().rcv("next", |_, (n,): (u32,)| n + 1);
}
