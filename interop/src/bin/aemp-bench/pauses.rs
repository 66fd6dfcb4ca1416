//! How often the machine takes the processor away from who uses it: what no program's slowest
//! answers can be better than.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::failure::Failure;
use crate::node::say;

/// What is counted.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Pauses longer than this, in microseconds
    #[arg(long)]
    longer: u64,
    /// For how long, in seconds
    #[arg(long, default_value_t = 2)]
    seconds: u64,
}

/// Does nothing but read the clock.
pub fn count(options: &Options) -> Result<(), Failure> {
    let longer = Duration::from_micros(options.longer);
    let start = Instant::now();
    let end = start + Duration::from_secs(options.seconds);
    let (mut last, mut pauses) = (start, 0);
    while last < end {
        let now = Instant::now();
        pauses += u64::from(now - last > longer);
        last = now;
    }
    say(&json!({"pauses": pauses, "seconds": (last - start).as_secs_f64()}));
    Ok(())
}
