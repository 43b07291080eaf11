//! A progress bar for long work over the partitions of a journal: drawn on a terminal, silent elsewhere.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Records done and to do, over all partitions.
pub(crate) struct Meter {
    bar: ProgressBar,
    partitions: Mutex<BTreeMap<u16, (u64, u64)>>,
    told: Option<Told>,
}

/// Hears how many of how many records are done.
type Told = Box<dyn Fn(u64, u64) + Send + Sync>;

impl Meter {
    /// A bar that says what is being done. Work that is done within a moment never shows it.
    pub(crate) fn new(doing: &'static str) -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} records, {eta} left")
        {
            bar.set_style(style);
        }
        bar.set_message(doing);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, partitions: Mutex::default(), told: None }
    }

    /// The same, and somebody hears of it who sees no terminal.
    pub(crate) fn telling(mut self, told: impl Fn(u64, u64) + Send + Sync + 'static) -> Self {
        self.told = Some(Box::new(told));
        self
    }

    /// `partition` has done `done` of `all` records.
    pub(crate) fn tell(&self, partition: u16, done: u64, all: u64) {
        let mut partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        partitions.insert(partition, (done, all));
        let (done, all) = partitions.values().fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
        self.bar.set_length(all);
        self.bar.set_position(done);
        if let Some(told) = &self.told {
            told(done, all);
        }
    }

    /// Takes the bar off the screen; how many records were done.
    pub(crate) fn finish(&self) -> u64 {
        let done = self.bar.position();
        self.bar.finish_and_clear();
        done
    }
}

#[cfg(test)]
mod tests {
    use super::Meter;

    #[test]
    fn the_partitions_add_up_and_the_last_word_of_each_counts() {
        let meter = Meter::new("testing");
        meter.tell(0, 5, 10);
        meter.tell(1, 1, 4);
        meter.tell(0, 10, 10);
        assert_eq!(meter.bar.length(), Some(14));
        assert_eq!(meter.finish(), 11);
    }
}
