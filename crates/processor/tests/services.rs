//! Stories of anybody's NATS client: JSON by the documentation, and whatever else may come.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use async_nats::{Client, HeaderMap, Message};
use florin_journal::testing::NatsServer;
use florin_processor::service::Serving;
use serde_json::{Value, json};
use support::{Run, World, account, card};

struct Shop {
    _world: World,
    run: Run,
    serving: Serving,
    client: Client,
    _server: NatsServer,
}

async fn shop() -> Shop {
    let world = World::new();
    let run = world.start_furnished().await;
    let server = NatsServer::start().await;
    let serving = Serving::start(server.connect().await, "main", 0, run.handle.clone(), None).await.unwrap();
    Shop { _world: world, run, serving, client: server.connect().await, _server: server }
}

impl Shop {
    async fn ask(&self, subject: &str, body: impl Into<Vec<u8>>) -> Message {
        let asking = self.client.request(format!("florin.main.{subject}"), body.into().into());
        tokio::time::timeout(Duration::from_secs(30), asking).await.unwrap().unwrap()
    }

    async fn json(&self, subject: &str, body: &Value) -> (Message, Value) {
        let answer = self.ask(subject, body.to_string()).await;
        let body = serde_json::from_slice(&answer.payload).unwrap_or_default();
        (answer, body)
    }

    async fn records(&self) -> u64 {
        self.run.handle.status(0).await.unwrap().head.index
    }

    async fn end(self) {
        self.serving.stop().await;
        self.run.stop().await.unwrap();
    }
}

fn header<'a>(message: &'a Message, name: &str) -> &'a str {
    message.headers.as_ref().and_then(|headers| headers.get(name)).map_or("", |value| value.as_str())
}

fn top_up(key: &str, amount: &Value) -> Value {
    json!({ "account": account().to_string(), "key": key, "command": { "top_up": { "card": card().to_string(), "amount": amount } } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_in_json_has_its_outcome_in_json() {
    let shop = shop().await;
    // When anybody tops a card up,
    let (answer, body) = shop.json("cmd.v1.user.0", &top_up("first", &json!(500))).await;
    // then the outcome and its events are told,
    assert_eq!(header(&answer, "Content-Type"), "application/json");
    assert_eq!((body["replayed"].clone(), body["partition"].clone()), (json!(false), json!(0)));
    let event = &body["outcome"]["accepted"][0]["topped_up"];
    assert_eq!((event["amount"].clone(), event["card"].clone()), (json!(500), json!(card().to_string())));
    // again with the same key,
    let (_, again) = shop.json("cmd.v1.user.0", &top_up("first", &json!(500))).await;
    assert_eq!((again["replayed"].clone(), &again["position"]), (json!(true), &body["position"]));
    // and a conflict with the same key for something else: a reject has its number in a header, and its figures.
    let (answer, body) = shop.json("cmd.v1.user.0", &top_up("first", &json!(501))).await;
    assert_eq!((header(&answer, "Nats-Service-Error-Code"), header(&answer, "Florin-Reject")), ("422", "3"));
    assert_eq!(body["outcome"]["rejected"]["reason"], "idempotency_conflict");
    let (answer, body) = shop.json("cmd.v1.user.0", &top_up("much", &json!(1_000_001))).await;
    assert_eq!(header(&answer, "Florin-Reject"), "16");
    assert_eq!(body["outcome"]["rejected"]["figures"]["limit"], 1_000_000);
    // Several at once have their outcomes in order.
    let several = json!([top_up("a", &json!(1)), top_up("much", &json!(1_000_001)), top_up("b", &json!(2))]);
    let (answer, body) = shop.json("cmd.v1.user.0", &several).await;
    assert_eq!(header(&answer, "Nats-Service-Error-Code"), "");
    assert_eq!(body[0]["outcome"]["accepted"][0]["topped_up"]["amount"], 1);
    assert_eq!(body[1]["outcome"]["rejected"]["number"], 16);
    assert_eq!(body[2]["outcome"]["accepted"][0]["topped_up"]["amount"], 2);
    shop.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_id_is_minted_for_need_not_say_it() {
    let shop = shop().await;
    let issue = json!({
        "account": account().to_string(), "key": "another card", "class": "user",
        "command": { "issue_card": {
            "programme": "dashboard", "kind": "virtual", "initial": 1_000, "invoice": 0, "country": "DE",
        } },
    });
    let (_, body) = shop.json("cmd.v1.user.0", &issue).await;
    let event = &body["outcome"]["accepted"][0];
    assert!(event.to_string().contains("\"programme\":\"dashboard\""), "{body}");
    // What is to be brought to the issuer is told too.
    let (_, work) = shop.json("qry.v1.work.0", &json!({ "max": 5 })).await;
    assert_eq!(work[0]["task"], "issue");
    let status: Value = serde_json::from_slice(&shop.ask("qry.v1.status.0", "").await.payload).unwrap();
    assert_eq!((status["cards"].clone(), status["policy"].clone()), (json!(2), json!(1)));
    shop.end().await;
}

/// The server learns of a subscription's end a moment after its owner: what is asked in between is heard by nobody.
async fn nobody_answers(client: &async_nats::Client, subject: &'static str) {
    use async_nats::RequestErrorKind::{NoResponders, TimedOut};
    for _ in 0..20 {
        let request = async_nats::Request::new().timeout(Some(Duration::from_secs(1)));
        match client.send_request(subject, request).await.unwrap_err().kind() {
            NoResponders => return,
            kind => assert_eq!(kind, TimedOut, "{subject}"),
        }
    }
    panic!("{subject} still has a subscriber");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ordinary_tools_find_the_service() {
    let shop = shop().await;
    let info = shop.client.request("$SRV.INFO.florin-main", "".into()).await.unwrap();
    let info: Value = serde_json::from_slice(&info.payload).unwrap();
    let subjects: Vec<&str> =
        info["endpoints"].as_array().unwrap().iter().map(|endpoint| endpoint["subject"].as_str().unwrap()).collect();
    assert!(subjects.contains(&"florin.main.cmd.v1.user.0") && subjects.contains(&"florin.main.qry.v1.status.0"));
    assert_eq!(info["metadata"]["partition"], "0");
    // Once it has ended, nobody answers any more.
    let client = shop.client.clone();
    shop.serving.stop().await;
    for subject in ["$SRV.INFO.florin-main", "florin.main.qry.v1.status.0"] {
        nobody_answers(&client, subject).await;
    }
    shop.run.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_else_comes_is_refused_with_its_place_and_decides_nothing() {
    let shop = shop().await;
    let before = shop.records().await;
    let amount = |amount: Value| top_up("x", &amount).to_string();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = top_up("x", &json!(1));
        change(&mut body);
        body.to_string()
    };
    let bad: Vec<(String, &str)> = vec![
        (String::new(), "not JSON"),
        ("{".into(), "not JSON"),
        ("[".repeat(100_000), "not JSON"),
        ("7".into(), "expected struct"),
        (amount(json!(1.5)), "command.top_up.amount"),
        (amount(json!("1")), "command.top_up.amount"),
        (amount(json!(18_446_744_073_709_551_615_u64)), "command.top_up.amount"),
        (with(&|body| body["key"] = json!("")), "key"),
        (with(&|body| body["key"] = json!("k".repeat(256))), "key"),
        (with(&|body| body["account"] = json!("nobody")), "account"),
        (with(&|body| drop(body.as_object_mut().unwrap().remove("account"))), "account"),
        (with(&|body| body["class"] = json!("ops")), "class"),
        (with(&|body| body["amount"] = json!(1)), "amount"),
        (with(&|body| body["command"]["top_up"]["amuont"] = json!(1)), "command.top_up.amuont"),
        (with(&|body| body["command"]["withdraw"] = json!({})), "command"),
        (with(&|body| body["command"] = json!({ "take_it_all": {} })), "take_it_all"),
        (with(&|body| drop(body["command"]["top_up"].as_object_mut().unwrap().remove("card"))), "card"),
        (json!([top_up("a", &json!(1)), top_up("b", &json!(null))]).to_string(), "[1].command.top_up.amount"),
    ];
    for (body, place) in bad {
        let answer = shop.ask("cmd.v1.user.0", body.clone()).await;
        let shown = &body[..body.len().min(200)];
        assert_eq!(header(&answer, "Nats-Service-Error-Code"), "400", "{shown}");
        assert!(header(&answer, "Nats-Service-Error").contains(place), "{shown}: {:?}", answer.headers);
    }
    // Another partition's account,
    let other = florin_engine::ids::AccountId::of_partition(3).to_string();
    let answer = shop.ask("cmd.v1.user.0", with(&|body| body["account"] = json!(other))).await;
    assert_eq!((header(&answer, "Nats-Service-Error-Code"), header(&answer, "Florin-Error")), ("421", "misrouted"));
    // the binary form of nothing, and of noise,
    let mut headers = HeaderMap::new();
    headers.insert("Content-Type", "application/postcard");
    for noise in [
        vec![],
        vec![0xFF; 100_000],
        b"\x01\x01\0\0\0\0\xFF\xFF\xFF\xFF".to_vec(),
        b"\x01\x02\0\0\0\0\0\0\0\0".to_vec(),
    ] {
        let subject = "florin.main.cmd.v1.user.0";
        let answer = shop.client.request_with_headers(subject, headers.clone(), noise.into()).await.unwrap();
        assert_eq!(header(&answer, "Florin-Error"), "malformed");
    }
    // and a form that is not spoken.
    headers.insert("Content-Type", "text/xml");
    let answer = shop.client.request_with_headers("florin.main.cmd.v1.user.0", headers, "<a/>".into()).await.unwrap();
    assert!(header(&answer, "Nats-Service-Error").starts_with("Content-Type"));
    assert_eq!(shop.records().await, before, "nothing was decided");
    // A user's subject gives nobody what ops may do: it is a reject, and on record.
    let deposit = with(&|body| body["command"] = json!({ "deposit": { "asset": "USD", "amount": 5 } }));
    let answer = shop.ask("cmd.v1.user.0", deposit).await;
    assert_eq!(header(&answer, "Florin-Reject"), "2");
    shop.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_message_that_is_sent_to_a_class_is_no_command_of_it() {
    // Given somebody who may not command as ops, but may store messages,
    let shop = shop().await;
    let before = shop.records().await;
    let mut deposit = top_up("x", &json!(1));
    deposit["command"] = json!({ "deposit": { "asset": "USD", "amount": 5 } });
    let jetstream = async_nats::jetstream::new(shop.client.clone());
    let config = async_nats::jetstream::stream::Config {
        name: "ANY".into(),
        subjects: vec!["any".into()],
        allow_direct: true,
        ..Default::default()
    };
    let stream = jetstream.create_stream(config).await.unwrap();
    jetstream.publish("any", deposit.to_string().into()).await.unwrap().await.unwrap();
    let pull =
        async_nats::jetstream::consumer::pull::Config { durable_name: Some("pull".into()), ..Default::default() };
    stream.create_consumer(pull).await.unwrap();
    // when he has the server send it to the subject of ops, in either way,
    for (ask, body) in [("CONSUMER.MSG.NEXT.ANY.pull", "1"), ("DIRECT.GET.ANY", r#"{"seq":1}"#)] {
        let (ask, ops) = (format!("$JS.API.{ask}"), "florin.main.cmd.v1.ops.0");
        shop.client.publish_with_reply(ask, ops, body.into()).await.unwrap();
    }
    shop.client.flush().await.unwrap();
    let mut consumer = stream.consumer_info("pull").await.unwrap();
    while consumer.delivered.consumer_sequence == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        consumer = stream.consumer_info("pull").await.unwrap();
    }
    // then it is not decided; and what ops themselves send is.
    let (_, body) = shop.json("cmd.v1.ops.0", &deposit).await;
    assert_eq!((body["replayed"].clone(), shop.records().await), (json!(false), before + 1));
    shop.end().await;
}
