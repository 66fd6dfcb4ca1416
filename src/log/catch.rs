//! Who else gets the log lines of this process: nodes send them to the nodes that catch them.
//!
//! A line goes to everybody who asked for its level, whether or not a subscriber of `tracing` shows
//! it. Nobody who logs waits for them: each has a queue, and what has no room there is counted. And
//! no line is caught that is said because lines are handed on: that would never end.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::SystemTime;

use parking_lot::RwLock;
use tokio::sync::mpsc;

/// So many lines may wait for each who catches them.
const MOST_WAITING: usize = 1024;

/// A line that was caught.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) time: SystemTime,
    /// One of AnyEvent::MP's levels.
    pub(crate) level: u8,
    /// Where in the program it comes from.
    pub(crate) context: &'static str,
    pub(crate) text: Arc<str>,
}

/// Lines below this level are wanted by somebody.
static BELOW: AtomicU8 = AtomicU8::new(0);

static ALL: RwLock<Vec<Arc<Catcher>>> = RwLock::new(Vec::new());

thread_local! {
    /// What this thread logs now is not to be caught.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

struct Catcher {
    level: u8,
    queue: mpsc::Sender<Line>,
    dropped: AtomicU64,
}

/// The lines up to a level, from its making on until it is dropped.
pub(crate) struct Catch {
    catcher: Arc<Catcher>,
    lines: mpsc::Receiver<Line>,
}

impl Catch {
    /// Catches lines up to this level.
    pub(crate) fn new(level: u8) -> Self {
        let (queue, lines) = mpsc::channel(MOST_WAITING);
        let catcher = Arc::new(Catcher {
            level,
            queue,
            dropped: AtomicU64::new(0),
        });
        change(|all| all.push(catcher.clone()));
        Catch { catcher, lines }
    }

    /// The next line.
    pub(crate) async fn next(&mut self) -> Option<Line> {
        self.lines.recv().await
    }

    /// How many lines had no room since this was asked last.
    pub(crate) fn dropped(&self) -> u64 {
        self.catcher.dropped.swap(0, Ordering::Relaxed)
    }
}

impl Drop for Catch {
    fn drop(&mut self) {
        change(|all| all.retain(|other| !Arc::ptr_eq(other, &self.catcher)));
    }
}

/// Changes who catches lines.
fn change(change: impl FnOnce(&mut Vec<Arc<Catcher>>)) {
    let mut all = ALL.write();
    change(&mut all);
    let below = all.iter().map(|catcher| catcher.level.saturating_add(1));
    let below = below.max().unwrap_or(0);
    let before = BELOW.swap(below, Ordering::Relaxed);
    drop(all);
    if before != below {
        // A subscriber may have been asked what it wants, and have answered for good.
        tracing::callsite::rebuild_interest_cache();
    }
}

/// Whether somebody may want lines of this level.
#[inline]
pub(crate) fn wanted(level: u8) -> bool {
    level < BELOW.load(Ordering::Relaxed)
}

/// Hands a line to all who want it.
#[cold]
pub(crate) fn hand_out(level: u8, context: &'static str, text: fmt::Arguments<'_>) {
    if QUIET.get() {
        return;
    }
    let mut line = None;
    for catcher in &*ALL.read() {
        if catcher.level < level {
            continue;
        }
        let line = line.get_or_insert_with(|| Line {
            time: SystemTime::now(),
            level,
            context,
            text: text.to_string().into(),
        });
        if let Err(mpsc::error::TrySendError::Full(_)) = catcher.queue.try_send(line.clone()) {
            catcher.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Hands a line of this crate out, and has it logged.
pub(crate) fn line(level: u8, text: fmt::Arguments<'_>, log: impl FnOnce()) {
    if !wanted(level) {
        return log();
    }
    hand_out(level, "aemp", text);
    // A subscriber that hands out what it is given has had its share.
    quietly(log);
}

/// Does something of which no line is caught that this thread logs.
pub(crate) fn quietly<T>(work: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            QUIET.set(self.0);
        }
    }
    let _restore = Restore(QUIET.replace(true));
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The others of this process log as well, and this one's lines are told by their context.
    async fn own(catch: &mut Catch, context: &str) -> Line {
        loop {
            let line = catch.next().await.unwrap();
            if line.context == context {
                return line;
            }
        }
    }

    #[tokio::test]
    async fn each_gets_what_it_asked_for() {
        let (mut few, mut many) = (Catch::new(2), Catch::new(8));
        hand_out(9, "levels", format_args!("step"));
        hand_out(7, "levels", format_args!("up"));
        quietly(|| hand_out(1, "levels", format_args!("not to be caught")));
        hand_out(1, "levels", format_args!("error {}", 7));
        let line = own(&mut few, "levels").await;
        assert_eq!((line.level, &*line.text), (1, "error 7"));
        assert_eq!(&*own(&mut many, "levels").await.text, "up");
        assert_eq!(&*own(&mut many, "levels").await.text, "error 7");
        assert!(wanted(8));
    }

    #[test]
    fn who_does_not_read_loses_lines_and_knows_how_many() {
        let catch = Catch::new(0);
        for n in 0..MOST_WAITING + 7 {
            hand_out(0, "lost", format_args!("{n}"));
        }
        // Others may log at this level at the same time.
        assert!(catch.dropped() >= 7);
        assert_eq!(catch.dropped(), 0);
    }
}
