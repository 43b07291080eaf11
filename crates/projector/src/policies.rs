//! Adopted policies, kept decoded in memory.

use std::{collections::BTreeMap, sync::Arc};

use florin_engine::policy::Policy;
use serde::{Deserialize, Serialize};

use crate::{
    key::{Key, Table},
    row::Row,
};

/// A policy as a partition adopted it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PolicyRow {
    pub(crate) version: u32,
    pub(crate) effective_at_ms: u64,
    pub(crate) policy: Policy,
}

impl Row for PolicyRow {
    const NAME: &'static str = "policies";
}

pub(crate) fn key(partition: u16, version: u32) -> Key {
    Key::of(Table::Policy).u16(partition).u32(version)
}

/// The policies of every partition, by version.
#[derive(Debug, Default)]
pub(crate) struct Policies(BTreeMap<u16, BTreeMap<u32, (u64, Arc<Policy>)>>);

impl Policies {
    pub(crate) fn add(&mut self, partition: u16, row: PolicyRow) {
        self.0.entry(partition).or_default().insert(row.version, (row.effective_at_ms, Arc::new(row.policy)));
    }

    /// In force at `now_ms` in one partition: the latest adopted that is effective.
    pub(crate) fn of(&self, partition: u16, now_ms: u64) -> Option<(u32, Arc<Policy>)> {
        let adopted = self.0.get(&partition)?;
        adopted
            .iter()
            .rev()
            .find(|(_, (effective_at_ms, _))| *effective_at_ms <= now_ms)
            .map(|(version, (_, policy))| (*version, Arc::clone(policy)))
    }

    /// The highest version in force at `now_ms` in any partition.
    pub(crate) fn in_force(&self, now_ms: u64) -> Option<(u32, Arc<Policy>)> {
        self.0.keys().filter_map(|partition| self.of(*partition, now_ms)).max_by_key(|(version, _)| *version)
    }

    /// Adopted versions and from when they are in force, by partition.
    pub(crate) fn versions(&self, partition: u16) -> Vec<(u32, u64)> {
        self.0
            .get(&partition)
            .into_iter()
            .flatten()
            .map(|(version, (effective_at_ms, _))| (*version, *effective_at_ms))
            .collect()
    }
}
