//! Holds: money set aside for an authorization, leg by leg.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{
    money::{Asset, Factor, Minor, Rounding, share},
    policy::{Funding, Policy},
    state::{Account, Card},
};

/// Money of one source in one asset, and what it is worth in the card's currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// From the wallet of `asset`; else from the card's own balance.
    pub wallet: bool,
    /// Which asset.
    pub asset: Asset,
    /// How much of it.
    pub amount: Minor,
    /// What that is in the card's currency.
    pub billing: Minor,
    /// The rate between the two: card currency for one of the asset.
    pub rate: Factor,
}

/// What is no longer held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// In the card's currency.
    pub billing: Minor,
    /// Leg by leg.
    pub legs: Vec<Leg>,
}

/// Why a hold was released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReleaseCause {
    /// By the merchant or network.
    Reversed,
    /// Past its time.
    Expired,
    /// The rest after the last clearing.
    Cleared,
}

crate::codes! { ReleaseCause: 1 Reversed, 2 Expired, 3 Cleared }

/// What legs are worth in the card's currency.
pub fn billing(legs: &[Leg]) -> Minor {
    legs.iter().fold(Minor::ZERO, |sum, leg| sum.fold_plus(leg.billing))
}

/// Splits `billing` off legs, from the front; what is taken of a converted leg is rounded up, so that all of it adds up.
/// Returns what was taken and what is left.
pub(crate) fn split_front(legs: &[Leg], billing: Minor) -> (Vec<Leg>, Vec<Leg>) {
    let (mut taken, mut left, mut wanted) = (Vec::new(), Vec::new(), billing);
    for leg in legs {
        let part = wanted.min(leg.billing);
        let (of_part, of_rest) = split(leg, part);
        taken.extend(of_part);
        left.extend(of_rest);
        wanted = wanted.fold_minus(part);
    }
    (taken, left)
}

/// Splits `billing` off legs, from the back; the rest keeps what rounding leaves. Returns what was taken and what is left.
pub(crate) fn split_back(legs: &[Leg], billing: Minor) -> (Vec<Leg>, Vec<Leg>) {
    let kept = self::billing(legs).fold_minus(billing).max(Minor::ZERO);
    let (left, taken) = split_front(legs, kept);
    (taken, left)
}

fn split(leg: &Leg, part: Minor) -> (Option<Leg>, Option<Leg>) {
    if part.is_zero() {
        return (None, Some(*leg));
    }
    if part >= leg.billing {
        return (Some(*leg), None);
    }
    let amount = share(leg.amount, part, leg.billing).unwrap_or(leg.amount).min(leg.amount);
    let taken = Leg { amount, billing: part, ..*leg };
    let rest = Leg { amount: leg.amount.fold_minus(amount), billing: leg.billing.fold_minus(part), ..*leg };
    (Some(taken), Some(rest))
}

/// Adds a leg to others, joining it with one of the same source and rate.
pub(crate) fn join(legs: &mut Vec<Leg>, leg: Leg) {
    let same = |other: &&mut Leg| other.wallet == leg.wallet && other.asset == leg.asset && other.rate == leg.rate;
    if let Some(other) = legs.iter_mut().find(same) {
        other.amount = other.amount.fold_plus(leg.amount);
        other.billing = other.billing.fold_plus(leg.billing);
    } else {
        legs.reserve_exact(1);
        legs.push(leg);
    }
}

/// A leg on a card's own balance.
pub(crate) const fn card_leg(currency: Asset, amount: Minor) -> Leg {
    Leg { wallet: false, asset: currency, amount, billing: amount, rate: Factor::ONE }
}

/// A leg on the wallet of the card's own currency.
pub(crate) const fn wallet_leg(currency: Asset, amount: Minor) -> Leg {
    Leg { wallet: true, asset: currency, amount, billing: amount, rate: Factor::ONE }
}

/// Draws `billing` from what is available: the card's balance, or the wallets in the policy's order at its rates.
/// `Err` says how much there is.
pub(crate) fn draw(policy: &Policy, account: &Account, card: &Card, billing: Minor) -> Result<Vec<Leg>, Minor> {
    if card.funding == Funding::Prepaid {
        let available = card.available();
        return if available < billing { Err(available) } else { Ok(alloc::vec![card_leg(card.currency, billing)]) };
    }
    let (legs, left) = draw_wallets(policy, account, card, billing);
    if left.is_positive() { Err(billing.fold_minus(left)) } else { Ok(legs) }
}

/// Draws up to `billing` from the wallets; says what is left to draw.
fn draw_wallets(policy: &Policy, account: &Account, card: &Card, billing: Minor) -> (Vec<Leg>, Minor) {
    let (mut legs, mut left) = (Vec::new(), billing);
    let Some(programme) = policy.programme(card.programme) else {
        return (legs, left);
    };
    for asset in &programme.wallet_assets {
        if !left.is_positive() {
            break;
        }
        let available = account.available(*asset);
        let Some(exchange) = policy.exchange(*asset, card.currency).filter(|_| available.is_positive()) else {
            continue;
        };
        let Some(part) = exchange.fiat_for(available, Rounding::Down).map(|worth| worth.min(left)) else {
            continue;
        };
        let Some(amount) = exchange.token_for(part, Rounding::Up).filter(|_| part.is_positive()) else {
            continue;
        };
        legs.push(Leg { wallet: true, asset: *asset, amount, billing: part, rate: exchange.rate });
        left = left.fold_minus(part);
    }
    (legs, left)
}

/// Draws `billing` whether it is there or not: what was bought has been bought. What is short falls on the card's
/// balance, or on the first wallet of the policy's order; on the wallet of its currency while a prepaid card is not there yet, and once it is closed.
pub(crate) fn draw_forced(policy: &Policy, account: &Account, card: &Card, billing: Minor) -> Option<Vec<Leg>> {
    if card.funding == Funding::Prepaid {
        let leg =
            if card.posts_to_wallet() { wallet_leg(card.currency, billing) } else { card_leg(card.currency, billing) };
        return Some(alloc::vec![leg]);
    }
    let (mut legs, left) = draw_wallets(policy, account, card, billing);
    if left.is_positive() {
        join(&mut legs, first_wallet_leg(policy, card, left, Rounding::Up)?);
    }
    Some(legs)
}

/// A credit of `billing` that follows no earlier draw: to the card, or to the wallet as in [`draw_forced`].
pub(crate) fn credit(policy: &Policy, card: &Card, billing: Minor) -> Option<Vec<Leg>> {
    let leg = match card.funding {
        Funding::Prepaid if card.posts_to_wallet() => wallet_leg(card.currency, billing),
        Funding::Prepaid => card_leg(card.currency, billing),
        Funding::Wallet => first_wallet_leg(policy, card, billing, Rounding::HalfUp)?,
    };
    Some(alloc::vec![leg])
}

fn first_wallet_leg(policy: &Policy, card: &Card, billing: Minor, rounding: Rounding) -> Option<Leg> {
    let asset = *policy.programme(card.programme)?.wallet_assets.first()?;
    let exchange = policy.exchange(asset, card.currency)?;
    Some(Leg { wallet: true, asset, amount: exchange.token_for(billing, rounding)?, billing, rate: exchange.rate })
}
