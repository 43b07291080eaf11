//! How the lines of a statement are stored: in chunks, since the store is slow at new keys and fast at known ones.
//!
//! A chunk holds the lines of up to [`LINES_MAX`]. The newest of a statement is open: it takes what is added, and lies with the
//! row of its card or wallet, which changes with each line. Once full it is written under its first place, where
//! it changes only if a line of it is replaced; as later places sort first, the chunk of a place is the first key from the
//! place's own on. How a chunk's lines are written: `lines.rs`.

use std::ops::Bound;

use florin_engine::ids::transaction_id;
use foldhash::HashMap;

use crate::{
    Error,
    batch::{Keyed, Rows},
    cards::{self, CardRow},
    key::{Key, Place},
    lines::{Line, Packed},
    redo::Writes,
    row::{self, Row, WithLines},
    store::{Range, Store},
    transactions::{Cursor, Statement, TransactionRow},
    wallets::{self, WalletRow},
};

/// Lines at which a chunk is full; the lines of one place stay together.
const LINES_MAX: usize = 32;

/// The lines of one place, by part, the lowest first: the event itself (0), its fees (1 and up).
pub(crate) type Lines = Vec<(u8, TransactionRow)>;

/// A chunk that is full.
pub(crate) type Chunk = Packed;

impl Row for Chunk {
    const NAME: &'static str = "transactions";
}

impl Keyed for Chunk {
    type Id = (Statement, Place);

    fn key((statement, first): Self::Id) -> Key {
        first.append(statement.prefix())
    }
}

/// The chunks in the store from `place` on, towards the oldest.
fn from(store: &Store, statement: Statement, place: Option<Place>) -> Range {
    let prefix = statement.prefix();
    let start = place.map_or(prefix, |place| place.append(prefix));
    // 12 bytes of a key cannot all be 0xFF: position 0 holds the genesis.
    let end = prefix.bytes(&[0xFF; 12]);
    store.range((Bound::Included(start), Bound::Excluded(end)))
}

/// The chunks of a statement from the one that holds `place` on, newest first; from the newest without a place.
pub(crate) fn chunks(
    store: &Store,
    statement: Statement,
    place: Option<Place>,
) -> Result<impl Iterator<Item = Result<Chunk, Error>> + use<>, Error> {
    let open = open_of(store, statement)?.filter(|open| open.len() > 0);
    let until = open.as_ref().map(Packed::first);
    let open = open.filter(|open| place.is_none_or(|place| place >= open.first()));
    // Read after the open one, which may have been filled meanwhile: then it is here too.
    let full = from(store, statement, place).filter_map(move |pair| match pair {
        Ok((key, _)) if until.is_some_and(|until| Place::of_key(&key) >= Some(until)) => None,
        Ok((_, value)) => Some(row::decode(&value)),
        Err(error) => Some(Err(error)),
    });
    Ok(open.map(Ok).into_iter().chain(full))
}

fn open_of(store: &Store, statement: Statement) -> Result<Option<Packed>, Error> {
    fn lines<R: Row>(store: &Store, key: Key) -> Result<Option<Packed>, Error> {
        Ok(store.get(key)?.map(|value| row::decode::<WithLines<R>>(&value)).transpose()?.map(|row| row.lines))
    }
    match statement {
        Statement::Card(card) => lines::<CardRow>(store, cards::key(card)),
        Statement::Wallet(account, asset) => lines::<WalletRow>(store, wallets::key(account, asset)),
    }
}

/// The lines of a chunk, newest first, each with the cursor that stands at it.
pub(crate) fn read(
    partition: u16,
    chunk: &Chunk,
) -> Result<impl Iterator<Item = (Cursor, TransactionRow)> + use<>, Error> {
    Ok(chunk.lines().map_err(damaged)?.into_iter().rev().map(move |line| {
        let Line { place, part, row } = line;
        let id = transaction_id(partition, place.position, place.number(part));
        (Cursor { place, part }, TransactionRow { id, position: place.position, ..row })
    }))
}

/// The full chunks that a batch changes.
#[derive(Default)]
pub(crate) struct Statements {
    full: Rows<Chunk>,
    /// First places of the chunks that this batch wrote anew, which the store does not know yet.
    begun: HashMap<Statement, Vec<Place>>,
}

impl Statements {
    /// Puts the lines of a place, over those that are there; `open` is the statement's newest chunk.
    pub(crate) fn put(
        &mut self,
        store: &Store,
        open: &mut Packed,
        statement: Statement,
        place: Place,
        lines: Lines,
    ) -> Result<(), Error> {
        let mut lines = lines.into_iter().map(|(part, row)| Line { place, part, row });
        if open.len() == 0 || place > open.last() {
            if open.len() < LINES_MAX {
                return lines.try_for_each(|line| open.push(&line)).map_err(damaged);
            }
            let full = std::mem::replace(open, packed(lines)?);
            self.begin(statement, full);
            return Ok(());
        }
        if place >= open.first() {
            return replace(open, place, lines);
        }
        let begun = self.begun.get(&statement).and_then(|begun| begun.iter().filter(|first| **first <= place).max());
        let stored = first_of(store, statement, place)?;
        let chunk = match begun.copied().max(stored) {
            Some(first) => self.full.edit(store, (statement, first))?,
            None => None,
        };
        match chunk {
            Some(chunk) if place <= chunk.last() => replace(chunk, place, lines),
            Some(chunk) if chunk.len() < LINES_MAX => lines.try_for_each(|line| chunk.push(&line)).map_err(damaged),
            _ => {
                self.begin(statement, packed(lines)?);
                Ok(())
            }
        }
    }

    fn begin(&mut self, statement: Statement, chunk: Chunk) {
        let first = chunk.first();
        self.begun.entry(statement).or_default().push(first);
        self.full.put((statement, first), chunk);
    }

    /// Rows that the batch would write now.
    pub(crate) fn rows(&self) -> usize {
        self.full.rows()
    }

    /// Writes what was changed.
    pub(crate) fn write(&mut self, out: &mut Writes) -> Result<(), Error> {
        self.full.write(out)?;
        // What is full is hardly looked at again, and from now on the store knows it.
        self.full = Rows::default();
        self.begun.clear();
        Ok(())
    }
}

fn damaged(source: postcard::Error) -> Error {
    Error::Damaged { table: Chunk::NAME, source }
}

fn packed(lines: impl Iterator<Item = Line>) -> Result<Packed, Error> {
    Packed::of(lines).map_err(damaged)
}

/// Puts the lines of a place that a chunk spans, over those that are there.
fn replace(chunk: &mut Packed, place: Place, lines: impl Iterator<Item = Line>) -> Result<(), Error> {
    let mut all = chunk.lines().map_err(damaged)?;
    let from = all.partition_point(|line| line.place < place);
    let to = all.partition_point(|line| line.place <= place);
    all.splice(from..to, lines);
    *chunk = packed(all.into_iter())?;
    Ok(())
}

/// First place of the full chunk in the store that holds `place`, or would.
fn first_of(store: &Store, statement: Statement, place: Place) -> Result<Option<Place>, Error> {
    let Some(pair) = from(store, statement, Some(place)).next() else {
        return Ok(None);
    };
    Ok(Place::of_key(&pair?.0))
}

#[cfg(test)]
mod tests {
    use florin_engine::{
        ids::{AccountId, Position},
        money::{Asset, Minor},
    };

    use super::*;
    use crate::transactions::{Direction, TransactionKind};
    use crate::{pace::Pace, redo::Redo};

    const ACCOUNT: AccountId = AccountId([0; 16]);
    const STATEMENT: Statement = Statement::Wallet(ACCOUNT, Asset::USD);

    fn place(index: u64, event: u32) -> Place {
        Place { position: Position::new(index, 0), event }
    }

    fn row(amount: i64) -> TransactionRow {
        TransactionRow::new(TransactionKind::Purchase, Direction::Debit, Minor(amount), Asset::USD, 9)
    }

    fn stored() -> (Store, Redo) {
        let db = sled::Config::new().temporary(true).open().expect("a store");
        let tree = db.open_tree("views").expect("a tree");
        (Store::new(tree.clone()), Redo::new(tree, db.open_tree("batches").expect("a tree"), 0))
    }

    fn write(redo: &Redo, wallet: &WithLines<WalletRow>, statements: &mut Statements) {
        let mut batch = Writes::default();
        statements.write(&mut batch).expect("encodes");
        batch.put(wallets::key(ACCOUNT, Asset::USD), wallet).expect("encodes");
        redo.apply((1, 0), &mut batch, &Pace::default()).expect("written");
    }

    fn all(store: &Store, from: Option<Place>) -> Vec<(Cursor, i64)> {
        let chunks = chunks(store, STATEMENT, from).expect("a read").map(|chunk| chunk.expect("a read"));
        chunks.flat_map(|chunk| read(0, &chunk).expect("decodes")).map(|(at, row)| (at, row.amount.0)).collect()
    }

    #[test]
    fn lines_read_back_newest_first_with_their_ids() {
        let line = |part| Line { place: place(3, 1), part, row: row(5) };
        let stored = Packed::of([line(0), line(2)]).expect("packs");
        let back: Chunk = row::decode(&row::encode(&stored).expect("encodes")).expect("decodes");
        let back: Vec<_> = read(0, &back).expect("decodes").collect();
        let ids: Vec<_> = back.iter().map(|(at, row)| (at.part, row.id)).collect();
        let id = |number| transaction_id(0, Position::new(3, 0), number);
        assert_eq!(ids, [(2, id(1 | 2 << 16)), (0, id(1))], "part 0 has the event's own number");
        assert!(back.iter().all(|(_, row)| row.position == Position::new(3, 0)));
    }

    /// Lines appended and replaced anywhere, written in batches of any size, read as a plain sorted map would.
    #[test]
    fn chunks_read_as_one_list_whatever_batch_wrote_them() {
        for per_batch in [1, 3, 50, 1_000] {
            let ((store, redo), mut statements) = (stored(), Statements::default());
            let mut model = std::collections::BTreeMap::new();
            let mut wallet = WithLines::from(WalletRow::empty(ACCOUNT, Asset::USD));
            for n in 1..=200_u64 {
                // A new line, with a fee now and then; and an old one anew.
                for (at, amount) in [(place(n, 0), 1), (place(n * 7 % n + 1, 0), 1_000 + n), (place(n / 2 + 1, 0), n)] {
                    let amount = i64::try_from(amount).expect("small");
                    let fee = at.position.index().is_multiple_of(5).then(|| (1, row(-amount)));
                    let lines: Lines = [(0, row(amount))].into_iter().chain(fee).collect();
                    for (part, row) in &lines {
                        model.insert(Cursor { place: at, part: *part }, row.amount.0);
                    }
                    statements.put(&store, &mut wallet.lines, STATEMENT, at, lines).expect("put");
                }
                if n.is_multiple_of(per_batch) {
                    write(&redo, &wallet, &mut statements);
                }
            }
            write(&redo, &wallet, &mut statements);
            let wanted: Vec<_> = model.into_iter().rev().collect();
            assert_eq!(all(&store, None), wanted, "batches of {per_batch}");
            let keys = store.stored().len();
            assert!((200 / LINES_MAX..=200 * 2 / LINES_MAX + 1).contains(&keys), "{keys} chunks");
            let middle = place(100, 0);
            let tail: Vec<_> = all(&store, Some(middle)).into_iter().filter(|(at, _)| at.place <= middle).collect();
            assert_eq!(tail, wanted.into_iter().filter(|(at, _)| at.place <= middle).collect::<Vec<_>>());
        }
    }
}
