//! What only the sandbox does: restarts, late copies, requests in progress, what is on its disk.

mod common;

use std::time::Duration;

use common::{World, card_id, made, request_id, status};
use florin_issuer::sandbox::{Settings, TEST_BIN};
use florin_issuer::{Answer, CardStatus, Error, Issuer, LateAnswer, RequestState, Reveal, Revealed, Sandbox};
use florin_vault::MasterKey;
use secrecy::ExposeSecret;

#[tokio::test]
async fn everything_but_behaviour_survives_a_restart() {
    let world = World::new();
    let issued = made(&world.sandbox, &world, 1).await;
    let _ = world.sandbox.set_status(status(2, 1, 1, CardStatus::Frozen)).await.expect("definite");
    world.behave(r#"{"failure_rate": 1}"#);
    world.sandbox.issue(world.request(3, "ADA")).await.expect_err("fails");

    let world = world.restarted();

    let state = world.sandbox.request(request_id(1)).await.expect("definite");
    assert_eq!(state, RequestState::Done(Some(issued)));
    let card = world.sandbox.card(card_id(1)).await.expect("reads").expect("is there");
    assert_eq!(card.status, CardStatus::Frozen);
    assert_eq!(world.sandbox.calls(request_id(3)).await.expect("reads"), 1);
    made(&world.sandbox, &world, 3).await;
}

#[tokio::test]
async fn a_second_copy_comes_through_the_late_answers() {
    let world = World::new();
    let mut late = world.sandbox.late_answers().expect("the first taker");
    assert!(world.sandbox.late_answers().is_none(), "taken twice");

    let answer = world.sandbox.issue(world.request(1, "sandbox twice")).await.expect("definite");
    let copy = late.recv().await.expect("a copy");
    assert_eq!(copy, LateAnswer::Issue { request_id: request_id(1), card_id: card_id(1), answer });

    world.behave(r#"{"answer_twice": true, "applies_to": ["status"]}"#);
    made(&world.sandbox, &world, 2).await;
    let change = status(3, 2, 1, CardStatus::Frozen);
    let answer = world.sandbox.set_status(change).await.expect("definite");
    assert_eq!(answer, Answer::Done(()));
    assert!(matches!(late.recv().await, Some(LateAnswer::Status { answer: Answer::Done(()), .. })));
    assert!(late.try_recv().is_err(), "a copy of what was answered once");
}

#[tokio::test]
async fn a_request_in_progress_says_so_and_can_still_be_given_up() {
    let world = World::new();
    world.behave(r#"{"latency_ms": 60000}"#);
    let sandbox = world.sandbox.clone();
    let request = world.request(1, "ADA");
    let mut issuing = tokio::spawn(async move { sandbox.issue(request).await });
    while world.sandbox.request(request_id(1)).await.expect("definite") != RequestState::InProgress {
        tokio::task::yield_now().await;
    }

    world.sandbox.abandon(request_id(1), card_id(1)).await.expect("definite");

    assert!(tokio::time::timeout(Duration::ZERO, &mut issuing).await.is_err());
    issuing.abort();
    let _ = issuing.await;
    world.behave(r#"{"latency_ms": 0}"#);
    let late = world.sandbox.issue(world.request(1, "ADA")).await.expect("definite");
    assert!(matches!(late, Answer::Refused(florin_issuer::Refusal::Abandoned)));
}

#[tokio::test]
async fn no_secret_and_no_name_is_on_the_disk() {
    let world = World::new();
    made(&world.sandbox, &world, 1).await;
    let revealed = world.sandbox.reveal(card_id(1), Reveal::Details).await.expect("reveals");
    let Revealed::Details { number, .. } = revealed else {
        panic!("no details");
    };
    let code = world.sandbox.one_time_code(card_id(1)).await.expect("a code");
    world.sandbox.issue(world.request(2, "GRACE HOPPER")).await.map(drop).expect("definite");
    let path = world.path();
    let folder = world.folder;
    drop(world.sandbox);

    let bytes = std::fs::read(&path).expect("reads");
    for secret in [number.expose_secret(), TEST_BIN, "GRACE", &format!("\"{}\"", code.code.expose_secret())] {
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "a secret is on the disk");
    }
    drop(folder);
}

#[tokio::test]
async fn another_master_key_is_refused() {
    let world = World::new();
    let path = world.path();
    let folder = world.folder;
    drop(world.sandbox);
    let stranger = MasterKey::generate().expect("random");
    assert!(matches!(Sandbox::open(&path, &stranger, None, Settings::default()), Err(Error::Storage(_))));
    assert!(Sandbox::open(&path, &world.master, None, Settings::default()).is_ok());
    drop(folder);
}

#[tokio::test]
async fn many_cards_at_once_have_numbers_of_their_own() {
    let world = World::new();
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let (sandbox, request) = (world.sandbox.clone(), world.request(number, "ADA"));
            tokio::spawn(async move { sandbox.issue(request).await })
        })
        .collect();
    for task in tasks {
        assert!(matches!(task.await.expect("no panic"), Ok(Answer::Done(_))));
    }
    let mut numbers = std::collections::HashSet::new();
    for number in 0..200 {
        let revealed = world.sandbox.reveal(card_id(number), Reveal::Details).await.expect("reveals");
        let Revealed::Details { number, .. } = revealed else {
            panic!("no details");
        };
        assert!(numbers.insert(number.expose_secret().to_owned()), "a number was given twice");
    }
}
