//! Everything that is measured, in its order.

use std::fmt::Write as _;

use crate::bench::Bench;
use crate::failure::Failure;

mod data;
mod handshakes;
mod memory;
mod mesh;
mod one_way;
mod ports;
mod round_trips;
mod slow;
mod tls;

/// Figures that belong together.
type Section = (&'static str, fn(&mut Bench) -> Result<(), Failure>);

const SECTIONS: [Section; 13] = [
    ("one way", one_way::one_link),
    ("one way, several links", one_way::several_links),
    ("round trip", round_trips::measure),
    ("TLS", tls::measure),
    ("data connections", data::measure),
    ("slow port", slow::measure),
    ("pauses", round_trips::pauses),
    ("monitor and kill", ports::monitor_and_kill),
    ("local", ports::local),
    ("handshake", handshakes::measure),
    ("memory of a port", memory::of_a_port),
    ("memory of a link", memory::of_a_link),
    ("mesh", mesh::measure),
];

/// Measures all that is asked for.
pub fn measure(bench: &mut Bench) -> Result<(), Failure> {
    for (name, section) in SECTIONS {
        bench.begin(name);
        section(bench)?;
    }
    match bench.names().is_empty() {
        true => Err("there is no such figure: --list names them".into()),
        false => Ok(()),
    }
}

/// The figures, each below its section.
pub fn list(bench: &Bench) -> String {
    let mut out = String::new();
    let mut last = "";
    for (section, name) in bench.names() {
        if *section != last {
            let _ = writeln!(out, "{section}");
            last = section;
        }
        let _ = writeln!(out, "    {name}");
    }
    out
}

/// Reads a number of rounds.
pub fn rounds(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err("a number of rounds, 1 or more".to_owned()),
    }
}
