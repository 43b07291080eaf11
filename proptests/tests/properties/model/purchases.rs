//! Usage, holds and postings: what a purchase takes from a card, and what comes back.

use florin_engine::{
    ids::{AuthorizationId, CardId},
    reject::{Figure, Reason},
    terms::{Change, DeclineReason, Status},
};

use super::{
    Asked, BALANCE_MAX, Card, Decline, Desk, Drawn, Phase, Purchase, Refusal, Use, User, Waiting, no,
    refusals::{declined, lowers_risk, number_of},
};
use crate::policy::DAY;

/// How many days a month has; months are counted from 0, since the year 0.
fn days_of(month: u64) -> u64 {
    let (year, month) = (month / 12, month % 12);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let february = if leap { 29 } else { 28 };
    [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][usize::try_from(month).unwrap()]
}

/// Where counting begins: the first day of 2020, counted from 1970, and its month. No story is older.
const FIRST: (u64, u64) = (18_262, 2020 * 12);

/// The calendar day and month of a time, by counting.
pub fn day_and_month(time: u64) -> (u64, u64) {
    let day = time / DAY;
    let (mut left, mut month) = (day - FIRST.0, FIRST.1);
    loop {
        let days = days_of(month);
        if left < days {
            return (day, month);
        }
        left -= days;
        month += 1;
    }
}

/// The first moment of a month.
pub fn month_begins(month: u64) -> u64 {
    (FIRST.0 + (FIRST.1..month).map(days_of).sum::<u64>()) * DAY
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

    pub fn past_expiry(&self, now: u64) -> bool {
        self.expiry != 0 && day_and_month(now).1 > u64::from(self.expiry)
    }

    pub fn block(&mut self, fraud: bool) {
        if self.status != Status::Blocked {
            self.before_block = if self.freeze_accepted() { Status::Frozen } else { self.status };
        }
        self.status = Status::Blocked;
        self.fraud |= fraud;
    }

    /// Whether a freeze was accepted that is not settled: it never reverts by itself, not below a block either.
    pub fn freeze_accepted(&self) -> bool {
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

    pub fn open(&self) -> bool {
        !matches!(self.status, Status::Cancelled | Status::Expired)
    }
}

impl User {
    pub fn held(&self, card: CardId) -> i128 {
        self.purchases.values().filter(|auth| auth.card == card).map(|auth| auth.held).sum()
    }

    pub fn has_holds(&self, card: CardId) -> bool {
        self.purchases.values().any(|auth| auth.card == card && auth.phase == Phase::Open)
    }

    pub fn counted(&self) -> usize {
        self.cards.values().filter(|card| card.open()).count() + self.requests.len()
    }

    /// PreCancel → Cancelled, and the sweep of an expired card, once nothing stands in the way.
    pub fn close_if_due(&mut self, id: CardId) {
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
    pub fn posts_to_wallet(&self, id: CardId) -> bool {
        let card = &self.cards[&id];
        match card.status {
            Status::Requested | Status::Cancelled => true,
            Status::Expired => card.balance == 0 && self.held(id) == 0 && !card.fraud,
            _ => false,
        }
    }

    /// Adds to the card and to the wallet, or takes from them, all or nothing.
    pub fn post(&mut self, id: CardId, on_card: i128, on_wallet: i128) -> Result<(), Vec<Refusal>> {
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
    pub(super) fn draw(
        &mut self,
        id: CardId,
        authorization: AuthorizationId,
        amount: i128,
        of_hold: i128,
        desk: &Desk<'_>,
    ) -> Result<(), Vec<Refusal>> {
        let (now, beyond) = (desk.now, amount - of_hold);
        let [.., ever] = self.cards[&id].usage(now);
        if beyond > BALANCE_MAX || (beyond > 0 && ever + beyond > i128::from(i64::MAX)) {
            return no(Reason::Overflow);
        }
        let wallet = if self.posts_to_wallet(id) { beyond } else { 0 };
        self.post(id, wallet - amount, -wallet)?;
        let auth = self.purchases.entry(authorization).or_insert_with(|| Purchase::closed(id, amount, desk.forget()));
        auth.held -= of_hold;
        auth.spent.card += amount - wallet;
        auth.spent.wallet += wallet;
        if beyond > 0 {
            self.spend(authorization, beyond, now);
        }
        Ok(())
    }

    /// Gives back `amount` of what a purchase used, the newest first.
    pub fn give_back(&mut self, id: AuthorizationId, amount: i128) {
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

    pub fn release(&mut self, id: AuthorizationId, amount: i128) {
        self.purchases.get_mut(&id).unwrap().held -= amount;
        self.give_back(id, amount);
    }

    pub fn spend(&mut self, id: AuthorizationId, amount: i128, now: u64) {
        let auth = self.purchases.get_mut(&id).unwrap();
        auth.uses.push(Use { time: now, amount });
        self.cards.get_mut(&auth.card).unwrap().uses.push(Use { time: now, amount });
    }

    /// The checks of an authorization, in their order. `total` counts against the limit per transaction.
    pub fn check(&self, id: CardId, amount: i128, total: i128, no_pin: bool, now: u64) -> Option<Decline> {
        let card = &self.cards[&id];
        if card.status == Status::Expired {
            return Some(declined(DeclineReason::Expired, []));
        }
        if card.status != Status::Active {
            return Some(declined(DeclineReason::CardNotActive, [(Figure::Status, number_of(card.status))]));
        }
        if card.asked().is_some_and(|asked| lowers_risk(asked.what)) {
            return Some(declined(DeclineReason::ChangePending, []));
        }
        if card.past_expiry(now) {
            return Some(declined(DeclineReason::Expired, []));
        }
        let of_one = |limit: i128| [(Figure::Amount, total), (Figure::Limit, limit)];
        if let Some(limit) = card.limits.transaction.map(|limit| i128::from(limit.0))
            && passes(limit, total)
        {
            return Some(declined(DeclineReason::TransactionLimit, of_one(limit)));
        }
        if let Some(limit) = card.no_pin.filter(|most| no_pin && amount > *most) {
            return Some(declined(DeclineReason::NoPinLimit, of_one(limit)));
        }
        let [day, month, ever] = card.usage(now);
        for (limit, used, reason) in [
            (card.limits.daily, day, DeclineReason::DailyLimit),
            (card.limits.monthly, month, DeclineReason::MonthlyLimit),
            (card.limits.lifetime, ever, DeclineReason::LifetimeLimit),
        ] {
            let Some(limit) = limit.map(|limit| i128::from(limit.0)) else { continue };
            if passes(limit, used + amount) {
                let figures = [(Figure::Amount, amount), (Figure::Limit, limit), (Figure::Used, used)];
                return Some(declined(reason, figures));
            }
        }
        let available = card.balance - self.held(id);
        if amount > 0 && available < amount {
            let figures = [(Figure::Needed, amount), (Figure::Available, available)];
            return Some(declined(DeclineReason::InsufficientBalance, figures));
        }
        None
    }
}

/// Whether what is used with a purchase is above a limit; one of 0 lets nothing through.
fn passes(limit: i128, used: i128) -> bool {
    used > limit || limit == 0
}

impl User {
    /// The authorization, if there is one, opened or reversed or posted; of another card it is none that is known.
    pub fn known(&self, card: CardId, id: AuthorizationId) -> Result<Option<&Purchase>, Vec<Refusal>> {
        match self.purchases.get(&id) {
            Some(auth) if auth.card != card => no(Reason::AuthorizationUnknown),
            known => Ok(known),
        }
    }

    pub fn open_hold(&self, card: CardId, id: AuthorizationId) -> Result<&Purchase, Vec<Refusal>> {
        match self.purchases.get(&id) {
            Some(auth) if auth.card == card && auth.phase == Phase::Open => Ok(auth),
            Some(auth) if auth.card == card && auth.phase == Phase::Closed => no(Reason::HoldClosed),
            Some(auth) if auth.card == card => no(Reason::HoldClosed),
            _ => no(Reason::AuthorizationUnknown),
        }
    }
}

impl Purchase {
    /// One that holds nothing.
    pub fn closed(card: CardId, amount: i128, forget: u64) -> Self {
        let (phase, spent) = (Phase::Closed, Drawn::default());
        Self { card, phase, amount, held: 0, spent, uses: vec![], until: 0, forget }
    }

    pub fn close(&mut self, forget: u64) {
        self.phase = Phase::Closed;
        self.forget = forget;
    }
}
