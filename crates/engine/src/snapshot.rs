//! Snapshots: a partition's whole state as bytes, and its hash.
//!
//! ```text
//! snapshot := schema u32 LE · head (postcard) · account* · row*     counts stand in the head
//! ```
//!
//! Indexes and agenda are derived, and are built anew on reading. The hash is BLAKE3 of these bytes; a checkpoint in the
//! journal names it with its schema, and every audit that knows the schema checks it.

use alloc::{sync::Arc, vec::Vec};
use core::convert::Infallible;

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

/// At which size a piece of the state's bytes is given.
const PIECE_BYTES: usize = 128 << 10;

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
    let Ok(()) = pieces(state, |piece| {
        out.extend_from_slice(piece);
        Ok::<_, Infallible>(())
    });
}

/// Gives the state's bytes piece by piece, up to the first error: a state may take more memory than there is for its bytes, too.
pub fn pieces<E>(state: &State, mut give: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut out = SCHEMA.to_le_bytes().to_vec();
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
    append(&head, &mut out);
    let mut add = |append: &dyn Fn(&mut Vec<u8>)| {
        append(&mut out);
        if out.len() < PIECE_BYTES {
            return Ok(());
        }
        let given = give(&out);
        out.clear();
        given
    };
    state.accounts.iter().try_for_each(|account| add(&|out| append(account, out)))?;
    state.remembered.rows().try_for_each(|row| add(&|out| append(row, out)))?;
    give(&out)
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
    let Ok(()) = pieces(state, |piece| {
        hasher.update(piece);
        Ok::<_, Infallible>(())
    });
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Digest, Key, Position};

    #[test]
    fn the_pieces_are_the_whole_and_none_is_large() {
        let mut state = State::new(3, 8);
        for n in 0..30_000_u32 {
            let mut key = Key([0; 16]);
            key.0[..4].copy_from_slice(&n.to_le_bytes());
            state.remembered.remember(u32::MAX, false, key, Digest::default(), n.into(), Position(n.into()));
        }
        let (mut whole, mut joined, mut count) = (Vec::new(), Vec::new(), 0);
        write(&state, &mut whole);
        let given = pieces(&state, |piece| {
            assert!(piece.len() < PIECE_BYTES + 1_000);
            joined.extend_from_slice(piece);
            count += 1;
            if count < 100 { Ok(()) } else { Err("too many") }
        });
        assert_eq!((given, joined == whole), (Ok(()), true));
        assert!(count > 2, "{count} pieces of {} bytes", whole.len());
        let again = read(&whole).expect("a state");
        assert!(again.remembered.rows().eq(state.remembered.rows()));
        assert_eq!(hash(&again), hash(&state));
        let mut given = 0;
        let refused = pieces(&state, |_| {
            given += 1;
            Err("full")
        });
        assert_eq!((refused, given), (Err("full"), 1), "the first error is the end");
    }
}
