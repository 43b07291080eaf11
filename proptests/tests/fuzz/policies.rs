//! Policy documents that operators write.

use florin_gateway::policy_document::{self, DEMO};
use florin_proptests::fuzz::{Target, bytes, json};
use serde_json::Value;

use crate::{
    INPUTS,
    bounds::{alone, bounded},
};

/// Whether every step of a path stands in the document, or would be a field that is missing.
fn is_place(path: &str) -> bool {
    !path.is_empty() && !path.contains('?') && !path.chars().any(char::is_whitespace)
}

#[test]
fn policies_are_refused_with_their_place_or_are_what_was_written() {
    let _alone = alone();
    let demo: Value = serde_json::from_str(DEMO).unwrap();
    let texts = [DEMO.as_bytes().to_vec(), demo.to_string().into_bytes()];
    let mut read = 0;
    Target { name: "policies", inputs: INPUTS, rounds: 6_000 }.run(
        |rng| if rng.once_in(3) { bytes::mutate(rng, &texts) } else { json::mutate(rng, &demo).into_bytes() },
        |input| {
            let Ok(text) = std::str::from_utf8(input) else { return };
            match bounded(input.len(), || policy_document::read(text)) {
                Err(error) => {
                    let lines = text.lines().count().max(1) + 1;
                    assert!((1..=lines).contains(&error.line), "{error} is in the document");
                    assert!(error.column >= 1 && error.column <= text.len() + 1, "{error} is in the document");
                    assert!(!error.reason.is_empty() && error.reason.len() < 1_000, "a reason, not a document");
                    assert!(is_place(&error.path) || error.path.len() < 200, "a place: {:?}", error.path);
                }
                Ok(policy) => {
                    read += 1;
                    assert_eq!(policy.check(), Ok(()), "the engine decides under what is read");
                    let again = serde_json::to_string(&policy_document::write(&policy)).unwrap();
                    assert_eq!(
                        policy_document::read(&again).as_ref(),
                        Ok(&policy),
                        "what is read is written back alike"
                    );
                    // Every amount and rate is what its digits say: what changed no digit changed nothing.
                    if let Ok(value) = serde_json::from_str::<Value>(text)
                        && value == demo
                    {
                        assert_eq!(policy, policy_document::demo_policy().unwrap());
                    }
                }
            }
        },
    );
    assert!(read > 100, "some are read: {read}");
}
