//! Evolve: folds an entry into the state. It cannot fail, is the only thing that changes state, and is what replays.
//!
//! `apply.rs` folds an event into its account; what belongs to the whole partition (policies, counters, indexes,
//! the agenda, remembered outcomes, the clock) is kept here. An event about what does not exist changes nothing: only a
//! forged journal has one, and an audit finds it by deciding again.

use alloc::{sync::Arc, vec::Vec};

use crate::{
    agenda::{CardDates, auth_date},
    apply::At,
    command::{Admitted, Class},
    event::{Event, PolicyAdopted},
    ids::{AccountId, AuthorizationId, CardId, Position},
    reject::Reject,
    state::{Account, Adopted, CardAt, Phase, State},
};

/// Folds an entry: its events or its reject, the remembered outcome, and the clock. What was asked for does not matter any more.
pub fn evolve<C>(state: &mut State, position: Position, admitted: &Admitted<C>, outcome: Result<&[Event], &Reject>) {
    let envelope = &admitted.envelope;
    state.clock_ms = state.clock_ms.max(admitted.time_ms);
    state.forget();
    let mut slot = None;
    if let Ok(events) = outcome {
        slot = state.slot(envelope.account);
        for event in events {
            slot = state.fold(slot, envelope.account, admitted.time_ms, position, event);
        }
    }
    let frozen = outcome.err().is_none_or(|reject| reject.reason.frozen());
    let Some(slot) = slot.or_else(|| state.memory_slot(envelope.account)).filter(|_| frozen) else {
        return;
    };
    // Only users are held to a cap, so only their keys count towards it.
    let user = envelope.class == Class::User;
    state.remembered.remember(slot, user, envelope.key, envelope.digest, admitted.time_ms, position);
    if user && let Some(account) = state.accounts.get_mut(slot as usize) {
        account.remembered = account.remembered.saturating_add(1);
    }
}

impl State {
    /// Forgets keys and closed authorizations whose time is over: a function of the entries' times alone.
    fn forget(&mut self) {
        while let Some((slot, user)) = self.remembered.forget_one(self.clock_ms) {
            if user && let Some(account) = self.accounts.get_mut(slot as usize) {
                account.remembered = account.remembered.saturating_sub(1);
            }
        }
        while let Some((slot, id)) = self.agenda.forget_one(self.clock_ms) {
            if let Some(rare) = self.accounts.get_mut(slot as usize).and_then(|account| account.rare.as_mut()) {
                rare.authorizations.remove(&id);
            }
        }
    }

    fn fold(
        &mut self,
        slot: Option<u32>,
        id: AccountId,
        now_ms: u64,
        position: Position,
        event: &Event,
    ) -> Option<u32> {
        match event {
            Event::PolicyAdopted(event) => self.adopt(event),
            Event::UserRegistered(event) if slot.is_none() => {
                return Some(self.add_account(Account::new(id, event.country)));
            }
            Event::CardRequested(_) => self.counters.cards += 1,
            Event::InvoiceCreated(event) => {
                self.counters.invoices += 1;
                if let Some(slot) = slot {
                    self.agenda.add_invoice(event.expires_at_ms, slot, event.number);
                }
            }
            Event::AppealOpened(_) => self.counters.appeals += 1,
            _ => {}
        }
        let slot = slot?;
        if let Event::InvoiceExpired(event) = event
            && let Some(invoice) = self.accounts[slot as usize].invoice(event.number)
        {
            let expires_at_ms = invoice.expires_at_ms;
            self.agenda.drop_invoice(expires_at_ms, slot, event.number);
        }
        let (card, authorization) = names(event);
        let place = card.and_then(|card| self.accounts[slot as usize].cards.iter().position(|known| known.id == card));
        let before = self.dates(slot, place, authorization);
        let remember_ms = self.policy_at(now_ms).map_or(0, |(_, policy)| policy.spans.purchase_ms);
        self.accounts[slot as usize].apply(At { now_ms, position, remember_ms }, event);
        if let Event::CardRequested(_) = event {
            let card = self.accounts[slot as usize].cards.len() - 1;
            self.index_card(CardAt { slot, card: u32::try_from(card).unwrap_or(u32::MAX) });
            self.moved(slot, Some(card), None, (CardDates::default(), None));
        } else {
            self.moved(slot, place, authorization, before);
        }
        Some(slot)
    }

    fn dates(
        &self,
        slot: u32,
        card: Option<usize>,
        authorization: Option<AuthorizationId>,
    ) -> (CardDates, Option<(Phase, u64)>) {
        let account = &self.accounts[slot as usize];
        let card = card.map_or_else(CardDates::default, |card| CardDates::of(&account.cards[card]));
        (card, authorization.and_then(|id| account.authorization(id)).map(auth_date))
    }

    /// Brings the agenda up to date with what an event changed.
    fn moved(
        &mut self,
        slot: u32,
        card: Option<usize>,
        authorization: Option<AuthorizationId>,
        before: (CardDates, Option<(Phase, u64)>),
    ) {
        let after = self.dates(slot, card, authorization);
        if let Some(card) = card.filter(|_| before.0 != after.0) {
            self.agenda.move_card(slot, u32::try_from(card).unwrap_or(u32::MAX), before.0, after.0);
        }
        if let Some(id) = authorization {
            self.agenda.move_hold(slot, id, before.1, after.1);
        }
    }

    /// Keeps the policy in force and those to come.
    pub(crate) fn adopt(&mut self, event: &PolicyAdopted) {
        let policy = Arc::new((*event.policy).clone());
        self.policies.push(Adopted { version: event.version, effective_at_ms: event.effective_at_ms, policy });
        let in_force = self.policies.iter().rposition(|adopted| adopted.effective_at_ms <= self.clock_ms);
        self.policies.drain(..in_force.unwrap_or(0));
    }

    /// Builds the indexes and the agenda anew, after a snapshot was read.
    pub(crate) fn index_again(&mut self) {
        for slot in 0..u32::try_from(self.accounts.len()).unwrap_or(u32::MAX) {
            self.index_account(slot);
            for card in 0..self.accounts[slot as usize].cards.len() {
                self.index_card(CardAt { slot, card: u32::try_from(card).unwrap_or(u32::MAX) });
                self.moved(slot, Some(card), None, (CardDates::default(), None));
            }
            let Some(rare) = &self.accounts[slot as usize].rare else {
                continue;
            };
            let ids: Vec<AuthorizationId> = rare.authorizations.keys().copied().collect();
            let invoices: Vec<(u64, u64)> =
                rare.invoices.iter().map(|invoice| (invoice.expires_at_ms, invoice.number)).collect();
            for id in ids {
                self.moved(slot, None, Some(id), (CardDates::default(), None));
            }
            for (expires_at_ms, number) in invoices {
                self.agenda.add_invoice(expires_at_ms, slot, number);
            }
        }
    }
}

/// The card and the authorization whose dates an event may move.
fn names(event: &Event) -> (Option<CardId>, Option<AuthorizationId>) {
    match event {
        Event::CardIssued(event) => (Some(event.card), None),
        Event::IssuanceFailed(event) => (Some(event.card), None),
        Event::IssuanceAbandoned(event) => (Some(event.card), None),
        Event::StatusChangeRequested(event) => (Some(event.card), None),
        Event::StatusChanged(event) => (Some(event.card), None),
        Event::LimitsChangeRequested(event) => (Some(event.card), None),
        Event::LimitsChanged(event) => (Some(event.card), None),
        Event::ChangeRefused(event) => (Some(event.card), None),
        Event::ChangeLapsed(event) => (Some(event.card), None),
        Event::ChangeOverdue(event) => (Some(event.card), None),
        Event::ReconcileStarted(event) => (Some(event.card), None),
        Event::Reconciled(event) => (Some(event.card), None),
        Event::Authorized(event) => (None, Some(event.authorization)),
        Event::Cleared(event) => (None, Some(event.authorization)),
        Event::HoldReleased(event) => (None, Some(event.authorization)),
        Event::ForcePosted(event) => (None, Some(event.authorization)),
        Event::ReversalRemembered(event) => (None, Some(event.authorization)),
        _ => (None, None),
    }
}
