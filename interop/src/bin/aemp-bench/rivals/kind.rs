//! The figures.

use serde_json::{Value, json};

use crate::bench::About;
use crate::child::{median_us, rate};
use crate::failure::Failure;

/// A figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Messages one way, with a text of so many octets (0: the usual one).
    OneWay(usize),
    /// One message there and back.
    RoundTrip,
    /// Calls, 100 at a time.
    Calls,
    /// Messages within a process.
    Local,
}

/// How many calls there are at a time.
const CALLERS: u64 = 100;

impl Kind {
    /// All of them, in their order.
    pub const ALL: [Kind; 5] = [
        Kind::OneWay(0),
        Kind::OneWay(1024),
        Kind::RoundTrip,
        Kind::Calls,
        Kind::Local,
    ];
    /// Those between two processes.
    pub const REMOTE: &[Kind] = &[
        Kind::OneWay(0),
        Kind::OneWay(1024),
        Kind::RoundTrip,
        Kind::Calls,
    ];
    /// Those with answers.
    pub const ANSWERS: &[Kind] = &[Kind::RoundTrip, Kind::Calls];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::OneWay(0) => "one way, small",
            Kind::OneWay(_) => "one way, 1 KiB",
            Kind::RoundTrip => "round trip",
            Kind::Calls => "calls, 100 at a time",
            Kind::Local => "local send, small",
        }
    }

    /// What is measured.
    pub fn about(self) -> About {
        match self {
            Kind::RoundTrip => About::micros(self.name()),
            _ => About::rate(self.name()),
        }
    }

    /// The command to do it so many times, for all who take commands.
    pub fn command(self, count: u64) -> Value {
        match self {
            Kind::OneWay(size) => {
                json!({"do": "oneway", "size": size, "count": count, "sinks": 1})
            }
            Kind::RoundTrip => json!({"do": "roundtrip", "count": count}),
            Kind::Calls => json!({"do": "cal", "callers": CALLERS, "count": count}),
            Kind::Local => json!({"do": "local", "count": count}),
        }
    }

    /// So many take nobody long.
    fn few(self) -> u64 {
        match self {
            Kind::OneWay(_) | Kind::Local => 5_000,
            Kind::RoundTrip => 200,
            Kind::Calls => 2_000,
        }
    }

    /// The figure in an answer.
    fn value(self, answer: &Value) -> Option<f64> {
        match self {
            Kind::RoundTrip => median_us(answer),
            _ => rate(answer),
        }
    }

    /// Measures for about so many seconds. How many that are is found out before, which also warms
    /// everything up.
    pub fn measure(
        self,
        seconds: f64,
        mut ask: impl FnMut(Value) -> Result<Value, Failure>,
    ) -> Result<f64, Failure> {
        let mut count = self.few();
        for seconds in [seconds / 5.0, seconds] {
            let answer = ask(self.command(count))?;
            let rate = rate(&answer).ok_or("an answer without a rate")?;
            count = count_for(rate, seconds, self.few())?;
        }
        let answer = ask(self.command(count))?;
        let value = self.value(&answer);
        Ok(value.ok_or("an answer without the figure")?)
    }
}

/// How many take so many seconds at this rate, but at least `least`.
fn count_for(rate: f64, seconds: f64, least: u64) -> Result<u64, Failure> {
    match rate.is_finite() && rate > 0.0 {
        true => Ok(least.max((rate * seconds) as u64)),
        false => Err(format!("a rate of {rate}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_three_measurements_counts_and_is_as_long_as_asked_for() {
        let mut counts = Vec::new();
        // It is ten times as fast when it is warm.
        let value = Kind::OneWay(0).measure(0.5, |command| {
            let count = command["count"].as_u64().unwrap();
            counts.push(count);
            let rate = if counts.len() == 1 { 1e5 } else { 1e6 };
            Ok(json!({"count": count, "seconds": count as f64 / rate}))
        });
        assert_eq!(counts, [5_000, 10_000, 500_000]);
        assert_eq!(value.unwrap(), 1e6);
    }

    #[test]
    fn of_round_trips_the_median_counts() {
        let answer = json!({"count": 200, "seconds": 0.01, "median_us": 48.5});
        let value = Kind::RoundTrip.measure(0.1, |_| Ok(answer.clone()));
        assert_eq!(value.unwrap(), 48.5);
        assert!(Kind::Calls.measure(0.1, |_| Ok(json!({}))).is_err());
    }

    #[test]
    fn what_has_no_rate_is_no_count() {
        assert_eq!(count_for(1000.0, 0.5, 7).unwrap(), 500);
        assert_eq!(count_for(1.0, 0.5, 7).unwrap(), 7);
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(count_for(rate, 0.5, 7).is_err(), "{rate}");
        }
    }
}
