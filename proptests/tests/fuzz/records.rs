//! Records of the journal, damaged, and re-sealed so that their checksum fits again.

use florin_journal::{Chain, HEADER_BYTES, Hash, Loose, PartitionId, RECORD_BYTES_MAX, header::Header, merkle};
use florin_proptests::fuzz::{Rng, Target, bytes};

use crate::{
    INPUTS,
    bounds::{alone, bounded},
    samples::{self, Journal},
};

/// A chain up to before each record.
fn chains(journal: &Journal) -> Vec<Chain> {
    let mut chain = Chain::new(journal.head.ledger, PartitionId(0));
    let mut chains = vec![];
    for record in &journal.records {
        chains.push(chain.clone());
        chain.push(samples::loose(record)).unwrap();
    }
    chains
}

/// The record's own checks, then those of its place: nothing but itself is taken for a record of the chain.
fn check(journal: &Journal, chains: &[Chain], input: &[u8]) -> bool {
    let Ok(read) = bounded(input.len(), || Loose::decode(input.to_vec())) else { return false };
    assert!(input.len() <= RECORD_BYTES_MAX);
    assert_eq!(read.bytes(), input, "a record is its bytes");
    assert_eq!(read.entries().count(), read.len(), "as many entries as it says");
    let mut header = [0; HEADER_BYTES];
    assert_eq!(read.header().encode(&mut header), read.hash(), "the hash is the header's");
    assert_eq!(header, input[..HEADER_BYTES], "a header has one form");
    for (chain, record) in chains.iter().zip(&journal.records) {
        let mut chain = chain.clone();
        if let Ok(placed) = chain.push(read.clone()) {
            let same = record.bytes() == input;
            assert_eq!(placed.head() == record.head(), same, "a head is of one history");
            assert_eq!(placed.hash() == record.hash(), same, "a hash is of one record");
        }
    }
    true
}

/// The header made to fit the body, and the checksum to fit the header, as who forges would do.
fn seal(rng: &mut Rng, record: &mut [u8]) {
    let Some((_, body)) = record.split_at_checked(HEADER_BYTES) else { return };
    let count = u32::from_le_bytes(record[180..184].try_into().unwrap());
    let root = merkle::root(body, count).ok().filter(|_| !rng.once_in(4));
    let length = u32::try_from(body.len()).unwrap();
    if rng.once_in(2) {
        record[184..188].copy_from_slice(&length.to_le_bytes());
    }
    if let Some(root) = root {
        record[188..220].copy_from_slice(&root.0);
    }
    let context =
        if record[10] == 2 { florin_journal::hash::context::CLAIM } else { florin_journal::hash::context::RECORD };
    let hash = Hash(*blake3::keyed_hash(&blake3::derive_key(context, b""), &record[..HEADER_BYTES - 8]).as_bytes());
    record[HEADER_BYTES - 8..HEADER_BYTES].copy_from_slice(&hash.0[..8]);
}

#[test]
fn damaged_records_are_refused() {
    let _alone = alone();
    let journal = Journal::write();
    let (chains, samples) = (chains(&journal), journal.stored());
    Target { name: "records", inputs: INPUTS, rounds: 20_000 }.run(
        |rng| bytes::mutate(rng, &samples),
        |input| {
            let whole = samples.iter().any(|sample| sample == input);
            assert_eq!(check(&journal, &chains, input), whole, "only what was written is read");
        },
    );
}

#[test]
fn resealed_records_are_refused_or_are_others() {
    let _alone = alone();
    let journal = Journal::write();
    let (chains, samples) = (chains(&journal), journal.stored());
    let mut read = 0;
    Target { name: "sealed-records", inputs: INPUTS, rounds: 20_000 }.run(
        |rng| {
            let mut input = bytes::mutate(rng, &samples);
            // Half of them changed in the header's fields, which are few of the bytes of a record.
            if rng.once_in(2) {
                input.clone_from(rng.pick(&samples));
                let mut header = input[..HEADER_BYTES].to_vec();
                bytes::change(rng, &mut header, &samples);
                header.resize(HEADER_BYTES, 0);
                input[..HEADER_BYTES].copy_from_slice(&header);
            }
            seal(rng, &mut input);
            input
        },
        |input| read += u32::from(check(&journal, &chains, input)),
    );
    assert!(read > 500, "a seal gets them past the checksum: {read}");
}

#[test]
fn headers_of_any_bytes_cost_nothing() {
    let _alone = alone();
    Target { name: "headers", inputs: INPUTS, rounds: 5_000 }.run(
        |rng| {
            let mut header = vec![0; HEADER_BYTES + rng.below(64)];
            for byte in &mut header {
                *byte = if rng.once_in(2) { 0xFF } else { rng.byte() };
            }
            header[..10].copy_from_slice(b"FLORINJ\n\x01\0");
            header[10] = 1 + rng.byte() % 3;
            header[11] = 0;
            header[14..16].fill(0);
            seal(rng, &mut header);
            header
        },
        |input| {
            if let Ok((header, _)) = bounded(input.len(), || Header::decode(input)) {
                assert!(header.record_bytes() <= RECORD_BYTES_MAX);
            }
            let _ = bounded(input.len(), || Loose::decode(input.to_vec()));
        },
    );
}
