//! The fan-out of one partition: follows the journal and puts what the issuer must learn on the queue; and its sweeper,
//! which brings back what has no item.
//!
//! The position is stored with the items before it, never ahead of them. A queue that never knew a position begins at the
//! head: what is older, the sweeper brings. A journal without the record that the queue remembers has lost what was
//! acknowledged, and is an error.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use florin_engine::{
    codec::{ENTRY_HEAD_BYTES, Entry, Outcome},
    command::Command,
    event::Event,
    ids::{CardId, Position, RequestId, request_id},
};
use florin_journal::{Kind as RecordKind, PartitionId, Provider, Reader, Record};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use super::accounts::Accounts;
use super::standing::Standing;
use super::{Error, Options};
use crate::engine::Engine;
use crate::held::Held;
use crate::queue::{Checkpoint, Error as QueueError, Item, Kind, Queue};

/// Most items of one enqueueing.
const ITEMS_MAX: usize = 1_024;
/// Most records of one enqueueing.
const RECORDS_MAX: usize = 64;
/// How long a position without new items may go unstored: it costs a sync, and following the stretch again costs little.
const POSITION_AFTER: Duration = Duration::from_secs(10);
/// How long to wait for room in a full queue.
const FULL_WAIT: Duration = Duration::from_millis(200);

/// Codes of commands that move money or show something and never make work for the issuer: their entries are passed over
/// unread, as they are nearly all of a busy journal. Registering, verification, deposit, withdraw, write-off; invoices;
/// top-up, unload; authorizations with all that follows them; reveals. If one ever did, the sweeper would find its work.
const PASSED_OVER: [u16; 17] = [10, 11, 12, 13, 14, 20, 21, 50, 51, 60, 61, 62, 63, 64, 65, 66, 70];

pub(crate) struct Fanout<E, P, Q> {
    pub(crate) partition: u16,
    pub(crate) provider: P,
    pub(crate) queue: Q,
    pub(crate) standing: Arc<Standing<E>>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) options: Options,
}

impl<E: Engine, P: Provider, Q: Queue> Fanout<E, P, Q> {
    /// Follows and sweeps while the partition is held here, until told to stop. Two that do so at once, for a moment, do no
    /// harm: what both enqueue is there once.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
        let mut held = Held::new(self.options.partitions.clone());
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => Ok(()),
            ended = async {
                loop {
                    held.gained(self.partition).await;
                    tokio::select! {
                        ended = self.follow() => return ended,
                        () = held.lost(self.partition) => {
                            tracing::debug!(partition = self.partition, "the fan-out goes on elsewhere");
                        }
                    }
                }
            } => ended,
        }
    }

    async fn follow(&self) -> Result<(), Error> {
        let mut reader = self.provider.reader(PartitionId(self.partition), self.begin().await?).await?;
        let mut sweeps = tokio::time::interval(self.options.sweep_every);
        sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut items = Vec::new();
        let mut stored = Instant::now();
        loop {
            let record = tokio::select! {
                record = reader.next() => record?,
                _ = sweeps.tick() => {
                    self.sweep().await?;
                    continue;
                }
            };
            let mut last = checkpoint(&record);
            self.items_of(&record, &mut items)?;
            for _ in 1..RECORDS_MAX {
                if items.len() >= ITEMS_MAX {
                    break;
                }
                let Some(record) = reader.try_next().await? else { break };
                last = checkpoint(&record);
                self.items_of(&record, &mut items)?;
            }
            if !items.is_empty() || stored.elapsed() >= POSITION_AFTER {
                self.enqueue(std::mem::take(&mut items), Some((self.partition, last))).await?;
                stored = Instant::now();
            }
        }
    }

    /// The index of the first record to follow.
    async fn begin(&self) -> Result<u64, Error> {
        if let Some(checkpoint) = remembered(&self.provider, &self.queue, self.partition).await? {
            return Ok(checkpoint.index + 1);
        }
        let partition = PartitionId(self.partition);
        let head = self.provider.head(partition).await?;
        let checkpoint = Checkpoint { index: head.index, hash: head.hash };
        self.enqueue(Vec::new(), Some((self.partition, checkpoint))).await?;
        Ok(head.index + 1)
    }

    async fn enqueue(&self, items: Vec<Item>, reached: Option<(u16, Checkpoint)>) -> Result<usize, Error> {
        loop {
            match self.queue.enqueue(items.clone(), reached).await {
                Err(QueueError::Full { max }) => {
                    tracing::warn!(partition = self.partition, max, "the work queue is full: waiting for room");
                    tokio::time::sleep(FULL_WAIT).await;
                }
                Err(error) => return Err(error.into()),
                Ok(added) => {
                    metrics::counter!("florin_settlement_enqueued_total").increment(added as u64);
                    return Ok(added);
                }
            }
        }
    }

    /// Enqueues what stands and has no item, and takes away the dead letters of what no longer stands.
    async fn sweep(&self) -> Result<(), Error> {
        // The letters first: one that was dead before the listing and is not in it stands no longer.
        let letters = self.queue.letters().await?;
        let listing = match self.standing.all(self.partition).await {
            Ok(listing) => listing,
            Err(error) => {
                tracing::warn!(partition = self.partition, %error, "the sweep is put off");
                return Ok(());
            }
        };
        let items: Vec<Item> = listing.works.iter().map(|work| Item::of_work(self.partition, work)).collect();
        let standing: HashSet<_> = items.iter().map(Item::id).collect();
        for items in items.chunks(ITEMS_MAX) {
            for item in items {
                self.accounts.note(item.card, item.account);
            }
            let added = self.enqueue(items.to_vec(), None).await?;
            if added > 0 {
                tracing::debug!(partition = self.partition, added, "the sweeper brought work back");
            }
        }
        for letter in letters {
            let id = letter.item.id();
            if letter.item.partition != self.partition || standing.contains(&id) {
                continue;
            }
            if !listing.whole {
                // It may be among what is not told.
                match self.standing.of(letter.item.card, letter.item.request).await {
                    Ok(work) if !work.is_some_and(|work| letter.item.is(&work)) => {}
                    _ => continue,
                }
            }
            match self.queue.discard(id).await {
                Ok(()) => {
                    let reason = letter.death.reason;
                    tracing::info!(item = %id, reason, "a dead letter is settled otherwise and taken away");
                }
                // One that is being tried finds out for itself.
                Err(QueueError::NoLetter(_) | QueueError::Leased(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let depth = self.queue.depth().await?;
        metrics::gauge!("florin_settlement_items", "state" => "waiting").set(depth.waiting as f64);
        metrics::gauge!("florin_settlement_items", "state" => "leased").set(depth.leased as f64);
        metrics::gauge!("florin_settlement_items", "state" => "dead").set(depth.dead as f64);
        Ok(())
    }

    fn items_of(&self, record: &Record, items: &mut Vec<Item>) -> Result<(), Error> {
        if record.kind() != RecordKind::Entries {
            return Ok(());
        }
        for (number, bytes) in record.entries().enumerate() {
            if passed_over(bytes) {
                continue;
            }
            let position = Position::new(record.index(), u32::try_from(number).unwrap_or(u32::MAX));
            let entry =
                Entry::decode(bytes).map_err(|source| Error::Entry { partition: self.partition, position, source })?;
            let before = items.len();
            items_of_entry(self.partition, position, &entry, items);
            for item in &items[before..] {
                self.accounts.note(item.card, item.account);
            }
        }
        Ok(())
    }
}

/// What the queue remembers of a partition, once the journal is found to have it.
///
/// The queue is of this very ledger: one of another was emptied when it was opened.
pub(super) async fn remembered<P: Provider, Q: Queue>(
    provider: &P,
    queue: &Q,
    partition: u16,
) -> Result<Option<Checkpoint>, Error> {
    let reached = queue.reached(partition).await?;
    if let Some(checkpoint) = reached {
        provider.confirm(PartitionId(partition), checkpoint.index, checkpoint.hash).await?;
    }
    Ok(reached)
}

fn checkpoint(record: &Record) -> Checkpoint {
    Checkpoint { index: record.index(), hash: record.hash() }
}

fn passed_over(entry: &[u8]) -> bool {
    let code = entry.get(ENTRY_HEAD_BYTES..ENTRY_HEAD_BYTES + 2);
    code.is_some_and(|code| PASSED_OVER.contains(&u16::from_le_bytes([code[0], code[1]])))
}

/// The items that an entry asks for.
fn items_of_entry(partition: u16, position: Position, entry: &Entry, items: &mut Vec<Item>) {
    let Outcome::Accepted(events) = &entry.outcome else {
        return;
    };
    let envelope = &entry.admitted.envelope;
    let item = |kind: Kind, card: CardId, request: RequestId, change: u32| Item {
        kind,
        partition,
        account: envelope.account,
        card,
        request,
        change,
        position,
        since_ms: entry.admitted.time_ms,
    };
    for event in events {
        let found = match event {
            Event::CardRequested(event) => {
                item(Kind::Issue, event.card, request_id(event.card, event.change), event.change)
            }
            // The event names no request: the command that found the issuance past its time does.
            Event::IssuanceAbandoned(event) => match &envelope.command {
                Command::LapseChange(command) => item(Kind::Abandon, event.card, command.request, 1),
                _ => continue,
            },
            Event::StatusChangeRequested(event) => {
                item(Kind::Status, event.card, request_id(event.card, event.change), event.change)
            }
            Event::LimitsChangeRequested(event) => {
                item(Kind::Limits, event.card, request_id(event.card, event.change), event.change)
            }
            Event::ReconcileStarted(event) => {
                item(Kind::Assert, event.card, request_id(event.card, event.change), event.change)
            }
            _ => continue,
        };
        items.push(found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_engine::{
        command::{Admitted, Class, Command, Envelope, LapseChange, TopUp},
        event::{IssuanceAbandoned, ReconcileStarted},
        ids::{AccountId, Digest, Key},
        money::Minor,
        reject::{Reason, Reject},
    };

    const CARD: CardId = CardId([7; 16]);

    fn entry(command: Command, outcome: Outcome) -> Entry {
        let envelope = Envelope {
            account: AccountId([3; 16]),
            class: Class::Clock,
            actor: 0,
            key: Key([0; 16]),
            digest: Digest([0; 16]),
            dated_ms: 0,
            command,
        };
        Entry { admitted: Admitted { time_ms: 5, policy: 1, envelope }, outcome }
    }

    fn lapse() -> Command {
        LapseChange { card: CARD, request: request_id(CARD, 1) }.into()
    }

    fn items(entry: &Entry) -> Vec<Item> {
        let mut items = Vec::new();
        items_of_entry(0, Position::new(4, 2), entry, &mut items);
        items
    }

    #[test]
    fn an_abandoned_issuance_is_known_by_the_request_that_lapsed() {
        let events = vec![IssuanceAbandoned { card: CARD }.into()];
        let found = items(&entry(lapse(), Outcome::Accepted(events)));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].id().to_string(), format!("{}:abandon", request_id(CARD, 1)));
        assert_eq!((found[0].position, found[0].since_ms), (Position::new(4, 2), 5));
    }

    #[test]
    fn what_was_rejected_asks_for_nothing() {
        let rejected = Outcome::Rejected(Reject::new(Reason::NotDue));
        assert_eq!(items(&entry(lapse(), rejected)), []);
    }

    #[test]
    fn entries_that_only_move_money_are_passed_over_and_no_others() {
        let bytes = |entry: &Entry| {
            let mut bytes = Vec::new();
            entry.encode(&mut bytes);
            bytes
        };
        let top_up = TopUp { card: CARD, amount: Minor(5) }.into();
        assert!(passed_over(&bytes(&entry(top_up, Outcome::Accepted(Vec::new())))));
        let events = vec![ReconcileStarted { card: CARD, change: 2 }.into()];
        assert!(!passed_over(&bytes(&entry(lapse(), Outcome::Accepted(events)))));
        assert!(!passed_over(&[]), "what is too short is left to the decoder");
    }
}
