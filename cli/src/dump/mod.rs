//! `aemp dump`: says what captured conversations mean, and checks them.

mod capture;
mod decode;
mod event;
mod handshake;
mod meaning;
mod pcap;
mod stream;
mod tcp;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use aemp::proto::Secret;
use serde_json::json;

use crate::{Failure, output};
use capture::Capture;
pub(crate) use capture::{Chunk, Direction};
pub(crate) use decode::{Decoder, Rules, Stopped};
pub(crate) use event::{Event, What, printable};

pub(crate) const HELP: &str = "\
A line for each message: seconds, the connection's number and the direction (> from who connected), \
the octet of that direction at which it begins, the port, what it means, its elements. Raw octets \
are those of one direction. What passes in TLS is named, and not decoded.

Exit status: 1 if anything could not be decoded, or with --secret not be verified; those lines have \
the word WRONG, or name TLS.

Examples: aemp dump --secret geheim conversation.jsonl
          aemp dump --json network.pcap";

/// The options of the command.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Captures: JSON lines as in fixtures/, pcap, or raw octets
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The secret of the network, by which every token is checked
    #[arg(long, value_name = "TEXT")]
    secret: Option<String>,
}

/// The command.
pub(crate) fn dump(options: Options) -> Result<(), Failure> {
    let secret = options.secret.as_deref().map(Secret::from_perl);
    let mut wrong = 0;
    for path in &options.files {
        let name = path.display().to_string();
        let file = std::fs::read(path).map_err(|error| format!("{name}: {error}"))?;
        if options.files.len() > 1 && !output::is_json() {
            output::line(format_args!("{}:", printable(&name)))?;
        }
        wrong += show(&name, &capture::read(&file), secret.as_ref())?;
    }
    match wrong {
        0 => Ok(()),
        1 => Err("1 place could not be decoded or verified".into()),
        _ => Err(format!("{wrong} places could not be decoded or verified").into()),
    }
}

/// Writes all that is in a file, and says how many places in it are wrong.
fn show(name: &str, capture: &Capture, secret: Option<&Secret>) -> Result<usize, Failure> {
    let mut wrong = capture.unreadable.len();
    for conversation in &capture.conversations {
        if let Some(between) = &conversation.between
            && !output::is_json()
        {
            output::line(format_args!(
                "connection {}: {between}",
                conversation.number
            ))?;
        }
        for event in decode::decode(conversation, secret) {
            wrong += usize::from(event.is_open());
            match output::is_json() {
                true => output::line(event.json(Some(name), conversation.number))?,
                false => output::line(event.text(conversation.number))?,
            }
        }
    }
    for place in &capture.unreadable {
        let (offset, what) = (place.offset, &place.what);
        let object = json!({"file": name, "offset": offset, "kind": "fault", "text": what});
        let text = format!("WRONG at octet {offset} of the file: {what}");
        match output::is_json() {
            true => output::line(object)?,
            false => output::line(printable(&text))?,
        }
    }
    Ok(wrong)
}
