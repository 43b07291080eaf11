//! Where a vault keeps what it keeps: the people's records, their shreds and the ledger secret.
//!
//! [`Local`]: a redb file and the shreds file beside it, of one process. The other is [`crate::nats`].

use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::keys::{self, Key};
use crate::people::Record;
use crate::shreds::{Shreds, private_file};
use crate::{Account, Error, master};

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const PEOPLE: TableDefinition<'_, &Account, &[u8]> = TableDefinition::new("people");

/// Row of `META`: the ledger secret.
const LEDGER_SECRET: &str = "ledger secret";
/// redb's page cache, in bytes.
const PAGE_CACHE_BYTES: usize = 32 * 1024 * 1024;

/// What is known of the person at a place of the list that is to be added.
pub(crate) type Known<'a> = &'a dyn Fn(usize, &Record) -> Result<(), Error>;
/// Makes the record of the person at a place of the list, with a slot and its shred.
pub(crate) type Make<'a> = &'a dyn Fn(usize, u64, &Key) -> Result<Record, Error>;

/// A store. Whatever it has written when it returns is durable, and seen by all who share it.
pub(crate) trait Store: Send + Sync {
    /// The sealed ledger secret; kept as `make` makes it in a store that has nothing yet.
    fn secret(&self, make: &dyn Fn() -> Result<Vec<u8>, Error>) -> Result<Vec<u8>, Error>;

    /// Everybody there is a record of, the erased included.
    fn accounts(&self) -> Result<Vec<Account>, Error>;

    /// The record of an account.
    fn record(&self, account: Account) -> Result<Option<Record>, Error>;

    /// The shred of a slot; [`Error::Erased`] once it is destroyed.
    fn shred(&self, slot: u64) -> Result<Key, Error>;

    /// Adds those accounts that are not there yet, each with a new shred; asks `known` about the others.
    fn add(&self, accounts: &[Account], known: Known<'_>, make: Make<'_>) -> Result<(), Error>;

    /// Destroys the shred and leaves a tombstone; `false` when that had been done before. Calls `forget` in between, after which no key
    /// of the account is in memory here.
    fn erase(&self, account: Account, forget: &dyn Fn()) -> Result<bool, Error>;

    /// Whether keys in memory may be used: an error if one of them could have been destroyed by somebody else unnoticed.
    fn fresh(&self) -> Result<(), Error>;
}

/// The files of one process.
pub(crate) struct Local {
    database: Database,
    shreds: Shreds,
}

impl Local {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let shreds_path = beside(path);
        let new = !path.exists();
        if !new && !shreds_path.exists() {
            return Err(Error::Incomplete(shreds_path));
        }
        let shreds = Shreds::open(&shreds_path)?;
        if new && shreds.count()? > 0 {
            return Err(Error::Incomplete(path.to_owned()));
        }
        let database = Database::builder()
            .set_cache_size(PAGE_CACHE_BYTES)
            .create_file(private_file(path)?)
            .map_err(Error::database)?;
        master::sync_folder(path)?;
        Ok(Self { database, shreds })
    }
}

impl Store for Local {
    fn secret(&self, make: &dyn Fn() -> Result<Vec<u8>, Error>) -> Result<Vec<u8>, Error> {
        let transaction = self.database.begin_write().map_err(Error::database)?;
        let secret = {
            transaction.open_table(PEOPLE).map_err(Error::database)?;
            let mut table = transaction.open_table(META).map_err(Error::database)?;
            let stored = table.get(LEDGER_SECRET).map_err(Error::database)?.map(|row| row.value().to_vec());
            match stored {
                Some(stored) => stored,
                None if self.shreds.count()? > 0 => {
                    return Err(Error::Damaged("the vault has users and no ledger secret"));
                }
                None => {
                    let sealed = make()?;
                    table.insert(LEDGER_SECRET, sealed.as_slice()).map_err(Error::database)?;
                    sealed
                }
            }
        };
        transaction.commit().map_err(Error::database)?;
        Ok(secret)
    }

    fn accounts(&self) -> Result<Vec<Account>, Error> {
        let transaction = self.database.begin_read().map_err(Error::database)?;
        let table = transaction.open_table(PEOPLE).map_err(Error::database)?;
        let rows = table.iter().map_err(Error::database)?;
        rows.map(|row| row.map(|(account, _)| *account.value()).map_err(Error::database)).collect()
    }

    fn record(&self, account: Account) -> Result<Option<Record>, Error> {
        let transaction = self.database.begin_read().map_err(Error::database)?;
        let table = transaction.open_table(PEOPLE).map_err(Error::database)?;
        let row = table.get(&account).map_err(Error::database)?;
        row.map(|row| Record::decode(row.value())).transpose()
    }

    fn shred(&self, slot: u64) -> Result<Key, Error> {
        self.shreds.read(slot)
    }

    fn add(&self, accounts: &[Account], known: Known<'_>, make: Make<'_>) -> Result<(), Error> {
        let transaction = self.database.begin_write().map_err(Error::database)?;
        {
            let mut table = transaction.open_table(PEOPLE).map_err(Error::database)?;
            let shreds = accounts.iter().map(|_| keys::random()).collect::<Result<Vec<_>, _>>()?;
            // Shreds first: a crash in between wastes slots, and never leaves a record without its shred.
            let mut appended = None;
            for (index, account) in accounts.iter().enumerate() {
                let found = match table.get(account).map_err(Error::database)? {
                    Some(row) => Some(Record::decode(row.value())?),
                    None => None,
                };
                if let Some(record) = found {
                    known(index, &record)?;
                    continue;
                }
                let first = match appended {
                    Some(first) => first,
                    None => *appended.insert(self.shreds.append(&shreds)?),
                };
                let record = make(index, first + index as u64, &shreds[index])?;
                table.insert(account, record.encode().as_slice()).map_err(Error::database)?;
            }
        }
        transaction.commit().map_err(Error::database)
    }

    fn erase(&self, account: Account, forget: &dyn Fn()) -> Result<bool, Error> {
        let transaction = self.database.begin_write().map_err(Error::database)?;
        {
            let mut table = transaction.open_table(PEOPLE).map_err(Error::database)?;
            let record = match table.get(&account).map_err(Error::database)? {
                Some(row) => Record::decode(row.value())?,
                None => return Err(Error::Unknown),
            };
            let Record::Living { slot, .. } = record else {
                return Ok(false);
            };
            // The shred first: from here on the person is erased, whatever becomes of the transaction.
            self.shreds.destroy(slot)?;
            forget();
            table.insert(&account, Record::Erased.encode().as_slice()).map_err(Error::database)?;
        }
        transaction.commit().map_err(Error::database)?;
        Ok(true)
    }

    /// Nobody else has the files.
    fn fresh(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".shreds");
    PathBuf::from(name)
}
