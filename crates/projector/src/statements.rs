//! How the lines of a statement are stored: in chunks, since the store is slow at new keys and fast at known ones.
//!
//! A chunk holds the lines of up to [`LINES_MAX`] and is found by its first place: as later places sort first, the chunk
//! of a place is the first key from the place's own on. A chunk begins when the newest is full; its first place never
//! changes, and lines are only appended to the newest or replaced where they are. How a chunk's lines are written: `lines.rs`.

use std::{
    collections::{HashMap, hash_map::Entry},
    ops::Bound,
};

use florin_engine::ids::transaction_id;

use crate::{
    Error,
    batch::{Keyed, Rows},
    key::{Key, Place},
    lines::{Line, Packed},
    row::{self, Row},
    transactions::{Cursor, Statement, TransactionRow},
};

/// Lines at which a chunk is full; the lines of one place stay together.
const LINES_MAX: usize = 16;

/// Statements whose newest chunk may be remembered between batches.
const REMEMBERED_MAX: usize = 65_536;

/// The lines of one place, by part, the lowest first: the event itself (0), its fees (1 and up).
pub(crate) type Lines = Vec<(u8, TransactionRow)>;

/// Lines of a statement, oldest first.
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

/// The keys from `place` on, towards the oldest.
fn range_from(statement: Statement, place: Option<Place>) -> (Bound<Key>, Bound<Key>) {
    let prefix = statement.prefix();
    let start = place.map_or(prefix, |place| place.append(prefix));
    // 12 bytes of a key cannot all be 0xFF: position 0 holds the genesis.
    (Bound::Included(start), Bound::Excluded(prefix.bytes(&[0xFF; 12])))
}

/// The chunks of a statement from the one that holds `place` on, newest first; from the newest without a place.
pub(crate) fn chunks(tree: &sled::Tree, statement: Statement, place: Option<Place>) -> sled::Iter {
    tree.range(range_from(statement, place))
}

/// The lines of a stored chunk, newest first, each with the cursor that stands at it.
pub(crate) fn read(
    partition: u16,
    value: &[u8],
) -> Result<impl Iterator<Item = (Cursor, TransactionRow)> + use<>, Error> {
    let chunk: Chunk = row::decode(value)?;
    Ok(chunk.lines().map_err(damaged)?.into_iter().rev().map(move |line| {
        let Line { place, part, row } = line;
        let id = transaction_id(partition, place.position, place.number(part));
        (Cursor { place, part }, TransactionRow { id, position: place.position, ..row })
    }))
}

/// The chunks that a batch changes.
#[derive(Default)]
pub(crate) struct Statements {
    pub(crate) chunks: Rows<Chunk>,
    /// First places of the newest chunks, oldest first: the newest in the store, then those begun by this batch.
    newest: HashMap<Statement, Vec<Place>>,
    /// Statements that got a chunk in this batch.
    begun: Vec<Statement>,
}

impl Statements {
    /// Puts the lines of a place, over those that are there.
    pub(crate) fn put(
        &mut self,
        tree: &sled::Tree,
        statement: Statement,
        place: Place,
        lines: Lines,
    ) -> Result<(), Error> {
        let newest = match self.newest.entry(statement) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(room) => room.insert(first_of(tree, statement, None)?.into_iter().collect()),
        };
        let mut lines = lines.into_iter().map(|(part, row)| Line { place, part, row });
        let first = match newest.iter().rev().find(|first| **first <= place) {
            Some(first) => Some(*first),
            None => first_of(tree, statement, Some(place))?,
        };
        let chunk = match first {
            Some(first) => self.chunks.edit(tree, (statement, first))?,
            None => None,
        };
        match chunk {
            Some(chunk) if chunk.len() < LINES_MAX && chunk.last() < place => {
                lines.try_for_each(|line| chunk.push(&line)).map_err(damaged)?;
            }
            Some(chunk) if chunk.last() >= place => {
                let mut all = chunk.lines().map_err(damaged)?;
                let from = all.partition_point(|line| line.place < place);
                let to = all.partition_point(|line| line.place <= place);
                all.splice(from..to, lines);
                *chunk = Packed::of(&all).map_err(damaged)?;
            }
            _ => {
                newest.push(place);
                self.begun.push(statement);
                let lines: Vec<Line> = lines.collect();
                self.chunks.put((statement, place), Packed::of(&lines).map_err(damaged)?);
            }
        }
        Ok(())
    }

    /// Once the batch is written, the store knows the chunks it began.
    pub(crate) fn written(&mut self) {
        for statement in self.begun.drain(..) {
            if let Some(newest) = self.newest.get_mut(&statement) {
                newest.drain(..newest.len().saturating_sub(1));
            }
        }
        if self.newest.len() > REMEMBERED_MAX {
            self.newest.clear();
        }
    }
}

fn damaged(source: postcard::Error) -> Error {
    Error::Damaged { table: Chunk::NAME, source }
}

/// First place of the stored chunk that holds `place`; of the newest without a place.
fn first_of(tree: &sled::Tree, statement: Statement, place: Option<Place>) -> Result<Option<Place>, Error> {
    let Some(pair) = chunks(tree, statement, place).next() else {
        return Ok(None);
    };
    Ok(Place::of_key(&pair?.0))
}

#[cfg(test)]
mod tests {
    use florin_engine::{
        ids::{CardId, Position},
        money::{Asset, Minor},
    };

    use super::*;
    use crate::transactions::{Direction, TransactionKind};

    const STATEMENT: Statement = Statement::Card(CardId([0; 16]));

    fn place(index: u64, event: u32) -> Place {
        Place { position: Position::new(index, 0), event }
    }

    fn row(amount: i64) -> TransactionRow {
        TransactionRow::new(TransactionKind::Purchase, Direction::Debit, Minor(amount), Asset::USD, 9)
    }

    fn tree() -> sled::Tree {
        let db = sled::Config::new().temporary(true).open().expect("a store");
        db.open_tree("views").expect("a tree")
    }

    fn store(tree: &sled::Tree, statements: &mut Statements) {
        let mut batch = sled::Batch::default();
        statements.chunks.write(&mut batch).expect("encodes");
        tree.apply_batch(batch).expect("written");
        statements.written();
    }

    fn all(tree: &sled::Tree, from: Option<Place>) -> Vec<(Cursor, i64)> {
        let values = chunks(tree, STATEMENT, from).map(|pair| pair.expect("a read").1);
        values.flat_map(|value| read(0, &value).expect("decodes")).map(|(at, row)| (at, row.amount.0)).collect()
    }

    #[test]
    fn lines_read_back_newest_first_with_their_ids() {
        let line = |part| Line { place: place(3, 1), part, row: row(5) };
        let stored = Packed::of(&[line(0), line(2)]).expect("packs");
        let back: Vec<_> = read(0, &row::encode(&stored).expect("encodes")).expect("decodes").collect();
        let ids: Vec<_> = back.iter().map(|(at, row)| (at.part, row.id)).collect();
        let id = |number| transaction_id(0, Position::new(3, 0), number);
        assert_eq!(ids, [(2, id(1 | 2 << 16)), (0, id(1))], "part 0 has the event's own number");
        assert!(back.iter().all(|(_, row)| row.position == Position::new(3, 0)));
    }

    /// Lines appended and replaced anywhere, written in batches of any size, read as a plain sorted map would.
    #[test]
    fn chunks_read_as_one_list_whatever_batch_wrote_them() {
        for per_batch in [1, 3, 50, 1_000] {
            let (tree, mut statements, mut model) = (tree(), Statements::default(), std::collections::BTreeMap::new());
            for n in 1..=200_u64 {
                // A new line, with a fee now and then; and an old one anew.
                for (at, amount) in [(place(n, 0), 1), (place(n * 7 % n + 1, 0), 1_000 + n), (place(n / 2 + 1, 0), n)] {
                    let amount = i64::try_from(amount).expect("small");
                    let fee = at.position.index().is_multiple_of(5).then(|| (1, row(-amount)));
                    let lines: Lines = [(0, row(amount))].into_iter().chain(fee).collect();
                    for (part, row) in &lines {
                        model.insert(Cursor { place: at, part: *part }, row.amount.0);
                    }
                    statements.put(&tree, STATEMENT, at, lines).expect("put");
                }
                if n.is_multiple_of(per_batch) {
                    store(&tree, &mut statements);
                }
            }
            store(&tree, &mut statements);
            let wanted: Vec<_> = model.into_iter().rev().collect();
            assert_eq!(all(&tree, None), wanted, "batches of {per_batch}");
            let keys = tree.len();
            assert!((200 / LINES_MAX..=200 * 2 / LINES_MAX + 1).contains(&keys), "{keys} chunks");
            let middle = place(100, 0);
            let tail: Vec<_> = all(&tree, Some(middle)).into_iter().filter(|(at, _)| at.place <= middle).collect();
            assert_eq!(tail, wanted.into_iter().filter(|(at, _)| at.place <= middle).collect::<Vec<_>>());
        }
    }
}
