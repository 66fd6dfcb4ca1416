//! How many restarts are too many.

use std::collections::VecDeque;
use std::time::Duration;

use super::terms::Key;

/// How many restarts a supervisor makes within a time before it gives up.
///
/// All its children count together. A restart counts at the moment of the death that it answers;
/// the stop and start of siblings, and restarts that the program asks for, do not count.
///
/// ```
/// use std::time::Duration;
/// use aemp::supervise::{Intensity, Supervisor};
/// let patient = Intensity::new(10, Duration::from_secs(60));
/// assert_eq!((patient.most(), patient.within()), (10, Duration::from_secs(60)));
/// let builder = Supervisor::builder("patient").intensity(patient);
/// # let _ = builder;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intensity {
    most: u32,
    within: Duration,
}

impl Default for Intensity {
    /// Three restarts within five seconds.
    fn default() -> Self {
        Intensity::new(3, Duration::from_secs(5))
    }
}

impl Intensity {
    /// At most `most` restarts `within` a time; one more, and the supervisor gives up. With 0 it
    /// gives up at the first death that asks for a restart.
    ///
    /// ```
    /// use std::time::Duration;
    /// let none = aemp::supervise::Intensity::new(0, Duration::from_secs(1));
    /// assert_eq!(none.most(), 0);
    /// ```
    pub const fn new(most: u32, within: Duration) -> Self {
        Intensity { most, within }
    }

    /// How many restarts are tolerated.
    ///
    /// ```
    /// assert_eq!(aemp::supervise::Intensity::default().most(), 3);
    /// ```
    pub const fn most(self) -> u32 {
        self.most
    }

    /// The length of the window.
    ///
    /// ```
    /// assert_eq!(aemp::supervise::Intensity::default().within().as_secs(), 5);
    /// ```
    pub const fn within(self) -> Duration {
        self.within
    }
}

/// The restarts of the last while: never more than are tolerated.
#[derive(Debug)]
pub(crate) struct Window {
    intensity: Intensity,
    recent: VecDeque<(Duration, Key)>,
}

impl Window {
    pub(crate) fn new(intensity: Intensity) -> Self {
        Window {
            intensity,
            recent: VecDeque::new(),
        }
    }

    /// Notes a restart. `Err` if it is one too many: whether all those before it were the same
    /// child's.
    pub(crate) fn record(&mut self, now: Duration, key: Key) -> Result<(), bool> {
        while let Some((at, _)) = self.recent.front()
            && now.saturating_sub(*at) >= self.intensity.within
        {
            self.recent.pop_front();
        }
        if self.recent.len() >= self.intensity.most as usize {
            return Err(self.recent.iter().all(|(_, other)| *other == key));
        }
        self.recent.push_back((now, key));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_window_slides() {
        let ms = Duration::from_millis;
        let mut window = Window::new(Intensity::new(2, ms(100)));
        assert_eq!(window.record(ms(0), 1), Ok(()));
        assert_eq!(window.record(ms(50), 1), Ok(()));
        assert_eq!(window.record(ms(99), 1), Err(true));
        assert_eq!(window.record(ms(100), 2), Ok(()));
        assert_eq!(window.record(ms(149), 2), Err(false));
        assert_eq!(window.record(ms(150), 2), Ok(()));
        let mut none = Window::new(Intensity::new(0, ms(100)));
        assert_eq!(none.record(ms(0), 1), Err(true));
    }

    proptest! {
        /// What is agreed to never exceeds the intensity in any window, and what is refused would
        /// have exceeded it.
        #[test]
        fn never_more_than_tolerated(
            most in 0..5u32,
            within in 1..50u64,
            gaps in prop::collection::vec(0..30u64, 0..60),
        ) {
            let mut window = Window::new(Intensity::new(most, Duration::from_millis(within)));
            let (mut now, mut agreed) = (0, Vec::new());
            for gap in gaps {
                now += gap;
                let recent = agreed.iter().filter(|at| now - **at < within).count();
                let result = window.record(Duration::from_millis(now), 0);
                prop_assert_eq!(result.is_ok(), recent < most as usize);
                if result.is_ok() {
                    agreed.push(now);
                }
            }
        }
    }
}
