//! One wallet-funded card beside its model: steps, and what is compared after each.

use florin_engine::{
    command::{self, Class, Command},
    event::Event,
    holds::Leg,
    ids::{AccountId, AuthorizationId, CardId, Kind, mint},
    money::{Asset, Minor, Sealed},
    policy::ProgrammeCode,
    postings::Ledger,
};
use proptest::prelude::*;

use super::model::{Answer, Piece, Wallets, units_up};
use crate::{
    kit::{made_card, merchant, register},
    policy::{DAY, FIGURES, TOKENS, USD, asset, policy, policy_of},
    world::{Told, World},
};

#[derive(Clone, Debug)]
pub enum Step {
    Deposit {
        token: usize,
        cents: i64,
    },
    Authorize {
        amount: i64,
    },
    Increment {
        auth: u8,
        amount: i64,
    },
    Clear {
        auth: u8,
        amount: Option<i64>,
        last: bool,
    },
    Reverse {
        auth: u8,
        amount: Option<i64>,
    },
    Expire {
        auth: u8,
    },
    Refund {
        auth: u8,
        amount: Option<i64>,
    },
    Credit {
        amount: i64,
    },
    ForcePost {
        amount: i64,
    },
    /// The next policy, which has other rates.
    Rates {
        figures: usize,
    },
    Wait {
        ms: u64,
    },
    Snapshot,
}

pub fn step() -> impl Strategy<Value = Step> {
    let amount = || prop_oneof![1_i64..20, 1_i64..3_000, 1_i64..30_000];
    let maybe = || prop_oneof![1 => Just(None), 2 => amount().prop_map(Some)];
    prop_oneof![
        2 => (0_usize..3, amount()).prop_map(|(token, cents)| Step::Deposit { token, cents }),
        6 => amount().prop_map(|amount| Step::Authorize { amount }),
        2 => (0_u8..4, amount()).prop_map(|(auth, amount)| Step::Increment { auth, amount }),
        5 => (0_u8..4, maybe(), any::<bool>()).prop_map(|(auth, amount, last)| Step::Clear { auth, amount, last }),
        3 => (0_u8..4, maybe()).prop_map(|(auth, amount)| Step::Reverse { auth, amount }),
        1 => (0_u8..4).prop_map(|auth| Step::Expire { auth }),
        3 => (0_u8..4, maybe()).prop_map(|(auth, amount)| Step::Refund { auth, amount }),
        1 => amount().prop_map(|amount| Step::Credit { amount }),
        1 => amount().prop_map(|amount| Step::ForcePost { amount }),
        1 => (0_usize..3).prop_map(|figures| Step::Rates { figures }),
        1 => (1_u64..10 * DAY).prop_map(|ms| Step::Wait { ms }),
        1 => Just(Step::Snapshot),
    ]
}

fn token_of(asset: Asset) -> usize {
    TOKENS.iter().position(|(code, _)| *code == asset.as_str()).unwrap()
}

fn piece(leg: &Leg) -> Piece {
    assert!(leg.wallet, "a wallet-funded card has no money of its own");
    let rate = leg.rate.decimal();
    Piece {
        token: token_of(leg.asset),
        units: leg.amount.0.into(),
        cents: leg.billing.0.into(),
        rate: rate.mantissa() * 10_i128.pow(8 - rate.scale()),
    }
}

pub struct Desk {
    pub world: World,
    pub account: AccountId,
    card: CardId,
    wallets: Wallets,
    auths: Vec<AuthorizationId>,
    deposited: [i128; 3],
}

impl Desk {
    /// A card with nothing of its own, and tokens worth 100.00 USD in each of the wallets.
    pub fn new() -> Self {
        let mut world = World::under(policy());
        let account = register(&mut world, 4);
        let card = made_card(&mut world, account, ProgrammeCode::Baas, 0);
        let wallets = Wallets { rates: FIGURES[0].rates, ..Wallets::default() };
        let mut desk = Self { world, account, card, wallets, auths: vec![], deposited: [0; 3] };
        for token in 0..3 {
            desk.take(&Step::Deposit { token, cents: 10_000 });
        }
        desk
    }

    fn new_authorization(&mut self) -> AuthorizationId {
        AuthorizationId(mint(self.account, self.world.key(), Kind::Authorization))
    }

    pub fn take(&mut self, step: &Step) {
        let card = self.card;
        let auth = |which: u8, of: &[AuthorizationId]| of.iter().rev().nth(usize::from(which)).copied();
        let wide = |amount: Option<i64>| amount.map(i128::from);
        let (expected, class, command): (Answer, Class, Command) = match *step {
            Step::Wait { ms } => {
                self.world.now += ms;
                return;
            }
            Step::Snapshot => return self.world.snapshot_here(),
            Step::Rates { figures } => {
                self.wallets.rates = FIGURES[figures].rates;
                return self.world.adopt(policy_of(figures));
            }
            Step::Deposit { token, cents } => {
                let units = units_up(token, cents.into(), self.wallets.rates[token]);
                self.deposited[token] += units;
                self.wallets.balance[token] += units;
                let (asset, amount) = (asset(TOKENS[token].0), Minor(units.try_into().unwrap()));
                let deposit = command::Deposit { asset, amount, reference: Sealed::NONE };
                (Answer::Done, Class::Ops, deposit.into())
            }
            Step::Authorize { amount } => {
                let authorization = self.new_authorization();
                let expected = self.wallets.authorize(authorization, amount.into());
                if expected == Answer::Done {
                    self.auths.push(authorization);
                }
                let (amount, currency, merchant) = (Minor(amount), USD, merchant());
                let (card_present, pin_entered) = (false, false);
                let ask =
                    command::Authorize { card, authorization, amount, currency, merchant, card_present, pin_entered };
                (expected, Class::Network, ask.into())
            }
            Step::Increment { auth: which, amount } => {
                let Some(authorization) = auth(which, &self.auths) else { return };
                let expected = self.wallets.authorize(authorization, amount.into());
                let ask = command::Increment { card, authorization, amount: Minor(amount) };
                (expected, Class::Network, ask.into())
            }
            Step::Clear { auth: which, amount, last } => {
                let Some(authorization) = auth(which, &self.auths) else { return };
                let expected = self.wallets.clear(authorization, wide(amount), last);
                let ask = command::Clear { card, authorization, amount: amount.map(Minor), last };
                (expected, Class::Network, ask.into())
            }
            Step::Reverse { auth: which, amount } => {
                let Some(authorization) = auth(which, &self.auths) else { return };
                let expected = self.wallets.reverse(authorization, wide(amount));
                let ask = command::Reverse { card, authorization, amount: amount.map(Minor) };
                (expected, Class::Network, ask.into())
            }
            Step::Expire { auth: which } => {
                let Some(authorization) = auth(which, &self.auths) else { return };
                let expected = self.wallets.expire(authorization);
                (expected, Class::Network, command::ExpireHold { card, authorization }.into())
            }
            Step::Refund { auth: which, amount } => {
                let Some(authorization) = auth(which, &self.auths) else { return };
                let expected = self.wallets.refund(Some(authorization), wide(amount));
                let ask = command::Refund { card, authorization, amount: amount.map(Minor), merchant: merchant() };
                (expected, Class::Network, ask.into())
            }
            Step::Credit { amount } => {
                let expected = self.wallets.refund(None, Some(amount.into()));
                let (authorization, amount) = (AuthorizationId::NIL, Some(Minor(amount)));
                let ask = command::Refund { card, authorization, amount, merchant: merchant() };
                (expected, Class::Network, ask.into())
            }
            Step::ForcePost { amount } => {
                let authorization = self.new_authorization();
                self.auths.push(authorization);
                let expected = self.wallets.force(authorization, amount.into());
                let ask = command::ForcePost { card, authorization, amount: Minor(amount), merchant: merchant() };
                (expected, Class::Network, ask.into())
            }
        };
        let told = self.world.send(self.account, class, command);
        let declined = |event: &Event| matches!(event, Event::Declined(_) | Event::IncrementDeclined(_));
        let got = match &told {
            Told::Accepted(events) if events.iter().any(declined) => Answer::Declined,
            Told::Accepted(_) => Answer::Done,
            Told::Rejected(_) => Answer::Rejected,
            Told::Replayed(_) => panic!("a new key is never a replay"),
        };
        assert_eq!(got, expected, "to {step:?}: {told:?}");
        self.compare(step);
    }

    fn compare(&self, step: &Step) {
        let account = self.world.state.account(self.account).unwrap();
        let of = |ledger, asset| self.world.ledger.get(&(ledger, asset)).copied().unwrap_or(0);
        for wallet in &account.wallets {
            let token = token_of(wallet.asset);
            let seen = (i128::from(wallet.balance.0), i128::from(wallet.held.0));
            let expected = (self.wallets.balance[token], self.wallets.held(token));
            assert_eq!(seen, expected, "balance and held in {} after {step:?}", wallet.asset);
            let others = of(Ledger::Exchange, wallet.asset) + of(Ledger::Network, wallet.asset);
            assert_eq!(seen.0 + others, self.deposited[token], "nothing is made or lost in {}", wallet.asset);
        }
        for (id, purchase) in &self.wallets.purchases {
            let seen = account.authorization(*id).unwrap();
            let pieces = |legs: &[Leg]| legs.iter().map(piece).collect::<Vec<_>>();
            assert_eq!(pieces(&seen.held), purchase.held, "held after {step:?}");
            assert_eq!(pieces(&seen.spent), purchase.spent, "spent after {step:?}");
        }
        assert_eq!(of(Ledger::Network, USD), self.wallets.network, "the network gets what it cleared");
        let card = account.card(self.card).unwrap();
        assert_eq!(card.balance.0, 0, "the card has no money of its own");
        assert_eq!(i128::from(card.usage.lifetime.0), self.wallets.used(), "used for ever after {step:?}");
    }
}
