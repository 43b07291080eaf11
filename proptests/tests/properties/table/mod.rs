//! The world, the model beside it, and what a story can choose from.

use std::collections::BTreeMap;

use florin_engine::{
    command::{self, Class, Command, Envelope, Outcome},
    event::{Event, Revealed},
    ids::{AccountId, AppealId, AuthorizationId, CardId, CardRequestId, Kind, RequestId, mint},
    money::{Minor, Sealed},
    reject::Figure,
    terms,
};

use crate::{
    kit::issued,
    model::{Answer, Assertion, Decline, Model, Refusal},
    policy::{FIGURES, USD, gb},
    steps::{Said, Step},
    world::{Told, World},
};

mod compare;
mod take;

/// The world, the model beside it, and what the story can choose from.
pub struct Table {
    pub world: World,
    pub model: Model,
    pub users: Vec<AccountId>,
    cards: Vec<(AccountId, CardId, u16)>,
    auths: Vec<(AccountId, CardId, AuthorizationId)>,
    reversed: Vec<(AccountId, CardId, AuthorizationId)>,
    card_requests: Vec<(AccountId, CardRequestId)>,
    changes: Vec<(AccountId, CardId, RequestId)>,
    appeals: Vec<(AccountId, AppealId)>,
    /// The highest number that a card's changes and assertions have had.
    numbers: BTreeMap<CardId, u32>,
    sent: Vec<Envelope>,
}

fn plain(figures: &[(Figure, i64)]) -> Vec<(Figure, i128)> {
    figures.iter().map(|(figure, value)| (*figure, i128::from(*value))).collect()
}

fn declined(event: &terms::Decline) -> Answer {
    Answer::Declined(Decline { reason: event.reason, figures: plain(&event.figures) })
}

fn newest<T: Clone>(of: &[T], which: u8) -> Option<T> {
    let back = usize::from(which) % of.len().max(1);
    of.iter().rev().nth(back).cloned()
}

impl Table {
    /// Three users with 2,000.00 USD each, under the first policy.
    pub fn new() -> Self {
        Self::under(0)
    }

    /// The same under another of the policies.
    pub fn under(figures: usize) -> Self {
        let mut table = Self {
            world: World::under(crate::policy::policy_of(figures)),
            model: Model::under(&FIGURES[figures]),
            users: vec![],
            cards: vec![],
            auths: vec![],
            reversed: vec![],
            card_requests: vec![],
            changes: vec![],
            appeals: vec![],
            numbers: BTreeMap::new(),
            sent: vec![],
        };
        for name in 1..=3 {
            let account = AccountId::from_pseudonym([name; 16], 1);
            table.users.push(account);
            let register = command::RegisterUser { company: "demo".into(), country: gb() };
            table.ask(account, Class::Ops, register);
            let amount = Minor(200_000);
            table.ask(account, Class::Ops, command::Deposit { asset: USD, amount, reference: Sealed::NONE });
        }
        table
    }

    pub fn ask(&mut self, account: AccountId, class: Class, command: impl Into<Command>) -> Told {
        let envelope = self.world.envelope(account, class, command);
        self.put(envelope)
    }

    /// Puts a command to the model and to the engine, and compares.
    pub fn put(&mut self, envelope: Envelope) -> Told {
        let now = self.world.now;
        let expected = self.model.apply(now, &envelope);
        let told = self.world.admit(envelope.clone());
        let got = match &told {
            Told::Replayed(_) => Answer::Replayed,
            Told::Rejected(reject) => {
                Answer::Rejected(vec![Refusal { reason: reject.reason, figures: Some(plain(&reject.figures)) }])
            }
            Told::Accepted(events) => events
                .iter()
                .find_map(|event| match event {
                    Event::Declined(event) => Some(declined(&event.decline)),
                    Event::IncrementDeclined(event) => Some(declined(&event.decline)),
                    _ => None,
                })
                .unwrap_or(Answer::Accepted),
        };
        let agrees = match (&expected, &got) {
            (Answer::Rejected(any), Answer::Rejected(one)) => any.iter().any(|may| may.allows(&one[0])),
            (expected, got) => expected == got,
        };
        assert!(
            agrees,
            "model: {expected:?}, engine: {told:?}\n  to {envelope:?}\n  cards in the model: {:?}",
            self.model.users.get(&envelope.account).map(|user| &user.cards)
        );
        match &told {
            Told::Replayed(_) => {}
            Told::Accepted(_) => self.model.remember(now, &envelope, None),
            Told::Rejected(reject) => self.model.remember(now, &envelope, Some(reject.reason)),
        }
        if let (Told::Accepted(events), Command::RecordReveal(c)) = (&told, &envelope.command) {
            let shown = Revealed { card: c.card, kind: c.kind, address: c.address.clone() };
            assert_eq!(*events, [Event::from(shown)], "a reveal is told, with who saw what from where");
        }
        self.learn();
        self.compare(&envelope);
        self.sent.push(envelope);
        told
    }

    /// The numbers of changes are the engine's to choose; each change and each assertion must have a new one.
    fn learn(&mut self) {
        for account in self.world.state.all_accounts() {
            let Some(user) = self.model.users.get_mut(&account.id) else { continue };
            for card in &account.cards {
                let Some(known) = user.cards.get_mut(&card.id) else { continue };
                let highest = self.numbers.entry(card.id).or_default();
                if known.assertion == Assertion::New {
                    assert!(card.reconcile > *highest, "an assertion has a new number: {card:?}");
                    known.assertion = Assertion::Number(card.reconcile);
                }
                *highest = card.change.max(*highest);
                let (Some(request), Some(pending)) = (card.request(), known.pending.as_mut()) else { continue };
                if pending.request.is_none() {
                    assert!(!self.changes.iter().any(|known| known.2 == request), "a change has a new request id");
                    self.changes.push((account.id, card.id, request));
                    pending.request = Some(request);
                }
            }
        }
    }

    fn user(&self, which: u8) -> AccountId {
        self.users[usize::from(which) % self.users.len()]
    }

    fn minted(&mut self, account: AccountId, kind: Kind) -> [u8; 16] {
        mint(account, self.world.key(), kind)
    }

    fn issued(&self, id: CardId) -> Outcome {
        let expiry =
            self.cards.iter().find(|(_, card, _)| *card == id).map_or(2027 * 12 + 11, |(_, _, expiry)| *expiry);
        issued(expiry)
    }

    /// A dashboard card of a user, as new, that the issuer has made.
    pub fn new_card(&mut self, user: u8, physical: bool) {
        self.take(&Step::Issue { user, amount: 20_000, mobile: false, physical, expiry: 2 });
        self.take(&Step::Settle { card: 0, said: Said::Done });
    }
}
