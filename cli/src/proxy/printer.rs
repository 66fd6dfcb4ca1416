//! Standard output on a thread of its own: whoever reads it slowly must not hold nodes up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::oneshot;

use crate::output::{self, OutputError};

/// So many octets of lines may wait; a line that is longer than this, alone.
const MOST: usize = 4 * 1024 * 1024;

/// What a line takes besides its octets.
const OVERHEAD: usize = 64;

/// How long the end waits for who reads the last lines.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct Printer {
    lines: Mutex<Option<Sender<String>>>,
    waiting: Arc<Waiting>,
    ended: Mutex<Receiver<()>>,
}

#[derive(Default)]
struct Waiting {
    octets: AtomicUsize,
    left_out: AtomicU64,
}

impl Printer {
    /// Besides the printer this gives what says why nothing can be written any more.
    pub(super) fn start() -> std::io::Result<(Self, oneshot::Receiver<OutputError>)> {
        let (lines, coming) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let (fail, failed) = oneshot::channel();
        let waiting = Arc::<Waiting>::default();
        let printer = Printer {
            lines: Mutex::new(Some(lines)),
            waiting: waiting.clone(),
            ended: Mutex::new(ended),
        };
        std::thread::Builder::new().spawn(move || {
            if let Err(error) = print_all(&coming, &waiting) {
                let _ = fail.send(error);
            }
            let _ = end.send(());
        })?;
        Ok((printer, failed))
    }

    /// Prints a line, unless too many wait: then it is counted.
    pub(super) fn say(&self, line: String) {
        let takes = line.len() + OVERHEAD;
        let before = self.waiting.octets.fetch_add(takes, Ordering::AcqRel);
        if before > 0 && before + takes > MOST {
            self.waiting.octets.fetch_sub(takes, Ordering::AcqRel);
            self.waiting.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if let Some(lines) = &*self.lines.lock() {
            let _ = lines.send(line);
        }
    }

    /// Waits until all is printed, but not for ever.
    pub(super) fn finish(&self) -> Result<(), OutputError> {
        drop(self.lines.lock().take());
        let _ = self.ended.lock().recv_timeout(PATIENCE);
        Ok(())
    }
}

fn print_all(lines: &Receiver<String>, waiting: &Waiting) -> Result<(), OutputError> {
    for line in lines {
        output::line(&line)?;
        waiting
            .octets
            .fetch_sub(line.len() + OVERHEAD, Ordering::AcqRel);
        match waiting.left_out.swap(0, Ordering::Relaxed) {
            0 => {}
            lines if output::is_json() => {
                output::line(json!({"kind": "left out", "lines": lines}))?;
            }
            lines => output::line(format_args!(
                "({lines} lines are left out here: this output is slower than what passes)"
            ))?,
        }
    }
    Ok(())
}
