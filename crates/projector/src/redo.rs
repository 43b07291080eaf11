//! Batches that come to be as a whole, and keep no reader out.
//!
//! The store has atomic batches of its own, but while it applies one no read goes on in the whole process, and whoever was to
//! serve a request stands still. So a batch is first put down as a whole in a tree beside the rows, under its partition; then
//! its writes are made one by one, the batch's checkpoint last. The store keeps what one thread writes in order, so a crash
//! leaves a beginning of that: either the batch beside is not whole, and none of it is among the rows; or it is, and the next
//! opening makes all of its writes again.
//!
//! A batch here is all that a partition brings to the store in one go; until it is there, readers find its rows in memory.

use std::time::Instant;

use crate::{
    Error,
    key::Key,
    pace::Pace,
    row::{self, Row},
};

/// Bytes of a batch that are put down in one value; the store keeps larger ones in files of their own.
const PIECE_BYTES: usize = 64 << 10;
/// Before each piece: which batch it is of (the record and the entry in it that come next: 8 and 4 bytes), and of how many pieces that is (4).
const NAME_BYTES: usize = 16;
/// In the place of a value's length: the key is removed.
const REMOVED: u32 = u32::MAX;

/// Writes in the order in which they are made: the key's length (1 byte), the key, the value's length (4) or [`REMOVED`], the value.
#[derive(Default)]
pub(crate) struct Writes(Vec<u8>);

impl Writes {
    fn key(&mut self, key: &[u8]) {
        // A key has less than 256 bytes.
        self.0.push(u8::try_from(key.len()).unwrap_or(u8::MAX));
        self.0.extend_from_slice(key);
    }

    /// Writes a row.
    pub(crate) fn put<R: Row>(&mut self, key: Key, row: &R) -> Result<(), Error> {
        self.key(key.as_slice());
        let at = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        row::append(row, &mut self.0)?;
        let length = u32::try_from(self.0.len() - at - 4).unwrap_or(REMOVED);
        self.0[at..at + 4].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }

    /// Writes an index entry.
    pub(crate) fn point(&mut self, key: Key, id: [u8; 16]) {
        self.key(key.as_slice());
        self.0.extend_from_slice(&16_u32.to_le_bytes());
        self.0.extend_from_slice(&id);
    }

    /// Writes a value that is encoded already.
    pub(crate) fn put_stored(&mut self, key: Key, value: &[u8]) {
        self.key(key.as_slice());
        let length = u32::try_from(value.len()).unwrap_or(REMOVED);
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(value);
    }

    pub(crate) fn remove(&mut self, key: Key) {
        self.key(key.as_slice());
        self.0.extend_from_slice(&REMOVED.to_le_bytes());
    }

    /// The writes in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Result<Write<'_>, Error>> {
        writes(&self.0).map(|write| write.ok_or_else(damaged))
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Moves the writes of `after` behind these.
    pub(crate) fn append(&mut self, after: &mut Self) {
        self.0.append(&mut after.0);
    }
}

/// A key, and the value that it gets; `None`: it is removed.
pub(crate) type Write<'a> = (&'a [u8], Option<&'a [u8]>);

/// The writes in some bytes; `None` at the end for bytes that are none.
fn writes(bytes: &[u8]) -> impl Iterator<Item = Option<Write<'_>>> {
    fn next<'a>(bytes: &mut &'a [u8]) -> Option<Write<'a>> {
        let (length, rest) = bytes.split_first()?;
        let (key, rest) = rest.split_at_checked(usize::from(*length))?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (value, rest) = match u32::from_le_bytes(*length) {
            REMOVED => (None, rest),
            length => {
                let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                (Some(value), rest)
            }
        };
        *bytes = rest;
        Some((key, value))
    }
    let mut left = bytes;
    std::iter::from_fn(move || {
        if left.is_empty() {
            return None;
        }
        let write = next(&mut left);
        if write.is_none() {
            left = &[];
        }
        Some(write)
    })
}

/// Where a partition's batches are put down, and the rows they change.
#[derive(Clone)]
pub(crate) struct Redo {
    rows: sled::Tree,
    beside: sled::Tree,
    partition: u16,
}

impl Redo {
    pub(crate) fn new(rows: sled::Tree, beside: sled::Tree, partition: u16) -> Self {
        Self { rows, beside, partition }
    }

    /// Makes the writes of a batch, and leaves none of them. `next` is what follows it, by [`Checkpoint::next`](crate::checkpoint::Checkpoint::next):
    /// no two batches have it in common.
    pub(crate) fn apply(&self, (index, entries): (u64, u32), batch: &mut Writes, pace: &Pace) -> Result<(), Error> {
        let pieces = batch.0.chunks(PIECE_BYTES);
        let count = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
        for (n, piece) in (0_u32..).zip(pieces) {
            let mut value = Vec::with_capacity(NAME_BYTES + piece.len());
            value.extend_from_slice(&index.to_le_bytes());
            value.extend_from_slice(&entries.to_le_bytes());
            value.extend_from_slice(&count.to_le_bytes());
            value.extend_from_slice(piece);
            self.beside.insert(self.key(n), value)?;
        }
        self.make(&batch.0, pace)?;
        batch.0.clear();
        Ok(())
    }

    fn key(&self, piece: u32) -> [u8; 6] {
        let ([a, b], [c, d, e, f]) = (self.partition.to_be_bytes(), piece.to_be_bytes());
        [a, b, c, d, e, f]
    }

    fn make(&self, batch: &[u8], pace: &Pace) -> Result<(), Error> {
        let (begun, mut done) = (Instant::now(), 0);
        for write in writes(batch) {
            let (key, value) = write.ok_or_else(damaged)?;
            match value {
                Some(value) => self.rows.insert(key, value)?,
                None => self.rows.remove(key)?,
            };
            done += key.len() + value.map_or(0, <[u8]>::len);
            pace.keep(begun, done, batch.len());
        }
        Ok(())
    }

    /// Makes the writes of the last batch again if a crash came between them.
    pub(crate) fn recover(&self) -> Result<(), Error> {
        let Some(batch) = self.last()? else { return Ok(()) };
        // The checkpoint, which only this partition's batches write, and each as its last.
        let Some(Some((key, Some(checkpoint)))) = writes(&batch).last() else { return Err(damaged()) };
        if self.rows.get(key)?.is_some_and(|stored| stored == checkpoint) {
            return Ok(());
        }
        tracing::info!(partition = self.partition, "the views' last batch was cut off: making it again");
        self.make(&batch, &Pace::default())
    }

    /// The last batch that is beside the rows as a whole.
    fn last(&self) -> Result<Option<Vec<u8>>, Error> {
        let (mut batch, mut all) = (Vec::new(), None);
        for n in 0_u32.. {
            if all.is_some_and(|(_, count)| n == count) {
                return Ok(Some(batch));
            }
            let Some(value) = self.beside.get(self.key(n))? else { break };
            let (name, piece) = value.split_first_chunk::<NAME_BYTES>().ok_or_else(damaged)?;
            let [.., a, b, c, d] = *name;
            let this = (*name, u32::from_le_bytes([a, b, c, d]));
            // A piece of the batch before, where this one was cut off.
            if *all.get_or_insert(this) != this {
                break;
            }
            batch.extend_from_slice(piece);
        }
        Ok(None)
    }
}

fn damaged() -> Error {
    Error::Damaged { table: "batches", source: postcard::Error::DeserializeUnexpectedEnd }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        key::Table,
        ledger::{LedgerKind, LedgerRow},
    };
    use florin_engine::money::Asset;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn key(n: u64) -> Key {
        Key::of(Table::History).u64(n)
    }

    fn row(n: i128) -> LedgerRow {
        LedgerRow { debits: n, ..LedgerRow::default() }
    }

    fn ledger(kind: LedgerKind) -> Key {
        crate::ledger::key(0, kind, Asset::USD)
    }

    /// A batch of so many rows and one removal, its checkpoint last.
    fn batch(n: u64) -> Writes {
        let mut batch = Writes::default();
        for of in 0..n {
            batch.put(key(of), &row(i128::from(n))).expect("encodes");
        }
        batch.remove(key(9_999));
        batch.point(ledger(LedgerKind::Wallets), [u8::try_from(n % 251).expect("small"); 16]);
        batch
    }

    fn trees() -> (sled::Tree, sled::Tree) {
        let db = sled::Config::new().temporary(true).open().expect("a store");
        (db.open_tree("rows").expect("a tree"), db.open_tree("beside").expect("a tree"))
    }

    fn all(rows: &sled::Tree) -> Vec<(Vec<u8>, Vec<u8>)> {
        rows.iter().map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())).expect("a row")).collect()
    }

    fn put_back(rows: &sled::Tree, before: &[(Vec<u8>, Vec<u8>)]) {
        rows.clear().expect("cleared");
        for (key, value) in before {
            rows.insert(key, value.as_slice()).expect("put back");
        }
    }

    /// A batch is written in this form, which the next version of this program may have to finish.
    #[test]
    fn the_bytes_of_a_batch() {
        let mut batch = Writes::default();
        batch.put(Key::of(Table::Meta), &row(-1)).expect("encodes");
        batch.point(Key::of(Table::CardByNumber).u8(7), [3; 16]);
        batch.remove(Key::of(Table::Hold).u16(0x0102));
        let row = [1, 0x01, 3, 0, 0, 0, 1, 0, 0].as_slice();
        let point = [&[2, 0x22, 7, 16, 0, 0, 0], [3; 16].as_slice()].concat();
        let removal = [3, 0x41, 1, 2, 0xFF, 0xFF, 0xFF, 0xFF];
        assert_eq!(batch.0, [row, &point, &removal].concat());
    }

    #[test]
    fn wherever_a_crash_comes_between_the_writes_all_or_none_are_there() {
        // Given a batch that was applied and one that takes several pieces, the second cut off after any of its writes,
        let (rows, beside) = trees();
        let redo = Redo::new(rows.clone(), beside.clone(), 7);
        redo.apply((1, 0), &mut batch(3), &Pace::default()).expect("applied");
        let before = all(&rows);
        let pieces = beside.len();
        let second = batch(9_000);
        let writes_of_second = writes(&second.0).count();
        {
            let (rows, beside) = trees();
            let redo = Redo::new(rows.clone(), beside, 7);
            redo.apply((1, 0), &mut batch(3), &Pace::default()).expect("applied");
            redo.apply((1, 5), &mut batch(9_000), &Pace::default()).expect("applied");
            assert!(redo.beside.len() > 2 && pieces == 1, "a batch of several pieces after one of one");
            redo.recover().expect("nothing to do");
            let after = all(&rows);
            for made in [0, 1, 4_711, writes_of_second - 1] {
                // the rows as they were before and the first of its writes, the whole batch beside,
                put_back(&rows, &before);
                for write in writes(&second.0).take(made) {
                    match write.expect("a write") {
                        (key, Some(value)) => rows.insert(key, value).expect("made"),
                        (key, None) => rows.remove(key).expect("made"),
                    };
                }
                // then opening makes all of them.
                redo.recover().expect("recovered");
                assert!(all(&rows) == after, "after {made} writes");
            }
            // Given only some pieces of it beside, then none of it is made.
            put_back(&rows, &before);
            redo.beside.remove(redo.key(1)).expect("removed");
            redo.recover().expect("nothing to do");
            assert!(all(&rows) == before);
        }
        // Given its first piece over the one of the batch before, neither.
        let mut first = [[1, 0, 0, 0], [0; 4], [5, 0, 0, 0], [3, 0, 0, 0]].concat();
        first.extend_from_slice(&second.0[..PIECE_BYTES]);
        beside.insert(redo.key(0), first).expect("put");
        redo.recover().expect("nothing to do");
        assert!(all(&rows) == before);
    }

    #[test]
    fn reads_go_on_while_a_batch_is_applied() {
        let (rows, beside) = trees();
        let redo = Redo::new(rows.clone(), beside, 0);
        redo.apply((1, 0), &mut batch(3), &Pace::default()).expect("applied");
        let applying = AtomicBool::new(true);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                redo.apply((1, 5), &mut batch(50_000), &Pace::default()).expect("applied");
                applying.store(false, Ordering::SeqCst);
            });
            let mut reads = 0;
            while applying.load(Ordering::SeqCst) {
                assert!(rows.get(key(1)).expect("a read").is_some());
                reads += u32::from(applying.load(Ordering::SeqCst));
            }
            // One that waited for the batch would be the last.
            assert!(reads > 100, "{reads}");
        });
    }

    #[test]
    fn pieces_of_two_batches_are_none() {
        let (rows, beside) = trees();
        let redo = Redo::new(rows.clone(), beside.clone(), 0);
        redo.apply((1, 0), &mut batch(9_000), &Pace::default()).expect("applied");
        let old = beside.get(redo.key(1)).expect("read").expect("a second piece");
        redo.apply((1, 5), &mut batch(9_001), &Pace::default()).expect("applied");
        let before = all(&rows);
        beside.insert(redo.key(1), old).expect("put");
        rows.remove(ledger(LedgerKind::Wallets)).expect("as if it had not come so far");
        redo.recover().expect("nothing to do");
        assert_eq!(all(&rows).len(), before.len() - 1, "the batch is not whole, so it is not made");
    }

    #[test]
    fn bytes_that_are_no_batch_are_damage() {
        let (rows, beside) = trees();
        let redo = Redo::new(rows, beside.clone(), 0);
        for wrong in [&[][..], &[1; 15], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 200, 1]] {
            beside.insert(redo.key(0), wrong).expect("put");
            assert!(matches!(redo.recover(), Err(Error::Damaged { .. })), "{wrong:?}");
        }
    }
}
