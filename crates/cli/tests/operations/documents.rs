//! The OpenAPI documents as they are served: sound by themselves, and true of the routes they describe.

use serde_json::Value;

use crate::stack::Stack;

/// Every `$ref` below a value, with where it stands.
fn references(value: &Value, at: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                match inner.as_str() {
                    Some(target) if name == "$ref" => found.push((at.to_owned(), target.to_owned())),
                    _ => references(inner, &format!("{at}/{name}"), found),
                }
            }
        }
        Value::Array(items) => {
            for (n, inner) in items.iter().enumerate() {
                references(inner, &format!("{at}/{n}"), found);
            }
        }
        _ => {}
    }
}

/// Path, method and description of every call.
fn calls(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let calls = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap();
        methods.iter().map(move |(method, call)| (path.as_str(), method.as_str(), call))
    });
    calls.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reference_resolves_and_every_response_is_described() {
    let stack = Stack::empty().await;
    for (prefix, document) in stack.documents().await {
        let mut found = Vec::new();
        references(&document, "", &mut found);
        assert!(!found.is_empty(), "{prefix}");
        for (at, target) in found {
            let there = target.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
            assert!(there.is_some(), "{prefix}: {target}, of {at}");
        }
        for (path, method, call) in calls(&document) {
            for (status, response) in call["responses"].as_object().unwrap() {
                let description = response["description"].as_str();
                assert!(description.is_some_and(|text| !text.is_empty()), "{prefix}: {method} {path} {status}");
            }
            for status in ["401", "404", "405", "429", "500", "503"] {
                let schema = &call["responses"][status]["content"]["application/json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/Error", "{prefix}: {method} {path} {status}");
            }
            for status in ["408", "409", "413", "415"].iter().filter(|_| call["requestBody"].is_object()) {
                assert!(call["responses"][*status].is_object(), "{prefix}: {method} {path} {status}");
            }
            let header = if method == "get" { "X-Florin-Position" } else { "Idempotency-Key" };
            let parameters = call["parameters"].as_array().map_or(&[][..], Vec::as_slice);
            let told = parameters.iter().any(|parameter| parameter["name"] == header);
            // Said twice these do what they did once, key or no key; a code that is told has none.
            let keyless = ["/confirm-clock", "/personal-data", "/issuer", "/use-code"];
            let meaningless = method != "get" && keyless.iter().any(|end| path.ends_with(end));
            assert_eq!(told, !meaningless && !path.ends_with("/otp"), "{prefix}: {method} {path} {header}");
        }
    }
    stack.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn head_runs_nothing_and_is_refused_where_get_would_answer() {
    let stack = Stack::furnished().await;
    for (prefix, document) in stack.documents().await {
        for (path, _, call) in calls(&document).into_iter().filter(|(_, method, _)| *method == "get") {
            let head = stack.keyed("HEAD", &format!("{prefix}{path}")).await.expect(405);
            let allowed = head.headers["allow"].to_str().unwrap();
            assert!(allowed.contains("GET") && !allowed.contains("HEAD"), "{prefix}{path}: {allowed}");
            assert!(call["responses"]["405"].is_object());
        }
    }
    // What is nowhere is nowhere for HEAD too, and probes may ask without a body.
    stack.keyed("HEAD", "/nowhere").await.expect(404);
    stack.keyed("HEAD", "/healthz").await.expect(200);
    let other = stack.keyed("DELETE", "/ops/v1/policy").await.expect(405);
    assert_eq!((other.code(), &other.headers["allow"]), ("method_not_allowed", &"PUT,GET".parse().unwrap()));
    stack.close().await;
}
