//! Policies, users, invoices, card requests and appeals.

use florin_engine::{
    event::{
        AppealDecided, AppealEmailed, AppealOpened, CardRequestDecided, CardRequestOpened, InvoiceCreated,
        InvoiceExpired, PolicyAdopted, UserRegistered, VerificationSet,
    },
    ids::{AccountId, CardId},
    money::Sealed,
    terms::EmailStatus,
};

use super::{At, Fold};
use crate::{
    AccountRow, AppealRow, CardRequestRow, Decision, Error, InvoiceRow, InvoiceStatus, appeals, card_requests,
    policies::{self, PolicyRow},
};

impl Fold {
    pub(super) fn policy_adopted(&mut self, e: &PolicyAdopted) -> Result<(), Error> {
        let row = PolicyRow { version: e.version, effective_at_ms: e.effective_at_ms, policy: (*e.policy).clone() };
        self.batch.put(policies::key(self.partition, e.version), &row)?;
        self.adopted.push(row);
        Ok(())
    }

    pub(super) fn user_registered(&mut self, at: &At, e: &UserRegistered) {
        let row = AccountRow {
            account: at.account,
            company: e.company.clone(),
            country: e.country,
            verification: None,
            registered_ms: at.time_ms,
        };
        self.batch.accounts.put(at.account, row);
    }

    pub(super) fn verification_set(&mut self, at: &At, e: &VerificationSet) -> Result<(), Error> {
        let missing = self.missing::<AccountRow>(at);
        let row = self.batch.accounts.edit(&self.batch.store, at.account)?.ok_or(missing)?;
        row.verification = Some(e.verification.clone());
        Ok(())
    }

    pub(super) fn invoice_created(&mut self, at: &At, e: &InvoiceCreated) {
        let row = InvoiceRow {
            account: at.account,
            number: e.number,
            programme: e.programme,
            kind: e.kind,
            country: e.country,
            provider: e.provider.clone(),
            order_fee: e.order_fee,
            delivery_fee: e.delivery_fee,
            fiat: e.fiat,
            asset: e.asset,
            amount: e.amount,
            rate: e.rate,
            status: InvoiceStatus::Open,
            card: None,
            created_ms: at.time_ms,
            expires_at_ms: e.expires_at_ms,
        };
        self.batch.invoices.put((at.account, e.number), row);
    }

    pub(super) fn invoice_expired(&mut self, at: &At, e: &InvoiceExpired) -> Result<(), Error> {
        self.invoice(at, e.number)?.status = InvoiceStatus::Expired;
        Ok(())
    }

    /// An invoice that pays for a card; `None`: given back. Number 0 is no invoice.
    pub(super) fn invoice_used(&mut self, at: &At, number: u64, card: Option<CardId>) -> Result<(), Error> {
        if number == 0 {
            return Ok(());
        }
        let row = self.invoice(at, number)?;
        row.status = if card.is_some() { InvoiceStatus::Used } else { InvoiceStatus::Open };
        row.card = card;
        Ok(())
    }

    fn invoice(&mut self, at: &At, number: u64) -> Result<&mut InvoiceRow, Error> {
        let missing = self.missing::<InvoiceRow>(at);
        self.batch.invoices.edit(&self.batch.store, (at.account, number))?.ok_or(missing)
    }

    pub(super) fn card_request_opened(&mut self, at: &At, e: &CardRequestOpened) {
        let row = CardRequestRow {
            request: e.request,
            account: at.account,
            card: e.card,
            programme: e.programme,
            kind: e.kind,
            profile: e.profile.clone(),
            decision: Decision::Open,
            reason: Sealed::NONE,
            opened_ms: at.time_ms,
            decided_ms: None,
        };
        let by_state = card_requests::by_state_key(Decision::Open, at.time_ms, e.request);
        self.batch.point(by_state, e.request.0);
        let of_account = card_requests::of_account_key(at.account, at.time_ms, e.request);
        self.batch.point(of_account, e.request.0);
        self.batch.card_requests.put(e.request, row);
    }

    pub(super) fn card_request_decided(&mut self, at: &At, e: &CardRequestDecided) -> Result<(), Error> {
        let missing = self.missing::<CardRequestRow>(at);
        let row = self.batch.card_requests.edit(&self.batch.store, e.request)?.ok_or(missing)?;
        let before = card_requests::by_state_key(row.decision, row.opened_ms, e.request);
        row.decision = Decision::of(e.approved);
        row.reason = e.reason.clone();
        row.decided_ms = Some(at.time_ms);
        let after = card_requests::by_state_key(row.decision, row.opened_ms, e.request);
        self.batch.remove(before);
        self.batch.point(after, e.request.0);
        Ok(())
    }

    pub(super) fn appeal_opened(&mut self, at: &At, e: &AppealOpened) {
        let row = AppealRow {
            appeal: e.appeal,
            number: e.number,
            account: at.account,
            card: e.card,
            message: e.message.clone(),
            decision: Decision::Open,
            reason: Sealed::NONE,
            email: EmailStatus::Queued,
            opened_ms: at.time_ms,
            decided_ms: None,
        };
        let by_state = appeals::by_state_key(Decision::Open, at.time_ms, e.appeal);
        self.batch.point(by_state, e.appeal.0);
        let of_card = appeals::of_card_key(e.card, at.position, e.appeal);
        self.batch.point(of_card, e.appeal.0);
        self.batch.appeals.put(e.appeal, row);
    }

    pub(super) fn appeal_decided(&mut self, at: &At, e: &AppealDecided) -> Result<(), Error> {
        let missing = self.missing::<AppealRow>(at);
        let row = self.batch.appeals.edit(&self.batch.store, e.appeal)?.ok_or(missing)?;
        let before = appeals::by_state_key(row.decision, row.opened_ms, e.appeal);
        row.decision = Decision::of(e.granted);
        row.reason = e.reason.clone();
        row.decided_ms = Some(at.time_ms);
        let after = appeals::by_state_key(row.decision, row.opened_ms, e.appeal);
        self.batch.remove(before);
        self.batch.point(after, e.appeal.0);
        Ok(())
    }

    pub(super) fn appeal_emailed(&mut self, at: &At, e: &AppealEmailed) -> Result<(), Error> {
        let missing = self.missing::<AppealRow>(at);
        self.batch.appeals.edit(&self.batch.store, e.appeal)?.ok_or(missing)?.email = e.status;
        Ok(())
    }

    /// The tenant of an account.
    pub(super) fn company(&mut self, at: &At, account: AccountId) -> Result<String, Error> {
        let missing = self.missing::<AccountRow>(at);
        let row = self.batch.accounts.get(&self.batch.store, account)?.ok_or(missing)?;
        Ok(row.company.clone())
    }
}
