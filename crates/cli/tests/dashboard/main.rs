//! Stories of the dashboard API over a whole stack, through real connections.

mod stack;

use std::sync::atomic::Ordering;
use std::time::Duration;

use florin_engine::terms::Change;
use florin_gateway::http::rates::Rate;
use reqwest::Method;
use stack::{KEY, Stack};

#[tokio::test]
async fn a_card_is_created_topped_up_read_and_gives_a_code() {
    let stack = Stack::demo().await;
    // When alice asks for a card of 100.00,
    let created = stack.post("/users/alice/cards", r#"{"cardName":"Travel","initialBalance":100.00}"#).await;
    // then 108.00 is taken, and the card is active and masked.
    assert_eq!(created.status, 201, "{}", created.body);
    for (field, raw) in [
        ("cardName", "\"Travel\""),
        ("cvv", "\"***\""),
        ("balance", "100.00"),
        ("status", "\"active\""),
        ("issueFee", "5.00"),
        ("serviceFee", "3.00"),
        ("totalDeducted", "108.00"),
    ] {
        assert_eq!(created.raw(field), raw, "{field}");
    }
    assert!(created.text("cardNumber").starts_with("**** **** **** "), "{}", created.body);
    assert_eq!(created.text("expiryDate").len(), 5);
    assert!(created.headers.contains_key("x-florin-position"));
    assert!(created.headers.contains_key("x-request-id"));
    let card = created.text("cardId");

    // A top-up of 10.00 takes 10.30.
    let topped_up = stack.post(&format!("/users/alice/cards/{card}/topup"), r#"{"amount":"10.00"}"#).await;
    assert_eq!(topped_up.status, 200, "{}", topped_up.body);
    for (field, raw) in [("amount", "10.00"), ("serviceFee", "0.30"), ("totalDeducted", "10.30"), ("balance", "110.00")]
    {
        assert_eq!(topped_up.raw(field), raw, "{field}");
    }
    assert_eq!(stack.wallet("alice").await, 1_000_000 - 10_800 - 1_030);

    // The list shows it masked, with what it has now.
    let list = stack.get("/users/alice/cards").await;
    assert_eq!(list.status, 200);
    assert_eq!(list.text("cards.0.cardId"), card);
    assert_eq!(list.raw("cards.0.balance"), "110.00");
    assert_eq!(list.text("cards.0.cardNumber"), created.text("cardNumber"));
    assert_eq!(list.text("cards.0.cvv"), "***");
    assert!(list.headers.contains_key("x-florin-as-of"));

    // The details show it in full, for nobody to keep.
    let details = stack.get(&format!("/users/alice/cards/{card}")).await;
    assert_eq!(details.status, 200, "{}", details.body);
    let number = details.text("cardNumber");
    assert!(number.len() == 16 && number.bytes().all(|digit| digit.is_ascii_digit()));
    assert_eq!(number[12..], created.text("cardNumber")[15..]);
    assert_eq!(details.text("expiryDate"), created.text("expiryDate"));
    assert_eq!(details.text("cvv").len(), 3);
    assert_eq!(details.headers["cache-control"], "no-store");

    // Its statement has the top-up first, under the id that was answered.
    let path = format!("/users/alice/cards/{card}/transactions");
    let statement = stack.get(&path).await;
    assert_eq!(statement.status, 200, "{}", statement.body);
    assert!(statement.body.contains(&topped_up.text("transactionId")));
    assert_eq!(statement.raw("nextCursor"), "null");

    // And page by page it is the same, in the same order.
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = stack.get(&format!("{path}?limit=1{cursor}")).await;
        ids.push(page.text("transactions.0.transactionId"));
        if page.raw("nextCursor") == "null" {
            break;
        }
        cursor = format!("&cursor={}", page.text("nextCursor"));
    }
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(&statement.text(&format!("transactions.{n}.transactionId")), id);
    }

    // A code comes for the active card.
    let code = stack.get(&format!("/users/alice/cards/{card}/otp")).await;
    assert_eq!(code.status, 200, "{}", code.body);
    assert_eq!(code.text("code").len(), 6);
    assert!(code.text("expiresAt").ends_with('Z'));
    assert_eq!(code.headers["cache-control"], "no-store");
    stack.stop().await;
}

#[tokio::test]
async fn bounds_name_their_field_and_nothing_changes() {
    let stack = Stack::demo().await;
    let card = stack.card("alice").await;
    let before = stack.wallet("alice").await;
    for (amount, bound, figure) in
        [("24.99", "minimum", "25.00"), ("100000.01", "maximum", "100000.00"), ("0", "minimum", "25.00")]
    {
        let body = format!(r#"{{"cardName":"x","initialBalance":{amount}}}"#);
        let got = stack.post("/users/alice/cards", &body).await;
        assert_eq!(got.error(), (400, "invalid_request".to_owned()), "{amount}");
        assert_eq!(got.text("error.details.field"), "initialBalance");
        assert_eq!(got.text("error.details.bound"), bound);
        assert_eq!(got.raw(&format!("error.details.{bound}")), figure);
    }
    for (amount, bound, figure) in
        [("9.99", "minimum", "10.00"), ("10000.01", "maximum", "10000.00"), ("0", "minimum", "10.00")]
    {
        let got = stack.post(&format!("/users/alice/cards/{card}/topup"), &format!(r#"{{"amount":{amount}}}"#)).await;
        assert_eq!(got.error(), (400, "invalid_request".to_owned()), "{amount}");
        assert_eq!(got.text("error.details.field"), "amount");
        assert_eq!(got.raw(&format!("error.details.{bound}")), figure);
    }
    assert_eq!(stack.wallet("alice").await, before);
    stack.stop().await;
}

#[tokio::test]
async fn what_is_no_amount_or_name_is_a_clear_400() {
    let stack = Stack::demo().await;
    let card = stack.card("alice").await;
    let path = format!("/users/alice/cards/{card}/topup");
    let before = stack.wallet("alice").await;
    for amount in [
        "10.005",
        "-5",
        "\"-5\"",
        "\"1e3\"",
        "1e3",
        "\"NaN\"",
        "100000000000000000000",
        "true",
        "null",
        "[]",
        "{}",
        "\"\"",
        "\"ten\"",
        "\"١٠\"",
    ] {
        let got = stack.post(&path, &format!(r#"{{"amount":{amount}}}"#)).await;
        assert_eq!(got.error(), (400, "invalid_request".to_owned()), "{amount}");
        assert_eq!(got.text("error.details.field"), "amount", "{amount}");
    }
    let deep = format!("{{\"amount\":{}", "[".repeat(30_000));
    for body in ["", "{", "[]", "NaN", "{\"amount\":NaN}", "{\"amount\":12,\"amount\":13}", "{}", &deep] {
        let got = stack.post(&path, body).await;
        assert_eq!(got.error(), (400, "invalid_request".to_owned()), "{body:.20}");
    }
    let long = "n".repeat(10_000);
    for name in ["", "a\\u0000b", "a\\nb", "\\ud800", &long] {
        let body = format!(r#"{{"cardName":"{name}","initialBalance":100}}"#);
        let got = stack.post("/users/alice/cards", &body).await;
        assert_eq!(got.error(), (400, "invalid_request".to_owned()), "{name:.20}");
        assert_eq!(got.text("error.details.field"), "cardName");
    }
    assert_eq!(stack.wallet("alice").await, before);
    // 50 characters of any kind are a name.
    let name = "𝒳".repeat(50);
    let body = format!(r#"{{"cardName":"{name}","initialBalance":100,"unknown":{{"deep":[1]}}}}"#);
    assert_eq!(stack.post("/users/alice/cards", &body).await.text("cardName"), name);
    stack.stop().await;
}

#[tokio::test]
async fn bodies_methods_and_types_that_do_not_fit_are_refused() {
    let stack = Stack::demo().await;
    let path = "/users/alice/cards";
    let large = format!(r#"{{"cardName":"{}"}}"#, "x".repeat(10 << 20));
    assert_eq!(stack.post(path, &large).await.error(), (413, "payload_too_large".to_owned()));
    let put = stack.call(Method::PUT, path, &[("x-api-key", KEY)], None).await;
    assert_eq!(put.error(), (405, "method_not_allowed".to_owned()));
    let allow = put.headers["allow"].to_str().unwrap();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    let plain = [("x-api-key", KEY), ("content-type", "text/plain")];
    let got = stack.call(Method::POST, path, &plain, None).await;
    assert_eq!(got.error(), (415, "unsupported_media_type".to_owned()));
    assert_eq!(stack.get("/nothing").await.error(), (404, "not_found".to_owned()));
    stack.stop().await;
}

#[tokio::test]
async fn without_a_good_key_nothing_is_answered_and_guessing_is_slowed() {
    let stack = Stack::demo_with(|settings| settings.rates.refused = Rate::new(3, Duration::from_hours(1))).await;
    for headers in [&[][..], &[("x-api-key", "wrong")], &[("authorization", "Basic x")]] {
        let got = stack.call(Method::GET, "/users/alice/cards", headers, None).await;
        assert_eq!(got.error(), (401, "unauthorized".to_owned()));
        assert_eq!(got.headers["www-authenticate"], "Bearer");
    }
    let got = stack.call(Method::GET, "/users/alice/cards", &[("x-api-key", "wrong")], None).await;
    assert_eq!(got.error(), (429, "rate_limited".to_owned()));
    assert!(got.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    // A good key is not held up by it, in either header.
    let bearer = format!("Bearer {KEY}");
    let got = stack.call(Method::GET, "/users/alice/cards", &[("authorization", &bearer)], None).await;
    assert_eq!(got.status, 200);
    stack.stop().await;
}

#[tokio::test]
async fn too_many_requests_of_a_key_are_told_when_to_come_back() {
    let stack = Stack::demo_with(|settings| settings.rates.per_key = Rate::new(2, Duration::from_hours(1))).await;
    for _ in 0..2 {
        assert_eq!(stack.get("/users/alice/cards").await.status, 200);
    }
    let got = stack.get("/users/alice/cards").await;
    assert_eq!(got.error(), (429, "rate_limited".to_owned()));
    assert!(got.headers.contains_key("retry-after"));
    stack.stop().await;
}

#[tokio::test]
async fn another_users_card_and_no_card_are_answered_alike() {
    let stack = Stack::demo().await;
    stack.register("other", "alice", 1_000_000).await;
    let card = stack.card("alice").await;
    let strip = |got: stack::Got| (got.status, got.body);
    let none = "0192f0c1-2b3c-8000-8123-456789abcdef";
    for (method, end, body) in [
        (Method::GET, "", None),
        (Method::GET, "/transactions", None),
        (Method::GET, "/otp", None),
        (Method::POST, "/topup", Some(r#"{"amount":10}"#)),
    ] {
        let mut answers = Vec::new();
        for (key, user, card) in [
            (KEY, "bob", card.as_str()),
            (KEY, "bob", none),
            (KEY, "bob", "no-uuid"),
            (KEY, "mallory", card.as_str()),
            ("key-of-other", "alice", card.as_str()),
        ] {
            let path = format!("/users/{user}/cards/{card}{end}");
            answers.push(strip(stack.call(method.clone(), &path, &[("x-api-key", key)], body).await));
        }
        assert_eq!(answers[0].0, 404, "{end}: {}", answers[0].1);
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{end}: {answers:?}");
    }
    assert!(!stack.get("/users/bob/cards").await.body.contains(&card));
    stack.stop().await;
}

#[tokio::test]
async fn an_unknown_user_is_404_on_every_call_whatever_is_asked() {
    let stack = Stack::demo().await;
    let body = r#"{"cardName":"x","initialBalance":100}"#;
    for user in ["nobody", "%00", "%FF", &"u".repeat(300)] {
        let path = format!("/users/{user}/cards");
        assert_eq!(stack.get(&path).await.error().0, 404, "{user}");
        for body in [body, "{}", "no json"] {
            assert_eq!(stack.post(&path, body).await.error().0, 404, "{user}");
        }
    }
    stack.stop().await;
}

#[tokio::test]
async fn the_same_key_has_one_effect_and_one_answer() {
    let stack = Stack::demo().await;
    let body = r#"{"cardName":"Travel","initialBalance":100}"#;
    // Fifty at once,
    let path = "/users/alice/cards";
    let calls = (0..50).map(|_| stack.post_as(path, "create-1", body));
    let mut answers = Vec::new();
    for call in futures(calls).await {
        assert_eq!(call.status, 201, "{}", call.body);
        answers.push(call);
    }
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert!(answers.windows(2).all(|pair| pair[0].body == pair[1].body));
    assert_eq!(stack.wallet("alice").await, 1_000_000 - 10_800);
    // written otherwise but the same, after the card has become another,
    let card = answers[0].text("cardId");
    let topup = format!("/users/alice/cards/{card}/topup");
    let topped_up = stack.post_as(&topup, "topup-1", r#"{"amount":10}"#).await;
    stack.change(&card, Change::Freeze).await;
    let again = stack.post_as(path, "create-1", r#"{"initialBalance":"100.00","cardName":"Tra\u0076el","x":1}"#).await;
    assert!(again.replayed);
    assert_eq!((again.status, &again.body), (201, &answers[0].body));
    let again = stack.post_as(&topup, "topup-1", r#"{"amount":"10.00"}"#).await;
    assert_eq!((again.replayed, &again.body), (true, &topped_up.body));
    assert_eq!(again.headers["x-florin-position"], topped_up.headers["x-florin-position"]);
    // and with other content a conflict, on another call too.
    for (path, body) in [(path, r#"{"cardName":"Travel","initialBalance":101}"#), (&*topup, r#"{"amount":10}"#)] {
        assert_eq!(stack.post_as(path, "create-1", body).await.error(), (409, "idempotency_conflict".to_owned()));
    }
    // A refusal is an outcome too.
    let refused = stack.post_as(&topup, "topup-2", r#"{"amount":9}"#).await;
    let again = stack.post_as(&topup, "topup-2", r#"{"amount":9}"#).await;
    assert_eq!((again.status, again.replayed, &again.body), (400, true, &refused.body));
    // Another user's same key is another key.
    assert_eq!(stack.post_as("/users/bob/cards", "create-1", body).await.status, 201);
    for key in ["", &"k".repeat(256)] {
        assert_eq!(stack.post_as(path, key, body).await.error().0, 400);
    }
    stack.stop().await;
}

/// All of them at once.
async fn futures<F: Future + Send>(calls: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut calls: Vec<_> = calls.into_iter().map(|call| (Box::pin(call), None)).collect();
    std::future::poll_fn(|context| {
        let mut open = false;
        for (call, answer) in &mut calls {
            if answer.is_none() {
                match call.as_mut().poll(context) {
                    std::task::Poll::Ready(got) => *answer = Some(got),
                    std::task::Poll::Pending => open = true,
                }
            }
        }
        if open { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    calls.into_iter().filter_map(|(_, answer)| answer).collect()
}

#[tokio::test]
async fn too_little_money_says_needed_and_available_and_a_sixth_card_is_refused() {
    let stack = Stack::demo().await;
    stack.register("demo", "poor", 10_799).await;
    let got = stack.post("/users/poor/cards", r#"{"cardName":"x","initialBalance":100}"#).await;
    assert_eq!(got.error(), (409, "insufficient_balance".to_owned()));
    assert_eq!(
        (got.raw("error.details.needed"), got.raw("error.details.available")),
        ("108.00".into(), "107.99".into())
    );
    for _ in 0..5 {
        stack.card("alice").await;
    }
    let sixth = stack.post("/users/alice/cards", r#"{"cardName":"x","initialBalance":100}"#).await;
    assert_eq!(sixth.error(), (409, "card_limit_reached".to_owned()));
    assert_eq!((sixth.raw("error.details.limit"), sixth.raw("error.details.used")), ("5".into(), "5".into()));
    stack.stop().await;
}

#[tokio::test]
async fn a_card_that_is_not_settled_in_time_is_202_and_later_201() {
    let stack = Stack::demo_with(|settings| settings.settlement_wait = Duration::from_millis(50)).await;
    stack.settling.store(false, Ordering::SeqCst);
    let body = r#"{"cardName":"Travel","initialBalance":100}"#;
    let created = stack.post_as("/users/alice/cards", "create", body).await;
    assert_eq!(created.status, 202, "{}", created.body);
    assert_eq!((created.raw("cardNumber"), created.raw("expiryDate")), ("null".into(), "null".into()));
    assert_eq!((created.text("status"), created.raw("totalDeducted")), ("frozen".into(), "108.00".into()));
    // Until then there is nothing to reveal, and nothing moves.
    let card = created.text("cardId");
    let details = stack.get(&format!("/users/alice/cards/{card}")).await;
    for field in ["cardNumber", "expiryDate", "cvv"] {
        assert_eq!(details.raw(field), "null");
    }
    let code = stack.get(&format!("/users/alice/cards/{card}/otp")).await;
    assert_eq!(code.error(), (409, "invalid_status".to_owned()));
    let topup = stack.post(&format!("/users/alice/cards/{card}/topup"), r#"{"amount":10}"#).await;
    assert_eq!(topup.error(), (409, "invalid_status".to_owned()));
    // Settled, the same call says so.
    stack.settling.store(true, Ordering::SeqCst);
    loop {
        let again = stack.post_as("/users/alice/cards", "create", body).await;
        assert!(again.replayed);
        assert_eq!(again.text("cardId"), card);
        if again.status == 201 {
            break;
        }
    }
    stack.stop().await;
}

#[tokio::test]
async fn what_the_issuer_refuses_is_409_with_everything_back() {
    let stack = Stack::demo().await;
    let body = r#"{"cardName":"sandbox refuse","initialBalance":100}"#;
    let got = stack.post_as("/users/alice/cards", "create", body).await;
    assert_eq!(got.error(), (409, "issuance_refused".to_owned()), "{}", got.body);
    assert_eq!(got.raw("error.details.refunded"), "108.00");
    assert_eq!(stack.wallet("alice").await, 1_000_000);
    let again = stack.post_as("/users/alice/cards", "create", body).await;
    assert_eq!((again.replayed, &again.body), (true, &got.body));
    assert_eq!(stack.get("/users/alice/cards").await.body, r#"{"cards":[]}"#);
    stack.stop().await;
}

#[tokio::test]
async fn an_issuer_out_of_reach_is_503_for_reveals_only() {
    let stack = Stack::demo().await;
    let card = stack.card("alice").await;
    stack.line.cut(true);
    for end in ["", "/otp"] {
        let got = stack.get(&format!("/users/alice/cards/{card}{end}")).await;
        assert_eq!(got.error(), (503, "busy".to_owned()), "{end}");
        assert!(got.headers.contains_key("retry-after"));
    }
    assert_eq!(stack.get("/users/alice/cards").await.status, 200);
    stack.line.cut(false);
    assert_eq!(stack.get(&format!("/users/alice/cards/{card}")).await.status, 200);
    stack.stop().await;
}

#[tokio::test]
async fn each_reveal_is_recorded_before_it_is_shown_and_they_are_limited() {
    let stack = Stack::demo_with(|settings| settings.rates.reveals = Rate::new(2, Duration::from_hours(1))).await;
    let (card, other) = (stack.card("alice").await, stack.card("alice").await);
    // Even what the issuer then does not answer was recorded.
    stack.line.cut(true);
    assert_eq!(stack.get(&format!("/users/alice/cards/{card}")).await.status, 503);
    stack.line.cut(false);
    assert_eq!(stack.get(&format!("/users/alice/cards/{card}/otp")).await.status, 200);
    let got = stack.get(&format!("/users/alice/cards/{card}")).await;
    assert_eq!(got.error(), (429, "rate_limited".to_owned()));
    assert_eq!(stack.get(&format!("/users/alice/cards/{other}")).await.status, 200);
    let id = florin_engine::ids::CardId::from(card.parse::<uuid::Uuid>().unwrap());
    stack.wallet("alice").await;
    let history = stack.views.history(id).unwrap();
    let shown: Vec<_> = history.iter().filter(|step| step.event == "Revealed").map(|step| &*step.words).collect();
    assert_eq!(shown, ["Details shown", "OneTimeCode shown"]);
    stack.stop().await;
}

#[tokio::test]
async fn head_reveals_nothing_and_makes_no_code() {
    let stack = Stack::demo().await;
    let card = stack.card("alice").await;
    for end in ["", "/otp"] {
        let path = format!("/users/alice/cards/{card}{end}");
        let head = stack.call(Method::HEAD, &path, &[("x-api-key", KEY)], None).await;
        assert_eq!((head.status, &*head.body, &head.headers["allow"]), (405, "", &"GET".parse().unwrap()), "{end}");
    }
    let id = florin_engine::ids::CardId::from(card.parse::<uuid::Uuid>().unwrap());
    stack.wallet("alice").await;
    let history = stack.views.history(id).unwrap();
    assert!(history.iter().all(|step| step.event != "Revealed"));
    stack.stop().await;
}

#[tokio::test]
async fn a_card_is_shown_by_its_state_and_closed_ones_are_left_out() {
    let stack = Stack::demo().await;
    let card = stack.card("alice").await;
    for (change, status) in [(Change::Freeze, "frozen"), (Change::Thaw, "active"), (Change::Block, "blocked")] {
        stack.change(&card, change).await;
        let details = stack.get(&format!("/users/alice/cards/{card}")).await;
        assert_eq!(details.text("status"), status);
        assert_eq!(details.text("cardNumber").len(), 16, "{status}");
        let code = stack.get(&format!("/users/alice/cards/{card}/otp")).await;
        assert_eq!(code.status == 200, status == "active", "{status}: {}", code.body);
    }
    let topup = stack.post(&format!("/users/alice/cards/{card}/topup"), r#"{"amount":10}"#).await;
    assert_eq!(topup.error(), (409, "invalid_status".to_owned()));
    assert_eq!(topup.text("error.details.status"), "blocked");
    stack.change(&card, Change::Unblock).await;
    stack.change(&card, Change::Cancel).await;
    assert_eq!(stack.get("/users/alice/cards").await.body, r#"{"cards":[]}"#);
    let details = stack.get(&format!("/users/alice/cards/{card}")).await;
    assert_eq!((details.status, details.text("status")), (200, "blocked".to_owned()), "{}", details.body);
    assert_eq!(details.raw("cardNumber"), "null");
    // What was on it is in the wallet again, and the statement says how.
    assert_eq!(stack.wallet("alice").await, 1_000_000 - 800);
    let statement = stack.get(&format!("/users/alice/cards/{card}/transactions")).await;
    assert_eq!(
        (statement.text("transactions.0.type"), statement.text("transactions.0.direction")),
        ("sweep".into(), "debit".into())
    );
    stack.stop().await;
}

#[tokio::test]
async fn a_position_that_is_not_reached_is_503_and_one_out_of_form_400() {
    let stack = Stack::demo_with(|settings| settings.read_wait = Duration::from_millis(20)).await;
    let read = |position: &'static str| {
        let headers = [("x-api-key", KEY), ("x-florin-position", position)];
        let stack = &stack;
        async move { stack.call(Method::GET, "/users/alice/cards", &headers, None).await }
    };
    assert_eq!(read("0-1.0").await.status, 200);
    assert_eq!(read("0-99999.0").await.error(), (503, "busy".to_owned()));
    assert_eq!(read("x").await.error(), (400, "invalid_request".to_owned()));
    assert_eq!(read("2-1.0").await.error(), (400, "invalid_request".to_owned()));
    stack.stop().await;
}

#[tokio::test]
async fn an_erased_user_is_nobody() {
    let stack = Stack::demo().await;
    stack.card("alice").await;
    stack.vault.destroy(stack.account("demo", "alice").0).unwrap();
    assert_eq!(stack.get("/users/alice/cards").await.error().0, 404);
    let body = r#"{"cardName":"x","initialBalance":100}"#;
    assert_eq!(stack.post("/users/alice/cards", body).await.error().0, 404);
    stack.stop().await;
}

#[tokio::test]
async fn the_document_is_openapi_3_1_with_every_route_and_error() {
    let stack = Stack::demo().await;
    let got = stack.call(Method::GET, "/openapi.json", &[], None).await;
    assert_eq!(got.status, 200);
    assert!(got.text("openapi").starts_with("3.1"), "{}", got.text("openapi"));
    assert_eq!(got.text("servers.0.url"), "/api/dashboard");
    let document: serde_json::Value = serde_json::from_str(&got.body).unwrap();
    for (path, method, statuses) in [
        (
            "/users/{userId}/cards",
            "post",
            &["201", "202", "400", "401", "404", "405", "409", "413", "415", "429", "503"][..],
        ),
        ("/users/{userId}/cards", "get", &["200", "401", "404", "429", "503"]),
        ("/users/{userId}/cards/{cardId}", "get", &["200", "401", "404", "409", "429", "503"]),
        (
            "/users/{userId}/cards/{cardId}/topup",
            "post",
            &["200", "400", "401", "404", "409", "413", "415", "429", "503"],
        ),
        ("/users/{userId}/cards/{cardId}/transactions", "get", &["200", "400", "401", "404", "429", "503"]),
        ("/users/{userId}/cards/{cardId}/otp", "get", &["200", "401", "404", "409", "429", "503"]),
    ] {
        for status in statuses {
            let response = &document["paths"][path][method]["responses"][status];
            assert!(response["content"]["application/json"]["schema"].is_object(), "{method} {path} {status}");
        }
    }
    stack.stop().await;
}

#[tokio::test]
async fn answers_carry_the_callers_request_id_and_security_headers_and_no_cors() {
    let stack = Stack::demo().await;
    let headers = [("x-api-key", KEY), ("x-request-id", "my-id.7"), ("origin", "https://evil.example")];
    let got = stack.call(Method::GET, "/users/alice/cards", &headers, None).await;
    assert_eq!(got.headers["x-request-id"], "my-id.7");
    assert_eq!(got.headers["x-content-type-options"], "nosniff");
    assert!(!got.headers.contains_key("access-control-allow-origin"));
    let headers = [("x-api-key", KEY), ("x-request-id", "my id")];
    let got = stack.call(Method::GET, "/users/alice/cards", &headers, None).await;
    assert_ne!(got.headers["x-request-id"], "my id");
    stack.stop().await;
}
