//! How long to wait before a restart.

use std::time::Duration;

/// The time between a child's death and its restart: it grows with each death in a row, up to a
/// cap, and is forgotten once the child has lived long enough.
///
/// ```
/// use std::time::Duration;
/// use aemp::supervise::{Backoff, Supervisor};
/// let gentle = Backoff::new(Duration::from_secs(1), Duration::from_secs(60)).factor(3.0);
/// let builder = Supervisor::builder("gentle").backoff(gentle);
/// # let _ = builder;
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    factor: f64,
    jitter: f64,
    reset_after: Duration,
}

impl Default for Backoff {
    /// 100 ms, doubled each time up to 30 s, less a random part of up to a half, reset after a life
    /// of 60 s.
    fn default() -> Self {
        Backoff::new(Duration::from_millis(100), Duration::from_secs(30))
    }
}

impl Backoff {
    /// Waits `first` after the first death, then twice as long each time, up to `cap`; less a
    /// random part of up to a half; reset after a life of 60 s.
    ///
    /// ```
    /// use std::time::Duration;
    /// let backoff = aemp::supervise::Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    /// # let _ = backoff;
    /// ```
    pub const fn new(first: Duration, cap: Duration) -> Self {
        Backoff {
            first,
            cap,
            factor: 2.0,
            jitter: 0.5,
            reset_after: Duration::from_secs(60),
        }
    }

    /// No wait: a restart at once, as Erlang does it. The intensity alone keeps a flapping child in
    /// check.
    ///
    /// ```
    /// let builder = aemp::Supervisor::builder("hasty").backoff(aemp::supervise::Backoff::none());
    /// # let _ = builder;
    /// ```
    pub const fn none() -> Self {
        Backoff::new(Duration::ZERO, Duration::ZERO)
    }

    /// By what the wait is multiplied from death to death; 2 by default, at least 1.
    ///
    /// ```
    /// let steady = aemp::supervise::Backoff::default().factor(1.0);
    /// # let _ = steady;
    /// ```
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor.max(1.0);
        self
    }

    /// Which part of the wait is up to chance: from 0, always the full wait, to 1, anything from
    /// nothing to the full wait; 0.5 by default. It keeps the children of many supervisors from
    /// coming back at the same moment.
    ///
    /// ```
    /// let exact = aemp::supervise::Backoff::default().jitter(0.0);
    /// # let _ = exact;
    /// ```
    pub fn jitter(mut self, part: f64) -> Self {
        self.jitter = if part.is_nan() {
            0.5
        } else {
            part.clamp(0.0, 1.0)
        };
        self
    }

    /// After what time of life earlier deaths are forgotten; 60 s by default.
    ///
    /// ```
    /// use std::time::Duration;
    /// let strict = aemp::supervise::Backoff::default().reset_after(Duration::from_secs(600));
    /// # let _ = strict;
    /// ```
    pub const fn reset_after(mut self, life: Duration) -> Self {
        self.reset_after = life;
        self
    }

    /// Whether a life of that length makes earlier deaths forgotten.
    pub(crate) fn forgets(&self, life: Duration) -> bool {
        life >= self.reset_after
    }

    /// The wait after a death that `streak` others went before. `roll`, from 0 to 1, is chance.
    pub(crate) fn delay(&self, streak: u32, roll: f64) -> Duration {
        if self.first.is_zero() {
            return Duration::ZERO;
        }
        let exponent = i32::try_from(streak).unwrap_or(i32::MAX);
        let full = self.first.as_secs_f64() * self.factor.powi(exponent);
        let full = full.min(self.cap.as_secs_f64());
        let part = full * (1.0 - self.jitter * roll.clamp(0.0, 1.0));
        Duration::try_from_secs_f64(part).map_or(self.cap, |wait| wait.min(self.cap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_doubles_up_to_the_cap() {
        let ms = Duration::from_millis;
        let backoff = Backoff::new(ms(100), ms(1000));
        let full: Vec<Duration> = (0..6).map(|n| backoff.delay(n, 0.0)).collect();
        assert_eq!(full, [100, 200, 400, 800, 1000, 1000].map(ms));
        assert_eq!(backoff.delay(1, 1.0), ms(100));
        assert_eq!(backoff.jitter(0.0).delay(1, 1.0), ms(200));
        assert_eq!(backoff.factor(f64::NAN).delay(9, 0.0), ms(100));
        assert_eq!(Backoff::none().delay(9, 0.3), Duration::ZERO);
        let endless = Backoff::new(ms(1), Duration::MAX);
        assert!(endless.delay(u32::MAX, 0.0) > Duration::from_secs(1 << 40));
    }

    proptest! {
        #[test]
        fn it_stays_in_its_bounds(
            first in 0..10_000u64,
            cap in 0..100_000u64,
            factor in 0.0..10.0f64,
            jitter in 0.0..1.0f64,
            streak: u32,
            roll in 0.0..1.0f64,
        ) {
            let (first, cap) = (Duration::from_millis(first), Duration::from_millis(cap));
            let backoff = Backoff::new(first, cap).factor(factor).jitter(jitter);
            let (wait, full) = (backoff.delay(streak, roll), backoff.delay(streak, 0.0));
            prop_assert!(wait <= full && full <= cap);
            // Nanoseconds are rounded.
            prop_assert!(wait + Duration::from_micros(1) >= full.mul_f64(1.0 - jitter));
            prop_assert!(full <= backoff.delay(streak.saturating_add(1), 0.0));
        }
    }
}
