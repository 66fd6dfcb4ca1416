//! Times of single events, and what they amount to.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Times of single events, in nanoseconds.
#[derive(Debug, Default)]
pub struct Times(Vec<u64>);

impl Times {
    /// Adds the time since `start`.
    pub fn since(&mut self, start: Instant) {
        self.0.push(nanos(start.elapsed()));
    }

    /// The answer to a command: how many, how long, and the usual quantiles in microseconds.
    pub fn answer(mut self, elapsed: Duration) -> Value {
        self.0.sort_unstable();
        json!({
            "seconds": elapsed.as_secs_f64(),
            "count": self.0.len(),
            "median_us": self.quantile(0.5),
            "p99_us": self.quantile(0.99),
            "p999_us": self.quantile(0.999),
        })
    }

    fn quantile(&self, q: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let at = (last as f64 * q).round() as usize;
        self.0.get(at).map_or(0.0, |ns| *ns as f64 / 1000.0)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The median of figures.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// The memory of this process that is in use, in octets.
pub fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

/// The processor time that a process has used, in seconds.
pub fn processor_seconds(process: u32) -> f64 {
    /// The unit of the kernel's figures, in a second.
    const TICKS: f64 = 100.0;
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // Behind the name, which may hold anything: user and system time are the 12th and 13th.
    let fields = text.rsplit(')').next().unwrap_or_default();
    let fields = fields.split_whitespace().skip(11).take(2);
    let ticks = fields.filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS
}
