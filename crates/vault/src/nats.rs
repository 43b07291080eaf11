//! A vault that processes share: a key-value bucket on NATS JetStream.
//!
//! ```text
//! bucket FLORIN_<name>_VAULT: history 1, file storage, messages can be deleted
//! meta.secret           the ledger secret, sealed
//! person.<account>      the record (people.rs); its slot names the shred
//! shred.<slot>          32 random bytes; deleted, and overwritten on disk, when the user is erased
//! erased.<account>      nothing; written before anything else when the user is erased, so that others learn of it
//! ```
//!
//! What a process may have to publish to: `$KV.FLORIN_<name>_VAULT.>`, and `$JS.API.STREAM.{INFO,MSG.GET,MSG.DELETE}` of the stream
//! `KV_FLORIN_<name>_VAULT` (`STREAM.CREATE` too for who makes the ledger); and to subscribe to: its inboxes.
//!
//! Accounts are 32 hexadecimal digits, slots 16 and random. Every key is made with *no key before it* expected, so that of two
//! processes that register a user at once one wins and the other finds the winner's record.
//!
//! *Reading.* From the stream's leader, never from a replica that may lag; a user's keys are then kept in memory
//! ([`crate::CACHED_USERS`]). *Erasing by others.* Every process asks the leader for new `erased` keys twice a second, and
//! forgets those keys. What was asked at a moment is current as of that moment, so keys in memory are used only while the last
//! answer was asked for less than [`STALE_MAX`] ago, and [`Vault::destroy`](crate::Vault::destroy) returns no earlier than that
//! after its last write: by then nobody uses the key any more. While the servers are away nothing is sealed or opened.
//!
//! *Erasing halfway.* Whoever has an `erased` key is erased for every reader, whatever else is still there; keys are loaded no
//! more. Where the process died before it had deleted the shred, the next that opens the vault and may delete does so.
//!
//! *Erasing for good.* The shred is deleted with the overwriting of JetStream. A cluster's servers keep it in their logs until
//! those are compacted, and backups of streams have it as copies of files do: they are to be shredded too, or to lie encrypted.
//!
//! *Threads.* The connection lives on a runtime of its own, so that a caller that blocks one of another runtime blocks nothing it
//! waits for; and what else that thread has to do goes on elsewhere meanwhile. Every call is over within [`CALL_MAX`].

use std::future::Future;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::ConnectOptions;
use tokio::runtime::{Handle, Runtime, RuntimeFlavor};
use tokio::sync::Notify;

use crate::cache::Cache;
use crate::keys::{self, KEY_BYTES, Key};
use crate::people::Record;
use crate::store::{Known, Make, Store};
use crate::{Account, Error};

mod bucket;

use bucket::{Bucket, Value};

/// How long after the last look for erased users keys in memory are used at most.
pub const STALE_MAX: Duration = Duration::from_secs(2);
/// The longest that one call waits for the servers.
pub const CALL_MAX: Duration = Duration::from_secs(5);
/// How often is looked for erased users.
const LOOK: Duration = Duration::from_millis(500);
/// Most users of whom records are made at once.
const AT_ONCE: usize = 64;

/// Where the servers are, and how they are spoken to.
#[derive(Debug)]
pub struct Connection {
    /// Their addresses, separated by commas.
    pub servers: String,
    /// Credentials, TLS, a name.
    pub options: ConnectOptions,
    /// On how many servers the bucket is kept, if it has to be made [1; 3 in production].
    pub replicas: usize,
}

/// When erased users were last looked for with success.
struct Looks {
    current_at: Mutex<Option<Instant>>,
    wanted: Notify,
}

impl Looks {
    fn age(&self) -> Option<Duration> {
        self.current_at.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed())
    }
}

/// The bucket, with the threads it lives on.
pub(crate) struct Shared {
    runtime: Option<Runtime>,
    bucket: Arc<Bucket>,
    looks: Arc<Looks>,
}

impl Shared {
    pub(crate) fn open(connection: Connection, name: &str, cache: &Arc<Cache>) -> Result<Self, Error> {
        Self::connect(connection, name, cache, false)
    }

    pub(crate) fn create(connection: Connection, name: &str, cache: &Arc<Cache>) -> Result<Self, Error> {
        Self::connect(connection, name, cache, true)
    }

    fn connect(connection: Connection, name: &str, cache: &Arc<Cache>, make: bool) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("florin-vault")
            .enable_all()
            .build()?;
        let name = name.to_owned();
        let opened = wait(&runtime, async move { Bucket::open(connection, &name, make).await });
        let (bucket, last) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                runtime.shutdown_background();
                return Err(error);
            }
        };
        let bucket = Arc::new(bucket);
        let looks = Arc::new(Looks { current_at: Mutex::default(), wanted: Notify::new() });
        runtime.spawn(complete(Arc::clone(&bucket)));
        runtime.spawn(look(Arc::clone(&bucket), Arc::clone(&looks), Arc::clone(cache), last));
        Ok(Self { runtime: Some(runtime), bucket, looks })
    }

    /// Runs something on the vault's threads and waits for it.
    fn run<T, F>(&self, work: impl FnOnce(Arc<Bucket>) -> F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let runtime = self.runtime.as_ref().ok_or_else(|| Error::Unreachable("the vault is closed".into()))?;
        wait(runtime, work(Arc::clone(&self.bucket)))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Not waited for: it may be dropped on a thread that must not block.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn wait<T: Send + 'static>(
    runtime: &Runtime,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let (sender, receiver) = sync_channel(1);
    runtime.spawn(async move {
        let done = tokio::time::timeout(CALL_MAX, work).await;
        // Whoever no longer waits has been told so.
        let _ = sender.send(done.unwrap_or_else(|late| Err(Error::Unreachable(late.into()))));
    });
    let late = |error: std::sync::mpsc::RecvTimeoutError| Err(Error::Unreachable(error.into()));
    aside(|| receiver.recv_timeout(CALL_MAX + Duration::from_secs(1)).unwrap_or_else(late))
}

/// Does something that may have to wait. On a thread of a runtime, that runtime's other tasks (connections, leases) are moved to
/// another thread first: with the servers away every caller waits, and there are only as many threads as processors.
pub(crate) fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current() {
        Ok(runtime) if runtime.runtime_flavor() == RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// Ends what processes that died while they erased users have left. Where this role may not, another one's start does.
async fn complete(bucket: Arc<Bucket>) {
    let mut from = 1;
    loop {
        let step = async {
            let Some((sequence, account)) = bucket.next_erased(from).await? else { return Ok(None) };
            if let Some(account) = account
                && let Some(Value { sequence, body }) = bucket.get(&Bucket::person(&account)).await?
                && let Record::Living { slot, .. } = Record::decode(&body)?
            {
                bucket.shred_for_good(slot).await?;
                bucket.put(&Bucket::person(&account), Record::Erased.encode(), Some(sequence)).await?;
            }
            Ok::<_, Error>(Some(sequence))
        };
        match tokio::time::timeout(CALL_MAX, step).await {
            Ok(Ok(Some(sequence))) => from = sequence + 1,
            Ok(Ok(None)) => return,
            Ok(Err(error)) => {
                return tracing::warn!(error = &error as &dyn std::error::Error, "an erased user's shred may be left");
            }
            Err(_) => return tracing::warn!("an erased user's shred may be left: it could not be deleted in time"),
        }
    }
}

/// Looks for erased users as long as the vault is open.
async fn look(bucket: Arc<Bucket>, looks: Arc<Looks>, cache: Arc<Cache>, last: u64) {
    let mut from = last + 1;
    loop {
        let begun = Instant::now();
        let seen = async {
            while let Some((sequence, account)) = bucket.next_erased(from).await? {
                if let Some(account) = account {
                    // Elsewhere: it waits for whoever is loading a key, and that one for this thread.
                    let cache = Arc::clone(&cache);
                    let forgot = tokio::task::spawn_blocking(move || cache.forget(account)).await;
                    forgot.map_err(|error| Error::Unreachable(error.into()))?;
                }
                from = sequence + 1;
            }
            Ok::<_, Error>(())
        };
        match tokio::time::timeout(CALL_MAX, seen).await {
            Ok(Ok(())) => *looks.current_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(begun),
            Ok(Err(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "erased users cannot be looked for")
            }
            Err(_) => tracing::debug!("erased users cannot be looked for in time"),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = looks.wanted.notified() => {}
        }
    }
}

impl Store for Shared {
    fn secret(&self, make: &dyn Fn() -> Result<Vec<u8>, Error>) -> Result<Vec<u8>, Error> {
        if let Some(found) = self.run(|bucket| async move { bucket.get(&Bucket::secret()).await })? {
            return Ok(found.body);
        }
        if self.run(|bucket| async move { bucket.any_person().await })? {
            return Err(Error::Damaged("the vault has users and no ledger secret"));
        }
        let made = make()?;
        let kept = self.run(|bucket| async move { bucket.create(&Bucket::secret(), made).await })?;
        Ok(kept.body)
    }

    fn accounts(&self) -> Result<Vec<Account>, Error> {
        let (mut accounts, mut from) = (Vec::new(), 1);
        while let Some((sequence, account)) = self.run(move |bucket| async move { bucket.next_person(from).await })? {
            accounts.extend(account);
            from = sequence + 1;
        }
        Ok(accounts)
    }

    fn record(&self, account: Account) -> Result<Option<Record>, Error> {
        let found = self.run(move |bucket| async move {
            let (person, erased) = (Bucket::person(&account), Bucket::erased(&account));
            tokio::try_join!(bucket.get(&person), bucket.get(&erased))
        })?;
        match found {
            (Some(_), Some(_)) => Ok(Some(Record::Erased)),
            (found, _) => found.map(|found| Record::decode(&found.body)).transpose(),
        }
    }

    fn shred(&self, slot: u64) -> Result<Key, Error> {
        let found = self.run(|bucket| async move { bucket.get(&Bucket::shred(slot)).await })?;
        let body = zeroize::Zeroizing::new(found.ok_or(Error::Erased)?.body);
        let mut shred = zeroize::Zeroizing::new([0; KEY_BYTES]);
        if body.len() != KEY_BYTES {
            return Err(Error::Damaged("a shred has the wrong length"));
        }
        shred.copy_from_slice(&body);
        Ok(shred)
    }

    fn add(&self, accounts: &[Account], known: Known<'_>, make: Make<'_>) -> Result<(), Error> {
        // All that are known first, so that nobody is added beside one who may not be.
        let mut new: Vec<(usize, Account)> = Vec::new();
        for (at, accounts) in accounts.chunks(AT_ONCE).enumerate() {
            let asked = accounts.to_vec();
            let found = self.run(move |bucket| async move { bucket.people(&asked).await })?;
            for (offset, found) in found.into_iter().enumerate() {
                let index = at * AT_ONCE + offset;
                match found {
                    Some(found) => known(index, &Record::decode(&found.body)?)?,
                    None => new.push((index, accounts[offset])),
                }
            }
        }
        for new in new.chunks(AT_ONCE) {
            let mut rows = Vec::with_capacity(new.len());
            for (index, account) in new {
                let shred = keys::random()?;
                let mut slot = [0; 8];
                getrandom::fill(&mut slot).map_err(|_| Error::Random)?;
                let slot = u64::from_le_bytes(slot);
                let record = make(*index, slot, &shred)?;
                rows.push((*account, slot, shred, record.encode()));
            }
            let kept = self.run(move |bucket| async move { bucket.add(rows).await })?;
            for ((index, _), other) in new.iter().zip(kept) {
                // Somebody was faster, perhaps an earlier row of this very list.
                if let Some(other) = other {
                    known(*index, &Record::decode(&other)?)?;
                }
            }
        }
        Ok(())
    }

    fn erase(&self, account: Account, forget: &dyn Fn()) -> Result<bool, Error> {
        loop {
            let found = self.run(move |bucket| async move { bucket.get(&Bucket::person(&account)).await })?;
            let Value { sequence, body } = found.ok_or(Error::Unknown)?;
            let Record::Living { slot, .. } = Record::decode(&body)? else {
                return Ok(false);
            };
            // Told first: from here on the person is erased for everybody, whatever becomes of the rest.
            self.run(move |bucket| async move { bucket.put(&Bucket::erased(&account), Vec::new(), None).await })?;
            forget();
            self.run(move |bucket| async move { bucket.shred_for_good(slot).await })?;
            let tombstone = Record::Erased.encode();
            let left = self.run(move |bucket| async move {
                bucket.put(&Bucket::person(&account), tombstone, Some(sequence)).await
            })?;
            if left {
                // Nobody uses what was looked up before the last write for longer than this.
                std::thread::sleep(STALE_MAX);
                return Ok(true);
            }
        }
    }

    fn fresh(&self) -> Result<(), Error> {
        let until = Instant::now() + CALL_MAX;
        loop {
            let age = self.looks.age();
            if age.is_some_and(|age| age < STALE_MAX) {
                return Ok(());
            }
            // Away for long: told at once, so that callers do not queue up behind each other.
            let long = age.is_some_and(|age| age > STALE_MAX + CALL_MAX);
            if long || Instant::now() >= until {
                return Err(Error::Unreachable("erased users cannot be looked for".into()));
            }
            self.looks.wanted.notify_one();
            aside(|| std::thread::sleep(Duration::from_millis(5)));
        }
    }
}
