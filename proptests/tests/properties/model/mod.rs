//! The reference model: the documents of cards, money and limits once more, as plain maps and sums, for prepaid cards.
//!
//! It is written from the documents and knows nothing of how the engine works. It is meant to be slow and obvious: usage
//! is a list that is added up, the time is a number, money is an `i128`.

use std::collections::{BTreeMap, HashMap};

use florin_engine::{
    command::{Class, Command, Envelope},
    ids::{AccountId, CardId, Key},
    policy::ProgrammeCode,
    reject::{Reason, Retry},
    terms::{Change, DeclineReason, Status},
};

mod changes;
mod classes;
mod purchases;
mod rules;
mod state;

pub use self::state::{Asked, Card, Drawn, Pending, Phase, Purchase, Use, User, Waiting};
use self::{
    classes::may,
    rules::{binding, bounds, fits, new_card, positive, service_fee, updated},
};
use crate::policy::DAY;

pub const MEMORY_MS: u64 = 31 * DAY;
/// How far ahead a message may be dated; it is too old as much before its key is forgotten.
pub const AHEAD_MS: u64 = 300_000;
const CHANGE_MS: u64 = 600_000;
const ISSUANCE_MS: u64 = 1_200_000;
const HOLD_MS: u64 = 7 * DAY;
/// The most that a wallet or card may come to, either way, by what is paid in or posted.
pub const BALANCE_MAX: i128 = (i64::MAX / 4) as i128;

/// What the model says a command comes to. Where the documents do not decide between reasons, any of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Accepted, and no authorization or increment is declined by it.
    Accepted,
    /// Accepted, as a decline.
    Declined(DeclineReason),
    /// Rejected for one of these.
    Rejected(Vec<Reason>),
    /// The first outcome again.
    Replayed,
}

type Verdict = Result<Option<DeclineReason>, Vec<Reason>>;

fn no<T>(reason: Reason) -> Result<T, Vec<Reason>> {
    Err(vec![reason])
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub users: BTreeMap<AccountId, User>,
    pub memory: HashMap<(AccountId, Key), (u64, [u8; 16])>,
    pub revenue: i128,
    pub network: i128,
    pub funding: i128,
}

impl Model {
    /// Whether a key is still remembered.
    fn recalled(&self, envelope: &Envelope, now: u64) -> Option<[u8; 16]> {
        let (time, digest) = self.memory.get(&(envelope.account, envelope.key))?;
        (now - time < MEMORY_MS).then_some(*digest)
    }

    /// Remembers an outcome by its key, unless it only says "try later".
    pub fn remember(&mut self, now: u64, envelope: &Envelope, rejected: Option<Reason>) {
        let known = self.users.contains_key(&envelope.account);
        // What is said before the key is looked up is no outcome of the key.
        let decided =
            |reason: Reason| reason.retry() == Retry::Never && !matches!(reason, Reason::TooOld | Reason::WrongClass);
        if known && rejected.is_none_or(decided) {
            self.memory.insert((envelope.account, envelope.key), (now, envelope.digest.0));
        }
    }

    /// What the command comes to, and what it does.
    pub fn apply(&mut self, now: u64, envelope: &Envelope) -> Answer {
        if envelope.dated_ms != 0 && now >= envelope.dated_ms + MEMORY_MS - AHEAD_MS {
            return Answer::Rejected(vec![Reason::TooOld]);
        }
        if !may(envelope.class, &envelope.command) {
            return Answer::Rejected(vec![Reason::WrongClass]);
        }
        match self.recalled(envelope, now) {
            Some(digest) if digest == envelope.digest.0 => return Answer::Replayed,
            Some(_) => return Answer::Rejected(vec![Reason::IdempotencyConflict]),
            None => {}
        }
        if envelope.dated_ms > now + AHEAD_MS {
            return Answer::Rejected(vec![Reason::InvalidField]);
        }
        let registered = self.users.contains_key(&envelope.account);
        let verdict = match (&envelope.command, registered) {
            (Command::RegisterUser(_), true) => no(Reason::UserExists),
            (Command::RegisterUser(_), false) => {
                self.users.insert(envelope.account, User::default());
                Ok(None)
            }
            (_, false) => no(Reason::UserUnknown),
            (command, true) => self.decide(now, envelope.account, envelope.class, command),
        };
        match verdict {
            Ok(None) => Answer::Accepted,
            Ok(Some(reason)) => Answer::Declined(reason),
            Err(reasons) => Answer::Rejected(reasons),
        }
    }

    fn decide(&mut self, now: u64, account: AccountId, class: Class, command: &Command) -> Verdict {
        let user = self.users.get_mut(&account).unwrap();
        let card_of = |user: &User| {
            match command {
                Command::Activate(c) => Some(c.card),
                Command::ChangeStatus(c) => Some(c.card),
                Command::ChangeLimits(c) => Some(c.card),
                Command::SetNoPinAmount(c) => Some(c.card),
                Command::Settle(c) => Some(c.card),
                Command::LapseChange(c) => Some(c.card),
                Command::ExpireCard(c) => Some(c.card),
                Command::TopUp(c) => Some(c.card),
                Command::Unload(c) => Some(c.card),
                Command::Authorize(c) => Some(c.card),
                Command::Increment(c) => Some(c.card),
                Command::Clear(c) => Some(c.card),
                Command::Reverse(c) => Some(c.card),
                Command::ExpireHold(c) => Some(c.card),
                Command::Refund(c) => Some(c.card),
                Command::ForcePost(c) => Some(c.card),
                Command::WriteOff(c) if !c.card.is_nil() => Some(c.card),
                _ => None,
            }
            .map(|id| (id, user.cards.contains_key(&id)))
        };
        let id = match card_of(user) {
            Some((_, false)) => return no(Reason::CardUnknown),
            Some((id, true)) => id,
            None => CardId::NIL,
        };
        match command {
            Command::Deposit(c) => {
                positive(c.amount.0)?;
                if user.wallet + i128::from(c.amount.0) > BALANCE_MAX {
                    return no(Reason::Overflow);
                }
                user.wallet += i128::from(c.amount.0);
                self.funding -= i128::from(c.amount.0);
                Ok(None)
            }
            Command::Withdraw(c) => {
                positive(c.amount.0)?;
                if user.wallet < i128::from(c.amount.0) {
                    return no(Reason::InsufficientBalance);
                }
                user.wallet -= i128::from(c.amount.0);
                self.funding += i128::from(c.amount.0);
                Ok(None)
            }
            Command::WriteOff(c) => {
                positive(c.amount.0)?;
                let owed = if id.is_nil() { &mut user.wallet } else { &mut user.cards.get_mut(&id).unwrap().balance };
                if *owed >= 0 {
                    return no(Reason::NothingOwed);
                }
                if -*owed < i128::from(c.amount.0) {
                    return no(Reason::AmountAboveMaximum);
                }
                *owed += i128::from(c.amount.0);
                if !id.is_nil() {
                    user.close_if_due(id);
                }
                Ok(None)
            }
            Command::IssueCard(c) => {
                if self.users.values().any(|user| user.cards.contains_key(&c.card)) {
                    return no(Reason::CardExists);
                }
                let user = self.users.get_mut(&account).unwrap();
                let initial = i128::from(c.initial.0);
                if c.programme == ProgrammeCode::Dashboard {
                    positive(c.initial.0)?;
                    bounds(initial, 2_500, 10_000_000)?;
                } else if initial != 0 {
                    return Err(vec![Reason::InvalidField]);
                }
                if user.counted() >= 5 {
                    return no(Reason::CardLimitReached);
                }
                let fixed = if c.programme == ProgrammeCode::Dashboard { 500 } else { 0 };
                let fees = fixed + service_fee(c.programme, initial);
                if user.wallet < initial + fees && initial + fees > 0 {
                    return no(Reason::InsufficientBalance);
                }
                user.wallet -= initial + fees;
                self.revenue += fees;
                user.cards.insert(c.card, new_card(c.programme, c.kind, initial, fees, now));
                Ok(None)
            }
            Command::RequestCard(c) => {
                if user.cards.contains_key(&c.card) || user.requests.contains_key(&c.request) {
                    return no(Reason::CardExists);
                }
                if user.counted() >= 5 {
                    return no(Reason::CardLimitReached);
                }
                user.requests.insert(c.request, (c.card, c.kind));
                Ok(None)
            }
            Command::DecideCardRequest(c) => {
                let Some((card, kind)) = user.requests.remove(&c.request) else {
                    return no(Reason::CardRequestUnknown);
                };
                if c.approved {
                    user.cards.insert(card, new_card(ProgrammeCode::Mobile, kind, 0, 0, now));
                }
                Ok(None)
            }
            Command::TopUp(c) => {
                let amount = i128::from(c.amount.0);
                positive(c.amount.0)?;
                let card = user.cards.get_mut(&id).unwrap();
                let (min, max) =
                    if card.programme == ProgrammeCode::Dashboard { (1_000, 1_000_000) } else { (1, 10_000_000) };
                bounds(amount, min, max)?;
                if !matches!(card.status, Status::Active | Status::Frozen) || card.past_expiry(now) {
                    return no(Reason::InvalidStatus);
                }
                if card.asked().is_some_and(|asked| asked.what == Change::Cancel) {
                    return Err(vec![Reason::ChangePending, Reason::InvalidStatus]);
                }
                let fee = service_fee(card.programme, amount);
                if user.wallet < amount + fee {
                    return no(Reason::InsufficientBalance);
                }
                user.wallet -= amount + fee;
                card.balance += amount;
                self.revenue += fee;
                Ok(None)
            }
            Command::Unload(c) => {
                positive(c.amount.0)?;
                let held = user.held(id);
                let card = user.cards.get_mut(&id).unwrap();
                if !matches!(card.status, Status::Active | Status::Frozen) || card.past_expiry(now) {
                    return no(Reason::InvalidStatus);
                }
                if card.asked().is_some_and(|asked| asked.what == Change::Cancel) {
                    return Err(vec![Reason::ChangePending, Reason::InvalidStatus]);
                }
                if card.balance - held < i128::from(c.amount.0) {
                    return no(Reason::InsufficientBalance);
                }
                card.balance -= i128::from(c.amount.0);
                user.wallet += i128::from(c.amount.0);
                Ok(None)
            }
            Command::Activate(c) => {
                let card = user.cards.get_mut(&id).unwrap();
                if card.status != Status::NotActivated || card.past_expiry(now) {
                    return no(Reason::InvalidStatus);
                }
                if card.pending.is_some() {
                    return no(Reason::ChangePending);
                }
                if c.tried.is_none_or(|tried| tried.last4 == card.last4 && tried.expiry == card.expiry) {
                    card.status = Status::Active;
                    return Ok(None);
                }
                card.tries += 1;
                if card.tries >= 5 {
                    (card.before_block, card.status) = (card.status, Status::Blocked);
                }
                Ok(None)
            }
            Command::SetNoPinAmount(c) => {
                let card = user.cards.get_mut(&id).unwrap();
                if c.amount.0 < 0 {
                    return no(Reason::InvalidField);
                }
                if !card.open() {
                    return no(Reason::InvalidStatus);
                }
                card.no_pin = Some(i128::from(c.amount.0));
                Ok(None)
            }
            Command::ChangeLimits(c) => {
                let card = user.cards.get_mut(&id).unwrap();
                let u = c.update;
                if [u.transaction, u.daily, u.monthly, u.lifetime].iter().flatten().flatten().any(|l| l.0 < 0) {
                    return no(Reason::InvalidField);
                }
                if card.status != Status::Active {
                    return no(Reason::InvalidStatus);
                }
                if card.pending.is_some() {
                    return no(Reason::ChangePending);
                }
                let target = updated(card.limits, u);
                if target == card.limits {
                    return no(Reason::NothingToChange);
                }
                let before = card.limits;
                card.limits = binding(before, target);
                card.pending = Some(Pending {
                    request: None,
                    deadline: now + CHANGE_MS,
                    told: false,
                    what: Waiting::Limits { target, before },
                    overtaken: vec![],
                });
                Ok(None)
            }
            Command::ChangeStatus(c) => user.change_status(now, id, class, c.change),
            Command::Settle(c) => {
                let (fees, wallet) = user.settle(now, id, c.request, &c.outcome)?;
                self.revenue -= fees;
                user.wallet += wallet;
                Ok(None)
            }
            Command::LapseChange(c) => {
                let card = user.cards.get_mut(&id).unwrap();
                let Some(pending) = card.pending.as_mut().filter(|pending| pending.request == Some(c.request)) else {
                    return no(Reason::NothingPending);
                };
                if pending.told {
                    return Err(vec![Reason::NothingPending, Reason::NotDue]);
                }
                if now < pending.deadline {
                    return no(Reason::NotDue);
                }
                pending.told = true;
                match pending.what.clone() {
                    Waiting::Issue => {}
                    Waiting::Status(asked) if asked.what.reduces_risk() => {}
                    Waiting::Status(_) => card.pending = None,
                    // What was lowered holds; what was raised reverts.
                    Waiting::Limits { target, before } => {
                        if binding(target, before) != target {
                            card.pending = None;
                        }
                    }
                }
                Ok(None)
            }
            Command::ExpireCard(_) => {
                let card = user.cards.get_mut(&id).unwrap();
                if !card.open() {
                    return no(Reason::InvalidStatus);
                }
                if card.status == Status::Requested {
                    return Err(vec![Reason::InvalidStatus, Reason::NotDue]);
                }
                if !card.past_expiry(now) {
                    return no(Reason::NotDue);
                }
                card.status = Status::Expired;
                card.pending = None;
                user.close_if_due(id);
                Ok(None)
            }
            Command::Authorize(c) => {
                if c.amount.0 < 0 {
                    return Err(vec![Reason::InvalidField, Reason::AmountNotPositive]);
                }
                let killed = match user.purchases.get(&c.authorization) {
                    Some(auth) if auth.phase == Phase::Killed => true,
                    Some(_) => return no(Reason::AuthorizationExists),
                    None => false,
                };
                if killed {
                    return Ok(Some(DeclineReason::Reversed));
                }
                let amount = i128::from(c.amount.0);
                let no_pin = c.card_present && !c.pin_entered;
                if let Some(reason) = user.check(id, amount, amount, no_pin, now) {
                    return Ok(Some(reason));
                }
                if amount > 0 {
                    user.purchases.insert(
                        c.authorization,
                        Purchase {
                            card: id,
                            phase: Phase::Open,
                            amount,
                            held: amount,
                            spent: Drawn::default(),
                            uses: vec![],
                            until: now + HOLD_MS,
                        },
                    );
                    user.spend(c.authorization, amount, now);
                }
                Ok(None)
            }
            Command::Increment(c) => {
                let amount = i128::from(c.amount.0);
                positive(c.amount.0)?;
                let auth = user.open_hold(id, c.authorization)?;
                let total = auth.amount + fits(auth.amount, amount)?;
                if let Some(reason) = user.check(id, amount, total, false, now) {
                    return Ok(Some(reason));
                }
                let auth = user.purchases.get_mut(&c.authorization).unwrap();
                auth.amount += amount;
                auth.held += amount;
                user.spend(c.authorization, amount, now);
                Ok(None)
            }
            Command::Clear(c) => {
                if let Some(amount) = c.amount {
                    positive(amount.0)?;
                }
                let known = user.known(id, c.authorization)?;
                let held = known.filter(|auth| auth.phase == Phase::Open).map(|auth| auth.held);
                let amount = match (c.amount, held) {
                    (Some(amount), _) => i128::from(amount.0),
                    (None, Some(held)) => held,
                    (None, None) if known.is_some() => return no(Reason::HoldClosed),
                    (None, None) => return no(Reason::AuthorizationUnknown),
                };
                // That nothing more comes is news even when nothing is left.
                if amount == 0 && !c.last {
                    return no(Reason::AmountNotPositive);
                }
                let of_hold = amount.min(held.unwrap_or(0));
                user.draw(id, c.authorization, amount, of_hold, now)?;
                self.network += amount;
                if held.is_some() && c.last {
                    let rest = user.purchases[&c.authorization].held;
                    user.release(c.authorization, rest);
                    user.purchases.get_mut(&c.authorization).unwrap().phase = Phase::Closed;
                }
                user.close_if_due(id);
                Ok(None)
            }
            Command::Reverse(c) => {
                if let Some(amount) = c.amount {
                    positive(amount.0)?;
                }
                let Some(auth) = user.purchases.get(&c.authorization) else {
                    let killed = Purchase { phase: Phase::Killed, ..Purchase::closed(id, 0) };
                    user.purchases.insert(c.authorization, killed);
                    return Ok(None);
                };
                if auth.card != id {
                    return no(Reason::AuthorizationUnknown);
                }
                if auth.phase != Phase::Open {
                    return no(Reason::HoldClosed);
                }
                let amount = c.amount.map_or(auth.held, |amount| i128::from(amount.0));
                if amount > auth.held {
                    return no(Reason::AmountAboveMaximum);
                }
                let all = amount == auth.held;
                user.release(c.authorization, amount);
                if all {
                    user.purchases.get_mut(&c.authorization).unwrap().phase = Phase::Closed;
                }
                user.close_if_due(id);
                Ok(None)
            }
            Command::ExpireHold(c) => {
                let auth = user.open_hold(id, c.authorization)?;
                if now < auth.until && class == Class::Clock {
                    return no(Reason::NotDue);
                }
                let held = auth.held;
                user.release(c.authorization, held);
                user.purchases.get_mut(&c.authorization).unwrap().phase = Phase::Closed;
                user.close_if_due(id);
                Ok(None)
            }
            Command::Refund(c) => {
                if let Some(amount) = c.amount {
                    positive(amount.0)?;
                }
                let known = user.known(id, c.authorization)?;
                let spent = known.map(|auth| auth.spent);
                let amount = match (c.amount, spent) {
                    (Some(amount), _) => i128::from(amount.0),
                    (None, Some(spent)) => spent.sum(),
                    (None, None) => return no(Reason::AuthorizationUnknown),
                };
                if amount == 0 {
                    return no(Reason::AmountNotPositive);
                }
                // In reverse: what the wallet gave was before the card was there, so it is the last to come back.
                let spent = spent.unwrap_or_default();
                let of_card = amount.min(spent.card);
                let of_wallet = (amount - of_card).min(spent.wallet);
                let beyond = amount - of_card - of_wallet;
                if user.posts_to_wallet(id) {
                    user.post(id, 0, amount)?;
                } else {
                    user.post(id, of_card + beyond, of_wallet)?;
                }
                if of_card + of_wallet > 0 {
                    let auth = user.purchases.get_mut(&c.authorization).unwrap();
                    auth.spent.card -= of_card;
                    auth.spent.wallet -= of_wallet;
                    user.give_back(c.authorization, of_card + of_wallet);
                }
                self.network -= amount;
                user.close_if_due(id);
                Ok(None)
            }
            Command::ForcePost(c) => {
                let amount = i128::from(c.amount.0);
                positive(c.amount.0)?;
                if user.purchases.contains_key(&c.authorization) {
                    return no(Reason::AuthorizationExists);
                }
                user.draw(id, c.authorization, amount, 0, now)?;
                self.network += amount;
                Ok(None)
            }
            other => panic!("the model does not know {other:?}"),
        }
    }
}
