//! Hostile bytes from sound ones: flipped, cut, inserted, moved, spliced, and with lengths as wrong as they can be.

use super::Rng;

/// Numbers that lengths and counts are wrong by, as 64 bits of which the low ones are used.
const EXTREMES: [u64; 14] = [
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x00FF_FFFF,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    0x7FFF_FFFF_FFFF_FFFF,
    0x8000_0000_0000_0000,
    u64::MAX,
];

/// Lengths as variable-length integers: the largest of 32 and 64 bits, one that never ends, 2³¹, 0 in two bytes.
const VARINTS: [&[u8]; 5] = [
    &[0xFF, 0xFF, 0xFF, 0xFF, 0x0F],
    &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
    &[0x80; 12],
    &[0x80, 0x80, 0x80, 0x80, 0x08],
    &[0x80, 0x00],
];

/// One of the samples with one to four changes. Now and then none comes to anything, and it is as it was.
#[track_caller]
pub fn mutate(rng: &mut Rng, samples: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = rng.pick(samples).clone();
    for _ in 0..=rng.below(4) {
        change(rng, &mut bytes, samples);
    }
    bytes
}

/// One change.
#[track_caller]
pub fn change(rng: &mut Rng, bytes: &mut Vec<u8>, samples: &[Vec<u8>]) {
    let at = rng.below(bytes.len() + 1);
    let some = rng.below(16).min(bytes.len() - at);
    match rng.below(11) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << rng.below(8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = rng.byte();
            }
        }
        2 => {
            let new: Vec<u8> = (0..=rng.below(8)).map(|_| rng.byte()).collect();
            bytes.splice(at..at, new);
        }
        3 => {
            bytes.drain(at..at + some);
        }
        4 => bytes.truncate(at),
        5 => {
            let twice = bytes[at..at + some].to_vec();
            bytes.splice(at..at, twice);
        }
        // The front of this and the back of another, at the same place or anywhere.
        6 => {
            let other = rng.pick(samples);
            let from = if rng.once_in(2) { at.min(other.len()) } else { rng.below(other.len() + 1) };
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        // A stretch of another over this.
        7 => {
            let other = rng.pick(samples);
            let from = at.min(other.len());
            let length = rng.below(64).min(other.len() - from).min(bytes.len() - at);
            bytes[at..at + length].copy_from_slice(&other[from..from + length]);
        }
        8 => {
            let width = *rng.pick(&[1, 2, 4, 8]);
            let extreme = rng.pick(&EXTREMES).to_le_bytes();
            for (byte, new) in bytes[at..].iter_mut().zip(&extreme[..width]) {
                *byte = *new;
            }
        }
        9 => {
            let varint = *rng.pick(&VARINTS);
            let over = if rng.once_in(2) { 1.min(bytes.len() - at) } else { varint.len().min(bytes.len() - at) };
            bytes.splice(at..at + over, varint.iter().copied());
        }
        _ => {
            let to = rng.below(bytes.len() + 1);
            if at < bytes.len() && to < bytes.len() {
                bytes.swap(at, to);
            }
        }
    }
}
