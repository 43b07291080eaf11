//! The sandbox's redb file and its one writer thread: whatever arrived while the last commit was written is the next one.
//!
//! A job's answer is given after the commit that holds its work. If anything in a commit fails, nothing of it happened and all its
//! jobs hear so. Jobs wait in a queue of [`QUEUE`]; when it is full, callers wait.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use florin_vault::pan;
use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::records::{Card, Request, decode, encode};
use crate::Error;

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const CARDS: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("cards");
const REQUESTS: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("requests");
/// Keyed fingerprint of a number → our card id.
const NUMBERS: TableDefinition<'_, &[u8; 32], &[u8; 16]> = TableDefinition::new("numbers");

/// Row of `META` that only the right master key opens.
const KEY_CHECK: &str = "key check";
const QUEUE: usize = 1024;
const BATCH: usize = 256;
/// redb's page cache, in bytes.
const PAGE_CACHE_BYTES: usize = 16 * 1024 * 1024;

type Job = Box<dyn FnOnce(&mut Tables<'_>) -> Result<Reply, Error> + Send>;
type Reply = Box<dyn FnOnce() + Send>;

pub(crate) struct Store {
    database: Arc<Database>,
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
}

impl Store {
    pub(crate) fn open(path: &Path, keys: &pan::Keys) -> Result<Self, Error> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|error| Error::Storage(error.into()))?;
        let database = Database::builder().set_cache_size(PAGE_CACHE_BYTES).create_file(file).map_err(storage)?;
        check_key(&database, keys)?;
        let database = Arc::new(database);
        let (jobs, queue) = mpsc::channel(QUEUE);
        let writer = std::thread::Builder::new()
            .name("issuer-sandbox".into())
            .spawn({
                let database = Arc::clone(&database);
                move || write_all(&database, queue)
            })
            .map_err(|error| Error::Storage(error.into()))?;
        Ok(Self { database, jobs: Some(jobs), writer: Some(writer) })
    }

    /// Runs `work` in the next commit; its result comes when it is durable. The work goes on if the caller does not wait.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |tables| {
            let result = work(tables)?;
            Ok(Box::new(move || {
                // A caller that no longer waits has no use for the answer.
                let _ = sender.send(result);
            }))
        });
        let gone = || Error::Storage("the sandbox's writer has ended, or its commit failed".into());
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(job).await.map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())
    }

    /// Reads what is durable.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Snapshot) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let database = Arc::clone(&self.database);
        let read = move || work(&Snapshot(database.begin_read().map_err(storage)?));
        tokio::task::spawn_blocking(read).await.map_err(|error| Error::Storage(error.into()))?
    }
}

impl Drop for Store {
    /// Ends the writer, so that the file is free when this returns.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the sandbox's writer panicked");
        }
    }
}

/// One commit at a time until nobody can send any more.
fn write_all(database: &Database, mut queue: mpsc::Receiver<Job>) {
    while let Some(first) = queue.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(job) = queue.try_recv()
        {
            batch.push(job);
        }
        // On an error the replies are dropped, and with them what the callers wait on.
        if let Err(error) = write_batch(database, batch) {
            tracing::error!(error = &error as &dyn std::error::Error, "a commit of the sandbox failed");
        }
    }
}

fn write_batch(database: &Database, batch: Vec<Job>) -> Result<(), Error> {
    let transaction = database.begin_write().map_err(storage)?;
    let mut replies = Vec::with_capacity(batch.len());
    {
        let mut tables = Tables::open(&transaction)?;
        for job in batch {
            replies.push(job(&mut tables)?);
        }
    }
    transaction.commit().map_err(storage)?;
    for reply in replies {
        reply();
    }
    Ok(())
}

/// The tables within a commit.
pub(crate) struct Tables<'t> {
    cards: Table<'t, &'static [u8; 16], &'static [u8]>,
    requests: Table<'t, &'static [u8; 16], &'static [u8]>,
    numbers: Table<'t, &'static [u8; 32], &'static [u8; 16]>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, Error> {
        Ok(Self {
            cards: transaction.open_table(CARDS).map_err(storage)?,
            requests: transaction.open_table(REQUESTS).map_err(storage)?,
            numbers: transaction.open_table(NUMBERS).map_err(storage)?,
        })
    }

    pub(crate) fn card(&self, card_id: Uuid) -> Result<Option<Card>, Error> {
        let row = self.cards.get(card_id.as_bytes()).map_err(storage)?;
        row.map(|row| decode(row.value())).transpose()
    }

    pub(crate) fn put_card(&mut self, card_id: Uuid, card: &Card) -> Result<(), Error> {
        let bytes = encode(card)?;
        self.cards.insert(card_id.as_bytes(), bytes.as_slice()).map_err(storage)?;
        Ok(())
    }

    /// The request; one that calls nothing yet when it is new.
    pub(crate) fn request(&self, request_id: Uuid) -> Result<Request, Error> {
        let row = self.requests.get(request_id.as_bytes()).map_err(storage)?;
        row.map_or_else(|| Ok(Request::default()), |row| decode(row.value()))
    }

    pub(crate) fn put_request(&mut self, request_id: Uuid, request: &Request) -> Result<(), Error> {
        let bytes = encode(request)?;
        self.requests.insert(request_id.as_bytes(), bytes.as_slice()).map_err(storage)?;
        Ok(())
    }

    /// Takes a number for a card; `false` when another card has it.
    pub(crate) fn take_number(&mut self, fingerprint: &[u8; 32], card_id: Uuid) -> Result<bool, Error> {
        if self.numbers.get(fingerprint).map_err(storage)?.is_some() {
            return Ok(false);
        }
        self.numbers.insert(fingerprint, card_id.as_bytes()).map_err(storage)?;
        Ok(true)
    }
}

/// The durable state at one moment.
pub(crate) struct Snapshot(redb::ReadTransaction);

impl Snapshot {
    pub(crate) fn card(&self, card_id: Uuid) -> Result<Option<Card>, Error> {
        let table = self.0.open_table(CARDS).map_err(storage)?;
        let row = table.get(card_id.as_bytes()).map_err(storage)?;
        row.map(|row| decode(row.value())).transpose()
    }

    /// All cards in the order of our ids.
    pub(crate) fn cards(&self) -> Result<Vec<(Uuid, Card)>, Error> {
        let table = self.0.open_table(CARDS).map_err(storage)?;
        let rows = table.iter().map_err(storage)?;
        rows.map(|row| {
            let (card_id, card) = row.map_err(storage)?;
            Ok((Uuid::from_bytes(*card_id.value()), decode(card.value())?))
        })
        .collect()
    }

    pub(crate) fn request(&self, request_id: Uuid) -> Result<Option<Request>, Error> {
        let table = self.0.open_table(REQUESTS).map_err(storage)?;
        let row = table.get(request_id.as_bytes()).map_err(storage)?;
        row.map(|row| decode(row.value())).transpose()
    }

    pub(crate) fn number(&self, fingerprint: &[u8; 32]) -> Result<Option<Uuid>, Error> {
        let table = self.0.open_table(NUMBERS).map_err(storage)?;
        let row = table.get(fingerprint).map_err(storage)?;
        Ok(row.map(|row| Uuid::from_bytes(*row.value())))
    }
}

/// Makes all tables, and proves that the keys are those the file was made with.
fn check_key(database: &Database, keys: &pan::Keys) -> Result<(), Error> {
    let vault = |error: florin_vault::Error| Error::Storage(error.into());
    let transaction = database.begin_write().map_err(storage)?;
    {
        Tables::open(&transaction)?;
        let mut meta = transaction.open_table(META).map_err(storage)?;
        let check = meta.get(KEY_CHECK).map_err(storage)?.map(|row| row.value().to_vec());
        if let Some(check) = check {
            keys.open(&[0; 16], KEY_CHECK, &check).map_err(|_| vault(florin_vault::Error::WrongMasterKey))?;
        } else {
            let check = keys.seal(&[0; 16], KEY_CHECK, &[]).map_err(vault)?;
            meta.insert(KEY_CHECK, check.as_slice()).map_err(storage)?;
        }
    }
    transaction.commit().map_err(storage)
}

fn storage(error: impl Into<redb::Error>) -> Error {
    Error::Storage(Box::new(error.into()))
}
