//! The Rust driver: one node that does what it is told on standard input (see `DRIVER.md`).

mod commands;
mod data;
mod database;
mod functions;
mod output;
mod peer;
mod ports;
mod stream;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// A Rust node for the interop harness.
#[derive(Parser)]
struct Cli {
    /// End after so many seconds
    #[arg(long, default_value_t = 120.0)]
    life: f64,
    /// Play perl/peer.pl: `listen PORT` or `connect PORT SEED`
    #[arg(long)]
    peer: bool,
    /// The arguments of peer.pl
    #[arg(requires = "peer")]
    arguments: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    aemp::log::init_from_env();
    if cli.peer {
        return match peer::play(&cli.arguments).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let life = Duration::from_secs_f64(cli.life);
    match tokio::time::timeout(life, serve()).await {
        // Standard input may still be read by a thread of the runtime: end at once.
        Ok(()) => std::process::exit(0),
        Err(_) => {
            eprintln!("aemp-driver: lived {life:?}, ending");
            std::process::exit(3)
        }
    }
}

/// Carries out commands until standard input ends.
async fn serve() {
    output::hello();
    let mut driver = commands::Driver::default();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        driver.command(&line).await;
    }
}
