//! A quick look over a partition before it is audited: how much there is, and which records later checkpoints name, so
//! that the state is hashed when it passes there. Nothing of it is believed.

use std::collections::BTreeSet;
use std::io;

use florin_engine::codec::{Entry, Outcome};
use florin_engine::command::Class;
use florin_engine::event::Event;

use super::progress::Meter;
use super::walk::Walk;

/// Checkpoints that are held against the state, at most: one per 100,000 commands is far more than is written.
const NAMED_MAX: usize = 100_000;

/// Where the class of an entry stands in it.
const CLASS_AT: usize = 1;

/// What lies ahead.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    pub(super) bytes: u64,
    pub(super) named: BTreeSet<u64>,
    /// More checkpoints than are held against the state.
    pub(super) too_many: bool,
}

/// Looks a partition over.
pub(super) fn look(mut walk: Walk, meter: &Meter) -> io::Result<Ahead> {
    let mut ahead = Ahead::default();
    while let Some((header, mut body)) = walk.skim()? {
        ahead.bytes += header.record_bytes() as u64;
        meter.advance(header.record_bytes() as u64);
        while let Some((length, rest)) = body.split_first_chunk::<4>() {
            let Some((entry, rest)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize) else { break };
            body = rest;
            if entry.get(CLASS_AT) != Some(&Class::System.code()) {
                continue;
            }
            let Ok(Entry { outcome: Outcome::Accepted(events), .. }) = Entry::decode(entry) else { continue };
            for event in events {
                if let Event::Checkpointed(checkpoint) = event
                    && checkpoint.index < header.index
                {
                    ahead.too_many |= ahead.named.len() >= NAMED_MAX;
                    if !ahead.too_many {
                        ahead.named.insert(checkpoint.index);
                    }
                }
            }
        }
    }
    Ok(ahead)
}
