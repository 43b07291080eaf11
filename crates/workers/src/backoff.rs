//! How long to wait before the next try.

use std::time::Duration;

/// Exponential, bounded, with jitter.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// Longest wait after the first failure [500 ms]; it doubles with each.
    pub first: Duration,
    /// Longest wait ever [60 s].
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(500), max: Duration::from_mins(1) }
    }
}

impl Backoff {
    /// The wait after `tries` failures before this one: between half of the bound and the bound, as `chance` wills.
    pub fn wait(&self, tries: u32, chance: u64) -> Duration {
        let bound = self.first.saturating_mul(1_u32.checked_shl(tries).unwrap_or(u32::MAX)).min(self.max);
        let half = bound / 2;
        let span = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
        half + Duration::from_nanos(chance % span)
    }

    pub(crate) fn wait_by_chance(&self, tries: u32) -> Duration {
        // Without randomness the waits are merely less spread.
        self.wait(tries, getrandom::u64().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_bound_and_are_spread_over_their_upper_half() {
        let backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_millis(350) };
        for (tries, bound) in [(0, 100), (1, 200), (2, 350), (31, 350), (32, 350), (u32::MAX, 350)] {
            let bound = Duration::from_millis(bound);
            for chance in [0, 1, 12_345_678_901, u64::MAX] {
                let wait = backoff.wait(tries, chance);
                assert!(wait >= bound / 2 && wait <= bound, "{tries} tries, chance {chance}: {wait:?}");
            }
        }
        assert_ne!(backoff.wait(0, 0), backoff.wait(0, 1_000_000));
    }
}
