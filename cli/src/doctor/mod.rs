//! `aemp doctor`: what is wrong with a node's set-up, and who has to change what.
//!
//! It looks at what `aemp run` with the same arguments would use, from the file to the answer of
//! each seed, and says in a line each what it has found. Nothing is changed by it: the addresses to
//! listen on are let go again, and seeds see a connection of an anonymous node for a moment.

mod explain;
mod findings;
mod network;
mod setup;

use aemp::Node;
use aemp::config::{Arguments, Environment};

use crate::settings::read_node_arguments;
use crate::{Failure, node_arguments, output};
use findings::Findings;

pub(crate) async fn doctor(arguments: Vec<String>) -> Result<(), Failure> {
    let mut findings = Findings::new();
    examine(arguments, &mut findings).await?;
    findings.end()
}

/// Looks at everything, as far as what went before allows it.
async fn examine(arguments: Vec<String>, findings: &mut Findings) -> Result<(), Failure> {
    let words = node_arguments::of_node(read_node_arguments(&arguments)?);
    let arguments = Arguments::from_list(words)?;
    let profile = node_arguments::check_profile(&arguments);
    let leaves_out_file = arguments.leave_out_file()?;
    let builder = Node::builder().arguments(arguments);
    match leaves_out_file {
        true => findings.fine("file", "not read, as the arguments say `norc`")?,
        false => setup::file(Environment::from_process().rc_path().as_deref(), findings)?,
    }
    if findings.wrong > 0 && builder.config().is_err() {
        return Ok(()); // it was just said why
    }
    if let Err(error) = profile {
        findings.wrong("profile", error, "aemp profile NAME .. makes one")?;
        return Ok(());
    }
    let config = match builder.config() {
        Ok(config) => config,
        Err(error) => {
            findings.wrong("settings", error, "correct it; all else depends on it")?;
            return Ok(());
        }
    };
    let binds = config.binds.as_ref().map_or(1, Vec::len);
    findings.expect(binds + config.seeds.len());
    setup::settings(&config, findings)?;
    setup::trust(&config, findings)?;
    let own = network::binds(&builder, &config, findings).await?;
    network::http(&config, &own, findings).await?;
    network::seeds(&builder, &config, &own, findings).await?;
    Ok(())
}

/// A number of things: `1 seed`, `2 seeds`.
fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// Says that everything was looked at, or fails.
impl Findings {
    fn end(self) -> Result<(), Failure> {
        match (self.wrong, self.odd) {
            (0, _) if output::is_json() => Ok(()),
            (0, 0) => Ok(output::line("nothing is wrong")?),
            (0, odd) => Ok(output::line(format_args!(
                "nothing is wrong, but look at {}",
                count(odd, "line")
            ))?),
            (wrong, _) => Err(format!("{} wrong", are(wrong)).into()),
        }
    }
}

fn are(number: usize) -> String {
    match number {
        1 => "1 thing is".to_owned(),
        _ => format!("{number} things are"),
    }
}
