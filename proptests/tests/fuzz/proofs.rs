//! Proofs and signed heads, which go by mail and come back from anywhere.

use florin_journal::{HEADER_BYTES, Hash, SignedHead, proof::EntryProof};
use florin_proptests::fuzz::{Rng, Target, bytes, json};
use serde_json::Value;

use crate::{
    INPUTS,
    bounds::{alone, bounded},
    samples::{self, Journal},
};

fn hashes(rng: &mut Rng, of: &mut Vec<Hash>, others: &[Hash]) {
    match rng.below(5) {
        0 => {
            of.pop();
        }
        1 => of.push(*rng.pick(others)),
        2 if of.len() > 1 => of.swap(0, 1),
        3 => of.resize(*rng.pick(&[0, 1, 63, 64, 65, 1_000]), *rng.pick(others)),
        _ => {
            let at = rng.below(of.len());
            if let Some(hash) = of.get_mut(at) {
                hash.0[rng.below(32)] ^= 1 << rng.below(8);
            }
        }
    }
}

#[test]
fn a_changed_proof_proves_nothing() {
    let _alone = alone();
    let journal = Journal::write();
    let (proofs, range) = (journal.proofs(), journal.range());
    let others: Vec<Hash> =
        proofs.iter().flat_map(|(proof, _)| [&proof.path[..], &proof.climb, &proof.peaks].concat()).collect();
    let headers: Vec<Vec<u8>> = proofs.iter().map(|(proof, _)| proof.header.to_vec()).collect();
    for (proof, entry) in &proofs {
        proof.verify(entry, range).unwrap();
    }
    let numbers = [0, 1, 2, 7, 8, 9, 63, 64, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, u64::MAX];
    let target = Target { name: "proofs", inputs: INPUTS, rounds: 10_000 };
    target.rounds(|n, rng| {
        let (proof, entry) = rng.pick(&proofs);
        let (mut changed, mut other): (EntryProof, _) = (proof.clone(), entry.clone());
        for _ in 0..=rng.below(3) {
            match rng.below(7) {
                0 => changed.entry = u32::try_from(*rng.pick(&numbers) & 0xFFFF_FFFF).unwrap(),
                1 => changed.count = *rng.pick(&numbers),
                2 => hashes(rng, &mut changed.path, &others),
                3 => hashes(rng, &mut changed.climb, &others),
                4 => hashes(rng, &mut changed.peaks, &others),
                5 => {
                    let mut header = changed.header.to_vec();
                    bytes::change(rng, &mut header, &headers);
                    header.resize(HEADER_BYTES, 0);
                    changed.header.copy_from_slice(&header);
                }
                _ => bytes::change(rng, &mut other, std::slice::from_ref(entry)),
            }
        }
        let size = 32 * (changed.path.len() + changed.climb.len() + changed.peaks.len()) + other.len();
        let proven = bounded(size, || changed.verify(&other, range)).is_ok();
        // Two of the proofs may be spliced into one another; that is then the other's proof.
        let sound = proofs.iter().any(|(proof, entry)| *proof == changed && *entry == other);
        assert_eq!(proven, sound, "round {n}: {changed:?}");
    });
}

/// What is read from a changed head is another head, and then nobody signed it.
fn head(original: &SignedHead, text: &str) {
    let Some(read) = bounded(text.len(), || SignedHead::from_json(text)) else { return };
    assert_eq!(SignedHead::from_json(&read.to_json()), Some(read), "what is read is written back alike");
    let verifies = read.verify(&samples::key().verifying_key());
    assert_eq!(verifies, read == *original, "only what was signed verifies: {text}");
    // Fields that are not of a head may be as deep as they like; they are passed over.
    if let (true, Ok(sent)) = (read == *original, serde_json::from_str::<Value>(text)) {
        let known: Value = serde_json::from_str(&original.to_json()).unwrap();
        for (name, value) in known.as_object().unwrap() {
            assert_eq!(sent[name], *value, "a head has one spelling: {text}");
        }
    }
}

#[test]
fn a_changed_head_is_not_signed() {
    let _alone = alone();
    let journal = Journal::write();
    let line = journal.head.to_json();
    let value: Value = serde_json::from_str(&line).unwrap();
    Target { name: "heads", inputs: INPUTS, rounds: 4_000 }.run(
        |rng| {
            if rng.once_in(2) {
                return json::mutate(rng, &value).into_bytes();
            }
            // A digit of a hash, or whatever stands there.
            let mut text = line.clone().into_bytes();
            let at = rng.below(text.len());
            text[at] = *rng.pick(b"+- 0aAfFxX\"\\.");
            text
        },
        |input| {
            if let Ok(text) = std::str::from_utf8(input) {
                head(&journal.head, text);
            }
        },
    );
    // Whatever the zeros are, in each of their places.
    for (at, _) in line.match_indices('0') {
        for with in ['+', '-', ' ', 'O'] {
            let mut text = line.clone();
            text.replace_range(at..=at, &with.to_string());
            head(&journal.head, &text);
        }
    }
}
