//! What a partition tells about itself through the `metrics` crate.
//!
//! Handles are made once: install a recorder before the processor starts. Everything is told once for each record, never
//! for each command.

use florin_engine::{codec::Outcome, reject::Reason};
use florin_journal::PartitionId;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// Most distinct reject numbers.
const REASONS: usize = 64;

pub(crate) struct Gauges {
    pub(crate) user_queued: Gauge,
    pub(crate) network_queued: Gauge,
    pub(crate) batch_entries: Histogram,
    pub(crate) batch_bytes: Histogram,
    pub(crate) decide_seconds: Histogram,
    pub(crate) durable_seconds: Histogram,
    pub(crate) replayed: Counter,
    accepted: Counter,
    rejected: Vec<Option<Counter>>,
    partition: String,
    count_accepted: u64,
    count_rejected: [u32; REASONS],
}

impl Gauges {
    pub(crate) fn new(partition: PartitionId) -> Self {
        let partition = partition.to_string();
        let label = || partition.clone();
        let lane =
            |lane: &'static str| gauge!("florin_processor_queued_commands", "partition" => label(), "lane" => lane);
        Self {
            user_queued: lane("user"),
            network_queued: lane("network"),
            batch_entries: histogram!("florin_processor_batch_entries", "partition" => label()),
            batch_bytes: histogram!("florin_processor_batch_bytes", "partition" => label()),
            decide_seconds: histogram!("florin_processor_decide_seconds", "partition" => label()),
            durable_seconds: histogram!("florin_processor_durable_seconds", "partition" => label()),
            replayed: counter!("florin_processor_replayed_total", "partition" => label()),
            accepted: counter!("florin_processor_accepted_total", "partition" => label()),
            rejected: vec![None; REASONS],
            partition,
            count_accepted: 0,
            count_rejected: [0; REASONS],
        }
    }

    /// Counts an outcome; told by [`tell`](Self::tell).
    pub(crate) fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Accepted(_) => self.count_accepted += 1,
            Outcome::Rejected(reject) => {
                if let Some(count) = self.count_rejected.get_mut(reject.reason as usize) {
                    *count += 1;
                }
            }
        }
    }

    /// Tells what was counted since.
    pub(crate) fn tell(&mut self) {
        self.accepted.increment(std::mem::take(&mut self.count_accepted));
        for reason in Reason::ALL {
            let Some(count) = self.count_rejected.get_mut(*reason as usize) else { continue };
            if *count > 0 {
                let partition = &self.partition;
                self.rejected[*reason as usize]
                    .get_or_insert_with(|| {
                        counter!("florin_processor_rejected_total", "partition" => partition.clone(), "reason" => format!("{reason:?}"))
                    })
                    .increment(u64::from(std::mem::take(count)));
            }
        }
    }
}
