//! How long many nodes take to find each other through one seed.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Instant;

use crate::bench::{About, Bench};
use crate::child::{Child, Who};
use crate::failure::Failure;
use crate::figures::{Better, Bound, USUAL_RELEASE};

/// Meshes of several sizes, each node a process.
pub fn measure(bench: &mut Bench) -> Result<(), Failure> {
    let sizes: &[usize] = match bench.is_quick() {
        true => &[10, 50],
        false => &[5, 10, 25, 50],
    };
    let nodes = bench.those(|who| match who {
        Who::Rust(_) => true,
        Who::Perl(release) => release.version == USUAL_RELEASE,
        _ => false,
    });
    for &size in sizes {
        let name = format!("mesh of {size} nodes around one seed");
        let about = About::new(name, "s", Better::Lower).at_most(3);
        let about = match size {
            50 => about.bounds(&[Bound::TimesPerl(5.0)]),
            _ => about,
        };
        bench.figure(about, &nodes, |who| mesh(who, size).map(Some))?;
    }
    Ok(())
}

/// The time from the word until every node has seen every other one.
fn mesh(who: &Who, nodes: usize) -> Result<f64, Failure> {
    let mut all: Vec<Child> = Vec::new();
    // All are held until the nodes bind them, so that no two are the same.
    let held: Vec<TcpListener> = (0..nodes)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<_, _>>()?;
    let ports: Vec<u16> = held
        .iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect::<std::io::Result<_>>()?;
    let seed = format!("127.0.0.1:{}", ports[0]);
    for (n, port) in ports.iter().enumerate() {
        let mut arguments = vec!["--nodeid".to_owned(), format!("node{n}")];
        arguments.extend([
            "--port".to_owned(),
            port.to_string(),
            "--nodes".to_owned(),
            nodes.to_string(),
        ]);
        if n > 0 {
            arguments.extend(["--seed".to_owned(), seed.to_string()]);
        }
        let mut child = who.start("mesh", &arguments)?;
        child.line()?;
        all.push(child);
    }
    drop(held);
    // A node that comes before its seed listens would try again much later.
    all[0].tell("go")?;
    while TcpStream::connect(&seed).is_err() {
        std::thread::yield_now();
    }
    let start = Instant::now();
    for child in &mut all[1..] {
        child.tell("go")?;
    }
    for child in &mut all {
        child.line()?;
    }
    Ok(start.elapsed().as_secs_f64())
}
