//! At most so many in any span of time, per key: exact, where a bucket that refills would let nearly twice as many pass.
//!
//! For routes with low limits: it remembers each request that passed for the length of the span.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::problem::Problem;

/// Most keys that are remembered. When so many were seen within one span, a further one has to wait.
pub const KEYS_MAX: usize = 16_384;

/// A limit over keys of one kind.
#[derive(Debug)]
pub struct Window<K> {
    count: usize,
    span: Duration,
    seen: Mutex<HashMap<K, VecDeque<Instant>>>,
}

impl<K: Hash + Eq + Clone> Window<K> {
    /// At most `count` in any `span`; 0: no limit.
    pub fn new(count: usize, span: Duration) -> Self {
        Self { count, span, seen: Mutex::default() }
    }

    /// At most `count` in any minute; 0: no limit.
    pub fn per_minute(count: u32) -> Self {
        Self::new(usize::try_from(count).unwrap_or(usize::MAX), Duration::from_mins(1))
    }

    /// Counts one; [`Problem::RateLimited`], and not counted, when it is one too many.
    pub fn check(&self, key: &K) -> Result<(), Problem> {
        self.check_at(key, Instant::now())
    }

    fn check_at(&self, key: &K, now: Instant) -> Result<(), Problem> {
        if self.count == 0 {
            return Ok(());
        }
        // A panic elsewhere cannot leave it half changed.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |then: &Instant| now.saturating_duration_since(*then) >= self.span;
        if seen.len() >= KEYS_MAX && !seen.contains_key(key) {
            seen.retain(|_, times| times.back().is_some_and(|last| !over(last)));
            if seen.len() >= KEYS_MAX {
                return Err(Problem::RateLimited { retry_after_s: 1 });
            }
        }
        let times = seen.entry(key.clone()).or_default();
        while times.front().is_some_and(over) {
            times.pop_front();
        }
        if let Some(first) = times.front().filter(|_| times.len() >= self.count) {
            let wait = self.span.saturating_sub(now.saturating_duration_since(*first));
            return Err(Problem::RateLimited { retry_after_s: wait.as_secs() + u64::from(wait.subsec_nanos() > 0) });
        }
        times.push_back(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_any_minute_only_so_many_pass() {
        let window = Window::per_minute(3);
        let start = Instant::now();
        let at = |seconds| window.check_at(&1, start + Duration::from_secs(seconds));
        for seconds in [0, 10, 20] {
            assert_eq!(at(seconds), Ok(()), "{seconds}");
        }
        // What is refused does not count, and is told when the oldest is a minute back.
        for (seconds, retry_after_s) in [(20, 40), (30, 30), (59, 1)] {
            assert_eq!(at(seconds), Err(Problem::RateLimited { retry_after_s }), "{seconds}");
        }
        assert_eq!(at(60), Ok(()));
        assert_eq!(at(61), Err(Problem::RateLimited { retry_after_s: 9 }));
        // Another key is another's.
        assert_eq!(window.check_at(&2, start + Duration::from_secs(61)), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_what_is_over_is_forgotten() {
        let window = Window::per_minute(1);
        let start = Instant::now();
        for key in 0..KEYS_MAX {
            assert_eq!(window.check_at(&key, start), Ok(()));
        }
        assert_eq!(window.check_at(&KEYS_MAX, start), Err(Problem::RateLimited { retry_after_s: 1 }));
        let later = start + Duration::from_mins(1);
        assert_eq!(window.check_at(&KEYS_MAX, later), Ok(()));
        assert_eq!(window.seen.lock().unwrap().len(), 1);
    }

    #[test]
    fn zero_is_no_limit() {
        let window = Window::per_minute(0);
        assert!((0..1_000).all(|_| window.check(&1).is_ok()));
    }
}
