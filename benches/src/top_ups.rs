//! A partition of users with one card each, and top-ups of them.

use florin_engine::{
    command::{
        AdoptPolicy, Class, Command, Deposit, Envelope, IssueCard, Issued, Outcome, RegisterUser, Settle, TopUp,
    },
    decide::decide,
    evolve::evolve,
    ids::{AccountId, CardId, Digest, Key, Kind, Position, mint, request_id},
    limits::Limits,
    money::{Asset, Country, Factor, Minor, Sealed},
    policy::{AssetPolicy, Bounds, CardKind, Funding, Policy, Programme, ProgrammeCode, Spans},
    state::State,
};

/// When the history begins, ms since 1970.
pub const START_MS: u64 = 1_790_000_000_000;

/// The account of user `n`.
pub fn account(n: u32) -> AccountId {
    let mut pseudonym = [0; 16];
    pseudonym.copy_from_slice(&Key::of(AccountId::NIL, &n.to_le_bytes()).0);
    AccountId::from_pseudonym(pseudonym, 1)
}

/// The card of user `n`.
pub fn card(n: u32) -> CardId {
    card_of(account(n))
}

/// The card of an account.
pub fn card_of(account: AccountId) -> CardId {
    CardId(mint(account, Key::default(), Kind::Card))
}

/// Top-up number `n` of `user`: 10.00 USD.
pub fn top_up(user: u32, n: u64) -> Envelope {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&(n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    envelope(account(user), Class::User, Key(key), TopUp { card: card(user), amount: Minor(1_000) }.into())
}

/// A command of `class` for user `n`; `number` makes it another one.
pub fn of_user(user: u32, class: Class, number: u64, command: Command) -> Envelope {
    let key = Key::of(account(user), &number.to_le_bytes());
    envelope(account(user), class, key, command)
}

fn envelope(account: AccountId, class: Class, key: Key, command: Command) -> Envelope {
    Envelope { account, class, actor: 1, key, digest: Digest([7; 16]), dated_ms: START_MS, command }
}

/// A policy with one prepaid programme at 3%.
pub fn policy() -> Policy {
    let percent = Factor::percent(3.into()).unwrap_or(Factor::ZERO);
    Policy {
        rules: 1,
        assets: vec![AssetPolicy { code: Asset::USD, decimals: 2, token: None }],
        levels: vec![],
        capabilities: vec![],
        programmes: vec![Programme {
            code: ProgrammeCode::Dashboard,
            funding: Funding::Prepaid,
            currency: Asset::USD,
            wallet_assets: vec![],
            needs_capability: false,
            needs_invoice: false,
            issue_fee: Minor(500),
            issue_service: percent,
            top_up_service: percent,
            initial: Some(Bounds { min: Minor(2_500), max: Minor(10_000_000) }),
            top_up: Bounds { min: Minor(1_000), max: Minor(1_000_000) },
            limits: Limits::default(),
            no_pin: None,
            requests_approved: false,
        }],
        fee_currency: Asset::USD,
        order_fees: vec![],
        deliveries: vec![],
        spans: Spans { change_ms: 1, issuance_ms: 1, hold_ms: 1, invoice_ms: 1, purchase_ms: 1 },
        cards_max: 5,
        activation_tries_max: 5,
        remembered_max: u32::MAX,
        authorizations_max: 1_000,
        bin: "400000".into(),
        generation: String::new(),
        provider: String::new(),
        treasury_address: String::new(),
    }
}

/// The commands that make user `n`: registered, funded, with an active card.
pub fn user(n: u32) -> [Envelope; 4] {
    // As long as a sealed name of a card is.
    user_of(account(n), Sealed(vec![7; 64]))
}

/// The same for any account, whose card is [`card_of`] it.
pub fn user_of(account: AccountId, profile: Sealed) -> [Envelope; 4] {
    let card = card_of(account);
    let key = |kind: u8| Key::of(account, &[kind]);
    let country = Country::parse("GB").unwrap_or_default();
    let register = RegisterUser { company: "bench".into(), country };
    let deposit = Deposit { asset: Asset::USD, amount: Minor(1_000_000_000_000), reference: Sealed::NONE };
    let issue = IssueCard {
        card,
        programme: ProgrammeCode::Dashboard,
        kind: CardKind::Virtual,
        initial: Minor(10_000),
        invoice: 0,
        provider: String::new(),
        country,
        profile,
    };
    let issued = Issued { issuer_card: String::new(), first4: 4000, last4: 1234, expiry: 2090 * 12 };
    let settle = Settle { card, request: request_id(card, 1), outcome: Outcome::Issued(issued) };
    [
        envelope(account, Class::Ops, key(0xE0), register.into()),
        envelope(account, Class::Ops, key(0xE1), deposit.into()),
        envelope(account, Class::User, key(0xE2), issue.into()),
        envelope(account, Class::Settlement, key(0xE3), settle.into()),
    ]
}

/// The command that adopts [`policy`].
pub fn adopt() -> Envelope {
    adopt_it(policy())
}

fn adopt_it(policy: Policy) -> Envelope {
    let adopt = AdoptPolicy { version: 1, effective_at_ms: 0, policy: Box::new(policy) };
    envelope(AccountId::of_partition(0), Class::Ops, Key([0xEE; 16]), adopt.into())
}

/// A partition with `users` users.
pub fn partition(users: u32) -> State {
    partition_under(policy(), users)
}

/// The same under another policy that has everything of [`policy`].
pub fn partition_under(policy: Policy, users: u32) -> State {
    let mut state = State::new(0, 1);
    let mut events = Vec::new();
    let everything = std::iter::once(adopt_it(policy)).chain((0..users).flat_map(user));
    for (n, envelope) in everything.enumerate() {
        let policy = state.policy_version_at(START_MS);
        let admitted = florin_engine::command::Admitted { time_ms: START_MS, policy, envelope };
        let decision = decide(&state, &admitted, &mut events);
        assert_eq!(decision, florin_engine::decide::Decision::Accepted, "{}", admitted.envelope.command.name());
        evolve(&mut state, Position::new(n as u64, 0), &admitted, Ok(&events));
    }
    state
}
