//! The document as operators meet it: the demo's figures, the round trip, and what a refusal says.

use florin_engine::{
    money::{Asset, Country, Minor},
    policy::{CardKind, Funding, ProgrammeCode},
};

use super::*;

fn demo() -> Policy {
    demo_policy().unwrap()
}

#[test]
fn the_demo_policy_has_the_figures_of_the_demo() {
    let policy = demo();
    let gb = Country::parse("GB").unwrap();

    let dashboard = policy.programme(ProgrammeCode::Dashboard).unwrap();
    assert_eq!(dashboard.funding, Funding::Prepaid);
    assert_eq!(dashboard.issue_fee, Minor(500));
    // 100.00 takes 108.00, a top-up of 10.00 takes 10.30.
    assert_eq!(dashboard.issue_service.of(Minor(10_000)), Some(Minor(300)));
    assert_eq!(dashboard.top_up_service.of(Minor(1_000)), Some(Minor(30)));
    let initial = dashboard.initial.unwrap();
    assert_eq!((initial.min, initial.max), (Minor(2_500), Minor(10_000_000)));
    assert_eq!(dashboard.top_up.min, Minor(1_000));
    assert_eq!(dashboard.top_up.max, Minor(1_000_000));

    let baas = policy.programme(ProgrammeCode::Baas).unwrap();
    assert_eq!(baas.funding, Funding::Wallet);
    assert!(baas.needs_capability && baas.needs_invoice);
    let assets: Vec<_> = baas.wallet_assets.iter().map(Asset::as_str).collect();
    assert_eq!(assets, ["WUSD", "WEUR", "USDC"]);

    for country in ["GB", "DE", "FR", "ES", "IT"] {
        let country = Country::parse(country).unwrap();
        for kind in [CardKind::Virtual, CardKind::Physical] {
            assert_eq!(policy.order_fee(kind, country), Some(Minor(999)));
        }
    }
    assert_eq!(policy.delivery_fee("DHL", gb), Some(Minor(1_500)));

    let usdc = Asset::parse("USDC").unwrap();
    let exchange = policy.exchange(usdc, Asset::USD).unwrap();
    assert_eq!(exchange.rate.decimal().to_string(), "0.994");
    assert_eq!(exchange.token_decimals, 6);

    assert!(policy.rank("BDD") < policy.rank("SDD"));
    assert_eq!(policy.capability(CardKind::Virtual).unwrap().level, "BDD");
    assert_eq!(policy.capability(CardKind::Physical).unwrap().level, "SDD");
    assert_eq!(policy.spans.hold_ms, 7 * 86_400_000);
    assert_eq!(policy.spans.invoice_ms, 15 * 60_000);
    assert_eq!(policy.spans.change_ms, 10 * 60_000);
    assert_eq!((policy.cards_max, policy.activation_tries_max), (5, 5));
}

#[test]
fn a_policy_that_is_written_reads_back_the_same() {
    // Given the demo policy with every optional part in use and odd figures
    let mut policy = demo();
    policy.spans.change_ms = 1_500;
    policy.capabilities[1].prerequisite = Some(CardKind::Virtual);
    policy.programmes[0].limits.transaction = Some(Minor(1));
    policy.programmes[0].limits.monthly = Some(Minor(i64::MAX));
    policy.programmes[0].limits.lifetime = Some(Minor::ZERO);
    policy.programmes[0].no_pin = Some(Minor(5_000));
    policy.check().unwrap();
    for policy in [policy, demo()] {
        // When it is written and read
        let text = serde_json::to_string(&write(&policy)).unwrap();
        // Then it is the same, and nothing went through a float
        assert_eq!(read(&text), Ok(policy));
        assert!(text.contains(r#""issue_fee":5.00"#), "{text}");
    }
}

#[test]
fn figures_may_be_strings_of_the_same_digits() {
    let strings = DEMO
        .replace(r#""issue_fee": 5.00"#, r#""issue_fee": "5.00""#)
        .replace(r#""rate": 0.9940"#, r#""rate": "0.994""#)
        .replace(r#""hold_seconds": 604800"#, r#""hold_seconds": "604800.000""#);
    assert_ne!(strings, DEMO);
    assert_eq!(read(&strings), Ok(demo()));
}

#[test]
fn a_refusal_names_line_column_path_and_reason() {
    for (find, replace, message) in [
        (
            r#""issue_fee": 5.00"#,
            r#""issue_fees": 5.00"#,
            "line 25, column 18: programmes[0].issue_fees: unknown field `issue_fees`, expected one of",
        ),
        (
            r#"      "issue_fee": 5.00,
"#,
            "",
            "line 30, column 5: programmes[0]: missing field `issue_fee`",
        ),
        (
            r#""issue_fee": 5.00"#,
            r#""issue_fee": 5.005"#,
            "line 25, column 20: programmes[0].issue_fee: must have at most 2 decimals",
        ),
        (
            r#""issue_fee": 5.00"#,
            r#""issue_fee": -5"#,
            "line 25, column 20: programmes[0].issue_fee: must not have a sign",
        ),
        (
            r#""issue_fee": 5.00"#,
            r#""issue_fee": 5e2"#,
            "line 25, column 20: programmes[0].issue_fee: must be written without an exponent",
        ),
        (
            r#""issue_fee": 5.00"#,
            r#""issue_fee": true"#,
            "line 25, column 23: programmes[0].issue_fee: must be a number, or a string of plain digits",
        ),
        (
            r#""issue_fee": 5.00"#,
            r#""issue_fee": 5.00, "issue_fee": 6.00"#,
            "line 25, column 36: programmes[0]: duplicate field `issue_fee`",
        ),
        (
            r#""issue_service_percent": 3"#,
            r#""issue_service_percent": 300"#,
            "line 26, column 32: programmes[0].issue_service_percent: must be at most 100 percent",
        ),
        (
            r#""funding": "wallet""#,
            r#""funding": "credit""#,
            "line 34, column 25: programmes[1].funding: unknown variant `credit`, expected `prepaid` or `wallet`",
        ),
        (
            r#""wallet_assets": ["WUSD", "WEUR", "USDC"]"#,
            r#""wallet_assets": ["WUSD", "DOGE"]"#,
            "line 32, column 5: programmes[1]: a wallet asset has no rate to the card's currency",
        ),
        (
            r#""wallet_assets": ["WUSD", "WEUR", "USDC"]"#,
            r#""wallet_assets": ["WUSD", "weur"]"#,
            "line 36, column 33: programmes[1].wallet_assets[1]: must be 1-8 upper-case letters or digits",
        ),
        (r#""rules": 1"#, r#""rules": 9"#, "line 2, column 12: rules: rules 9 are not known here, the latest are 1"),
        (
            r#"{ "code": "USD", "decimals": 2 }"#,
            r#"{ "code": "USD", "decimals": 9 }"#,
            "line 4, column 5: assets[0]: more than 8 decimals",
        ),
        (
            r#"{ "code": "USD", "decimals": 2 }"#,
            r#"{ "code": "USD", "decimals": 2 }, { "code": "USD", "decimals": 2 }"#,
            "line 4, column 39: assets[1]: named twice",
        ),
        (
            "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
            "0xA0b8",
            "line 7, column 60: assets[3].token.address: must be 0x and 40 hex digits",
        ),
        (r#""rate": 1.08"#, r#""rate": 0"#, "line 6, column 5: assets[2]: a token's rate must be above zero"),
        (
            r#"{ "card": "physical", "level": "SDD""#,
            r#"{ "card": "physical", "level": "GOLD""#,
            "line 15, column 5: capabilities[1]: its level is not a level of the policy",
        ),
        (r#""change_seconds": 600"#, r#""change_seconds": 0"#, "line 78, column 12: spans: a span is 1 ms to 10 years"),
        (r#""cards_max": 5"#, r#""cards_max": 0"#, "line 85, column 13: bounds: must be at least 1"),
        (r#""bin": "400000""#, r#""bin": "4000""#, "line 92, column 12: cards.bin: must be 6 digits"),
        (
            r#""fee_currency": "USD""#,
            r#""fee_currency": "EUR""#,
            "line 58, column 19: fee_currency: EUR is not an asset of the policy",
        ),
        (r#""fee_currency": "USD","#, r#""fee_currency": "USD""#, "line 59, column 3: document: expected `,` or `}`"),
    ] {
        let document = DEMO.replacen(find, replace, 1);
        assert_ne!(document, DEMO, "{find}");
        let refusal = read(&document).unwrap_err().to_string();
        assert!(refusal.starts_with(message), "{refusal}\nnot: {message}");
    }
}

#[test]
fn what_is_no_document_is_refused_in_words() {
    for (document, message) in [
        ("", "line 1, column 1: document: EOF while parsing a value"),
        ("[]", "line 1, column 2: document: invalid length 0, expected struct Document with 11 elements"),
        ("nonsense", "line 1, column 2: document: expected ident"),
        (&format!("{DEMO}{{}}"), "line 98, column 1: document: trailing characters"),
    ] {
        assert_eq!(read(document).unwrap_err().to_string(), message);
    }
    let long = " ".repeat(DOCUMENT_BYTES_MAX + 1);
    let refusal = read(&long).unwrap_err().to_string();
    assert_eq!(refusal, "line 1, column 1: document: longer than 524288 bytes");
}
