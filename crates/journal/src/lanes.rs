//! Many short BLAKE3 hashes at once, in vector lanes.
//!
//! Entries are about 150 bytes, too short for BLAKE3 to use its lanes within one: measured on a machine with AVX-512,
//! 157 ns for a leaf and 53 ns for a node one by one, 24 ns and 8 ns in lanes. The leaf input is padded to whole blocks
//! for this. Every digest equals `blake3::keyed_hash` of the padded input: lanes are how it is computed here, not what
//! the format says. `blake3::platform` is not a stable interface; this file is all that uses it, a test compares it with
//! `keyed_hash`, and replacing it by `keyed_hash` changes no stored byte.

use blake3::IncrementCounter;
use blake3::platform::Platform;

use crate::hash::{KEYS, keyed};

const LANES: usize = 16;
const BLOCK: usize = 64;
/// One BLAKE3 chunk: longer inputs are trees by themselves, and hashed alone.
const CHUNK: usize = 1024;

// Flags of the BLAKE3 specification for a keyed input of one chunk.
const KEYED: u8 = 1 << 4;
const FIRST_BLOCK: u8 = 1 << 0;
const LAST_BLOCK: u8 = (1 << 1) | (1 << 3);

/// Inputs of one length, waiting for a full set of lanes.
#[derive(Default)]
struct Lane {
    inputs: Vec<u8>,
    leaves: Vec<usize>,
}

/// Reusable scratch; about 150 KB when every length has been seen.
pub(crate) struct Lanes {
    platform: Platform,
    leaf_key: [u32; 8],
    node_key: [u32; 8],
    by_length: [Lane; CHUNK / BLOCK],
    spill: Vec<u8>,
}

impl Lanes {
    pub(crate) fn new() -> Self {
        Self {
            platform: Platform::detect(),
            leaf_key: words(&KEYS.leaf),
            node_key: words(&KEYS.node),
            by_length: Default::default(),
            spill: Vec::new(),
        }
    }

    /// Takes the input of leaf `at` (its length prefix and its bytes); `out` gets its digest now or at
    /// [`finish_leaves`](Self::finish_leaves).
    pub(crate) fn leaf(&mut self, at: usize, input: &[u8], out: &mut [u8]) {
        let padded = input.len().next_multiple_of(BLOCK);
        if padded > CHUNK {
            self.spill.clear();
            self.spill.extend_from_slice(input);
            self.spill.resize(padded, 0);
            out[at * 32..][..32].copy_from_slice(&keyed(&KEYS.leaf, &self.spill).0);
            return;
        }
        let lane = &mut self.by_length[padded / BLOCK - 1];
        let start = lane.inputs.len();
        lane.inputs.extend_from_slice(input);
        lane.inputs.resize(start + padded, 0);
        lane.leaves.push(at);
        if lane.leaves.len() == LANES {
            flush(self.platform, &self.leaf_key, padded, lane, out);
        }
    }

    pub(crate) fn finish_leaves(&mut self, out: &mut [u8]) {
        for (blocks, lane) in self.by_length.iter_mut().enumerate() {
            if !lane.leaves.is_empty() {
                flush(self.platform, &self.leaf_key, (blocks + 1) * BLOCK, lane, out);
            }
        }
    }

    /// Hashes pairs of digests: 64 bytes of `level` to 32 bytes of `out`.
    pub(crate) fn nodes(&self, level: &[u8], out: &mut [u8]) {
        for (inputs, out) in level.chunks(BLOCK * LANES).zip(out.chunks_mut(32 * LANES)) {
            many::<BLOCK>(self.platform, &self.node_key, inputs, out);
        }
    }
}

fn flush(platform: Platform, key: &[u32; 8], padded: usize, lane: &mut Lane, out: &mut [u8]) {
    let mut digests = [0; 32 * LANES];
    let digests = &mut digests[..lane.leaves.len() * 32];
    macro_rules! by_blocks {
        ($($blocks:literal)*) => {
            match padded / BLOCK {
                $($blocks => many::<{ $blocks * BLOCK }>(platform, key, &lane.inputs, digests),)*
                _ => unreachable!("a lane holds one chunk at most"),
            }
        };
    }
    by_blocks!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
    for (at, digest) in lane.leaves.drain(..).zip(digests.chunks(32)) {
        out[at * 32..][..32].copy_from_slice(digest);
    }
    lane.inputs.clear();
}

fn many<const N: usize>(platform: Platform, key: &[u32; 8], inputs: &[u8], out: &mut [u8]) {
    let empty = [0; N];
    let mut lanes = [&empty; LANES];
    let (inputs, _) = inputs.as_chunks::<N>();
    for (lane, input) in lanes.iter_mut().zip(inputs) {
        *lane = input;
    }
    platform.hash_many(&lanes[..inputs.len()], key, 0, IncrementCounter::No, KEYED, FIRST_BLOCK, LAST_BLOCK, out);
}

fn words(key: &[u8; 32]) -> [u32; 8] {
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().zip(key.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_compute_what_the_format_says() {
        // Given inputs of every length around block and chunk bounds, more of some than there are lanes,
        let inputs: Vec<Vec<u8>> =
            (1..2200usize).step_by(7).chain([192; 40]).map(|n| vec![n.to_le_bytes()[0]; n]).collect();
        let mut lanes = Lanes::new();
        let mut out = vec![0; inputs.len() * 32];
        // when they are hashed in lanes,
        for (at, input) in inputs.iter().enumerate() {
            lanes.leaf(at, input, &mut out);
        }
        lanes.finish_leaves(&mut out);
        // then each digest is the keyed hash of the padded input,
        for (input, digest) in inputs.iter().zip(out.chunks(32)) {
            let mut padded = input.clone();
            padded.resize(input.len().next_multiple_of(64), 0);
            assert_eq!(digest, keyed(&KEYS.leaf, &padded).0);
        }
        // and each node that of the pair.
        let pairs = out.len() / 64;
        let mut nodes = vec![0; pairs * 32];
        lanes.nodes(&out[..pairs * 64], &mut nodes);
        for (pair, node) in out.chunks(64).zip(nodes.chunks(32)) {
            assert_eq!(node, keyed(&KEYS.node, pair).0);
        }
    }
}
