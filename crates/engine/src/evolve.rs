//! Evolve: folds an entry into the state. It cannot fail, is the only thing that changes state, and is what replays.
//!
//! [`Account::apply`] folds an event into its account; what belongs to the whole partition (policies, counters, indexes,
//! the agenda, remembered outcomes, the clock) is kept here. An event about what does not exist changes nothing: only a
//! forged journal has one, and an audit finds it by deciding again.

use alloc::{sync::Arc, vec::Vec};

use crate::{
    agenda::{CardDates, auth_date},
    command::{Admitted, Class},
    event::{CardRequested, Event, PolicyAdopted},
    holds::{Leg, billing, join, split_back, split_front},
    ids::{AccountId, AuthorizationId, CardId, Position},
    limits::{Day, Usage, Used},
    money::Minor,
    reject::Reject,
    state::{
        Account, Adopted, Appeal, Authorization, Card, CardAt, CardRequest, Invoice, Overtaken, Pending, Phase, State,
        Waiting,
    },
    terms::{Change, Status},
};

/// Folds an entry: its events or its reject, the remembered outcome, and the clock.
pub fn evolve(state: &mut State, position: Position, admitted: &Admitted, outcome: Result<&[Event], &Reject>) {
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

/// When and where an event happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub(crate) now_ms: u64,
    pub(crate) position: Position,
    /// How long a closed authorization is remembered, by the policy in force.
    pub(crate) remember_ms: u64,
}

impl Account {
    /// Folds one event of this account.
    pub(crate) fn apply(&mut self, at: At, event: &Event) {
        let At { now_ms, position, .. } = at;
        match event {
            Event::PolicyAdopted(_)
            | Event::Checkpointed(_)
            | Event::UserRegistered(_)
            | Event::Overdrawn(_)
            | Event::Declined(_)
            | Event::AccountChecked(_)
            | Event::IncrementDeclined(_)
            | Event::Revealed(_)
            | Event::SettlementIgnored(_)
            | Event::AppealEmailed(_) => {}
            Event::ActivationFailed(event) => self.on_card(event.card, |card| card.tries = event.tries),
            Event::VerificationSet(event) => self.rare_mut().verification = Some(event.verification.clone()),
            Event::Deposited(event) => self.credit_wallet(event.asset, event.amount),
            Event::Withdrawn(event) => self.debit_wallet(event.asset, event.amount),
            Event::WrittenOff(event) if event.card.is_nil() => self.credit_wallet(event.asset, event.amount),
            Event::WrittenOff(event) => {
                self.on_card(event.card, |card| card.balance = card.balance.fold_plus(event.amount))
            }
            Event::ToppedUp(event) => {
                self.debit_wallet(event.currency, event.amount.fold_plus(event.fee));
                self.on_card(event.card, |card| card.balance = card.balance.fold_plus(event.amount));
            }
            Event::Unloaded(event) => {
                self.on_card(event.card, |card| card.balance = card.balance.fold_minus(event.amount));
                self.credit_wallet(event.currency, event.amount);
            }
            Event::Swept(event) => {
                self.on_card(event.card, |card| card.balance = card.balance.fold_minus(event.amount));
                self.credit_wallet(event.currency, event.amount);
            }
            Event::InvoiceCreated(event) => self.rare_mut().invoices.push(Invoice {
                number: event.number,
                programme: event.programme,
                kind: event.kind,
                country: event.country,
                provider: event.provider.clone(),
                fiat: event.fiat,
                order_fee: event.order_fee,
                delivery_fee: event.delivery_fee,
                asset: event.asset,
                amount: event.amount,
                rate: event.rate,
                expires_at_ms: event.expires_at_ms,
                used: false,
            }),
            Event::InvoiceExpired(event) => self.rare_mut().invoices.retain(|invoice| invoice.number != event.number),
            Event::CardRequested(event) => self.add_card(now_ms, position, event),
            Event::CardIssued(event) => self.on_card(event.card, |card| {
                card.status = Status::NotActivated;
                card.last4 = event.issued.last4;
                card.expiry = event.issued.expiry;
                card.settle();
            }),
            Event::IssuanceFailed(event) => {
                for fee in &event.fees {
                    self.credit_wallet(fee.asset, fee.paid);
                }
                self.credit_wallet(event.currency, event.initial);
                self.on_card(event.card, |card| {
                    card.balance = card.balance.fold_minus(event.initial);
                    card.status = Status::Cancelled;
                    card.pending = None;
                });
                self.use_invoice(event.invoice, false);
            }
            Event::IssuanceAbandoned(event) => self.on_card(event.card, |card| {
                if let Some(pending) = &mut card.pending {
                    pending.deadline_ms = u64::MAX;
                    if let Waiting::Issue { abandoned, .. } = &mut pending.what {
                        *abandoned = true;
                    }
                }
            }),
            Event::CardRequestOpened(event) => self.rare_mut().requests.push(CardRequest {
                id: event.request,
                card: event.card,
                programme: event.programme,
                kind: event.kind,
                profile: event.profile.clone(),
            }),
            Event::CardRequestDecided(event) => self.rare_mut().requests.retain(|request| request.id != event.request),
            Event::CardActivated(event) => self.on_card(event.card, |card| card.status = Status::Active),
            Event::StatusChangeRequested(event) => self.on_card(event.card, |card| {
                let overtaken = card.overtaken();
                let what = Waiting::Status { what: event.what, target: event.target, cause: event.cause, overtaken };
                card.wait(event.change, event.deadline_ms, now_ms, position, what);
            }),
            Event::StatusChanged(event) => self.on_card(event.card, |card| {
                let frozen = card.freeze_on_its_way();
                if !card.keeps_pending(event) {
                    let settles = card.pending.as_ref().is_some_and(
                        |pending| matches!(pending.what, Waiting::Status { target, .. } if target == event.to),
                    );
                    if settles { card.settle() } else { card.pending = None }
                }
                if event.to == Status::Blocked && event.from != Status::Blocked {
                    card.before_block = if frozen { Status::Frozen } else { event.from };
                }
                if event.from == Status::Blocked && event.to != Status::Blocked {
                    card.tries = 0;
                }
                card.status = event.to;
                card.fraud = event.fraud;
            }),
            Event::LimitsChangeRequested(event) => self.on_card(event.card, |card| {
                let what = Waiting::Limits { target: event.target, before: card.limits };
                card.limits = event.binding;
                card.wait(event.change, event.deadline_ms, now_ms, position, what);
            }),
            Event::LimitsChanged(event) => self.on_card(event.card, |card| {
                card.limits = event.limits;
                card.settle();
            }),
            Event::ChangeRefused(event) => self.on_card(event.card, |card| {
                if let Some(Waiting::Limits { before, .. }) = card.pending.as_ref().map(|pending| &pending.what) {
                    card.limits = *before;
                }
                card.pending = None;
            }),
            Event::ChangeLapsed(event) => self.on_card(event.card, |card| card.pending = None),
            Event::ChangeOverdue(event) => self.on_card(event.card, |card| {
                if let Some(pending) = &mut card.pending {
                    pending.deadline_ms = u64::MAX;
                }
            }),
            Event::ReconcileStarted(event) => self.on_card(event.card, |card| {
                card.change = card.change.max(event.change);
                card.reconcile = event.change;
                card.reconcile_since_ms = now_ms;
            }),
            Event::Reconciled(event) => self.on_card(event.card, |card| card.reconcile = 0),
            Event::NoPinAmountSet(event) => self.on_card(event.card, |card| card.no_pin = Some(event.amount)),
            Event::FraudCleared(event) => self.on_card(event.card, |card| card.fraud = false),
            Event::AppealOpened(event) => {
                self.rare_mut().appeals.push(Appeal { id: event.appeal, card: event.card, open: true });
            }
            Event::AppealDecided(event) => {
                for appeal in self.rare_mut().appeals.iter_mut().filter(|appeal| appeal.id == event.appeal) {
                    appeal.open = false;
                }
            }
            Event::Authorized(event) => {
                self.hold(event.card, &event.legs);
                let used = self.take_usage(event.card, now_ms, event.amount);
                let authorization = Authorization {
                    card: event.card,
                    phase: Phase::Open,
                    amount: event.amount,
                    held: event.legs.clone(),
                    spent: Vec::new(),
                    used: alloc::vec![used],
                    until_ms: event.expires_at_ms,
                };
                self.rare_mut().authorizations.insert(event.authorization, authorization);
            }
            Event::HoldIncremented(event) => {
                self.hold(event.card, &event.legs);
                let used = self.take_usage(event.card, now_ms, event.amount);
                self.on_authorization(event.authorization, |authorization| {
                    authorization.amount = authorization.amount.fold_plus(event.amount);
                    for leg in &event.legs {
                        join(&mut authorization.held, *leg);
                    }
                    authorization.used.push(used);
                });
            }
            Event::Cleared(event) => {
                self.release(event.card, &event.held);
                self.spend(event.card, &event.held);
                self.spend(event.card, &event.excess);
                let excess = billing(&event.excess);
                let used = excess.is_positive().then(|| self.take_usage(event.card, now_ms, excess));
                self.on_authorization(event.authorization, |authorization| {
                    let (_, left) = split_front(&authorization.held, billing(&event.held));
                    authorization.held = left;
                    for leg in event.held.iter().chain(&event.excess) {
                        join(&mut authorization.spent, *leg);
                    }
                    authorization.used.extend(used);
                    // What is left is released by an event of its own.
                    if event.last && authorization.held.is_empty() {
                        authorization.close(at);
                    }
                });
            }
            Event::HoldReleased(event) => {
                self.release(event.card, &event.release.legs);
                let back = event.release.billing;
                self.on_authorization(event.authorization, |authorization| {
                    let (_, left) = split_back(&authorization.held, back);
                    authorization.held = left;
                    if event.closes {
                        authorization.close(at);
                    }
                });
                self.give_back(event.card, event.authorization, now_ms, back);
            }
            Event::Refunded(event) => {
                self.earn(event.card, &event.linked);
                self.earn(event.card, &event.unlinked);
                let back = billing(&event.linked);
                self.on_authorization(event.authorization, |authorization| {
                    let (_, left) = split_back(&authorization.spent, back);
                    authorization.spent = left;
                });
                self.give_back(event.card, event.authorization, now_ms, back);
            }
            Event::ForcePosted(event) => {
                self.spend(event.card, &event.legs);
                let amount = billing(&event.legs);
                let used = self.take_usage(event.card, now_ms, amount);
                let known =
                    self.rare_mut().authorizations.entry(event.authorization).or_insert_with(|| Authorization {
                        card: event.card,
                        phase: Phase::Closed,
                        amount,
                        held: Vec::new(),
                        spent: Vec::new(),
                        used: Vec::new(),
                        until_ms: at.forget_ms(),
                    });
                for leg in &event.legs {
                    join(&mut known.spent, *leg);
                }
                known.used.push(used);
            }
            Event::ReversalRemembered(event) => {
                let killed = Authorization {
                    card: event.card,
                    phase: Phase::Killed,
                    amount: Minor::ZERO,
                    held: Vec::new(),
                    spent: Vec::new(),
                    used: Vec::new(),
                    until_ms: at.forget_ms(),
                };
                self.rare_mut().authorizations.insert(event.authorization, killed);
            }
        }
    }

    fn on_card(&mut self, id: CardId, change: impl FnOnce(&mut Card)) {
        if let Some(card) = self.card_mut(id) {
            change(card);
        }
    }

    fn on_authorization(&mut self, id: AuthorizationId, change: impl FnOnce(&mut Authorization)) {
        if let Some(authorization) = self.rare.as_mut().and_then(|rare| rare.authorizations.get_mut(&id)) {
            change(authorization);
        }
    }

    fn credit_wallet(&mut self, asset: crate::money::Asset, amount: Minor) {
        if !amount.is_zero() {
            let wallet = self.wallet_mut(asset);
            wallet.balance = wallet.balance.fold_plus(amount);
        }
    }

    fn debit_wallet(&mut self, asset: crate::money::Asset, amount: Minor) {
        if !amount.is_zero() {
            let wallet = self.wallet_mut(asset);
            wallet.balance = wallet.balance.fold_minus(amount);
        }
    }

    fn add_card(&mut self, now_ms: u64, position: Position, event: &CardRequested) {
        for fee in &event.fees {
            self.debit_wallet(fee.asset, fee.paid);
        }
        self.debit_wallet(event.currency, event.initial);
        self.use_invoice(event.invoice, true);
        let (initial, fees, invoice) = (event.initial, event.fees.clone(), event.invoice);
        let mut card = Card {
            id: event.card,
            number: event.number,
            programme: event.programme,
            kind: event.kind,
            funding: event.funding,
            status: Status::Requested,
            before_block: Status::Requested,
            fraud: false,
            tries: 0,
            last4: 0,
            expiry: 0,
            change: 0,
            settled: 0,
            reconcile: 0,
            reconcile_since_ms: 0,
            currency: event.currency,
            balance: event.initial,
            held: Minor::ZERO,
            limits: event.limits,
            no_pin: event.no_pin,
            usage: Usage::default(),
            pending: None,
        };
        let what = Waiting::Issue { initial, fees, invoice, abandoned: false };
        card.wait(event.change, event.deadline_ms, now_ms, position, what);
        self.cards.reserve_exact(1);
        self.cards.push(card);
    }

    fn use_invoice(&mut self, number: u64, used: bool) {
        let invoices = self.rare.as_mut().into_iter().flat_map(|rare| rare.invoices.iter_mut());
        for invoice in invoices.filter(|invoice| invoice.number == number) {
            invoice.used = used;
        }
    }

    fn hold(&mut self, card: CardId, legs: &[Leg]) {
        for leg in legs {
            let held = self.held_of(card, leg);
            if let Some(held) = held {
                *held = held.fold_plus(leg.amount);
            }
        }
    }

    fn release(&mut self, card: CardId, legs: &[Leg]) {
        for leg in legs {
            let held = self.held_of(card, leg);
            if let Some(held) = held {
                *held = held.fold_minus(leg.amount);
            }
        }
    }

    fn held_of(&mut self, card: CardId, leg: &Leg) -> Option<&mut Minor> {
        if leg.wallet {
            Some(&mut self.wallet_mut(leg.asset).held)
        } else {
            self.card_mut(card).map(|card| &mut card.held)
        }
    }

    fn spend(&mut self, card: CardId, legs: &[Leg]) {
        for leg in legs {
            if leg.wallet {
                self.debit_wallet(leg.asset, leg.amount);
            } else {
                self.on_card(card, |card| card.balance = card.balance.fold_minus(leg.amount));
            }
        }
    }

    fn earn(&mut self, card: CardId, legs: &[Leg]) {
        for leg in legs {
            if leg.wallet {
                self.credit_wallet(leg.asset, leg.amount);
            } else {
                self.on_card(card, |card| card.balance = card.balance.fold_plus(leg.amount));
            }
        }
    }

    fn take_usage(&mut self, card: CardId, now_ms: u64, amount: Minor) -> Used {
        let at = Day::of(now_ms);
        self.on_card(card, |card| card.usage.take(at, amount));
        Used { at, amount }
    }

    /// Gives back the newest of what an authorization used, up to `amount`.
    fn give_back(&mut self, card: CardId, authorization: AuthorizationId, now_ms: u64, amount: Minor) {
        let (mut back, mut left) = (Vec::new(), amount);
        self.on_authorization(authorization, |authorization| {
            while left.is_positive()
                && let Some(last) = authorization.used.last_mut()
            {
                let part = last.amount.min(left);
                back.push(Used { at: last.at, amount: part });
                last.amount = last.amount.fold_minus(part);
                left = left.fold_minus(part);
                if last.amount.is_zero() {
                    authorization.used.pop();
                }
            }
        });
        let now = Day::of(now_ms);
        self.on_card(card, |card| back.into_iter().for_each(|used| card.usage.give_back(now, used)));
    }
}

impl Card {
    /// Lays a pending change over the state.
    fn wait(&mut self, change: u32, deadline_ms: u64, now_ms: u64, position: Position, what: Waiting) {
        self.change = self.change.max(change);
        self.pending = Some(alloc::boxed::Box::new(Pending { change, position, since_ms: now_ms, deadline_ms, what }));
    }

    /// The risk-reducing change that a new one takes the place of.
    fn overtaken(&self) -> Option<Overtaken> {
        match self.pending.as_ref()?.what {
            Waiting::Status { what, target, cause, .. } if what.reduces_risk() => {
                Some(Overtaken { what, target, cause })
            }
            Waiting::Status { overtaken, .. } => overtaken,
            Waiting::Issue { .. } | Waiting::Limits { .. } => None,
        }
    }

    /// Whether a freeze was accepted and is not done: a block that comes over it leaves the card frozen once it is lifted.
    fn freeze_on_its_way(&self) -> bool {
        match self.pending.as_ref().map(|pending| &pending.what) {
            Some(Waiting::Status { what, overtaken, .. }) => {
                *what == Change::Freeze || overtaken.is_some_and(|overtaken| overtaken.what == Change::Freeze)
            }
            _ => false,
        }
    }

    /// The pending change is done.
    fn settle(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.settled = pending.change;
        }
    }
}

impl Authorization {
    fn close(&mut self, at: At) {
        self.phase = Phase::Closed;
        self.until_ms = at.forget_ms();
    }
}

impl At {
    const fn forget_ms(self) -> u64 {
        self.now_ms.saturating_add(self.remember_ms)
    }
}
