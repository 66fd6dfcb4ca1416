//! Runs many schedules, and makes those that break something short.

use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::invariants;
use crate::schedule::{Schedule, Step};
use crate::world::{Options, run};

/// Which schedules to run.
#[derive(Debug, Clone)]
pub struct Search {
    pub first: u64,
    pub schedules: u64,
    pub nodes: RangeInclusive<usize>,
    /// No schedule is begun any more after this time.
    pub limit: Option<Duration>,
}

/// A schedule that breaks something.
#[derive(Debug)]
pub struct Finding {
    pub seed: u64,
    pub broken: Vec<(&'static str, String)>,
}

/// What came of a search.
#[derive(Debug, Default)]
pub struct Outcome {
    pub schedules: u64,
    pub seconds: f64,
    pub steps: usize,
    pub events: usize,
    /// Schedules after which nodes that should have been linked had to be asked for it.
    pub apart: u64,
    pub findings: Vec<Finding>,
}

impl Search {
    /// Runs the schedules on all processors.
    pub fn run(&self) -> Outcome {
        let begun = Instant::now();
        let next = AtomicU64::new(self.first);
        let outcome = Mutex::new(Outcome::default());
        let is_late = || self.limit.is_some_and(|limit| begun.elapsed() > limit);
        let work = || {
            while !is_late() {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= self.first + self.schedules {
                    break;
                }
                let schedule = Schedule::make(seed, &self.nodes);
                let evidence = run(&schedule, &Options::default());
                let broken = invariants::broken(&evidence);
                let mut outcome = outcome.lock().unwrap();
                outcome.schedules += 1;
                outcome.steps += schedule.steps.len();
                outcome.events += evidence.entries.len();
                outcome.apart += u64::from(invariants::apart(&evidence).is_some());
                if !broken.is_empty() {
                    // At once: a long search may not come to its end.
                    for (name, text) in &broken {
                        println!("seed {seed}: {name}: {text}");
                    }
                    outcome.findings.push(Finding { seed, broken });
                }
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        let mut outcome = outcome.into_inner().unwrap();
        outcome.findings.sort_by_key(|finding| finding.seed);
        outcome.seconds = begun.elapsed().as_secs_f64();
        outcome
    }
}

/// Runs a schedule for what becomes of one invariant.
fn breaks(schedule: &Schedule, name: &str) -> bool {
    let evidence = run(schedule, &Options::default());
    let invariant = invariants::ALL
        .iter()
        .find(|invariant| invariant.name == name);
    invariant.is_some_and(|invariant| (invariant.check)(&evidence).is_some())
}

/// A schedule as short as can be found that breaks the same invariant: steps and nodes are left out
/// as long as it does. It takes a while; after `limit` it is given as short as it is.
pub fn shrink(schedule: &Schedule, name: &str, limit: Duration) -> Schedule {
    shrink_by(schedule, limit, &|schedule| breaks(schedule, name))
}

fn shrink_by(schedule: &Schedule, limit: Duration, breaks: &dyn Fn(&Schedule) -> bool) -> Schedule {
    let begun = Instant::now();
    let mut best = schedule.clone();
    loop {
        let before = best.clone();
        let take = |smaller: Schedule, best: &mut Schedule| {
            let taken = begun.elapsed() < limit && smaller != *best && breaks(&smaller);
            if taken {
                *best = smaller;
            }
            taken
        };
        let mut length = best.steps.len().div_ceil(2);
        while length > 0 {
            let mut at = 0;
            while at < best.steps.len() {
                let mut smaller = best.clone();
                let end = (at + length).min(best.steps.len());
                smaller.steps.drain(at..end);
                if !take(smaller, &mut best) {
                    at += length;
                }
            }
            length /= 2;
        }
        for node in (0..best.nodes.len()).rev() {
            let smaller = best.without_node(node);
            // Some node has to be there for the others to find each other.
            if smaller.nodes.iter().any(|spec| spec.is_seed) {
                take(smaller, &mut best);
            }
        }
        for at in 0..best.steps.len() {
            if let Step::Wait { ms } = best.steps[at] {
                let shorter = [1, 10, 100, 1_000, 10_000]
                    .into_iter()
                    .filter(|less| *less < ms);
                for less in shorter {
                    let mut smaller = best.clone();
                    smaller.steps[at] = Step::Wait { ms: less };
                    if take(smaller, &mut best) {
                        break;
                    }
                }
            }
        }
        if best == before || begun.elapsed() >= limit {
            return best;
        }
    }
}

/// What is to be known of a finding: what is broken, a short schedule that breaks it, in the form
/// that `schedules.txt` takes, and the trace of that.
pub fn report(finding: &Finding, nodes: &RangeInclusive<usize>, limit: Duration) -> String {
    let Finding { seed, broken } = finding;
    let whole = Schedule::make(*seed, nodes);
    let (name, text) = &broken[0];
    let short = shrink(&whole, name, limit);
    let options = Options {
        log_level: 8,
        ..Options::default()
    };
    let trace = run(&short, &options).trace();
    let all: Vec<String> = broken
        .iter()
        .map(|(name, text)| format!("  {name}: {text}\n"))
        .collect();
    format!(
        "seed {seed} breaks\n{}\nits trace, shortened to {} steps and {} nodes:\n{trace}\n# {name}: {text}\n{short}",
        all.concat(),
        short.steps.len(),
        short.nodes.len(),
    )
}

#[test]
fn what_does_not_matter_is_left_out() {
    let whole = Schedule::make(7, &(5..=8));
    // It takes two steps, far from each other, and the node that one of them is about.
    let (first, last) = (
        whole.steps[3].clone(),
        whole.steps[whole.steps.len() - 3].clone(),
    );
    let needs = |schedule: &Schedule| {
        let at = |step: &Step| schedule.steps.iter().position(|other| other == step);
        at(&first).is_some_and(|first| at(&last).is_some_and(|last| first < last))
    };
    assert!(needs(&whole));
    let short = shrink_by(&whole, Duration::from_secs(60), &needs);
    assert_eq!(short.steps, [first.clone(), last.clone()]);
    assert!(short.nodes.len() < whole.nodes.len());
}
