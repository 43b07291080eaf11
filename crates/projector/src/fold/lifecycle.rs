//! Cards: issuance, activation, changes of status and limits, reconciliation. Mirrors the engine's `evolve`.

use florin_engine::{
    command::Class,
    event::{
        ActivationFailed, CardActivated, CardIssued, CardRequested, ChangeLapsed, ChangeOverdue, ChangeRefused,
        FraudCleared, IssuanceAbandoned, IssuanceFailed, LimitsChangeRequested, LimitsChanged, NoPinAmountSet,
        ReconcileStarted, Reconciled, StatusChangeRequested, StatusChanged,
    },
    ids::{CardId, request_id},
    limits::Usage,
    money::Minor,
    terms::{Cause, Change, Status},
};

use super::{At, Fold};
use crate::{
    CardRow, Error, PendingKind, PendingRow,
    cards::{self, by_issuer_key, by_number_key, of_account_key},
    due::Seen,
};

impl Fold {
    pub(super) fn card_requested(&mut self, at: &At, e: &CardRequested) -> Result<(), Error> {
        let row = CardRow {
            card: e.card,
            account: at.account,
            company: self.company(at, at.account)?,
            number: e.number,
            programme: e.programme,
            kind: e.kind,
            funding: e.funding,
            currency: e.currency,
            status: Status::Requested,
            previous_status: None,
            before_closing: None,
            cause: if at.class == Class::Ops { Cause::Ops } else { Cause::User },
            fraud: false,
            activated: false,
            tries: 0,
            pending: None,
            reconcile: None,
            balance: Minor::ZERO,
            held: Minor::ZERO,
            first4: None,
            last4: None,
            expiry: None,
            issuer_card: None,
            limits: e.limits,
            no_pin: e.no_pin,
            usage: Usage::default(),
            profile: e.profile.clone(),
            provider: e.provider.clone(),
            invoice: e.invoice,
            created_ms: at.time_ms,
            updated_ms: at.time_ms,
            refusal: None,
            position: at.position,
            requested: (at.position, at.event),
        };
        self.touched = Some(Seen::new_card(&row));
        self.batch.cards.put(e.card, row.into());
        self.batch.point(of_account_key(at.account, at.time_ms, e.card), e.card.0);
        self.batch.point(by_number_key(e.number), e.card.0);
        self.wait(at, e.card, e.change, e.deadline_ms, PendingKind::Issue)?;
        self.invoice_used(at, e.invoice, Some(e.card))?;
        self.issue_lines(at, e)
    }

    pub(super) fn card_issued(&mut self, at: &At, e: &CardIssued) -> Result<(), Error> {
        let card = self.card(at, e.card)?;
        turn(card, Status::NotActivated, Cause::System);
        card.first4 = Some(e.issued.first4);
        card.last4 = Some(e.issued.last4);
        card.expiry = Some(e.issued.expiry);
        card.issuer_card = Some(e.issued.issuer_card.clone());
        self.batch.point(by_issuer_key(&e.issued.issuer_card), e.card.0);
        self.unwait(at, e.card)
    }

    pub(super) fn issuance_failed(&mut self, at: &At, e: &IssuanceFailed) -> Result<(), Error> {
        let card = self.card(at, e.card)?;
        turn(card, Status::Cancelled, Cause::Issuer);
        card.refusal = Some(e.refusal);
        self.unwait(at, e.card)?;
        self.invoice_used(at, e.invoice, None)?;
        self.unissue_lines(at, e)
    }

    pub(super) fn issuance_abandoned(&mut self, at: &At, e: &IssuanceAbandoned) -> Result<(), Error> {
        if let Some(pending) = &mut self.card(at, e.card)?.pending {
            pending.abandoned = true;
            pending.overdue = true;
        }
        Ok(())
    }

    pub(super) fn card_activated(&mut self, at: &At, e: &CardActivated) -> Result<(), Error> {
        turn(self.card(at, e.card)?, Status::Active, e.cause);
        Ok(())
    }

    pub(super) fn activation_failed(&mut self, at: &At, e: &ActivationFailed) -> Result<(), Error> {
        self.card(at, e.card)?.tries = e.tries;
        Ok(())
    }

    pub(super) fn status_change_requested(&mut self, at: &At, e: &StatusChangeRequested) -> Result<(), Error> {
        let kind = PendingKind::Status { what: e.what, target: e.target, cause: e.cause };
        self.wait(at, e.card, e.change, e.deadline_ms, kind)
    }

    pub(super) fn status_changed(&mut self, at: &At, e: &StatusChanged) -> Result<(), Error> {
        let card = self.card(at, e.card)?;
        if e.from == Status::Blocked && e.to != Status::Blocked {
            card.tries = 0;
        }
        turn(card, e.to, e.cause);
        card.fraud = e.fraud;
        card.refusal = None;
        if keeps_pending(card, e) { Ok(()) } else { self.unwait(at, e.card) }
    }

    pub(super) fn limits_change_requested(&mut self, at: &At, e: &LimitsChangeRequested) -> Result<(), Error> {
        let card = self.card(at, e.card)?;
        let before = std::mem::replace(&mut card.limits, e.binding);
        let kind = PendingKind::Limits { target: e.target, before };
        self.wait(at, e.card, e.change, e.deadline_ms, kind)
    }

    pub(super) fn limits_changed(&mut self, at: &At, e: &LimitsChanged) -> Result<(), Error> {
        let card = self.card(at, e.card)?;
        card.limits = e.limits;
        card.refusal = None;
        self.unwait(at, e.card)
    }

    pub(super) fn change_refused(&mut self, at: &At, e: &ChangeRefused) -> Result<(), Error> {
        let card = self.card(at, e.card)?;
        if let Some(PendingRow { kind: PendingKind::Limits { before, .. }, .. }) = card.pending {
            card.limits = before;
        }
        card.refusal = Some(e.refusal);
        self.unwait(at, e.card)
    }

    pub(super) fn change_lapsed(&mut self, at: &At, e: &ChangeLapsed) -> Result<(), Error> {
        self.unwait(at, e.card)
    }

    pub(super) fn change_overdue(&mut self, at: &At, e: &ChangeOverdue) -> Result<(), Error> {
        if let Some(pending) = &mut self.card(at, e.card)?.pending {
            pending.overdue = true;
        }
        Ok(())
    }

    pub(super) fn reconcile_started(&mut self, at: &At, e: &ReconcileStarted) -> Result<(), Error> {
        self.card(at, e.card)?.reconcile = Some(e.change);
        Ok(())
    }

    pub(super) fn reconciled(&mut self, at: &At, e: &Reconciled) -> Result<(), Error> {
        self.card(at, e.card)?.reconcile = None;
        Ok(())
    }

    pub(super) fn no_pin_amount_set(&mut self, at: &At, e: &NoPinAmountSet) -> Result<(), Error> {
        self.card(at, e.card)?.no_pin = Some(e.amount);
        Ok(())
    }

    pub(super) fn fraud_cleared(&mut self, at: &At, e: &FraudCleared) -> Result<(), Error> {
        self.card(at, e.card)?.fraud = false;
        Ok(())
    }

    /// Lays a pending change over the card, in the place of one that it overtakes.
    fn wait(&mut self, at: &At, card: CardId, change: u32, deadline_ms: u64, kind: PendingKind) -> Result<(), Error> {
        let row = self.card(at, card)?;
        row.refusal = None;
        row.pending = Some(PendingRow {
            kind,
            request: request_id(card, change),
            change,
            since_ms: at.time_ms,
            deadline_ms,
            overdue: false,
            abandoned: false,
        });
        self.batch.point(cards::pending_key(card), card.0);
        Ok(())
    }

    fn unwait(&mut self, at: &At, card: CardId) -> Result<(), Error> {
        if self.card(at, card)?.pending.take().is_some() {
            self.batch.remove(cards::pending_key(card));
        }
        Ok(())
    }
}

fn turn(card: &mut CardRow, to: Status, cause: Cause) {
    if card.status != to {
        card.previous_status = Some(card.status);
        if to == Status::PreCancel {
            card.before_closing = Some(card.status);
        }
    }
    card.status = to;
    card.cause = cause;
    card.activated |= to == Status::Active;
}

/// Whether a pending change outlives a change of state: only a cancel does, over a block by the issuer, unless the block is
/// for fraud and it was the user's.
fn keeps_pending(card: &CardRow, e: &StatusChanged) -> bool {
    let Some(PendingRow { kind: PendingKind::Status { what: Change::Cancel, cause, .. }, .. }) = card.pending else {
        return false;
    };
    e.cause == Cause::Issuer && (!e.fraud || cause == Cause::Ops)
}
