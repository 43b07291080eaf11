//! Apply: what each event does to its account. The `match` is the table of contents.
//!
//! Sums were checked when the event was decided; folding them again keeps to the ends of the range instead of failing.

use alloc::vec::Vec;

use crate::{
    account::{Account, Appeal, Authorization, Card, CardRequest, Invoice, Overtaken, Pending, Phase, Waiting},
    event::{CardRequested, Event, StatusChangeRequested},
    holds::{Leg, billing, join, split_back, split_front},
    ids::{AuthorizationId, CardId, Position},
    limits::{Day, Usage, Used},
    money::{Asset, Minor},
    terms::{Change, Status},
};

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
                card.set_aside(event);
                let what = Waiting::Status { what: event.what, target: event.target, cause: event.cause };
                card.wait(event.change, event.deadline_ms, now_ms, position, what);
            }),
            Event::StatusChanged(event) => self.on_card(event.card, |card| {
                let freezing = card.is_freezing();
                if !card.keeps_pending(event) {
                    let settles = card.pending.as_ref().is_some_and(
                        |pending| matches!(pending.what, Waiting::Status { target, .. } if target == event.to),
                    );
                    if settles { card.settle() } else { card.pending = None }
                }
                if event.to == Status::Blocked && event.from != Status::Blocked {
                    card.before_block = if freezing { Status::Frozen } else { event.from };
                }
                if event.from == Status::Blocked && event.to != Status::Blocked {
                    card.tries = 0;
                }
                card.overtaken = Vec::new();
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

    fn credit_wallet(&mut self, asset: Asset, amount: Minor) {
        if !amount.is_zero() {
            let wallet = self.wallet_mut(asset);
            wallet.balance = wallet.balance.fold_plus(amount);
        }
    }

    fn debit_wallet(&mut self, asset: Asset, amount: Minor) {
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
            overtaken: Vec::new(),
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

    /// Keeps the risk-reducing change that a new one takes the place of; one that is asked for again is no longer kept, nor
    /// is what was above it.
    fn set_aside(&mut self, event: &StatusChangeRequested) {
        if !event.overtakes {
            let again = self.overtaken.iter().rposition(|overtaken| overtaken.what == event.what);
            self.overtaken.truncate(again.unwrap_or(0));
            return;
        }
        if let Some(Waiting::Status { what, target, cause }) = self.pending.as_ref().map(|pending| &pending.what)
            && what.reduces_risk()
        {
            self.overtaken.push(Overtaken { what: *what, target: *target, cause: *cause });
        }
    }

    /// Whether a freeze was accepted and is not done: a block that lands over it is lifted to it.
    fn is_freezing(&self) -> bool {
        let freeze = |pending: &Pending| matches!(pending.what, Waiting::Status { what: Change::Freeze, .. });
        self.pending.as_deref().is_some_and(freeze)
            || self.overtaken.iter().any(|overtaken| overtaken.what == Change::Freeze)
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
