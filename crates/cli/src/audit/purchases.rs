//! What a line of a statement must know of events before its own: a clearing names no merchant, and the views list it as
//! the purchase that its authorization began; what a failed issuance gives back is listed where it was taken.
//!
//! It remembers the authorizations of one account, some hundred bytes each.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use florin_engine::{
    command::Merchant,
    event::Event,
    fees::FeeTaken,
    ids::{AuthorizationId, CardId, Position, TransactionId, transaction_id},
};

/// An event within a partition: its entry, and which of the entry's events it is.
pub(super) type Place = (Position, u32);

/// One account's purchases and cards, so far.
#[derive(Default)]
pub(super) struct Purchases {
    authorizations: HashMap<AuthorizationId, (Place, Rc<str>)>,
    requested: HashMap<CardId, Place>,
    /// Each merchant's name once.
    names: HashSet<Rc<str>>,
}

impl Purchases {
    /// Remembers what later events refer to.
    pub(super) fn note(&mut self, place: Place, event: &Event) {
        let (authorization, merchant) = match event {
            Event::CardRequested(event) => {
                self.requested.insert(event.card, place);
                return;
            }
            Event::Authorized(event) => (event.authorization, &event.merchant),
            Event::Declined(event) => (event.authorization, &event.merchant),
            Event::AccountChecked(event) => (event.authorization, &event.merchant),
            // Without a hold, but maybe after one: that says where.
            Event::ForcePosted(event) if !self.authorizations.contains_key(&event.authorization) => {
                (event.authorization, &event.merchant)
            }
            _ => return,
        };
        let name = self.name(merchant);
        self.authorizations.insert(authorization, (place, name));
    }

    fn name(&mut self, merchant: &Merchant) -> Rc<str> {
        if let Some(known) = self.names.get(merchant.name.as_str()) {
            return Rc::clone(known);
        }
        let name: Rc<str> = merchant.name.as_str().into();
        self.names.insert(Rc::clone(&name));
        name
    }

    /// Where the money was spent; empty where no merchant is part of it.
    pub(super) fn merchant(&self, event: &Event) -> Rc<str> {
        let (authorization, own) = match event {
            Event::Cleared(event) => (event.authorization, None),
            Event::ForcePosted(event) => (event.authorization, None),
            Event::Refunded(event) => {
                (event.authorization, (event.merchant != Merchant::default()).then_some(&event.merchant))
            }
            _ => return "".into(),
        };
        match own {
            Some(own) => own.name.as_str().into(),
            None => self.authorizations.get(&authorization).map_or_else(|| "".into(), |(_, name)| Rc::clone(name)),
        }
    }

    /// The transaction that a movement belongs to, as the APIs and views name it.
    pub(super) fn transaction(&self, partition: u16, place: Place, event: &Event, part: u32) -> TransactionId {
        let (position, number) = match event {
            Event::Cleared(event) => self.authorizations.get(&event.authorization).map(|(place, _)| *place),
            Event::IssuanceFailed(event) => self.requested.get(&event.card).copied(),
            _ => None,
        }
        .unwrap_or(place);
        transaction_id(partition, position, number | part << 16)
    }
}

/// Which transaction of its event each pair of postings belongs to: the event itself is 0, its fees count from 1.
pub(super) fn parts(event: &Event, pairs: usize) -> Vec<u32> {
    let issuance = |moved: bool, fees: &[FeeTaken]| {
        let mut parts = vec![0; usize::from(moved)];
        for (part, fee) in (1..).zip(fees) {
            // A fee paid in another asset goes by way of the exchange.
            let legs = [!fee.paid.is_zero(), fee.asset != fee.fiat && !fee.fee.is_zero()];
            parts.extend(legs.iter().filter(|leg| **leg).map(|_| part));
        }
        parts
    };
    let parts = match event {
        Event::CardRequested(event) => issuance(!event.initial.is_zero(), &event.fees),
        Event::IssuanceFailed(event) => issuance(!event.initial.is_zero(), &event.fees),
        Event::ToppedUp(event) => [(0, event.amount), (1, event.fee)]
            .iter()
            .filter(|(_, amount)| !amount.is_zero())
            .map(|(n, _)| *n)
            .collect(),
        _ => vec![0; pairs],
    };
    debug_assert_eq!(parts.len(), pairs, "a part for every pair of postings");
    parts
}

/// The card that a movement is about.
pub(super) fn card_of(event: &Event) -> Option<CardId> {
    let card = match event {
        Event::CardRequested(event) => event.card,
        Event::IssuanceFailed(event) => event.card,
        Event::ToppedUp(event) => event.card,
        Event::Unloaded(event) => event.card,
        Event::Swept(event) => event.card,
        Event::Cleared(event) => event.card,
        Event::ForcePosted(event) => event.card,
        Event::Refunded(event) => event.card,
        Event::WrittenOff(event) => event.card,
        _ => return None,
    };
    (!card.is_nil()).then_some(card)
}

#[cfg(test)]
mod tests {
    use florin_engine::event::{Authorized, CardRequested, Cleared, IssuanceFailed, Refunded, ToppedUp};
    use florin_engine::fees::FeeKind;
    use florin_engine::ids::AccountId;
    use florin_engine::limits::Limits;
    use florin_engine::money::{Asset, Minor, Sealed, Text};
    use florin_engine::policy::{CardKind, Funding, ProgrammeCode};
    use florin_engine::postings::postings;
    use florin_engine::terms::RefusalCode;

    use super::*;

    const CARD: CardId = CardId([1; 16]);
    const AUTHORIZATION: AuthorizationId = AuthorizationId([2; 16]);

    fn parts_of(event: &Event) -> Vec<u32> {
        let mut moved = Vec::new();
        postings(AccountId([3; 16]), event, &mut moved);
        parts(event, moved.len() / 2)
    }

    fn failed(initial: i64, fees: &[(&str, i64)]) -> Event {
        let fees = fees.iter().map(|(asset, paid)| FeeTaken {
            kind: FeeKind::Issue,
            fiat: Asset::USD,
            fee: Minor(*paid),
            asset: Asset::parse(asset).unwrap(),
            paid: Minor(*paid),
        });
        let event = IssuanceFailed {
            card: CARD,
            refusal: RefusalCode::Declined,
            currency: Asset::USD,
            initial: Minor(initial),
            fees: fees.collect(),
            invoice: 0,
        };
        event.into()
    }

    #[test]
    fn each_fee_is_a_transaction_of_its_own_whatever_it_was_paid_in() {
        assert_eq!(parts_of(&failed(100, &[("USD", 5), ("USD", 7)])), [0, 1, 2]);
        // By way of the exchange a fee is two pairs of postings.
        assert_eq!(parts_of(&failed(100, &[("WUSD", 5), ("USD", 7)])), [0, 1, 1, 2]);
        // What is nothing is not posted, but still counts where the others stand.
        assert_eq!(parts_of(&failed(0, &[("USD", 0), ("USD", 7)])), [2]);
        let topped_up = |fee| ToppedUp {
            card: CARD,
            currency: Asset::USD,
            amount: Minor(100),
            fee: Minor(fee),
            card_balance: Minor(0),
            wallet_balance: Minor(0),
        };
        assert_eq!(parts_of(&topped_up(3).into()), [0, 1]);
        assert_eq!(parts_of(&topped_up(0).into()), [0]);
    }

    #[test]
    fn what_a_failed_issuance_gives_back_is_what_it_took() {
        let (asked, later) = ((Position::new(4, 1), 3), (Position::new(9, 0), 0));
        let requested = CardRequested {
            card: CARD,
            number: 1,
            programme: ProgrammeCode::Dashboard,
            kind: CardKind::Virtual,
            funding: Funding::Prepaid,
            currency: Asset::USD,
            initial: Minor(100),
            fees: Vec::new(),
            invoice: 0,
            provider: Text::default(),
            wallet_balance: Minor(0),
            limits: Limits::default(),
            no_pin: None,
            change: 1,
            deadline_ms: 0,
            profile: Sealed::NONE,
        };
        let mut purchases = Purchases::default();
        purchases.note(asked, &requested.into());
        for part in [0, 1] {
            let back = purchases.transaction(0, later, &failed(100, &[("USD", 5)]), part);
            assert_eq!(back, transaction_id(0, asked.0, 3 | part << 16));
        }
    }

    #[test]
    fn clearings_and_refunds_belong_where_their_purchase_was() {
        let mut purchases = Purchases::default();
        let (began, later) = ((Position::new(4, 1), 0), (Position::new(9, 0), 2));
        let merchant = Merchant { name: "Books".into(), ..Merchant::default() };
        let authorized = Authorized {
            card: CARD,
            authorization: AUTHORIZATION,
            amount: Minor(1),
            currency: Asset::USD,
            legs: Vec::new(),
            expires_at_ms: 0,
            merchant,
        };
        purchases.note(began, &authorized.into());
        let (held, excess) = (Vec::new(), Vec::new());
        let cleared =
            Cleared { card: CARD, authorization: AUTHORIZATION, currency: Asset::USD, held, excess, last: true }.into();
        assert_eq!(&*purchases.merchant(&cleared), "Books");
        assert_eq!(
            purchases.transaction(0, later, &cleared, 0),
            transaction_id(0, began.0, 0),
            "one line in the views"
        );
        // A refund is a transaction of its own; where it does not say from whom, it is from where the money went
        let refunded = |name: &str| -> Event {
            let merchant = Merchant { name: name.into(), ..Merchant::default() };
            let (linked, unlinked) = (Vec::new(), Vec::new());
            Refunded { card: CARD, authorization: AUTHORIZATION, currency: Asset::USD, linked, unlinked, merchant }
                .into()
        };
        assert_eq!((&*purchases.merchant(&refunded("")), &*purchases.merchant(&refunded("Shoes"))), ("Books", "Shoes"));
        assert_eq!(purchases.transaction(0, later, &refunded(""), 0), transaction_id(0, later.0, 2));
    }
}
