//! The fold: what each event does to the views. The `match` in [`Fold::event`] is the table of contents.
//!
//! Driven by events alone. Balances and ledger accounts follow the engine's own postings, so that there is one place
//! that knows what an event posts. An entry is applied once: its position says whether it has been.

mod lifecycle;
mod money;
mod people;
mod purchases;
mod words;

use std::time::Duration;

use florin_engine::{
    codec::{Entry, Outcome},
    command::Class,
    event::Event,
    ids::{AccountId, CardId, Position},
    postings::Posting,
};
use florin_journal::{Kind, Record};

use crate::{
    Error, Views,
    batch::Batch,
    behind::Behind,
    cards::CardRow,
    checkpoint::{Checkpoint, SCHEMA},
    due::Seen,
    history::{self, HistoryRow},
    key::Place,
    policies::PolicyRow,
    row::Row,
};

/// The follower of one partition, between two batches.
pub(crate) struct Fold {
    views: Views,
    partition: u16,
    batch: Batch,
    behind: Behind,
    postings: Vec<Posting>,
    /// Adopted in this batch; shown to readers once it is written.
    adopted: Vec<PolicyRow>,
    /// The card that the event at hand changes, as it was before.
    touched: Option<Seen>,
    /// How far the batch in the making goes.
    seen: Option<Checkpoint>,
    /// Whether anything of `seen` is not yet written.
    gathered: bool,
}

/// The event that is being applied.
#[derive(Clone, Copy)]
struct At {
    account: AccountId,
    position: Position,
    time_ms: u64,
    class: Class,
    actor: u64,
    policy: u32,
    /// Its number within the entry.
    event: u32,
}

impl At {
    const fn place(&self) -> Place {
        Place { position: self.position, event: self.event }
    }
}

impl Fold {
    /// Goes on where the views stopped.
    pub(crate) fn resume(views: &Views, partition: u16) -> Result<Self, Error> {
        Ok(Self {
            views: views.clone(),
            partition,
            batch: Batch::new(views.0.store.clone()),
            behind: Behind::start(views, partition)?,
            postings: Vec::new(),
            adopted: Vec::new(),
            touched: None,
            seen: views.checkpoint(partition)?,
            gathered: false,
        })
    }

    /// Index of the record that comes next.
    pub(crate) fn next_index(&self) -> u64 {
        self.seen.map_or(0, |seen| seen.next().0)
    }

    /// Applies a record, in several batches if it is large. What is left is written with the next record, or by
    /// [`write`](Self::write). A record that was applied before is passed over.
    pub(crate) fn record(&mut self, record: &Record) -> Result<(), Error> {
        let (expected, done) = self.seen.map_or((0, 0), |seen| seen.next());
        if record.index() < expected {
            return Ok(());
        }
        if record.index() > expected {
            return Err(Error::OutOfOrder { partition: self.partition, expected, found: record.index() });
        }
        let count = if record.kind() == Kind::Entries { record.len() } else { 0 };
        let mut seen = Checkpoint {
            schema: SCHEMA,
            ledger: self.views.0.meta.ledger,
            partition: self.partition,
            index: record.index(),
            hash: record.hash().0,
            entries: done,
            whole: false,
            time_ms: record.first_time_ms(),
        };
        for (n, bytes) in (0_u32..).zip(record.entries().take(count)).skip(done as usize) {
            let position = Position::new(record.index(), n);
            let entry =
                Entry::decode(bytes).map_err(|source| Error::Entry { partition: self.partition, position, source })?;
            self.entry(position, &entry)?;
            seen.entries = n + 1;
            seen.time_ms = entry.admitted.time_ms;
            self.seen = Some(seen);
            self.gathered = true;
            if self.batch.rows() >= self.views.0.batch_rows_max {
                self.write()?;
            }
        }
        seen.whole = true;
        seen.time_ms = record.last_time_ms();
        self.seen = Some(seen);
        self.gathered = true;
        Ok(())
    }

    /// When [`pause`](Self::pause) has something to do; `None`: not before the next record.
    pub(crate) fn pause_in(&self) -> Option<Duration> {
        self.behind.pause_in()
    }

    /// Brings what was written to the store if it is time.
    pub(crate) fn pause(&mut self) -> Result<(), Error> {
        self.behind.pause()
    }

    /// Brings all that was written to the store.
    pub(crate) fn end(&mut self) -> Result<(), Error> {
        self.behind.end()
    }

    /// Writes what is gathered, with its checkpoint, and shows it.
    pub(crate) fn write(&mut self) -> Result<(), Error> {
        let (Some(seen), true) = (self.seen, self.gathered) else {
            return Ok(());
        };
        let (mut writes, rows) = self.batch.end()?;
        self.behind.take(&mut writes, seen)?;
        self.batch.use_again(writes);
        self.gathered = false;
        for policy in self.adopted.drain(..) {
            self.views.adopt(self.partition, policy);
        }
        self.views.publish(self.partition, &seen);
        metrics::counter!("florin_views_rows_total").increment(rows as u64);
        self.behind.pause()
    }

    fn entry(&mut self, position: Position, entry: &Entry) -> Result<(), Error> {
        let Outcome::Accepted(events) = &entry.outcome else {
            return Ok(());
        };
        let envelope = &entry.admitted.envelope;
        for (event, what) in (0_u32..).zip(events) {
            let at = At {
                account: envelope.account,
                position,
                time_ms: entry.admitted.time_ms,
                class: envelope.class,
                actor: envelope.actor,
                policy: entry.admitted.policy,
                event,
            };
            self.event(&at, what)?;
            self.post(&at, what)?;
            self.note(&at, what)?;
            self.due(&at)?;
        }
        Ok(())
    }

    fn event(&mut self, at: &At, event: &Event) -> Result<(), Error> {
        match event {
            Event::PolicyAdopted(e) => self.policy_adopted(e),
            Event::UserRegistered(e) => {
                self.user_registered(at, e);
                Ok(())
            }
            Event::VerificationSet(e) => self.verification_set(at, e),
            Event::InvoiceCreated(e) => {
                self.invoice_created(at, e);
                Ok(())
            }
            Event::InvoiceExpired(e) => self.invoice_expired(at, e),
            Event::CardRequestOpened(e) => {
                self.card_request_opened(at, e);
                Ok(())
            }
            Event::CardRequestDecided(e) => self.card_request_decided(at, e),
            Event::AppealOpened(e) => {
                self.appeal_opened(at, e);
                Ok(())
            }
            Event::AppealDecided(e) => self.appeal_decided(at, e),
            Event::AppealEmailed(e) => self.appeal_emailed(at, e),

            Event::Deposited(e) => self.deposited(at, e),
            Event::Withdrawn(e) => self.withdrawn(at, e),
            Event::WrittenOff(e) => self.written_off(at, e),
            Event::ToppedUp(e) => self.topped_up(at, e),
            Event::Unloaded(e) => self.unloaded(at, e),
            Event::Swept(e) => self.swept(at, e),

            Event::CardRequested(e) => self.card_requested(at, e),
            Event::CardIssued(e) => self.card_issued(at, e),
            Event::IssuanceFailed(e) => self.issuance_failed(at, e),
            Event::IssuanceAbandoned(e) => self.issuance_abandoned(at, e),
            Event::CardActivated(e) => self.card_activated(at, e),
            Event::ActivationFailed(e) => self.activation_failed(at, e),
            Event::StatusChangeRequested(e) => self.status_change_requested(at, e),
            Event::StatusChanged(e) => self.status_changed(at, e),
            Event::LimitsChangeRequested(e) => self.limits_change_requested(at, e),
            Event::LimitsChanged(e) => self.limits_changed(at, e),
            Event::ChangeRefused(e) => self.change_refused(at, e),
            Event::ChangeLapsed(e) => self.change_lapsed(at, e),
            Event::ChangeOverdue(e) => self.change_overdue(at, e),
            Event::ReconcileStarted(e) => self.reconcile_started(at, e),
            Event::Reconciled(e) => self.reconciled(at, e),
            Event::NoPinAmountSet(e) => self.no_pin_amount_set(at, e),
            Event::FraudCleared(e) => self.fraud_cleared(at, e),

            Event::Authorized(e) => self.authorized(at, e),
            Event::Declined(e) => self.declined(at, e),
            Event::AccountChecked(e) => self.account_checked(at, e),
            Event::HoldIncremented(e) => self.hold_incremented(at, e),
            Event::IncrementDeclined(e) => self.increment_declined(at, e),
            Event::Cleared(e) => self.cleared(at, e),
            Event::HoldReleased(e) => self.hold_released(at, e),
            Event::Refunded(e) => self.refunded(at, e),
            Event::ForcePosted(e) => self.force_posted(at, e),

            // Nothing that a view shows, beside the history of the card.
            Event::Checkpointed(_)
            | Event::Overdrawn(_)
            | Event::SettlementIgnored(_)
            | Event::ReversalRemembered(_)
            | Event::Revealed(_) => Ok(()),
        }
    }

    /// Adds a step to a card's history.
    fn note(&mut self, at: &At, event: &Event) -> Result<(), Error> {
        let Some((card, words)) = words::of(event) else {
            return Ok(());
        };
        let step = HistoryRow {
            position: at.position,
            time_ms: at.time_ms,
            class: at.class,
            actor: at.actor,
            event: event.name().into(),
            words,
        };
        self.batch.put(history::key(card, at.position, at.event), &step)
    }

    /// Notes what the company is to be told of the card that the event has changed. An event changes one card at most.
    fn due(&mut self, at: &At) -> Result<(), Error> {
        let Some(before) = self.touched.take() else {
            return Ok(());
        };
        if !self.views.0.due || !self.views.keeps_due(at.position, self.partition, at.time_ms) {
            return Ok(());
        }
        let missing = self.missing::<CardRow>(at);
        let row = self.batch.cards.get(&self.batch.store, before.card())?.ok_or(missing)?;
        let due: Vec<_> = before.due(row, at.position, at.event, at.time_ms, at.policy).collect();
        for (key, row) in due {
            self.batch.put(key, &row)?;
        }
        Ok(())
    }

    /// The card to be changed, marked as changed by this entry.
    fn card(&mut self, at: &At, card: CardId) -> Result<&mut CardRow, Error> {
        let missing = self.missing::<CardRow>(at);
        let row = self.batch.cards.edit(&self.batch.store, card)?.ok_or(missing)?;
        self.touched.get_or_insert_with(|| Seen::of(row));
        row.updated_ms = at.time_ms;
        row.position = at.position;
        Ok(row)
    }

    const fn missing<R: Row>(&self, at: &At) -> Error {
        Error::Missing { table: R::NAME, partition: self.partition, position: at.position }
    }
}
