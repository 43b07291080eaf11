//! The document's errors, to the letter; idempotency; hostile input; and nothing that a refused request changes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::desk::{Desk, PLASTIC, USDC, failed, with_invoice};
use crate::server::send;

fn validation(reason: &str, description: &str, details: &[(&str, &str)]) -> Value {
    let details: Vec<Value> = details.iter().map(|(key, details)| json!({"key": key, "details": details})).collect();
    json!({
        "error_reason": reason,
        "error_description": description,
        "error_category": {"category": "CategoryValidationFailure", "http_status_code": 400},
        "error_details": details,
    })
}

fn missing(field: &str) -> Value {
    let description = format!("{field} is required");
    validation("ErrorMissingField", &description, &[("field", field), ("issue", "missing")])
}

fn invalid(field: &str, words: &str, pattern: &str) -> Value {
    let description = format!("Invalid format for {words}");
    let details = [("field", field), ("issue", "invalid_format"), ("pattern", pattern)];
    validation("ErrorInvalidField", &description, &details)
}

fn delivery_id() -> Value {
    let description = "Delivery ID is required and must be positive";
    validation("ErrorGeneral", description, &[("field", "delivery_id")])
}

#[tokio::test]
async fn fields_out_of_form_are_named_with_the_documents_patterns() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::start(&dir.path().join("data"));
    let before = (desk.get("/api/v1/cards").await.text, desk.wallet("USDC").await);

    // The document's two samples
    desk.post("/api/v2/cards/plastic", r#"{"delivery_provider": "DHL"}"#).await.is(&missing("delivery_address"));
    let any = "64120850-73a1-4df5-a074-d463258c9deb";
    let activate = format!("/api/v1/cards/{any}/activate");
    let last4 = invalid("card_number_last4", "card number last4", r"^\d{4}$");
    for wrong in ["\"12a4\"", "\"123\"", "\"12345\"", "\"\"", "1234", "\"\u{661}\u{662}\u{663}\u{664}\"", "\"1234\\n\""]
    {
        let body = format!(r#"{{"card_number_last4": {wrong}, "expiry_date": "12/2027"}}"#);
        desk.put_json(&activate, &body).await.is(&last4);
    }
    desk.put_json(&activate, "{}").await.is(&missing("card_number_last4"));
    desk.put_json(&activate, r#"{"card_number_last4": "1234", "expiry_date": "13/2027"}"#).await.is(&invalid(
        "expiry_date",
        "expiry date",
        r"^(0[1-9]|1[0-2])/\d{4}$",
    ));

    // Names
    for (field, words, pattern, wrong) in [
        ("card_name", "card name", r"^[a-zA-Z0-9\-':+# @]{1,50}$", &["", "Caf\u{e9}", "a_b", "a\\nb"][..]),
        ("name_on_card", "name on card", "^[A-Za-z][A-Za-z .'-]{1,25}$", &["", "A", " Al", "R2", "\u{410}\u{43b}"]),
    ] {
        for wrong in
            wrong.iter().map(|wrong| format!("\"{wrong}\"")).chain([format!("\"{}\"", "a".repeat(51)), "7".into()])
        {
            let body = format!(r#"{{"{field}": {wrong}}}"#);
            desk.post("/api/v2/cards/virtual", &body).await.is(&invalid(field, words, pattern));
        }
    }

    // The address, field by field
    let line = r"^[A-Za-z0-9&.,''\-/() :+#]{2,100}$";
    for (field, pattern, wrong) in [
        ("line1", line, &["", "x", "10 Downing Street!", "Stra\u{df}e 1"][..]),
        ("line2", line, &["x", "Flat_2"]),
        ("city", r"^[A-Za-z\s\-'.]{2,100}$", &["", "L", "Lond0n", "a\u{a0}b"]),
        ("state", r"^[A-Za-z][A-Za-z\s\-']{1,99}$", &["N", "-ny", "N.Y."]),
        ("zip_code", r"^[A-Za-z0-9\s\-]{3,12}$", &["", "12", "1234567890123", "SW1A.2AA"]),
        ("country", "^[A-Z]{2}$", &["", "gb", "GBR", "G1"]),
    ] {
        for wrong in wrong {
            let mut body: Value = serde_json::from_str(PLASTIC).unwrap();
            body["delivery_address"][field] = json!(wrong);
            let words = format!("delivery address {}", field.replace('_', " "));
            let named = format!("delivery_address.{field}");
            desk.post("/api/v2/cards/plastic", &body.to_string()).await.is(&invalid(&named, &words, pattern));
        }
        let mut body: Value = serde_json::from_str(PLASTIC).unwrap();
        body["delivery_address"].as_object_mut().unwrap().remove(field);
        let got = desk.post("/api/v2/cards/plastic", &body.to_string()).await;
        match field {
            "line2" | "state" => got.is(&delivery_id()),
            _ => got.is(&missing(&format!("delivery_address.{field}"))),
        }
    }

    // Limits
    for (wrong, field) in
        [("-1", "daily_limit"), ("1e3", "daily_limit"), ("1.005", "monthly_limit"), ("true", "lifetime_limit")]
    {
        let body = format!(r#"{{"{field}": {wrong}}}"#);
        let words = field.replace('_', " ");
        let path = format!("/api/v1/cards/{any}/limit");
        desk.put_json(&path, &body).await.is(&invalid(field, &words, r"^\d+(\.\d{1,2})?$"));
    }

    // Bodies that are none
    for body in ["", "{", "[]", "null", "NaN"] {
        let got = desk.post("/api/v2/cards/virtual", body).await;
        assert_eq!((got.status.as_u16(), &got.json()["error_description"]), (400, &json!("Request validation failed")));
    }
    assert_eq!((desk.get("/api/v1/cards").await.text, desk.wallet("USDC").await), before);
}

#[tokio::test]
async fn fees_and_invoices_are_checked_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::start(&dir.path().join("data"));
    let not_found = |kind: &str| {
        validation(
            "ErrorNotFound",
            "No fees found for specified country and method",
            &[("fields", "type,country"), ("type", kind), ("country", "XX")],
        )
    };
    desk.get("/api/v1/cards/Virtual/fees/XX").await.is(&not_found("Virtual"));
    let pay = |country: &str| format!("/api/v2/cards/Plastic/fees/{country}/payment");
    let body = json!({"token_address": USDC, "delivery_provider": "DHL"}).to_string();
    desk.post(&pay("XX"), &body).await.is(&not_found("Plastic"));
    desk.get("/api/v1/cards/delivery/methods/XX").await.is(&validation(
        "ErrorNotFound",
        "No delivery methods found for country",
        &[("field", "country"), ("value", "XX")],
    ));
    let country = invalid("country", "country", "^[A-Z]{2}$");
    for wrong in ["gb", "GBR", "G", "%FF%FE", "%00A"] {
        desk.get(&format!("/api/v1/cards/Virtual/fees/{wrong}")).await.is(&country);
        desk.get(&format!("/api/v1/cards/delivery/methods/{wrong}")).await.is(&country);
    }
    for wrong in ["virtual", "Metal"] {
        let got = desk.get(&format!("/api/v1/cards/{wrong}/fees/GB")).await;
        got.is(&invalid("type", "type", "^(Virtual|Plastic)$"));
    }
    desk.post(&pay("GB"), "{}").await.is(&missing("token_address"));
    let only_token = json!({"token_address": USDC}).to_string();
    desk.post(&pay("GB"), &only_token).await.is(&missing("delivery_provider"));
    let unknown = |field: &str, description: &str| {
        validation("ErrorInvalidField", description, &[("field", field), ("issue", "unknown")])
    };
    let body = json!({"token_address": USDC, "delivery_provider": "Owl"}).to_string();
    desk.post(&pay("GB"), &body).await.is(&unknown("delivery_provider", "Unknown delivery provider"));
    let body = json!({"token_address": format!("0x{}", "1".repeat(40)), "delivery_provider": "DHL"}).to_string();
    desk.post(&pay("GB"), &body).await.is(&unknown("token_address", "Unknown token address"));
    // An address is the same in any case
    let body = json!({"token_address": USDC.to_ascii_lowercase(), "delivery_provider": "DHL"}).to_string();
    let id = desk.post(&pay("GB"), &body).await.ok()["delivery_id"].as_u64().unwrap();

    // What is no invoice of this kind, country and user, unused, is one and the same error
    let of_virtual = desk.invoice("Virtual").await;
    let germany = desk.post(&pay("DE"), &body).await.ok()["delivery_id"].as_u64().unwrap();
    for wrong in [0, of_virtual, germany, 999_999] {
        desk.post("/api/v2/cards/plastic", &with_invoice(wrong)).await.is(&delivery_id());
    }
    desk.post("/api/v2/cards/plastic", PLASTIC).await.is(&delivery_id());
    for wrong in ["-1", "\"1\"", "1.0", "true", "null", "[1]", "99999999999999999999999"] {
        desk.post("/api/v2/cards/virtual", &format!(r#"{{"delivery_id": {wrong}}}"#)).await.is(&delivery_id());
    }
    let other = with_invoice(id).replace("\"DHL\"", "\"Owl\"");
    desk.post("/api/v2/cards/plastic", &other).await.is(&validation(
        "ErrorInvalidField",
        "The delivery provider is not the one of the fees invoice",
        &[("field", "delivery_provider"), ("issue", "mismatch")],
    ));
    // The courier may be left out; a used invoice is none any more
    let silent = with_invoice(id).replace("\"delivery_provider\": \"DHL\",", "");
    desk.post("/api/v2/cards/plastic", &silent).await.ok();
    desk.post("/api/v2/cards/plastic", &with_invoice(id)).await.is(&delivery_id());
}

#[tokio::test]
async fn the_documents_500s_and_the_card_limit() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::start(&dir.path().join("data"));
    // The issuer refuses: everything is given back, the invoice too
    let id = desk.invoice("Virtual").await;
    let body = json!({"delivery_id": id, "card_name": "SANDBOX REFUSE"}).to_string();
    desk.post("/api/v2/cards/virtual", &body).await.is(&failed("Failed to issue virtual card"));
    assert_eq!(desk.wallet("USDC").await, "1000.0");
    assert_eq!(desk.get("/api/v1/cards").await.ok()["data"][0]["status_reason"], "Refused by issuer");
    let plastic = with_invoice(desk.invoice("Plastic").await).replace("My Travel Card", "SANDBOX REFUSE");
    desk.post("/api/v2/cards/plastic", &plastic).await.is(&failed("Failed to issue plastic card"));
    desk.post("/api/v2/cards/virtual", &json!({"delivery_id": id}).to_string()).await.ok();

    // Too little in the invoice's wallet: nothing is issued, and the invoice is still good
    let user = format!("/users/demo/{}:{}", desk.chain, desk.address.to_ascii_lowercase());
    let move_money = |what: &'static str, amount: &'static str| {
        let body = json!({"asset": "USDC", "amount": amount, "reference": "test"}).to_string();
        desk.server.ops(Method::POST, &format!("{user}/{what}")).body(body)
    };
    let id = desk.invoice("Virtual").await;
    let body = json!({"delivery_id": id}).to_string();
    send(move_money("withdrawals", "985"), 200).await;
    desk.post("/api/v2/cards/virtual", &body).await.is(&failed("Failed to process delivery payment"));
    send(move_money("deposits", "985"), 200).await;
    desk.post("/api/v2/cards/virtual", &body).await.ok();

    // Five cards that are not closed
    for _ in 0..3 {
        desk.virtual_card().await;
    }
    let id = desk.invoice("Virtual").await;
    let got = desk.post("/api/v2/cards/virtual", &json!({"delivery_id": id}).to_string()).await;
    got.is(&json!({
        "error_reason": "ErrorGeneral",
        "error_description": "Card limit reached",
        "error_category": {"category": "CategoryValidationFailure", "http_status_code": 400},
    }));
}

#[tokio::test]
async fn capabilities_follow_verification_and_country() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::start(&dir.path().join("data"));
    let user = format!("/users/demo/{}:{}", desk.chain, desk.address.to_ascii_lowercase());
    let verify = |level: &'static str, status: &'static str| {
        let levels = json!({"status": status, "levels": [{"type": level, "status": status, "name": level}]});
        send(desk.server.ops(Method::PUT, &format!("{user}/verification")).body(levels.to_string()), 200)
    };
    let needs = |level: &str| format!("Verification level {level} is required");
    for (level, status, capabilities) in [
        ("SDD", "Approved", [None, None]),
        ("BDD", "Approved", [None, Some(needs("SDD"))]),
        ("SDD", "Pending", [Some(needs("BDD")), Some(needs("SDD"))]),
        ("BDD", "Rejected", [Some(needs("BDD")), Some(needs("SDD"))]),
    ] {
        verify(level, status).await;
        let shown = desk.get("/api/v2/user").await.ok();
        assert_eq!(shown["verification"]["status"], status);
        for (n, reason) in capabilities.iter().enumerate() {
            let capability = &shown["capabilities"][n];
            match reason {
                None => {
                    assert_eq!(capability["status"], "Active");
                    assert!(capability.get("status_reason").is_none());
                }
                Some(reason) => {
                    assert_eq!(
                        (&capability["status"], &capability["status_reason"]),
                        (&json!("NotFulfilled"), &json!(reason))
                    );
                }
            }
            let (path, body, said) = match n {
                0 => ("virtual", "{}", "Virtual card capability is not active"),
                _ => ("plastic", PLASTIC, "Plastic card capability is not active"),
            };
            let got = desk.post(&format!("/api/v2/cards/{path}"), body).await;
            if reason.is_some() { got.is(&failed(said)) } else { got.is(&delivery_id()) }
        }
    }
    // The document's example, but for the missing level's place in it
    let shown = desk.get("/api/v2/user").await.ok();
    assert_eq!(
        shown["capabilities"][1],
        json!({
            "type": "VisaPlasticCard",
            "verification_requirements": [{"type": "SDD", "order": 1}],
            "prerequisites": null,
            "status": "NotFulfilled",
            "status_reason": "Verification level SDD is required",
        })
    );
}

#[tokio::test]
async fn where_fees_are_not_enforced_none_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::start(&dir.path().join("data"));
    let policy = send(desk.server.ops(Method::GET, "/policy"), 200).await;
    let mut policy = policy["policy"].clone();
    for programme in policy["programmes"].as_array_mut().unwrap() {
        programme["needs_invoice"] = json!(false);
    }
    send(desk.server.ops(Method::PUT, "/policy").body(policy.to_string()), 200).await;
    let not_enforced =
        validation("ErrorGeneral", "Request validation failed", &[("request", "Card fees are not enforced")]);
    let body = json!({"token_address": USDC, "delivery_provider": "DHL"}).to_string();
    for kind in ["Virtual", "Plastic"] {
        for country in ["GB", "XX"] {
            let path = format!("cards/{kind}/fees/{country}");
            desk.get(&format!("/api/v1/{path}")).await.is(&not_enforced);
            for body in [&*body, "{}", r#"{"token_address": "x"}"#] {
                desk.post(&format!("/api/v2/{path}/payment"), body).await.is(&not_enforced);
            }
        }
    }
    for body in ["{}", r#"{"delivery_id": "x"}"#] {
        desk.post("/api/v2/cards/virtual", body).await.ok();
    }
    desk.post("/api/v2/cards/plastic", PLASTIC).await.ok();
    let to_nowhere = PLASTIC.replace("\"GB\"", "\"XX\"");
    let got = desk.post("/api/v2/cards/plastic", &to_nowhere).await;
    assert_eq!(got.json()["error_description"], "No delivery methods found for country");
    assert_eq!(desk.wallet("USDC").await, "1000.0");
}

#[tokio::test]
async fn the_same_key_has_one_effect_and_one_answer() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::start(&dir.path().join("data"));
    let keyed = |path: &str, key: &'static str, body: String| {
        let path = path.to_owned();
        let desk = &desk;
        async move { desk.with(Method::POST, &path, &[("Idempotency-Key", key)], Some(&body)).await }
    };
    let pay = "/api/v2/cards/Virtual/fees/GB/payment";
    let token = json!({"token_address": USDC}).to_string();
    let first = keyed(pay, "pay-1", token.clone()).await;
    let again = keyed(pay, "pay-1", token.to_ascii_lowercase()).await;
    assert_eq!((first.replayed(), again.replayed(), &first.text), (false, true, &again.text));
    let id = first.ok()["delivery_id"].as_u64().unwrap();
    let body = |name: &str| json!({"delivery_id": id, "card_name": name}).to_string();
    let first = keyed("/api/v2/cards/virtual", "issue-1", body("One")).await;
    let again = keyed("/api/v2/cards/virtual", "issue-1", body("One")).await;
    assert_eq!((first.ok(), again.replayed()), (again.ok(), true));
    assert_eq!(again.headers["x-florin-position"], first.headers["x-florin-position"]);
    let conflict = keyed("/api/v2/cards/virtual", "issue-1", body("Two")).await;
    assert_eq!((conflict.status.as_u16(), conflict.replayed()), (409, false));
    // Other calls are other content; a refusal is an outcome too
    assert_eq!(keyed(pay, "issue-1", token).await.status, 409);
    let refused = keyed("/api/v2/cards/virtual", "issue-2", body("Two")).await;
    let again = keyed("/api/v2/cards/virtual", "issue-2", body("Two")).await;
    refused.is(&delivery_id());
    assert_eq!((again.replayed(), again.text), (true, refused.text));
    // A wrong activation try is counted once under its key
    let card = desk.plastic_card().await;
    let path = format!("/api/v1/cards/{card}/activate");
    let body = r#"{"card_number_last4": "0000", "expiry_date": "01/2020"}"#;
    for _ in 0..7 {
        let got = desk.with(Method::PUT, &path, &[("Idempotency-Key", "try")], Some(body)).await;
        assert_eq!(got.json()["error_details"][0]["details"], "mismatch");
    }
    assert_eq!(desk.card(&card).await["status"], "NotActivated");
    assert_eq!(desk.wallet("USDC").await, "964.81");
    let key = "k".repeat(256);
    let got = desk
        .with(Method::POST, pay, &[("Idempotency-Key", &key)], Some(&json!({"token_address": USDC}).to_string()))
        .await;
    got.is(&invalid("Idempotency-Key", "Idempotency-Key", "^[!-~]{1,255}$"));
}

#[tokio::test]
async fn headers_methods_and_bodies_that_do_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::start(&dir.path().join("data"));
    let bearer = format!("Bearer {}", desk.token);
    let list = "/api/v1/cards";
    let auth = ("Authorization", &*bearer);
    let user = ("X-User-Address", &*desk.address);
    let chain = ("X-Chain-Id", &*desk.chain);
    let call = |headers: Vec<(&'static str, String)>| {
        let desk = &desk;
        async move {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
            desk.call(Method::GET, list, &headers, None).await
        }
    };
    let owned =
        |pairs: &[(&'static str, &str)]| pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    for (headers, category) in [
        (owned(&[user, chain]), "CategoryAuthenticationFailure"),
        (owned(&[("Authorization", "Bearer x.y.z"), user, chain]), "CategoryAuthenticationFailure"),
        (owned(&[("Authorization", "Basic x")]), "CategoryAuthenticationFailure"),
    ] {
        let got = call(headers).await;
        assert_eq!(got.status, 401, "{}", got.text);
        assert_eq!(got.json()["error_category"]["category"], category);
        assert_eq!(got.headers["www-authenticate"], "Bearer");
    }
    call(owned(&[auth, chain])).await.is(&missing("X-User-Address"));
    call(owned(&[auth, user])).await.is(&missing("X-Chain-Id"));
    for wrong in ["", "0x", "alice", "0xzz00000000000000000000000000000000000000"] {
        let got = call(owned(&[auth, ("X-User-Address", wrong), chain])).await;
        got.is(&invalid("X-User-Address", "X-User-Address", "^0x[0-9a-fA-F]{40}$"));
    }
    for wrong in ["", "0", "01", "-1", "0x1", "one", "1.0"] {
        let got = call(owned(&[auth, user, ("X-Chain-Id", wrong)])).await;
        got.is(&invalid("X-Chain-Id", "X-Chain-Id", "^[1-9][0-9]{0,18}$"));
    }
    // The address in any case is the same user
    let upper = desk.address.to_ascii_uppercase().replacen("0X", "0x", 1);
    assert_eq!(call(owned(&[auth, ("X-User-Address", &upper), chain])).await.status, 200);
    // Nobody there
    let nobody = call(owned(&[auth, ("X-User-Address", &format!("0x{}", "9".repeat(40))), chain])).await;
    assert_eq!(
        (nobody.status.as_u16(), &nobody.json()["error_category"]["category"]),
        (403, &json!("CategoryAuthorizationFailure"))
    );

    let large = format!(r#"{{"card_name": "{}"}}"#, "x".repeat(1 << 20));
    assert_eq!(desk.post("/api/v2/cards/virtual", &large).await.status, 413);
    assert_eq!(desk.put_json("/api/v1/cards/x/block", &large).await.status, 413);
    let deep = format!(r#"{{"delivery_address": {}"#, "[".repeat(30_000));
    assert_eq!(desk.post("/api/v2/cards/plastic", &deep).await.status, 400);
    let plain = [auth, user, chain, ("Content-Type", "text/plain")];
    assert_eq!(desk.call(Method::POST, "/api/v2/cards/virtual", &plain, Some("{}")).await.status, 415);
    let got = desk.put(list).await;
    assert_eq!((got.status.as_u16(), &got.headers["allow"]), (405, &"GET".parse().unwrap()));
    assert_eq!(desk.get("/api/v3/nothing").await.status, 404);
    let got = desk.with(Method::GET, list, &[("X-Request-Id", "mine-1")], None).await;
    assert_eq!(got.headers["x-request-id"], "mine-1");
    let got = desk.with(Method::GET, list, &[("X-Florin-Position", "soon")], None).await;
    got.is(&invalid("X-Florin-Position", "X-Florin-Position", r"^\d+-\d+\.\d+$"));
}
