//! Time as the processor reads it, and when it is not to be trusted.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use florin_journal::PartitionId;

use crate::Error;

/// Largest jump against the monotonic clock, and largest lag behind the last record at start, that is let pass.
pub const JUMP_MS_MAX: u64 = 5_000;

/// Wall and monotonic readings.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970.
    fn wall_ms(&self) -> u64;
    /// A reading that never goes back.
    fn monotonic(&self) -> Instant;
}

/// The operating system's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

/// A clock that stands until it is moved, for tests and simulations.
#[derive(Debug)]
pub struct ManualClock {
    readings: Mutex<(u64, Instant)>,
}

impl ManualClock {
    /// A clock that reads `wall_ms`.
    pub fn new(wall_ms: u64) -> Self {
        Self { readings: Mutex::new((wall_ms, Instant::now())) }
    }

    /// Time passes: both readings move.
    pub fn advance_ms(&self, ms: u64) {
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        readings.0 += ms;
        readings.1 += Duration::from_millis(ms);
    }

    /// Somebody sets the wall clock; the monotonic one stays.
    pub fn set_wall_ms(&self, wall_ms: u64) {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner).0 = wall_ms;
    }
}

impl Clock for ManualClock {
    fn wall_ms(&self) -> u64 {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn monotonic(&self) -> Instant {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

/// The time stamps of one partition: `max(now, last)`, refused after a jump.
#[derive(Debug)]
pub(crate) struct Stamps {
    partition: PartitionId,
    last_ms: u64,
    wall_ms: u64,
    monotonic: Instant,
    refused: Option<Error>,
}

impl Stamps {
    /// Begins after a last record of `last_ms`.
    pub(crate) fn new(clock: &dyn Clock, partition: PartitionId, last_ms: u64) -> Self {
        let wall_ms = clock.wall_ms();
        let behind_ms = last_ms.saturating_sub(wall_ms);
        let refused =
            (behind_ms > JUMP_MS_MAX).then_some(Error::ClockRefused { partition, wall_ms, off_ms: -signed(behind_ms) });
        Self { partition, last_ms, wall_ms, monotonic: clock.monotonic(), refused }
    }

    /// Reads the clock. Compared with the reading before, so that slow steering of the wall clock never adds up.
    pub(crate) fn read(&mut self, clock: &dyn Clock) -> Result<(u64, Instant), Error> {
        let (wall_ms, monotonic) = (clock.wall_ms(), clock.monotonic());
        let passed = monotonic.saturating_duration_since(self.monotonic).as_millis();
        let expected_ms = self.wall_ms.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX));
        (self.wall_ms, self.monotonic) = (wall_ms, monotonic);
        if wall_ms.abs_diff(expected_ms) > JUMP_MS_MAX && self.refused.is_none() {
            let off_ms = signed(wall_ms) - signed(expected_ms);
            self.refused = Some(Error::ClockRefused { partition: self.partition, wall_ms, off_ms });
        }
        match &self.refused {
            Some(refused) => Err(refused.clone()),
            None => Ok((self.last_ms.max(wall_ms), monotonic)),
        }
    }

    /// Something was decided at `time_ms`.
    pub(crate) fn used(&mut self, time_ms: u64) {
        self.last_ms = self.last_ms.max(time_ms);
    }

    /// Ops trust the clock as it stands.
    pub(crate) fn confirm(&mut self, clock: &dyn Clock) {
        (self.wall_ms, self.monotonic) = (clock.wall_ms(), clock.monotonic());
        self.refused = None;
    }

    pub(crate) fn refused(&self) -> Option<&Error> {
        self.refused.as_ref()
    }
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_800_000_000_000;
    const P: PartitionId = PartitionId(0);

    #[test]
    fn stamps_never_go_back() {
        // Given a last record three seconds ahead of the clock,
        let clock = ManualClock::new(NOON);
        let mut stamps = Stamps::new(&clock, P, NOON + 3_000);
        // then stamps stand at it until the clock has caught up.
        assert_eq!(stamps.read(&clock).unwrap().0, NOON + 3_000);
        clock.advance_ms(2_000);
        assert_eq!(stamps.read(&clock).unwrap().0, NOON + 3_000);
        clock.advance_ms(2_000);
        assert_eq!(stamps.read(&clock).unwrap().0, NOON + 4_000);
    }

    #[test]
    fn a_jump_is_refused_either_way_until_confirmed() {
        for (to, off) in [(NOON + 5_001, 5_001), (NOON - 5_001, -5_001)] {
            let clock = ManualClock::new(NOON);
            let mut stamps = Stamps::new(&clock, P, 0);
            // When the wall clock jumps by more than five seconds,
            clock.set_wall_ms(to);
            // then it is refused, also when asked again,
            let refusal = Error::ClockRefused { partition: P, wall_ms: to, off_ms: off };
            assert_eq!(stamps.read(&clock), Err(refusal.clone()));
            assert_eq!(stamps.read(&clock), Err(refusal));
            // until somebody confirms it.
            stamps.confirm(&clock);
            assert!(stamps.read(&clock).is_ok());
        }
    }

    #[test]
    fn time_that_passes_is_no_jump_and_five_seconds_are_let_pass() {
        let clock = ManualClock::new(NOON);
        let mut stamps = Stamps::new(&clock, P, NOON + 5_000);
        clock.advance_ms(86_400_000);
        assert_eq!(stamps.read(&clock).unwrap().0, NOON + 86_400_000);
        clock.set_wall_ms(NOON + 86_405_000);
        assert_eq!(stamps.read(&clock).unwrap().0, NOON + 86_405_000);
    }

    #[test]
    fn a_start_far_behind_the_last_record_is_refused() {
        let clock = ManualClock::new(NOON);
        let mut stamps = Stamps::new(&clock, P, NOON + 5_001);
        assert_eq!(stamps.read(&clock), Err(Error::ClockRefused { partition: P, wall_ms: NOON, off_ms: -5_001 }));
    }
}
