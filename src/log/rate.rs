//! How many lines may be logged.
//!
//! Whoever can make a node log can fill its disk. So of each **kind** of line (a place in the code
//! that logs) each **source** (a node, or the host of a stranger) has a number of lines that may
//! come at once, and as many a minute after that. What is held back is counted, and told by one
//! line: before the next of its kind and source, or when a minute has passed.
//!
//! There is one log in a process, so there is one limit for all its nodes. The rules below know no
//! clock: time is handed in.

use std::collections::HashMap;
use std::time::Duration;

/// How often what was held back is told, and after how long of silence a source is forgotten.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);

/// The most pairs of a kind and a source that are remembered. Those that come when there are as
/// many share one allowance per kind.
const MOST: usize = 4096;

/// So many characters of a source's name tell it from others.
const NAME: usize = 100;

/// Lines of no source in particular, such as the deaths of ports, have the allowance of so many.
const SOURCELESS: u32 = 10;

/// A kind of line: the address of something static at the place that logs.
pub(super) type Kind = usize;

/// What is to be done with a line.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    Log,
    /// It is logged, behind what was held back.
    LogAfter(Held),
    HoldBack,
}

/// Lines that were held back.
#[derive(Debug, PartialEq)]
pub(super) struct Held {
    pub(super) lines: u64,
    pub(super) level: u8,
    /// The first of them.
    pub(super) first: String,
}

#[derive(Default)]
pub(super) struct Rate {
    buckets: HashMap<(Kind, Option<String>), Bucket>,
    /// When buckets were looked through for those that can go.
    swept: Duration,
}

/// An allowance: a token bucket that is filled by time, and empties by what a line costs of it.
struct Bucket {
    /// At most [`INTERVAL`].
    filled: Duration,
    at: Duration,
    held: Option<Held>,
}

impl Rate {
    /// Decides about a line at this time. `per_minute` is the allowance of one source; `text` is
    /// asked for if the line is the first that is held back.
    pub(super) fn line(
        &mut self,
        now: Duration,
        per_minute: u32,
        kind: Kind,
        source: Option<&str>,
        level: u8,
        text: impl FnOnce() -> String,
    ) -> Verdict {
        let lines = match source {
            Some(_) => per_minute,
            None => per_minute.saturating_mul(SOURCELESS),
        };
        let price = INTERVAL / lines.max(1);
        let bucket = self.bucket(now, kind, source);
        bucket.fill(now);
        if bucket.filled < price {
            match &mut bucket.held {
                Some(held) => held.lines += 1,
                None => {
                    bucket.held = Some(Held {
                        lines: 1,
                        level,
                        first: text(),
                    });
                }
            }
            return Verdict::HoldBack;
        }
        bucket.filled -= price;
        match bucket.held.take() {
            Some(held) => Verdict::LogAfter(held),
            None => Verdict::Log,
        }
    }

    fn bucket(&mut self, now: Duration, kind: Kind, source: Option<&str>) -> &mut Bucket {
        // Looking through all of them is paid for by the time that passed.
        if self.buckets.len() >= MOST && now.saturating_sub(self.swept) >= INTERVAL / 60 {
            self.swept = now;
            self.buckets.retain(|_, bucket| {
                bucket.fill(now);
                bucket.held.is_some() || bucket.filled < INTERVAL
            });
        }
        let source = source.map(|source| source.chars().take(NAME).collect());
        let key = (kind, source);
        let key = match self.buckets.len() < MOST || self.buckets.contains_key(&key) {
            true => key,
            // There are as many of these as there are places that log.
            false => (kind, None),
        };
        self.buckets.entry(key).or_insert(Bucket {
            filled: INTERVAL,
            at: now,
            held: None,
        })
    }

    /// What was held back until now.
    pub(super) fn held(&mut self) -> Vec<Held> {
        let buckets = self.buckets.values_mut();
        buckets.filter_map(|bucket| bucket.held.take()).collect()
    }
}

impl Bucket {
    fn fill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at);
        self.filled = INTERVAL.min(self.filled + passed);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KIND: Kind = 1;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn line(rate: &mut Rate, at: f64, kind: Kind, source: &str) -> Verdict {
        let text = || format!("{source} at {at}");
        rate.line(seconds(at), 6, kind, Some(source), 2, text)
    }

    #[test]
    fn one_source_floods_and_another_is_heard() {
        let mut rate = Rate::default();
        for _ in 0..6 {
            assert_eq!(line(&mut rate, 0.0, KIND, "a"), Verdict::Log);
        }
        for _ in 0..1000 {
            assert_eq!(line(&mut rate, 1.0, KIND, "a"), Verdict::HoldBack);
        }
        assert_eq!(line(&mut rate, 1.0, KIND, "b"), Verdict::Log);
        assert_eq!(line(&mut rate, 1.0, KIND + 1, "a"), Verdict::Log);
        let held = Held {
            lines: 1000,
            level: 2,
            first: "a at 1".to_owned(),
        };
        // Ten seconds pay for one line of six a minute.
        assert_eq!(line(&mut rate, 10.5, KIND, "a"), Verdict::LogAfter(held));
        assert_eq!(line(&mut rate, 10.5, KIND, "a"), Verdict::HoldBack);
        assert_eq!(rate.held().len(), 1);
        assert_eq!(rate.held(), []);
    }

    #[test]
    fn many_sources_are_forgotten_or_share() {
        let mut rate = Rate::default();
        let mut logged = 0;
        for n in 0..100_000 {
            logged += u32::from(line(&mut rate, 0.0, KIND, &format!("n{n}")) == Verdict::Log);
        }
        assert!(rate.buckets.len() <= MOST + 1);
        // Those without a place of their own have one allowance together.
        assert_eq!(logged as usize, MOST + 6);
        assert_eq!(rate.held()[0].lines as usize, 100_000 - MOST - 6);
        // Later there is room again.
        assert_eq!(line(&mut rate, 120.0, KIND, "new"), Verdict::Log);
        assert_eq!(rate.buckets.len(), 1);
    }

    proptest! {
        /// Every line is logged or counted, and no source has more lines than its allowance.
        #[test]
        fn nothing_is_lost_in_silence(
            steps in prop::collection::vec((0..20_u32, 0..3_u8, any::<bool>()), 1..400),
            per_minute in 1..9_u32,
        ) {
            let mut rate = Rate::default();
            let (mut now, mut told, mut logged) = (0.0, 0, [0; 3]);
            for (wait, source, tell) in &steps {
                now += f64::from(*wait) / 10.0;
                let name = source.to_string();
                let verdict = rate.line(seconds(now), per_minute, KIND, Some(&name), 2, String::new);
                match verdict {
                    Verdict::Log => logged[usize::from(*source)] += 1,
                    Verdict::LogAfter(held) => {
                        logged[usize::from(*source)] += 1;
                        told += held.lines;
                    }
                    Verdict::HoldBack => {}
                }
                if *tell {
                    told += rate.held().iter().map(|held| held.lines).sum::<u64>();
                }
            }
            told += rate.held().iter().map(|held| held.lines).sum::<u64>();
            prop_assert_eq!(told + logged.iter().sum::<u64>(), steps.len() as u64);
            let most = f64::from(per_minute) * (1.0 + now / 60.0);
            prop_assert!(logged.iter().all(|lines| *lines as f64 <= most + 1e-6));
        }
    }
}
