//! The demo as its README tells it, with exact figures.

use std::os::unix::fs::PermissionsExt;

use reqwest::Method;

use crate::server::{Server, florin, minor, send};

#[tokio::test]
async fn a_card_is_made_topped_up_read_and_gets_a_code() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));

    // Given alice with 10,000.00, when a card with 100.00 is made, then 3% and 5.00 come on top
    let made = send(
        server
            .dashboard(Method::POST, "/users/alice/cards")
            .body(r#"{"cardName": "Travel", "initialBalance": 100.00}"#),
        201,
    )
    .await;
    assert_eq!(minor(&made["balance"]), 100_00);
    assert_eq!(minor(&made["issueFee"]), 5_00);
    assert_eq!(minor(&made["serviceFee"]), 3_00);
    assert_eq!(minor(&made["totalDeducted"]), 108_00);
    assert_eq!(made["status"], "active");
    assert_eq!(server.wallet("alice", "USD").await, 9_892_00);

    // When it is topped up with 10.00, then 10.30 are taken
    let card = made["cardId"].as_str().unwrap();
    let topped = send(
        server.dashboard(Method::POST, &format!("/users/alice/cards/{card}/topup")).body(r#"{"amount": 10}"#),
        200,
    )
    .await;
    assert_eq!(minor(&topped["serviceFee"]), 30);
    assert_eq!(minor(&topped["totalDeducted"]), 10_30);
    assert_eq!(minor(&topped["balance"]), 110_00);
    assert_eq!(server.wallet("alice", "USD").await, 9_881_70);

    // Then the card shows in full, its transactions newest first, and a code is to be had
    let full = send(server.dashboard(Method::GET, &format!("/users/alice/cards/{card}")), 200).await;
    assert_eq!(full["cardNumber"].as_str().unwrap().replace(' ', "").len(), 16);
    assert_eq!(full["cvv"].as_str().unwrap().len(), 3);
    let statement = send(server.dashboard(Method::GET, &format!("/users/alice/cards/{card}/transactions")), 200).await;
    let rows = statement["transactions"].as_array().unwrap();
    let figures: Vec<(&str, i64)> =
        rows.iter().map(|row| (row["type"].as_str().unwrap(), minor(&row["amount"]))).collect();
    assert_eq!(figures, [("fee", 30), ("top_up", 10_00), ("fee", 3_00), ("fee", 5_00), ("issue", 100_00)]);
    assert_eq!(rows[1]["transactionId"], topped["transactionId"]);
    let code = send(server.dashboard(Method::GET, &format!("/users/alice/cards/{card}/otp")), 200).await;
    assert!(code["code"].as_str().is_some_and(|code| !code.is_empty()));

    // And bob cannot see it
    for path in ["", "/transactions", "/otp"] {
        let path = format!("/users/bob/cards/{card}{path}");
        send(server.dashboard(Method::GET, &path), 404).await;
    }

    // And nothing secret was logged
    let number = full["cardNumber"].as_str().unwrap();
    let logged = server.logged();
    for secret in [number, &number.replace(' ', ""), server.demo["ops"]["api_key"].as_str().unwrap()] {
        assert!(!logged.contains(secret));
    }
}

#[tokio::test]
async fn the_demo_tells_how_to_use_it_and_a_second_start_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);

    // The file is for its owner only, and what is printed leads to the same place
    let mode = std::fs::metadata(data.join("demo.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let demo = server.demo.clone();
    assert_eq!(demo["dashboard"]["users"], serde_json::json!(["alice", "bob"]));
    for api in ["dashboard", "ops", "sandbox"] {
        assert!(server.printed.contains(demo[api]["base_url"].as_str().unwrap()));
    }
    assert!(server.printed.contains(demo["dashboard"]["api_key"].as_str().unwrap()));
    assert_eq!(server.printed.matches("curl ").count(), 3, "{}", server.printed);
    for user in ["alice", "bob", "carol"] {
        assert_eq!(server.wallet(user, "USD").await, 10_000_00);
    }
    server.card("alice", "100").await;
    let before = send(server.ops(Method::GET, "/trial-balance"), 200).await;
    assert!(server.terminate().success());

    // When it starts again, then keys, policy and money are as they were
    let server = Server::start(&data);
    assert_eq!(server.demo["dashboard"]["api_key"], demo["dashboard"]["api_key"]);
    assert_eq!(server.demo["ops"]["api_key"], demo["ops"]["api_key"]);
    let after = send(server.ops(Method::GET, "/trial-balance"), 200).await;
    assert_eq!(after["currencies"], before["currencies"]);
    assert_eq!(server.wallet("alice", "USD").await, 9_892_00);
}

#[tokio::test]
async fn a_ledger_of_several_partitions_is_served_like_one() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let made = florin().args(["ledger", "create", "--partitions", "4", "--data"]).arg(&data).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let server = Server::start(&data);
    for user in ["alice", "bob"] {
        server.card(user, "100").await;
    }
    server.kill();
    let server = Server::start(&data);
    let policy = send(server.ops(Method::GET, "/policy"), 200).await;
    assert_eq!(policy["partitions"].as_array().unwrap().len(), 4);
    for user in ["alice", "bob"] {
        assert_eq!(server.wallet(user, "USD").await, 9_892_00);
    }
    let balance = send(server.ops(Method::GET, "/trial-balance"), 200).await;
    assert_eq!(minor(&balance["currencies"]["USD"]["accounts"]["cards"]), 200_00);
    assert_eq!(balance["balanced"], true);
}

/// A script that waits for `/readyz` must find what `demo.json` promises.
#[tokio::test]
async fn ready_means_that_the_demo_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let ports: Vec<String> =
        (0..2).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()).collect();
    let mut child = florin()
        .args(["serve", "--demo", "--listen", &ports[0], "--ops-listen", &ports[1], "--data"])
        .arg(&data)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut polls = 0;
    loop {
        let answer = reqwest::get(format!("http://{}/readyz", ports[0])).await;
        let demo = data.join("demo.json").exists();
        if answer.is_ok_and(|answer| answer.status() == 200) {
            assert!(demo, "ready without its demo.json");
            break;
        }
        polls += 1;
        assert!(polls < 100_000 && child.try_wait().unwrap().is_none(), "never ready");
        tokio::task::yield_now().await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A large one would be cleared as a whole by whoever touches it first.
#[cfg(target_os = "linux")]
#[test]
fn its_memory_is_in_small_pages() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    assert!(server.status().lines().any(|line| line == "THP_enabled:\t0"), "{}", server.status());
}
