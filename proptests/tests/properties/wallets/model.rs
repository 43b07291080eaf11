//! Purchases of a wallet-funded card as pieces: so many units of a token, worth so many cents at the rate of their moment.
//!
//! Tokens are drawn in the policy's order. Of a piece that is taken in parts, what is taken from the front is rounded up and
//! what is taken from the back is rounded down, so that the user never gains by it and the whole is never exceeded.

use std::collections::BTreeMap;

use florin_engine::ids::AuthorizationId;

use crate::policy::TOKENS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which of [`TOKENS`].
    pub token: usize,
    pub units: i128,
    pub cents: i128,
    /// 10⁻⁸ USD for one token.
    pub rate: i128,
}

#[derive(Clone, Debug, Default)]
pub struct Purchase {
    pub open: bool,
    pub held: Vec<Piece>,
    pub spent: Vec<Piece>,
}

/// What came of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    Declined,
    Rejected,
}

#[derive(Clone, Debug, Default)]
pub struct Wallets {
    pub balance: [i128; 3],
    pub rates: [i128; 3],
    pub purchases: BTreeMap<AuthorizationId, Purchase>,
    /// Cents that the network has got.
    pub network: i128,
}

/// Cents as a fraction of units: numerator for one cent, and denominator.
fn ratio(token: usize, rate: i128) -> (i128, i128) {
    (100_000_000 * 10_i128.pow(TOKENS[token].1), 100 * rate)
}

fn up(over: i128, under: i128) -> i128 {
    over / under + i128::from(over % under != 0)
}

/// What cents are worth in a token, rounded up.
pub fn units_up(token: usize, cents: i128, rate: i128) -> i128 {
    let (over, under) = ratio(token, rate);
    up(cents * over, under)
}

fn units_half_up(token: usize, cents: i128, rate: i128) -> i128 {
    let (over, under) = ratio(token, rate);
    (2 * cents * over + under) / (2 * under)
}

fn cents_down(token: usize, units: i128, rate: i128) -> i128 {
    let (over, under) = ratio(token, rate);
    units * under / over
}

fn cents(pieces: &[Piece]) -> i128 {
    pieces.iter().map(|piece| piece.cents).sum()
}

fn add(pieces: &mut Vec<Piece>, more: &[Piece]) {
    for piece in more {
        match pieces.iter_mut().find(|known| (known.token, known.rate) == (piece.token, piece.rate)) {
            Some(known) => {
                known.units += piece.units;
                known.cents += piece.cents;
            }
            None => pieces.push(*piece),
        }
    }
}

/// Takes cents off the first pieces.
fn take_front(pieces: &mut Vec<Piece>, mut cents: i128) -> Vec<Piece> {
    let mut taken = vec![];
    while cents > 0 {
        let first = &mut pieces[0];
        let part = cents.min(first.cents);
        let units = up(first.units * part, first.cents);
        taken.push(Piece { units, cents: part, ..*first });
        first.units -= units;
        first.cents -= part;
        cents -= part;
        if first.cents == 0 {
            pieces.remove(0);
        }
    }
    taken
}

/// Takes cents off the last pieces.
fn take_back(pieces: &mut Vec<Piece>, mut cents: i128) -> Vec<Piece> {
    let mut taken = vec![];
    while cents > 0 {
        let mut last = pieces.pop().unwrap();
        let part = cents.min(last.cents);
        let units = last.units * part / last.cents;
        taken.push(Piece { units, cents: part, ..last });
        last.units -= units;
        last.cents -= part;
        cents -= part;
        if last.cents > 0 {
            pieces.push(last);
        }
    }
    taken
}

impl Wallets {
    pub fn held(&self, token: usize) -> i128 {
        let pieces = self.purchases.values().flat_map(|purchase| &purchase.held);
        pieces.filter(|piece| piece.token == token).map(|piece| piece.units).sum()
    }

    /// What counts against the card's limits for ever.
    pub fn used(&self) -> i128 {
        self.purchases.values().map(|purchase| cents(&purchase.held) + cents(&purchase.spent)).sum()
    }

    fn drawn(&self, mut wanted: i128) -> (Vec<Piece>, i128) {
        let mut pieces = vec![];
        for (token, &rate) in self.rates.iter().enumerate() {
            let free = (self.balance[token] - self.held(token)).max(0);
            let part = cents_down(token, free, rate).min(wanted);
            if part > 0 {
                pieces.push(Piece { token, units: units_up(token, part, rate), cents: part, rate });
                wanted -= part;
            }
        }
        (pieces, wanted)
    }

    /// What was bought has been bought: what is short falls on the first wallet.
    fn drawn_whatever(&self, wanted: i128) -> Vec<Piece> {
        let (mut pieces, short) = self.drawn(wanted);
        let rate = self.rates[0];
        if short > 0 {
            add(&mut pieces, &[Piece { token: 0, units: units_up(0, short, rate), cents: short, rate }]);
        }
        pieces
    }

    fn pay(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            self.balance[piece.token] -= piece.units;
            self.network += piece.cents;
        }
    }

    fn earn(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            self.balance[piece.token] += piece.units;
            self.network -= piece.cents;
        }
    }

    /// Holds more for a purchase that is new, or open.
    pub fn authorize(&mut self, id: AuthorizationId, amount: i128) -> Answer {
        if self.purchases.get(&id).is_some_and(|purchase| !purchase.open) {
            return Answer::Rejected;
        }
        let (pieces, short) = self.drawn(amount);
        if short > 0 {
            return Answer::Declined;
        }
        let purchase = self.purchases.entry(id).or_default();
        purchase.open = true;
        add(&mut purchase.held, &pieces);
        Answer::Done
    }

    pub fn clear(&mut self, id: AuthorizationId, amount: Option<i128>, last: bool) -> Answer {
        let purchase = self.purchases[&id].clone();
        let held = cents(&purchase.held);
        if !purchase.open {
            return amount.map_or(Answer::Rejected, |amount| self.force(id, amount));
        }
        let amount = amount.unwrap_or(held);
        if amount == 0 && !last {
            return Answer::Rejected;
        }
        let beyond = self.drawn_whatever(amount - amount.min(held));
        let purchase = self.purchases.get_mut(&id).unwrap();
        let mut paid = take_front(&mut purchase.held, amount.min(held));
        paid.extend(beyond);
        add(&mut purchase.spent, &paid);
        if last {
            purchase.held.clear();
            purchase.open = false;
        }
        self.pay(&paid);
        Answer::Done
    }

    pub fn reverse(&mut self, id: AuthorizationId, amount: Option<i128>) -> Answer {
        let purchase = self.purchases.get_mut(&id).unwrap();
        let held = cents(&purchase.held);
        let amount = amount.unwrap_or(held);
        if !purchase.open || amount > held {
            return Answer::Rejected;
        }
        take_back(&mut purchase.held, amount);
        purchase.open = amount < held;
        Answer::Done
    }

    pub fn expire(&mut self, id: AuthorizationId) -> Answer {
        let purchase = self.purchases.get_mut(&id).unwrap();
        if !purchase.open {
            return Answer::Rejected;
        }
        purchase.held.clear();
        purchase.open = false;
        Answer::Done
    }

    /// By its own rates what was drawn; what goes beyond is credited to the first wallet at the rate of now.
    pub fn refund(&mut self, id: Option<AuthorizationId>, amount: Option<i128>) -> Answer {
        let spent = id.map_or(0, |id| cents(&self.purchases[&id].spent));
        let amount = amount.unwrap_or(spent);
        if amount == 0 {
            return Answer::Rejected;
        }
        let linked = amount.min(spent);
        if let Some(id) = id {
            let back = take_back(&mut self.purchases.get_mut(&id).unwrap().spent, linked);
            self.earn(&back);
        }
        let (cents, rate) = (amount - linked, self.rates[0]);
        self.earn(&[Piece { token: 0, units: units_half_up(0, cents, rate), cents, rate }]);
        Answer::Done
    }

    pub fn force(&mut self, id: AuthorizationId, amount: i128) -> Answer {
        let pieces = self.drawn_whatever(amount);
        self.pay(&pieces);
        add(&mut self.purchases.entry(id).or_default().spent, &pieces);
        Answer::Done
    }
}
