//! Snapshots: a partition's whole state as bytes, and its hash.
//!
//! ```text
//! snapshot := schema u32 LE · head (postcard) · account* · row*     counts stand in the head
//! ```
//!
//! Indexes and agenda are derived, and are built anew on reading. The hash is BLAKE3 of these bytes; a checkpoint in the
//! journal names it with its schema, and every audit that knows the schema checks it.

use alloc::{sync::Arc, vec::Vec};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    codec::append,
    outcomes::Row,
    policy::Policy,
    state::{Account, Adopted, Counters, State},
};

/// Schema of these bytes; a change of any stored type of the state is a new one.
pub const SCHEMA: u32 = 1;

/// Fewest bytes that a remembered row takes here: four of the digest, seven numbers.
const ROW_BYTES_MIN: usize = 11;

/// Why bytes are no snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// Written under a schema that this binary does not have.
    #[error("snapshot schema {0} is not known, {SCHEMA} is")]
    Schema(u32),
    /// It ends too early, or is out of form.
    #[error("snapshot out of form")]
    Form,
}

#[derive(Serialize, Deserialize)]
struct Head {
    partition: u16,
    partitions: u16,
    clock_ms: u64,
    policies: Vec<(u32, u64, Policy)>,
    counters: Counters,
    accounts: u64,
    rows: u64,
}

/// Appends the state's bytes.
pub fn write(state: &State, out: &mut Vec<u8>) {
    out.extend_from_slice(&SCHEMA.to_le_bytes());
    let policies = state.policies.iter();
    let head = Head {
        partition: state.partition,
        partitions: state.partitions,
        clock_ms: state.clock_ms,
        policies: policies
            .map(|adopted| (adopted.version, adopted.effective_at_ms, (*adopted.policy).clone()))
            .collect(),
        counters: state.counters,
        accounts: state.accounts.len() as u64,
        rows: state.remembered.len() as u64,
    };
    append(&head, out);
    state.accounts.iter().for_each(|account| append(account, out));
    state.remembered.rows().for_each(|row| append(row, out));
}

/// Reads a state back.
pub fn read(bytes: &[u8]) -> Result<State, Error> {
    let (schema, rest) = bytes.split_first_chunk::<4>().ok_or(Error::Form)?;
    let schema = u32::from_le_bytes(*schema);
    if schema != SCHEMA {
        return Err(Error::Schema(schema));
    }
    let (head, mut rest) = postcard::take_from_bytes::<Head>(rest).map_err(|_| Error::Form)?;
    let mut state = State::new(head.partition, head.partitions);
    state.clock_ms = head.clock_ms;
    state.counters = head.counters;
    for (version, effective_at_ms, policy) in head.policies {
        state.policies.push(Adopted { version, effective_at_ms, policy: Arc::new(policy) });
    }
    for _ in 0..head.accounts {
        let (mut account, left) = postcard::take_from_bytes::<Account>(rest).map_err(|_| Error::Form)?;
        account.wallets.shrink_to_fit();
        account.cards.shrink_to_fit();
        state.accounts.push(account);
        rest = left;
    }
    let accounts = state.accounts.len();
    // The count may be anything; what is there is not.
    state.remembered.reserve(usize::try_from(head.rows).unwrap_or(usize::MAX).min(rest.len() / ROW_BYTES_MIN));
    for _ in 0..head.rows {
        let (row, left) = postcard::take_from_bytes::<Row>(rest).map_err(|_| Error::Form)?;
        if row.slot != u32::MAX && row.slot as usize >= accounts {
            return Err(Error::Form);
        }
        state.remembered.push(row);
        rest = left;
    }
    if !rest.is_empty() {
        return Err(Error::Form);
    }
    state.index_again();
    Ok(state)
}

/// The state's hash.
pub fn hash(state: &State) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("florin 2026 state");
    let mut bytes = Vec::new();
    write(state, &mut bytes);
    hasher.update(&bytes);
    *hasher.finalize().as_bytes()
}
