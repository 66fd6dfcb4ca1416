//! `aemp fuzz`: attacks a running node, of any implementation, and says what does it harm.

mod attack;
mod campaign;
mod conversation;
mod finding;
mod make;
mod process;
mod shrink;
mod stream;
mod wire;

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aemp::proto::auth::Secret;
use clap::ValueEnum as _;

use crate::{Failure, output};
use attack::{Bounds, Victim};
use campaign::Campaign;
use conversation::Conversation;
use finding::Known;
use make::Stage;
use process::Process;

/// The options of the command.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where the node listens: HOST:PORT
    target: String,
    /// The secret of its network; without it that of the configuration
    #[arg(long)]
    secret: Option<String>,
    /// The first seed; each conversation is made of the next one
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How long to try
    #[arg(long, value_name = "S", default_value_t = 60)]
    seconds: u64,
    /// What to try, separated by commas; without it everything
    #[arg(long, value_enum, value_delimiter = ',')]
    stage: Vec<Stage>,
    /// The node's process, so that its memory and processor time are watched (Linux)
    #[arg(long, conflicts_with = "exec")]
    pid: Option<u32>,
    /// Start the node with this command, again after each death
    #[arg(long, value_name = "CMD")]
    exec: Option<String>,
    /// How long the node may take for an answer, in seconds
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    answer: f64,
    /// How much memory a conversation may cost the node, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 200)]
    max_memory: u64,
    /// How much processor time a conversation may cost the node, in seconds
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    max_processor: f64,
    /// Findings to be passed over: lines of PATTERN # REASON
    #[arg(long, value_name = "FILE")]
    known: Option<PathBuf>,
    /// Where findings are saved
    #[arg(long, value_name = "DIR", default_value = ".")]
    save: PathBuf,
    /// Go on after a finding, one of each kind and stage
    #[arg(long)]
    all: bool,
    /// Hold the conversation in this file, and say what comes of it
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Attack this address though it is not on this machine: the node, and the network between, are
    /// yours or you were asked to
    #[arg(long, value_name = "HOST:PORT")]
    allow: Option<String>,
}

/// Where the node is, unless that is nobody's business.
fn address(options: &Options) -> Result<SocketAddr, Failure> {
    let target = &options.target;
    let mut all = target
        .to_socket_addrs()
        .map_err(|error| format!("{target}: {error}"))?;
    let address = all.next().ok_or_else(|| format!("{target}: no address"))?;
    if !address.ip().is_loopback() && options.allow.as_ref() != Some(target) {
        return Err(format!(
            "{target} is not on this machine. If you may attack it say so: --allow {target}"
        )
        .into());
    }
    Ok(address)
}

fn seconds(seconds: f64) -> Result<Duration, Failure> {
    Duration::try_from_secs_f64(seconds).map_err(|error| format!("{seconds} s: {error}").into())
}

/// Runs the command.
///
/// # Errors
///
/// The node can't be tried, or does what it should not do.
pub(crate) fn fuzz(options: Options) -> Result<(), Failure> {
    let address = address(&options)?;
    let secret = match &options.secret {
        Some(secret) => Secret::from(secret.as_str()),
        None => {
            let config = aemp::Node::builder().profile("aemp").config()?;
            config
                .secret
                .ok_or("there is no secret: --secret, or the configuration")?
        }
    };
    let process = match (options.pid, &options.exec) {
        (Some(pid), _) => Process::Of(pid),
        (None, Some(command)) => Process::Started {
            command: command.clone(),
            child: None,
        },
        (None, None) => Process::Unknown,
    };
    let bounds = Bounds {
        answer: seconds(options.answer)?,
        memory: options.max_memory << 20,
        processor: seconds(options.max_processor)?,
    };
    let known = options.known.as_deref().map(Known::load).transpose()?;
    let known = known.unwrap_or_default();
    let mut victim = Victim::new(address, secret, process, bounds);
    let about = victim.ready()?;
    output::line(format!(
        "{} at {address}: {} (version {}), framings {}",
        about.id,
        about.provider,
        about.version,
        about.framings.join(",")
    ))?;
    if let Some(path) = &options.replay {
        return replay(&mut victim, path);
    }
    let stages = match options.stage.is_empty() {
        true => Stage::value_variants(),
        false => &options.stage,
    };
    // Nobody wants to hear of that when the first finding is to be saved, an hour later.
    std::fs::create_dir_all(&options.save)
        .map_err(|error| format!("{}: {error}", options.save.display()))?;
    let deadline = Instant::now() + Duration::from_secs(options.seconds);
    let mut campaign = Campaign::new(victim, known, options.save);
    campaign.look_first()?;
    let mut seeds = options.seed..;
    while Instant::now() < deadline
        && (options.all || campaign.has_found_nothing())
        && let Some(seed) = seeds.next()
    {
        let (stage, conversation) = make::conversation(seed, stages, &about);
        campaign.hold(seed, stage, &conversation)?;
    }
    campaign.end(options.seed)
}

/// Holds a conversation that was saved.
fn replay(victim: &mut Victim, path: &Path) -> Result<(), Failure> {
    let conversation = Conversation::load(path)?;
    let outcome = victim.hold(&conversation)?;
    for line in &outcome.lines {
        output::line(serde_json::to_string(line)?)?;
    }
    match outcome.fault {
        None => output::line("nothing is wrong with the node").map_err(Into::into),
        Some((fault, steps)) => Err(format!("behind step {steps}: {fault}").into()),
    }
}
