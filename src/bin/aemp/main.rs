//! The command `aemp`.
fn main() {}
