//! A small world to tell stories in: one partition, a policy, a clock that the story moves.
//!
//! Every command that passes through it is checked for what must hold always: postings balance, the stored form reads back,
//! a reject changes nothing, and folding what was stored gives the same state.

use florin_engine::{
    codec::{self, Entry, Outcome},
    command::{self, Admitted, Class, Command, Envelope, Issued, Settle},
    decide::{Decision, decide},
    event::Event,
    evolve::evolve,
    fees::FeeKind,
    ids::{AccountId, AuthorizationId, CardId, Digest, Key, Kind, Position, mint},
    limits::Limits,
    money::{Asset, Country, Factor, Minor, Sealed},
    people::{Verification, VerificationLevel, VerificationStatus},
    policy::{
        AssetPolicy, Bounds, Capability, CardKind, Delivery, Funding, Level, OrderFee, Policy, Programme,
        ProgrammeCode, Spans, Token,
    },
    postings::{Ledger, Side, postings, unbalanced},
    reject::{Figure, Reason, Reject},
    snapshot,
    state::{Card, State},
    terms::{Change, Status},
};
use rust_decimal::Decimal;

pub const DAY: u64 = 86_400_000;
/// 2026-03-02, a Monday in the middle of nothing.
pub const START: u64 = 20_514 * DAY + 9 * 3_600_000;
/// December 2027.
pub const EXPIRY: u16 = 2027 * 12 + 11;
pub const USD: Asset = Asset::USD;

pub fn asset(code: &str) -> Asset {
    Asset::parse(code).unwrap()
}

pub fn gb() -> Country {
    Country::parse("GB").unwrap()
}

pub fn usd(major: i64) -> Minor {
    Minor(major * 100)
}

fn factor(text: &str) -> Factor {
    Factor::new(text.parse::<Decimal>().unwrap()).unwrap()
}

/// The figures of the demo policy.
pub fn policy() -> Policy {
    let prepaid = |code, fee: i64, percent: &str, initial, top_up| Programme {
        code,
        funding: Funding::Prepaid,
        currency: USD,
        wallet_assets: vec![],
        needs_capability: false,
        needs_invoice: false,
        issue_fee: Minor(fee),
        issue_service: factor(percent),
        top_up_service: factor(percent),
        initial,
        top_up,
        limits: Limits::default(),
        no_pin: None,
        requests_approved: false,
    };
    let token = |code: &str, decimals, rate: &str| AssetPolicy {
        code: asset(code),
        decimals,
        token: Some(Token { address: format!("0x{code:0>40}"), fiat: USD, rate: factor(rate) }),
    };
    Policy {
        rules: 1,
        assets: vec![
            AssetPolicy { code: USD, decimals: 2, token: None },
            token("WUSD", 6, "1"),
            token("WEUR", 6, "1.08"),
            token("USDC", 6, "0.9940"),
        ],
        levels: vec![Level { code: "BDD".into(), rank: 1 }, Level { code: "SDD".into(), rank: 2 }],
        capabilities: vec![
            Capability { kind: CardKind::Virtual, level: "BDD".into(), countries: vec![], prerequisite: None },
            Capability { kind: CardKind::Physical, level: "SDD".into(), countries: vec![], prerequisite: None },
        ],
        programmes: vec![
            prepaid(
                ProgrammeCode::Dashboard,
                500,
                "0.03",
                Some(Bounds { min: usd(25), max: usd(100_000) }),
                Bounds { min: usd(10), max: usd(10_000) },
            ),
            prepaid(ProgrammeCode::Mobile, 0, "0", None, Bounds { min: Minor(1), max: usd(100_000) }),
            Programme {
                funding: Funding::Wallet,
                wallet_assets: vec![asset("WUSD"), asset("WEUR"), asset("USDC")],
                needs_capability: true,
                needs_invoice: true,
                ..prepaid(ProgrammeCode::Baas, 0, "0", None, Bounds { min: Minor(1), max: usd(1) })
            },
        ],
        fee_currency: USD,
        order_fees: vec![
            OrderFee { kind: CardKind::Virtual, country: gb(), fee: Minor(999) },
            OrderFee { kind: CardKind::Physical, country: gb(), fee: Minor(999) },
        ],
        deliveries: vec![Delivery { provider: "DHL".into(), country: gb(), fee: Minor(1500) }],
        spans: Spans {
            change_ms: 600_000,
            issuance_ms: 600_000,
            hold_ms: 7 * DAY,
            invoice_ms: 900_000,
            purchase_ms: 180 * DAY,
        },
        cards_max: 5,
        activation_tries_max: 5,
        remembered_max: 100_000,
        authorizations_max: 1_000,
        bin: "400000".into(),
        generation: "Gen2".into(),
        provider: "Florin".into(),
        treasury_address: format!("0x{:0>40}", "1"),
    }
}

/// One partition and its history.
pub struct World {
    pub state: State,
    pub now: u64,
    pub entries: Vec<Vec<u8>>,
    keys: u64,
}

/// What a command came to, told apart from a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Accepted(Vec<Event>),
    Rejected(Reject),
    Replayed(Position),
}

impl Told {
    #[track_caller]
    pub fn events(self) -> Vec<Event> {
        match self {
            Self::Accepted(events) => events,
            other => panic!("expected events, got {other:?}"),
        }
    }

    #[track_caller]
    pub fn reject(self) -> Reject {
        match self {
            Self::Rejected(reject) => reject,
            other => panic!("expected a reject, got {other:?}"),
        }
    }

    #[track_caller]
    pub fn reason(self) -> Reason {
        self.reject().reason
    }
}

impl World {
    /// A partition with the policy adopted.
    pub fn new() -> Self {
        Self::under(policy())
    }

    pub fn under(policy: Policy) -> Self {
        let mut world = Self { state: State::new(0, 1), now: START, entries: vec![], keys: 0 };
        let adopt = command::AdoptPolicy { version: 1, effective_at_ms: 0, policy: Box::new(policy) };
        world.send(AccountId::of_partition(0), Class::Ops, adopt).events();
        world
    }

    /// A registered user with 10,000.00 USD.
    pub fn user(&mut self, name: u8) -> AccountId {
        let account = AccountId::from_pseudonym([name; 16], 1);
        let register = command::RegisterUser { company: "demo".into(), country: gb() };
        self.send(account, Class::Ops, register).events();
        self.deposit(account, USD, usd(10_000));
        account
    }

    #[track_caller]
    pub fn deposit(&mut self, account: AccountId, asset: Asset, amount: Minor) {
        self.send(account, Class::Ops, command::Deposit { asset, amount, reference: Sealed::NONE }).events();
    }

    pub fn key(&mut self) -> Key {
        self.keys += 1;
        let mut key = [0xA5; 16];
        key[..8].copy_from_slice(&(self.keys.wrapping_mul(0x9E37_79B9_7F4A_7C15)).to_le_bytes());
        Key(key)
    }

    pub fn send(&mut self, account: AccountId, class: Class, command: impl Into<Command>) -> Told {
        let key = self.key();
        self.send_keyed(account, class, key, [7; 16], command)
    }

    pub fn send_keyed(
        &mut self,
        account: AccountId,
        class: Class,
        key: Key,
        digest: [u8; 16],
        command: impl Into<Command>,
    ) -> Told {
        let envelope = Envelope {
            account,
            class,
            actor: 1,
            key,
            digest: Digest(digest),
            dated_ms: self.now,
            command: command.into(),
        };
        self.admit(envelope)
    }

    pub fn admit(&mut self, envelope: Envelope) -> Told {
        let policy = self.state.policy_version_at(self.now);
        let admitted = Admitted { time_ms: self.now.max(self.state.clock_ms()), policy, envelope };
        let mut events = vec![];
        let outcome = match decide(&self.state, &admitted, &mut events) {
            Decision::Replayed(position) => return Told::Replayed(position),
            Decision::Accepted => Ok(events),
            Decision::Rejected(reject) => Err(reject),
        };
        Self::check_balance(&admitted, outcome.as_deref().unwrap_or(&[]));
        let mut bytes = vec![];
        codec::encode(&admitted, outcome.as_deref(), &mut bytes);
        let read = Entry::decode(&bytes).expect("what was stored reads back");
        let position = Position::new(self.entries.len() as u64 + 1, 0);
        let before = self.state.account(admitted.envelope.account).cloned();
        evolve(&mut self.state, position, &read.admitted, stored(&read.outcome));
        assert_eq!(read.admitted, admitted, "the stored command is the one decided");
        self.entries.push(bytes);
        match outcome {
            Ok(events) => {
                assert_eq!(read.outcome, Outcome::Accepted(events.clone()), "the stored events are the ones decided");
                Told::Accepted(events)
            }
            Err(reject) => {
                assert_eq!(read.outcome, Outcome::Rejected(reject.clone()));
                let mut after = self.state.account(admitted.envelope.account).cloned();
                if let (Some(before), Some(after)) = (&before, &mut after) {
                    after.remembered = before.remembered;
                }
                assert_eq!(before, after, "a reject changes nothing: {reject}");
                Told::Rejected(reject)
            }
        }
    }

    fn check_balance(admitted: &Admitted, events: &[Event]) {
        for event in events {
            let mut lines = vec![];
            postings(admitted.envelope.account, event, &mut lines);
            assert_eq!(unbalanced(&lines), None, "unbalanced: {event:?}");
            assert!(lines.iter().all(|line| line.amount.is_positive()), "a posting is above zero: {event:?}");
        }
    }

    pub fn wait(&mut self, ms: u64) {
        self.now += ms;
    }

    pub fn new_card_id(&mut self, account: AccountId) -> CardId {
        let key = self.key();
        CardId(mint(account, key, Kind::Card))
    }

    pub fn new_authorization_id(&mut self, account: AccountId) -> AuthorizationId {
        let key = self.key();
        AuthorizationId(mint(account, key, Kind::Authorization))
    }

    pub fn order(&mut self, account: AccountId, programme: ProgrammeCode, initial: Minor) -> command::IssueCard {
        command::IssueCard {
            card: self.new_card_id(account),
            programme,
            kind: CardKind::Virtual,
            initial,
            invoice: 0,
            provider: String::new(),
            country: gb(),
            profile: Sealed(vec![1, 2, 3]),
        }
    }

    /// A virtual dashboard card, settled and active, with the balance asked for.
    #[track_caller]
    pub fn active_card(&mut self, account: AccountId, initial: Minor) -> CardId {
        let order = self.order(account, ProgrammeCode::Dashboard, initial);
        let card = order.card;
        self.send(account, Class::User, order).events();
        self.settle_issue(account, card);
        card
    }

    #[track_caller]
    pub fn settle_issue(&mut self, account: AccountId, card: CardId) -> Vec<Event> {
        let issued = Issued { issuer_card: "ic_1".into(), first4: 4000, last4: 1234, expiry: EXPIRY };
        self.settle(account, card, command::Outcome::Issued(issued)).events()
    }

    /// Settles what is pending.
    #[track_caller]
    pub fn settle(&mut self, account: AccountId, card: CardId, outcome: command::Outcome) -> Told {
        let request = self.card(account, card).request().expect("something is pending");
        self.send(account, Class::Settlement, Settle { card, request, outcome })
    }

    #[track_caller]
    pub fn done(&mut self, account: AccountId, card: CardId) -> Vec<Event> {
        self.settle(account, card, command::Outcome::Done).events()
    }

    pub fn change(&mut self, account: AccountId, class: Class, card: CardId, change: Change) -> Told {
        self.send(account, class, command::ChangeStatus { card, change, reason: Sealed::NONE })
    }

    /// Changes and settles.
    #[track_caller]
    pub fn changed(&mut self, account: AccountId, class: Class, card: CardId, change: Change) {
        self.change(account, class, card, change).events();
        self.done(account, card);
    }

    pub fn authorize(&mut self, account: AccountId, card: CardId, amount: Minor) -> (AuthorizationId, Told) {
        self.authorize_with(account, card, amount, false, false)
    }

    pub fn authorize_with(
        &mut self,
        account: AccountId,
        card: CardId,
        amount: Minor,
        card_present: bool,
        pin_entered: bool,
    ) -> (AuthorizationId, Told) {
        let authorization = self.new_authorization_id(account);
        let command = command::Authorize {
            card,
            authorization,
            amount,
            currency: USD,
            merchant: merchant(),
            card_present,
            pin_entered,
        };
        (authorization, self.send(account, Class::Network, command))
    }

    /// An approved authorization.
    #[track_caller]
    pub fn held(&mut self, account: AccountId, card: CardId, amount: Minor) -> AuthorizationId {
        let (id, told) = self.authorize(account, card, amount);
        assert!(matches!(told.events()[..], [Event::Authorized(_)]), "approved");
        id
    }

    pub fn clear(
        &mut self,
        account: AccountId,
        card: CardId,
        authorization: AuthorizationId,
        amount: Option<Minor>,
        last: bool,
    ) -> Told {
        self.send(account, Class::Network, command::Clear { card, authorization, amount, last })
    }

    pub fn reverse(
        &mut self,
        account: AccountId,
        card: CardId,
        authorization: AuthorizationId,
        amount: Option<Minor>,
    ) -> Told {
        self.send(account, Class::Network, command::Reverse { card, authorization, amount })
    }

    pub fn refund(
        &mut self,
        account: AccountId,
        card: CardId,
        authorization: AuthorizationId,
        amount: Option<Minor>,
    ) -> Told {
        self.send(account, Class::Network, command::Refund { card, authorization, amount, merchant: merchant() })
    }

    #[track_caller]
    pub fn verify(&mut self, account: AccountId, level: &str) {
        let level = VerificationLevel {
            code: level.into(),
            status: VerificationStatus::Approved,
            name: format!("{level} level"),
        };
        let verification = Verification { status: VerificationStatus::Approved, levels: vec![level] };
        self.send(account, Class::Ops, command::SetVerification { verification }).events();
    }

    #[track_caller]
    pub fn card(&self, account: AccountId, card: CardId) -> Card {
        self.state.account(account).unwrap().card(card).expect("the card is there").clone()
    }

    pub fn status(&self, account: AccountId, card: CardId) -> Status {
        self.card(account, card).status
    }

    pub fn wallet(&self, account: AccountId, asset: Asset) -> Minor {
        self.state.account(account).unwrap().wallet(asset).map_or(Minor::ZERO, |wallet| wallet.balance)
    }

    pub fn wallet_held(&self, account: AccountId, asset: Asset) -> Minor {
        self.state.account(account).unwrap().wallet(asset).map_or(Minor::ZERO, |wallet| wallet.held)
    }

    /// The balance of a ledger account, credits less debits, over the whole history.
    pub fn ledger(&self, wanted: Ledger, asset: Asset) -> i64 {
        let mut sum = 0;
        for bytes in &self.entries {
            let entry = Entry::decode(bytes).unwrap();
            let Outcome::Accepted(events) = entry.outcome else { continue };
            for event in events {
                let mut lines = vec![];
                postings(entry.admitted.envelope.account, &event, &mut lines);
                for line in lines.iter().filter(|line| line.ledger == wanted && line.asset == asset) {
                    sum += if line.side == Side::Credit { line.amount.0 } else { -line.amount.0 };
                }
            }
        }
        sum
    }

    pub fn revenue(&self, fee: FeeKind) -> i64 {
        self.ledger(Ledger::Revenue(fee), USD)
    }

    /// The history folded anew, event by event.
    pub fn replayed(&self) -> State {
        let mut state = State::new(0, 1);
        for (n, bytes) in self.entries.iter().enumerate() {
            let entry = Entry::decode(bytes).unwrap();
            evolve(&mut state, Position::new(n as u64 + 1, 0), &entry.admitted, stored(&entry.outcome));
        }
        state
    }

    /// What must hold at the end of every story: replay equals live, and postings add up to the balances.
    #[track_caller]
    pub fn audit(&self) {
        assert_eq!(snapshot::hash(&self.replayed()), snapshot::hash(&self.state), "replay equals live");
        let mut bytes = vec![];
        snapshot::write(&self.state, &mut bytes);
        assert_eq!(
            snapshot::hash(&snapshot::read(&bytes).unwrap()),
            snapshot::hash(&self.state),
            "snapshot reads back"
        );
        for account in self.state.all_accounts() {
            for wallet in &account.wallets {
                assert_eq!(
                    self.ledger(Ledger::Wallet(account.id), wallet.asset),
                    wallet.balance.0,
                    "wallet of postings"
                );
                assert!(!wallet.held.is_negative(), "nothing is held below zero");
            }
            for card in &account.cards {
                assert_eq!(self.ledger(Ledger::Card(card.id), card.currency), card.balance.0, "card of postings");
                assert!(!card.held.is_negative(), "nothing is held below zero");
            }
        }
    }
}

pub fn stored(outcome: &Outcome) -> Result<&[Event], &Reject> {
    match outcome {
        Outcome::Accepted(events) => Ok(events),
        Outcome::Rejected(reject) => Err(reject),
    }
}

pub fn merchant() -> command::Merchant {
    command::Merchant { name: "Corner Shop".into(), mcc: 5411, country: gb() }
}

/// The names of events, for telling a story's outcome in a line.
pub fn names(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(Event::name).collect()
}

#[track_caller]
pub fn declined(told: Told) -> (florin_engine::terms::DeclineReason, Vec<(Figure, i64)>) {
    match told.events().pop() {
        Some(Event::Declined(event)) => (event.decline.reason, event.decline.figures),
        Some(Event::IncrementDeclined(event)) => (event.decline.reason, event.decline.figures),
        other => panic!("expected a decline, got {other:?}"),
    }
}

/// A user with 100 WUSD, 50 WEUR and 1,000 USDC, and an active virtual card on them.
#[track_caller]
pub fn baas_card(world: &mut World) -> (AccountId, CardId) {
    let erin = world.user(9);
    world.verify(erin, "SDD");
    for (code, amount) in [("WUSD", 100_000_000), ("WEUR", 50_000_000), ("USDC", 1_000_000_000)] {
        world.deposit(erin, asset(code), Minor(amount));
    }
    let invoice = invoice(world, erin, CardKind::Virtual, "");
    let order = command::IssueCard { invoice, ..world.order(erin, ProgrammeCode::Baas, Minor::ZERO) };
    let card = order.card;
    world.send(erin, Class::User, order).events();
    world.settle_issue(erin, card);
    (erin, card)
}

/// The number of an invoice to be paid in USDC.
#[track_caller]
pub fn invoice(world: &mut World, account: AccountId, kind: CardKind, provider: &str) -> u64 {
    let create = command::CreateInvoice {
        programme: ProgrammeCode::Baas,
        kind,
        country: gb(),
        provider: provider.into(),
        asset: asset("USDC"),
    };
    match &world.send(account, Class::User, create).events()[..] {
        [Event::InvoiceCreated(event)] => event.number,
        other => panic!("{other:?}"),
    }
}

/// A history in which every kind of event happens.
pub fn grand_tour() -> World {
    use florin_engine::{
        command::{
            Activate, ChangeLimits, Checkpoint, ConfirmReconcile, DecideAppeal, DecideCardRequest, ExpireInvoice,
        },
        command::{
            ForcePost, Increment, LapseChange, OpenAppeal, Outcome, RecordAppealEmail, RecordReveal, RequestCard,
        },
        command::{SetNoPinAmount, TopUp, Tried, Unload, Withdraw, WriteOff},
        ids::{AppealId, CardRequestId},
        limits::LimitsUpdate,
        terms::{EmailStatus, RefusalCode, RevealKind},
    };
    let mut world = World::new();
    let checkpoint = Checkpoint { index: 1, schema: 1, state_hash: [8; 32] };
    world.send(AccountId::of_partition(0), Class::System, checkpoint).events();
    // Erin: invoices, a wallet-funded card, an increment over her wallets.
    let (erin, baas) = baas_card(&mut world);
    let number = invoice(&mut world, erin, CardKind::Virtual, "");
    let auth = world.held(erin, baas, usd(120));
    world.send(erin, Class::Network, Increment { card: baas, authorization: auth, amount: usd(60) }).events();
    declined(world.send(erin, Class::Network, Increment { card: baas, authorization: auth, amount: usd(9_999) }));
    world.clear(erin, baas, auth, Some(usd(150)), true).events();
    world.refund(erin, baas, auth, None).events();
    world.wait(900_000);
    world.send(erin, Class::Clock, ExpireInvoice { number }).events();
    // Alice: a prepaid card through most of its life.
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    world.send(alice, Class::User, TopUp { card, amount: usd(10) }).events();
    world.send(alice, Class::User, Unload { card, amount: usd(5) }).events();
    world.send(alice, Class::Ops, Withdraw { asset: USD, amount: usd(1), reference: Sealed::NONE }).events();
    world.send(alice, Class::User, SetNoPinAmount { card, amount: usd(50) }).events();
    let update = LimitsUpdate { daily: Some(Some(usd(500))), ..LimitsUpdate::default() };
    world.send(alice, Class::User, ChangeLimits { card, update }).events();
    world.done(alice, card);
    world.change(alice, Class::User, card, Change::Freeze).events();
    world.settle(alice, card, Outcome::Refused(RefusalCode::Declined)).events();
    world.send(alice, Class::User, RecordReveal { card, kind: RevealKind::Cvv, address: Sealed(vec![1]) }).events();
    world.authorize(alice, card, Minor(0)).1.events();
    declined(world.authorize(alice, card, usd(5_000)).1);
    let early = world.new_authorization_id(alice);
    world.reverse(alice, card, early, None).events();
    let auth = world.held(alice, card, usd(50));
    world.clear(alice, card, auth, Some(usd(200)), true).events();
    world.send(alice, Class::Ops, WriteOff { card, asset: USD, amount: usd(1), reason: Sealed::NONE }).events();
    let post =
        ForcePost { card, authorization: world.new_authorization_id(alice), amount: usd(1), merchant: merchant() };
    world.send(alice, Class::Network, post).events();
    world.changed(alice, Class::Ops, card, Change::BlockForFraud);
    let appeal = AppealId([0xAB; 16]);
    world.send(alice, Class::User, OpenAppeal { card, appeal, message: Sealed(vec![2]) }).events();
    world.send(alice, Class::Settlement, RecordAppealEmail { appeal, status: EmailStatus::Sent }).events();
    world.send(alice, Class::Ops, DecideAppeal { appeal, granted: false, reason: Sealed::NONE }).events();
    world.changed(alice, Class::Ops, card, Change::Cancel);
    world.change(alice, Class::Ops, card, Change::Unblock).events();
    world.refund(alice, card, auth, None).events();
    // Bob: a request, a plastic card, wrong tries, a freeze nobody answers, a thaw given up.
    let bob = world.user(2);
    let request = RequestCard {
        request: CardRequestId([0xCD; 16]),
        card: world.new_card_id(bob),
        programme: ProgrammeCode::Mobile,
        kind: CardKind::Physical,
        profile: Sealed(vec![3]),
    };
    let card = request.card;
    world.send(bob, Class::User, request.clone()).events();
    let approve = DecideCardRequest { request: request.request, approved: true, reason: Sealed::NONE };
    world.send(bob, Class::Ops, approve).events();
    world.settle_issue(bob, card);
    world.send(bob, Class::User, Activate { card, tried: Some(Tried { last4: 1, expiry: 2 }) }).events();
    world.send(bob, Class::User, Activate { card, tried: Some(Tried { last4: 1234, expiry: EXPIRY }) }).events();
    let change = world.card(bob, card).reconcile;
    world.send(bob, Class::Settlement, ConfirmReconcile { card, change }).events();
    for step in [Change::Freeze, Change::Thaw] {
        world.change(bob, Class::User, card, step).events();
        let request = world.card(bob, card).request().unwrap();
        world.wait(600_000);
        world.send(bob, Class::Clock, LapseChange { card, request }).events();
        if step == Change::Freeze {
            world.done(bob, card);
        }
    }
    // One issuance refused, one given up, one answered twice.
    for refusal in [RefusalCode::Declined, RefusalCode::Abandoned] {
        let order = world.order(bob, ProgrammeCode::Dashboard, usd(100));
        let card = order.card;
        world.send(bob, Class::User, order).events();
        let request = world.card(bob, card).request().unwrap();
        if refusal == RefusalCode::Abandoned {
            world.wait(600_000);
            world.send(bob, Class::Clock, LapseChange { card, request }).events();
        }
        world.settle(bob, card, Outcome::Refused(refusal)).events();
        let again = Settle { card, request, outcome: Outcome::Refused(refusal) };
        world.send(bob, Class::Settlement, again).events();
    }
    let last = world.active_card(bob, usd(30));
    world.changed(bob, Class::User, last, Change::Cancel);
    world.audit();
    world
}
