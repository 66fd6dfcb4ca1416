fn main() {
    let node = aemp::Node::local();
    let _ = node.snd(node.port(), "hello");
}
