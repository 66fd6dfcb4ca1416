//! Whether the memory of a process grows.

use super::Row;

/// The first part of a soak is not judged: caches fill, allocators find their size, in steps that
/// come ever more seldom.
const WARMING: f64 = 0.5;

/// In how many parts the rest is judged, each by its median, so that neither a peak nor a wave
/// says anything.
const PARTS: usize = 9;

/// How steadily memory has to grow to be a leak: of all pairs of parts, those where the later has
/// more, less those where it has less. Memory that does not grow is beyond this once in a hundred
/// times.
const STEADY: f64 = 0.6;

/// What is no growth: a part of the memory in an hour.
const LITTLE: f64 = 0.05;

/// How the memory of a node went on.
#[derive(Debug, Clone, PartialEq)]
pub struct Trend {
    /// The memory that it has in the mean, in octets.
    pub mean: f64,
    /// By how much it grows, in octets an hour.
    pub an_hour: f64,
    /// How steadily it does, from -1 (it shrinks from each part to the next) to 1 (it grows).
    pub steadiness: f64,
    /// Whether it was still growing in the last third of what is judged. A process that has found
    /// its size after some steps was not; a leak is.
    pub goes_on: bool,
}

impl Trend {
    /// Whether it does not grow, as far as can be told.
    pub fn is_flat(&self) -> bool {
        !self.goes_on || self.steadiness < STEADY || self.an_hour <= LITTLE * self.mean
    }
}

/// How the memory of one node went on behind the warming. `None` if there is too little to tell.
pub fn trend(rows: &[&Row]) -> Option<Trend> {
    let end = rows.iter().map(|row| row.at).fold(0.0, f64::max);
    let judged: Vec<(f64, f64)> = rows
        .iter()
        .filter(|row| row.at >= WARMING * end)
        .map(|row| (row.at / 3600.0, row.memory as f64))
        .collect();
    if judged.len() < 2 * PARTS {
        return None;
    }
    // The sizes of two parts differ by one at most.
    let cut = |n: usize| n * judged.len() / PARTS;
    let parts: Vec<(f64, f64)> = (0..PARTS)
        .map(|n| {
            let part = &judged[cut(n)..cut(n + 1)];
            let at = part.iter().map(|(at, _)| at).sum::<f64>() / part.len() as f64;
            (at, median(part.iter().map(|(_, memory)| *memory)))
        })
        .collect();
    let pairs = || (1..PARTS).flat_map(|later| (0..later).map(move |first| (first, later)));
    let more = |(first, later): (usize, usize)| parts[later].1 - parts[first].1;
    let signs = pairs().map(|pair| match more(pair) {
        0.0 => 0.0,
        more => more.signum(),
    });
    let steadiness = signs.sum::<f64>() / pairs().count() as f64;
    let slopes = pairs().map(|(first, later)| {
        let time = parts[later].0 - parts[first].0;
        more((first, later)) / time
    });
    let an_hour = median(slopes);
    let mean = judged.iter().map(|(_, memory)| memory).sum::<f64>() / judged.len() as f64;
    let (from, to) = (parts[PARTS - PARTS / 3], parts[PARTS - 1]);
    let lately = (to.1 - from.1) / (to.0 - from.0);
    Some(Trend {
        mean,
        an_hour,
        steadiness,
        goes_on: lately > LITTLE * mean,
    })
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trend_of(memory: impl Fn(u32) -> f64) -> Trend {
        let row = |n: u32| Row {
            at: f64::from(n) * 5.0,
            memory: memory(n) as u64,
            ..Row::default()
        };
        let rows: Vec<Row> = (0..360).map(row).collect();
        trend(&rows.iter().collect::<Vec<_>>()).unwrap()
    }

    fn wave(n: u32) -> f64 {
        1e7 + if n.is_multiple_of(2) { 2e5 } else { -2e5 }
    }

    #[test]
    fn what_grows_is_told_from_noise() {
        assert!(trend_of(wave).is_flat());
        let slow = |n: u32| 1e7 + 1e6 * (f64::from(n) / 20.0).sin();
        assert!(trend_of(slow).is_flat(), "{:?}", trend_of(slow));
        let leak = |n: u32| wave(n) + 2e3 * f64::from(n);
        let found = trend_of(leak);
        assert!(!found.is_flat(), "{found:?}");
        assert!((found.an_hour / 1.44e6 - 1.0).abs() < 0.1, "{found:?}");
        assert!((found.steadiness - 1.0).abs() < 1e-9, "{found:?}");
    }

    /// A page at a time, or an allocator's chunk.
    #[test]
    fn a_leak_in_steps_is_one() {
        let leak = |n: u32| 1e7 + 132e3 * f64::from(n / 12);
        assert!(!trend_of(leak).is_flat(), "{:?}", trend_of(leak));
    }

    #[test]
    fn steps_that_end_are_no_leak() {
        // What happens while it warms up does not count.
        let warming = |n: u32| if n < 180 { 1e5 * f64::from(n) } else { 1.8e7 };
        assert!(trend_of(warming).is_flat());
        for steps in [&[200][..], &[300], &[200, 260], &[190, 230, 290]] {
            let taken = |n: u32| steps.iter().filter(|at| n >= **at).count() as f64;
            let found = trend_of(|n| wave(n) + 2e6 * taken(n));
            assert!(found.is_flat(), "{steps:?}: {found:?}");
        }
    }

    #[test]
    fn little_tells_nothing() {
        assert_eq!(trend(&[]), None);
        let row = Row::default();
        assert_eq!(trend(&[&row; 17]), None);
    }
}
