//! What each step comes to: a command on what is there.

use florin_engine::{
    command::{self, AdoptPolicy, Class, Command, Outcome},
    event::Event,
    ids::{AccountId, AppealId, AuthorizationId, CardId, CardRequestId, Kind},
    limits::LimitsUpdate,
    money::{Minor, Sealed},
    policy::{CardKind, ProgrammeCode},
    reject::Reason,
    terms::{EmailStatus, RefusalCode},
};

use super::{Table, newest};
use crate::{
    kit::{merchant, order},
    model::{Assertion, MEMORY_MS, Phase, Waiting},
    policy::{DAY, USD, policy_of},
    steps::{Said, Step, Time, With},
    world::Told,
};

/// Whether a command is about a wallet alone.
fn money(command: &Command) -> bool {
    matches!(command, Command::Deposit(_) | Command::Withdraw(_))
}

fn refused(said: Said) -> Outcome {
    Outcome::Refused(if said == Said::Stale { RefusalCode::Stale } else { RefusalCode::Declined })
}

impl Table {
    pub fn take(&mut self, step: &Step) {
        match *step {
            Step::Wait(ms) => self.world.now += ms,
            Step::WaitFor { what, which, early } => {
                let Some(time) = self.time_of(what, which) else { return };
                self.world.now = self.world.now.max(time - u64::from(early));
                if what == Time::Hold {
                    self.take(&Step::ExpireHold { auth: which, network: false });
                }
            }
            Step::Delay(ms) => self.world.delay = ms,
            Step::Ahead(ms) => self.world.ahead = ms,
            Step::Snapshot => self.world.snapshot_here(),
            Step::Deposit { user, amount } => {
                let amount = Minor(amount);
                self.ask(self.user(user), Class::Ops, command::Deposit { asset: USD, amount, reference: Sealed::NONE });
            }
            Step::Adopt { figures, in_ms } => {
                let version = self.model.policies.last().map_or(0, |last| last.0) + 1;
                let effective_at_ms = if in_ms == 0 { 0 } else { self.world.now + in_ms };
                let adopt = AdoptPolicy { version, effective_at_ms, policy: Box::new(policy_of(figures)) };
                self.ask(AccountId::of_partition(0), Class::Ops, adopt);
            }
            Step::Confirm { card, older } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                let Assertion::Number(number) = self.model.users[&account].cards[&card].assertion else { return };
                let change = number.saturating_sub(older);
                self.ask(account, Class::Settlement, command::ConfirmReconcile { card, change });
            }
            Step::Appeal { card, empty } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                let appeal = AppealId(self.minted(account, Kind::Appeal));
                let message = if empty { Sealed::NONE } else { Sealed(vec![1]) };
                if let Told::Accepted(_) = self.ask(account, Class::User, command::OpenAppeal { card, appeal, message })
                {
                    self.appeals.push((account, appeal));
                }
            }
            Step::DecideAppeal { appeal, granted } => {
                let Some((account, appeal)) = newest(&self.appeals, appeal) else { return };
                let reason = Sealed::NONE;
                self.ask(account, Class::Ops, command::DecideAppeal { appeal, granted, reason });
            }
            Step::Email { appeal, known } => {
                let Some((account, appeal)) = newest(&self.appeals, appeal) else { return };
                let appeal = if known { appeal } else { AppealId(self.minted(account, Kind::Appeal)) };
                let email = command::RecordAppealEmail { appeal, status: EmailStatus::Sent };
                self.ask(account, Class::Settlement, email);
            }
            Step::Withdraw { user, amount } => {
                let amount = Minor(amount);
                self.ask(
                    self.user(user),
                    Class::Ops,
                    command::Withdraw { asset: USD, amount, reference: Sealed::NONE },
                );
            }
            Step::WriteOff { card, of_wallet, amount } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                let card = if of_wallet { CardId::NIL } else { card };
                let write = command::WriteOff { card, asset: USD, amount: Minor(amount), reason: Sealed::NONE };
                self.ask(account, Class::Ops, write);
            }
            Step::WriteOffAll { card, of_wallet, more } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                let user = &self.model.users[&account];
                let balance = if of_wallet { user.wallet } else { user.cards[&card].balance };
                let card = if of_wallet { CardId::NIL } else { card };
                let amount = Minor(i64::try_from(-balance).unwrap() + more);
                self.ask(account, Class::Ops, command::WriteOff { card, asset: USD, amount, reason: Sealed::NONE });
            }
            Step::UnloadAll { card, more } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                let user = &self.model.users[&account];
                let available = user.cards[&card].balance - user.held(card);
                let amount = Minor(i64::try_from(available).unwrap() + more);
                self.ask(account, Class::User, command::Unload { card, amount });
            }
            Step::Issue { user, amount, mobile, physical, expiry } => {
                let account = self.user(user);
                let card = CardId(self.minted(account, Kind::Card));
                self.cards.push((account, card, [2026 * 12 + 2, 2026 * 12 + 4, 2027 * 12 + 11][usize::from(expiry)]));
                let programme = if mobile { ProgrammeCode::Mobile } else { ProgrammeCode::Dashboard };
                let kind = if physical { CardKind::Physical } else { CardKind::Virtual };
                let order = command::IssueCard { kind, ..order(card, programme, if mobile { 0 } else { amount }) };
                if !matches!(self.ask(account, Class::User, order), Told::Accepted(_)) {
                    self.cards.pop();
                }
            }
            Step::Request { user, physical } => {
                let account = self.user(user);
                let request = CardRequestId(self.minted(account, Kind::CardRequest));
                let card = CardId(self.minted(account, Kind::Card));
                let kind = if physical { CardKind::Physical } else { CardKind::Virtual };
                let ask = command::RequestCard {
                    request,
                    card,
                    programme: ProgrammeCode::Mobile,
                    kind,
                    profile: Sealed(vec![1]),
                };
                self.card_requests.push((account, request));
                self.ask(account, Class::User, ask);
            }
            Step::Decide { request, approved } => {
                let Some((account, request)) = newest(&self.card_requests, request) else { return };
                let card = self.model.users[&account].requests.get(&request).map(|(card, _)| *card);
                let decide = command::DecideCardRequest { request, approved, reason: Sealed::NONE };
                let told = self.ask(account, Class::Ops, decide);
                if let (Some(card), Told::Accepted(_), true) = (card, told, approved) {
                    self.cards.push((account, card, 2027 * 12 + 11));
                }
            }
            Step::Settle { card, said } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                let pending = self.model.users[&account].cards[&card].pending.clone();
                let Some((request, what)) = pending.and_then(|pending| Some((pending.request?, pending.what))) else {
                    return;
                };
                let outcome = match (what, said) {
                    (Waiting::Issue, Said::Done) => self.issued(card),
                    (_, Said::Done) => Outcome::Done,
                    (_, said) => refused(said),
                };
                self.ask(account, Class::Settlement, command::Settle { card, request, outcome });
            }
            Step::SettleLate { request, said } => {
                let Some((account, card, request)) = newest(&self.changes, request) else { return };
                let pending = self.model.users[&account].cards[&card].pending.as_ref();
                if pending.is_some_and(|pending| pending.request == Some(request)) {
                    return;
                }
                let first = self.changes.iter().find(|(_, of, _)| *of == card).is_some_and(|first| first.2 == request);
                let outcome = match (said, first) {
                    (Said::Done, true) => self.issued(card),
                    (Said::Done, false) => Outcome::Done,
                    (said, _) => refused(said),
                };
                self.ask(account, Class::Settlement, command::Settle { card, request, outcome });
            }
            Step::Change { card, change, class } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                self.ask(account, class, command::ChangeStatus { card, change, reason: Sealed::NONE });
            }
            Step::Limits { card, which, amount, ops } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                let (limit, mut update) = (Some(amount.map(Minor)), LimitsUpdate::default());
                match which {
                    0 => update.transaction = limit,
                    1 => update.daily = limit,
                    2 => update.monthly = limit,
                    _ => update.lifetime = limit,
                }
                let class = if ops { Class::Ops } else { Class::User };
                self.ask(account, class, command::ChangeLimits { card, update });
            }
            Step::NoPin { card, amount } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                self.ask(account, Class::User, command::SetNoPinAmount { card, amount: Minor(amount) });
            }
            Step::Activate { card, right } => {
                let Some((account, card, expiry)) = newest(&self.cards, card) else { return };
                let tried = Some(command::Tried { last4: if right { 1234 } else { 4321 }, expiry });
                self.ask(account, Class::User, command::Activate { card, tried });
            }
            Step::Reveal { card, kind, ops, long } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                let class = if ops { Class::Ops } else { Class::User };
                let address = Sealed(vec![7; if long { Sealed::BYTES_MAX + 1 } else { 4 }]);
                self.ask(account, class, command::RecordReveal { card, kind, address });
            }
            Step::IncrementUpTo { auth, more } => {
                let Some((account, card, authorization)) = newest(&self.auths, auth) else { return };
                let left = self.left(account, card, authorization);
                let amount = Minor(i64::try_from(left).unwrap().max(0) + more);
                self.ask(account, Class::Network, command::Increment { card, authorization, amount });
            }
            Step::Lapse { card } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                let of_card = self.changes.iter().rev().find(|change| change.1 == card);
                let Some(&(_, _, request)) = of_card else { return };
                self.ask(account, Class::Clock, command::LapseChange { card, request });
            }
            Step::Expire { card } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                self.ask(account, Class::Clock, command::ExpireCard { card });
            }
            Step::TopUp { card, amount } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                self.ask(account, Class::User, command::TopUp { card, amount: Minor(amount) });
            }
            Step::Unload { card, amount } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                self.ask(account, Class::User, command::Unload { card, amount: Minor(amount) });
            }
            Step::Authorize { card, amount, present, pin } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                let authorization = AuthorizationId(self.minted(account, Kind::Authorization));
                let told = self.authorize(account, card, authorization, amount, present, pin);
                if matches!(&told, Told::Accepted(events) if matches!(events[0], Event::Authorized(_))) {
                    self.auths.push((account, card, authorization));
                }
            }
            Step::Increment { auth, amount } => {
                let Some((account, card, authorization)) = newest(&self.auths, auth) else { return };
                self.ask(account, Class::Network, command::Increment { card, authorization, amount: Minor(amount) });
            }
            Step::Clear { auth, amount, last } => {
                let Some((account, card, authorization)) = newest(&self.auths, auth) else { return };
                let clear = command::Clear { card, authorization, amount: amount.map(Minor), last };
                self.ask(account, Class::Network, clear);
            }
            Step::Reverse { auth, amount } => {
                let Some((account, card, authorization)) = newest(&self.auths, auth) else { return };
                self.ask(account, Class::Network, command::Reverse { card, authorization, amount: amount.map(Minor) });
            }
            Step::ReverseFirst { card } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                let authorization = AuthorizationId(self.minted(account, Kind::Authorization));
                self.reversed.push((account, card, authorization));
                self.ask(account, Class::Network, command::Reverse { card, authorization, amount: None });
            }
            Step::AuthorizeReversed { card } => {
                let Some((account, card, authorization)) = newest(&self.reversed, card) else { return };
                self.authorize(account, card, authorization, 100, false, false);
            }
            Step::ClearFirst { card, reversed, amount, last } => {
                let Some((account, card, authorization)) = self.not_authorized(card, reversed) else { return };
                let clear = command::Clear { card, authorization, amount: amount.map(Minor), last };
                let told = self.ask(account, Class::Network, clear);
                if !reversed && matches!(told, Told::Accepted(_)) {
                    self.auths.push((account, card, authorization));
                }
            }
            Step::RefundFirst { card, reversed, amount } => {
                let Some((account, card, authorization)) = self.not_authorized(card, reversed) else { return };
                let amount = amount.map(Minor);
                let refund = command::Refund { card, authorization, amount, merchant: merchant() };
                self.ask(account, Class::Network, refund);
            }
            Step::ExpireHold { auth, network } => {
                let Some((account, card, authorization)) = newest(&self.auths, auth) else { return };
                let class = if network { Class::Network } else { Class::Clock };
                self.ask(account, class, command::ExpireHold { card, authorization });
            }
            Step::Refund { auth, amount } => {
                let Some((account, card, authorization)) = newest(&self.auths, auth) else { return };
                let amount = amount.map(Minor);
                self.ask(
                    account,
                    Class::Network,
                    command::Refund { card, authorization, amount, merchant: merchant() },
                );
            }
            Step::Credit { card, amount } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                let (authorization, amount) = (AuthorizationId::NIL, Some(Minor(amount)));
                self.ask(
                    account,
                    Class::Network,
                    command::Refund { card, authorization, amount, merchant: merchant() },
                );
            }
            Step::ForcePost { card, amount } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                let authorization = AuthorizationId(self.minted(account, Kind::Authorization));
                let post = command::ForcePost { card, authorization, amount: Minor(amount), merchant: merchant() };
                if let Told::Accepted(_) = self.ask(account, Class::Network, post) {
                    self.auths.push((account, card, authorization));
                }
            }
            Step::Again { sent, with } => {
                // What is minted for one user is not there for another: theirs are only commands about money.
                let found = match with {
                    With::User => self.sent.iter().rfind(|envelope| money(&envelope.command)).cloned(),
                    With::Nothing | With::Content => newest(&self.sent, sent),
                };
                let Some(mut envelope) = found else { return };
                match with {
                    With::Nothing => {}
                    With::Content => envelope.digest.0[0] ^= 0xFF,
                    With::User => {
                        let at = self.users.iter().position(|user| *user == envelope.account).unwrap_or(0);
                        envelope.account = self.users[(at + 1) % self.users.len()];
                    }
                }
                self.put(envelope);
            }
            Step::WorkClock => {
                for due in self.world.state.due(self.world.now, 100) {
                    let command = due.command();
                    let account = due.account();
                    let told = self.ask(account, Class::Clock, command);
                    let stale = matches!(&told, Told::Rejected(reject) if matches!(reject.reason,
                        Reason::HoldClosed | Reason::NothingPending | Reason::InvalidStatus));
                    assert!(matches!(told, Told::Accepted(_)) || stale, "what is due can be done: {told:?}");
                }
            }
        }
    }

    /// How much more an authorization may come to: by the limit per transaction if there is one, else by the money on the card.
    fn left(&self, account: AccountId, card: CardId, authorization: AuthorizationId) -> i128 {
        let user = &self.model.users[&account];
        let known = &user.cards[&card];
        let amount = user.purchases.get(&authorization).map_or(0, |purchase| purchase.amount);
        let of_one = known.limits.transaction.map(|limit| i128::from(limit.0) - amount);
        of_one.unwrap_or_else(|| known.balance - user.held(card))
    }

    /// When something falls due that a story has come to.
    fn time_of(&self, what: Time, which: u8) -> Option<u64> {
        match what {
            Time::Hold => {
                let (account, _, id) = newest(&self.auths, which)?;
                self.model.users[&account].purchases.get(&id).map(|purchase| purchase.until).filter(|until| *until > 0)
            }
            Time::Purchase => {
                let (account, _, id) = newest(&self.auths, which)?;
                let purchase = self.model.users[&account].purchases.get(&id)?;
                (purchase.phase != Phase::Open && purchase.forget < self.world.now + 30 * DAY)
                    .then_some(purchase.forget)
            }
            Time::Deadline => {
                let (account, card, _) = newest(&self.cards, which)?;
                self.model.users[&account].cards[&card].pending.as_ref().map(|pending| pending.deadline)
            }
            Time::Memory => {
                let envelope = newest(&self.sent, which)?;
                self.model.memory.get(&(envelope.account, envelope.key)).map(|known| known.time + MEMORY_MS)
            }
            Time::Policy => self.model.policies.last().map(|(_, from, _)| *from).filter(|from| *from > 0),
        }
    }

    /// An authorization that was reversed before it came, or one that is new.
    fn not_authorized(&mut self, which: u8, reversed: bool) -> Option<(AccountId, CardId, AuthorizationId)> {
        if reversed {
            return newest(&self.reversed, which);
        }
        let (account, card, _) = newest(&self.cards, which)?;
        Some((account, card, AuthorizationId(self.minted(account, Kind::Authorization))))
    }

    fn authorize(
        &mut self,
        account: AccountId,
        card: CardId,
        authorization: AuthorizationId,
        amount: i64,
        card_present: bool,
        pin_entered: bool,
    ) -> Told {
        let command = command::Authorize {
            card,
            authorization,
            amount: Minor(amount),
            currency: USD,
            merchant: merchant(),
            card_present,
            pin_entered,
        };
        self.ask(account, Class::Network, command)
    }
}
