//! The store of one process: a redb file.
//!
//! Endpoints are configuration and are kept whatever happens to the ledger's views. Of another ledger's file nothing is
//! taken: its endpoints would get the wrong company's cards. Damage is an error: what was not delivered is in here alone.

use std::path::Path;
use std::sync::Arc;

use florin_engine::ids::Position;
use florin_journal::LedgerId;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use super::delivery::{Cursor, Delivery, Mark};
use super::store::{Change, Kept, Store};
use super::{Error, storage};

/// Company → stored endpoint.
const ENDPOINTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("endpoints");
/// Partition, company → stored cursor.
const CURSORS: TableDefinition<'_, (u16, &str), &[u8]> = TableDefinition::new("cursors");
/// Partition, position, number → stored delivery.
const DELIVERIES: TableDefinition<'_, (u16, u64, u32), &[u8]> = TableDefinition::new("deliveries");
/// One row: the ledger's id.
const LEDGER: TableDefinition<'_, (), [u8; 16]> = TableDefinition::new("ledger");

/// The embedded store. Cheap to clone.
#[derive(Clone)]
pub struct Embedded {
    file: Arc<Database>,
}

impl Embedded {
    /// Opens the store, or makes it. [`Error::Locked`] while another process has it, [`Error::Storage`] if it is damaged or
    /// another ledger's.
    pub fn open(path: &Path, ledger: LedgerId) -> Result<Self, Error> {
        let file = Database::create(path).map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => Error::Locked { path: path.to_owned() },
            other => storage("opening it")(other),
        })?;
        let before = prepare(&file, ledger).map_err(storage("opening it"))?;
        if before.is_some_and(|before| before != ledger.0) {
            return Err(storage("opening it")(format!("{} is another ledger's", path.display())));
        }
        Ok(Self { file: Arc::new(file) })
    }

    /// Works on the file off the runtime's threads.
    async fn blocking<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Database) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let file = Arc::clone(&self.file);
        tokio::task::spawn_blocking(move || work(&file)).await?.map_err(storage(doing))
    }
}

impl Store for Embedded {
    async fn endpoints(&self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        self.blocking("reading endpoints", |file| {
            let table = file.begin_read()?.open_table(ENDPOINTS)?;
            let rows = table
                .iter()?
                .map(|row| row.map(|(company, bytes)| (company.value().to_owned(), bytes.value().to_vec())));
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn put_endpoint(&self, company: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let company = company.to_owned();
        self.blocking("keeping an endpoint", move |file| {
            let transaction = file.begin_write()?;
            transaction.open_table(ENDPOINTS)?.insert(company.as_str(), bytes.as_slice())?;
            transaction.commit()?;
            Ok(())
        })
        .await
    }

    async fn changed(&self) {
        std::future::pending().await
    }

    async fn load(&self, partition: u16) -> Result<Kept, Error> {
        self.blocking("reading what is undelivered", move |file| {
            let transaction = file.begin_read()?;
            let mut kept = Kept::default();
            for row in transaction.open_table(CURSORS)?.range((partition, "")..)? {
                let (key, bytes) = row?;
                let (of, company) = key.value();
                if of != partition {
                    break;
                }
                let cursor = Cursor::decode(bytes.value()).ok_or_else(|| damaged("a cursor"))?;
                kept.cursors.push((company.to_owned(), cursor));
            }
            let all = (partition, 0, 0)..=(partition, u64::MAX, u32::MAX);
            for row in transaction.open_table(DELIVERIES)?.range(all)? {
                let (key, bytes) = row?;
                let (_, position, number) = key.value();
                let mark = Mark { position: Position(position), number };
                kept.deliveries.push(Delivery::decode(mark, bytes.value()).ok_or_else(|| damaged("a delivery"))?);
            }
            Ok(kept)
        })
        .await
    }

    async fn write(&self, changes: Vec<Change>, durable: bool) -> Result<(), Error> {
        self.blocking("keeping deliveries", move |file| {
            let mut transaction = file.begin_write()?;
            transaction.set_durability(if durable { Durability::Immediate } else { Durability::None })?;
            {
                let mut cursors = transaction.open_table(CURSORS)?;
                let mut deliveries = transaction.open_table(DELIVERIES)?;
                for change in changes {
                    match change {
                        Change::Cursor { partition, company, cursor } => {
                            cursors.insert((partition, company.as_str()), cursor.encode().as_slice())?;
                        }
                        Change::Put(delivery) => {
                            let mark = delivery.mark;
                            let key = (delivery.partition(), mark.position.0, mark.number);
                            deliveries.insert(key, delivery.encode().as_slice())?;
                        }
                        Change::Remove { partition, mark } => {
                            deliveries.remove((partition, mark.position.0, mark.number))?;
                        }
                    }
                }
            }
            transaction.commit()?;
            Ok(())
        })
        .await
    }
}

fn damaged(what: &str) -> redb::Error {
    redb::Error::Corrupted(format!("{what} cannot be read"))
}

/// Makes the tables; the ledger that the file was of.
fn prepare(file: &Database, ledger: LedgerId) -> Result<Option<[u8; 16]>, redb::Error> {
    let transaction = file.begin_write()?;
    let before;
    {
        transaction.open_table(ENDPOINTS)?;
        transaction.open_table(CURSORS)?;
        transaction.open_table(DELIVERIES)?;
        let mut ledgers = transaction.open_table(LEDGER)?;
        before = ledgers.get(())?.map(|row| row.value());
        if before.is_none() {
            ledgers.insert((), ledger.0)?;
        }
    }
    transaction.commit()?;
    Ok(before)
}
