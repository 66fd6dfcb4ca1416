//! Running cells, and what comes of it.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::ctx::{Ctx, Env};
use crate::expected::Expectation;
use crate::fault::{Fault, Result};
use crate::matrix::Cell;

/// What came of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Passed,
    /// Not as it should be.
    Failed {
        /// The step at which.
        step: String,
        /// What happened.
        text: String,
        /// Logs, transcript and recordings.
        folder: PathBuf,
    },
    /// Failed as the manifest says.
    ExpectedFailure {
        /// The manifest's reason.
        reason: String,
        /// What happened.
        text: String,
    },
    /// Passed although the manifest says it fails.
    UnexpectedPass {
        /// The manifest's reason.
        reason: String,
    },
    /// Not run.
    NotRun {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// Does this make the whole run a failure?
    pub fn is_bad(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::UnexpectedPass { .. })
    }
}

/// A cell and what came of it.
#[derive(Debug, Clone)]
pub struct Done {
    /// Which.
    pub cell: Cell,
    /// What.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// The releases that played besides those of the pairing.
    pub others: Vec<String>,
}

impl Done {
    /// Whether it was played, however it went.
    pub fn was_run(&self) -> bool {
        !matches!(self.outcome, Outcome::NotRun { .. })
    }
}

/// Runs all cells, `jobs` at a time; `tell` hears of each as it is done. The results are in the
/// cells' order.
pub fn run_all(
    cells: &[Cell],
    env: &Arc<Env>,
    jobs: usize,
    tell: &(dyn Fn(&Done) + Sync),
) -> Vec<Done> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<Done>>> = Mutex::new(vec![None; cells.len()]);
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while let Some((at, cell)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    cells.get(at).map(|cell| (at, cell))
                } {
                    let done = run_cell(cell, env);
                    tell(&done);
                    results.lock().unwrap_or_else(PoisonError::into_inner)[at] = Some(done);
                }
            });
        }
    });
    results
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .into_iter()
        .flatten()
        .collect()
}

/// Runs one cell.
pub fn run_cell(cell: &Cell, env: &Arc<Env>) -> Done {
    let begun = Instant::now();
    let outcome = |outcome, others| Done {
        cell: cell.clone(),
        outcome,
        took: begun.elapsed(),
        others,
    };
    let left_out = (cell.scenario.not_in)(&cell.pairing);
    if let Some(reason) = left_out {
        let reason = reason.to_owned();
        return outcome(Outcome::NotRun { reason }, Vec::new());
    }
    let folder = env.folder.join(cell.name().replace('/', "--"));
    let Played {
        step,
        result,
        others,
    } = play(cell, env, &folder);
    let done = match (result, env.expected.of(&cell.name())) {
        (Err(Fault::NotHere(reason)), _) => Outcome::NotRun { reason },
        (
            Ok(()),
            Some(Expectation {
                reason,
                sometimes: false,
            }),
        ) => Outcome::UnexpectedPass { reason },
        (Ok(()), _) => Outcome::Passed,
        (Err(fault), Some(Expectation { reason, .. })) => Outcome::ExpectedFailure {
            reason,
            text: format!("{step}: {fault}"),
        },
        (Err(fault), None) => Outcome::Failed {
            step,
            text: fault.to_string(),
            folder: folder.clone(),
        },
    };
    readable_wires(&folder);
    if done == Outcome::Passed
        && let Some(to) = &env.record
    {
        keep_recordings(cell, &folder, to);
    }
    if !done.is_bad() && !env.keep {
        let _ = fs::remove_dir_all(&folder);
    }
    outcome(done, others)
}

/// How it went.
struct Played {
    /// The step that it came to.
    step: String,
    result: Result<()>,
    /// See [`Done::others`].
    others: Vec<String>,
}

/// Plays the scenario.
fn play(cell: &Cell, env: &Arc<Env>, folder: &Path) -> Played {
    let (scenario, pairing) = (cell.scenario.name, &cell.pairing);
    let mut ctx = match Ctx::new(scenario, pairing, env, folder, secret(cell)) {
        Ok(ctx) => ctx,
        Err(fault) => {
            return Played {
                step: "prepare".to_owned(),
                result: Err(fault),
                others: Vec::new(),
            };
        }
    };
    let result =
        catch_unwind(AssertUnwindSafe(|| (cell.scenario.run)(&mut ctx))).unwrap_or_else(|_| {
            Err(Fault::unexpected(
                "the scenario itself panicked (see standard error)",
            ))
        });
    if let Err(fault) = &result {
        ctx.note("failed", &json!(fault.to_string()));
    }
    Played {
        step: ctx.current_step().to_owned(),
        result,
        others: ctx.others().to_vec(),
    }
}

fn wires(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .map(|all| all.flatten().map(|e| e.path()).collect())
        .unwrap_or_default();
    files.retain(|p| {
        p.file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with("wire-"))
            && p.extension().is_some_and(|e| e == "jsonl")
    });
    files.sort();
    files
}

/// Beside every recording, a file of the messages in it.
fn readable_wires(folder: &Path) {
    for file in wires(folder) {
        if let Ok(text) = fs::read_to_string(&file) {
            let _ = fs::write(file.with_extension("txt"), crate::wire::decode(&text));
        }
    }
}

/// The secret of a cell's nodes.
fn secret(cell: &Cell) -> String {
    format!("geheim {}", cell.name())
}

/// Copies a cell's recordings to `to`, each with a file that says what it is.
fn keep_recordings(cell: &Cell, folder: &Path, to: &Path) {
    let _ = fs::create_dir_all(to);
    let wires = wires(folder);
    for (at, file) in wires.iter().enumerate() {
        let number = if wires.len() > 1 {
            format!("-{}", at + 1)
        } else {
            String::new()
        };
        let name = format!("{}--{}{number}", cell.scenario.name, cell.pairing);
        let _ = fs::copy(file, to.join(format!("{name}.jsonl")));
        let about = json!({
            "scenario": cell.scenario.name,
            "about": cell.scenario.about,
            "listener": cell.pairing.a.to_string(),
            "connector": cell.pairing.b.to_string(),
            "secret": secret(cell),
        });
        let _ = fs::write(to.join(format!("{name}.json")), format!("{about:#}\n"));
    }
}
