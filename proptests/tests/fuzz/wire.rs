//! What processes say to each other over NATS, in the binary form and in JSON, and the headers that tell of errors.

use async_nats::HeaderMap;
use florin_engine::{
    codec::{Entry, decode_command, encode_command},
    command::{Class, Command, Envelope},
    human,
    ids::{AccountId, Position},
};
use florin_processor::{
    Reply,
    service::json as form,
    wire::{
        CLASSES, ERROR, FIGURES,
        command::{begin, push, read_answer, read_request, write_answer},
        fault::Fault,
        query::{Ask, AskWork, DueItem, Status, WorkItem},
    },
};
use florin_proptests::fuzz::{Target, bytes, json};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    INPUTS,
    bounds::{alone, bounded},
    samples,
};

fn entries() -> Vec<Entry> {
    samples::entries().iter().map(|bytes| Entry::decode(bytes).unwrap()).collect()
}

fn write_request(envelopes: &[Envelope], class: Class, deadline_ms: Option<u32>) -> Vec<u8> {
    let mut bytes = begin(class, deadline_ms);
    for envelope in envelopes {
        assert!(push(&mut bytes, envelope, usize::MAX));
    }
    bytes
}

#[test]
fn requests_are_refused_or_read_and_cost_no_more_than_their_bytes() {
    let _alone = alone();
    let mut samples = vec![];
    for class in CLASSES {
        let of_class: Vec<Envelope> = entries()
            .into_iter()
            .map(|entry| entry.admitted.envelope)
            .filter(|envelope| envelope.class == class)
            .collect();
        samples.push(write_request(&of_class, class, None));
        samples.extend(of_class.iter().map(|envelope| write_request(std::slice::from_ref(envelope), class, Some(700))));
    }
    let mut read = 0;
    Target { name: "requests", inputs: INPUTS, rounds: 40_000 }.run(
        |rng| bytes::mutate(rng, &samples),
        |input| {
            for class in CLASSES {
                let Ok(request) = bounded(input.len(), || read_request(input, class)) else { continue };
                read += 1;
                assert!(request.envelopes.iter().all(|envelope| envelope.class == class), "of the subject's class");
                let again = write_request(&request.envelopes, class, request.deadline_ms);
                assert_eq!(read_request(&again, class), Ok(request), "what is read is written back alike");
            }
        },
    );
    assert!(read > 500, "some are read: {read}");
}

#[test]
fn answers_are_refused_or_read_and_cost_no_more_than_their_bytes() {
    let _alone = alone();
    let replies: Vec<Reply> = entries()
        .into_iter()
        .zip(1..)
        .map(|(entry, n)| Reply {
            partition: 3,
            position: Position::new(n, 2),
            time_ms: entry.admitted.time_ms,
            replayed: n % 3 == 0,
            account: entry.admitted.envelope.account,
            outcome: entry.outcome,
        })
        .collect();
    let mut samples = vec![write_answer(3, &replies, usize::MAX), write_answer(3, &[], usize::MAX)];
    samples.extend(replies.chunks(3).map(|some| write_answer(3, some, usize::MAX)));
    let mut read = 0;
    Target { name: "answers", inputs: INPUTS, rounds: 30_000 }.run(
        |rng| bytes::mutate(rng, &samples),
        |input| {
            let Ok(replies) = bounded(input.len(), || read_answer(input)) else { return };
            read += 1;
            let partition = replies.first().map_or(0, |reply| reply.partition);
            let again = write_answer(partition, &replies, usize::MAX);
            assert_eq!(read_answer(&again), Ok(replies), "what is read is written back alike");
        },
    );
    assert!(read > 500, "some are read: {read}");
}

/// A command as people send it.
fn sent(envelope: &Envelope, number: usize) -> Value {
    let mut body = envelope.command.serialize_body(serde_json::value::Serializer).unwrap();
    // What is not said stays as it is; `null` clears it.
    if let Command::ChangeLimits(change) = &envelope.command {
        let update = change.update;
        let said = [update.transaction, update.daily, update.monthly, update.lifetime];
        for (name, said) in ["transaction", "daily", "monthly", "lifetime"].into_iter().zip(said) {
            if said.is_none() {
                body["update"].as_object_mut().unwrap().remove(name);
            }
        }
    }
    let mut command = serde_json::Map::new();
    command.insert(human::snake(envelope.command.name()), body);
    json!({
        "account": envelope.account,
        "key": format!("order {number}"),
        "dated_ms": envelope.dated_ms,
        "actor": envelope.actor,
        "deadline_ms": 700,
        "command": command,
    })
}

fn stored(command: &Command) -> Vec<u8> {
    let mut bytes = vec![];
    encode_command(command, &mut bytes);
    bytes
}

#[test]
fn commands_in_json_are_refused_with_their_place_or_read_whole() {
    let _alone = alone();
    let envelopes: Vec<Envelope> = entries().into_iter().map(|entry| entry.admitted.envelope).collect();
    let samples: Vec<(Value, Class)> =
        envelopes.iter().enumerate().map(|(n, envelope)| (sent(envelope, n), envelope.class)).collect();
    let texts: Vec<Vec<u8>> = samples.iter().map(|(value, _)| value.to_string().into_bytes()).collect();
    // Given that each is read back to the very command it was made from
    for ((value, class), envelope) in samples.iter().zip(&envelopes) {
        let Ok(read) = form::read(value.to_string().as_bytes(), *class) else {
            assert!(envelope.account == AccountId::NIL || *class == Class::System, "{value}");
            continue;
        };
        assert_eq!(read.envelopes[0].command, envelope.command, "{value}");
    }
    let mut read = 0;
    Target { name: "json-commands", inputs: INPUTS, rounds: 12_000 }.run(
        |rng| match rng.below(4) {
            0 => bytes::mutate(rng, &texts),
            1 => {
                let batch: Vec<Value> = (0..rng.below(4)).map(|_| rng.pick(&samples).0.clone()).collect();
                json::mutate(rng, &Value::from(batch)).into_bytes()
            }
            _ => {
                let (value, _) = rng.pick(&samples);
                json::mutate(rng, value).into_bytes()
            }
        },
        |input| {
            for class in CLASSES {
                match bounded(input.len(), || form::read(input, class)) {
                    Err(fault) => assert!(!fault.text().is_empty(), "a refusal says what is wrong"),
                    Ok(all) => {
                        for envelope in all.envelopes {
                            read += 1;
                            let bytes = stored(&envelope.command);
                            assert_eq!(decode_command(&bytes), Ok((envelope.command.clone(), &[][..])));
                            let again = json!([sent(&envelope, 0)]);
                            // A batch has no deadline.
                            let mut again = again;
                            again[0].as_object_mut().unwrap().remove("deadline_ms");
                            let again = form::read(again.to_string().as_bytes(), class).unwrap();
                            assert_eq!(
                                again.envelopes[0].command, envelope.command,
                                "what is read is written back alike"
                            );
                        }
                    }
                }
            }
        },
    );
    assert!(read > 500, "some are read: {read}");
}

/// One kind of query or its answer: any bytes are refused or read, and what is read is written back alike.
fn query<T: Serialize + DeserializeOwned>(input: &[u8]) {
    if let Ok(value) = bounded(input.len(), || postcard::from_bytes::<T>(input)) {
        let bytes = postcard::to_allocvec(&value).unwrap();
        let again: T = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(postcard::to_allocvec(&again).unwrap(), bytes);
    }
    if let Ok(value) = bounded(input.len(), || serde_json::from_slice::<T>(input)) {
        let text = serde_json::to_vec(&value).unwrap();
        let again: T = serde_json::from_slice(&text).unwrap();
        assert_eq!(serde_json::to_vec(&again).unwrap(), text);
    }
}

#[test]
fn queries_and_their_answers_are_refused_or_read() {
    let _alone = alone();
    let (mut values, mut samples) = (vec![], vec![]);
    for state in samples::states() {
        for work in state.work(20) {
            let items = vec![WorkItem::from(work)];
            values.push(serde_json::to_value(&items).unwrap());
            samples.push(postcard::to_allocvec(&items).unwrap());
        }
        let due: Vec<DueItem> = state.due(u64::MAX, 20).into_iter().map(DueItem::from).collect();
        values.push(serde_json::to_value(&due).unwrap());
        samples.push(postcard::to_allocvec(&due).unwrap());
    }
    let status = json!({
        "partition": 1, "index": 2, "hash": "ab".repeat(32), "range": "cd".repeat(32), "term": 3, "time_ms": 4, "accounts": 5,
        "cards": 6, "remembered": 7, "policy": 8, "clock_ms": 9, "clock_refused": [10, -11], "user_queued": 12,
        "network_queued": 13, "in_flight": 14,
    });
    let known: Status = serde_json::from_value(status.clone()).unwrap();
    samples.push(postcard::to_allocvec(&known).unwrap());
    values.extend([status, json!({"max": 5}), json!({"max": 5, "card": "00000000-0000-0000-0000-000000000001"})]);
    samples.push(postcard::to_allocvec(&AskWork::default()).unwrap());
    Target { name: "queries", inputs: INPUTS, rounds: 10_000 }.run(
        |rng| {
            if rng.once_in(2) {
                return bytes::mutate(rng, &samples);
            }
            let value = rng.pick(&values);
            json::mutate(rng, value).into_bytes()
        },
        |input| {
            query::<Vec<WorkItem>>(input);
            query::<Vec<DueItem>>(input);
            query::<Status>(input);
            query::<Ask>(input);
            query::<AskWork>(input);
            if let Ok(status) = serde_json::from_slice::<Status>(input) {
                let status = florin_processor::Status::from(status);
                let _ = Status::from(&status);
            }
        },
    );
}

#[test]
fn faults_come_through_headers_whatever_they_say() {
    let _alone = alone();
    let names = [
        "malformed",
        "moved",
        "busy",
        "deadline_passed",
        "clock_refused",
        "stopped",
        "misrouted",
        "batch_too_large",
        "command_too_large",
        "another",
        "",
    ];
    Target { name: "faults", inputs: INPUTS, rounds: 10_000 }.rounds(|n, rng| {
        // What a command's text says comes back in an error.
        let said = format!("{}\r\nX-Injected: \u{85}{}", json::word(rng), json::word(rng));
        let told = Fault::Malformed(said).headers();
        let Some(Fault::Malformed(text)) = Fault::of(&told) else { panic!("round {n}: it is told as malformed") };
        assert!(!text.chars().any(char::is_control), "one line: {text:?}");
        // And an answer is read whatever its figures are.
        let mut headers = HeaderMap::new();
        headers.insert(ERROR, *rng.pick(&names));
        let figures: String = json::word(rng).chars().filter(|c| !c.is_control()).take(100).collect();
        headers.insert(FIGURES, format!("{} {figures} {}", rng.number(), rng.number().cast_signed()).as_str());
        let Some(fault) = Fault::of(&headers) else { panic!("round {n}: an error is an error") };
        assert!(!fault.name().is_empty() && (400..600).contains(&fault.code()));
        assert_eq!(Fault::of(&fault.headers()).map(|fault| fault.name()), Some(fault.name()));
    });
}
