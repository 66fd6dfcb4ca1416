//! What ports and links take of the memory.

use serde_json::json;

use crate::bench::{About, Bench};
use crate::child::{Linked, Setup, Who, number};
use crate::failure::Failure;
use crate::figures::{Better, Bound};

/// Of a million ports in a process of their own.
pub fn of_a_port(bench: &mut Bench) -> Result<(), Failure> {
    let builds = bench.those(Who::is_rust);
    for (name, more) in [
        ("memory of an idle port", None),
        ("memory of a port with a handler", Some("--handler")),
    ] {
        let mut arguments = vec!["--count".to_owned(), "1000000".to_owned()];
        arguments.extend(more.map(str::to_owned));
        let about = About::new(name, "octets", Better::Lower).at_most(1);
        let about = about.bounds(&[Bound::Absolute(250.0)]);
        bench.figure(about, &builds, |who| {
            let answer = who.start("ports", &arguments)?.line()?;
            number(&answer, "octets").map(Some)
        })?;
    }
    Ok(())
}

/// Of five hundred links to one node.
pub fn of_a_link(bench: &mut Bench) -> Result<(), Failure> {
    let builds = bench.those(Who::is_rust);
    let about = About::new("memory of an idle link", "KiB", Better::Lower).at_most(1);
    let about = about.bounds(&[Bound::Absolute(16.0)]);
    bench.figure(about, &builds, |who| link(who).map(Some))?;
    Ok(())
}

fn link(who: &Who) -> Result<f64, Failure> {
    const LINKS: usize = 500;
    let mut linked = Linked::start(who, Setup::default())?;
    let before = number(&linked.ask(json!({"do": "memory"}))?, "octets")?;
    let address = linked.ready["address"].as_str().ok_or("no address")?;
    let links = LINKS.to_string();
    let arguments = ["--seed", address, "--links", &links, "--prefix", "more"];
    let mut more = who.start("client", &arguments.map(str::to_owned))?;
    more.ask(&json!({"do": "connected"}))?;
    // A message each way on every link, so that what a link needs at work is there.
    let control = linked.ready["control"].clone();
    more.ask(&json!({"do": "touch", "control": control}))?;
    let after = number(&linked.ask(json!({"do": "memory"}))?, "octets")?;
    Ok((after - before) / LINKS as f64 / 1024.0)
}
