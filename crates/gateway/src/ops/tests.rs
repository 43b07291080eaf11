//! What can be told without a ledger: the document names every route, and every route is in the document.

use super::*;

#[test]
fn the_openapi_document_names_every_call_with_its_errors() {
    let document = serde_json::to_value(openapi::Document::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    for (path, method) in [
        ("/users", "post"),
        ("/users/{company}/{user}", "get"),
        ("/users/{company}/{user}/verification", "put"),
        ("/users/{company}/{user}/deposits", "post"),
        ("/users/{company}/{user}/withdrawals", "post"),
        ("/users/{company}/{user}/write-offs", "post"),
        ("/users/{company}/{user}/personal-data", "delete"),
        ("/policy", "put"),
        ("/policy", "get"),
        ("/cards/{cardId}", "get"),
        ("/cards/{cardId}/history", "get"),
        ("/cards/{cardId}/{action}", "post"),
        ("/pending", "get"),
        ("/card-requests", "get"),
        ("/card-requests/{id}/{decision}", "post"),
        ("/appeals", "get"),
        ("/appeals/{id}/{decision}", "post"),
        ("/dead-letters", "get"),
        ("/dead-letters/{id}/{action}", "post"),
        ("/webhooks", "get"),
        ("/webhooks/{company}", "put"),
        ("/webhooks/{id}/resend", "post"),
        ("/webhooks/{company}/replay", "post"),
        ("/trial-balance", "get"),
        ("/followers", "get"),
        ("/processors", "get"),
        ("/processors/{partition}/confirm-clock", "post"),
    ] {
        let responses = &paths[path][method]["responses"];
        for status in ["401", "404", "429", "503"] {
            assert!(responses[status].is_object(), "{method} {path}: {status}");
        }
    }
}
