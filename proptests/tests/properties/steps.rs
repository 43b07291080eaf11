//! Steps of a generated story: small numbers that a [`Table`] turns into commands on what is there by then.

use florin_engine::{
    command::{self, Class, Command, Envelope, Issued, Merchant, Outcome},
    event::Event,
    ids::{AccountId, AuthorizationId, CardId, CardRequestId, Kind, RequestId, mint},
    limits::LimitsUpdate,
    money::{Minor, Sealed},
    policy::{CardKind, ProgrammeCode},
    reject::Reason,
    terms::{Change, RefusalCode, Status},
};
use proptest::prelude::*;

use crate::{
    model::{Answer, Model, Phase, Waiting},
    policy::{DAY, USD, gb},
    world::{Told, World},
};

/// One step. Numbers choose among what there is: users, cards and authorizations, the newest first.
#[derive(Clone, Debug)]
pub enum Step {
    Wait(u64),
    /// The next message was written that long ago, ms.
    Delay(u64),
    /// The next message is dated that far ahead, ms.
    Ahead(u64),
    Snapshot,
    Deposit {
        user: u8,
        amount: i64,
    },
    Withdraw {
        user: u8,
        amount: i64,
    },
    WriteOff {
        card: u8,
        of_wallet: bool,
        amount: i64,
    },
    Issue {
        user: u8,
        amount: i64,
        mobile: bool,
        physical: bool,
        expiry: u8,
    },
    Request {
        user: u8,
        physical: bool,
    },
    Decide {
        request: u8,
        approved: bool,
    },
    Settle {
        card: u8,
        refused: bool,
    },
    SettleLate {
        request: u8,
        refused: bool,
    },
    Change {
        card: u8,
        change: Change,
        class: Class,
    },
    Limits {
        card: u8,
        which: u8,
        amount: Option<i64>,
        ops: bool,
    },
    NoPin {
        card: u8,
        amount: i64,
    },
    Activate {
        card: u8,
        right: bool,
    },
    Lapse {
        card: u8,
    },
    Expire {
        card: u8,
    },
    TopUp {
        card: u8,
        amount: i64,
    },
    Unload {
        card: u8,
        amount: i64,
    },
    Authorize {
        card: u8,
        amount: i64,
        present: bool,
        pin: bool,
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
    ReverseFirst {
        card: u8,
    },
    AuthorizeReversed {
        card: u8,
    },
    /// A clearing of an authorization that nobody knows, or that was reversed before it came.
    ClearFirst {
        card: u8,
        reversed: bool,
        amount: Option<i64>,
        last: bool,
    },
    /// A refund of one of those.
    RefundFirst {
        card: u8,
        reversed: bool,
        amount: Option<i64>,
    },
    ExpireHold {
        auth: u8,
        network: bool,
    },
    Refund {
        auth: u8,
        amount: Option<i64>,
    },
    Credit {
        card: u8,
        amount: i64,
    },
    ForcePost {
        card: u8,
        amount: i64,
    },
    Again {
        sent: u8,
        other: bool,
    },
    WorkClock,
}

/// Amounts of which sums often meet a limit exactly.
fn round() -> impl Strategy<Value = i64> {
    (1_i64..6).prop_map(|hundreds| hundreds * 100)
}

/// Amounts around the bounds that the policy names, small ones, and the largest there are.
pub fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => round(),
        4 => 1_i64..3_000,
        4 => 2_400_i64..30_000,
        2 => prop::sample::select(vec![999_i64, 1_000, 2_499, 2_500, 10_000, 33, 17, 50]),
        1 => prop::sample::select(vec![0_i64, -1, 10_000_000, 10_000_001, i64::MAX, i64::MIN]),
    ]
}

/// Amounts that are paid in, or that the network says were paid: some around the most that a balance may come to.
fn posted() -> impl Strategy<Value = i64> {
    const MOST: i64 = i64::MAX / 4;
    prop_oneof![
        30 => amount(),
        1 => prop::sample::select(vec![MOST - 1_000_000, MOST - 200_000, MOST, MOST + 1, MOST + 1_000_000]),
    ]
}

fn maybe() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![1 => Just(None), 2 => posted().prop_map(Some)]
}

fn wait() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 1_u64..60_000,
        3 => prop::sample::select(vec![599_999_u64, 600_000, 1_200_000, 3_600_000]),
        3 => 1_u64..DAY,
        2 => prop::sample::select(vec![DAY, 7 * DAY - 1, 7 * DAY, 8 * DAY]),
        1 => prop::sample::select(vec![30 * DAY, 31 * DAY - 1, 31 * DAY, 31 * DAY + 1]),
    ]
}

fn change() -> impl Strategy<Value = (Change, Class)> {
    (
        prop::sample::select(vec![
            Change::Freeze,
            Change::Freeze,
            Change::Thaw,
            Change::Block,
            Change::BlockForFraud,
            Change::Unblock,
            Change::Cancel,
        ]),
        prop::sample::select(vec![Class::User, Class::Ops, Class::Ops, Class::Network]),
    )
}

pub fn step() -> impl Strategy<Value = Step> {
    let card = || prop_oneof![3 => 0_u8..2, 1 => 0_u8..10];
    let auth = || prop_oneof![3 => 0_u8..2, 1 => 0_u8..12];
    let money = prop_oneof![
        12 => (card(), amount(), any::<bool>(), any::<bool>())
            .prop_map(|(card, amount, present, pin)| Step::Authorize { card, amount, present, pin }),
        4 => (auth(), amount()).prop_map(|(auth, amount)| Step::Increment { auth, amount }),
        9 => (auth(), maybe(), any::<bool>()).prop_map(|(auth, amount, last)| Step::Clear { auth, amount, last }),
        4 => (auth(), maybe()).prop_map(|(auth, amount)| Step::Reverse { auth, amount }),
        1 => card().prop_map(|card| Step::ReverseFirst { card }),
        1 => card().prop_map(|card| Step::AuthorizeReversed { card }),
        2 => (card(), any::<bool>(), maybe(), any::<bool>())
            .prop_map(|(card, reversed, amount, last)| Step::ClearFirst { card, reversed, amount, last }),
        1 => (card(), any::<bool>(), maybe())
            .prop_map(|(card, reversed, amount)| Step::RefundFirst { card, reversed, amount }),
        2 => (auth(), any::<bool>()).prop_map(|(auth, network)| Step::ExpireHold { auth, network }),
        5 => (auth(), maybe()).prop_map(|(auth, amount)| Step::Refund { auth, amount }),
        1 => (card(), posted()).prop_map(|(card, amount)| Step::Credit { card, amount }),
        2 => (card(), posted()).prop_map(|(card, amount)| Step::ForcePost { card, amount }),
    ];
    let life = prop_oneof![
        4 => (0_u8..3, amount(), prop::bool::weighted(0.2), prop::bool::weighted(0.3), 0_u8..3).prop_map(
            |(user, amount, mobile, physical, expiry)| Step::Issue { user, amount, mobile, physical, expiry }
        ),
        1 => (0_u8..3, any::<bool>()).prop_map(|(user, physical)| Step::Request { user, physical }),
        1 => (0_u8..3, prop::bool::weighted(0.7)).prop_map(|(request, approved)| Step::Decide { request, approved }),
        14 => (card(), prop::bool::weighted(0.15)).prop_map(|(card, refused)| Step::Settle { card, refused }),
        1 => (0_u8..20, any::<bool>()).prop_map(|(request, refused)| Step::SettleLate { request, refused }),
        6 => (card(), change()).prop_map(|(card, (change, class))| Step::Change { card, change, class }),
        3 => (card(), 0_u8..4, prop::option::weighted(0.8, prop_oneof![4 => round(), 1 => Just(0), 2 => 0_i64..60_000]), any::<bool>())
            .prop_map(|(card, which, amount, ops)| Step::Limits { card, which, amount, ops }),
        2 => (card(), prop_oneof![round(), 0_i64..5_000]).prop_map(|(card, amount)| Step::NoPin { card, amount }),
        3 => (card(), prop::bool::weighted(0.5)).prop_map(|(card, right)| Step::Activate { card, right }),
        2 => card().prop_map(|card| Step::Lapse { card }),
        1 => card().prop_map(|card| Step::Expire { card }),
    ];
    let wallet = prop_oneof![
        2 => (0_u8..3, posted()).prop_map(|(user, amount)| Step::Deposit { user, amount }),
        1 => (0_u8..3, amount()).prop_map(|(user, amount)| Step::Withdraw { user, amount }),
        1 => (card(), prop::bool::weighted(0.2), 1_i64..2_000)
            .prop_map(|(card, of_wallet, amount)| Step::WriteOff { card, of_wallet, amount }),
        4 => (card(), amount()).prop_map(|(card, amount)| Step::TopUp { card, amount }),
        2 => (card(), amount()).prop_map(|(card, amount)| Step::Unload { card, amount }),
    ];
    prop_oneof![
        40 => money,
        33 => life,
        8 => wallet,
        8 => wait().prop_map(Step::Wait),
        2 => wait().prop_map(Step::Delay),
        1 => prop::sample::select(vec![1_u64, 299_999, 300_000, 300_001, DAY]).prop_map(Step::Ahead),
        5 => (any::<u8>(), prop::bool::weighted(0.25)).prop_map(|(sent, other)| Step::Again { sent, other }),
        3 => Just(Step::WorkClock),
        1 => Just(Step::Snapshot),
    ]
}

/// Changes of the newest card, what comes of them, and a purchase that tells what binds.
pub fn change_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => change().prop_map(|(change, class)| Step::Change { card: 0, change, class }),
        8 => any::<bool>().prop_map(|refused| Step::Settle { card: 0, refused }),
        1 => (0_u8..4, any::<bool>()).prop_map(|(request, refused)| Step::SettleLate { request, refused }),
        1 => (round(), any::<bool>()).prop_map(|(amount, ops)| Step::Limits { card: 0, which: 1, amount: Some(amount), ops }),
        1 => prop::sample::select(vec![599_999_u64, 600_000]).prop_map(Step::Wait),
        1 => Just(Step::Lapse { card: 0 }),
        1 => Just(Step::Authorize { card: 0, amount: 100, present: false, pin: false }),
    ]
}

pub fn merchant() -> Merchant {
    Merchant { name: "Corner Shop".into(), mcc: 5411, country: gb() }
}

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
    sent: Vec<Envelope>,
}

fn newest<T: Clone>(of: &[T], which: u8) -> Option<T> {
    let back = usize::from(which) % of.len().max(1);
    of.iter().rev().nth(back).cloned()
}

impl Table {
    /// Three users with 2,000.00 USD each.
    pub fn new() -> Self {
        let mut table = Self {
            world: World::under(crate::policy::policy()),
            model: Model::default(),
            users: vec![],
            cards: vec![],
            auths: vec![],
            reversed: vec![],
            card_requests: vec![],
            changes: vec![],
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
            Told::Rejected(reject) => Answer::Rejected(vec![reject.reason]),
            Told::Accepted(events) => events
                .iter()
                .find_map(|event| match event {
                    Event::Declined(event) => Some(Answer::Declined(event.decline.reason)),
                    Event::IncrementDeclined(event) => Some(Answer::Declined(event.decline.reason)),
                    _ => None,
                })
                .unwrap_or(Answer::Accepted),
        };
        let agrees = match (&expected, &got) {
            (Answer::Rejected(any), Answer::Rejected(one)) => any.contains(&one[0]),
            (expected, got) => expected == got,
        };
        assert!(
            agrees,
            "model: {expected:?}, engine: {told:?}\n  to {envelope:?}\n  card in the model: {:?}",
            card_of(&envelope.command).and_then(|id| self.model.users.get(&envelope.account)?.cards.get(&id))
        );
        match &told {
            Told::Replayed(_) => {}
            Told::Accepted(_) => self.model.remember(now, &envelope, None),
            Told::Rejected(reject) => self.model.remember(now, &envelope, Some(reject.reason)),
        }
        self.learn();
        self.compare(&envelope);
        self.sent.push(envelope);
        told
    }

    /// The request ids are the engine's to choose; each change must have a new one.
    fn learn(&mut self) {
        for account in self.world.state.all_accounts() {
            let Some(user) = self.model.users.get_mut(&account.id) else { continue };
            for card in &account.cards {
                let (Some(request), Some(known)) = (card.request(), user.cards.get_mut(&card.id)) else { continue };
                let Some(pending) = known.pending.as_mut() else { continue };
                if pending.request.is_none() {
                    assert!(!self.changes.iter().any(|known| known.2 == request), "a change has a new request id");
                    self.changes.push((account.id, card.id, request));
                    pending.request = Some(request);
                }
            }
        }
    }

    /// Every balance, hold, limit, usage and state.
    fn compare(&self, after: &Envelope) {
        let state = &self.world.state;
        let now = state.clock_ms();
        let today = florin_engine::limits::Day::of(now);
        for (id, user) in &self.model.users {
            let account = state.account(*id).expect("registered in the model, so in the engine");
            let wallet = account.wallet(USD).map_or(0, |wallet| i128::from(wallet.balance.0));
            assert_eq!(wallet, user.wallet, "wallet after {after:?}");
            assert!(account.wallets.iter().all(|wallet| wallet.held.is_zero()), "prepaid cards hold no wallet");
            assert_eq!(account.cards.len(), user.cards.len(), "cards after {after:?}");
            assert_eq!(account.cards_counted(), user.counted(), "cards counted after {after:?}");
            for card in &account.cards {
                let known = &user.cards[&card.id];
                let waits = matches!(card.status, Status::NotActivated | Status::Blocked);
                let tries = |tries: u8| if waits { tries } else { 0 };
                let seen = (card.status, card.balance.0.into(), card.held.0.into(), card.fraud, tries(card.tries));
                let expected = (known.status, known.balance, user.held(card.id), known.fraud, tries(known.tries));
                assert_eq!(seen, expected, "status, balance, held, fraud, tries after {after:?}\n{known:?}");
                assert_eq!(card.limits, known.limits, "limits after {after:?}\n{known:?}");
                assert_eq!(card.no_pin.map(|most| i128::from(most.0)), known.no_pin, "no-PIN amount");
                let usage = card.usage.on(today);
                let usage = [usage.daily, usage.monthly, usage.lifetime].map(|used| i128::from(used.0));
                assert_eq!(usage, known.usage(now), "usage after {after:?}\n{known:?}");
                assert_eq!(card.pending.is_some(), known.pending.is_some(), "pending after {after:?}\n{known:?}");
                if known.returned {
                    assert_eq!(card.status, florin_engine::terms::Status::Cancelled, "returned, so never active");
                }
            }
            for (id, purchase) in &user.purchases {
                if purchase.phase == Phase::Killed {
                    continue;
                }
                let seen = account.authorization(*id).expect("a purchase is remembered");
                let seen = (i128::from(seen.held_billing().0), i128::from(seen.spent_billing().0));
                assert_eq!(seen, (purchase.held, purchase.spent.sum()), "held and spent of {id} after {after:?}");
            }
        }
        let ledger = |wanted: &dyn Fn(florin_engine::postings::Ledger) -> bool| -> i128 {
            self.world.ledger.iter().filter(|((ledger, _), _)| wanted(*ledger)).map(|(_, sum)| *sum).sum()
        };
        use florin_engine::postings::Ledger;
        assert_eq!(ledger(&|l| matches!(l, Ledger::Revenue(_))), self.model.revenue, "revenue after {after:?}");
        assert_eq!(ledger(&|l| l == Ledger::Network), self.model.network, "network after {after:?}");
        assert_eq!(ledger(&|l| l == Ledger::Funding), self.model.funding, "funding after {after:?}");
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
        Outcome::Issued(Issued { issuer_card: "ic_1".into(), first4: 4000, last4: 1234, expiry })
    }

    pub fn take(&mut self, step: &Step) {
        match *step {
            Step::Wait(ms) => self.world.now += ms,
            Step::Delay(ms) => self.world.delay = ms,
            Step::Ahead(ms) => self.world.ahead = ms,
            Step::Snapshot => self.world.snapshot_here(),
            Step::Deposit { user, amount } => {
                let amount = Minor(amount);
                self.ask(self.user(user), Class::Ops, command::Deposit { asset: USD, amount, reference: Sealed::NONE });
            }
            Step::Withdraw { user, amount } => {
                let amount = Minor(amount);
                self.ask(
                    self.user(user),
                    Class::Ops,
                    command::Withdraw { asset: USD, amount, reference: Sealed::NONE },
                );
            }
            Step::WriteOff { card, of_wallet, amount } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                let card = if of_wallet { CardId::NIL } else { card };
                let write = command::WriteOff { card, asset: USD, amount: Minor(amount), reason: Sealed::NONE };
                self.ask(account, Class::Ops, write);
            }
            Step::Issue { user, amount, mobile, physical, expiry } => {
                let account = self.user(user);
                let card = CardId(self.minted(account, Kind::Card));
                self.cards.push((account, card, [2026 * 12 + 2, 2026 * 12 + 4, 2027 * 12 + 11][usize::from(expiry)]));
                let order = command::IssueCard {
                    card,
                    programme: if mobile { ProgrammeCode::Mobile } else { ProgrammeCode::Dashboard },
                    kind: if physical { CardKind::Physical } else { CardKind::Virtual },
                    initial: if mobile { Minor(0) } else { Minor(amount) },
                    invoice: 0,
                    provider: String::new(),
                    country: gb(),
                    profile: Sealed(vec![1]),
                };
                if !matches!(self.ask(account, Class::User, order), Told::Accepted(_)) {
                    self.cards.pop();
                }
            }
            Step::Request { user, physical } => {
                let account = self.user(user);
                let request = CardRequestId(self.minted(account, Kind::CardRequest));
                let card = CardId(self.minted(account, Kind::Card));
                let kind = if physical { CardKind::Physical } else { CardKind::Virtual };
                let ask = command::RequestCard {
                    request,
                    card,
                    programme: ProgrammeCode::Mobile,
                    kind,
                    profile: Sealed(vec![1]),
                };
                self.card_requests.push((account, request));
                self.ask(account, Class::User, ask);
            }
            Step::Decide { request, approved } => {
                let Some((account, request)) = newest(&self.card_requests, request) else { return };
                let card = self.model.users[&account].requests.get(&request).map(|(card, _)| *card);
                self.ask(account, Class::Ops, command::DecideCardRequest { request, approved, reason: Sealed::NONE });
                if let (Some(card), true) = (card, approved) {
                    self.cards.push((account, card, 2027 * 12 + 11));
                }
            }
            Step::Settle { card, refused } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                let pending = self.model.users[&account].cards[&card].pending.clone();
                let Some((request, what)) = pending.and_then(|pending| Some((pending.request?, pending.what))) else {
                    return;
                };
                let outcome = match (what, refused) {
                    (_, true) => Outcome::Refused(RefusalCode::Declined),
                    (Waiting::Issue, false) => self.issued(card),
                    (_, false) => Outcome::Done,
                };
                self.ask(account, Class::Settlement, command::Settle { card, request, outcome });
            }
            Step::SettleLate { request, refused } => {
                let Some((account, card, request)) = newest(&self.changes, request) else { return };
                let pending = self.model.users[&account].cards[&card].pending.as_ref();
                if pending.is_some_and(|pending| pending.request == Some(request)) {
                    return;
                }
                let first = self.changes.iter().find(|(_, of, _)| *of == card).is_some_and(|first| first.2 == request);
                let outcome = match (refused, first) {
                    (true, _) => Outcome::Refused(RefusalCode::Declined),
                    (false, true) => self.issued(card),
                    (false, false) => Outcome::Done,
                };
                self.ask(account, Class::Settlement, command::Settle { card, request, outcome });
            }
            Step::Change { card, change, class } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                self.ask(account, class, command::ChangeStatus { card, change, reason: Sealed::NONE });
            }
            Step::Limits { card, which, amount, ops } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                let (limit, mut update) = (Some(amount.map(Minor)), LimitsUpdate::default());
                match which {
                    0 => update.transaction = limit,
                    1 => update.daily = limit,
                    2 => update.monthly = limit,
                    _ => update.lifetime = limit,
                }
                let class = if ops { Class::Ops } else { Class::User };
                self.ask(account, class, command::ChangeLimits { card, update });
            }
            Step::NoPin { card, amount } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                self.ask(account, Class::User, command::SetNoPinAmount { card, amount: Minor(amount) });
            }
            Step::Activate { card, right } => {
                let Some((account, card, expiry)) = newest(&self.cards, card) else { return };
                let tried = Some(command::Tried { last4: if right { 1234 } else { 4321 }, expiry });
                self.ask(account, Class::User, command::Activate { card, tried });
            }
            Step::Lapse { card } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                let of_card = self.changes.iter().rev().find(|change| change.1 == card);
                let Some(&(_, _, request)) = of_card else { return };
                self.ask(account, Class::Clock, command::LapseChange { card, request });
            }
            Step::Expire { card } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                self.ask(account, Class::Clock, command::ExpireCard { card });
            }
            Step::TopUp { card, amount } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                self.ask(account, Class::User, command::TopUp { card, amount: Minor(amount) });
            }
            Step::Unload { card, amount } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                self.ask(account, Class::User, command::Unload { card, amount: Minor(amount) });
            }
            Step::Authorize { card, amount, present, pin } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                let authorization = AuthorizationId(self.minted(account, Kind::Authorization));
                let told = self.authorize(account, card, authorization, amount, present, pin);
                if matches!(&told, Told::Accepted(events) if matches!(events[0], Event::Authorized(_))) {
                    self.auths.push((account, card, authorization));
                }
            }
            Step::Increment { auth, amount } => {
                let Some((account, card, authorization)) = newest(&self.auths, auth) else { return };
                self.ask(account, Class::Network, command::Increment { card, authorization, amount: Minor(amount) });
            }
            Step::Clear { auth, amount, last } => {
                let Some((account, card, authorization)) = newest(&self.auths, auth) else { return };
                let clear = command::Clear { card, authorization, amount: amount.map(Minor), last };
                self.ask(account, Class::Network, clear);
            }
            Step::Reverse { auth, amount } => {
                let Some((account, card, authorization)) = newest(&self.auths, auth) else { return };
                self.ask(account, Class::Network, command::Reverse { card, authorization, amount: amount.map(Minor) });
            }
            Step::ReverseFirst { card } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                let authorization = AuthorizationId(self.minted(account, Kind::Authorization));
                self.reversed.push((account, card, authorization));
                self.ask(account, Class::Network, command::Reverse { card, authorization, amount: None });
            }
            Step::AuthorizeReversed { card } => {
                let Some((account, card, authorization)) = newest(&self.reversed, card) else { return };
                self.authorize(account, card, authorization, 100, false, false);
            }
            Step::ClearFirst { card, reversed, amount, last } => {
                let Some((account, card, authorization)) = self.not_authorized(card, reversed) else { return };
                let clear = command::Clear { card, authorization, amount: amount.map(Minor), last };
                let told = self.ask(account, Class::Network, clear);
                if !reversed && matches!(told, Told::Accepted(_)) {
                    self.auths.push((account, card, authorization));
                }
            }
            Step::RefundFirst { card, reversed, amount } => {
                let Some((account, card, authorization)) = self.not_authorized(card, reversed) else { return };
                let amount = amount.map(Minor);
                let refund = command::Refund { card, authorization, amount, merchant: merchant() };
                self.ask(account, Class::Network, refund);
            }
            Step::ExpireHold { auth, network } => {
                let Some((account, card, authorization)) = newest(&self.auths, auth) else { return };
                let class = if network { Class::Network } else { Class::Clock };
                self.ask(account, class, command::ExpireHold { card, authorization });
            }
            Step::Refund { auth, amount } => {
                let Some((account, card, authorization)) = newest(&self.auths, auth) else { return };
                let amount = amount.map(Minor);
                self.ask(
                    account,
                    Class::Network,
                    command::Refund { card, authorization, amount, merchant: merchant() },
                );
            }
            Step::Credit { card, amount } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                let (authorization, amount) = (AuthorizationId::NIL, Some(Minor(amount)));
                self.ask(
                    account,
                    Class::Network,
                    command::Refund { card, authorization, amount, merchant: merchant() },
                );
            }
            Step::ForcePost { card, amount } => {
                let Some((account, card, _)) = newest(&self.cards, card) else { return };
                let authorization = AuthorizationId(self.minted(account, Kind::Authorization));
                let post = command::ForcePost { card, authorization, amount: Minor(amount), merchant: merchant() };
                if let Told::Accepted(_) = self.ask(account, Class::Network, post) {
                    self.auths.push((account, card, authorization));
                }
            }
            Step::Again { sent, other } => {
                let Some(mut envelope) = newest(&self.sent, sent) else { return };
                if other {
                    envelope.digest.0[0] ^= 0xFF;
                }
                self.put(envelope);
            }
            Step::WorkClock => {
                for due in self.world.state.due(self.world.now, 100) {
                    let command = due.command();
                    let account = match due {
                        florin_engine::agenda::Due::Invoice { account, .. }
                        | florin_engine::agenda::Due::Change { account, .. }
                        | florin_engine::agenda::Due::Hold { account, .. }
                        | florin_engine::agenda::Due::Card { account, .. } => account,
                    };
                    let told = self.ask(account, Class::Clock, command);
                    let stale = matches!(&told, Told::Rejected(reject) if matches!(reject.reason,
                        Reason::HoldClosed | Reason::NothingPending | Reason::InvalidStatus));
                    assert!(matches!(told, Told::Accepted(_)) || stale, "what is due can be done: {told:?}");
                }
            }
        }
    }

    /// An authorization that was reversed before it came, or one that is new.
    fn not_authorized(&mut self, which: u8, reversed: bool) -> Option<(AccountId, CardId, AuthorizationId)> {
        if reversed {
            return newest(&self.reversed, which);
        }
        let (account, card, _) = newest(&self.cards, which)?;
        Some((account, card, AuthorizationId(self.minted(account, Kind::Authorization))))
    }

    fn authorize(
        &mut self,
        account: AccountId,
        card: CardId,
        authorization: AuthorizationId,
        amount: i64,
        card_present: bool,
        pin_entered: bool,
    ) -> Told {
        let command = command::Authorize {
            card,
            authorization,
            amount: Minor(amount),
            currency: USD,
            merchant: merchant(),
            card_present,
            pin_entered,
        };
        self.ask(account, Class::Network, command)
    }
}

fn card_of(command: &Command) -> Option<CardId> {
    match command {
        Command::ChangeStatus(c) => Some(c.card),
        Command::ChangeLimits(c) => Some(c.card),
        Command::Settle(c) => Some(c.card),
        Command::LapseChange(c) => Some(c.card),
        Command::TopUp(c) => Some(c.card),
        Command::Unload(c) => Some(c.card),
        Command::Authorize(c) => Some(c.card),
        Command::Increment(c) => Some(c.card),
        Command::Clear(c) => Some(c.card),
        Command::Reverse(c) => Some(c.card),
        Command::Refund(c) => Some(c.card),
        Command::ForcePost(c) => Some(c.card),
        _ => None,
    }
}
