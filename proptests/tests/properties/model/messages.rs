//! What the network says: authorizations and increments, clearings, reversals, expiries, refunds and force posts.

use florin_engine::{
    command::{Authorize, Class, Clear, ExpireHold, ForcePost, Increment, Refund, Reverse},
    reject::Reason,
    terms::DeclineReason,
};

use super::{
    Desk, Drawn, Phase, Purchase, Refusal, User, Verdict, no,
    refusals::{beside, declined, full, not_due},
    rules::{fits, posted},
};

impl User {
    pub(super) fn authorize(&mut self, desk: &mut Desk<'_>, c: &Authorize) -> Verdict {
        if c.amount.0 < 0 {
            return no(Reason::AmountNotPositive);
        }
        let killed = match self.purchases.get(&c.authorization) {
            Some(auth) if auth.phase == Phase::Killed => true,
            Some(_) => return no(Reason::AuthorizationExists),
            None => false,
        };
        if killed {
            return Ok(Some(declined(DeclineReason::Reversed, [])));
        }
        self.room(desk)?;
        let amount = i128::from(c.amount.0);
        let no_pin = c.card_present && !c.pin_entered;
        if let Some(decline) = self.check(c.card, amount, amount, no_pin, desk.now) {
            return Ok(Some(decline));
        }
        if amount > 0 {
            self.purchases.insert(
                c.authorization,
                Purchase {
                    card: c.card,
                    phase: Phase::Open,
                    amount,
                    held: amount,
                    spent: Drawn::default(),
                    uses: vec![],
                    until: desk.now + desk.figures.hold_ms,
                    forget: u64::MAX,
                },
            );
            self.spend(c.authorization, amount, desk.now);
        }
        Ok(None)
    }

    /// Only so many authorizations are open or remembered; what is posted without one finds room all the same.
    fn room(&self, desk: &Desk<'_>) -> Result<(), Vec<Refusal>> {
        let most = desk.figures.authorizations_max;
        if self.purchases.len() < most { Ok(()) } else { no(full(Reason::TooManyAuthorizations, most)) }
    }

    pub(super) fn increment(&mut self, desk: &mut Desk<'_>, c: &Increment) -> Verdict {
        let amount = i128::from(c.amount.0);
        posted(c.amount.0)?;
        let auth = self.open_hold(c.card, c.authorization)?;
        let total = auth.amount + fits(auth.amount, amount)?;
        if let Some(decline) = self.check(c.card, amount, total, false, desk.now) {
            return Ok(Some(decline));
        }
        let auth = self.purchases.get_mut(&c.authorization).unwrap();
        auth.amount += amount;
        auth.held += amount;
        self.spend(c.authorization, amount, desk.now);
        Ok(None)
    }

    pub(super) fn clear(&mut self, desk: &mut Desk<'_>, c: &Clear) -> Verdict {
        if let Some(amount) = c.amount {
            posted(amount.0)?;
        }
        let known = self.known(c.card, c.authorization)?;
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
        self.draw(c.card, c.authorization, amount, of_hold, desk)?;
        *desk.network += amount;
        if held.is_some() && c.last {
            let rest = self.purchases[&c.authorization].held;
            self.release(c.authorization, rest);
            self.purchases.get_mut(&c.authorization).unwrap().close(desk.forget());
        }
        self.close_if_due(c.card);
        Ok(None)
    }

    pub(super) fn reverse(&mut self, desk: &mut Desk<'_>, c: &Reverse) -> Verdict {
        if let Some(amount) = c.amount {
            posted(amount.0)?;
        }
        let Some(auth) = self.purchases.get(&c.authorization) else {
            self.room(desk)?;
            let killed = Purchase { phase: Phase::Killed, ..Purchase::closed(c.card, 0, desk.forget()) };
            self.purchases.insert(c.authorization, killed);
            return Ok(None);
        };
        if auth.card != c.card {
            return no(Reason::AuthorizationUnknown);
        }
        if auth.phase != Phase::Open {
            return no(Reason::HoldClosed);
        }
        let amount = c.amount.map_or(auth.held, |amount| i128::from(amount.0));
        if amount > auth.held {
            return no(beside(Reason::AmountAboveMaximum, auth.held, amount));
        }
        let all = amount == auth.held;
        self.release(c.authorization, amount);
        if all {
            self.purchases.get_mut(&c.authorization).unwrap().close(desk.forget());
        }
        self.close_if_due(c.card);
        Ok(None)
    }

    pub(super) fn expire_hold(&mut self, desk: &mut Desk<'_>, c: &ExpireHold) -> Verdict {
        let auth = self.open_hold(c.card, c.authorization)?;
        if desk.now < auth.until && desk.class == Class::Clock {
            return no(not_due(auth.until));
        }
        let held = auth.held;
        self.release(c.authorization, held);
        self.purchases.get_mut(&c.authorization).unwrap().close(desk.forget());
        self.close_if_due(c.card);
        Ok(None)
    }

    pub(super) fn refund(&mut self, desk: &mut Desk<'_>, c: &Refund) -> Verdict {
        if let Some(amount) = c.amount {
            posted(amount.0)?;
        }
        let known = self.known(c.card, c.authorization)?;
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
        if self.posts_to_wallet(c.card) {
            self.post(c.card, 0, amount)?;
        } else {
            self.post(c.card, of_card + beyond, of_wallet)?;
        }
        if of_card + of_wallet > 0 {
            let auth = self.purchases.get_mut(&c.authorization).unwrap();
            auth.spent.card -= of_card;
            auth.spent.wallet -= of_wallet;
            self.give_back(c.authorization, of_card + of_wallet);
        }
        *desk.network -= amount;
        self.close_if_due(c.card);
        Ok(None)
    }

    pub(super) fn force_post(&mut self, desk: &mut Desk<'_>, c: &ForcePost) -> Verdict {
        let amount = i128::from(c.amount.0);
        posted(c.amount.0)?;
        if self.purchases.contains_key(&c.authorization) {
            return no(Reason::AuthorizationExists);
        }
        self.draw(c.card, c.authorization, amount, 0, desk)?;
        *desk.network += amount;
        Ok(None)
    }
}
