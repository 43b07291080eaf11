//! Rate limits: per API key, per address, for refused credentials, and for reveals per card and user.
//!
//! Memory is bounded: what has recovered is forgotten every [`SWEEP_EVERY`] checks.

use std::{
    hash::Hash,
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};

use super::problem::Problem;

/// After how many checks a limiter forgets what has recovered.
const SWEEP_EVERY: u32 = 4096;

/// So many per span of time, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In how long.
    pub per: Duration,
    /// How many at once.
    pub burst: NonZeroU32,
}

impl Rate {
    /// `count` per `per`, all of them at once if need be; `None`, which is no limit, for a count or a span of zero.
    pub fn new(count: u32, per: Duration) -> Option<Self> {
        let count = NonZeroU32::new(count)?;
        let burst = count;
        (!per.is_zero()).then_some(Self { count, per, burst })
    }

    /// The same, with at most `burst` at once; 0 leaves it.
    #[must_use]
    pub fn burst(mut self, burst: u32) -> Self {
        self.burst = NonZeroU32::new(burst).unwrap_or(self.burst);
        self
    }

    fn quota(self) -> Option<Quota> {
        Some(Quota::with_period(self.per / self.count.get())?.allow_burst(self.burst))
    }
}

/// A limiter over keys of one kind; without a rate it lets everything pass.
#[derive(Debug)]
pub struct Limiter<K: Hash + Eq + Clone> {
    known: Option<DefaultKeyedRateLimiter<K>>,
    clock: DefaultClock,
    checks: AtomicU32,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    /// A limiter of a rate; `None`: no limit.
    pub fn new(rate: Option<Rate>) -> Self {
        Self {
            known: rate.and_then(Rate::quota).map(RateLimiter::keyed),
            clock: DefaultClock::default(),
            checks: AtomicU32::new(0),
        }
    }

    /// Counts one; [`Problem::RateLimited`] when it is one too many.
    pub fn check(&self, key: &K) -> Result<(), Problem> {
        let Some(limiter) = &self.known else {
            return Ok(());
        };
        if self.checks.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
        limiter.check_key(key).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            Problem::RateLimited { retry_after_s: wait.as_secs() + u64::from(wait.subsec_nanos() > 0) }
        })
    }
}

/// The rates of a gateway.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Requests per API key; `None`: no limit.
    pub per_key: Option<Rate>,
    /// Requests per address; `None`: no limit.
    pub per_address: Option<Rate>,
    /// Refused credentials per address.
    pub refused: Option<Rate>,
    /// Reveals per card and user, all kinds together.
    pub reveals: Option<Rate>,
}

impl Default for Rates {
    /// Keys and addresses unlimited, 60 refused credentials a minute, 30 reveals a minute.
    fn default() -> Self {
        let minute = Duration::from_mins(1);
        Self { per_key: None, per_address: None, refused: Rate::new(60, minute), reveals: Rate::new(30, minute) }
    }
}

/// The limiters of a gateway.
#[derive(Debug)]
pub struct Limiters {
    /// By the credential's tag.
    pub keys: Limiter<u64>,
    /// By address.
    pub addresses: Limiter<IpAddr>,
    /// By address, refused credentials only.
    pub refused: Limiter<IpAddr>,
    /// By account and card.
    pub reveals: Limiter<([u8; 16], [u8; 16])>,
}

impl Limiters {
    /// Limiters of these rates.
    pub fn new(rates: &Rates) -> Self {
        Self {
            keys: Limiter::new(rates.per_key),
            addresses: Limiter::new(rates.per_address),
            refused: Limiter::new(rates.refused),
            reveals: Limiter::new(rates.reveals),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_too_many_is_told_when_to_come_back() {
        let limiter = Limiter::new(Rate::new(2, Duration::from_hours(1)));
        assert_eq!(limiter.check(&1), Ok(()));
        assert_eq!(limiter.check(&1), Ok(()));
        let Err(Problem::RateLimited { retry_after_s }) = limiter.check(&1) else {
            panic!("a third within the hour is one too many");
        };
        assert!((1..=1800).contains(&retry_after_s), "{retry_after_s}");
        assert_eq!(limiter.check(&2), Ok(()));
    }

    #[test]
    fn without_a_rate_all_pass() {
        let limiter = Limiter::new(None);
        assert!((0..10_000).all(|_| limiter.check(&1).is_ok()));
        assert_eq!(Rate::new(0, Duration::from_secs(1)), None);
    }

    #[test]
    fn what_has_recovered_is_forgotten() {
        let limiter = Limiter::new(Rate::new(1_000_000, Duration::from_millis(1)));
        for key in 0..3 * SWEEP_EVERY {
            assert_eq!(limiter.check(&key), Ok(()));
        }
        let held = limiter.known.as_ref().map_or(0, RateLimiter::len);
        assert!(held <= SWEEP_EVERY as usize, "{held} keys held");
    }
}
