//! Conversation after conversation, and what comes of it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::attack::Victim;
use super::conversation::{self, Conversation, Line, Step};
use super::finding::{Fault, Known};
use super::make::Stage;
use super::shrink;
use crate::{Failure, output};

/// How often a conversation is held again to make it shorter, and how long at most.
const MOST_REPLAYS: usize = 300;
const SHRINKING: Duration = Duration::from_secs(120);

/// How often a conversation that the node was silent behind is held again: if it never is, the
/// machine may have been busy.
const TRIES: usize = 3;

/// A campaign against a node.
pub(super) struct Campaign {
    victim: Victim,
    known: Known,
    /// Where findings are saved.
    save: PathBuf,
    held: u64,
    /// What was found, and in which stage: each is told once.
    found: Vec<(&'static str, Option<Stage>)>,
    passed_over: u64,
    /// What was seen once and did not come again.
    unsure: u64,
}

impl Campaign {
    pub(super) fn new(victim: Victim, known: Known, save: PathBuf) -> Self {
        Campaign {
            victim,
            known,
            save,
            held: 0,
            found: Vec::new(),
            passed_over: 0,
            unsure: 0,
        }
    }

    pub(super) fn has_found_nothing(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether a finding is known, which is said.
    fn is_known(&mut self, line: &str) -> Result<bool, Failure> {
        let Some(reason) = self.known.reason(line) else {
            return Ok(false);
        };
        output::line(format!("{line}: known ({reason})"))?;
        self.passed_over += 1;
        Ok(true)
    }

    /// Looks at the node before anything is done to it.
    pub(super) fn look_first(&mut self) -> Result<(), Failure> {
        if self.victim.lets_monitors_fire() {
            return Ok(());
        }
        // The honest peer has waited in vain, and may have been given up.
        self.victim.anew();
        let line = format!("{}, though nothing was done to it", Fault::Monitor);
        if !self.is_known(&line)? {
            self.found.push((Fault::Monitor.kind(), None));
            output::line(line)?;
        }
        Ok(())
    }

    /// Holds the conversation of a seed.
    pub(super) fn hold(
        &mut self,
        seed: u64,
        stage: Stage,
        conversation: &Conversation,
    ) -> Result<(), Failure> {
        if let Err(error) = self.victim.ready() {
            if !self.victim.process.is_ours() {
                return Err(format!("before seed {seed}: {error}").into());
            }
            self.victim.anew();
        }
        let outcome = self.victim.hold(conversation)?;
        self.held += 1;
        let Some((fault, steps)) = outcome.fault else {
            return Ok(());
        };
        self.victim.anew();
        let begun = Conversation(conversation.0[..steps].to_vec());
        let kind = (fault.kind(), Some(stage));
        let line = told(&fault, &begun);
        if self.is_known(&line)? || self.found.contains(&kind) {
            return Ok(());
        }
        output::line(format!("seed {seed}: {line}"))?;
        if fault.is_silence() && !(0..TRIES).any(|_| self.comes_again(&begun, &fault)) {
            self.unsure += 1;
            let path = self.save_as(&format!("{}-{seed}-once", fault.kind()), &outcome.lines)?;
            output::line(format!(
                "  that did not come again in {TRIES} tries, so the machine may have been busy\n  saved as {}",
                path.display()
            ))?;
            return Ok(());
        }
        let (short, lines) = self.shorter(&begun, &fault);
        let line = format!("  shortest: {}", told(&fault, &short));
        if self.is_known(&told(&fault, &short))? {
            return Ok(());
        }
        self.found.push(kind);
        let lines = lines.unwrap_or(outcome.lines);
        let path = self.save_as(&format!("{}-{seed}", fault.kind()), &lines)?;
        output::line(format!("{line}\n  saved as {}", path.display()))?;
        Ok(())
    }

    fn save_as(&self, name: &str, lines: &[Line]) -> Result<PathBuf, Failure> {
        let path = self.save.join(format!("{name}.jsonl"));
        conversation::save(&path, lines)?;
        Ok(path)
    }

    /// Whether the conversation leads to that once more.
    fn comes_again(&mut self, conversation: &Conversation, fault: &Fault) -> bool {
        let outcome = self.victim.hold(conversation);
        let again = outcome.map(|outcome| outcome.fault);
        let is_same = matches!(&again, Ok(Some((same, _))) if same.kind() == fault.kind());
        if is_same || again.is_err() {
            self.victim.anew();
        }
        is_same
    }

    /// The shortest conversation that leads to that, and what passed in it.
    fn shorter(
        &mut self,
        conversation: &Conversation,
        fault: &Fault,
    ) -> (Conversation, Option<Vec<Line>>) {
        let deadline = Instant::now() + SHRINKING;
        let victim = &mut self.victim;
        let mut lines = None;
        let short = shrink::shrink(conversation, MOST_REPLAYS, |candidate| {
            if Instant::now() > deadline {
                return false;
            }
            let Ok(outcome) = victim.hold(candidate) else {
                victim.anew();
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
        (short, lines)
    }

    /// Says what came of it all; an error if something was found.
    pub(super) fn end(self, first: u64) -> Result<(), Failure> {
        let (held, found) = (self.held, self.found.len());
        let last = first.saturating_add(held).saturating_sub(1);
        output::line(format!(
            "{held} conversations, seeds {first} to {last}: {found} found, {} known, {} seen once only",
            self.passed_over, self.unsure
        ))?;
        match found {
            0 => Ok(()),
            n => Err(format!("{n} found").into()),
        }
    }
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
