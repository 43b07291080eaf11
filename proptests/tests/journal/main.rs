//! Properties of a journal on disk: what was written is read, and no change of it goes unseen: a flipped bit, a record cut out,
//! two that change places, one of another history with a sound checksum.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use florin_journal::{
    Batch, Chain, Corruption, PartitionId, Provider, Reader, SigningKey, Writer, embedded::Embedded, verify_record,
};
use proptest::prelude::*;

const P: PartitionId = PartitionId(0);

/// How many cases each property runs: few by default, more by `PROPTEST_CASES`.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24)
}

fn open(dir: &Path) -> Embedded {
    Embedded::open(dir, SigningKey::from_bytes(&[7; 32])).unwrap()
}

/// Appends records of entries, each an hour after the one before.
async fn append(dir: &Path, records: &[Vec<Vec<u8>>], hour: u64) {
    let journal = open(dir);
    let mut writer = journal.claim(P).await.unwrap();
    for (n, entries) in (hour..).zip(records) {
        let mut batch = Batch::new();
        for entry in entries {
            batch.push(n * 3_600_000, entry).unwrap();
        }
        writer.submit(batch).await.unwrap();
        writer.acked().await.unwrap();
    }
}

/// The bytes of every record, and all entries.
async fn read(dir: &Path) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut reader = open(dir).reader(P, 0).await.unwrap();
    let (mut records, mut entries) = (vec![], vec![]);
    while let Some(record) = reader.try_next().await.unwrap() {
        if record.kind() == florin_journal::header::Kind::Entries {
            entries.extend(record.entries().map(<[u8]>::to_vec));
        }
        records.push(record.bytes().to_vec());
    }
    (records, entries)
}

/// Reads records in their order, each as the next of the chain; the first that is not says why.
fn verdict<'a>(chain: &Chain, records: impl IntoIterator<Item = &'a Vec<u8>>) -> Result<(), Corruption> {
    let mut chain = chain.clone();
    records.into_iter().try_for_each(|bytes| verify_record(bytes).and_then(|record| chain.push(record)).map(drop))
}

fn copied(from: &Path, to: &Path) {
    for item in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(item.file_name());
        if item.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&to).unwrap();
            copied(&item.path(), &to);
        } else {
            std::fs::copy(item.path(), to).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn no_change_goes_unseen(
        history in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..4), 2..6),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_u8..8), 1..200),
        place in any::<prop::sample::Index>(),
        length in any::<prop::sample::Index>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Embedded::create(dir.path(), 1, SigningKey::from_bytes(&[7; 32])).unwrap().id;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // The same ledger with two histories that part after the first record.
        let fork = tempfile::tempdir().unwrap();
        runtime.block_on(append(dir.path(), &history[..1], 1));
        copied(dir.path(), fork.path());
        runtime.block_on(append(dir.path(), &history[1..], 2));
        let others: Vec<Vec<Vec<u8>>> = history[1..].iter().map(|_| vec![b"another history".to_vec()]).collect();
        runtime.block_on(append(fork.path(), &others, 2));
        let (records, entries) = runtime.block_on(read(dir.path()));
        let (forged, _) = runtime.block_on(read(fork.path()));

        let chain = Chain::new(ledger, P);
        prop_assert_eq!(entries, history.concat(), "what was written is read");
        prop_assert_eq!(verdict(&chain, &records), Ok(()), "an intact journal is sound");
        prop_assert_eq!(verdict(&chain, &forged), Ok(()), "and so is the other, by itself");
        for (record, byte, bit) in flips {
            let mut changed = records.clone();
            let record = record.get_mut(&mut changed);
            let at = byte.index(record.len());
            record[at] ^= 1 << bit;
            prop_assert!(verdict(&chain, &changed).is_err(), "bit {bit} of byte {at} is another, and nobody sees it");
        }
        // All but the last: that a tail is cut shows only to who kept a head.
        let at = place.index(records.len() - 1);
        let without: Vec<_> = records.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, bytes)| bytes).collect();
        prop_assert!(verdict(&chain, without).is_err(), "record {at} is cut out, and nobody sees it");
        let mut swapped = records.clone();
        swapped.swap(at, at + 1);
        prop_assert!(verdict(&chain, &swapped).is_err(), "two records change places, and nobody sees it");
        // Genesis, the claim, the first record and the second claim come before the histories part.
        let at = 4 + place.index(history.len() - 1);
        let mut spliced = records.clone();
        spliced[at] = forged[at].clone();
        prop_assert!(
            verdict(&chain, &spliced).is_err(),
            "record {at} is one of another history, and nobody sees it"
        );
        let record = length.get(&records);
        let cut = length.index(record.len());
        prop_assert!(verify_record(&record[..cut]).is_err(), "a record is cut short, and nobody sees it");
    }
}
