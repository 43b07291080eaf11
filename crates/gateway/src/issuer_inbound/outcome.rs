//! What came of a network message, as it is answered: from the events alone, without waiting for a view.

use florin_engine::{
    event::Event,
    holds::{Leg, ReleaseCause},
    ids::AuthorizationId,
    money::{Asset, Minor},
    reject::Figure,
    terms::Decline,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::message::Target;
use crate::http::{
    amount::Money,
    plain::{Detail, Details},
    time::Time,
};

/// The answer to a network message. Figures that say nothing here are absent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MessageAnswer)]
pub struct Answer {
    /// Florin's id of the authorization; null for a refund without a purchase.
    pub authorization_id: Option<String>,
    /// The card.
    pub card_id: String,
    /// What happened: approved, declined, checked, incremented, cleared, reversed, expired, refunded, force_posted,
    /// remembered (a reversal before its authorization) or nothing.
    #[schema(value_type = String, example = "approved")]
    pub result: &'static str,
    /// Whether it was approved; what reports the past always is.
    pub approved: bool,
    /// The stable word of a decline, else null.
    #[schema(value_type = Option<String>, example = "insufficient_balance")]
    pub reason: Option<&'static str>,
    /// How much was approved, declined, posted, refunded or released, in the card's currency.
    #[schema(value_type = f64, example = 12.50)]
    pub amount: Money,
    /// The card's currency.
    #[schema(example = "USD")]
    pub currency: String,
    /// Of a clearing: what came from the hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub from_hold: Option<Money>,
    /// Of a clearing: what went beyond it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub above_hold: Option<Money>,
    /// What was released beside a clearing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub released: Option<Money>,
    /// Whether the hold is closed by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<bool>,
    /// When the hold expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub expires_at: Option<Time>,
    /// The balance, where it fell below zero, in that asset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdrawn: Option<Overdrawn>,
    /// Of a decline: needed, available, limit, used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub details: Option<Details>,
}

/// A balance below zero.
#[derive(Debug, Serialize, ToSchema)]
pub struct Overdrawn {
    /// Of what.
    pub asset: String,
    /// The balance.
    #[schema(value_type = f64, example = -20.00)]
    pub balance: Money,
}

impl Answer {
    fn new(target: &Target, authorization: AuthorizationId) -> Self {
        Self {
            authorization_id: (!authorization.is_nil()).then(|| authorization.to_string()),
            card_id: target.card.to_string(),
            result: "nothing",
            approved: true,
            reason: None,
            amount: Money::new(Minor::ZERO, target.decimals),
            currency: target.currency.to_string(),
            from_hold: None,
            above_hold: None,
            released: None,
            closed: None,
            expires_at: None,
            overdrawn: None,
            details: None,
        }
    }

    /// A message that was not decided in time, which is a decline: what was approved too late is reversed.
    pub fn too_late(target: &Target, authorization: AuthorizationId) -> Self {
        Self { result: "declined", approved: false, reason: Some("too_late"), ..Self::new(target, authorization) }
    }

    /// A message whose approval was reversed meanwhile, told again.
    pub fn reversed(target: &Target, authorization: AuthorizationId) -> Self {
        Self { result: "declined", approved: false, reason: Some("reversed"), ..Self::new(target, authorization) }
    }

    /// The answer that the events of an entry say; `decimals` are those of an asset, which need not be the card's currency.
    pub fn of(
        target: &Target,
        authorization: AuthorizationId,
        events: &[Event],
        decimals: impl Fn(Asset) -> u8,
    ) -> Self {
        let mut answer = Self::new(target, authorization);
        for event in events {
            answer.tell(target, event, &decimals);
        }
        answer
    }

    fn tell(&mut self, target: &Target, event: &Event, decimals: &impl Fn(Asset) -> u8) {
        let money = |amount| Money::new(amount, target.decimals);
        match event {
            Event::Authorized(event) => {
                self.told("approved", money(event.amount));
                self.expires_at = Some(Time(event.expires_at_ms));
            }
            Event::AccountChecked(_) => self.told("checked", money(Minor::ZERO)),
            Event::Declined(event) => {
                self.told("declined", money(event.amount));
                self.declined(target, &event.decline);
            }
            Event::HoldIncremented(event) => self.told("incremented", money(event.amount)),
            Event::IncrementDeclined(event) => {
                self.told("declined", money(event.amount));
                self.declined(target, &event.decline);
            }
            Event::Cleared(event) => {
                let (held, excess) = (billed(&event.held), billed(&event.excess));
                self.told("cleared", money(held.fold_plus(excess)));
                self.from_hold = Some(money(held));
                self.above_hold = Some(money(excess));
                self.closed = Some(event.last);
            }
            Event::HoldReleased(event) => {
                self.closed = Some(event.closes || self.closed == Some(true));
                match event.cause {
                    ReleaseCause::Reversed => self.told("reversed", money(event.release.billing)),
                    ReleaseCause::Expired => self.told("expired", money(event.release.billing)),
                    ReleaseCause::Cleared => self.released = Some(money(event.release.billing)),
                }
            }
            Event::Refunded(event) => {
                let amount = billed(&event.linked).fold_plus(billed(&event.unlinked));
                self.told("refunded", money(amount));
            }
            Event::ForcePosted(event) => self.told("force_posted", money(billed(&event.legs))),
            Event::ReversalRemembered(_) => self.told("remembered", money(Minor::ZERO)),
            Event::Overdrawn(event) => {
                let balance = Money::new(event.balance, decimals(event.asset));
                self.overdrawn = Some(Overdrawn { asset: event.asset.to_string(), balance });
            }
            // What follows from it elsewhere (a closing card that is swept) is told where it belongs.
            _ => {}
        }
    }

    fn told(&mut self, result: &'static str, amount: Money) {
        self.result = result;
        self.amount = amount;
    }

    fn declined(&mut self, target: &Target, decline: &Decline) {
        self.approved = false;
        self.reason = Some(decline.reason.word());
        self.details = Some(figures(decline, target.decimals));
    }
}

/// The figures of a decline: all money in the card's currency.
pub fn figures(decline: &Decline, decimals: u8) -> Details {
    let mut details = Details::default();
    for (figure, value) in &decline.figures {
        let money = Detail::Money(Money::new(Minor(*value), decimals));
        details = match figure {
            Figure::Needed => details.with("needed", money),
            Figure::Available => details.with("available", money),
            Figure::Limit => details.with("limit", money),
            Figure::Used => details.with("used", money),
            Figure::Amount => details.with("amount", money),
            _ => details,
        };
    }
    details
}

fn billed(legs: &[Leg]) -> Minor {
    legs.iter().fold(Minor::ZERO, |sum, leg| sum.fold_plus(leg.billing))
}

#[cfg(test)]
mod tests {
    use florin_engine::{
        command::Merchant,
        event::{Cleared, Declined, HoldReleased, Overdrawn},
        holds::Release,
        ids::{AccountId, CardId},
        money::Factor,
        terms::DeclineReason,
    };

    use super::*;

    const AUTHORIZATION: AuthorizationId = AuthorizationId([3; 16]);

    fn target() -> Target {
        Target { account: AccountId([1; 16]), card: CardId([2; 16]), currency: Asset::USD, decimals: 2 }
    }

    fn leg(amount: i64) -> Leg {
        Leg { wallet: false, asset: Asset::USD, amount: Minor(amount), billing: Minor(amount), rate: Factor::ONE }
    }

    #[test]
    fn a_decline_is_answered_with_its_word_and_figures() {
        let event = Declined {
            card: target().card,
            authorization: AUTHORIZATION,
            amount: Minor(5_000),
            currency: Asset::USD,
            decline: Decline {
                reason: DeclineReason::DailyLimit,
                figures: vec![(Figure::Limit, 6_000), (Figure::Used, 2_000)],
            },
            merchant: Merchant::default(),
        };
        let answer = Answer::of(&target(), AUTHORIZATION, &[event.into()], |_| 2);
        let json = serde_json::to_string(&answer).unwrap();
        assert_eq!(
            json,
            concat!(
                r#"{"authorization_id":"03030303-0303-0303-0303-030303030303","card_id":"02020202-0202-0202-0202-020202020202","#,
                r#""result":"declined","approved":false,"reason":"daily_limit","amount":50.00,"currency":"USD","#,
                r#""details":{"limit":60.00,"used":20.00}}"#
            )
        );
    }

    #[test]
    fn a_clearing_above_the_hold_says_how_much_came_from_where() {
        let cleared = Cleared {
            card: target().card,
            authorization: AUTHORIZATION,
            currency: Asset::USD,
            held: vec![leg(1_000)],
            excess: vec![leg(250)],
            last: true,
        };
        let answer = Answer::of(&target(), AUTHORIZATION, &[cleared.into()], |_| 2);
        assert_eq!((answer.result, answer.amount.minor), ("cleared", Minor(1_250)));
        assert_eq!(answer.from_hold.map(|money| money.minor), Some(Minor(1_000)));
        assert_eq!(answer.above_hold.map(|money| money.minor), Some(Minor(250)));
        assert_eq!(answer.closed, Some(true));
    }

    #[test]
    fn a_balance_below_zero_is_told_in_its_own_assets_decimals() {
        let asset = Asset::parse("USDC").unwrap();
        for (asset, minor, told) in [(Asset::USD, -2_000, "-20.00"), (asset, -1_500_000, "-1.500000")] {
            let event = Overdrawn { card: target().card, asset, balance: Minor(minor) };
            let decimals = |asset| if asset == Asset::USD { 2 } else { 6 };
            let answer = Answer::of(&target(), AUTHORIZATION, &[event.into()], decimals);
            let answer = serde_json::to_string(&answer.overdrawn).unwrap();
            assert_eq!(answer, format!(r#"{{"asset":"{asset}","balance":{told}}}"#));
        }
    }

    #[test]
    fn the_rest_of_a_hold_that_a_final_clearing_releases_is_not_told_as_a_reversal() {
        let cleared = Cleared {
            card: target().card,
            authorization: AUTHORIZATION,
            currency: Asset::USD,
            held: vec![leg(600)],
            excess: vec![],
            last: true,
        };
        let released = HoldReleased {
            card: target().card,
            authorization: AUTHORIZATION,
            cause: ReleaseCause::Cleared,
            release: Release { billing: Minor(400), legs: vec![leg(400)] },
            closes: true,
        };
        let answer = Answer::of(&target(), AUTHORIZATION, &[cleared.into(), released.into()], |_| 2);
        assert_eq!((answer.result, answer.amount.minor), ("cleared", Minor(600)));
        assert_eq!(answer.released.map(|money| money.minor), Some(Minor(400)));
    }
}
