//! A card's history in words. Nothing personal: what is ciphertext in the event stays out. Movements of money are on the statement
//! instead, except for what closes a card or puts it below zero.

use florin_engine::{event::Event, ids::CardId, limits::Limits, money::Minor};

/// The card that an event's step belongs to, and the step in words; `None`: no step of a card.
pub(super) fn of(event: &Event) -> Option<(CardId, String)> {
    Some(match event {
        Event::CardRequested(e) => {
            (e.card, format!("{:?} card asked for under {:?}, change {}", e.kind, e.programme, e.change))
        }
        Event::CardIssued(e) => (e.card, "made by the issuer".into()),
        Event::IssuanceFailed(e) => {
            (e.card, format!("issuance failed: {:?}; all that was taken is given back", e.refusal))
        }
        Event::IssuanceAbandoned(e) => (e.card, "issuance past its deadline: the issuer is asked to give it up".into()),
        Event::CardActivated(e) => (e.card, format!("activated by {:?}", e.cause)),
        Event::ActivationFailed(e) => (e.card, format!("wrong activation try {}", e.tries)),
        Event::StatusChangeRequested(e) => {
            let overtakes = if e.overtakes { ", overtaking what was pending" } else { "" };
            (
                e.card,
                format!("{:?} to {:?} asked for by {:?}, change {}{overtakes}", e.what, e.target, e.cause, e.change),
            )
        }
        Event::StatusChanged(e) => {
            let fraud = if e.fraud { ", for fraud" } else { "" };
            (e.card, format!("{:?} to {:?} by {:?}{fraud}", e.from, e.to, e.cause))
        }
        Event::LimitsChangeRequested(e) => (
            e.card,
            format!(
                "limits asked for: {}; until settled: {}; change {}",
                limits(&e.target),
                limits(&e.binding),
                e.change
            ),
        ),
        Event::LimitsChanged(e) => (e.card, format!("limits now: {}", limits(&e.limits))),
        Event::ChangeRefused(e) => {
            (e.card, format!("change {} refused by the issuer: {:?}; as before", e.change, e.refusal))
        }
        Event::ChangeLapsed(e) => (e.card, format!("change {} given up at its deadline", e.change)),
        Event::ChangeOverdue(e) => {
            (e.card, format!("change {} past its deadline: it holds and is tried again", e.change))
        }
        Event::ReconcileStarted(e) => (e.card, format!("state asserted at the issuer again, change {}", e.change)),
        Event::Reconciled(e) => (e.card, format!("state confirmed by the issuer, change {}", e.change)),
        Event::NoPinAmountSet(e) => (e.card, format!("no-PIN amount set to {} minor units", e.amount.0)),
        Event::FraudCleared(e) => (e.card, "fraud mark lifted".into()),
        Event::SettlementIgnored(e) => (e.card, "an answer of the issuer that settles nothing".into()),
        Event::AppealOpened(e) => (e.card, format!("appeal {} opened", e.number)),
        Event::AppealDecided(e) => (e.card, format!("appeal {}", if e.granted { "granted" } else { "rejected" })),
        Event::Swept(e) => (e.card, format!("{} minor units of {} swept to the wallet", e.amount.0, e.currency)),
        Event::WrittenOff(e) if !e.card.is_nil() => {
            (e.card, format!("{} minor units of {} written off", e.amount.0, e.asset))
        }
        Event::Overdrawn(e) if !e.card.is_nil() => {
            (e.card, format!("below zero: {} minor units of {}", e.balance.0, e.asset))
        }
        Event::Revealed(e) => (e.card, format!("{:?} shown", e.kind)),
        _ => return None,
    })
}

fn limits(limits: &Limits) -> String {
    let named = [
        ("transaction", limits.transaction),
        ("daily", limits.daily),
        ("monthly", limits.monthly),
        ("lifetime", limits.lifetime),
    ];
    let set: Vec<String> =
        named.iter().filter_map(|(name, limit)| limit.map(|Minor(limit)| format!("{name} {limit}"))).collect();
    if set.is_empty() { "none".into() } else { set.join(", ") }
}

#[cfg(test)]
mod tests {
    use florin_engine::{
        event::{LimitsChanged, Overdrawn},
        money::Asset,
    };

    use super::*;

    #[test]
    fn limits_that_are_not_set_are_not_named() {
        let card = CardId([1; 16]);
        let some = Limits { daily: Some(Minor(500)), ..Limits::default() };
        assert_eq!(of(&LimitsChanged { card, limits: some }.into()), Some((card, "limits now: daily 500".into())));
        assert_eq!(
            of(&LimitsChanged { card, limits: Limits::default() }.into()),
            Some((card, "limits now: none".into()))
        );
    }

    #[test]
    fn a_wallet_below_zero_is_no_step_of_a_card() {
        let event = Overdrawn { card: CardId::NIL, asset: Asset::USD, balance: Minor(-1) };
        assert_eq!(of(&event.into()), None);
    }
}
