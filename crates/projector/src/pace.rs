//! Work that is spread over a time. The store can write a round in a third of the time in which the next one gathers, but keeps
//! a core to itself for that long, whatever its priority, and who is to be answered meanwhile waits twice as long.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Less than this is not waited for: whoever wakes finds the caches filled by others, so more and shorter pauses cost more.
const STEP: Duration = Duration::from_millis(2);
/// After so long a pause it is looked again whether there is a hurry.
const PAUSE_MAX: Duration = Duration::from_millis(5);

/// How fast work may go on; one that is made by default does not hold it up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    over: Duration,
    hurry: Arc<AtomicBool>,
}

impl Pace {
    /// Spreads each work over this time.
    pub(crate) fn over(time: Duration) -> Self {
        Self { over: time, hurry: Arc::default() }
    }

    /// Says whether somebody waits for the work at hand, which then goes on without pauses.
    pub(crate) fn hurry(&self, hurry: bool) {
        self.hurry.store(hurry, Ordering::Relaxed);
    }

    /// Between two steps of a work that has `begun`, `done` of `all` of it: waits if it is ahead of its time.
    pub(crate) fn keep(&self, begun: Instant, done: usize, all: usize) {
        if self.over.is_zero() {
            return;
        }
        let due = self.over.mul_f64(done as f64 / all.max(1) as f64);
        while !self.hurry.load(Ordering::Relaxed) {
            let ahead = due.saturating_sub(begun.elapsed());
            if ahead < STEP {
                break;
            }
            thread::sleep(ahead.min(PAUSE_MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: usize = 100;

    fn work(pace: &Pace) -> Duration {
        let begun = Instant::now();
        for done in 1..=STEPS {
            pace.keep(begun, done, STEPS);
        }
        begun.elapsed()
    }

    #[test]
    fn work_is_spread_over_its_time_in_few_steps_or_many() {
        let over = Duration::from_millis(60);
        let pace = Pace::over(over);
        let took = work(&pace);
        assert!(took + STEP >= over, "{took:?}");
        let begun = Instant::now();
        pace.keep(begun, 1, 1);
        assert!(begun.elapsed() + STEP >= over);
    }

    /// With a pace of an hour, which no test would see the end of.
    #[test]
    fn it_goes_on_at_once_when_somebody_waits_for_it() {
        let pace = Pace::over(Duration::from_hours(1));
        thread::scope(|scope| {
            scope.spawn(|| work(&pace));
            thread::sleep(Duration::from_millis(20));
            pace.hurry(true);
        });
        work(&Pace::default());
    }
}
