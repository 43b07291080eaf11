//! What stories begin with: users, their money, and cards that the issuer has made.

use florin_engine::{
    command::{self, Class, IssueCard, Issued, Merchant, Outcome},
    ids::{AccountId, CardId, Kind, mint},
    money::{Asset, Minor, Sealed},
    policy::{CardKind, ProgrammeCode},
};

use crate::{policy::gb, world::World};

pub fn merchant() -> Merchant {
    Merchant { name: "Corner Shop".into(), mcc: 5411, country: gb() }
}

/// A user of a number.
pub fn register(world: &mut World, name: u8) -> AccountId {
    let account = AccountId::from_pseudonym([name; 16], 1);
    world.send(account, Class::Ops, command::RegisterUser { company: "demo".into(), country: gb() }).events();
    account
}

pub fn deposit(world: &mut World, account: AccountId, asset: Asset, units: i64) {
    let deposit = command::Deposit { asset, amount: Minor(units), reference: Sealed::NONE };
    world.send(account, Class::Ops, deposit).events();
}

/// The order of a virtual card without an invoice.
pub fn order(card: CardId, programme: ProgrammeCode, initial: i64) -> IssueCard {
    IssueCard {
        card,
        programme,
        kind: CardKind::Virtual,
        initial: Minor(initial),
        invoice: 0,
        provider: String::new(),
        country: gb(),
        profile: Sealed(vec![1]),
    }
}

/// The issuer has made a card that is good until the end of a month.
pub fn issued(expiry: u16) -> Outcome {
    Outcome::Issued(Issued { issuer_card: "ic_1".into(), first4: 4000, last4: 1234, expiry })
}

/// A virtual card as the issuer has just made it.
pub fn made_card(world: &mut World, account: AccountId, programme: ProgrammeCode, initial: i64) -> CardId {
    let card = CardId(mint(account, world.key(), Kind::Card));
    world.send(account, Class::User, order(card, programme, initial)).events();
    let request = world.state.account(account).unwrap().card(card).unwrap().request().unwrap();
    let settle = command::Settle { card, request, outcome: issued(2029 * 12) };
    world.send(account, Class::Settlement, settle).events();
    card
}

/// A user with `funds`, and an active dashboard card with `initial` on it.
pub fn user_with_card(world: &mut World, name: u8, funds: i64, initial: i64) -> (AccountId, CardId) {
    let account = register(world, name);
    deposit(world, account, Asset::USD, funds);
    let card = made_card(world, account, ProgrammeCode::Dashboard, initial);
    (account, card)
}
