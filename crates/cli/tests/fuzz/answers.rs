//! What an answer must be, whatever was asked: of a documented status, and if it refuses, in the API's own form and with a reason.

use serde_json::Value;

use crate::calls::Api;

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) json: bool,
    pub(crate) text: String,
}

/// The 500s of the BaaS document, which are refusals (`crates/gateway/src/dialects/baas/README.md`).
const WORDED: [&str; 6] = [
    "Failed to get card",
    "Virtual card capability is not active",
    "Plastic card capability is not active",
    "Failed to process delivery payment",
    "Failed to issue virtual card",
    "Failed to issue plastic card",
];

/// Statuses of calls that are nowhere in a document.
const ELSEWHERE: [u16; 12] = [400, 401, 403, 404, 405, 408, 409, 413, 414, 415, 429, 431];

impl Answer {
    pub(crate) fn refuses(&self) -> bool {
        self.status >= 400
    }

    /// Checks against the responses of the call in its document, `None` where the path was not that call's.
    #[track_caller]
    pub(crate) fn check(&self, api: Api, responses: Option<&Value>, waits: bool) {
        let Self { status, text, .. } = self;
        let worded = api == Api::Baas && WORDED.iter().any(|words| text.contains(&format!("\"{words}\"")));
        assert!(*status < 500 || *status == 500 && worded || *status == 503 && waits, "{status}: {text}");
        assert!(!text.contains("panicked"), "{text}");
        if let Some(responses) = responses {
            assert!(responses[status.to_string()].is_object(), "{status} is not documented: {text}");
        }
        if !self.refuses() {
            return;
        }
        assert!(responses.is_some() || ELSEWHERE.contains(status) || *status >= 500, "{status}: {text}");
        let body: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{status}, {error}: {text}"));
        assert!(self.json, "{status} is not said to be JSON: {text}");
        plain(api, *status, &body);
    }
}

/// The form of an API's errors.
#[track_caller]
fn plain(api: Api, status: u16, body: &Value) {
    let said = |value: &Value| value.as_str().is_some_and(|text| text.len() > 4 && text.len() < 2_000);
    let word = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty() && !text.contains(' '));
    match api {
        Api::Dashboard | Api::Ops | Api::Sandbox => {
            let error = &body["error"];
            assert!(word(&error["code"]) && said(&error["message"]), "{body}");
        }
        Api::Baas => {
            assert!(word(&body["error_reason"]) && said(&body["error_description"]), "{body}");
            assert_eq!(body["error_category"]["http_status_code"], status, "{body}");
        }
        Api::Mobile => {
            let error = &body["errors"][0];
            assert_eq!(body["status_code"], status, "{body}");
            assert!(said(&body["message"]) && word(&error["code"]) && said(&error["message"]), "{body}");
        }
    }
}

/// The form of the issuer's API, which is that of the ops API.
#[track_caller]
pub(crate) fn refused_plainly(status: u16, text: &str) {
    Answer { status, json: true, text: text.to_owned() }.check(Api::Ops, None, false);
}
