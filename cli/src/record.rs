//! `aemp record`: a relay between nodes that writes down what passes, for `aemp dump`.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::task::JoinSet;

use crate::system::Signals;
use crate::{Failure, output};

pub(crate) const HELP: &str = "\
Have the one node connect to LISTEN in place of TARGET, where the other one listens. Each connection \
is a file of its own, conversation-N.jsonl. Ends with SIGINT or SIGTERM.

Example: aemp record 127.0.0.1:4041 127.0.0.1:4040 --dir recordings";

/// So many octets are read at once.
const CHUNK: usize = 64 * 1024;

/// The options of the command.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where to listen: HOST:PORT, with port 0 any that is free
    listen: String,
    /// Where connections go: HOST:PORT
    target: String,
    /// Where conversations are written, a file each
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Listen on an address that others than this machine reach
    #[arg(long)]
    allow: bool,
    /// Close a connection when so much of it is written down, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    max_size: u64,
    /// So many connections at a time; others wait
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    max_connections: u16,
}

/// The command.
pub(crate) async fn record(options: Options) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let listener = listen(&options).await?;
    std::fs::create_dir_all(&options.dir)
        .map_err(|error| format!("{}: {error}", options.dir.display()))?;
    let (at, target) = (listener.local_addr()?, &options.target);
    match output::is_json() {
        true => output::line(json!({"listens": at.to_string(), "target": target}))?,
        false => output::line(format_args!("records what passes from {at} to {target}"))?,
    }
    let mut running = JoinSet::new();
    loop {
        let has_room = running.len() < usize::from(options.max_connections);
        tokio::select! {
            accepted = listener.accept(), if has_room => match accepted {
                Ok((connector, _)) => {
                    let recording = Recording::create(&options)?;
                    say(&recording.path, "begins")?;
                    running.spawn(relay(connector, options.target.clone(), recording));
                }
                // One that was given up before it was taken; or there is no file left for it, until
                // another connection ends.
                Err(error) => {
                    output::status(format_args!("can't accept a connection: {error}"));
                    if let Some(ended) = running.join_next().await {
                        told(ended?)?;
                    }
                }
            },
            Some(ended) = running.join_next() => told(ended?)?,
            () = signals.end() => return Ok(()),
        }
    }
}

fn told((path, how): (PathBuf, String)) -> Result<(), Failure> {
    say(&path, &how)
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

/// Listens, unless that is an address that others reach and nobody said that they may.
async fn listen(options: &Options) -> Result<TcpListener, Failure> {
    let at = &options.listen;
    let wrong = |error: std::io::Error| format!("{at}: {error}");
    let addresses: Vec<SocketAddr> = lookup_host(at).await.map_err(wrong)?.collect();
    let is_own = addresses.iter().all(|address| address.ip().is_loopback());
    if !is_own && !options.allow {
        let text = format!("{at} can be reached from other machines. If it may: --allow");
        return Err(text.into());
    }
    Ok(TcpListener::bind(&addresses[..]).await.map_err(wrong)?)
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

    /// Writes down what passes, or, if that is nothing, that the direction has ended.
    fn write(&mut self, direction: &str, octets: &[u8]) -> Result<(), String> {
        let count = u64::try_from(octets.len()).unwrap_or(u64::MAX);
        let Some(room) = self.room.checked_sub(count) else {
            return Err("closed, as --max-size is used up".to_owned());
        };
        self.room = room;
        let at = (self.begun.elapsed().as_secs_f64() * 1e4).round() / 1e4;
        let mut row = json!({"conn": 1, "dir": direction, "at": at});
        match std::str::from_utf8(octets) {
            Ok(text) => row["text"] = text.into(),
            Err(_) => row["base64"] = BASE64.encode(octets).into(),
        }
        if octets.is_empty() {
            row["eof"] = true.into();
        }
        let written = self.file.write_all(format!("{row}\n").as_bytes());
        written.map_err(|error| format!("closed, as it can't be written: {error}"))
    }
}

/// Passes on what both sides say until both have ended, or one of them can't be reached.
async fn relay(connector: TcpStream, target: String, recording: Recording) -> (PathBuf, String) {
    let path = recording.path.clone();
    let listener = match TcpStream::connect(&target).await {
        Ok(listener) => listener,
        Err(error) => return (path, format!("{target} can't be reached: {error}")),
    };
    let _ = (connector.set_nodelay(true), listener.set_nodelay(true));
    let recording = Arc::new(Mutex::new(recording));
    let (from_connector, to_connector) = connector.into_split();
    let (from_listener, to_listener) = listener.into_split();
    let forth = pass(from_connector, to_listener, ">", Arc::clone(&recording));
    let back = pass(from_listener, to_connector, "<", recording);
    match tokio::try_join!(forth, back) {
        Ok(_) => (path, "ended".to_owned()),
        Err(how) => (path, how),
    }
}

/// Passes on one direction. What passes is written down first, so that no answer stands in front of
/// what it answers.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    direction: &'static str,
    recording: Arc<Mutex<Recording>>,
) -> Result<(), String> {
    let broken = |error: std::io::Error| format!("broken off: {error}");
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = from.read(&mut buffer).await.map_err(broken)?;
        recording.lock().write(direction, &buffer[..count])?;
        if count == 0 {
            // The other side may have gone already.
            let _ = to.shutdown().await;
            return Ok(());
        }
        to.write_all(&buffer[..count]).await.map_err(broken)?;
    }
}
