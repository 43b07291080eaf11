//! The tree over the entries of one record.
//!
//! Leaf: keyed hash of `length (u32 LE) ‖ entry ‖ zeros to a multiple of 64`. Node: keyed hash of `left ‖ right`. An odd
//! node is promoted, never duplicated, so that no two lists of entries share a root. The shape follows from the count,
//! which the header binds.

use std::cell::RefCell;

use crate::hash::{KEYS, keyed, pair};
use crate::lanes::Lanes;
use crate::{Corruption, Hash};

struct Scratch {
    lanes: Lanes,
    level: Vec<u8>,
    next: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> =
        RefCell::new(Scratch { lanes: Lanes::new(), level: Vec::new(), next: Vec::new() });
}

/// Hash of one entry.
pub fn leaf(entry: &[u8]) -> Hash {
    let mut input = Vec::with_capacity((4 + entry.len()).next_multiple_of(64));
    // An entry is shorter than a record, far below 4 GiB.
    input.extend_from_slice(&u32::try_from(entry.len()).unwrap_or(u32::MAX).to_le_bytes());
    input.extend_from_slice(entry);
    input.resize(input.len().next_multiple_of(64), 0);
    keyed(&KEYS.leaf, &input)
}

/// Root over the length-prefixed entries of `body`; fails unless exactly `count` of them fill it.
pub fn root(body: &[u8], count: u32) -> Result<Hash, Corruption> {
    SCRATCH.with_borrow_mut(|Scratch { lanes, level, next }| {
        leaves(body, count, lanes, level)?;
        while level.len() > 32 {
            climb(lanes, level, next);
        }
        Ok(first(level))
    })
}

/// Hashes beside the way from entry `at` to the root, lowest first. `None` if there is no such entry.
pub fn path(body: &[u8], count: u32, at: u32) -> Option<Vec<Hash>> {
    SCRATCH.with_borrow_mut(|Scratch { lanes, level, next }| {
        leaves(body, count, lanes, level).ok().filter(|()| at < count)?;
        let mut at = at as usize;
        let mut path = Vec::new();
        while level.len() > 32 {
            let sibling = at ^ 1;
            if let Some(hash) = level.get(sibling * 32..).filter(|rest| !rest.is_empty()) {
                path.push(first(hash));
            }
            climb(lanes, level, next);
            at /= 2;
        }
        Some(path)
    })
}

/// Root that `leaf` leads to as entry `at` of `count`. `None` if the path has not the length that this place has.
pub fn climb_path(leaf: Hash, at: u32, count: u32, path: &[Hash]) -> Option<Hash> {
    if at >= count {
        return None;
    }
    let (mut at, mut width) = (at, count);
    let mut path = path.iter();
    let mut hash = leaf;
    while width > 1 {
        // The last node of an odd level has no sibling and is promoted.
        if at % 2 == 1 {
            hash = pair(&KEYS.node, *path.next()?, hash);
        } else if at + 1 < width {
            hash = pair(&KEYS.node, hash, *path.next()?);
        }
        at /= 2;
        width = width.div_ceil(2);
    }
    path.next().is_none().then_some(hash)
}

fn leaves(body: &[u8], count: u32, lanes: &mut Lanes, level: &mut Vec<u8>) -> Result<(), Corruption> {
    level.clear();
    // Each entry takes at least its length prefix, so a forged count cannot make this large.
    if count as usize > body.len() / 4 {
        return Err(Corruption::Body);
    }
    // Walk first, so that a body that does not parse leaves nothing waiting in the lanes.
    let mut rest = body;
    for _ in 0..count {
        rest = split(rest).ok_or(Corruption::Body)?.1;
    }
    if !rest.is_empty() {
        return Err(Corruption::Body);
    }
    level.resize(count as usize * 32, 0);
    let mut rest = body;
    for at in 0..count as usize {
        let (input, after) = split(rest).ok_or(Corruption::Body)?;
        lanes.leaf(at, input, level);
        rest = after;
    }
    lanes.finish_leaves(level);
    Ok(())
}

/// Splits the first entry, prefix included, from the rest.
fn split(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = u32::from_le_bytes(*body.first_chunk()?) as usize;
    body.split_at_checked(length.checked_add(4)?)
}

fn climb(lanes: &Lanes, level: &mut Vec<u8>, next: &mut Vec<u8>) {
    let pairs = level.len() / 64;
    next.clear();
    next.resize(pairs * 32, 0);
    lanes.nodes(&level[..pairs * 64], next);
    next.extend_from_slice(&level[pairs * 64..]);
    std::mem::swap(level, next);
}

fn first(level: &[u8]) -> Hash {
    level.first_chunk().map_or(Hash::ZERO, |digest| Hash(*digest))
}
