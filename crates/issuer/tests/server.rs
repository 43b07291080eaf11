//! What passes between the HTTP adapter and a server, and what does not.

mod common;

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::any;
use common::{World, card_id, request_id};
use florin_issuer::http::Settings;
use florin_issuer::signature::{Key, TOLERANCE_MS};
use florin_issuer::{Answer, Error, Http, Issuer, Refusal, RequestState, Reveal};

/// The adapter before a server that answers everything alike.
async fn before(status: StatusCode, body: &'static str) -> Http {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound");
    let routes = Router::new().fallback(any(move || async move { (status, body) }));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    adapter(&format!("http://{address}"), Duration::from_secs(20))
}

fn adapter(base_url: &str, timeout: Duration) -> Http {
    Http::new(Settings {
        base_url: base_url.to_owned(),
        key: Key::new(common::SECRET).expect("long enough"),
        vault: None,
        timeout,
    })
    .expect("settings")
}

#[tokio::test]
async fn a_stranger_is_turned_away_and_nothing_is_done() {
    let world = World::new();
    let stranger = world.http_with(b"a secret of somebody else").await;

    let answer = stranger.issue(world.request(1, "ADA")).await;
    assert!(matches!(answer, Err(Error::Status(401))));
    assert!(answer.expect_err("refused").is_unknown(), "an earlier try may have passed");
    let revealed = stranger.reveal(card_id(1), Reveal::Details).await;
    assert!(matches!(revealed, Err(Error::Status(401))));
    assert_eq!(world.sandbox.calls(request_id(1)).await.expect("reads"), 0);
}

#[tokio::test]
async fn a_signature_too_old_is_turned_away() {
    let world = World::new();
    let http = world.http().await;
    world.later(TOLERANCE_MS + 60_000);
    assert!(matches!(http.request(request_id(1)).await, Err(Error::Status(401))));
}

#[tokio::test]
async fn only_the_contracts_own_refusal_is_definite() {
    let world = World::new();
    let answers = [
        (StatusCode::CONFLICT, r#"{"refusal": "declined"}"#, Some(Refusal::Declined)),
        (StatusCode::IM_A_TEAPOT, r#"{"refusal": "stale"}"#, Some(Refusal::Stale)),
        (StatusCode::NOT_FOUND, "no such page", None),
        (StatusCode::CONFLICT, r#"{"refusal": "a word of next year"}"#, None),
        (StatusCode::TOO_MANY_REQUESTS, "{}", None),
        (StatusCode::BAD_GATEWAY, r#"{"refusal": "declined"}"#, None),
        (StatusCode::FOUND, "", None),
        (StatusCode::OK, "not JSON", None),
        (StatusCode::OK, r#"{"issuer_card_id":"x","first4":4000,"last4":1,"expiry":{"year":2030,"month":13}}"#, None),
    ];
    for (status, body, refusal) in answers {
        let http = before(status, body).await;
        let mut request = world.request(1, "ADA");
        request.sealed_profile = None;
        match (http.issue(request).await, refusal) {
            (Ok(Answer::Refused(answered)), Some(expected)) => assert_eq!(answered, expected),
            (Err(error), None) => assert!(error.is_unknown(), "{status} {body}"),
            (other, _) => panic!("{status} {body}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let body: &'static str = Box::leak("x".repeat(70_000).into_boxed_str());
    let http = before(StatusCode::OK, body).await;
    assert!(matches!(http.request(request_id(1)).await, Err(Error::Protocol(_))));
}

#[tokio::test]
async fn silence_and_a_closed_door_are_unknown() {
    // Given a listener that never answers,
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = silent.local_addr().expect("bound");
    let http = adapter(&format!("http://{address}"), Duration::from_millis(50));
    let answer = http.request(request_id(1)).await;
    assert!(matches!(answer, Err(Error::TimedOut)), "{answer:?}");

    // and one that is gone.
    drop(silent);
    let http = adapter(&format!("http://{address}"), Duration::from_secs(20));
    let answer = http.request(request_id(1)).await;
    assert!(matches!(&answer, Err(error @ Error::Connection(_)) if error.is_unknown()), "{answer:?}");
}

#[tokio::test]
async fn a_gateway_timeout_is_unknown_and_the_card_is_made_all_the_same() {
    let world = World::new();
    let patient = world.http().await;
    world.behave(r#"{"lose_answers": true}"#);
    assert!(patient.issue(world.request(1, "ADA")).await.expect_err("lost").is_unknown());
    let state = patient.request(request_id(1)).await.expect("definite");
    assert!(matches!(state, RequestState::Done(Some(_))));
    assert!(patient.late_answers().is_none());
}
