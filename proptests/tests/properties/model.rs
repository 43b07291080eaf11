//! The reference model: the documents of cards, money and limits once more, as plain maps and sums, for prepaid cards.
//!
//! It is written from the documents and knows nothing of how the engine works. It is meant to be slow and obvious: usage
//! is a list that is added up, the time is a number, money is an `i128`.

use std::collections::{BTreeMap, HashMap};

use florin_engine::{
    command::{Class, Command, Envelope, Outcome},
    ids::{AccountId, AuthorizationId, CardId, CardRequestId, Key, RequestId},
    limits::{Limits, LimitsUpdate},
    policy::{CardKind, ProgrammeCode},
    reject::{Reason, Retry},
    terms::{Change, DeclineReason, Status},
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

#[derive(Clone, Debug)]
pub enum Waiting {
    Issue,
    Status(Asked),
    Limits { target: Limits, before: Limits },
}

/// A change of status that somebody asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub what: Change,
    pub target: Status,
    pub by_ops: bool,
}

#[derive(Clone, Debug)]
pub struct Pending {
    pub request: Option<RequestId>,
    pub deadline: u64,
    pub told: bool,
    pub what: Waiting,
    /// The risk-reducing changes of status that stronger ones took the place of, the latest last.
    pub overtaken: Vec<Asked>,
}

/// Usage is a list of what was used and given back, each on the day it counts for.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    pub time: u64,
    pub amount: i128,
}

#[derive(Clone, Debug)]
pub struct Card {
    pub programme: ProgrammeCode,
    pub kind: CardKind,
    pub status: Status,
    pub before_block: Status,
    pub fraud: bool,
    pub tries: u8,
    pub last4: u16,
    pub expiry: u16,
    pub balance: i128,
    pub limits: Limits,
    pub no_pin: Option<i128>,
    pub uses: Vec<Use>,
    pub pending: Option<Pending>,
    pub swept: bool,
    /// What issuing took: initial balance, then fees.
    pub taken: (i128, i128),
    pub returned: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    Open,
    Closed,
    Killed,
}

/// What a purchase drew, by where it came from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drawn {
    pub card: i128,
    pub wallet: i128,
}

impl Drawn {
    pub fn sum(self) -> i128 {
        self.card + self.wallet
    }
}

#[derive(Clone, Debug)]
pub struct Purchase {
    pub card: CardId,
    pub phase: Phase,
    pub amount: i128,
    pub held: i128,
    /// What was drawn and not refunded: from the card, and from the wallet.
    pub spent: Drawn,
    pub uses: Vec<Use>,
    pub until: u64,
}

#[derive(Clone, Debug, Default)]
pub struct User {
    pub wallet: i128,
    pub cards: BTreeMap<CardId, Card>,
    pub purchases: BTreeMap<AuthorizationId, Purchase>,
    pub requests: BTreeMap<CardRequestId, (CardId, CardKind)>,
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    pub users: BTreeMap<AccountId, User>,
    pub memory: HashMap<(AccountId, Key), (u64, [u8; 16])>,
    pub revenue: i128,
    pub network: i128,
    pub funding: i128,
}

/// The calendar day and month of a time, by counting.
pub fn day_and_month(time: u64) -> (u64, u64) {
    let day = time / DAY;
    let (mut left, mut year, mut month) = (day, 1970_u64, 0_u64);
    loop {
        let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        let february = if leap { 29 } else { 28 };
        let days = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][usize::try_from(month).unwrap()];
        if left < days {
            return (day, year * 12 + month);
        }
        left -= days;
        month += 1;
        if month == 12 {
            (year, month) = (year + 1, 0);
        }
    }
}

/// 3%, half up.
fn service_fee(programme: ProgrammeCode, amount: i128) -> i128 {
    if programme == ProgrammeCode::Dashboard { (amount * 3 + 50) / 100 } else { 0 }
}

impl Card {
    /// Used on the day, in the month, and ever.
    pub fn usage(&self, now: u64) -> [i128; 3] {
        let (day, month) = day_and_month(now);
        let sum = |of: &dyn Fn(u64, u64) -> bool| {
            self.uses
                .iter()
                .filter(|used| {
                    let (d, m) = day_and_month(used.time);
                    of(d, m)
                })
                .map(|used| used.amount)
                .sum()
        };
        [sum(&|d, _| d == day), sum(&|_, m| m == month), sum(&|_, _| true)]
    }

    fn past_expiry(&self, now: u64) -> bool {
        self.expiry != 0 && day_and_month(now).1 > u64::from(self.expiry)
    }

    fn block(&mut self, fraud: bool) {
        if self.status != Status::Blocked {
            self.before_block = if self.freeze_accepted() { Status::Frozen } else { self.status };
        }
        self.status = Status::Blocked;
        self.fraud |= fraud;
    }

    /// Whether a freeze was accepted that is not settled: it never reverts by itself, not below a block either.
    fn freeze_accepted(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| {
            let waits = match pending.what {
                Waiting::Status(asked) => Some(asked),
                _ => None,
            };
            pending.overtaken.iter().chain(&waits).any(|asked| asked.what == Change::Freeze)
        })
    }

    /// The change of status that is pending.
    pub fn asked(&self) -> Option<Asked> {
        match self.pending.as_ref()?.what {
            Waiting::Status(asked) => Some(asked),
            _ => None,
        }
    }

    fn open(&self) -> bool {
        !matches!(self.status, Status::Cancelled | Status::Expired)
    }
}

impl User {
    pub fn held(&self, card: CardId) -> i128 {
        self.purchases.values().filter(|auth| auth.card == card).map(|auth| auth.held).sum()
    }

    fn has_holds(&self, card: CardId) -> bool {
        self.purchases.values().any(|auth| auth.card == card && auth.phase == Phase::Open)
    }

    pub fn counted(&self) -> usize {
        self.cards.values().filter(|card| card.open()).count() + self.requests.len()
    }

    /// PreCancel → Cancelled, and the sweep of an expired card, once nothing stands in the way.
    fn close_if_due(&mut self, id: CardId) {
        let holds = self.has_holds(id);
        let card = self.cards.get_mut(&id).unwrap();
        let closing = card.status == Status::PreCancel || (card.status == Status::Expired && !card.swept);
        if closing && !holds && !card.fraud && card.balance >= 0 {
            self.wallet += card.balance;
            card.balance = 0;
            card.swept = true;
            if card.status == Status::PreCancel {
                card.status = Status::Cancelled;
            }
        }
    }

    /// Whether what is posted goes to the wallet: the card is not made yet, or it is closed with nothing left on it.
    fn posts_to_wallet(&self, id: CardId) -> bool {
        let card = &self.cards[&id];
        match card.status {
            Status::Requested | Status::Cancelled => true,
            Status::Expired => card.balance == 0 && self.held(id) == 0 && !card.fraud,
            _ => false,
        }
    }

    /// Adds to the card and to the wallet, or takes from them, all or nothing.
    fn post(&mut self, id: CardId, on_card: i128, on_wallet: i128) -> Result<(), Vec<Reason>> {
        let card = self.cards.get_mut(&id).unwrap();
        for (balance, amount) in [(card.balance, on_card), (self.wallet, on_wallet)] {
            if amount != 0 && (balance + amount).abs() > BALANCE_MAX {
                return no(Reason::Overflow);
            }
        }
        card.balance += on_card;
        self.wallet += on_wallet;
        Ok(())
    }

    /// Draws what was bought, `of_hold` of it from the purchase's hold and so from the card.
    fn draw(
        &mut self,
        id: CardId,
        authorization: AuthorizationId,
        amount: i128,
        of_hold: i128,
        now: u64,
    ) -> Result<(), Vec<Reason>> {
        let beyond = amount - of_hold;
        let [.., ever] = self.cards[&id].usage(now);
        if beyond > BALANCE_MAX || (beyond > 0 && ever + beyond > i128::from(i64::MAX)) {
            return no(Reason::Overflow);
        }
        let wallet = if self.posts_to_wallet(id) { beyond } else { 0 };
        self.post(id, wallet - amount, -wallet)?;
        let auth = self.purchases.entry(authorization).or_insert_with(|| Purchase::closed(id, amount));
        auth.held -= of_hold;
        auth.spent.card += amount - wallet;
        auth.spent.wallet += wallet;
        if beyond > 0 {
            self.spend(authorization, beyond, now);
        }
        Ok(())
    }

    /// Gives back `amount` of what a purchase used, the newest first.
    fn give_back(&mut self, id: AuthorizationId, amount: i128) {
        let auth = self.purchases.get_mut(&id).unwrap();
        let card = self.cards.get_mut(&auth.card).unwrap();
        let mut left = amount;
        for used in auth.uses.iter_mut().rev() {
            let part = left.min(used.amount);
            used.amount -= part;
            left -= part;
            card.uses.push(Use { time: used.time, amount: -part });
        }
        assert_eq!(left, 0, "the model gives back more than was used");
    }

    fn release(&mut self, id: AuthorizationId, amount: i128) {
        self.purchases.get_mut(&id).unwrap().held -= amount;
        self.give_back(id, amount);
    }

    fn spend(&mut self, id: AuthorizationId, amount: i128, now: u64) {
        let auth = self.purchases.get_mut(&id).unwrap();
        auth.uses.push(Use { time: now, amount });
        self.cards.get_mut(&auth.card).unwrap().uses.push(Use { time: now, amount });
    }

    /// The checks of an authorization, in their order. `total` counts against the limit per transaction.
    fn check(&self, id: CardId, amount: i128, total: i128, no_pin: bool, now: u64) -> Option<DeclineReason> {
        let card = &self.cards[&id];
        if card.status == Status::Expired {
            return Some(DeclineReason::Expired);
        }
        if card.status != Status::Active {
            return Some(DeclineReason::CardNotActive);
        }
        if card.asked().is_some_and(|asked| asked.what.reduces_risk()) {
            return Some(DeclineReason::ChangePending);
        }
        if card.past_expiry(now) {
            return Some(DeclineReason::Expired);
        }
        let over = |limit: Option<florin_engine::money::Minor>, used: i128| {
            limit.is_some_and(|limit| used > i128::from(limit.0) || limit.0 == 0)
        };
        if over(card.limits.transaction, total) {
            return Some(DeclineReason::TransactionLimit);
        }
        if no_pin && card.no_pin.is_some_and(|most| amount > most) {
            return Some(DeclineReason::NoPinLimit);
        }
        let [day, month, ever] = card.usage(now);
        if over(card.limits.daily, day + amount) {
            return Some(DeclineReason::DailyLimit);
        }
        if over(card.limits.monthly, month + amount) {
            return Some(DeclineReason::MonthlyLimit);
        }
        if over(card.limits.lifetime, ever + amount) {
            return Some(DeclineReason::LifetimeLimit);
        }
        if amount > 0 && card.balance - self.held(id) < amount {
            return Some(DeclineReason::InsufficientBalance);
        }
        None
    }
}

fn updated(limits: Limits, update: LimitsUpdate) -> Limits {
    Limits {
        transaction: update.transaction.unwrap_or(limits.transaction),
        daily: update.daily.unwrap_or(limits.daily),
        monthly: update.monthly.unwrap_or(limits.monthly),
        lifetime: update.lifetime.unwrap_or(limits.lifetime),
    }
}

/// What binds while a change of limits waits: of each the lower.
fn binding(one: Limits, other: Limits) -> Limits {
    let lower = |a: Option<florin_engine::money::Minor>, b: Option<florin_engine::money::Minor>| match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    Limits {
        transaction: lower(one.transaction, other.transaction),
        daily: lower(one.daily, other.daily),
        monthly: lower(one.monthly, other.monthly),
        lifetime: lower(one.lifetime, other.lifetime),
    }
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

impl User {
    /// The authorization, if there is one, opened or reversed or posted; of another card it is none that is known.
    fn known(&self, card: CardId, id: AuthorizationId) -> Result<Option<&Purchase>, Vec<Reason>> {
        match self.purchases.get(&id) {
            Some(auth) if auth.card != card => no(Reason::AuthorizationUnknown),
            known => Ok(known),
        }
    }

    fn open_hold(&self, card: CardId, id: AuthorizationId) -> Result<&Purchase, Vec<Reason>> {
        match self.purchases.get(&id) {
            Some(auth) if auth.card == card && auth.phase == Phase::Open => Ok(auth),
            Some(auth) if auth.card == card && auth.phase == Phase::Closed => no(Reason::HoldClosed),
            Some(auth) if auth.card == card => Err(vec![Reason::HoldClosed, Reason::AuthorizationUnknown]),
            _ => no(Reason::AuthorizationUnknown),
        }
    }

    fn change_status(&mut self, now: u64, id: CardId, class: Class, change: Change) -> Verdict {
        use Status::{Active, Blocked, Frozen, NotActivated, PreCancel};
        let user_asks = class == Class::User;
        let card = self.cards.get_mut(&id).unwrap();
        // By ops, unblocking a card that closes lifts the fraud mark that keeps it from closing.
        if change == Change::Unblock && matches!(card.status, PreCancel | Status::Expired) && card.fraud {
            card.fraud = false;
            self.close_if_due(id);
            return Ok(None);
        }
        let blocks = matches!(change, Change::Block | Change::BlockForFraud);
        let waits = card.pending.as_ref().map(|pending| match pending.what {
            Waiting::Status(asked) => strength(asked.what),
            Waiting::Limits { .. } => 0,
            Waiting::Issue => u8::MAX,
        });
        // What is so already can be asked for again over something on its way that would end it: by ops whatever is
        // weaker, by the issuer an unblock.
        let again = match class {
            Class::Ops => waits.is_some_and(|waits| strength(change) > waits),
            Class::Network => card.asked().is_some_and(|asked| asked.what == Change::Unblock),
            _ => false,
        };
        let target = match (change, card.status) {
            (Change::Freeze, Active) => Frozen,
            (Change::Freeze, Frozen) if again => Frozen,
            (_, Blocked) if blocks && again => Blocked,
            (Change::Thaw, Frozen) => Active,
            (_, Active | Frozen) if blocks => Blocked,
            (_, NotActivated) if blocks && class == Class::Network => Blocked,
            (Change::BlockForFraud, Blocked) if !card.fraud => Blocked,
            (Change::Unblock, Blocked) => card.before_block,
            (Change::Cancel, Blocked) if card.fraud && user_asks => return no(Reason::FraudBlock),
            (Change::Cancel, Active | Frozen | Blocked) => PreCancel,
            (Change::Cancel, NotActivated) if !user_asks => PreCancel,
            _ => {
                let mut reasons = vec![Reason::InvalidStatus, Reason::NothingToChange];
                reasons.extend((card.fraud && user_asks).then_some(Reason::FraudBlock));
                reasons.extend(waits.map(|_| Reason::ChangePending));
                return Err(reasons);
            }
        };
        if class == Class::Network {
            // What the issuer says it has done is so at once. Only a pending cancel goes on, unless it is the user's and
            // the block is for fraud.
            let goes_on = card
                .asked()
                .is_some_and(|asked| asked.what == Change::Cancel && (asked.by_ops || change == Change::Block));
            card.block(change == Change::BlockForFraud);
            if !goes_on {
                card.pending = None;
            }
            return Ok(None);
        }
        if let Some(waits) = waits {
            let overtakes = class == Class::Ops && change.reduces_risk();
            if !overtakes || strength(change) < waits {
                return no(Reason::ChangePending);
            }
            if strength(change) == waits {
                return no(Reason::NothingToChange);
            }
        }
        if card.status == Blocked && change == Change::BlockForFraud && !card.fraud {
            card.pending = None;
            card.block(true);
            return Ok(None);
        }
        let mut overtaken = card.pending.take().map_or(vec![], |pending| match pending.what {
            Waiting::Status(asked) => pending.overtaken.into_iter().chain([asked]).collect(),
            _ => vec![],
        });
        overtaken.retain(|asked| asked.what.reduces_risk());
        card.pending = Some(Pending {
            request: None,
            deadline: now + CHANGE_MS,
            told: false,
            what: Waiting::Status(Asked { what: change, target, by_ops: class == Class::Ops }),
            overtaken,
        });
        Ok(None)
    }

    /// Returns the fees that are given back, and what the wallet gets in all.
    fn settle(
        &mut self,
        now: u64,
        id: CardId,
        request: RequestId,
        outcome: &Outcome,
    ) -> Result<(i128, i128), Vec<Reason>> {
        let card = self.cards.get_mut(&id).unwrap();
        let Some(pending) = card.pending.clone().filter(|pending| pending.request == Some(request)) else {
            return Ok((0, 0));
        };
        match (pending.what, outcome) {
            // Past its deadline it is being given up: what is made late is terminated, and only a refusal returns the money.
            (Waiting::Issue, Outcome::Issued(_)) if pending.told => {}
            (Waiting::Issue, Outcome::Issued(issued)) => {
                card.pending = None;
                (card.last4, card.expiry) = (issued.last4, issued.expiry);
                card.status = if card.kind == CardKind::Virtual { Status::Active } else { Status::NotActivated };
            }
            (Waiting::Issue, Outcome::Refused(_)) => {
                card.pending = None;
                card.status = Status::Cancelled;
                card.balance -= card.taken.0;
                card.returned = true;
                return Ok((card.taken.1, card.taken.0 + card.taken.1));
            }
            (Waiting::Status(Asked { what, target, .. }), Outcome::Done) => {
                match what {
                    Change::Block | Change::BlockForFraud => card.block(what == Change::BlockForFraud),
                    Change::Unblock => {
                        card.fraud = false;
                        card.tries = 0;
                    }
                    _ => {}
                }
                card.pending = None;
                card.status = target;
                self.close_if_due(id);
            }
            (Waiting::Limits { target, .. }, Outcome::Done) => {
                card.pending = None;
                card.limits = target;
            }
            // What was overtaken is asked for again, unless the card has come to that, or further, by now.
            (Waiting::Status(_), Outcome::Refused(_)) => {
                let mut overtaken = pending.overtaken;
                overtaken.retain(|asked| rank(asked.target) > rank(card.status));
                card.pending = overtaken.pop().map(|asked| Pending {
                    request: None,
                    deadline: now + CHANGE_MS,
                    told: false,
                    what: Waiting::Status(asked),
                    overtaken,
                });
            }
            (Waiting::Limits { before, .. }, Outcome::Refused(_)) => {
                card.pending = None;
                card.limits = before;
            }
            _ => return Err(vec![Reason::InvalidField]),
        }
        Ok((0, 0))
    }
}

impl Purchase {
    /// One that holds nothing.
    fn closed(card: CardId, amount: i128) -> Self {
        let (phase, spent) = (Phase::Closed, Drawn::default());
        Self { card, phase, amount, held: 0, spent, uses: vec![], until: 0 }
    }
}

fn new_card(programme: ProgrammeCode, kind: CardKind, initial: i128, fees: i128, now: u64) -> Card {
    Card {
        programme,
        kind,
        status: Status::Requested,
        before_block: Status::Requested,
        fraud: false,
        tries: 0,
        last4: 0,
        expiry: 0,
        balance: initial,
        limits: Limits::default(),
        no_pin: None,
        uses: vec![],
        pending: Some(Pending {
            request: None,
            deadline: now + ISSUANCE_MS,
            told: false,
            what: Waiting::Issue,
            overtaken: vec![],
        }),
        swept: false,
        taken: (initial, fees),
        returned: false,
    }
}

/// Of changes by ops, the stronger overtakes the weaker.
fn strength(change: Change) -> u8 {
    match change {
        Change::Thaw | Change::Unblock => 0,
        Change::Freeze => 1,
        Change::Block => 2,
        Change::Cancel => 3,
        Change::BlockForFraud => 4,
    }
}

/// How little a card can do.
fn rank(status: Status) -> u8 {
    match status {
        Status::Active => 0,
        Status::Frozen => 1,
        Status::Blocked => 2,
        _ => 3,
    }
}

fn positive(amount: i64) -> Result<(), Vec<Reason>> {
    if amount > 0 { Ok(()) } else { no(Reason::AmountNotPositive) }
}

fn bounds(amount: i128, min: i128, max: i128) -> Result<(), Vec<Reason>> {
    if amount < min {
        return no(Reason::AmountBelowMinimum);
    }
    if amount > max { no(Reason::AmountAboveMaximum) } else { Ok(()) }
}

/// The amount, if the sum is still one of 64 bits.
fn fits(balance: i128, amount: i128) -> Result<i128, Vec<Reason>> {
    if balance + amount > i128::from(i64::MAX) { no(Reason::Overflow) } else { Ok(amount) }
}

/// Who may send what.
fn may(class: Class, command: &Command) -> bool {
    use Class::{Clock, Network, Ops, Settlement, User};
    let allowed: &[Class] = match command {
        Command::RegisterUser(_)
        | Command::Deposit(_)
        | Command::Withdraw(_)
        | Command::WriteOff(_)
        | Command::DecideCardRequest(_) => &[Ops],
        Command::RequestCard(_) | Command::TopUp(_) | Command::Unload(_) => &[User],
        Command::IssueCard(_) | Command::Activate(_) | Command::ChangeLimits(_) | Command::SetNoPinAmount(_) => {
            &[User, Ops]
        }
        Command::ChangeStatus(c) => match c.change {
            Change::Freeze | Change::Thaw | Change::Cancel => &[User, Ops],
            Change::Block | Change::BlockForFraud => &[Ops, Network],
            Change::Unblock => &[Ops],
        },
        Command::Settle(_) => &[Settlement],
        Command::LapseChange(_) | Command::ExpireCard(_) => &[Clock],
        Command::ExpireHold(_) => &[Clock, Network],
        Command::Authorize(_)
        | Command::Increment(_)
        | Command::Clear(_)
        | Command::Reverse(_)
        | Command::Refund(_)
        | Command::ForcePost(_) => &[Network],
        _ => &[],
    };
    allowed.contains(&class)
}
