//! `aemp-bench`: how fast nodes of this crate are, beside real Perl nodes and beside what the
//! machine can do at all; or beside nodes of another build.
//!
//! Every measurement is made between processes that speak the same lines of JSON with this program
//! ([`child`]): Rust nodes ([`node`]), the same work without a node ([`bare`]), and real Perl nodes
//! (`interop/perl/bench.pl`).

mod bare;
mod bench;
mod certificate;
mod child;
mod compared;
mod data;
mod failure;
mod figures;
mod links;
mod measure;
mod mesh;
mod message;
mod node;
mod pair;
mod pauses;
mod plan;
mod rivals;
mod roles;
mod scale;
mod sink;
mod stats;
mod summary;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures Rust nodes beside Perl nodes and beside bare loops, and prints one table.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    options: measure::Options,
    #[command(subcommand)]
    what: Option<What>,
}

/// Other things to do.
#[derive(Debug, Subcommand)]
enum What {
    /// Print several runs as one table, the medians of each figure, in Markdown
    Summary {
        /// What `--json` wrote
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Compare two builds of this crate, round by round in turn
    ///
    /// BEFORE and AFTER are executables aemp-bench of two builds, or the folders (target/release)
    /// that they are in. Each figure of this crate's nodes is taken of children of both: before,
    /// after; after, before; and so on, each time with new processes. Printed are the medians of
    /// both, and the median, the least and the greatest of the ratios of single rounds: above 1 the
    /// build AFTER is better, in rates as in times and sizes.
    ///
    /// Exit status: 0 if no median ratio is below the bound, 1 if one is, 2 if something could not
    /// be measured.
    Pair(pair::Options),
    /// Measure how cost grows with the work: many ports, members, keys, monitors, links, nodes
    ///
    /// Each figure is taken with several sizes, in processes of their own, and the exponent of its
    /// growth is fitted: 1 is linear, 0 means that the size makes no difference. What is asked for
    /// counts with the largest size.
    ///
    /// Exit status: 0 if all of that holds, 1 if something does not, 2 if something could not be
    /// measured.
    Scale(scale::Options),
    /// Measure this crate beside Erlang, ZeroMQ, NATS, tonic and ractor_cluster
    ///
    /// Each is measured as far as it is installed, in processes of its own that are built first
    /// (interop/rivals); what is missing is named, with what to install. Round by round all are
    /// measured one behind the other, and what counts are the ratios of single rounds.
    ///
    /// Exit status: 0 if all that is there was measured, 1 if something that is there could not be
    /// built or measured, 2 if nothing could be measured.
    Rivals(rivals::Options),
    #[command(flatten)]
    Child(roles::Role),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let good = match cli.what {
        None => measure::run(&cli.options).map(|()| true),
        Some(What::Summary { files }) => summary::print(&files).map(|()| true),
        Some(What::Pair(options)) => pair::run(&options),
        Some(What::Scale(options)) => scale::run(&options),
        Some(What::Rivals(options)) => rivals::run(&options),
        Some(What::Child(role)) => roles::play(role).map(|()| true),
    };
    match good {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("aemp-bench: {error}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("aemp-bench").chain(arguments.split(' ')))
    }

    #[test]
    fn two_builds_and_what_is_asked_of_them() {
        let cli = parse("pair before after --rounds 4 --only cal --only mesh --at-least 0.9");
        let Some(What::Pair(options)) = cli.unwrap().what else {
            panic!("another mode");
        };
        assert_eq!(
            (options.before, options.after),
            ("before".into(), "after".into())
        );
        assert_eq!(
            (options.rounds, options.only),
            (Some(4), vec!["cal".to_owned(), "mesh".to_owned()])
        );
        assert_eq!(options.at_least, 0.9);
        let Some(What::Pair(options)) = parse("pair before after").unwrap().what else {
            panic!("another mode");
        };
        assert_eq!((options.at_least, options.rounds), (0.95, None));
    }

    #[test]
    fn rivals_are_chosen_by_their_names() {
        let cli = parse("rivals --quick --rivals erlang,tonic --only round");
        assert!(matches!(cli.unwrap().what, Some(What::Rivals(_))));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for arguments in [
            "pair before",
            "pair before after --rounds 0",
            "pair before after --at-least 0",
            "pair before after --at-least nan",
            "pair before after --releases 1.30",
            // would be ignored
            "--only mesh pair before after",
            "--rounds 0",
            "rivals --rivals carrier-pigeons",
            "rivals --rounds 0",
        ] {
            assert!(parse(arguments).is_err(), "{arguments}");
        }
    }

    /// A parent of a later build starts its children so; see also the test of what a parent gives.
    #[test]
    fn children_understand_the_arguments_of_other_builds() {
        for arguments in [
            "server --nodeid server --port 4711 --ports 10000 --framing cbor",
            "client --seed 127.0.0.1:4711 --links 64 --framing cbor",
            "client --seed 127.0.0.1:4711 --links 500 --prefix more",
            "client --threads 2",
            "server --port 4711 --cert -----BEGIN",
            "client --seed 127.0.0.1:4711 --cert -----BEGIN",
            "links --address 127.0.0.1:4711 --version 1 --count 20000",
            "mesh --nodeid node1 --port 4711 --nodes 50 --seed 127.0.0.1:4712",
            "ports --count 1000000 --handler",
            "scale-row --row monitors --size 1000000",
        ] {
            let cli = parse(arguments).unwrap_or_else(|error| panic!("{error}"));
            assert!(matches!(cli.what, Some(What::Child(_))), "{arguments}");
        }
    }
}
