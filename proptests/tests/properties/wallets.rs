//! Cards that draw on several wallets: nothing is made or lost in any asset, and rounding never costs more than a unit a leg.

use florin_engine::{
    command::{self, Class, Issued, Outcome},
    event::Event,
    holds::Leg,
    ids::{AccountId, AuthorizationId, CardId, Kind, mint},
    money::{Asset, Minor, Sealed},
    policy::{CardKind, ProgrammeCode},
    postings::Ledger,
};
use proptest::prelude::*;

use crate::{
    policy::{DAY, USD, asset, gb, policy},
    table::merchant,
    world::{Told, World},
};

/// Code, decimals, rate in 10⁻⁸ USD for one.
const ASSETS: [(&str, u32, i128); 3] = [("WUSD", 6, 100_000_000), ("WEUR", 2, 108_130_007), ("USDC", 8, 99_370_000)];

#[derive(Clone, Debug)]
enum Step {
    Deposit { asset: usize, cents: i64 },
    Authorize { amount: i64 },
    Increment { auth: u8, amount: i64 },
    Clear { auth: u8, amount: Option<i64>, last: bool },
    Reverse { auth: u8, amount: Option<i64> },
    Expire { auth: u8 },
    Refund { auth: u8, amount: Option<i64> },
    Credit { amount: i64 },
    ForcePost { amount: i64 },
    Wait { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let amount = || prop_oneof![1_i64..20, 1_i64..3_000, 1_i64..30_000];
    let maybe = || prop_oneof![1 => Just(None), 2 => amount().prop_map(Some)];
    prop_oneof![
        2 => (0_usize..3, amount()).prop_map(|(asset, cents)| Step::Deposit { asset, cents }),
        6 => amount().prop_map(|amount| Step::Authorize { amount }),
        2 => (0_u8..4, amount()).prop_map(|(auth, amount)| Step::Increment { auth, amount }),
        5 => (0_u8..4, maybe(), any::<bool>()).prop_map(|(auth, amount, last)| Step::Clear { auth, amount, last }),
        3 => (0_u8..4, maybe()).prop_map(|(auth, amount)| Step::Reverse { auth, amount }),
        1 => (0_u8..4).prop_map(|auth| Step::Expire { auth }),
        3 => (0_u8..4, maybe()).prop_map(|(auth, amount)| Step::Refund { auth, amount }),
        1 => amount().prop_map(|amount| Step::Credit { amount }),
        1 => amount().prop_map(|amount| Step::ForcePost { amount }),
        1 => (1_u64..10 * DAY).prop_map(|ms| Step::Wait { ms }),
    ]
}

/// What cents are worth in an asset: minor units, down and up.
fn worth(asset: Asset, cents: i64) -> (i128, i128) {
    let Some((_, decimals, rate)) = ASSETS.iter().find(|(code, _, _)| *code == asset.as_str()) else {
        return (cents.into(), cents.into());
    };
    // cents ÷ 100 ÷ (rate ÷ 10⁸) × 10^decimals
    let (up, down) = (i128::from(cents) * 100_000_000 * 10_i128.pow(*decimals), 100 * rate);
    (up.div_euclid(down), (up + down - 1).div_euclid(down))
}

/// A leg is worth what it bills for, to a unit of either side; `splits` is how often it was split before.
fn check_legs(legs: &[Leg], splits: i128) {
    for leg in legs {
        assert!(leg.wallet, "a wallet-funded card has no money of its own");
        assert!(!leg.amount.is_negative() && leg.billing.is_positive(), "an empty leg: {leg:?}");
        let (low, _) = worth(leg.asset, leg.billing.0 - 1);
        let (_, high) = worth(leg.asset, leg.billing.0);
        let got = i128::from(leg.amount.0);
        assert!(low - 1 - splits <= got && got <= high + 1 + splits, "{leg:?} is not between {low} and {high}");
    }
}

fn legs_of(event: &Event) -> Vec<Leg> {
    match event {
        Event::Authorized(event) => event.legs.clone(),
        Event::HoldIncremented(event) => event.legs.clone(),
        Event::Cleared(event) => [event.held.clone(), event.excess.clone()].concat(),
        Event::HoldReleased(event) => event.release.legs.clone(),
        Event::Refunded(event) => [event.linked.clone(), event.unlinked.clone()].concat(),
        Event::ForcePosted(event) => event.legs.clone(),
        _ => vec![],
    }
}

fn billed(legs: &[Leg]) -> i64 {
    legs.iter().map(|leg| leg.billing.0).sum()
}

struct Desk {
    world: World,
    account: AccountId,
    card: CardId,
    auths: Vec<AuthorizationId>,
    deposited: std::collections::BTreeMap<Asset, i128>,
}

impl Desk {
    fn new() -> Self {
        let mut world = World::under(policy());
        let account = AccountId::from_pseudonym([4; 16], 1);
        world.send(account, Class::Ops, command::RegisterUser { company: "demo".into(), country: gb() }).events();
        let card = CardId(mint(account, world.key(), Kind::Card));
        let order = command::IssueCard {
            card,
            programme: ProgrammeCode::Baas,
            kind: CardKind::Virtual,
            initial: Minor(0),
            invoice: 0,
            provider: String::new(),
            country: gb(),
            profile: Sealed(vec![1]),
        };
        world.send(account, Class::User, order).events();
        let request = world.state.account(account).unwrap().card(card).unwrap().request().unwrap();
        let issued = Issued { issuer_card: "ic_1".into(), first4: 4000, last4: 1234, expiry: 2029 * 12 };
        let settle = command::Settle { card, request, outcome: Outcome::Issued(issued) };
        world.send(account, Class::Settlement, settle).events();
        let mut desk = Self { world, account, card, auths: vec![], deposited: std::collections::BTreeMap::new() };
        for which in 0..3 {
            desk.take(&Step::Deposit { asset: which, cents: 10_000 });
        }
        desk
    }

    fn take(&mut self, step: &Step) {
        let (account, card) = (self.account, self.card);
        let auth = |which: u8, of: &[AuthorizationId]| of.iter().rev().nth(usize::from(which)).copied();
        let told = match *step {
            Step::Wait { ms } => {
                self.world.now += ms;
                return;
            }
            Step::Deposit { asset: which, cents } => {
                let asset = asset(ASSETS[which].0);
                let amount = i64::try_from(worth(asset, cents).1).unwrap();
                *self.deposited.entry(asset).or_default() += i128::from(amount);
                let deposit = command::Deposit { asset, amount: Minor(amount), reference: Sealed::NONE };
                self.world.send(account, Class::Ops, deposit)
            }
            Step::Authorize { amount } => {
                let authorization = AuthorizationId(mint(account, self.world.key(), Kind::Authorization));
                let amount = Minor(amount);
                let (currency, merchant) = (USD, merchant());
                let (card_present, pin_entered) = (false, false);
                let ask =
                    command::Authorize { card, authorization, amount, currency, merchant, card_present, pin_entered };
                let told = self.world.send(account, Class::Network, ask);
                if let Told::Accepted(events) = &told
                    && let Event::Authorized(event) = &events[0]
                {
                    assert_eq!(billed(&event.legs), amount.0, "a hold covers what was asked for");
                    self.auths.push(authorization);
                }
                told
            }
            Step::Increment { auth: which, amount } => {
                let Some(authorization) = auth(which, &self.auths) else { return };
                let ask = command::Increment { card, authorization, amount: Minor(amount) };
                self.world.send(account, Class::Network, ask)
            }
            Step::Clear { auth: which, amount, last } => {
                let Some(authorization) = auth(which, &self.auths) else { return };
                let amount = amount.map(Minor);
                let told =
                    self.world.send(account, Class::Network, command::Clear { card, authorization, amount, last });
                if let (Told::Accepted(events), Some(amount)) = (&told, amount) {
                    let paid: i64 = events
                        .iter()
                        .filter(|event| matches!(event, Event::Cleared(_) | Event::ForcePosted(_)))
                        .map(|event| billed(&legs_of(event)))
                        .sum();
                    assert_eq!(paid, amount.0, "the network gets what it cleared");
                }
                told
            }
            Step::Reverse { auth: which, amount } => {
                let Some(authorization) = auth(which, &self.auths) else { return };
                let ask = command::Reverse { card, authorization, amount: amount.map(Minor) };
                self.world.send(account, Class::Network, ask)
            }
            Step::Expire { auth: which } => {
                let Some(authorization) = auth(which, &self.auths) else { return };
                self.world.send(account, Class::Network, command::ExpireHold { card, authorization })
            }
            Step::Refund { auth: which, amount } => {
                let Some(authorization) = auth(which, &self.auths) else { return };
                let ask = command::Refund { card, authorization, amount: amount.map(Minor), merchant: merchant() };
                self.world.send(account, Class::Network, ask)
            }
            Step::Credit { amount } => {
                let (authorization, amount) = (AuthorizationId::NIL, Some(Minor(amount)));
                let ask = command::Refund { card, authorization, amount, merchant: merchant() };
                self.world.send(account, Class::Network, ask)
            }
            Step::ForcePost { amount } => {
                let authorization = AuthorizationId(mint(account, self.world.key(), Kind::Authorization));
                let ask = command::ForcePost { card, authorization, amount: Minor(amount), merchant: merchant() };
                let told = self.world.send(account, Class::Network, ask);
                if let Told::Accepted(_) = &told {
                    self.auths.push(authorization);
                }
                told
            }
        };
        if let Told::Accepted(events) = &told {
            for event in events {
                check_legs(&legs_of(event), 40);
            }
        }
        self.check();
    }

    fn check(&self) {
        let account = self.world.state.account(self.account).unwrap();
        let mut held = std::collections::BTreeMap::<Asset, i64>::new();
        for leg in self.auths.iter().filter_map(|id| account.authorization(*id)).flat_map(|auth| &auth.held) {
            *held.entry(leg.asset).or_default() += leg.amount.0;
        }
        for wallet in &account.wallets {
            assert_eq!(wallet.held.0, held.get(&wallet.asset).copied().unwrap_or(0), "held is the sum of the legs");
            let of = |ledger| self.world.ledger.get(&(ledger, wallet.asset)).copied().unwrap_or(0);
            let came = self.deposited.get(&wallet.asset).copied().unwrap_or(0);
            let others = of(Ledger::Exchange) + of(Ledger::Network);
            assert_eq!(i128::from(wallet.balance.0) + others, came, "nothing is made or lost in {}", wallet.asset);
        }
        assert_eq!(account.card(self.card).unwrap().balance.0, 0, "the card has no money of its own");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::agreement::cases(), ..ProptestConfig::default() })]

    #[test]
    fn several_assets_add_up(steps in prop::collection::vec(step(), 1..80)) {
        let mut desk = Desk::new();
        for step in &steps {
            desk.take(step);
        }
        desk.world.audit();
    }

    /// A purchase that is cleared in parts and refunded in parts leaves every wallet as it was, to the last unit.
    #[test]
    fn all_that_is_paid_and_given_back_is_as_before(
        amount in 1_i64..20_000,
        parts in prop::collection::vec(1_i64..3_000, 0..12),
        back in prop::collection::vec(1_i64..3_000, 0..12),
    ) {
        let mut desk = Desk::new();
        let before = desk.world.state.account(desk.account).unwrap().wallets.clone();
        desk.take(&Step::Authorize { amount });
        let mut left = amount;
        for part in parts {
            let part = part.min(left - 1);
            if part > 0 {
                desk.take(&Step::Clear { auth: 0, amount: Some(part), last: false });
                left -= part;
            }
        }
        desk.take(&Step::Clear { auth: 0, amount: None, last: true });
        let mut spent = amount;
        for part in back {
            let part = part.min(spent - 1);
            if part > 0 {
                desk.take(&Step::Refund { auth: 0, amount: Some(part) });
                spent -= part;
            }
        }
        desk.take(&Step::Refund { auth: 0, amount: None });
        prop_assert_eq!(&desk.world.state.account(desk.account).unwrap().wallets, &before);
        desk.world.audit();
    }
}
