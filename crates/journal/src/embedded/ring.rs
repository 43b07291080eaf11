//! The latest records in memory, so that followers need not read and verify again what was just written.

use std::collections::VecDeque;

use crate::Record;

/// Bounded by bytes held.
pub(super) struct Ring {
    records: VecDeque<Record>,
    bytes: usize,
    bytes_max: usize,
}

impl Ring {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { records: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Adds the record that follows the last one.
    pub(super) fn push(&mut self, record: Record) {
        self.bytes += record.held();
        self.records.push_back(record);
        while self.bytes > self.bytes_max
            && let Some(oldest) = self.records.pop_front()
        {
            self.bytes -= oldest.held();
        }
    }

    pub(super) fn get(&self, index: u64) -> Option<Record> {
        let first = self.records.front()?.index();
        self.records.get(usize::try_from(index.checked_sub(first)?).ok()?).cloned()
    }
}
