//! The contract of [`provider`](crate::provider) as tests that every provider passes.
//!
//! A provider implements [`Fixture`] and calls [`run`]. Every check builds its own ledger.

use std::future::Future;
use std::time::Duration;

use crate::{Batch, Error, Hash, Head, Kind, PartitionId, Provider, Reader, Record, Writer};

const P: PartitionId = PartitionId(0);

/// How stored records are damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The last record loses its second half, and nothing follows: a torn write.
    TearLast,
    /// One byte in the body of record `index` changes.
    FlipByte {
        /// Which record.
        index: u64,
    },
    /// Everything from record `index` on is gone.
    CutFrom {
        /// Which record.
        index: u64,
    },
    /// The partition is gone.
    RemovePartition,
}

/// One ledger of two partitions in some provider, and what can happen to it.
pub trait Fixture: Send {
    /// The provider.
    type Provider: Provider;

    /// A new empty ledger, closed.
    fn create() -> impl Future<Output = Self> + Send;
    /// Opens it.
    fn open(&mut self) -> impl Future<Output = Result<Self::Provider, Error>> + Send;
    /// The ledger as it would be found had the power failed at this moment. The old one may go on existing.
    fn crash(&mut self) -> impl Future<Output = Self> + Send;
    /// Damages partition 0 of the closed ledger.
    fn damage(&mut self, damage: Damage) -> impl Future<Output = ()> + Send;
    /// Bytes stored for partition 0, to show that nothing was written.
    fn stored(&mut self) -> impl Future<Output = Vec<u8>> + Send;
}

/// Runs every check.
pub async fn run<F: Fixture>() {
    order_without_gaps::<F>().await;
    acknowledged_survives_a_crash::<F>().await;
    torn_tail_is_cut::<F>().await;
    corruption_is_named_and_kept::<F>().await;
    second_claim_deposes_the_first::<F>().await;
    reader_from_any_index::<F>().await;
    reader_waits::<F>().await;
    confirm_compares::<F>().await;
    missing_and_shorter_are_refused::<F>().await;
    bad_batches_are_refused_and_harmless::<F>().await;
}

/// Given a writer, when batches are submitted several at a time, then each is acknowledged once, in order, and read
/// back as it was given.
pub async fn order_without_gaps<F: Fixture>() {
    let mut fixture = F::create().await;
    let journal = open(&mut fixture).await;
    let mut writer = claim(&journal).await;
    assert_eq!(writer.head().index, 1, "a claim follows genesis");
    for n in 0..20 {
        assert_eq!(writer.next_index(), n + 2);
        assert_eq!(submit(&mut writer, n).await, n + 2);
    }
    for n in 0..20 {
        let head = acked(&mut writer).await;
        assert_eq!((head.index, head), (n + 2, writer.head()));
    }
    let records = records(&journal, 0).await;
    assert_eq!(records.len(), 22);
    assert_eq!((records[0].kind(), records[1].kind()), (Kind::Genesis, Kind::Claim));
    for (n, record) in records.iter().enumerate() {
        assert_eq!(record.index(), n as u64);
        assert_eq!(journal.read(P, n as u64).await.expect("a durable record"), *record);
    }
    for (n, record) in records[2..].iter().enumerate() {
        let entries: Vec<&[u8]> = record.entries().collect();
        assert_eq!(entries, [entry(n as u64), b"".to_vec()]);
    }
    assert_eq!(records[21].head(), writer.head());
    assert_eq!(journal.head(P).await.expect("a head"), writer.head());
    assert_eq!(journal.head(PartitionId(1)).await.expect("a head").index, 0, "the other partition is untouched");
}

/// Given acknowledged records, when the power fails, then all of them are there and the next claim extends them.
pub async fn acknowledged_survives_a_crash<F: Fixture>() {
    let mut fixture = F::create().await;
    let journal = open(&mut fixture).await;
    let head = write(&journal, 5).await;
    let mut crashed = fixture.crash().await;
    let journal = open(&mut crashed).await;
    journal.confirm(P, head.index, head.hash).await.expect("what was acknowledged");
    let writer = claim(&journal).await;
    assert_eq!(writer.head().index, head.index + 1);
    assert_eq!(writer.head().term, head.term + 1);
}

/// Given a torn last record, when the ledger is opened and claimed, then it is gone and the log goes on from there.
pub async fn torn_tail_is_cut<F: Fixture>() {
    let mut fixture = F::create().await;
    let head = write(&open(&mut fixture).await, 5).await;
    fixture.damage(Damage::TearLast).await;
    let journal = open(&mut fixture).await;
    assert_eq!(journal.head(P).await.expect("a head").index, head.index - 1);
    let writer = claim(&journal).await;
    assert_eq!(writer.head().index, head.index);
    drop(writer);
    assert_eq!(records(&journal, 0).await.len() as u64, head.index + 1);
}

/// Given a damaged record that others follow, when the ledger is opened and read, then partition and index are named,
/// and nothing is written.
pub async fn corruption_is_named_and_kept<F: Fixture>() {
    let mut fixture = F::create().await;
    write(&open(&mut fixture).await, 5).await;
    fixture.damage(Damage::FlipByte { index: 3 }).await;
    let before = fixture.stored().await;
    let found = async {
        let journal = fixture.open().await?;
        let mut reader = journal.reader(P, 0).await?;
        while reader.try_next().await?.is_some() {}
        Ok::<_, Error>(())
    }
    .await;
    assert!(matches!(found, Err(Error::Corrupt { partition: P, index: 3, .. })), "{found:?}");
    assert!(before == fixture.stored().await, "damage is never written over");
}

/// Given two claims, when the first writer goes on, then nothing of it counts; the second writes.
pub async fn second_claim_deposes_the_first<F: Fixture>() {
    let mut fixture = F::create().await;
    let journal = open(&mut fixture).await;
    let mut first = claim(&journal).await;
    submit(&mut first, 1).await;
    acked(&mut first).await;
    let mut second = claim(&journal).await;
    assert!(second.head().term > first.head().term);
    let refused = async {
        first.submit(batch(2)).await?;
        first.acked().await
    }
    .await;
    assert!(matches!(refused, Err(Error::Deposed(P))), "{refused:?}");
    assert!(matches!(first.submit(batch(2)).await, Err(Error::Deposed(P))), "and stays deposed");
    submit(&mut second, 3).await;
    let head = acked(&mut second).await;
    let records = records(&journal, 0).await;
    assert_eq!(records.last().map(Record::head), Some(head));
    assert!(records.iter().all(|record| record.entry(0) != Some(&entry(2))));
}

/// Given records, when a reader starts at any index, then it sees all from there; beyond the end is an error.
pub async fn reader_from_any_index<F: Fixture>() {
    let mut fixture = F::create().await;
    write(&open(&mut fixture).await, 70).await;
    let journal = open(&mut fixture).await;
    let all = records(&journal, 0).await;
    for from in 0..all.len() {
        assert_eq!(records(&journal, from as u64).await, all[from..]);
    }
    assert!(records(&journal, all.len() as u64).await.is_empty());
    let beyond = journal.reader(P, all.len() as u64 + 1).await;
    assert!(matches!(beyond, Err(Error::Shorter { .. })));
}

/// Given a reader at the end, when a record becomes durable, then it is woken; giving up waiting loses nothing.
pub async fn reader_waits<F: Fixture>() {
    let mut fixture = F::create().await;
    let journal = open(&mut fixture).await;
    let mut writer = claim(&journal).await;
    let mut reader = journal.reader(P, 2).await.expect("a reader");
    assert!(tokio::time::timeout(Duration::from_millis(10), reader.next()).await.is_err(), "nothing is there");
    let (record, ()) = tokio::join!(reader.next(), async {
        submit(&mut writer, 1).await;
    });
    assert_eq!(record.expect("a record").index(), 2);
    assert_eq!(acked(&mut writer).await.index, 2);
}

/// Given checkpoints, when they are confirmed, then only what the journal holds passes.
pub async fn confirm_compares<F: Fixture>() {
    let mut fixture = F::create().await;
    let journal = open(&mut fixture).await;
    let head = write(&journal, 3).await;
    journal.confirm(P, head.index, head.hash).await.expect("the head");
    let other = journal.confirm(P, head.index, Hash([7; 32])).await;
    assert!(matches!(other, Err(Error::Mismatch { index, .. }) if index == head.index));
    let beyond = journal.confirm(P, head.index + 1, head.hash).await;
    assert!(matches!(beyond, Err(Error::Shorter { .. })));
    let nowhere = journal.confirm(PartitionId(2), 0, head.hash).await;
    assert!(matches!(nowhere, Err(Error::UnknownPartition(PartitionId(2)))));
}

/// Given a signed head, when the journal no longer reaches it or the partition is gone, then opening says so, and does
/// not start afresh.
pub async fn missing_and_shorter_are_refused<F: Fixture>() {
    let mut fixture = F::create().await;
    {
        let journal = open(&mut fixture).await;
        let mut writer = claim(&journal).await;
        submit(&mut writer, 1).await;
        acked(&mut writer).await;
        let signed = writer.sign_head().await.expect("a signature");
        assert_eq!(signed.head, writer.head());
    }
    fixture.damage(Damage::CutFrom { index: 2 }).await;
    let shorter = fixture.open().await.err();
    assert!(matches!(shorter, Some(Error::Shorter { index: 2, next: 2, .. })), "{shorter:?}");
    fixture.damage(Damage::RemovePartition).await;
    let missing = fixture.open().await.err();
    assert!(matches!(missing, Some(Error::Missing { .. })), "{missing:?}");
}

/// Given a writer, when a batch is empty or goes back in time, then it is refused and the writer lives.
pub async fn bad_batches_are_refused_and_harmless<F: Fixture>() {
    let mut fixture = F::create().await;
    let journal = open(&mut fixture).await;
    let mut writer = claim(&journal).await;
    submit(&mut writer, 9).await;
    assert!(matches!(writer.submit(Batch::new()).await, Err(Error::EmptyBatch)));
    assert!(matches!(writer.submit(batch(8)).await, Err(Error::TimeBack { .. })));
    submit(&mut writer, 9).await;
    acked(&mut writer).await;
    assert_eq!(acked(&mut writer).await.index, 3);
}

fn entry(n: u64) -> Vec<u8> {
    format!("entry {n}").into_bytes()
}

/// An entry that tells `n`, at time `n`, and an empty one.
fn batch(n: u64) -> Batch {
    let mut batch = Batch::new();
    batch.push(n, &entry(n)).expect("a small entry");
    batch.push(n, b"").expect("an empty entry");
    batch
}

async fn open<F: Fixture>(fixture: &mut F) -> F::Provider {
    fixture.open().await.expect("an intact ledger")
}

async fn claim<P: Provider>(journal: &P) -> P::Writer {
    journal.claim(P).await.expect("a claim")
}

async fn submit(writer: &mut impl Writer, n: u64) -> u64 {
    writer.submit(batch(n)).await.expect("a batch taken")
}

async fn acked(writer: &mut impl Writer) -> Head {
    writer.acked().await.expect("an acknowledgement")
}

/// Claims, writes `count` records one by one, and closes the writer.
async fn write(journal: &impl Provider, count: u64) -> Head {
    let mut writer = claim(journal).await;
    for n in 0..count {
        submit(&mut writer, n).await;
        acked(&mut writer).await;
    }
    writer.head()
}

async fn records(journal: &impl Provider, from: u64) -> Vec<Record> {
    let mut reader = journal.reader(P, from).await.expect("a reader");
    let mut records = Vec::new();
    while let Some(record) = reader.try_next().await.expect("sound records") {
        records.push(record);
    }
    records
}
