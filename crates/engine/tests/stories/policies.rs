//! Stories of policy as state: adopted in order, in force from its time, refused where it cannot be decided under.

use florin_engine::{
    command::{AdoptPolicy, Class, Deposit, RegisterUser, TopUp},
    ids::AccountId,
    money::{Factor, Minor, Sealed},
    policy::{Error, Policy, ProgrammeCode},
    reject::Reason,
    state::State,
};

use crate::world::*;

fn adopt(version: u32, effective_at_ms: u64, policy: Policy) -> AdoptPolicy {
    AdoptPolicy { version, effective_at_ms, policy: Box::new(policy) }
}

fn partition() -> AccountId {
    AccountId::of_partition(0)
}

#[test]
fn a_fee_changes_when_its_policy_comes_into_force() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(25));
    let mut dearer = policy();
    dearer.programmes[0].top_up_service = Factor::percent(5.into()).unwrap();
    world.send(partition(), Class::Ops, adopt(2, world.now + 1_000, dearer)).events();
    let fee = |world: &mut World| {
        let before = world.wallet(alice, USD);
        world.send(alice, Class::User, TopUp { card, amount: usd(10) }).events();
        before.minus(world.wallet(alice, USD)).unwrap().0 - 1_000
    };
    assert_eq!((fee(&mut world), world.state.policy_version()), (30, 1));
    world.wait(999);
    assert_eq!(fee(&mut world), 30);
    world.wait(1);
    assert_eq!((fee(&mut world), world.state.policy_version()), (50, 2));
    world.audit();
}

#[test]
fn versions_and_times_go_up() {
    let mut world = World::new();
    for version in [0, 1] {
        assert_eq!(world.send(partition(), Class::Ops, adopt(version, 0, policy())).reason(), Reason::PolicyRefused);
    }
    world.send(partition(), Class::Ops, adopt(5, world.now + 10_000, policy())).events();
    let earlier = adopt(6, world.now + 9_999, policy());
    assert_eq!(world.send(partition(), Class::Ops, earlier).reason(), Reason::InvalidField);
    let alice = world.user(1);
    assert_eq!(world.send(alice, Class::Ops, adopt(7, world.now + 20_000, policy())).reason(), Reason::UserUnknown);
}

#[test]
fn without_a_policy_nothing_moves() {
    let mut world = World::new();
    world.state = State::new(0, 1);
    world.entries.clear();
    let alice = AccountId::from_pseudonym([1; 16], 1);
    world.send(alice, Class::Ops, RegisterUser { company: "demo".into(), country: gb() }).events();
    let deposit = Deposit { asset: USD, amount: Minor(1), reference: Sealed::NONE };
    assert_eq!(world.send(alice, Class::Ops, deposit).reason(), Reason::NoPolicy);
}

#[test]
fn a_policy_that_cannot_be_decided_under_is_refused_with_its_reason() {
    let table: [(fn(&mut Policy), &str); 15] = [
        (|p| p.rules = 0, "rules 0 are not known here, the latest are 1"),
        (|p| p.rules = 2, "rules 2 are not known here, the latest are 1"),
        (|p| p.assets[1].decimals = 9, "asset WUSD: more than 8 decimals"),
        (|p| p.assets[1].code = USD, "asset USD: named twice"),
        (|p| p.assets[3].token.as_mut().unwrap().rate = Factor::ZERO, "asset USDC: a token's rate must be above zero"),
        (
            |p| p.assets[3].token.as_mut().unwrap().fiat = asset("EUR"),
            "asset USDC: its fiat is not an asset of the policy",
        ),
        (|p| p.programmes[1].code = ProgrammeCode::Dashboard, "programme Dashboard: named twice"),
        (
            |p| p.programmes[0].currency = asset("USDC"),
            "programme Dashboard: its currency is not a fiat asset of the policy",
        ),
        (|p| p.programmes[2].wallet_assets.clear(), "programme Baas: wallet-funded, but names no wallet assets"),
        (
            |p| p.programmes[0].top_up.min = Minor(0),
            "programme Dashboard: bounds must be above zero, the smaller first",
        ),
        (|p| p.programmes[0].issue_fee = Minor(-1), "programme Dashboard: fees and limits must not be negative"),
        (
            |p| p.capabilities[0].level = "KYC".into(),
            "capability for Virtual cards: its level is not a level of the policy",
        ),
        (|p| p.programmes[2].wallet_assets.push(asset("WUSD")), "programme Baas: a wallet asset is named twice"),
        (|p| p.bin = "12345".into(), "bin: must be 6 digits"),
        (|p| p.spans.hold_ms = 0, "spans: a span is 1 ms to 10 years"),
    ];
    let mut world = World::new();
    for (spoil, message) in table {
        let mut spoiled = policy();
        spoil(&mut spoiled);
        assert_eq!(spoiled.check().map_err(|error: Error| error.to_string()), Err(message.into()));
        assert_eq!(world.send(partition(), Class::Ops, adopt(9, 0, spoiled)).reason(), Reason::PolicyRefused);
    }
    world.send(partition(), Class::Ops, adopt(9, 0, policy())).events();
}

#[test]
fn a_user_is_registered_once_and_by_ops() {
    let mut world = World::new();
    let alice = world.user(1);
    let register = RegisterUser { company: "demo".into(), country: gb() };
    assert_eq!(world.send(alice, Class::Ops, register.clone()).reason(), Reason::UserExists);
    let bob = AccountId::from_pseudonym([2; 16], 1);
    assert_eq!(world.send(bob, Class::User, register.clone()).reason(), Reason::WrongClass);
    let nameless = RegisterUser { company: String::new(), ..register };
    assert_eq!(world.send(bob, Class::Ops, nameless).reason(), Reason::InvalidField);
    let deposit = Deposit { asset: USD, amount: usd(1), reference: Sealed::NONE };
    assert_eq!(world.send(bob, Class::Ops, deposit).reason(), Reason::UserUnknown);
}

#[test]
fn a_checkpoint_changes_nothing_but_is_told() {
    let mut world = World::new();
    let checkpoint = florin_engine::command::Checkpoint { index: 1, schema: 1, state_hash: [8; 32] };
    assert_eq!(world.send(partition(), Class::Ops, checkpoint.clone()).reason(), Reason::WrongClass);
    assert_eq!(names(&world.send(partition(), Class::System, checkpoint).events()), ["Checkpointed"]);
    world.audit();
}

#[test]
fn a_policy_takes_nothing_away_that_money_or_cards_rest_on() {
    let asset_gone = "taken away, or with other decimals or another fiat than the policy before it has";
    let programme_gone = "taken away, or with another funding or currency than the policy before it has";
    let table: [(fn(&mut Policy), String); 3] = [
        (|p| p.assets[0].decimals = 3, format!("asset USD: {asset_gone}")),
        (
            |p| {
                p.programmes[2].wallet_assets.retain(|code| *code != asset("WEUR"));
                p.assets.retain(|known| known.code != asset("WEUR"));
            },
            format!("asset WEUR: {asset_gone}"),
        ),
        (|p| drop(p.programmes.pop()), format!("programme Baas: {programme_gone}")),
    ];
    let mut world = World::new();
    for (spoil, message) in table {
        let mut next = policy();
        spoil(&mut next);
        assert_eq!(next.check(), Ok(()));
        assert_eq!(next.follows(&policy()).map_err(|error| error.to_string()), Err(message));
        assert_eq!(world.send(partition(), Class::Ops, adopt(9, 0, next)).reason(), Reason::PolicyRefused);
    }
}
