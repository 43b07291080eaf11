//! Export files: what a restore reads may come from anywhere.

use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
};

use florin_journal::export::{self, TRAILER};
use florin_proptests::fuzz::{Rng, Target, bytes, json};
use serde_json::Value;

use crate::{
    INPUTS,
    bounds::{alone, bounded},
    samples::{self, Journal},
};

/// Records and trailer of an export.
fn parts(file: &[u8]) -> (&[u8], Value) {
    let end = file.len() - 12;
    let length = u32::from_le_bytes(file[end..end + 4].try_into().unwrap()) as usize;
    (&file[..end - length - 8], serde_json::from_slice(&file[end - length..end]).unwrap())
}

fn join(records: &[u8], trailer: &[u8]) -> Vec<u8> {
    let length = u32::try_from(trailer.len()).unwrap().to_le_bytes();
    [records, &TRAILER, trailer, &length, &TRAILER].concat()
}

/// An export with other records or another trailer, and often with the hash and length that fit.
fn forge(rng: &mut Rng, samples: &[Vec<u8>]) -> Vec<u8> {
    let (records, mut trailer) = parts(rng.pick::<Vec<u8>>(samples));
    let mut records = records.to_vec();
    if rng.once_in(2) {
        bytes::change(rng, &mut records, samples);
    }
    if !rng.once_in(4) {
        trailer["bytes"] = records.len().into();
        trailer["blake3"] = blake3::hash(&records).to_hex().as_str().into();
    }
    let text = if rng.once_in(2) { json::mutate(rng, &trailer) } else { trailer.to_string() };
    join(&records, text.as_bytes())
}

fn samples(journal: &Journal) -> Vec<Vec<u8>> {
    let export = |from| {
        let mut file = vec![];
        journal.runtime.block_on(export::write(&journal.provider, |_| from, &mut file, |_| ())).unwrap();
        file
    };
    vec![export(0), export(2)]
}

#[test]
fn only_what_was_exported_is_read() {
    let _alone = alone();
    let journal = Journal::write();
    let samples = samples(&journal);
    let mut read = 0;
    Target { name: "exports", inputs: INPUTS, rounds: 3_000 }.run(
        |rng| {
            if rng.once_in(3) {
                return bytes::mutate(rng, &samples);
            }
            forge(rng, &samples)
        },
        |input| {
            let mut file: File = tempfile::tempfile().unwrap();
            file.write_all(input).unwrap();
            file.seek(SeekFrom::Start(0)).unwrap();
            let mut records = vec![];
            let contents = bounded(input.len(), || {
                export::read(&mut file, |record| {
                    records.extend_from_slice(record.bytes());
                    Ok::<_, export::Error>(())
                })
            });
            let Ok(contents) = contents else { return };
            read += 1;
            assert!(input.starts_with(&records), "the records of the file");
            for (span, partition) in contents.partitions.iter().zip(0..) {
                assert!(partition < samples::PARTITIONS, "as many partitions as genesis says");
                assert_eq!(span.before.is_none(), span.from == 0, "before the first there is nothing");
            }
            if let Some(known) = samples.iter().find(|sample| parts(sample).0 == records) {
                assert!(input == known, "an export has one spelling: {}", parts(input).1);
            }
        },
    );
    assert!(read > 10, "some are sound: {read}");
}
