//! Tokens against a running server: which are good, which are refused, and that a refusal tells nothing.
#![allow(clippy::unwrap_used, reason = "helpers of stories")]

mod configuration;
mod issuer;
#[path = "../serve/server.rs"]
#[allow(dead_code, reason = "shared with other stories")]
mod server;

use issuer::{Issuer, World, now, raw};
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

/// What a token must say, with some claims otherwise; null: without it.
fn claims(other: &Value) -> Value {
    let mut claims = json!({
        "iss": Issuer::DEMO, "aud": "florin", "company": "demo", "sub": "carol", "exp": now() + 600,
    });
    for (name, value) in other.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims.as_object_mut().unwrap().insert(name.clone(), value.clone()),
        };
    }
    claims
}

#[tokio::test]
async fn every_key_of_an_issuer_is_good_and_nothing_else_is() {
    let world = World::start();
    let Issuer { first, second, rsa, secret, other } = &world.issuer;
    let mut seen = Vec::new();

    // Given tokens of every algorithm and key, with and without the key's id, just expired, not quite begun
    let good = [
        ("first key, by id", first.sign(&json!({"kid": "a"}), &claims(&json!({})))),
        ("first key, tried", first.sign(&json!({}), &claims(&json!({})))),
        ("second key, by id", second.sign(&json!({"kid": "b"}), &claims(&json!({})))),
        ("second key, tried", second.sign(&json!({}), &claims(&json!({})))),
        ("RS256", rsa.sign(&json!({}), &claims(&json!({})))),
        ("HS256", secret.sign(&json!({}), &claims(&json!({})))),
        ("an id where the key has none", secret.sign(&json!({"kid": "whatever"}), &claims(&json!({})))),
        ("one of several audiences", first.sign(&json!({}), &claims(&json!({"aud": ["x", "florin"]})))),
        ("expired within the leeway", first.sign(&json!({}), &claims(&json!({"exp": now() - 5})))),
        ("begun within the leeway", first.sign(&json!({}), &claims(&json!({"nbf": now() + 5})))),
        ("without a type", first.sign(&json!({"typ": null}), &claims(&json!({})))),
        ("an access token's type", first.sign(&json!({"typ": "at+jwt"}), &claims(&json!({})))),
        ("claims of others", first.sign(&json!({}), &claims(&json!({"iat": 1, "scope": {"a": [1]}})))),
        ("nearly 8 KiB", first.sign(&json!({}), &claims(&json!({"pad": "x".repeat(5_800)})))),
    ];
    for (what, token) in good {
        // Twice: the second time it is remembered
        for _ in 0..2 {
            assert_eq!(world.ask(Some(&format!("Bearer {token}"))).await.0, 200, "{what}");
        }
        seen.push(token);
    }

    // When anything about a token is wrong
    let fine = first.sign(&json!({}), &claims(&json!({})));
    let [head, body, signature] = <[&str; 3]>::try_from(fine.split('.').collect::<Vec<_>>()).unwrap();
    let none = |alg: &str| format!("{}.{body}.", raw(&json!({"alg": alg, "typ": "JWT"}).to_string()));
    let swapped = |alg: &str| format!("{}.{body}.{signature}", raw(&json!({"alg": alg, "typ": "JWT"}).to_string()));
    let stranger = issuer::Signer::generate();
    let with = |other: Value| first.sign(&json!({}), &claims(&other));
    let header = |other: Value| first.sign(&other, &claims(&json!({})));
    let twice = claims(&json!({})).to_string().replacen('{', r#"{"company":"other","#, 1);
    let bad = [
        ("no algorithm", none("none")),
        ("no algorithm, in capitals", none("NONE")),
        ("an algorithm that is not served", swapped("ES256")),
        ("another algorithm's name", swapped("RS256")),
        ("a public RSA key as the secret", issuer::confused(world.rsa_public(), &claims(&json!({})))),
        ("a public Ed25519 key as the secret", issuer::confused(&world.first_public(), &claims(&json!({})))),
        ("the HS256 secret for HS512", secret.sign_as(Algorithm::HS512, &claims(&json!({})))),
        ("RS512 for RS256", rsa.sign_as(Algorithm::RS512, &claims(&json!({})))),
        ("somebody's own key", stranger.sign(&json!({}), &claims(&json!({})))),
        ("the key in its own header", stranger.sign(&json!({"jwk": stranger.jwk()}), &claims(&json!({})))),
        ("a changed body", format!("{head}.{}.{signature}", raw(&claims(&json!({"sub": "bob"})).to_string()))),
        ("a changed signature", format!("{head}.{body}.{}A", &signature[..signature.len() - 2])),
        ("no signature", format!("{head}.{body}.")),
        ("four parts", format!("{fine}.{signature}")),
        ("two parts", format!("{head}.{body}")),
        ("another key's id", first.sign(&json!({"kid": "b"}), &claims(&json!({})))),
        ("an unknown id", first.sign(&json!({"kid": "c"}), &claims(&json!({})))),
        ("another company", with(json!({"company": "other"}))),
        ("another company's issuer", with(json!({"iss": Issuer::OTHER}))),
        ("both another's, own key", with(json!({"iss": Issuer::OTHER, "company": "other"}))),
        ("another's key, own names", other.sign(&json!({}), &claims(&json!({})))),
        ("another's issuer for us", other.sign(&json!({}), &claims(&json!({"iss": Issuer::OTHER})))),
        ("two issuers", with(json!({"iss": [Issuer::DEMO, Issuer::OTHER]}))),
        ("no issuer", with(json!({"iss": null}))),
        ("no company", with(json!({"company": null}))),
        ("a company that is a number", with(json!({"company": 7}))),
        ("two companies", first.sign_raw(&twice)),
        ("another audience", with(json!({"aud": "other"}))),
        ("no audience", with(json!({"aud": null}))),
        ("expired", with(json!({"exp": now() - 60}))),
        ("for ever", with(json!({"exp": null}))),
        ("an expiry in words", with(json!({"exp": "tomorrow"}))),
        ("a negative expiry", with(json!({"exp": -1}))),
        ("not yet begun", with(json!({"nbf": now() + 120}))),
        ("a beginning in words", with(json!({"nbf": "now"}))),
        ("no user in particular", first.sign_raw(&claims(&json!({})).to_string().replace(r#""carol""#, "null"))),
        ("an empty user", with(json!({"sub": ""}))),
        ("a user that is a number", with(json!({"sub": 7}))),
        ("too long a user", with(json!({"sub": "x".repeat(256)}))),
        ("control characters", with(json!({"sub": "carol\n"}))),
        ("critical fields", header(json!({"crit": ["exp"]}))),
        ("another type", header(json!({"typ": "logout+jwt"}))),
        ("a token in a token", header(json!({"cty": "JWT"}))),
        ("compressed", header(json!({"zip": "DEF"}))),
        ("over 8 KiB", with(json!({"pad": "x".repeat(6_200)}))),
        ("no JSON", format!("{}.{}.{signature}", raw("{"), raw("{"))),
        ("no base64", "a b.c d.e f".to_owned()),
        ("deep JSON", first.sign_raw(&format!("{{\"iss\":{}1{}}}", "[".repeat(500), "]".repeat(500)))),
    ];
    let refused = world.ask(None).await;
    assert_eq!(refused.0, 401);
    for (what, token) in bad {
        // Then it is refused, in the same words whatever it was
        assert_eq!(world.ask(Some(&format!("Bearer {token}"))).await, refused, "{what}");
        seen.push(token);
    }
    for value in ["", "Bearer", "Bearer ", "Basic Y2Fyb2w6", &format!("Token {fine}"), &format!("bearer {fine} {fine}")]
    {
        assert_eq!(world.ask(Some(value)).await, refused, "{value}");
    }
    assert_eq!(world.ask_twice(&fine).await, 401);

    // And the log says why, and has no token
    let log = world.server.logged();
    for why in ["a token is refused", "its company is another", "ExpiredSignature", "more than 8192 bytes"] {
        assert!(log.contains(why), "{why} is not in the log");
    }
    for token in &seen {
        assert!(!log.contains(token.as_str()));
        let tail = token.rsplit('.').next().unwrap();
        assert!(tail.len() < 16 || !log.contains(tail), "a signature is in the log");
    }
}

#[tokio::test]
async fn a_token_that_was_good_ends_with_its_time_and_with_its_key() {
    let world = World::start_with(&[("FLORIN_TOKENS_LEEWAY_SECONDS", "0")]);
    // Given a token that has been seen to be good
    let long = world.issuer.first.sign(&json!({}), &claims(&json!({})));
    let other = world.issuer.second.sign(&json!({}), &claims(&json!({})));
    let ends = now() + 4;
    let short = world.issuer.first.sign(&json!({}), &claims(&json!({"exp": ends})));
    assert_eq!(world.ask(Some(&format!("Bearer {short}"))).await.0, 200);
    // When its time is over, then it is refused, although it was remembered
    while now() <= ends + 1 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(world.ask(Some(&format!("Bearer {short}"))).await.0, 401);
    for token in [&long, &other] {
        assert_eq!(world.ask(Some(&format!("Bearer {token}"))).await.0, 200);
    }
    // When a key is taken out of the configuration, then its tokens are, and the other key's are not
    let world = world.without_first_key();
    assert_eq!(world.ask(Some(&format!("Bearer {long}"))).await.0, 401);
    assert_eq!(world.ask(Some(&format!("Bearer {other}"))).await.0, 200);
}

#[tokio::test]
async fn what_the_command_mints_is_good_for_whom_it_says() {
    let world = World::start();
    let key = world.path("first.key");
    let mint = |args: &[&str]| {
        let output = server::florin().args(["token"]).args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let common = ["--company", "demo", "--issuer", Issuer::DEMO, "--key", &key, "--expires", "5m"];
    let carol = mint(&[&["mobile", "--user", "carol"], &common[..]].concat());
    assert_eq!(world.ask(Some(&format!("Bearer {carol}"))).await.0, 200);
    // A company's token is nobody's on the mobile API
    let company = mint(&[&["baas"], &common[..]].concat());
    assert_eq!(world.ask(Some(&format!("Bearer {company}"))).await.0, 401);

    // The demo's own are beside them, and good
    let demo = &world.server.demo;
    let own = demo["mobile"]["access_token"].as_str().unwrap();
    assert_eq!(world.ask(Some(&format!("Bearer {own}"))).await.0, 200);
}
