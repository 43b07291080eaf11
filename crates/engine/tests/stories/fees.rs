//! Stories of invoices: a fee quoted in a token, its rate fixed, used once and in time.

use florin_engine::{
    command::{self, Class, CreateInvoice, ExpireInvoice, IssueCard, Outcome},
    event::Event,
    fees::{FeeKind, quote},
    ids::AccountId,
    money::{Asset, Exchange, Factor, Minor, Rounding},
    policy::{CardKind, ProgrammeCode},
    postings::Ledger,
    reject::{Figure, Reason},
    terms::RefusalCode,
};

use crate::world::*;

fn erin(world: &mut World) -> AccountId {
    let erin = world.user(9);
    world.verify(erin, "SDD");
    world.deposit(erin, asset("USDC"), Minor(100_000_000));
    erin
}

fn order(world: &mut World, account: AccountId, invoice: u64) -> IssueCard {
    IssueCard { invoice, ..world.order(account, ProgrammeCode::Baas, Minor(0)) }
}

#[test]
fn the_documents_figures_9_99_at_0_9940_is_10_05_and_15_00_at_0_9934_is_15_10() {
    let mut policy = policy();
    let usdc = asset("USDC");
    assert_eq!(quote(&policy, Minor(999), usdc).unwrap().amount, Minor(10_050_000));
    policy.assets[3].token.as_mut().unwrap().rate = Factor::new("0.9934".parse().unwrap()).unwrap();
    assert_eq!(quote(&policy, Minor(1_500), usdc).unwrap().amount, Minor(15_100_000));
    assert_eq!(quote(&policy, Minor(999), asset("XAU")), None);
}

#[test]
fn a_plastic_invoice_rounds_once_over_both_fees_and_posts_each_to_its_revenue() {
    let mut world = World::new();
    let erin = erin(&mut world);
    let number = invoice(&mut world, erin, CardKind::Physical, "DHL");
    let mut order = order(&mut world, erin, number);
    order.kind = CardKind::Physical;
    let events = world.send(erin, Class::User, order).events();
    let [Event::CardRequested(event)] = &events[..] else { panic!("{events:?}") };
    // (9.99 + 15.00) ÷ 0.9940 = 25.1408… → 25.14.
    assert_eq!(event.fees.iter().map(|fee| fee.paid.0).sum::<i64>(), 25_140_000);
    assert_eq!((world.revenue(FeeKind::Order), world.revenue(FeeKind::Delivery)), (999, 1_500));
    assert_eq!(world.ledger(Ledger::Exchange, asset("USDC")), 25_140_000);
    assert_eq!(world.ledger(Ledger::Exchange, USD), -2_499);
    world.audit();
}

#[test]
fn an_invoice_is_used_once_in_time_and_for_what_it_was_made() {
    let mut world = World::new();
    let erin = erin(&mut world);
    let bob = world.user(2);
    world.verify(bob, "SDD");
    let number = invoice(&mut world, erin, CardKind::Virtual, "");
    let none = order(&mut world, erin, 0);
    assert_eq!(world.send(erin, Class::User, none).reason(), Reason::InvoiceRequired);
    let wrong = order(&mut world, erin, number + 7);
    assert_eq!(world.send(erin, Class::User, wrong).reason(), Reason::InvoiceInvalid);
    let bobs = order(&mut world, bob, number);
    assert_eq!(world.send(bob, Class::User, bobs).reason(), Reason::InvoiceInvalid, "someone else's");
    let plastic = IssueCard { kind: CardKind::Physical, ..order(&mut world, erin, number) };
    assert_eq!(world.send(erin, Class::User, plastic).reason(), Reason::InvoiceInvalid);
    let courier = IssueCard { provider: "UPS".into(), ..order(&mut world, erin, number) };
    assert_eq!(world.send(erin, Class::User, courier).reason(), Reason::ProviderMismatch);
    let right = order(&mut world, erin, number);
    world.send(erin, Class::User, right).events();
    let twice = order(&mut world, erin, number);
    assert_eq!(world.send(erin, Class::User, twice).reason(), Reason::InvoiceInvalid);
    let late = invoice(&mut world, erin, CardKind::Virtual, "");
    world.wait(900_000);
    let too_late = order(&mut world, erin, late);
    assert_eq!(world.send(erin, Class::User, too_late).reason(), Reason::InvoiceInvalid);
    world.audit();
}

#[test]
fn short_of_money_the_invoice_stays_good_and_a_failed_issuance_gives_it_back() {
    let mut world = World::new();
    let erin = world.user(9);
    world.verify(erin, "SDD");
    world.deposit(erin, asset("USDC"), Minor(10_049_999));
    let number = invoice(&mut world, erin, CardKind::Virtual, "");
    let short = order(&mut world, erin, number);
    let reject = world.send(erin, Class::User, short).reject();
    assert_eq!((reject.reason, reject.figure(Figure::Needed)), (Reason::InsufficientBalance, Some(10_050_000)));
    world.deposit(erin, asset("USDC"), Minor(1));
    let first = order(&mut world, erin, number);
    let card = first.card;
    world.send(erin, Class::User, first).events();
    assert_eq!(world.wallet(erin, asset("USDC")), Minor(0));
    world.settle(erin, card, Outcome::Refused(RefusalCode::Declined)).events();
    assert_eq!(world.wallet(erin, asset("USDC")), Minor(10_050_000));
    let second = order(&mut world, erin, number);
    world.send(erin, Class::User, second).events();
    world.audit();
}

#[test]
fn what_cannot_be_quoted_is_refused_by_its_reason() {
    let mut world = World::new();
    let erin = erin(&mut world);
    let ask = |programme, kind, country: &str, provider: &str, token: Asset| CreateInvoice {
        programme,
        kind,
        country: florin_engine::money::Country::parse(country).unwrap(),
        provider: provider.into(),
        asset: token,
    };
    let usdc = asset("USDC");
    for (command, reason) in [
        (ask(ProgrammeCode::Mobile, CardKind::Virtual, "GB", "", usdc), Reason::FeesNotEnforced),
        (ask(ProgrammeCode::Baas, CardKind::Virtual, "XX", "", usdc), Reason::FeesUnknown),
        (ask(ProgrammeCode::Baas, CardKind::Physical, "GB", "UPS", usdc), Reason::FeesUnknown),
        (ask(ProgrammeCode::Baas, CardKind::Virtual, "GB", "DHL", usdc), Reason::InvalidField),
        (ask(ProgrammeCode::Baas, CardKind::Virtual, "GB", "", asset("XAU")), Reason::AssetUnknown),
    ] {
        assert_eq!(world.send(erin, Class::User, command).reason(), reason);
    }
}

#[test]
fn an_invoice_past_its_time_falls_due_and_is_dropped() {
    let mut world = World::new();
    let erin = erin(&mut world);
    let number = invoice(&mut world, erin, CardKind::Virtual, "");
    assert_eq!(world.send(erin, Class::Clock, ExpireInvoice { number }).reason(), Reason::NotDue);
    world.wait(900_000);
    let due = world.state.due(world.now, 9);
    assert_eq!(due.len(), 1);
    world.send(erin, Class::Clock, due[0].command()).events();
    assert!(world.state.due(world.now, 9).is_empty());
    let again = command::ExpireInvoice { number };
    assert_eq!(world.send(erin, Class::Clock, again).reason(), Reason::InvoiceInvalid);
    world.audit();
}

#[test]
fn conversions_round_as_told() {
    let usdc = Exchange { rate: Factor::new("0.9940".parse().unwrap()).unwrap(), token_decimals: 6, fiat_decimals: 2 };
    assert_eq!(usdc.token_for(Minor(4_600), Rounding::Up), Some(Minor(46_277_666)));
    assert_eq!(usdc.token_for(Minor(4_600), Rounding::Down), Some(Minor(46_277_665)));
    assert_eq!(usdc.fiat_for(Minor(46_277_666), Rounding::Down), Some(Minor(4_600)));
    assert_eq!(usdc.fiat_for(Minor(i64::MAX), Rounding::Up).map(|fiat| fiat.0), Some(916_803_180_463_365));
    let free = Exchange { rate: Factor::ZERO, ..usdc };
    assert_eq!(free.token_for(Minor(1), Rounding::Up), None);
    assert_eq!(
        Factor::percent("3".parse().unwrap()).unwrap().of(Minor(i64::MAX)),
        Some(Minor(276_701_161_105_643_274))
    );
    assert_eq!(Factor::new("12".parse().unwrap()).unwrap().of(Minor(i64::MAX)), None);
    for bad in ["-1", "0.123456789", "10000000000"] {
        assert_eq!(Factor::new(bad.parse().unwrap()), None, "{bad}");
    }
}
