//! The contract of [`florin_issuer::Issuer`], story by story, for the sandbox in process and for the HTTP adapter before its server.

mod common;

use std::sync::Arc;

use common::{ALICE, World, card_id, limits, made, request_id, status};
use florin_issuer::{Abandoned, Answer, CardStatus, Error, Issuer, Kind, Refusal, RequestState, Reveal, Revealed};
use secrecy::ExposeSecret;

/// Runs one story over every adapter, each in a world of its own.
macro_rules! over_every_adapter {
    ($($(#[$doc:meta])* $story:ident;)*) => {
        mod in_process {
            use super::*;
            $($(#[$doc])* #[tokio::test]
            async fn $story() {
                let world = World::new();
                let issuer: Arc<dyn Issuer> = Arc::new(world.sandbox.clone());
                super::$story(world, issuer).await;
            })*
        }
        mod over_http {
            use super::*;
            $($(#[$doc])* #[tokio::test]
            async fn $story() {
                let world = World::new();
                let issuer: Arc<dyn Issuer> = Arc::new(world.http().await);
                super::$story(world, issuer).await;
            })*
        }
    };
}

over_every_adapter! {
    a_card_is_made_once_however_often_it_is_asked_for;
    an_id_stands_for_one_request_only;
    a_lower_change_number_never_undoes_a_newer_one;
    a_repeated_old_request_changes_nothing;
    terminated_is_final;
    an_unknown_card_is_refused;
    a_failure_before_the_work_leaves_nothing_behind;
    a_lost_answer_is_found_by_its_request;
    an_unanswered_try_goes_through_the_next_time;
    a_refused_issuance_stays_refused;
    a_card_made_and_its_answer_lost_is_terminated_when_given_up;
    what_was_given_up_before_it_arrived_is_never_made;
    giving_up_takes_only_the_requests_own_card;
    secrets_are_revealed_and_shown_by_no_debug;
    only_the_latest_code_is_good_and_only_once;
    a_code_ends_after_two_minutes;
    a_card_is_found_by_its_number;
    an_erased_user_is_sent_without_a_profile;
}

fn done<T: std::fmt::Debug>(answer: Result<Answer<T>, Error>) -> T {
    match answer.expect("definite") {
        Answer::Done(done) => done,
        Answer::Refused(refusal) => panic!("refused: {refusal}"),
    }
}

fn refused<T: std::fmt::Debug>(answer: Result<Answer<T>, Error>) -> Refusal {
    match answer.expect("definite") {
        Answer::Done(done) => panic!("done: {done:?}"),
        Answer::Refused(refusal) => refusal,
    }
}

fn unknown<T: std::fmt::Debug>(answer: Result<T, Error>) {
    assert!(answer.expect_err("no answer").is_unknown());
}

async fn a_card_is_made_once_however_often_it_is_asked_for(world: World, issuer: Arc<dyn Issuer>) {
    let first = made(&*issuer, &world, 1).await;
    let (second, third) = tokio::join!(made(&*issuer, &world, 1), made(&*issuer, &world, 1));

    assert_eq!((&second, &third), (&first, &first));
    assert_eq!(issuer.request(request_id(1)).await.expect("definite"), RequestState::Done(Some(first.clone())));
    let cards = world.sandbox.cards().await.expect("reads");
    assert_eq!(cards.len(), 1);
    assert_eq!((cards[0].card_id, cards[0].times_issued), (card_id(1), 1));
    assert_eq!((&cards[0].issued, cards[0].status), (&first, CardStatus::Active));
    assert_eq!(world.sandbox.calls(request_id(1)).await.expect("reads"), 3);
    assert_eq!(first.first4, 4000);
}

async fn an_id_stands_for_one_request_only(world: World, issuer: Arc<dyn Issuer>) {
    made(&*issuer, &world, 1).await;

    let mut other = world.request(1, "ADA");
    other.currency = "EUR".into();
    assert_eq!(refused(issuer.issue(other).await), Refusal::Conflict);
    let change = status(1, 1, 1, CardStatus::Frozen);
    assert_eq!(refused(issuer.set_status(change).await), Refusal::Conflict);
    let mut same_card = world.request(2, "ADA");
    same_card.card_id = card_id(1);
    assert_eq!(refused(issuer.issue(same_card).await), Refusal::Conflict);

    let card = world.sandbox.card(card_id(1)).await.expect("reads").expect("is there");
    assert_eq!((card.status, card.times_issued), (CardStatus::Active, 1));
}

async fn a_lower_change_number_never_undoes_a_newer_one(world: World, issuer: Arc<dyn Issuer>) {
    made(&*issuer, &world, 1).await;
    done(issuer.set_status(status(2, 1, 5, CardStatus::Active)).await);
    done(issuer.set_limits(limits(3, 1, 2, 100)).await);

    assert_eq!(refused(issuer.set_status(status(4, 1, 4, CardStatus::Frozen)).await), Refusal::Stale);
    assert_eq!(refused(issuer.set_limits(limits(5, 1, 1, 7)).await), Refusal::Stale);
    assert_eq!(issuer.request(request_id(4)).await.expect("definite"), RequestState::Refused(Refusal::Stale));
    // Each has its own counter, and the same number may assert a state again.
    done(issuer.set_limits(limits(6, 1, 3, 200)).await);
    done(issuer.set_status(status(7, 1, 5, CardStatus::Frozen)).await);

    let card = world.sandbox.card(card_id(1)).await.expect("reads").expect("is there");
    assert_eq!((card.status, card.status_change), (CardStatus::Frozen, 5));
    assert_eq!((card.limits.daily, card.limits_change), (Some(200), 3));
    assert_eq!(issuer.request(request_id(7)).await.expect("definite"), RequestState::Done(None));
}

async fn a_repeated_old_request_changes_nothing(world: World, issuer: Arc<dyn Issuer>) {
    made(&*issuer, &world, 1).await;
    let freeze = status(2, 1, 1, CardStatus::Frozen);
    done(issuer.set_status(freeze.clone()).await);
    done(issuer.set_status(status(3, 1, 2, CardStatus::Active)).await);

    done(issuer.set_status(freeze).await);

    let card = world.sandbox.card(card_id(1)).await.expect("reads").expect("is there");
    assert_eq!((card.status, card.status_change), (CardStatus::Active, 2));
}

async fn terminated_is_final(world: World, issuer: Arc<dyn Issuer>) {
    made(&*issuer, &world, 1).await;
    done(issuer.set_status(status(2, 1, 1, CardStatus::Terminated)).await);

    assert_eq!(refused(issuer.set_status(status(3, 1, 2, CardStatus::Active)).await), Refusal::Terminated);
    assert_eq!(refused(issuer.set_limits(limits(4, 1, 2, 1)).await), Refusal::Terminated);
    done(issuer.set_status(status(5, 1, 3, CardStatus::Terminated)).await);
    for what in [Reveal::Details, Reveal::Cvv, Reveal::Pin] {
        let answer = issuer.reveal(card_id(1), what).await;
        assert!(matches!(answer, Err(Error::Refused(Refusal::Terminated))), "{what:?}");
    }
    let code = issuer.one_time_code(card_id(1)).await;
    assert!(matches!(code, Err(Error::Refused(Refusal::Terminated))));
}

async fn an_unknown_card_is_refused(world: World, issuer: Arc<dyn Issuer>) {
    assert_eq!(refused(issuer.set_status(status(1, 9, 1, CardStatus::Frozen)).await), Refusal::UnknownCard);
    assert_eq!(refused(issuer.set_limits(limits(2, 9, 1, 1)).await), Refusal::UnknownCard);
    let reveal = issuer.reveal(card_id(9), Reveal::Details).await;
    assert!(matches!(reveal, Err(Error::Refused(Refusal::UnknownCard))));
    assert_eq!(issuer.request(request_id(9)).await.expect("definite"), RequestState::NotFound);
    assert!(world.sandbox.cards().await.expect("reads").is_empty());
}

async fn a_failure_before_the_work_leaves_nothing_behind(world: World, issuer: Arc<dyn Issuer>) {
    world.behave(r#"{"failure_rate": 1}"#);
    unknown(issuer.issue(world.request(1, "ADA")).await);
    assert_eq!(issuer.request(request_id(1)).await.expect("definite"), RequestState::NotFound);
    assert!(world.sandbox.cards().await.expect("reads").is_empty());

    world.behave(r#"{"failure_rate": 0}"#);
    made(&*issuer, &world, 1).await;
    assert_eq!(world.sandbox.calls(request_id(1)).await.expect("reads"), 2);
}

async fn a_lost_answer_is_found_by_its_request(world: World, issuer: Arc<dyn Issuer>) {
    unknown(issuer.issue(world.request(1, "Sandbox Lose Answer")).await);

    let RequestState::Done(Some(issued)) = issuer.request(request_id(1)).await.expect("definite") else {
        panic!("the card was not made");
    };
    assert_eq!(done(issuer.issue(world.request(1, "Sandbox Lose Answer")).await), issued);
    let card = world.sandbox.card(card_id(1)).await.expect("reads").expect("is there");
    assert_eq!(card.times_issued, 1);
}

async fn an_unanswered_try_goes_through_the_next_time(world: World, issuer: Arc<dyn Issuer>) {
    unknown(issuer.issue(world.request(1, "SANDBOX TIMEOUT")).await);
    assert!(world.sandbox.cards().await.expect("reads").is_empty());
    done(issuer.issue(world.request(1, "SANDBOX TIMEOUT")).await);

    for _ in 0..5 {
        unknown(issuer.issue(world.request(2, "SANDBOX FAIL")).await);
    }
    assert_eq!(issuer.request(request_id(2)).await.expect("definite"), RequestState::NotFound);
}

async fn a_refused_issuance_stays_refused(world: World, issuer: Arc<dyn Issuer>) {
    assert_eq!(refused(issuer.issue(world.request(1, "SANDBOX REFUSE")).await), Refusal::Declined);

    world.behave(r#"{"refuse": true}"#);
    assert_eq!(refused(issuer.issue(world.request(2, "ADA")).await), Refusal::Declined);
    world.behave(r#"{"refuse": false}"#);

    assert_eq!(refused(issuer.issue(world.request(2, "ADA")).await), Refusal::Declined);
    assert_eq!(issuer.request(request_id(2)).await.expect("definite"), RequestState::Refused(Refusal::Declined));
    let mut odd = world.request(3, "ADA");
    odd.currency = "dollars".into();
    assert_eq!(refused(issuer.issue(odd).await), Refusal::Invalid);
    assert!(world.sandbox.cards().await.expect("reads").is_empty());
}

async fn a_card_made_and_its_answer_lost_is_terminated_when_given_up(world: World, issuer: Arc<dyn Issuer>) {
    unknown(issuer.issue(world.request(1, "SANDBOX LOSE ANSWER")).await);

    let given_up = || issuer.abandon(request_id(1), card_id(1));
    assert_eq!(given_up().await.expect("definite"), Abandoned::Terminated);
    assert_eq!(given_up().await.expect("definite"), Abandoned::Terminated);

    let card = world.sandbox.card(card_id(1)).await.expect("reads").expect("is there");
    assert_eq!(card.status, CardStatus::Terminated);
    let again = issuer.issue(world.request(1, "SANDBOX LOSE ANSWER")).await;
    assert_eq!(refused(again), Refusal::Abandoned);
}

async fn what_was_given_up_before_it_arrived_is_never_made(world: World, issuer: Arc<dyn Issuer>) {
    let given_up = issuer.abandon(request_id(1), card_id(1)).await.expect("definite");
    assert_eq!(given_up, Abandoned::NeverMade);

    assert_eq!(refused(issuer.issue(world.request(1, "ADA")).await), Refusal::Abandoned);
    assert_eq!(issuer.request(request_id(1)).await.expect("definite"), RequestState::Refused(Refusal::Abandoned));
    assert!(world.sandbox.cards().await.expect("reads").is_empty());
}

async fn giving_up_takes_only_the_requests_own_card(world: World, issuer: Arc<dyn Issuer>) {
    made(&*issuer, &world, 1).await;
    made(&*issuer, &world, 2).await;

    let crossed = issuer.abandon(request_id(1), card_id(2)).await;
    assert!(matches!(crossed, Err(Error::Refused(Refusal::Conflict))));
    let never_sent = issuer.abandon(request_id(3), card_id(2)).await.expect("definite");
    assert_eq!(never_sent, Abandoned::NeverMade);

    let cards = world.sandbox.cards().await.expect("reads");
    assert!(cards.iter().all(|card| card.status == CardStatus::Active));
}

async fn secrets_are_revealed_and_shown_by_no_debug(world: World, issuer: Arc<dyn Issuer>) {
    let mut plastic = world.request(1, "ADA");
    plastic.kind = Kind::Physical;
    let issued = done(issuer.issue(plastic).await);
    let reveal = |what| issuer.reveal(card_id(1), what);

    let details = reveal(Reveal::Details).await.expect("reveals");
    let Revealed::Details { number, expiry } = &details else {
        panic!("no details");
    };
    let text = number.expose_secret();
    assert!(florin_vault::pan::is_number(text));
    assert_eq!(text[12..], format!("{:04}", issued.last4));
    assert_eq!(*expiry, issued.expiry);
    assert!(!format!("{details:?}").contains(text));

    let (cvv, pin) = (reveal(Reveal::Cvv).await, reveal(Reveal::Pin).await);
    let (Ok(Revealed::Cvv(cvv)), Ok(Revealed::Pin(pin))) = (cvv, pin) else {
        panic!("no cvv or no pin");
    };
    for (secret, digits) in [(&cvv, 3), (&pin, 4)] {
        let text = secret.expose_secret();
        assert!(text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit()));
        assert!(!format!("{secret:?}").contains(text));
    }

    made(&*issuer, &world, 2).await;
    let no_pin = issuer.reveal(card_id(2), Reveal::Pin).await;
    assert!(matches!(no_pin, Err(Error::Refused(Refusal::NotAvailable))));
}

async fn only_the_latest_code_is_good_and_only_once(world: World, issuer: Arc<dyn Issuer>) {
    made(&*issuer, &world, 1).await;
    made(&*issuer, &world, 2).await;
    let code = || async { issuer.one_time_code(card_id(1)).await.expect("a code") };
    let first = code().await;
    let mut latest = code().await;
    while latest.code.expose_secret() == first.code.expose_secret() {
        latest = code().await;
    }
    assert!(!format!("{latest:?}").contains(latest.code.expose_secret()));
    let use_code = |card, code: &secrecy::SecretString| {
        let code = code.expose_secret().to_owned();
        let sandbox = world.sandbox.clone();
        async move { sandbox.use_code(card_id(card), &code).await.expect("reads") }
    };

    assert!(!use_code(1, &first.code).await, "an older code was taken");
    assert!(!use_code(2, &latest.code).await, "another card's code was taken");
    assert!(use_code(1, &latest.code).await);
    assert!(!use_code(1, &latest.code).await, "a code was taken twice");

    done(issuer.set_status(status(9, 1, 1, CardStatus::Frozen)).await);
    let frozen = issuer.one_time_code(card_id(1)).await;
    assert!(matches!(frozen, Err(Error::Refused(Refusal::NotAvailable))));
}

async fn a_code_ends_after_two_minutes(world: World, issuer: Arc<dyn Issuer>) {
    made(&*issuer, &world, 1).await;
    let now = world.clock_ms.load(std::sync::atomic::Ordering::SeqCst);
    let code = issuer.one_time_code(card_id(1)).await.expect("a code");
    assert_eq!(code.expires_at_ms, now + 120_000);

    world.later(120_000);
    assert!(!world.sandbox.use_code(card_id(1), code.code.expose_secret()).await.expect("reads"));

    let code = issuer.one_time_code(card_id(1)).await.expect("a code");
    world.later(119_999);
    assert!(world.sandbox.use_code(card_id(1), code.code.expose_secret()).await.expect("reads"));
}

async fn a_card_is_found_by_its_number(world: World, issuer: Arc<dyn Issuer>) {
    made(&*issuer, &world, 1).await;
    made(&*issuer, &world, 2).await;
    let revealed = issuer.reveal(card_id(2), Reveal::Details).await.expect("reveals");
    let Revealed::Details { number, .. } = revealed else {
        panic!("no details");
    };
    done(issuer.set_status(status(3, 2, 1, CardStatus::Terminated)).await);

    let found = |pan: String| {
        let issuer = Arc::clone(&issuer);
        async move { issuer.find_by_number(&pan).await.expect("definite") }
    };
    assert_eq!(found(number.expose_secret().to_owned()).await, Some(card_id(2)));
    assert_eq!(found("4111111111111111".to_owned()).await, None);
    assert_eq!(found("no number".to_owned()).await, None);
}

async fn an_erased_user_is_sent_without_a_profile(world: World, issuer: Arc<dyn Issuer>) {
    // Given a request whose name would have it refused,
    let request = world.request(1, "SANDBOX REFUSE");
    let mut damaged = request.clone();
    damaged.sealed_profile = Some(vec![1; 60]);
    let error = issuer.issue(damaged).await.expect_err("not sent");
    assert!(matches!(error, Error::Profile(_)) && !error.is_unknown());

    // when the user is erased before it is sent, then nobody sees the name.
    world.vault.destroy(ALICE).expect("destroys");
    done(issuer.issue(request).await);
}
