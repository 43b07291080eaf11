//! Stories of webhooks due: every change of a card as it was, the same after a rebuild, and forgotten only when nobody needs it.

use std::collections::BTreeSet;

use florin_engine::{
    command::Class,
    event::{LimitsChanged, StatusChanged, ToppedUp},
    ids::{AccountId, Position},
    limits::Limits,
    money::Minor,
    terms::{Cause, Status},
};
use florin_projector::{DueKeep, DueKind, DueMark, DueRow, Rebuild, Views};

use crate::world::{USD, World, on_card};

fn due(views: &Views, account: AccountId) -> Vec<(DueMark, DueRow)> {
    views.due_after(account.partition(), "demo", DueMark::default(), 1_000).expect("rows")
}

/// A card that is made, paid into, paid with, frozen and limited; with what its company is to be told of it.
async fn life() -> (World, AccountId, Vec<(DueKind, Status)>) {
    let mut world = World::new(2).await;
    let user = world.user(1).await;
    let card = world.card(user, 1).await;
    let (amount, fee, balance) = (Minor(500), Minor(1), Minor(0));
    let topped_up = ToppedUp { card, currency: USD, amount, fee, card_balance: balance, wallet_balance: balance };
    world.happen(user, Class::User, &[topped_up.into()]).await;
    let held = world.authorized(user, card, vec![on_card(100)]);
    world.happen(user, Class::Network, &[held.into()]).await;
    let frozen = StatusChanged { card, from: Status::Active, to: Status::Frozen, cause: Cause::User, fraud: false };
    world.happen(user, Class::Settlement, &[frozen.into()]).await;
    let limits = Limits { daily: Some(Minor(900)), ..Limits::default() };
    world.happen(user, Class::Settlement, &[LimitsChanged { card, limits }.into()]).await;
    let told = vec![
        (DueKind::Card, Status::Requested),
        (DueKind::Card, Status::NotActivated),
        (DueKind::Card, Status::Active),
        (DueKind::Limits, Status::Active),
        (DueKind::Card, Status::Frozen),
        (DueKind::Limits, Status::Frozen),
    ];
    (world, user, told)
}

#[tokio::test]
async fn every_change_of_a_card_is_due_as_it_was_then_in_order() {
    let (world, user, told) = life().await;
    let views = world.views().await;
    let rows = due(&views, user);
    assert_eq!(rows.iter().map(|(_, row)| (row.kind, row.card.status)).collect::<Vec<_>>(), told);
    assert!(rows.is_sorted_by_key(|(mark, _)| *mark));
    let used: Vec<_> = rows.iter().map(|(_, row)| row.card.usage.lifetime.0).collect();
    assert_eq!(used, [0, 0, 0, 100, 100, 100], "a row knows nothing of what came later");
    assert_eq!(views.due(user.partition(), "demo", rows[2].0).expect("a row"), Some(rows[2].1.clone()));
    // And nobody else is told, and nothing twice
    assert_eq!(views.due(user.partition(), "other", rows[2].0).expect("none"), None);
    let rest = views.due_after(user.partition(), "demo", rows[3].0, 1_000).expect("rows");
    assert_eq!(rest, rows[4..]);
    assert_eq!(views.due_after(user.partition(), "demo", rows[0].0, 1).expect("rows"), rows[1..2]);
}

#[tokio::test]
async fn a_rebuild_makes_the_same_rows_again() {
    let (world, user, _) = life().await;
    let before = {
        let views = world.views().await;
        due(&views, user)
    };
    Views::discard(&world.views_dir()).expect("discarded");
    let views = world.views().await;
    assert_eq!(due(&views, user), before);
}

#[tokio::test]
async fn what_is_old_and_sent_is_forgotten_and_nothing_else() {
    let (world, user, _) = life().await;
    let partition = user.partition();
    let views = world.views().await;
    let rows = due(&views, user);
    let forget = |keep, except: &[DueMark]| {
        views.forget_due(partition, keep, &except.iter().copied().collect::<BTreeSet<_>>(), 100).expect("forgotten")
    };
    // Given all is old, but nobody has sent anything
    let unsent = DueKeep { since_ms: u64::MAX, needed: Position(0) };
    assert_eq!(forget(unsent, &[]), 0);
    // Given all is sent, but young
    let end = rows[5].0.position;
    assert_eq!(forget(DueKeep { since_ms: rows[0].1.time_ms, needed: end }, &[]), 0);
    // When all is old, and sent but for the second, then the first three entries' rows go, and the second stays
    let sent = rows[3].0.position;
    assert_eq!(forget(DueKeep { since_ms: u64::MAX, needed: sent }, &[rows[1].0]), 3);
    let left = due(&views, user);
    assert_eq!(left.iter().map(|(mark, _)| *mark).collect::<Vec<_>>(), [rows[1].0, rows[4].0, rows[5].0]);
    // And a bound is a bound
    let all = DueKeep { since_ms: u64::MAX, needed: end };
    assert_eq!(views.forget_due(partition, all, &BTreeSet::new(), 2).expect("forgotten"), 2);
    assert_eq!(due(&views, user).len(), 1);
}

#[tokio::test]
async fn a_rebuild_leaves_out_what_nobody_needs() {
    let (world, user, _) = life().await;
    let needed = {
        let views = world.views().await;
        due(&views, user)[3].0.position
    };
    std::fs::write(world.views_dir().join("rebuild"), b"").expect("marked");
    let (views, why) = world.open().await.expect("views");
    assert_eq!(why, Some(Rebuild::Marked));
    views.keep_due(user.partition(), DueKeep { since_ms: u64::MAX, needed });
    world.catch_up(&views).await;
    let left: Vec<_> = due(&views, user).into_iter().map(|(_, row)| row.card.status).collect();
    assert_eq!(left, [Status::Frozen, Status::Frozen]);
}
