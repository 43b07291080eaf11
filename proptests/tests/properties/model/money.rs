//! Money in and out of wallets, between wallet and card, and what is written off.

use florin_engine::{
    command::{Deposit, TopUp, Unload, Withdraw, WriteOff},
    ids::CardId,
    policy::ProgrammeCode,
    reject::Reason,
    terms::{Change, Status},
};

use super::{
    BALANCE_MAX, Desk, Refusal, User, Verdict, no,
    refusals::{beside, short, status},
    rules::{bounds, positive, share_of},
};

impl User {
    pub(super) fn deposit(&mut self, desk: &mut Desk<'_>, c: &Deposit) -> Verdict {
        positive(c.amount.0)?;
        if self.wallet + i128::from(c.amount.0) > BALANCE_MAX {
            return no(Reason::Overflow);
        }
        self.wallet += i128::from(c.amount.0);
        *desk.funding -= i128::from(c.amount.0);
        Ok(None)
    }

    pub(super) fn withdraw(&mut self, desk: &mut Desk<'_>, c: &Withdraw) -> Verdict {
        positive(c.amount.0)?;
        if self.wallet < i128::from(c.amount.0) {
            return no(short(c.amount.0.into(), self.wallet));
        }
        self.wallet -= i128::from(c.amount.0);
        *desk.funding += i128::from(c.amount.0);
        Ok(None)
    }

    pub(super) fn write_off(&mut self, c: &WriteOff) -> Verdict {
        positive(c.amount.0)?;
        let of_wallet = c.card.is_nil();
        let owed = if of_wallet { &mut self.wallet } else { &mut self.cards.get_mut(&c.card).unwrap().balance };
        if *owed >= 0 {
            return no(Reason::NothingOwed);
        }
        if -*owed < i128::from(c.amount.0) {
            return no(beside(Reason::AmountAboveMaximum, -*owed, c.amount.0.into()));
        }
        *owed += i128::from(c.amount.0);
        if !of_wallet {
            self.close_if_due(c.card);
        }
        Ok(None)
    }

    pub(super) fn top_up(&mut self, desk: &mut Desk<'_>, c: &TopUp) -> Verdict {
        let amount = i128::from(c.amount.0);
        positive(c.amount.0)?;
        let dashboard = self.cards[&c.card].programme == ProgrammeCode::Dashboard;
        let (min, max) = if dashboard { desk.figures.top_up } else { (1, 10_000_000) };
        bounds(amount, min, max)?;
        self.movable(desk.now, c.card)?;
        let fee = if dashboard { share_of(amount, desk.figures.top_up_points) } else { 0 };
        if self.wallet < amount + fee {
            return no(short(amount + fee, self.wallet));
        }
        self.wallet -= amount + fee;
        self.cards.get_mut(&c.card).unwrap().balance += amount;
        *desk.revenue += fee;
        Ok(None)
    }

    pub(super) fn unload(&mut self, desk: &mut Desk<'_>, c: &Unload) -> Verdict {
        positive(c.amount.0)?;
        self.movable(desk.now, c.card)?;
        let held = self.held(c.card);
        let card = self.cards.get_mut(&c.card).unwrap();
        if card.balance - held < i128::from(c.amount.0) {
            return no(short(c.amount.0.into(), card.balance - held));
        }
        card.balance -= i128::from(c.amount.0);
        self.wallet += i128::from(c.amount.0);
        Ok(None)
    }

    /// Money moves between wallet and card while the card can be used and is not closing.
    fn movable(&self, now: u64, id: CardId) -> Result<(), Vec<Refusal>> {
        let card = &self.cards[&id];
        if !matches!(card.status, Status::Active | Status::Frozen) || card.past_expiry(now) {
            return no(status(card.status));
        }
        if card.asked().is_some_and(|asked| asked.what == Change::Cancel) {
            return no(Reason::ChangePending);
        }
        Ok(())
    }
}
