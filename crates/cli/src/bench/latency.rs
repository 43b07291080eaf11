//! Latencies of a run, all of them kept: 16 bytes each, and exact percentiles.

use std::time::Duration;

use serde::Serialize;

/// How long one batch, command or request took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// When it was answered, since the run began.
    pub(super) at_us: u64,
    pub(super) nanos: u64,
}

/// Samples of one kind.
#[derive(Default)]
pub(super) struct Latencies(Vec<Sample>);

/// What is told of them, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Percentiles {
    pub(super) samples: usize,
    pub(super) p1_us: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) p100_us: f64,
}

impl Latencies {
    /// Adds what took so long and was answered just now, `at` after the run began.
    pub(super) fn add(&mut self, at: Duration, latency: Duration) {
        let at_us = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        self.0.push(Sample { at_us, nanos: u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX) });
    }

    pub(super) fn samples(&self) -> &[Sample] {
        &self.0
    }

    pub(super) fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many took longer than this.
    pub(super) fn over(&self, bound: Duration) -> usize {
        self.0.iter().filter(|sample| u128::from(sample.nanos) > bound.as_nanos()).count()
    }

    pub(super) fn percentiles(&mut self) -> Percentiles {
        self.0.sort_unstable_by_key(|sample| sample.nanos);
        let samples = self.0.len();
        // Nearest rank: the least sample that at least so many in a hundred do not exceed.
        let at = |percent: usize| {
            let rank = (samples * percent).div_ceil(100).max(1);
            self.0.get(rank - 1).map_or(0.0, |sample| sample.nanos as f64 / 1e3)
        };
        Percentiles { samples, p1_us: at(1), p50_us: at(50), p99_us: at(99), p100_us: at(100) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_the_nearest_ranks() {
        let mut latencies = Latencies::default();
        (1..=200).rev().for_each(|us| latencies.add(Duration::ZERO, Duration::from_micros(us)));
        assert_eq!(latencies.over(Duration::from_micros(198)), 2);
        let told = latencies.percentiles();
        assert_eq!(told, Percentiles { samples: 200, p1_us: 2.0, p50_us: 100.0, p99_us: 198.0, p100_us: 200.0 });
    }

    #[test]
    fn one_sample_is_every_percentile_and_none_is_zero() {
        assert!(Latencies::default().percentiles().p100_us.abs() < f64::EPSILON);
        let mut one = Latencies::default();
        one.add(Duration::ZERO, Duration::from_micros(7));
        let told = one.percentiles();
        assert_eq!((told.p1_us, told.p99_us), (7.0, 7.0));
    }
}
