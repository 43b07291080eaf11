//! What there is before the messages come, and the messages in the order in which things happened.

use florin_engine::{
    command::{self, Class, Command, Envelope, Outcome},
    ids::{AccountId, AuthorizationId, CardId, Kind, mint},
    limits::LimitsUpdate,
    money::{Minor, Sealed},
    policy::ProgrammeCode,
    terms::{Change, RefusalCode},
};
use proptest::{prelude::*, sample::Index};

use crate::{
    kit::{deposit, issued, made_card, merchant, order, register},
    policy::{TOKENS, USD, asset, policy},
    world::World,
};

/// What of a card the issuer's word is awaited for while the messages come, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    Nothing,
    Made,
    NotMade,
    Frozen {
        refused: bool,
    },
    Closed {
        refused: bool,
    },
    MoreToSpend {
        refused: bool,
    },
    /// A freeze that a block overtook: an answer to each.
    Blocked {
        refused: bool,
    },
}

/// A card of one of two users: with money of its own, or funded by the wallet of the first token.
#[derive(Clone, Copy, Debug)]
pub struct CardWith {
    pub user: usize,
    pub own_money: bool,
    pub waits: Waits,
}

/// What the network tells of one purchase. All of them together are below what is on a card.
#[derive(Clone, Debug)]
pub enum Purchase {
    /// Cleared in the very amount that was authorized, which no message but the first names.
    Whole {
        amount: i64,
        refund: Option<i64>,
    },
    Parts {
        amount: i64,
        increment: Option<i64>,
        cleared: Vec<i64>,
        last: bool,
        refund: Option<i64>,
        reversed: bool,
        /// How much of it; else all that is held.
        reversed_part: Option<i64>,
        expired: bool,
    },
    Forced {
        amount: i64,
        refund: Option<i64>,
    },
    Credit {
        amount: i64,
    },
}

/// A message, when it was written, and whether it may come days later.
#[derive(Clone, Debug)]
pub struct Message {
    pub envelope: Envelope,
    pub written_ms: u64,
    pub slow: bool,
}

pub struct Stage {
    pub world: World,
    pub users: Vec<AccountId>,
    pub cards: Vec<(CardWith, CardId)>,
    pub messages: Vec<Message>,
}

pub fn card() -> impl Strategy<Value = CardWith> {
    let refused = any::<bool>();
    let waits = prop_oneof![
        3 => Just(Waits::Nothing),
        2 => any::<bool>().prop_map(|made| if made { Waits::Made } else { Waits::NotMade }),
        1 => refused.prop_map(|refused| Waits::Frozen { refused }),
        3 => refused.prop_map(|refused| Waits::Closed { refused }),
        1 => refused.prop_map(|refused| Waits::MoreToSpend { refused }),
        1 => refused.prop_map(|refused| Waits::Blocked { refused }),
    ];
    (0_usize..2, prop::bool::weighted(0.7), waits).prop_map(|(user, own_money, waits)| CardWith {
        user,
        own_money,
        waits,
    })
}

pub fn purchase() -> impl Strategy<Value = Purchase> {
    let part = || 1_i64..500;
    let maybe = || prop::option::of(1_i64..500);
    let parts = (
        part(),
        maybe(),
        prop::collection::vec(part(), 0..3),
        any::<bool>(),
        maybe(),
        any::<bool>(),
        maybe(),
        prop::bool::weighted(0.2),
    );
    prop_oneof![
        1 => (part(), maybe()).prop_map(|(amount, refund)| Purchase::Whole { amount, refund }),
        4 => parts.prop_map(|(amount, increment, cleared, last, refund, reversed, reversed_part, expired)| Purchase::Parts {
            amount, increment, cleared, last, refund, reversed, reversed_part, expired,
        }),
        1 => (part(), maybe()).prop_map(|(amount, refund)| Purchase::Forced { amount, refund }),
        1 => part().prop_map(|amount| Purchase::Credit { amount }),
    ]
}

impl Stage {
    /// The same for the same cards and purchases: ids and keys too.
    pub fn new(cards: &[CardWith], purchases: &[(Index, Purchase)], settled: &[Index]) -> Self {
        let mut world = World::under(policy());
        let users: Vec<_> = (1..=2).map(|name| register(&mut world, name)).collect();
        for user in &users {
            deposit(&mut world, *user, USD, 1_000_000);
            deposit(&mut world, *user, asset(TOKENS[0].0), 1_000_000_000);
        }
        let mut stage = Self { world, users, cards: vec![], messages: vec![] };
        let mut answers = vec![];
        for with in cards {
            let (id, said) = stage.set(*with);
            answers.extend(said.into_iter().map(|command| (stage.users[with.user], Class::Settlement, command)));
            stage.cards.push((*with, id));
        }
        let mut story = vec![];
        for (which, purchase) in purchases {
            let (with, card) = stage.cards[which.index(cards.len())];
            let account = stage.users[with.user];
            let told = told(&mut stage.world, account, card, with.whole(purchase));
            story.extend(told.into_iter().map(|command| (account, Class::Network, command)));
        }
        // The issuer says what it says in the order in which it was asked, anywhere between the purchases.
        let mut places: Vec<usize> =
            (0..answers.len()).map(|n| settled.get(n).map_or(0, |at| at.index(story.len() + 1))).collect();
        places.sort_unstable();
        for (place, answer) in places.into_iter().zip(answers).rev() {
            story.insert(place, answer);
        }
        let whole: Vec<AuthorizationId> = story
            .iter()
            .filter_map(|(.., command)| match command {
                Command::Clear(clear) if clear.amount.is_none() => Some(clear.authorization),
                _ => None,
            })
            .collect();
        let begins = stage.world.now;
        for (account, class, command) in story {
            stage.world.now += 1_000;
            let bound = match &command {
                Command::Authorize(c) => whole.contains(&c.authorization),
                Command::Clear(c) => whole.contains(&c.authorization),
                Command::Settle(_) => true,
                _ => false,
            };
            let envelope = stage.world.envelope(account, class, command);
            stage.messages.push(Message { envelope, written_ms: stage.world.now, slow: !bound });
        }
        stage.world.now = begins;
        stage
    }

    /// A card that waits, and what the issuer is going to say.
    fn set(&mut self, with: CardWith) -> (CardId, Vec<Command>) {
        let (world, account) = (&mut self.world, self.users[with.user]);
        let (programme, initial) =
            if with.own_money { (ProgrammeCode::Dashboard, 50_000) } else { (ProgrammeCode::Baas, 0) };
        let refusal = Outcome::Refused(RefusalCode::Declined);
        if matches!(with.waits, Waits::Made | Waits::NotMade) {
            let card = CardId(mint(account, world.key(), Kind::Card));
            world.send(account, Class::User, order(card, programme, initial)).events();
            let outcome = if with.waits == Waits::Made { issued(2029 * 12) } else { refusal };
            return (card, vec![answer(world, account, card, outcome)]);
        }
        let card = made_card(world, account, programme, initial);
        let ask = |world: &mut World, class, change| {
            let change = command::ChangeStatus { card, change, reason: Sealed::NONE };
            world.send(account, class, change).events();
        };
        let outcome = |refused| if refused { refusal } else { Outcome::Done };
        let said = match with.waits {
            Waits::Nothing | Waits::Made | Waits::NotMade => vec![],
            Waits::Frozen { refused } => {
                ask(world, Class::User, Change::Freeze);
                vec![answer(world, account, card, outcome(refused))]
            }
            Waits::Closed { refused } => {
                ask(world, Class::User, Change::Cancel);
                vec![answer(world, account, card, outcome(refused))]
            }
            Waits::Blocked { refused } => {
                ask(world, Class::User, Change::Freeze);
                let first = answer(world, account, card, outcome(refused));
                ask(world, Class::Ops, Change::Block);
                vec![first, answer(world, account, card, Outcome::Done)]
            }
            Waits::MoreToSpend { refused } => {
                let daily = |amount| LimitsUpdate { daily: Some(Some(Minor(amount))), ..LimitsUpdate::default() };
                world.send(account, Class::User, command::ChangeLimits { card, update: daily(500) }).events();
                let lower = answer(world, account, card, Outcome::Done);
                world.send(account, Class::Settlement, lower).events();
                world.send(account, Class::User, command::ChangeLimits { card, update: daily(2_000) }).events();
                vec![answer(world, account, card, outcome(refused))]
            }
        };
        (card, said)
    }
}

impl CardWith {
    /// A clearing without an amount only where every order approves its authorization.
    fn whole(self, purchase: &Purchase) -> Purchase {
        match purchase.clone() {
            Purchase::Whole { amount, refund } if self.waits != Waits::Nothing => Purchase::Forced { amount, refund },
            purchase => purchase,
        }
    }
}

/// The issuer's answer to what a card waits for now.
fn answer(world: &World, account: AccountId, card: CardId, outcome: Outcome) -> Command {
    let request = world.state.account(account).unwrap().card(card).unwrap().request().unwrap();
    command::Settle { card, request, outcome }.into()
}

/// What the network tells of a purchase, in order.
fn told(world: &mut World, account: AccountId, card: CardId, purchase: Purchase) -> Vec<Command> {
    let authorization = AuthorizationId(mint(account, world.key(), Kind::Authorization));
    let authorize = |amount| {
        let (currency, merchant) = (USD, merchant());
        let (card_present, pin_entered) = (false, false);
        let amount = Minor(amount);
        command::Authorize { card, authorization, amount, currency, merchant, card_present, pin_entered }.into()
    };
    let refund = |authorization, amount| {
        command::Refund { card, authorization, amount: Some(Minor(amount)), merchant: merchant() }.into()
    };
    let mut story: Vec<Command> = vec![];
    match purchase {
        Purchase::Whole { amount, refund: back } => {
            story.push(authorize(amount));
            story.push(command::Clear { card, authorization, amount: None, last: true }.into());
            story.extend(back.map(|back| refund(authorization, back)));
        }
        Purchase::Parts { amount, increment, cleared, last, refund: back, reversed, reversed_part, expired } => {
            story.push(authorize(amount));
            story.extend(increment.map(|more| command::Increment { card, authorization, amount: Minor(more) }.into()));
            let parts = cleared.len();
            story.extend(cleared.into_iter().enumerate().map(|(n, part)| {
                let last = last && n + 1 == parts;
                command::Clear { card, authorization, amount: Some(Minor(part)), last }.into()
            }));
            story.extend(back.map(|back| refund(authorization, back)));
            let amount = reversed_part.map(Minor);
            story.extend(reversed.then(|| command::Reverse { card, authorization, amount }.into()));
            story.extend(expired.then(|| command::ExpireHold { card, authorization }.into()));
        }
        Purchase::Forced { amount, refund: back } => {
            let amount = Minor(amount);
            story.push(command::ForcePost { card, authorization, amount, merchant: merchant() }.into());
            story.extend(back.map(|back| refund(authorization, back)));
        }
        Purchase::Credit { amount } => story.push(refund(AuthorizationId::NIL, amount)),
    }
    story
}
