//! Placement stories on a real server: members come, go, die and stand still; every slot has one holder, evenly.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use florin_journal::testing::NatsServer;
use florin_processor::placement::{Error, Placement};

const TTL: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_mins(1);

async fn join(server: &NatsServer, slots: u16) -> Placement {
    Placement::join(server.connect().await, "main", "processor", slots, TTL).await.unwrap()
}

fn held(member: &Placement) -> BTreeSet<u16> {
    member.held().borrow().clone()
}

/// Waits until it is so; meanwhile no slot is ever held by two.
async fn until(members: &[&Placement], slots: u16, what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        for slot in 0..slots {
            let holders = members.iter().filter(|member| member.holds(slot)).count();
            assert!(holders <= 1, "{what}: slot {slot} is held by {holders}");
        }
        let all: Vec<_> = members.iter().map(|member| held(member)).collect();
        assert!(Instant::now() < deadline, "{what}: {all:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn who_joins_gets_a_share_and_who_leaves_gives_it_back(server: NatsServer) {
    // Given one member with all slots,
    let first = join(&server, 6).await;
    until(&[&first], 6, "alone", || held(&first).len() == 6).await;
    // when another joins, each has half;
    let second = join(&server, 6).await;
    let both = [&first, &second];
    until(&both, 6, "two", || held(&first).len() == 3 && held(&second).len() == 3).await;
    assert!(held(&first).is_disjoint(&held(&second)));
    // with a third, a third;
    let third = join(&server, 6).await;
    let all = [&first, &second, &third];
    until(&all, 6, "three", || all.iter().all(|member| held(member).len() == 2)).await;
    // and when one leaves, the others share what it had.
    third.leave().await;
    until(&both, 6, "two again", || held(&first).len() == 3 && held(&second).len() == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_run_goes_to_another_and_stays_if_there_is_none() {
    // Given a member that cannot run one of its slots, alone,
    let server = NatsServer::start().await;
    let first = join(&server, 4).await;
    until(&[&first], 4, "alone", || held(&first).len() == 4).await;
    first.lease(3).sit_out();
    // when another joins,
    let second = join(&server, 4).await;
    let both = [&first, &second];
    // then that one has it, and as many as the first.
    until(&both, 4, "two", || held(&second).contains(&3) && held(&first).len() == 2 && held(&second).len() == 2).await;
    // What the other cannot run either is shared as ever.
    second.lease(3).sit_out();
    until(&both, 4, "neither", || held(&first).len() == 2 && held(&second).len() == 2).await;
    // And where the other leaves, all is held again.
    second.leave().await;
    until(&[&first], 4, "alone again", || held(&first).len() == 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_are_even() {
    who_joins_gets_a_share_and_who_leaves_gives_it_back(NatsServer::start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_are_even_on_an_old_server() {
    who_joins_gets_a_share_and_who_leaves_gives_it_back(NatsServer::start_old().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_dead_held_is_taken_once_its_lease_has_run_out() {
    // Given two members,
    let server = NatsServer::start().await;
    let (first, second) = (join(&server, 4).await, join(&server, 4).await);
    until(&[&first, &second], 4, "two", || held(&first).len() == 2 && held(&second).len() == 2).await;
    // when one is gone without a word,
    drop(second);
    // then the other has everything in the end.
    until(&[&first], 4, "alone", || held(&first).len() == 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_reach_the_server_stops_believing_and_goes_on_by_itself() {
    // Given a member that holds everything,
    let server = NatsServer::start().await;
    let member = join(&server, 2).await;
    until(&[&member], 2, "alone", || held(&member).len() == 2).await;
    // when the server does not answer for longer than the lease,
    server.pause();
    // then it holds nothing before the lease has run out: it stops believing by itself.
    until(&[&member], 2, "in doubt", || held(&member).is_empty() && !member.holds(0)).await;
    // And when the server answers again, it holds everything again.
    server.resume();
    until(&[&member], 2, "again", || held(&member).len() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_finds_its_members() {
    let mut server = NatsServer::start().await;
    let (first, second) = (join(&server, 4).await, join(&server, 4).await);
    let both = [&first, &second];
    until(&both, 4, "two", || held(&first).len() == 2 && held(&second).len() == 2).await;
    // When the server is killed for longer than the lease, nobody holds anything;
    server.kill();
    until(&both, 4, "none", || held(&first).is_empty() && held(&second).is_empty()).await;
    // and when it is back, they share again.
    server.restart().await;
    until(&both, 4, "two again", || held(&first).len() == 2 && held(&second).len() == 2).await;
}

#[tokio::test]
async fn names_and_leases_that_cannot_be_are_refused() {
    let server = NatsServer::start().await;
    let client = server.connect().await;
    for (ledger, group) in [("Main", "clock"), ("main", ""), ("main", "a.b"), ("main", ">")] {
        let joined = Placement::join(client.clone(), ledger, group, 1, TTL).await;
        assert!(matches!(joined, Err(Error::Name { .. })), "{ledger} {group}");
    }
    let joined = Placement::join(client, "main", "clock", 1, Duration::from_millis(299)).await;
    assert!(matches!(joined, Err(Error::Ttl(_))));
}
