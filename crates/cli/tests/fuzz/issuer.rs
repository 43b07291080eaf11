//! Messages in the issuer's name, soundly signed, so that what is hostile in them is reached.

use florin_proptests::fuzz::{Rng, Target, bytes, json};
use serde_json::{Value, json};

use crate::{INPUTS, answers::refused_plainly, stack::Stack};

/// Calls and what they carry.
fn messages(card: &str) -> Vec<(&'static str, Value)> {
    let about = |mut more: Value| {
        let fields = more.as_object_mut().unwrap();
        fields.insert("message_id".into(), json!("m-1"));
        fields.insert(
            "occurred_at".into(),
            json!(humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()),
        );
        fields.insert("card_id".into(), json!(card));
        more
    };
    let merchant = json!({"authorization_id": "a-1", "amount": 1.50, "currency": "USD", "merchant": "Shop", "mcc": 5814,
        "country": "GB", "card_present": true, "pin_entered": false});
    vec![
        ("/authorizations", about(merchant)),
        ("/authorizations/a-1/increments", about(json!({"amount": 1.25}))),
        ("/clearings", about(json!({"authorization_id": "a-1", "amount": 0.75, "final": false}))),
        ("/reversals", about(json!({"authorization_id": "a-1", "amount": 0.25}))),
        (
            "/refunds",
            about(json!({"authorization_id": "a-1", "amount": 0.25, "merchant": "Shop", "mcc": 5814, "country": "GB"})),
        ),
        ("/cards/no-such-card/blocks", about(json!({"reason": "stolen", "fraud": false}))),
    ]
}

fn path(rng: &mut Rng, path: &str) -> String {
    if !rng.once_in(8) {
        return path.to_owned();
    }
    let hostile = *rng.pick(&["%00", "%FF", "a%2Fb", "..", "a%20b", "%F0%9F%92%B3", "99999999999999999999"]);
    path.replace("a-1", hostile).replace("no-such-card", hostile)
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_messages_are_refused_in_form_and_change_nothing() {
    let stack = Stack::furnished().await;
    let card = stack.card("c-1").await;
    let messages = messages(&card);
    let (mut taken, mut refused) = (0, 0);
    let target = Target { name: "messages", inputs: INPUTS, rounds: 1_000 };
    for n in 0..target.count() {
        let mut rng = target.rng(n);
        let (call, sound) = rng.pick(&messages).clone();
        let mut sound = sound;
        // A message of its own most of the time, else the same one with another content.
        if !rng.once_in(4) {
            sound["message_id"] = json!(format!("m-{n}"));
        }
        let call = path(&mut rng, call);
        let body = match rng.below(8) {
            0 => String::from_utf8_lossy(&bytes::mutate(&mut rng, &[sound.to_string().into_bytes()])).into_owned(),
            1 => sound.to_string(),
            _ => json::mutate(&mut rng, &sound),
        };
        let before = stack.ops("GET", &format!("/cards/{card}"), "").await.expect(200).body;
        let answer = stack.issuer(&call, &body).await;
        let status = answer.status.as_u16();
        if status == 200 {
            taken += 1;
            continue;
        }
        refused += 1;
        refused_plainly(status, &answer.text);
        let after = stack.ops("GET", &format!("/cards/{card}"), "").await.expect(200).body;
        assert_eq!(after, before, "refused, yet something changed: {call} {body}");
    }
    assert!(taken > 50 && refused > 300, "{taken} taken, {refused} refused");
    let books = stack.ops("GET", "/trial-balance", "").await.expect(200).body;
    assert_eq!(books["balanced"], true, "{books}");
    stack.close().await;
}
