//! `aemp record`: a relay between nodes that writes down what passes, for `aemp dump`.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use crate::relay::{self, Passing, Side, Watch};
use crate::{Failure, output};

pub(crate) const HELP: &str = concat!(
    "Have the one node connect to LISTEN in place of TARGET, where the other one listens. Each \
     connection is a file of its own, conversation-N.jsonl. Ends with SIGINT or SIGTERM.\n\n",
    relay::tls_help!(),
    "\n\nExamples: aemp record 127.0.0.1:4041 127.0.0.1:4040 --dir recordings\n",
    "          aemp record 127.0.0.1:4041 127.0.0.1:4040 --cert network.pem",
);

/// The options of the command.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    relay: relay::Options,
    /// Where conversations are written, a file each
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Close a connection when so much of it is written down, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    max_size: u64,
}

/// The command.
pub(crate) async fn record(options: Options) -> Result<(), Failure> {
    std::fs::create_dir_all(&options.dir)
        .map_err(|error| format!("{}: {error}", options.dir.display()))?;
    relay::serve(&options.relay, "records", |_| {
        let recording = Recording::create(&options)?;
        say(&recording.path, "begins")?;
        Ok(recording)
    })
    .await
}

/// Says what became of a file.
fn say(path: &Path, how: &str) -> Result<(), Failure> {
    let path = path.display();
    match output::is_json() {
        true => output::line(json!({"file": path.to_string(), "state": how}))?,
        false => output::line(format_args!("{path}: {how}"))?,
    }
    Ok(())
}

/// A file that a conversation is written to.
struct Recording {
    path: PathBuf,
    file: File,
    begun: Instant,
    /// So many octets may still be written down.
    room: u64,
}

impl Recording {
    /// Makes a file of a name that there is not.
    fn create(options: &Options) -> Result<Self, Failure> {
        let mut number = 1_u64;
        loop {
            let path = options.dir.join(format!("conversation-{number}.jsonl"));
            match File::create_new(&path) {
                Ok(file) => {
                    return Ok(Recording {
                        path,
                        file,
                        begun: Instant::now(),
                        room: options.max_size << 20,
                    });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(format!("{}: {error}", path.display()).into()),
            }
        }
    }
}

impl Watch for Recording {
    /// Writes down what passes, or, if that is nothing, that the direction has ended.
    fn passes(&mut self, what: Passing<'_>) -> Result<(), String> {
        let octets = what.octets;
        let count = u64::try_from(octets.len()).unwrap_or(u64::MAX);
        let Some(room) = self.room.checked_sub(count) else {
            return Err("closed, as --max-size is used up".to_owned());
        };
        self.room = room;
        let at = (self.begun.elapsed().as_secs_f64() * 1e4).round() / 1e4;
        let direction = match what.from {
            Side::Connector => ">",
            Side::Target => "<",
        };
        let mut row = json!({"conn": 1, "dir": direction, "at": at});
        match std::str::from_utf8(octets) {
            Ok(text) => row["text"] = text.into(),
            Err(_) => row["base64"] = BASE64.encode(octets).into(),
        }
        if what.inside_tls {
            row["inside_tls"] = true.into();
        }
        if octets.is_empty() {
            row["eof"] = true.into();
        }
        let written = self.file.write_all(format!("{row}\n").as_bytes());
        written.map_err(|error| format!("closed, as it can't be written: {error}"))
    }

    fn ended(self, how: &str) -> Result<(), Failure> {
        say(&self.path, how)
    }
}
