//! Stories of limits: windows of day and month in UTC, and who may change them when.

use florin_engine::{
    command::{ChangeLimits, Class},
    limits::{Day, Limits, LimitsUpdate, Usage, Used, month_end_ms},
    money::Minor,
    reject::Reason,
    terms::{Change, DeclineReason},
};
use proptest::prelude::*;

use crate::world::*;

#[test]
fn windows_are_the_utc_calendar_day_and_month() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(1_000));
    let update = LimitsUpdate { daily: Some(Some(usd(50))), monthly: Some(Some(usd(80))), ..LimitsUpdate::default() };
    world.send(alice, Class::User, ChangeLimits { card, update }).events();
    world.done(alice, card);
    // The last moment of 31 March 2026, and the first of April.
    world.now = month_end_ms(2026 * 12 + 2) - 1;
    world.held(alice, card, usd(50));
    assert_eq!(declined(world.authorize(alice, card, Minor(1)).1).0, DeclineReason::DailyLimit);
    world.wait(1);
    world.held(alice, card, usd(50));
    world.wait(DAY);
    assert_eq!(declined(world.authorize(alice, card, Minor(3_001)).1).0, DeclineReason::MonthlyLimit);
    world.held(alice, card, usd(30));
    world.audit();
}

#[test]
fn limits_change_only_on_an_active_card_and_one_at_a_time() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(100));
    let set =
        |amount| ChangeLimits { card, update: LimitsUpdate { transaction: Some(amount), ..LimitsUpdate::default() } };
    assert_eq!(world.send(alice, Class::User, set(Some(Minor(-1)))).reason(), Reason::InvalidField);
    assert_eq!(world.send(alice, Class::User, set(None)).reason(), Reason::NothingToChange);
    world.send(alice, Class::User, set(Some(usd(5)))).events();
    assert_eq!(world.send(alice, Class::User, set(Some(usd(6)))).reason(), Reason::ChangePending);
    world.done(alice, card);
    let keep = ChangeLimits { card, update: LimitsUpdate { daily: Some(Some(usd(9))), ..LimitsUpdate::default() } };
    world.send(alice, Class::User, keep).events();
    world.done(alice, card);
    let expected = Limits { transaction: Some(usd(5)), daily: Some(usd(9)), ..Limits::default() };
    assert_eq!(world.card(alice, card).limits, expected, "what is not named stays");
    world.changed(alice, Class::User, card, Change::Freeze);
    assert_eq!(world.send(alice, Class::User, set(None)).reason(), Reason::InvalidStatus);
}

#[test]
fn days_and_months_of_known_dates() {
    for (time_ms, day, month) in [
        (0, 0, 1970 * 12),
        (951_782_400_000, 11_016, 2000 * 12 + 1),   // 2000-02-29
        (1_772_323_199_999, 20_512, 2026 * 12 + 1), // 2026-02-28 23:59:59.999
        (1_772_323_200_000, 20_513, 2026 * 12 + 2), // 2026-03-01
        (4_107_542_399_999, 47_540, 2100 * 12 + 1), // 2100-02-28, no leap day
        (4_107_542_400_000, 47_541, 2100 * 12 + 2),
    ] {
        assert_eq!(Day::of(time_ms), Day { day, month }, "{time_ms}");
    }
    assert_eq!(month_end_ms(2026 * 12 + 1), 1_772_323_200_000);
    assert_eq!(month_end_ms(1999 * 12 + 11), 946_684_800_000);
}

proptest! {
    #[test]
    fn a_month_ends_where_the_next_begins(time_ms in 0_u64..7_258_118_400_000) {
        let month = Day::of(time_ms).month;
        let end = month_end_ms(month);
        prop_assert!(time_ms < end);
        prop_assert_eq!(Day::of(end - 1).month, month);
        prop_assert_eq!(Day::of(end).month, month + 1);
    }

    #[test]
    fn what_is_given_back_on_its_day_was_never_used(parts in proptest::collection::vec(1_i64..1_000_000, 1..20), at in 0_u64..1_000) {
        let day = Day::of(START + at * DAY);
        let mut usage = Usage::default();
        usage.take(day, Minor(77));
        let before = usage;
        for part in &parts {
            usage.take(day, Minor(*part));
        }
        for part in parts {
            usage.give_back(day, Used { at: day, amount: Minor(part) });
        }
        prop_assert_eq!(usage, before);
    }
}
