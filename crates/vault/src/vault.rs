//! The vault itself: register, seal, open, digest, destroy. Every write is durable when it returns.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use zeroize::Zeroizing;

use crate::cache::Cache;
use crate::keys::{self, KEY_BYTES, Key, UserKeys};
use crate::people::{Person, Record};
use crate::shreds::{Shreds, private_file};
use crate::{Account, Error, MasterKey, master, sealed};

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const PEOPLE: TableDefinition<'_, &Account, &[u8]> = TableDefinition::new("people");

/// Row of `META`: the ledger-wide random secret, sealed under the master key. Opening it proves the master key.
const LEDGER_SECRET: &str = "ledger secret";
/// Owner of what belongs to the vault and not to an account.
const NOBODY: Account = [0; 16];
/// redb's page cache, in bytes.
const PAGE_CACHE_BYTES: usize = 32 * 1024 * 1024;

/// Contexts of the vault's own sealed values, each under a key of its own, apart from what callers seal.
const WAY_BACK: &str = "way back";
const DATA_KEY: &str = "data key";

/// The vault of one ledger. Cheap to clone; calls block for a read of the database at most, except [`Vault::register`],
/// [`Vault::register_all`] and [`Vault::destroy`], which wait for the disk.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    database: Database,
    shreds: Shreds,
    /// Together with a user's shred it makes the key that wraps the user's data key.
    wrapping: Key,
    pseudonyms: Key,
    cache: Cache,
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
        let secret = ledger_secret(&database, &shreds, master)?;
        Ok(Self(Arc::new(Inner {
            database,
            shreds,
            wrapping: master.derive("florin vault 2026 wrap user key v1"),
            pseudonyms: keys::derive("florin vault 2026 pseudonym v1", &secret),
            cache: Cache::new(),
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

    /// Registers many users with two syncs in all: every one of them, or on an error none.
    pub fn register_all(&self, people: &[(Account, &str, &str)]) -> Result<(), Error> {
        let transaction = self.0.database.begin_write().map_err(Error::database)?;
        {
            let mut table = transaction.open_table(PEOPLE).map_err(Error::database)?;
            let shreds = people.iter().map(|_| keys::random()).collect::<Result<Vec<_>, _>>()?;
            // Shreds first: a crash in between wastes slots, and never leaves a record without its shred.
            let mut appended = None;
            for (index, (account, company, user)) in people.iter().enumerate() {
                let way_back = Person::encode(company, user)?;
                let known = match table.get(account).map_err(Error::database)? {
                    Some(row) => Some(Record::decode(row.value())?),
                    None => None,
                };
                if let Some(record) = known {
                    self.0.expect_same(*account, &record, &way_back)?;
                    continue;
                }
                let first = match appended {
                    Some(first) => first,
                    None => *appended.insert(self.0.shreds.append(&shreds)?),
                };
                let slot = first + index as u64;
                let record = self.0.new_record(*account, slot, &shreds[index], &way_back)?;
                table.insert(account, record.encode().as_slice()).map_err(Error::database)?;
            }
        }
        transaction.commit().map_err(Error::database)
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
    /// A call that already holds the key finishes; every later one is [`Error::Erased`].
    pub fn destroy(&self, account: Account) -> Result<bool, Error> {
        let transaction = self.0.database.begin_write().map_err(Error::database)?;
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
            self.0.shreds.destroy(slot)?;
            self.0.cache.forget(account);
            table.insert(&account, Record::Erased.encode().as_slice()).map_err(Error::database)?;
        }
        transaction.commit().map_err(Error::database)?;
        Ok(true)
    }
}

impl Inner {
    fn user(&self, account: Account) -> Result<Arc<UserKeys>, Error> {
        self.cache.get_or_load(account, || {
            let data = self.unwrap(account, &self.record(account)?)?;
            Ok(UserKeys::derive(&data))
        })
    }

    fn record(&self, account: Account) -> Result<Record, Error> {
        let transaction = self.database.begin_read().map_err(Error::database)?;
        let table = transaction.open_table(PEOPLE).map_err(Error::database)?;
        let row = table.get(&account).map_err(Error::database)?;
        Record::decode(row.ok_or(Error::Unknown)?.value())
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

    fn unwrap(&self, account: Account, record: &Record) -> Result<Key, Error> {
        let Record::Living { slot, wrapped, .. } = record else {
            return Err(Error::Erased);
        };
        let wrapping = self.wrapping_key(account, &self.shreds.read(*slot)?);
        to_key(&sealed::open(&wrapping, &account, DATA_KEY, wrapped)?)
    }

    fn wrapping_key(&self, account: Account, shred: &Key) -> Key {
        keys::keyed(&self.wrapping, &[&account, shred.as_slice()])
    }
}

/// Reads the ledger secret, or makes it in a vault that has nothing yet.
fn ledger_secret(database: &Database, shreds: &Shreds, master: &MasterKey) -> Result<Key, Error> {
    let wrapping = master.derive("florin vault 2026 wrap ledger secret v1");
    let transaction = database.begin_write().map_err(Error::database)?;
    let secret = {
        transaction.open_table(PEOPLE).map_err(Error::database)?;
        let mut table = transaction.open_table(META).map_err(Error::database)?;
        let stored = table.get(LEDGER_SECRET).map_err(Error::database)?;
        let stored = stored.map(|row| row.value().to_vec());
        match stored {
            Some(stored) => match sealed::open(&wrapping, &NOBODY, LEDGER_SECRET, &stored) {
                Ok(secret) => to_key(&secret)?,
                Err(Error::Damaged(_)) => return Err(Error::WrongMasterKey),
                Err(error) => return Err(error),
            },
            None if shreds.count()? > 0 => {
                return Err(Error::Damaged("the vault has users and no ledger secret"));
            }
            None => {
                let secret = keys::random()?;
                let sealed = sealed::seal(&wrapping, &NOBODY, LEDGER_SECRET, secret.as_slice())?;
                table.insert(LEDGER_SECRET, sealed.as_slice()).map_err(Error::database)?;
                secret
            }
        }
    };
    transaction.commit().map_err(Error::database)?;
    Ok(secret)
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

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".shreds");
    PathBuf::from(name)
}
