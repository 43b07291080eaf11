//! The policies that the properties run under: plain figures, from which the documents are made. The first are those of the
//! demo policy; the others follow it in the middle of a history.

use florin_engine::{
    limits::Limits,
    money::{Asset, Country, Factor, Minor},
    policy::{
        AssetPolicy, Bounds, Capability, CardKind, Delivery, Funding, Level, OrderFee, Policy, Programme,
        ProgrammeCode, Spans, Token,
    },
};

pub const USD: Asset = Asset::USD;
pub const DAY: u64 = 86_400_000;
/// 2026-03-30 23:00, an hour before a day and a day before a month ends.
pub const START: u64 = 20_542 * DAY + 23 * 3_600_000;

/// The tokens that wallet-funded cards draw on, in this order: code and decimals.
pub const TOKENS: [(&str, u32); 3] = [("WUSD", 6), ("WEUR", 2), ("USDC", 8)];

/// What a policy says, in plain numbers.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Dashboard: fixed fee on issue, cents; percentages in hundredths of a percent.
    pub issue_fee: i128,
    pub issue_points: i128,
    pub top_up_points: i128,
    /// Dashboard: inclusive bounds, cents.
    pub initial: (i128, i128),
    pub top_up: (i128, i128),
    /// Dashboard: what a card begins with.
    pub daily: Option<i64>,
    pub no_pin: Option<i64>,
    pub change_ms: u64,
    pub issuance_ms: u64,
    pub hold_ms: u64,
    pub invoice_ms: u64,
    /// How long a purchase is remembered after its hold is gone.
    pub purchase_ms: u64,
    pub cards_max: usize,
    /// The most of a user's own keys, and of authorizations of one account, that are remembered.
    pub keys_max: usize,
    pub authorizations_max: usize,
    pub tries_max: u8,
    /// 10⁻⁸ USD for one token, in the order of [`TOKENS`].
    pub rates: [i128; 3],
    /// Cents for a virtual card in GB and in DE, for a plastic one in GB.
    pub order_fees: [i128; 3],
    /// Cents for a delivery to GB by Post and by Courier.
    pub deliveries: [i128; 2],
}

const DEMO: Figures = Figures {
    issue_fee: 500,
    issue_points: 300,
    top_up_points: 300,
    initial: (2_500, 10_000_000),
    top_up: (1_000, 1_000_000),
    daily: None,
    no_pin: None,
    change_ms: 600_000,
    issuance_ms: 1_200_000,
    hold_ms: 7 * DAY,
    invoice_ms: 900_000,
    purchase_ms: 5 * 365 * DAY,
    cards_max: 5,
    keys_max: 100_000,
    authorizations_max: 10_000,
    tries_max: 5,
    rates: [100_000_000, 108_130_007, 99_370_000],
    order_fees: [999, 1_299, 1_999],
    deliveries: [500, 1_550],
};

/// Which of [`FIGURES`] remembers little.
pub const TIGHT: usize = 4;

pub static FIGURES: [Figures; 5] = [
    DEMO,
    Figures {
        issue_fee: 250,
        issue_points: 125,
        top_up_points: 275,
        initial: (1_000, 20_000),
        daily: Some(1_500),
        cards_max: 3,
        rates: [99_900_000, 107_000_000, 100_250_000],
        order_fees: [1_049, 0, 2_500],
        ..DEMO
    },
    Figures {
        top_up_points: 0,
        top_up: (100, 5_000),
        no_pin: Some(300),
        change_ms: 1_200_000,
        issuance_ms: 600_000,
        hold_ms: 3 * DAY,
        invoice_ms: 600_000,
        tries_max: 3,
        rates: [100_100_000, 108_130_007, 33_333_333],
        deliveries: [0, 799],
        ..DEMO
    },
    Figures {
        issue_fee: 0,
        issue_points: 0,
        cards_max: 2,
        tries_max: 2,
        hold_ms: 8 * DAY,
        purchase_ms: 2 * DAY,
        ..DEMO
    },
    Figures { keys_max: 14, authorizations_max: 5, purchase_ms: 20 * DAY, ..DEMO },
];

pub fn asset(code: &str) -> Asset {
    Asset::parse(code).unwrap()
}

pub fn country(code: &str) -> Country {
    Country::parse(code).unwrap()
}

pub fn gb() -> Country {
    country("GB")
}

/// `units` × 10^-`decimals`.
fn factor(units: i128, decimals: usize) -> Factor {
    let digits = format!("{units:0>width$}", width = decimals + 1);
    let (whole, part) = digits.split_at(digits.len() - decimals);
    Factor::new(format!("{whole}.{part}").parse().unwrap()).unwrap()
}

fn minor(amount: i128) -> Minor {
    Minor(amount.try_into().unwrap())
}

pub fn policy() -> Policy {
    policy_of(0)
}

/// Which of [`FIGURES`] a policy is made of.
pub fn figures_of(policy: &Policy) -> &'static Figures {
    &FIGURES[policy.generation.parse::<usize>().unwrap()]
}

/// The policy of one of [`FIGURES`].
pub fn policy_of(which: usize) -> Policy {
    let figures = &FIGURES[which];
    let plain = |code| Programme {
        code,
        funding: Funding::Prepaid,
        currency: USD,
        wallet_assets: vec![],
        needs_capability: false,
        needs_invoice: false,
        issue_fee: Minor(0),
        issue_service: Factor::ZERO,
        top_up_service: Factor::ZERO,
        initial: None,
        top_up: Bounds { min: Minor(1), max: Minor(10_000_000) },
        limits: Limits::default(),
        no_pin: None,
        requests_approved: false,
    };
    let token = |which: usize| {
        let (code, decimals) = TOKENS[which];
        let rate = factor(figures.rates[which], 8);
        AssetPolicy {
            code: asset(code),
            decimals: decimals.try_into().unwrap(),
            token: Some(Token { address: format!("0x{code:0>40}"), fiat: USD, rate }),
        }
    };
    let bounds = |(min, max)| Bounds { min: minor(min), max: minor(max) };
    let order = |kind, of, fee| OrderFee { kind, country: country(of), fee: minor(fee) };
    let delivery = |provider: &str, fee| Delivery { provider: provider.into(), country: gb(), fee: minor(fee) };
    let [virtual_gb, virtual_de, plastic_gb] = figures.order_fees;
    let [post, courier] = figures.deliveries;
    Policy {
        rules: 1,
        assets: vec![AssetPolicy { code: USD, decimals: 2, token: None }, token(0), token(1), token(2)],
        levels: vec![Level { code: "BDD".into(), rank: 1 }, Level { code: "SDD".into(), rank: 2 }],
        capabilities: vec![
            Capability {
                kind: CardKind::Virtual,
                level: "BDD".into(),
                countries: vec![gb(), country("DE")],
                prerequisite: None,
            },
            Capability {
                kind: CardKind::Physical,
                level: "BDD".into(),
                countries: vec![],
                prerequisite: Some(CardKind::Virtual),
            },
        ],
        programmes: vec![
            Programme {
                issue_fee: minor(figures.issue_fee),
                issue_service: factor(figures.issue_points, 4),
                top_up_service: factor(figures.top_up_points, 4),
                initial: Some(bounds(figures.initial)),
                top_up: bounds(figures.top_up),
                limits: Limits { daily: figures.daily.map(Minor), ..Limits::default() },
                no_pin: figures.no_pin.map(Minor),
                ..plain(ProgrammeCode::Dashboard)
            },
            plain(ProgrammeCode::Mobile),
            Programme {
                funding: Funding::Wallet,
                wallet_assets: TOKENS.iter().map(|(code, _)| asset(code)).collect(),
                ..plain(ProgrammeCode::Baas)
            },
        ],
        fee_currency: USD,
        order_fees: vec![
            order(CardKind::Virtual, "GB", virtual_gb),
            order(CardKind::Virtual, "DE", virtual_de),
            order(CardKind::Physical, "GB", plastic_gb),
        ],
        deliveries: vec![delivery("Post", post), delivery("Courier", courier)],
        spans: Spans {
            change_ms: figures.change_ms,
            issuance_ms: figures.issuance_ms,
            hold_ms: figures.hold_ms,
            invoice_ms: figures.invoice_ms,
            purchase_ms: figures.purchase_ms,
        },
        cards_max: figures.cards_max.try_into().unwrap(),
        activation_tries_max: figures.tries_max,
        remembered_max: figures.keys_max.try_into().unwrap(),
        authorizations_max: figures.authorizations_max.try_into().unwrap(),
        bin: "400000".into(),
        generation: which.to_string(),
        provider: "Florin".into(),
        treasury_address: format!("0x{:0>40}", "1"),
    }
}

/// As [`policy_of`], where wallet-funded cards need a capability and an invoice: plastic ones of the higher
/// level, and in FR only by name, as nobody can have there what must be had first.
pub fn strict_policy_of(which: usize) -> Policy {
    let mut policy = policy_of(which);
    for programme in policy.programmes.iter_mut().filter(|programme| programme.code == ProgrammeCode::Baas) {
        programme.needs_capability = true;
        programme.needs_invoice = true;
    }
    for capability in policy.capabilities.iter_mut().filter(|capability| capability.kind == CardKind::Physical) {
        capability.level = "SDD".into();
        capability.countries = vec![gb(), country("FR")];
    }
    policy
}
