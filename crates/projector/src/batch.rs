//! One batch of writes: rows are changed in memory, many times if need be, and written once.
//!
//! Rows stay in memory after their batch as a bounded cache, so that a busy card is not read back for each entry. Only
//! the partition's own follower writes its rows, so what is cached is what is stored.

use std::{collections::hash_map::Entry, hash::Hash};

use florin_engine::{
    ids::{AccountId, AppealId, AuthorizationId, CardId, CardRequestId},
    money::Asset,
};

use foldhash::HashMap;

use crate::{
    Error,
    accounts::{self, AccountRow},
    appeals::{self, AppealRow},
    authorizations::{self, AuthorizationRow},
    card_requests::{self, CardRequestRow},
    cards::{self, CardRow},
    invoices::{self, InvoiceRow},
    key::{Key, Place},
    ledger::{self, LedgerKind, LedgerRow},
    redo::Writes,
    row::{self, Row, WithLines},
    statements::{Lines, Statements},
    store::Store,
    transactions::Statement,
    wallets::{self, WalletRow},
};

/// Rows of one kind that may stay cached between batches.
const CACHED_ROWS_MAX: usize = 32_768;

/// A kind of row that is read back, changed and written again.
pub(crate) trait Keyed: Row {
    /// What finds it.
    type Id: Copy + Eq + Hash;

    fn key(id: Self::Id) -> Key;
}

macro_rules! keyed {
    ($($row:ty: $id:ty, $name:pat => $key:expr;)*) => {
        $(impl Keyed for $row {
            type Id = $id;

            fn key($name: $id) -> Key {
                $key
            }
        })*
    };
}

keyed! {
    AccountRow: AccountId, id => accounts::key(id);
    WithLines<CardRow>: CardId, id => cards::key(id);
    WithLines<WalletRow>: (AccountId, Asset), (account, asset) => wallets::key(account, asset);
    AuthorizationRow: AuthorizationId, id => authorizations::key(id);
    LedgerRow: (u16, LedgerKind, Asset), (partition, kind, asset) => ledger::key(partition, kind, asset);
    AppealRow: AppealId, id => appeals::key(id);
    CardRequestRow: CardRequestId, id => card_requests::key(id);
    InvoiceRow: (AccountId, u64), (account, number) => invoices::key(account, number);
}

struct Slot<R> {
    row: Option<R>,
    dirty: bool,
}

/// Rows of one kind.
pub(crate) struct Rows<R: Keyed> {
    slots: HashMap<R::Id, Slot<R>>,
    dirty: Vec<R::Id>,
}

impl<R: Keyed> Default for Rows<R> {
    fn default() -> Self {
        Self { slots: HashMap::default(), dirty: Vec::new() }
    }
}

impl<R: Keyed> Rows<R> {
    fn slot(&mut self, store: &Store, id: R::Id) -> Result<&mut Slot<R>, Error> {
        match self.slots.entry(id) {
            Entry::Occupied(slot) => Ok(slot.into_mut()),
            Entry::Vacant(room) => {
                let stored = store.get(R::key(id))?;
                let row = stored.map(|bytes| row::decode(&bytes)).transpose()?;
                Ok(room.insert(Slot { row, dirty: false }))
            }
        }
    }

    /// The row as the batch would leave it, if there is one.
    pub(crate) fn get(&mut self, store: &Store, id: R::Id) -> Result<Option<&R>, Error> {
        Ok(self.slot(store, id)?.row.as_ref())
    }

    /// The row to be changed, if there is one.
    pub(crate) fn edit(&mut self, store: &Store, id: R::Id) -> Result<Option<&mut R>, Error> {
        self.slot(store, id)?;
        let Some(slot) = self.slots.get_mut(&id) else {
            return Ok(None);
        };
        if slot.row.is_some() && !slot.dirty {
            slot.dirty = true;
            self.dirty.push(id);
        }
        Ok(slot.row.as_mut())
    }

    /// The row to be changed; made if there is none.
    pub(crate) fn edit_or(&mut self, store: &Store, id: R::Id, make: impl FnOnce() -> R) -> Result<&mut R, Error> {
        if self.edit(store, id)?.is_none() {
            self.put(id, make());
        }
        self.edit(store, id)?.ok_or(Error::Damaged { table: R::NAME, source: postcard::Error::WontImplement })
    }

    /// A new row, or one anew.
    pub(crate) fn put(&mut self, id: R::Id, row: R) {
        let before = self.slots.insert(id, Slot { row: Some(row), dirty: true });
        if !before.is_some_and(|slot| slot.dirty) {
            self.dirty.push(id);
        }
    }

    /// Rows that the batch would write now.
    pub(crate) fn rows(&self) -> usize {
        self.dirty.len()
    }

    pub(crate) fn write(&mut self, out: &mut Writes) -> Result<(), Error> {
        for id in self.dirty.drain(..) {
            if let Some(slot) = self.slots.get_mut(&id) {
                slot.dirty = false;
                if let Some(row) = &slot.row {
                    out.put(R::key(id), row)?;
                }
            }
        }
        if self.slots.len() > CACHED_ROWS_MAX {
            self.slots.clear();
        }
        Ok(())
    }
}

/// The batch in the making.
pub(crate) struct Batch {
    pub(crate) store: Store,
    pub(crate) accounts: Rows<AccountRow>,
    pub(crate) cards: Rows<WithLines<CardRow>>,
    pub(crate) wallets: Rows<WithLines<WalletRow>>,
    pub(crate) authorizations: Rows<AuthorizationRow>,
    pub(crate) ledger: Rows<LedgerRow>,
    pub(crate) appeals: Rows<AppealRow>,
    pub(crate) card_requests: Rows<CardRequestRow>,
    pub(crate) invoices: Rows<InvoiceRow>,
    statements: Statements,
    writes: Writes,
    /// What follows the rows: what leads to them, and what nobody reads back.
    behind: Writes,
    written: usize,
    /// Lines of statements among what is to be written.
    lines: usize,
}

impl Batch {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            accounts: Rows::default(),
            cards: Rows::default(),
            wallets: Rows::default(),
            authorizations: Rows::default(),
            ledger: Rows::default(),
            appeals: Rows::default(),
            card_requests: Rows::default(),
            invoices: Rows::default(),
            statements: Statements::default(),
            writes: Writes::default(),
            behind: Writes::default(),
            written: 0,
            lines: 0,
        }
    }

    /// Rows that the batch would write now.
    pub(crate) fn rows(&self) -> usize {
        self.written
            + self.accounts.rows()
            + self.cards.rows()
            + self.wallets.rows()
            + self.authorizations.rows()
            + self.ledger.rows()
            + self.appeals.rows()
            + self.card_requests.rows()
            + self.invoices.rows()
            + self.statements.rows()
    }

    /// Takes back the room of writes that were made.
    pub(crate) fn use_again(&mut self, writes: Writes) {
        self.writes = writes;
    }

    /// Writes a row that is never read back by the fold.
    pub(crate) fn put<R: Row>(&mut self, key: Key, row: &R) -> Result<(), Error> {
        self.written += 1;
        self.behind.put(key, row)
    }

    /// Writes the lines of a place of a statement, over those that are there. A card's own row must be there.
    pub(crate) fn list(&mut self, statement: Statement, place: Place, lines: Lines) -> Result<(), Error> {
        self.lines += lines.len();
        let open = match statement {
            Statement::Card(card) => {
                let missing = Error::Damaged { table: CardRow::NAME, source: postcard::Error::WontImplement };
                &mut self.cards.edit(&self.store, card)?.ok_or(missing)?.lines
            }
            Statement::Wallet(account, asset) => {
                let make = || WalletRow::empty(account, asset).into();
                &mut self.wallets.edit_or(&self.store, (account, asset), make)?.lines
            }
        };
        self.statements.put(&self.store, open, statement, place, lines)
    }

    /// Writes an index entry that leads to a 16-byte id, in its key or its value.
    pub(crate) fn point(&mut self, key: Key, id: [u8; 16]) {
        self.behind.point(key, id);
        self.written += 1;
    }

    pub(crate) fn remove(&mut self, key: Key) {
        self.behind.remove(key);
        self.written += 1;
    }

    /// All writes of the batch in their order, and how many rows and lines of statements they are. The next batch begins.
    pub(crate) fn end(&mut self) -> Result<(Writes, usize), Error> {
        let rows = self.rows() + self.lines;
        // Before the row that their lines were taken from.
        self.statements.write(&mut self.writes)?;
        self.accounts.write(&mut self.writes)?;
        self.cards.write(&mut self.writes)?;
        self.wallets.write(&mut self.writes)?;
        self.authorizations.write(&mut self.writes)?;
        self.ledger.write(&mut self.writes)?;
        self.appeals.write(&mut self.writes)?;
        self.card_requests.write(&mut self.writes)?;
        self.invoices.write(&mut self.writes)?;
        self.writes.append(&mut self.behind);
        (self.written, self.lines) = (0, 0);
        Ok((std::mem::take(&mut self.writes), rows))
    }
}

#[cfg(test)]
mod tests {
    use florin_engine::ids::Position;
    use florin_engine::money::Minor;

    use super::*;
    use crate::key::Table;
    use crate::transactions::{Direction, TransactionKind, TransactionRow};

    /// A reader finds rows through others, and a card's older lines where its newest ones end: whoever is looked up is there before who
    /// leads to it, however the fold went about it.
    #[test]
    fn what_is_found_is_written_before_what_leads_to_it() {
        let db = sled::Config::new().temporary(true).open().expect("a store");
        let mut batch = Batch::new(Store::new(db.open_tree("views").expect("a tree")));
        let card = cards::tests::sample();
        let id = card.card;
        batch.point(cards::by_number_key(7), id.0);
        batch.cards.put(id, card.into());
        for index in 1..=33 {
            let place = Place { position: Position::new(index, 0), event: 0 };
            let line = TransactionRow::new(TransactionKind::TopUp, Direction::Credit, Minor(1), Asset::USD, index);
            batch.list(Statement::Card(id), place, vec![(0, line)]).expect("listed");
        }
        let (writes, _) = batch.end().expect("encodes");
        let tables: Vec<_> = writes.iter().map(|write| write.expect("a write").0[0]).collect();
        assert_eq!(tables, [Table::OfCard, Table::Card, Table::CardByNumber].map(|table| table as u8));
    }
}
