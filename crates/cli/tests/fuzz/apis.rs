//! Every call of every API that a document names, with what nobody should send.

use std::{
    cell::Cell,
    collections::BTreeSet,
    io::{Read, Write},
};

use florin_gateway::policy_document::DEMO;
use florin_proptests::fuzz::{Target, bytes, json};

use crate::{
    INPUTS,
    calls::{Api, CALLS},
    request::{Request, escaped},
    world::World,
};

/// Writes around which the books are compared if they are refused, one in so many.
const WATCHED: u32 = 2;

#[test]
fn every_documented_call_is_fuzzed() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start());
    let listed: BTreeSet<_> =
        CALLS.iter().map(|call| (call.api.name(), call.method.to_owned(), call.route.to_owned())).collect();
    let mut documented = BTreeSet::new();
    for (api, document) in &world.documents {
        for (path, methods) in document["paths"].as_object().unwrap() {
            documented.extend(methods.as_object().unwrap().keys().map(|method| (*api, method.clone(), path.clone())));
        }
    }
    assert_eq!(listed, documented);
    // Given sound requests, most of which are taken: they are what the hostile ones are made from
    let taken = CALLS.iter().filter(|call| {
        let body = call.body.replace("$policy", DEMO).into_bytes();
        let request = Request { call: **call, path: call.path.to_owned(), headers: vec![], body };
        let answer = runtime.block_on(world.send(&request));
        answer.check(
            call.api,
            Some(&world.documents[call.api.name()]["paths"][call.route][call.method]["responses"]),
            false,
        );
        !answer.refuses()
    });
    let taken = taken.count();
    assert!(taken * 10 > CALLS.len() * 7, "{taken} of {} are taken", CALLS.len());
    world.close();
}

#[test]
fn hostile_requests_are_refused_in_form_and_change_nothing() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start());
    let (watched, refused, taken) = (Cell::new(0_u32), Cell::new(0_u32), Cell::new(0_u32));
    let mut n = 0;
    Target { name: "requests", inputs: INPUTS, rounds: 2_500 }.run(
        |rng| Request::make(rng, DEMO),
        |input| {
            n += 1;
            let request = Request::read(input);
            runtime.block_on(async {
                let watch = request.call.method != "get" && n % WATCHED == 0;
                let before = if watch { world.books().await } else { None };
                let answer = world.send(&request).await;
                let same_path = request.path.split('?').next() == request.call.path.split('?').next();
                let document = &world.documents[request.call.api.name()]["paths"];
                let responses = &document[request.call.route][request.call.method]["responses"];
                let waits = request.headers.iter().any(|(name, _)| name == "x-florin-position");
                answer.check(request.call.api, same_path.then_some(responses), waits);
                if !answer.refuses() {
                    taken.set(taken.get() + 1);
                    // An issuer that fails on purpose is no mistake, but would make all that follows 503.
                    if request.call.api == Api::Sandbox && request.call.route == "/issuer" {
                        world.mend().await;
                    }
                    return;
                }
                refused.set(refused.get() + 1);
                if let Some(before) = before {
                    watched.set(watched.get() + 1);
                    assert_eq!(
                        world.books().await,
                        Some(before),
                        "refused with {}, yet something changed",
                        answer.text
                    );
                }
            });
        },
    );
    let (watched, refused, taken) = (watched.get(), refused.get(), taken.get());
    assert!(refused > n / 3 && taken > n / 20 && watched > 100, "{refused} refused, {taken} taken, {watched} watched");
    let books = runtime.block_on(world.books()).unwrap();
    assert_eq!(books[0]["balanced"], true, "{}", books[0]);
    world.close();
}

/// A caller that is refused before its body was read learns that the connection ends, and sends nothing more into it.
#[test]
fn a_refusal_that_leaves_a_body_unread_says_that_the_connection_ends() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start());
    let address = world.server.demo["dashboard"]["base_url"].as_str().unwrap();
    let address = address.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let head = "POST /api/dashboard/users/alice/cards HTTP/1.1\r\nhost: florin\r\ncontent-type: application/json\r\n";
    // Given, without a key, the beginning of a body, and none
    for (body, length, ends) in [("{}", 60_000, true), ("", 0, false)] {
        let mut connection = std::net::TcpStream::connect(address).unwrap();
        connection.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
        write!(connection, "{head}content-length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = vec![];
        while !answer.ends_with(b"}}") {
            let mut some = [0; 1_024];
            let length = connection.read(&mut some).unwrap();
            assert!(length > 0, "{}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&some[..length]);
        }
        let answer = String::from_utf8(answer).unwrap().to_lowercase();
        assert!(answer.starts_with("http/1.1 401"), "{answer}");
        assert_eq!(answer.contains("connection: close"), ends, "{length}: {answer}");
    }
    world.close();
}

#[test]
fn a_changed_link_to_the_secure_page_shows_nothing() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start());
    let link = runtime.block_on(world.link());
    let (page, ticket) = link.rsplit_once('/').unwrap();
    Target { name: "tickets", inputs: INPUTS, rounds: 300 }.run(
        |rng| match rng.below(3) {
            0 => json::word(rng).into_bytes(),
            _ => bytes::mutate(rng, &[ticket.as_bytes().to_vec(), b"AAAA".to_vec()]),
        },
        |input| {
            if input == ticket.as_bytes() {
                return;
            }
            let sent: String = input.iter().take(4_000).map(|byte| escaped_byte(*byte)).collect();
            // A ticket of nothing, of dots, is another path.
            let (status, text) = runtime.block_on(world.page(&format!("{page}/{sent}?{sent}")));
            assert!((400..500).contains(&status), "{status}: {text}");
        },
    );
    let (status, text) = runtime.block_on(world.page(&link));
    assert_eq!(status, 200, "none of them used the link up: {text}");
    world.close();
}

fn escaped_byte(byte: u8) -> String {
    if byte.is_ascii() { escaped(&char::from(byte).to_string()) } else { format!("%{byte:02X}") }
}
