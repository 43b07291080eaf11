//! Stories of appeals: only for a blocked card, one open at a time, granted or rejected by ops.

use florin_engine::{
    command::{Class, DecideAppeal, OpenAppeal, RecordAppealEmail},
    ids::{AccountId, AppealId, CardId, Kind, mint},
    money::Sealed,
    reject::Reason,
    terms::{Change, EmailStatus, Status},
};

use crate::world::*;

fn appeal(world: &mut World, account: AccountId, card: CardId) -> OpenAppeal {
    let key = world.key();
    OpenAppeal { card, appeal: AppealId(mint(account, key, Kind::Appeal)), message: Sealed(vec![4, 5, 6]) }
}

#[test]
fn a_granted_appeal_unblocks_through_the_issuer() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(25));
    let early = appeal(&mut world, alice, card);
    assert_eq!(world.send(alice, Class::User, early).reason(), Reason::InvalidStatus);
    world.changed(alice, Class::Ops, card, Change::Block);
    let empty = OpenAppeal { message: Sealed::NONE, ..appeal(&mut world, alice, card) };
    assert_eq!(world.send(alice, Class::User, empty).reason(), Reason::InvalidField);
    let first = appeal(&mut world, alice, card);
    world.send(alice, Class::User, first.clone()).events();
    let second = appeal(&mut world, alice, card);
    assert_eq!(world.send(alice, Class::User, second).reason(), Reason::AppealOpen);
    let email = RecordAppealEmail { appeal: first.appeal, status: EmailStatus::Sent };
    world.send(alice, Class::Settlement, email).events();
    let grant = DecideAppeal { appeal: first.appeal, granted: true, reason: Sealed::NONE };
    let events = world.send(alice, Class::Ops, grant.clone()).events();
    assert_eq!(names(&events), ["AppealDecided", "StatusChangeRequested"]);
    assert_eq!(world.status(alice, card), Status::Blocked, "until the issuer has done it");
    world.done(alice, card);
    assert_eq!(world.status(alice, card), Status::Active);
    assert_eq!(world.send(alice, Class::Ops, grant).reason(), Reason::AppealUnknown);
    world.audit();
}

#[test]
fn a_rejected_appeal_leaves_the_block_and_another_may_be_opened() {
    let mut world = World::new();
    let alice = world.user(1);
    let card = world.active_card(alice, usd(25));
    world.changed(alice, Class::Ops, card, Change::Block);
    for _ in 0..2 {
        let ask = appeal(&mut world, alice, card);
        world.send(alice, Class::User, ask.clone()).events();
        let no = DecideAppeal { appeal: ask.appeal, granted: false, reason: Sealed::NONE };
        assert_eq!(names(&world.send(alice, Class::Ops, no).events()), ["AppealDecided"]);
    }
    assert_eq!(world.status(alice, card), Status::Blocked);
    world.audit();
}
