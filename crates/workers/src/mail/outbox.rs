//! The outbox: appeals whose e-mail is not recorded yet, and how far each partition is followed; in a redb file of one process,
//! or in a bucket that several share, of which each knows what it holds.
//!
//! ```text
//! letter  := version u8 = 1 · state u8 · account [16] · card [16] · number u64 · position u64 · tries u32 · next_ms u64
//! reached := record index u64 · record hash [32]                                             (integers little-endian)
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::Client;
use florin_engine::ids::{AccountId, AppealId, CardId, Position};
use florin_engine::terms::EmailStatus;
use florin_journal::{Hash, LedgerId};
use redb::{Database, ReadableTable, TableDefinition};
use tokio::sync::Notify;

use super::shared::Shared;
use super::{Error, LETTERS_MAX};
use crate::queue::Checkpoint;

/// Appeal → stored letter.
const LETTERS: TableDefinition<'_, [u8; 16], [u8; LETTER_BYTES]> = TableDefinition::new("letters");
/// Partition → record index and hash.
const REACHED: TableDefinition<'_, u16, [u8; 40]> = TableDefinition::new("reached");
/// One row: the ledger's id.
const LEDGER: TableDefinition<'_, (), [u8; 16]> = TableDefinition::new("ledger");

const VERSION: u8 = 1;
pub(super) const LETTER_BYTES: usize = 1 + 1 + 16 + 16 + 8 + 8 + 4 + 8;

/// An appeal whose e-mail is not recorded yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) appeal: AppealId,
    /// What became of it: [`EmailStatus::Queued`], or what is still to be recorded.
    pub(super) state: EmailStatus,
    pub(super) account: AccountId,
    pub(super) card: CardId,
    pub(super) number: u64,
    /// The entry that holds the message.
    pub(super) position: Position,
    pub(super) tries: u32,
    /// When it is tried next, ms since 1970.
    pub(super) next_ms: u64,
}

impl Letter {
    pub(super) const fn partition(&self) -> u16 {
        self.account.partition()
    }

    pub(super) fn encode(&self) -> [u8; LETTER_BYTES] {
        let mut bytes = [0; LETTER_BYTES];
        bytes[..2].copy_from_slice(&[VERSION, self.state.code()]);
        bytes[2..18].copy_from_slice(&self.account.0);
        bytes[18..34].copy_from_slice(&self.card.0);
        bytes[34..42].copy_from_slice(&self.number.to_le_bytes());
        bytes[42..50].copy_from_slice(&self.position.0.to_le_bytes());
        bytes[50..54].copy_from_slice(&self.tries.to_le_bytes());
        bytes[54..].copy_from_slice(&self.next_ms.to_le_bytes());
        bytes
    }

    pub(super) fn decode(appeal: [u8; 16], bytes: &[u8; LETTER_BYTES]) -> Option<Self> {
        let state = match (bytes[0], bytes[1]) {
            (VERSION, 1) => EmailStatus::Queued,
            (VERSION, 2) => EmailStatus::Sent,
            (VERSION, 3) => EmailStatus::Failed,
            _ => return None,
        };
        Some(Self {
            appeal: AppealId(appeal),
            state,
            account: AccountId(bytes[2..18].try_into().ok()?),
            card: CardId(bytes[18..34].try_into().ok()?),
            number: u64::from_le_bytes(bytes[34..42].try_into().ok()?),
            position: Position(u64::from_le_bytes(bytes[42..50].try_into().ok()?)),
            tries: u32::from_le_bytes(bytes[50..54].try_into().ok()?),
            next_ms: u64::from_le_bytes(bytes[54..].try_into().ok()?),
        })
    }
}

#[derive(Default)]
struct Known {
    letters: BTreeMap<AppealId, Letter>,
    reached: BTreeMap<u16, Checkpoint>,
    /// Partitions that are this process's.
    mine: BTreeSet<u16>,
    /// Partitions that were followed to their end since the start: only then is it known what is recorded already.
    whole: BTreeSet<u16>,
}

/// Where it is kept.
#[derive(Clone)]
enum Shelf {
    File(Arc<Database>),
    Shared(Shared),
}

/// The outbox. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    shelf: Shelf,
    known: Arc<Mutex<Known>>,
    changed: Arc<Notify>,
}

impl Outbox {
    /// Opens the outbox, or makes it. Of another ledger, or damaged, it is an error: move it away, and what is not recorded
    /// is found again in the journal.
    pub fn open(path: &Path, ledger: LedgerId) -> Result<Self, Error> {
        let file = Database::create(path).map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => Error::Locked { path: path.to_owned() },
            other => storage("opening it")(other),
        })?;
        let (before, known) = load(&file, ledger).map_err(storage("opening it"))?;
        if before.is_some_and(|before| before != ledger.0) {
            return Err(storage("opening it")(format!("{} is another ledger's", path.display())));
        }
        Ok(Self::of(Shelf::File(Arc::new(file)), known))
    }

    /// Opens the outbox that the processes of the ledger called `name` share, or makes it.
    pub async fn shared(client: Client, name: &str, ledger: LedgerId, replicas: usize) -> Result<Self, Error> {
        let shared = Shared::open(client, name, ledger, replicas).await?;
        let reached = shared.reached().await?.into_iter().collect();
        Ok(Self::of(Shelf::Shared(shared), Known { reached, ..Known::default() }))
    }

    fn of(shelf: Shelf, known: Known) -> Self {
        Self { shelf, known: Arc::new(Mutex::new(known)), changed: Arc::new(Notify::new()) }
    }

    /// Looks how far other processes have followed what is not held here. For who only shows it.
    pub async fn look(&self) -> Result<(), Error> {
        if let Shelf::Shared(shared) = &self.shelf {
            let reached = shared.reached().await?;
            let mut known = self.known();
            let known = &mut *known;
            let others = reached.into_iter().filter(|(partition, _)| !known.mine.contains(partition));
            known.reached.extend(others);
        }
        Ok(())
    }

    /// A partition is this process's: what others left of it is read.
    pub(super) async fn gain(&self, partition: u16) -> Result<(), Error> {
        self.lose(partition);
        if let Shelf::Shared(shared) = &self.shelf {
            let (letters, reached) = shared.load(partition).await?;
            let mut known = self.known();
            known.letters.extend(letters.into_iter().map(|letter| (letter.appeal, letter)));
            match reached {
                Some(reached) => known.reached.insert(partition, reached),
                None => known.reached.remove(&partition),
            };
        }
        self.known().mine.insert(partition);
        Ok(())
    }

    /// A partition is not this process's any more, or it is about to be read anew.
    pub(super) fn lose(&self, partition: u16) {
        let mut known = self.known();
        known.mine.remove(&partition);
        if let Shelf::Shared(_) = &self.shelf {
            known.letters.retain(|_, letter| letter.partition() != partition);
        }
        drop(known);
        self.whole(partition, false);
    }

    /// How far a partition is followed; `None`: not at all.
    pub fn reached(&self, partition: u16) -> Option<Checkpoint> {
        self.known().reached.get(&partition).copied()
    }

    /// Appeals whose e-mail is not recorded yet.
    pub fn len(&self) -> usize {
        self.known().letters.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn full(&self) -> bool {
        self.len() >= LETTERS_MAX
    }

    /// Says that a partition was followed to its end.
    pub(super) fn whole(&self, partition: u16, whole: bool) {
        let mut known = self.known();
        if whole {
            known.whole.insert(partition)
        } else {
            known.whole.remove(&partition)
        };
        drop(known);
        self.changed.notify_one();
    }

    /// Resolves when something may have changed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The letter that is due first, of partitions that were followed to their end.
    pub(super) fn first(&self, held: &BTreeSet<u16>) -> Option<Letter> {
        let known = self.known();
        let mine = |letter: &&Letter| held.contains(&letter.partition()) && known.whole.contains(&letter.partition());
        known.letters.values().filter(mine).min_by_key(|letter| (letter.next_ms, letter.position.0)).copied()
    }

    /// Keeps what a stretch of the journal brought: new letters, recorded ones, and how far it was read. Durable on return.
    pub(super) async fn follow(
        &self,
        partition: u16,
        opened: Vec<Letter>,
        recorded: Vec<AppealId>,
        checkpoint: Checkpoint,
    ) -> Result<(), Error> {
        if let Shelf::Shared(shared) = &self.shelf {
            shared.follow(partition, &opened, &recorded, checkpoint).await?;
        }
        let rows: Vec<_> = opened.iter().map(|letter| (letter.appeal.0, letter.encode())).collect();
        let gone = recorded.clone();
        self.write(move |transaction| {
            let mut letters = transaction.open_table(LETTERS)?;
            for (appeal, bytes) in rows {
                letters.insert(appeal, bytes)?;
            }
            for appeal in gone {
                letters.remove(appeal.0)?;
            }
            transaction.open_table(REACHED)?.insert(partition, checkpoint_bytes(checkpoint))?;
            Ok(())
        })
        .await?;
        let mut known = self.known();
        known.letters.extend(opened.into_iter().map(|letter| (letter.appeal, letter)));
        for appeal in recorded {
            known.letters.remove(&appeal);
        }
        known.reached.insert(partition, checkpoint);
        drop(known);
        self.changed.notify_one();
        Ok(())
    }

    /// Keeps a letter as it now is, unless it was recorded meanwhile. Durable on return.
    pub(super) async fn keep(&self, letter: Letter) -> Result<(), Error> {
        let (appeal, bytes) = (letter.appeal, letter.encode());
        if let Shelf::Shared(shared) = &self.shelf
            && self.known().letters.contains_key(&appeal)
        {
            shared.keep(&letter).await?;
        }
        self.write(move |transaction| {
            let mut letters = transaction.open_table(LETTERS)?;
            if letters.get(appeal.0)?.is_some() {
                letters.insert(appeal.0, bytes)?;
            }
            Ok(())
        })
        .await?;
        if let Some(known) = self.known().letters.get_mut(&appeal) {
            *known = letter;
        }
        Ok(())
    }

    /// Takes a letter out: what became of it is in the journal.
    pub(super) async fn done(&self, appeal: AppealId) -> Result<(), Error> {
        let partition = self.known().letters.get(&appeal).map(Letter::partition);
        if let (Shelf::Shared(shared), Some(partition)) = (&self.shelf, partition) {
            shared.remove(partition, appeal).await?;
        }
        self.write(move |transaction| {
            transaction.open_table(LETTERS)?.remove(appeal.0)?;
            Ok(())
        })
        .await?;
        self.known().letters.remove(&appeal);
        Ok(())
    }

    /// Writes to the file, if that is where it is kept.
    async fn write(
        &self,
        change: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error> + Send + 'static,
    ) -> Result<(), Error> {
        let Shelf::File(file) = &self.shelf else { return Ok(()) };
        let file = Arc::clone(file);
        let written = tokio::task::spawn_blocking(move || -> Result<(), redb::Error> {
            let transaction = file.begin_write()?;
            change(&transaction)?;
            transaction.commit()?;
            Ok(())
        });
        written.await?.map_err(storage("keeping letters"))
    }
}

/// Makes the tables and reads them; the ledger that the file was of.
fn load(file: &Database, ledger: LedgerId) -> Result<(Option<[u8; 16]>, Known), redb::Error> {
    let mut known = Known::default();
    let transaction = file.begin_write()?;
    let before;
    {
        for row in transaction.open_table(LETTERS)?.iter()? {
            let (appeal, bytes) = row?;
            let letter = Letter::decode(appeal.value(), &bytes.value());
            let letter = letter.ok_or_else(|| redb::Error::Corrupted("a letter cannot be read".into()))?;
            known.letters.insert(letter.appeal, letter);
        }
        for row in transaction.open_table(REACHED)?.iter()? {
            let (partition, bytes) = row?;
            known.reached.insert(partition.value(), checkpoint_of(bytes.value()));
        }
        let mut ledgers = transaction.open_table(LEDGER)?;
        before = ledgers.get(())?.map(|row| row.value());
        if before.is_none() {
            ledgers.insert((), ledger.0)?;
        }
    }
    transaction.commit()?;
    Ok((before, known))
}

pub(super) fn checkpoint_bytes(checkpoint: Checkpoint) -> [u8; 40] {
    let mut bytes = [0; 40];
    bytes[..8].copy_from_slice(&checkpoint.index.to_le_bytes());
    bytes[8..].copy_from_slice(&checkpoint.hash.0);
    bytes
}

pub(super) fn checkpoint_of(bytes: [u8; 40]) -> Checkpoint {
    let (mut index, mut hash) = ([0; 8], [0; 32]);
    index.copy_from_slice(&bytes[..8]);
    hash.copy_from_slice(&bytes[8..]);
    Checkpoint { index: u64::from_le_bytes(index), hash: Hash(hash) }
}

pub(super) fn storage<E: Into<Box<dyn std::error::Error + Send + Sync>>>(doing: &'static str) -> impl Fn(E) -> Error {
    move |source| Error::Storage { doing, source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_letter_is_what_it_always_was() {
        let letter = Letter {
            appeal: AppealId([9; 16]),
            state: EmailStatus::Sent,
            account: AccountId([1; 16]),
            card: CardId([2; 16]),
            number: 3,
            position: Position(0x0102),
            tries: 4,
            next_ms: 5,
        };
        let golden = [
            &[1, 2][..],
            &[1; 16],
            &[2; 16],
            &[3, 0, 0, 0, 0, 0, 0, 0],
            &[2, 1, 0, 0, 0, 0, 0, 0],
            &[4, 0, 0, 0],
            &[5, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        assert_eq!(letter.encode().as_slice(), golden);
        assert_eq!(Letter::decode([9; 16], &letter.encode()), Some(letter));
    }

    #[test]
    fn the_stored_position_is_what_it_always_was() {
        let checkpoint = Checkpoint { index: 0x0102, hash: Hash([7; 32]) };
        let golden = [&[2, 1, 0, 0, 0, 0, 0, 0][..], &[7; 32]].concat();
        assert_eq!(checkpoint_bytes(checkpoint).as_slice(), golden);
        assert_eq!(checkpoint_of(checkpoint_bytes(checkpoint)), checkpoint);
    }
}
