//! The vault itself: register, seal, open, digest, destroy. Every write is durable when it returns.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::cache::Cache;
use crate::keys::{self, KEY_BYTES, Key, UserKeys};
use crate::nats;
use crate::people::{Person, Record};
use crate::store::{Local, Store};
use crate::{Account, Error, MasterKey, sealed};

/// Context of the ledger-wide random secret, sealed under the master key. Opening it proves the master key.
const LEDGER_SECRET: &str = "ledger secret";
/// Owner of what belongs to the vault and not to an account.
const NOBODY: Account = [0; 16];

/// Contexts of the vault's own sealed values, each under a key of its own, apart from what callers seal.
const WAY_BACK: &str = "way back";
pub(crate) const DATA_KEY: &str = "data key";

/// The vault of one ledger. Cheap to clone; calls block for a read of the store at most, except [`Vault::register`],
/// [`Vault::register_all`] and [`Vault::destroy`], which wait for what they write. None of them needs the caller's runtime to go on
/// meanwhile, so that they may be called from its threads.
#[derive(Clone)]
pub struct Vault(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Box<dyn Store>,
    /// Together with a user's shred it makes the key that wraps the user's data key.
    wrapping: Key,
    pseudonyms: Key,
    cache: Arc<Cache>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").finish_non_exhaustive()
    }
}

impl Vault {
    /// Opens the vault at `path` (and `path` + `.shreds`), or makes it when neither file is there.
    ///
    /// # Errors
    /// [`Error::WrongMasterKey`] when it was made with another key, [`Error::Incomplete`] when one of the two files is missing,
    /// [`Error::Database`] when another process holds it.
    pub fn open(path: &Path, master: &MasterKey) -> Result<Self, Error> {
        Self::over(Box::new(Local::open(path)?), Arc::new(Cache::new()), master)
    }

    /// Opens the vault of a ledger on NATS, which any number of processes share; see [`crate::nats`]. It keeps a connection of its
    /// own, on threads of its own.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is none, [`Error::WrongMasterKey`], [`Error::Unreachable`].
    pub fn open_nats(connection: nats::Connection, name: &str, master: &MasterKey) -> Result<Self, Error> {
        let cache = Arc::new(Cache::new());
        Self::over(Box::new(nats::Shared::open(connection, name, &cache)?), cache, master)
    }

    /// Makes the vault of a new ledger on NATS; one that is there already is opened.
    ///
    /// # Errors
    /// As [`Vault::open_nats`].
    pub fn create_nats(connection: nats::Connection, name: &str, master: &MasterKey) -> Result<Self, Error> {
        let cache = Arc::new(Cache::new());
        Self::over(Box::new(nats::Shared::create(connection, name, &cache)?), cache, master)
    }

    /// Copies everybody to the vault of a ledger on NATS, which is made; how many there are. See [`crate::nats`].
    ///
    /// # Errors
    /// As [`Vault::open_nats`], and [`Error::Taken`] when another ledger's vault is there.
    pub fn copy_to_nats(&self, connection: nats::Connection, name: &str, master: &MasterKey) -> Result<u64, Error> {
        let target = nats::Shared::create(connection, name, &Arc::new(Cache::new()))?;
        self.copy_into(&target, master)
    }

    /// Copies everybody to a vault at `path`, which is made; how many there are.
    ///
    /// # Errors
    /// As [`Vault::open`], and [`Error::Taken`] when another ledger's vault is there.
    pub fn copy_to_file(&self, path: &Path, master: &MasterKey) -> Result<u64, Error> {
        self.copy_into(&Local::open(path)?, master)
    }

    fn over(store: Box<dyn Store>, cache: Arc<Cache>, master: &MasterKey) -> Result<Self, Error> {
        let secret = ledger_secret(&*store, master)?;
        Ok(Self(Arc::new(Inner {
            store,
            wrapping: master.derive("florin vault 2026 wrap user key v1"),
            pseudonyms: keys::derive("florin vault 2026 pseudonym v1", &secret),
            cache,
        })))
    }

    /// The pseudonym of a user: the same for the same company and user in this ledger, and without the ledger's secret
    /// not to be told from random bytes, so that a journal alone links nobody.
    pub fn pseudonym(&self, company: &str, user: &str) -> Account {
        let parts = [company.as_bytes(), user.as_bytes()];
        keys::first_16(&keys::keyed(&self.0.pseudonyms, &parts))
    }

    /// Makes the user's data key and remembers the way back. Idempotent for the same three.
    ///
    /// # Errors
    /// [`Error::Taken`] when the account is somebody else's, [`Error::Erased`] when its key was destroyed.
    pub fn register(&self, account: Account, company: &str, user: &str) -> Result<(), Error> {
        self.register_all(&[(account, company, user)])
    }

    /// Registers many users at once: every one of them, or on an error none (on NATS, unless another process registers one of
    /// them at the same moment).
    pub fn register_all(&self, people: &[(Account, &str, &str)]) -> Result<(), Error> {
        let way_backs =
            people.iter().map(|(_, company, user)| Person::encode(company, user)).collect::<Result<Vec<_>, _>>()?;
        let accounts: Vec<Account> = people.iter().map(|(account, ..)| *account).collect();
        self.0.store.add(
            &accounts,
            &|index, record| self.0.expect_same(accounts[index], record, &way_backs[index]),
            &|index, slot, shred| self.0.new_record(accounts[index], slot, shred, &way_backs[index]),
        )
    }

    /// Whom the account belongs to; `None` when it is unknown or was erased.
    pub fn way_back(&self, account: Account) -> Result<Option<Person>, Error> {
        let record = match self.0.record(account) {
            Ok(record) => record,
            Err(Error::Unknown) => return Ok(None),
            Err(error) => return Err(error),
        };
        match self.0.person(account, &record) {
            Ok(bytes) => Person::decode(&bytes).map(Some),
            Err(Error::Erased) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Seals personal data under the user's key; see [`crate::sealed`] for the bytes. `context` says what it is and
    /// must be the same when opening.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Erased`], and [`Error::TooLong`] above [`crate::MAX_PLAINTEXT`].
    pub fn seal(&self, account: Account, context: &'static str, plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        sealed::seal(&self.0.user(account)?.seal, &account, context, plaintext)
    }

    /// Opens what [`Vault::seal`] made.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Erased`], [`Error::Damaged`] and [`Error::Version`], each its own case.
    pub fn open_sealed(
        &self,
        account: Account,
        context: &'static str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        sealed::open(&self.0.user(account)?.seal, &account, context, sealed)
    }

    /// Keyed digest of a canonical content. Once the key is destroyed nobody can test a guess against it.
    pub fn digest(&self, account: Account, content: &[u8]) -> Result<[u8; 16], Error> {
        let keys = self.0.user(account)?;
        Ok(keys::first_16(&keys::keyed(&keys.digest, &[content])))
    }

    /// Destroys the user's key and the way back for ever; a tombstone stays. `false` when that had been done before.
    ///
    /// A call that already holds the key finishes; every later one is [`Error::Erased`]: here at once, in other processes that
    /// share the vault before this returns, which there takes some seconds.
    pub fn destroy(&self, account: Account) -> Result<bool, Error> {
        self.0.store.erase(account, &|| self.0.cache.forget(account))
    }
}

impl Inner {
    fn user(&self, account: Account) -> Result<Arc<UserKeys>, Error> {
        self.store.fresh()?;
        if let Some(keys) = self.cache.at_hand(account) {
            return Ok(keys);
        }
        nats::aside(|| {
            self.cache.get_or_load(account, || {
                let data = self.unwrap(account, &self.record(account)?)?;
                Ok(UserKeys::derive(&data))
            })
        })
    }

    pub(crate) fn record(&self, account: Account) -> Result<Record, Error> {
        self.store.record(account)?.ok_or(Error::Unknown)
    }

    fn new_record(&self, account: Account, slot: u64, shred: &Key, way_back: &[u8]) -> Result<Record, Error> {
        let data = keys::random()?;
        let wrapping = self.wrapping_key(account, shred);
        Ok(Record::Living {
            slot,
            wrapped: sealed::seal(&wrapping, &account, DATA_KEY, data.as_slice())?,
            way_back: sealed::seal(&way_back_key(&data), &account, WAY_BACK, way_back)?,
        })
    }

    fn expect_same(&self, account: Account, record: &Record, way_back: &[u8]) -> Result<(), Error> {
        if self.person(account, record)?.as_slice() == way_back { Ok(()) } else { Err(Error::Taken) }
    }

    /// The plaintext of the way back.
    fn person(&self, account: Account, record: &Record) -> Result<Zeroizing<Vec<u8>>, Error> {
        let data = self.unwrap(account, record)?;
        let Record::Living { way_back, .. } = record else {
            return Err(Error::Erased);
        };
        sealed::open(&way_back_key(&data), &account, WAY_BACK, way_back)
    }

    pub(crate) fn unwrap(&self, account: Account, record: &Record) -> Result<Key, Error> {
        let Record::Living { slot, wrapped, .. } = record else {
            return Err(Error::Erased);
        };
        let wrapping = self.wrapping_key(account, &self.store.shred(*slot)?);
        to_key(&sealed::open(&wrapping, &account, DATA_KEY, wrapped)?)
    }

    pub(crate) fn wrapping_key(&self, account: Account, shred: &Key) -> Key {
        keys::keyed(&self.wrapping, &[&account, shred.as_slice()])
    }
}

/// Reads the ledger secret, or makes it in a vault that has nothing yet.
fn ledger_secret(store: &dyn Store, master: &MasterKey) -> Result<Key, Error> {
    let wrapping = secret_key(master);
    let stored = store.secret(&|| {
        let secret = keys::random()?;
        sealed::seal(&wrapping, &NOBODY, LEDGER_SECRET, secret.as_slice())
    })?;
    open_secret(&stored, master)
}

/// Opens the ledger secret, which proves the master key.
pub(crate) fn open_secret(stored: &[u8], master: &MasterKey) -> Result<Key, Error> {
    match sealed::open(&secret_key(master), &NOBODY, LEDGER_SECRET, stored) {
        Ok(secret) => to_key(&secret),
        Err(Error::Damaged(_)) => Err(Error::WrongMasterKey),
        Err(error) => Err(error),
    }
}

fn secret_key(master: &MasterKey) -> Key {
    master.derive("florin vault 2026 wrap ledger secret v1")
}

fn way_back_key(data: &Key) -> Key {
    keys::derive("florin vault 2026 user way back v1", data)
}

fn to_key(bytes: &[u8]) -> Result<Key, Error> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if bytes.len() != KEY_BYTES {
        return Err(Error::Damaged("a wrapped key has the wrong length"));
    }
    key.copy_from_slice(bytes);
    Ok(key)
}
