//! One key, one effect: at once, again, after a restart, and never with another body.

use reqwest::Method;

use crate::server::{Server, minor, send};

#[tokio::test]
async fn one_key_has_one_effect_fifty_times_at_once_and_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let card = server.card("alice", "100").await;
    let path = format!("/users/alice/cards/{card}/topup");
    let topup = |server: &Server, amount: &str| {
        server
            .dashboard(Method::POST, &path)
            .header("idempotency-key", "once")
            .body(format!(r#"{{"amount": {amount}}}"#))
    };

    // When the same request comes 50 times at once, then all get the same answer
    let requests: Vec<_> = (0..50).map(|_| tokio::spawn(send(topup(&server, "10.00"), 200))).collect();
    let mut answers = Vec::new();
    for request in requests {
        answers.push(request.await.unwrap());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    // And the money moved once
    let listed = server.listed("alice", &card).await;
    assert_eq!(minor(&listed["balance"]), 110_00);

    // When the server is killed and started again, then the answer is still the same, and says that it is a replay
    server.kill();
    let server = Server::start(&data);
    let replay = topup(&server, "10").header("content-type", "application/json").send().await.unwrap();
    assert_eq!(replay.headers()["idempotency-replayed"], "true");
    let replay: serde_json::Value = replay.json().await.unwrap();
    assert_eq!(replay, answers[0]);

    // When the key comes with another amount, then it is a conflict and nothing moves
    let conflict = send(topup(&server, "11.00"), 409).await;
    assert_eq!(conflict["error"]["code"], "idempotency_conflict");
    let listed = server.listed("alice", &card).await;
    assert_eq!(minor(&listed["balance"]), 110_00);
}
