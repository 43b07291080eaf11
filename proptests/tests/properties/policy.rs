//! The policy that the properties run under: the figures of the demo policy.

use florin_engine::{
    limits::Limits,
    money::{Asset, Country, Factor, Minor},
    policy::{
        AssetPolicy, Bounds, Capability, CardKind, Funding, Level, OrderFee, Policy, Programme, ProgrammeCode, Spans,
        Token,
    },
};

pub const USD: Asset = Asset::USD;
pub const DAY: u64 = 86_400_000;
/// 2026-03-30 23:00, an hour before a day and a day before a month ends.
pub const START: u64 = 20_542 * DAY + 23 * 3_600_000;

pub fn asset(code: &str) -> Asset {
    Asset::parse(code).unwrap()
}

pub fn gb() -> Country {
    Country::parse("GB").unwrap()
}

fn factor(text: &str) -> Factor {
    Factor::new(text.parse().unwrap()).unwrap()
}

pub fn policy() -> Policy {
    let prepaid = |code, fee, percent, initial, top_up| Programme {
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
    let token = |code: &str, decimals, rate| AssetPolicy {
        code: asset(code),
        decimals,
        token: Some(Token { address: format!("0x{code:0>40}"), fiat: USD, rate: factor(rate) }),
    };
    Policy {
        rules: 1,
        assets: vec![
            AssetPolicy { code: USD, decimals: 2, token: None },
            token("WUSD", 6, "1"),
            token("WEUR", 2, "1.08130007"),
            token("USDC", 8, "0.9937"),
        ],
        levels: vec![Level { code: "SDD".into(), rank: 1 }],
        capabilities: vec![Capability {
            kind: CardKind::Virtual,
            level: "SDD".into(),
            countries: vec![],
            prerequisite: None,
        }],
        programmes: vec![
            prepaid(
                ProgrammeCode::Dashboard,
                500,
                "0.03",
                Some(Bounds { min: Minor(2_500), max: Minor(10_000_000) }),
                Bounds { min: Minor(1_000), max: Minor(1_000_000) },
            ),
            prepaid(ProgrammeCode::Mobile, 0, "0", None, Bounds { min: Minor(1), max: Minor(10_000_000) }),
            Programme {
                funding: Funding::Wallet,
                wallet_assets: vec![asset("WUSD"), asset("WEUR"), asset("USDC")],
                ..prepaid(ProgrammeCode::Baas, 0, "0", None, Bounds { min: Minor(1), max: Minor(100) })
            },
        ],
        fee_currency: USD,
        order_fees: vec![OrderFee { kind: CardKind::Virtual, country: gb(), fee: Minor(999) }],
        deliveries: vec![],
        spans: Spans {
            change_ms: 600_000,
            issuance_ms: 1_200_000,
            hold_ms: 7 * DAY,
            invoice_ms: 900_000,
            purchase_ms: 5 * 365 * DAY,
        },
        cards_max: 5,
        activation_tries_max: 5,
        remembered_max: 100_000,
        authorizations_max: 10_000,
        bin: "400000".into(),
        generation: "Gen2".into(),
        provider: "Florin".into(),
        treasury_address: format!("0x{:0>40}", "1"),
    }
}
