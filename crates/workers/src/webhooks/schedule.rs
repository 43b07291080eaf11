//! When a webhook is tried: at once, then after each wait, and then never again (apis.md, Webhooks).

use std::time::Duration;

/// The waits before each try; the first is before the first try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(Vec<Duration>);

/// Most tries of a schedule.
const TRIES_MAX: usize = 32;

impl Default for Schedule {
    /// 0, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h: ten tries in a little more than three days.
    fn default() -> Self {
        const HOUR: u64 = 3_600;
        let seconds = [0, 5, 300, 1_800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
        Self(seconds.map(Duration::from_secs).to_vec())
    }
}

impl Schedule {
    /// A schedule of 1 to 32 waits.
    pub fn new(waits: Vec<Duration>) -> Option<Self> {
        (1..=TRIES_MAX).contains(&waits.len()).then_some(Self(waits))
    }

    /// The wait before the next try after `tries` that failed; `None`: there is none. Up to a tenth longer, as `chance`
    /// wills, so that what failed together is not tried together.
    pub fn wait(&self, tries: u32, chance: u64) -> Option<Duration> {
        let wait = *self.0.get(usize::try_from(tries).ok()?)?;
        let span = u64::try_from((wait / 10).as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        Some(wait + Duration::from_millis(chance % span))
    }

    pub(crate) fn wait_by_chance(&self, tries: u32) -> Option<Duration> {
        // Without randomness the tries are merely less spread.
        self.wait(tries, getrandom::u64().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_tries_by_the_table_each_at_most_a_tenth_late() {
        let schedule = Schedule::default();
        let seconds = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
        for (tries, wait) in (0..).zip(seconds.map(Duration::from_secs)) {
            for chance in [0, 1, 123_456_789, u64::MAX] {
                let waited = schedule.wait(tries, chance).expect("a try");
                assert!(waited >= wait && waited <= wait + wait / 10, "{tries} tries, chance {chance}: {waited:?}");
            }
        }
        assert_eq!(schedule.wait(10, 0), None);
        assert_eq!(schedule.wait(0, u64::MAX), Some(Duration::ZERO), "the first is at once");
    }

    #[test]
    fn a_schedule_has_a_try_and_an_end() {
        assert_eq!(Schedule::new(Vec::new()), None);
        assert_eq!(Schedule::new(vec![Duration::ZERO; 33]), None);
        assert!(Schedule::new(vec![Duration::ZERO; 32]).is_some());
    }
}
