//! `aemp fuzz`: attacks a running node, of any implementation, and says what does it harm.

mod attack;
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
use conversation::{Conversation, Step};
use finding::{Fault, Known};
use make::Stage;
use process::Process;

/// How often a conversation is held again to make it shorter.
const MOST_REPLAYS: usize = 300;

/// What is found the shorter conversation is sought for so long at most.
const SHRINKING: Duration = Duration::from_secs(120);

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
    let deadline = Instant::now() + Duration::from_secs(options.seconds);
    let (mut held, mut found, mut passed_over) = (0_u64, Vec::new(), 0_u64);
    let mut seed = options.seed;
    while Instant::now() < deadline {
        if let Err(error) = victim.ready() {
            // What it did not show at once it shows now: it was well before the last conversation.
            if !victim.process.is_ours() {
                return Err(format!("before seed {seed}: {error}").into());
            }
            victim.anew();
            victim.ready()?;
        }
        let (stage, conversation) = make::conversation(seed, stages, &about);
        let outcome = victim.hold(&conversation)?;
        held += 1;
        if let Some((fault, steps)) = outcome.fault {
            let kind = (fault.kind(), stage);
            let begun = Conversation(conversation.0[..steps].to_vec());
            victim.anew();
            let is_new = !found.contains(&kind);
            let line = told(&fault, &begun);
            if let Some(reason) = known.reason(&line) {
                passed_over += 1;
                output::line(format!("seed {seed}: {line}: known ({reason})"))?;
            } else if is_new {
                output::line(format!("seed {seed}: {line}"))?;
                let (short, lines) = shorter(&mut victim, &begun, &fault)?;
                let line = told(&fault, &short);
                let lines = lines.unwrap_or(outcome.lines);
                if let Some(reason) = known.reason(&line) {
                    passed_over += 1;
                    output::line(format!("  shortest: {line}: known ({reason})"))?;
                } else {
                    found.push(kind);
                    let name = format!("{}-{seed}.jsonl", fault.kind());
                    let path = options.save.join(name);
                    conversation::save(&path, &lines)?;
                    output::line(format!("  shortest: {line}\n  saved as {}", path.display()))?;
                    if !options.all {
                        break;
                    }
                }
            }
        }
        seed += 1;
    }
    output::line(format!(
        "{held} conversations, seeds {} to {}: {} found, {passed_over} known",
        options.seed,
        seed.saturating_sub(u64::from(seed > options.seed && held < seed)),
        found.len()
    ))?;
    match found.len() {
        0 => Ok(()),
        n => Err(format!("{n} found").into()),
    }
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

/// The shortest conversation that leads to that, and what passed in it.
fn shorter(
    victim: &mut Victim,
    conversation: &Conversation,
    fault: &Fault,
) -> Result<(Conversation, Option<Vec<conversation::Line>>), Failure> {
    let deadline = Instant::now() + SHRINKING;
    let mut lines = None;
    let short = shrink::shrink(conversation, MOST_REPLAYS, |candidate| {
        if Instant::now() > deadline || victim.ready().is_err() {
            return false;
        }
        let Ok(outcome) = victim.hold(candidate) else {
            return false;
        };
        let Some((same, _)) = outcome.fault else {
            return false;
        };
        victim.anew();
        let is_same = same.kind() == fault.kind();
        if is_same {
            lines = Some(outcome.lines);
        }
        is_same
    });
    Ok((short, lines))
}

/// A line that tells of a finding: what happened, and the last thing that was said.
fn told(fault: &Fault, conversation: &Conversation) -> String {
    const MOST: usize = 200;
    let last = conversation.0.iter().rev().find_map(|step| match step {
        Step::Say(octets) => Some(octets.as_slice()),
        Step::Login(_) => None,
    });
    let last = last.unwrap_or_default();
    let shown = &last[..last.len().min(MOST)];
    let more = if shown.len() < last.len() { ".." } else { "" };
    format!("{fault}, behind {}{more}", shown.escape_ascii())
}
