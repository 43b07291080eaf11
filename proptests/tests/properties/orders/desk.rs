//! Three users who order wallet-funded cards, beside their model.

use std::collections::BTreeMap;

use florin_engine::{
    agenda::Due,
    command::{self, Class, Command, CreateInvoice, ExpireInvoice, IssueCard, Outcome},
    event::Event,
    fees::FeeKind,
    ids::{AccountId, CardId, Kind, mint},
    money::{Asset, Minor, Sealed},
    people::{Verification, VerificationLevel, VerificationStatus},
    policy::{CardKind, ProgrammeCode},
    postings::Ledger,
    reject::Reason,
    terms::RefusalCode,
};

use super::{
    model::{Invoice, Orders, User},
    steps::{Step, What},
};
use crate::{
    kit::{issued, order},
    policy::{FIGURES, TOKENS, USD, asset, country, strict_policy_of},
    world::{Told, World},
};

const COUNTRIES: [&str; 3] = ["GB", "DE", "FR"];
const PROVIDERS: [&str; 4] = ["", "Post", "Courier", "Pigeon"];

/// A card that waits for the issuer, and what was paid for it.
struct Ordered {
    user: usize,
    card: CardId,
    invoice: u64,
    paid: Invoice,
}

pub struct Desk {
    pub world: World,
    orders: Orders,
    users: Vec<AccountId>,
    /// Invoices in the order in which they were made, whatever became of them.
    made: Vec<(u64, Invoice)>,
    ordered: Vec<Ordered>,
}

fn kind(what: What) -> CardKind {
    if what.physical { CardKind::Physical } else { CardKind::Virtual }
}

fn token(which: usize) -> Asset {
    asset(TOKENS.get(which).map_or("DOGE", |(code, _)| code))
}

impl Desk {
    /// Users of three countries, with tokens worth some cards.
    pub fn new() -> Self {
        let mut world = World::under(strict_policy_of(0));
        let users: Vec<_> = (1..=3).map(|name| AccountId::from_pseudonym([name; 16], 1)).collect();
        for (user, code) in users.iter().zip(COUNTRIES) {
            let register = command::RegisterUser { company: "demo".into(), country: country(code) };
            world.send(*user, Class::Ops, register).events();
        }
        let people = (0..3).map(|country| User { country, ..User::default() }).collect();
        let orders = Orders { figures: &FIGURES[0], users: people, invoices: BTreeMap::new(), earned: [0; 2] };
        let mut desk = Self { world, orders, users, made: vec![], ordered: vec![] };
        for user in 0..3 {
            for token in 0..3 {
                desk.take(&Step::Deposit { user, token, cents: 5_000 });
            }
        }
        desk
    }

    /// Sends a command; it must come to what the model says.
    fn ask(&mut self, user: usize, class: Class, command: impl Into<Command>, expected: Result<(), Reason>) -> Told {
        let command = command.into();
        let told = self.world.send(self.users[user], class, command.clone());
        let got = match &told {
            Told::Accepted(_) => Ok(()),
            Told::Rejected(reject) => Err(reject.reason),
            Told::Replayed(_) => panic!("a new key is never a replay"),
        };
        assert_eq!(got, expected, "to {command:?}: {told:?}");
        told
    }

    fn verify(&mut self, user: usize, bdd: bool, sdd: bool) {
        (self.orders.users[user].bdd, self.orders.users[user].sdd) = (bdd, sdd);
        let level = |code: &str, approved| VerificationLevel {
            code: code.into(),
            status: if approved { VerificationStatus::Approved } else { VerificationStatus::Pending },
            name: code.into(),
        };
        let verification =
            Verification { status: VerificationStatus::Pending, levels: vec![level("BDD", bdd), level("SDD", sdd)] };
        self.ask(user, Class::Ops, command::SetVerification { verification }, Ok(()));
    }

    fn quote(&mut self, user: usize, which: usize, what: What) {
        let expected = self.orders.quote(self.world.now, user, which, what);
        let create = CreateInvoice {
            programme: ProgrammeCode::Baas,
            kind: kind(what),
            country: country(COUNTRIES[what.country]),
            provider: PROVIDERS[what.provider].into(),
            asset: token(which),
        };
        let told = self.ask(user, Class::User, create, expected.as_ref().map(|_| ()).map_err(|reason| *reason));
        let (Ok(invoice), Told::Accepted(events)) = (expected, told) else { return };
        let [Event::InvoiceCreated(event)] = &events[..] else { panic!("expected an invoice, got {events:?}") };
        assert_eq!([event.order_fee.0, event.delivery_fee.0].map(i128::from), invoice.fees, "fees of {what:?}");
        assert_eq!(i128::from(event.amount.0), invoice.units, "fees in {}", event.asset);
        assert!(!self.made.iter().any(|(number, _)| *number == event.number), "an invoice has a number of its own");
        self.made.push((event.number, invoice.clone()));
        self.orders.invoices.insert(event.number, invoice);
    }

    fn order(&mut self, user: usize, invoice: u64, what: What) {
        let expected = self.orders.order(self.world.now, user, invoice, what);
        let account = self.users[user];
        let card = CardId(mint(account, self.world.key(), Kind::Card));
        let order = IssueCard {
            kind: kind(what),
            invoice,
            provider: PROVIDERS[what.provider].into(),
            country: country(COUNTRIES[what.country]),
            ..order(card, ProgrammeCode::Baas, 0)
        };
        if let Told::Accepted(_) = self.ask(user, Class::User, order, expected) {
            let paid = self.orders.invoices[&invoice].clone();
            self.ordered.push(Ordered { user, card, invoice, paid });
        }
    }

    fn invoice(&self, back: usize) -> Option<(u64, Invoice)> {
        self.made.iter().rev().nth(back).cloned()
    }

    pub fn take(&mut self, step: &Step) {
        match *step {
            Step::Wait(ms) => self.world.now += ms,
            Step::Snapshot => self.world.snapshot_here(),
            Step::Adopt { figures } => {
                self.orders.figures = &FIGURES[figures];
                self.world.adopt(strict_policy_of(figures));
            }
            Step::Verify { user, bdd, sdd } => self.verify(user, bdd, sdd),
            Step::Deposit { user, token: which, cents } => {
                let units = cents * 10_i64.pow(TOKENS[which].1 - 2);
                self.orders.users[user].balance[which] += i128::from(units);
                let (asset, amount) = (token(which), Minor(units));
                self.ask(user, Class::Ops, command::Deposit { asset, amount, reference: Sealed::NONE }, Ok(()));
            }
            Step::Withdraw { user, token: which } => {
                let balance = std::mem::take(&mut self.orders.users[user].balance[which]);
                let (asset, amount) = (token(which), Minor(balance.try_into().unwrap()));
                let expected = if balance > 0 { Ok(()) } else { Err(Reason::AmountNotPositive) };
                self.ask(user, Class::Ops, command::Withdraw { asset, amount, reference: Sealed::NONE }, expected);
            }
            Step::Quote { user, token, what } => {
                let provider = if what.physical || what.provider == 3 { what.provider } else { 0 };
                let country = if what.physical { what.country } else { self.orders.users[user].country };
                self.quote(user, token, What { country, provider, ..what });
            }
            Step::Order { invoice, user, own, named, what } => {
                let Some((number, made)) = self.invoice(invoice) else { return };
                let (user, mut what) = if own { (made.user, made.what) } else { (user, what) };
                if own && !named {
                    what.provider = 0;
                }
                self.order(user, number, what);
            }
            Step::OrderPlain { user, what } => self.order(user, 0, what),
            Step::Settle { card, refused } => {
                let at = self.ordered.len().checked_sub(card + 1);
                let Some(Ordered { user, card, invoice, paid }) = at.map(|at| self.ordered.remove(at)) else { return };
                let request =
                    self.world.state.account(self.users[user]).unwrap().card(card).unwrap().request().unwrap();
                let outcome = if refused { Outcome::Refused(RefusalCode::Declined) } else { issued(2029 * 12) };
                self.ask(user, Class::Settlement, command::Settle { card, request, outcome }, Ok(()));
                if refused {
                    self.orders.refused(user, &paid, invoice);
                }
            }
            Step::Expire { invoice } => {
                let Some((number, made)) = self.invoice(invoice) else { return };
                let expected = self.orders.expire(self.world.now, made.user, number);
                self.ask(made.user, Class::Clock, ExpireInvoice { number }, expected);
            }
            Step::WorkClock => {
                for due in self.world.state.due(self.world.now, 100) {
                    let Due::Invoice { account, number } = due else { continue };
                    let user = self.users.iter().position(|user| *user == account).unwrap();
                    let expected = self.orders.expire(self.world.now, user, number);
                    assert_eq!(expected, Ok(()), "what is due can be done");
                    self.ask(user, Class::Clock, ExpireInvoice { number }, expected);
                }
                let left = self.orders.invoices.values().filter(|invoice| invoice.until <= self.world.now).count();
                assert_eq!(left, 0, "nothing that is due is left");
            }
        }
        self.compare(step);
    }

    fn compare(&self, step: &Step) {
        for (id, user) in self.users.iter().zip(&self.orders.users) {
            let account = self.world.state.account(*id).unwrap();
            for (which, expected) in user.balance.iter().enumerate() {
                let balance = account.wallet(token(which)).map_or(0, |wallet| wallet.balance.0);
                assert_eq!(i128::from(balance), *expected, "{} after {step:?}", TOKENS[which].0);
            }
            assert_eq!(account.cards_counted(), user.cards, "cards after {step:?}");
        }
        let of = |kind| self.world.ledger.get(&(Ledger::Revenue(kind), USD)).copied().unwrap_or(0);
        assert_eq!([of(FeeKind::Order), of(FeeKind::Delivery)], self.orders.earned, "earned after {step:?}");
    }
}
