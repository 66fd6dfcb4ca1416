//! How many links a node takes.

use aemp_interop::peers::Generation;
use aemp_interop::reserved::Reserved;

use crate::bench::{About, Bench};
use crate::child::{Who, number};
use crate::failure::Failure;
use crate::figures::Bound;
use crate::stats;

/// Links opened to a node and closed again.
pub fn measure(bench: &mut Bench) -> Result<(), Failure> {
    let nodes = bench.those(|who| !matches!(who, Who::Bare));
    let count = bench.count(20_000);
    let about = About::rate("links opened and authenticated, one core");
    let about = about.bounds(&[Bound::TimesPerl(5.0)]);
    bench.figure(about, &nodes, |who| opened(who, count))?;
    Ok(())
}

fn opened(who: &Who, count: u64) -> Result<Option<f64>, Failure> {
    let version = match who {
        Who::Perl(release) if release.generation == Generation::G0 => "0",
        Who::Perl(release) if release.generation == Generation::G2 => return Ok(None),
        _ => "1",
    };
    let reserved = Reserved::new()?;
    let port = reserved.address().port().to_string();
    let listen = ["--nodeid", "server", "--port", &port, "--ports", "1"];
    let mut server = who.start_on(Some(0), "server", &listen.map(str::to_owned))?;
    let ready = server.line()?;
    let address = ready["address"].as_str().ok_or("no address")?;
    let count = who.count(count).to_string();
    let open = [
        "--address",
        address,
        "--version",
        version,
        "--count",
        &count,
    ];
    // A build opens its own links: all processes that are compared with another build's are of one.
    let opener = match who {
        Who::Rust(_) => who.clone(),
        _ => Who::own()?,
    };
    let before = stats::processor_seconds(server.id());
    let mut links = opener.start_on(Some(1), "links", &open.map(str::to_owned))?;
    let opened = number(&links.line()?, "count")?;
    // What opens them may be slower than what takes them: the processor's time counts.
    let seconds = stats::processor_seconds(server.id()) - before;
    Ok(Some(opened / seconds))
}
