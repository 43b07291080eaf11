//! Lists and look-ups: pages, filters, search and totals; by uuid; by number; what is shown of a secret.

use serde_json::{Value, json};

use crate::{server::send, world::World};

const LIST: &str = "/api/v1/cards";

#[tokio::test]
async fn cards_are_listed_page_by_page_filtered_and_searched() {
    let world = World::start();
    let mut cards = Vec::new();
    for name in ["Travel", "Grüße ÄÖ", "travel 2", "𝒳", "Rent"] {
        cards.push(world.card(name).await);
    }
    world.change(&cards[4], "CANCELLED").await;
    world.change(&cards[1], "FROZEN").await;
    let ids = |list: &Value| {
        list["cards"].as_array().unwrap().iter().map(|card| card["id"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let get = |query: &str| {
        let (world, path) = (&world, format!("{LIST}?{query}"));
        async move { world.get(&path).await.expect(200).data() }
    };
    // Newest first, closed ones left out, with totals
    let list = get("").await;
    assert_eq!(ids(&list), [cards[3].id, cards[2].id, cards[1].id, cards[0].id]);
    assert_eq!(
        [&list["page"], &list["limit"], &list["total"], &list["total_pages"]],
        [&json!(1), &json!(10), &json!(4), &json!(1)]
    );
    // page by page,
    let first = get("limit=3").await;
    let second = get("limit=3&page=2").await;
    assert_eq!((ids(&first), ids(&second)), (ids(&list)[..3].to_vec(), ids(&list)[3..].to_vec()));
    assert_eq!((&second["total"], &second["total_pages"]), (&json!(4), &json!(2)));
    assert_eq!((ids(&get("limit=3&page=3").await), ids(&get("page=1000000&limit=100").await)), (vec![], vec![]));
    // by status and kind,
    for (query, expected) in [
        ("status=FROZEN", vec![cards[1].id]),
        ("status=CANCELLED", vec![cards[4].id]),
        ("status=BLOCKED", vec![]),
        ("status=ACTIVE&card_type=VIRTUAL", vec![cards[3].id, cards[2].id, cards[0].id]),
        ("card_type=PHYSICAL", vec![]),
        // and by a part of the name, in any case and script,
        ("search=TRAVEL", vec![cards[2].id, cards[0].id]),
        ("search=gr%C3%BC%C3%9Fe%20%C3%A4%C3%B6", vec![cards[1].id]),
        ("search=%F0%9D%92%B3", vec![cards[3].id]),
        ("search=rent", vec![]),
        ("search=rent&status=CANCELLED", vec![cards[4].id]),
        ("search=%25", vec![]),
        ("unknown=1&search=", ids(&list)),
    ] {
        assert_eq!(ids(&get(query).await), expected, "{query}");
    }
    // or of the last four, but never of the number.
    let number = reveal(&world, cards[0].id).await["card_number"].as_str().unwrap().to_owned();
    assert!(ids(&get(&format!("search={}", &number[12..])).await).contains(&cards[0].id));
    assert!(ids(&get(&format!("search={}", &number[13..15])).await).contains(&cards[0].id));
    for part in [&number[..], &number[8..]] {
        assert_eq!(ids(&get(&format!("search={part}")).await), Vec::<u64>::new(), "a part of a number");
    }
    // What is out of bounds or unknown names its parameter.
    for (query, field) in [
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=99999999999999999999", "page"),
        ("limit=101", "limit"),
        ("limit=0", "limit"),
        ("limit=ten", "limit"),
        ("card_type=virtual", "card_type"),
        ("status=active", "status"),
        ("status=", "status"),
        ("search=%00", "search"),
        ("page=1&page=1", "page"),
    ] {
        let got = world.get(&format!("{LIST}?{query}")).await;
        assert_eq!((got.error().0, got.error().2), (400, Some(field.to_owned())), "{query}");
    }
}

async fn reveal(world: &World, id: u64) -> Value {
    world.post("/api/v1/cards/show-cvv", &json!({"card_id": id})).await.expect(200).data()
}

#[tokio::test]
async fn a_card_is_found_by_its_number_and_shows_its_secrets_to_its_owner_only() {
    let world = World::start();
    let card = world.card("Travel").await;
    let got = world.post("/api/v1/cards/show-cvv", &json!({"card_id": card.id})).await.expect(200);
    assert_eq!(got.headers["cache-control"], "no-store");
    let secrets = got.data();
    let (number, cvv) = (secrets["card_number"].as_str().unwrap(), secrets["cvv"].as_str().unwrap());
    assert!(number.len() == 16 && number.bytes().all(|digit| digit.is_ascii_digit()));
    assert!(cvv.len() == 3 && cvv.bytes().all(|digit| digit.is_ascii_digit()));
    let shown = world.get(&format!("{LIST}/{}", card.uuid)).await.expect(200);
    assert!(!shown.text.contains(number));
    let shown = shown.data();
    assert_eq!((&secrets["expiry_date"], &number[12..]), (&shown["expiry_date"], shown["last_four"].as_str().unwrap()));

    // By number it is the same card, masked;
    let by_number = |token: String, number: String| {
        let world = &world;
        async move {
            let body = json!({"card_number": number}).to_string();
            world.post_as(&token, "/api/v1/cards/get-by-number", &body).await
        }
    };
    let carol = World::token("demo", Some("carol"));
    let found = by_number(carol.clone(), number.to_owned()).await.expect(200);
    assert_eq!(found.data(), shown);
    // to anybody else it is none, as is one that nobody has.
    let nobodys = if number.ends_with('0') { "4000000000000001" } else { "4000000000000000" };
    let mut answers = Vec::new();
    for (token, number) in [(carol.clone(), nobodys.to_owned()), (World::token("demo", Some("bob")), number.to_owned())]
    {
        let got = by_number(token, number).await;
        assert_eq!(got.error(), (404, "not_found".into(), None));
        answers.push(got.text);
    }
    assert_eq!(answers[0], answers[1]);
    for wrong in [
        json!(""),
        json!("411111111111111"),
        json!("41111111111111111"),
        json!("4111 1111 1111 1111"),
        json!("٤111111111111111"),
        json!(4_111_111_111_111_111_u64),
        Value::Null,
    ] {
        let got = world.post("/api/v1/cards/get-by-number", &json!({"card_number": wrong})).await;
        assert_eq!((got.error().0, got.error().2), (400, Some("card_number".to_owned())), "{wrong}");
        assert!(!got.text.contains("4111"), "{}", got.text);
    }
    // A frozen card still shows them, and a key does not keep what was shown.
    world.change(&card, "FROZEN").await;
    let body = json!({"card_id": card.id}).to_string();
    for _ in 0..2 {
        let got = world.post_under("show-1", "/api/v1/cards/show-cvv", &body).await.expect(200);
        assert!(!got.headers.contains_key("idempotency-replayed"));
    }
    // Each is in the card's history, and none of it anywhere else.
    let history = send(world.server.ops(reqwest::Method::GET, &format!("/cards/{}/history", card.uuid)), 200).await;
    let shown = history["history"].as_array().unwrap().iter().filter(|step| step["event"] == "Revealed");
    let words: Vec<_> = shown.map(|step| step["words"].as_str().unwrap()).collect();
    assert_eq!(words, ["Cvv shown", "ByNumber shown", "Cvv shown", "Cvv shown"]);
    assert!(!world.server.logged().contains(number));
    for entry in walk(&world.dir.path().join("data")) {
        let bytes = std::fs::read(&entry).unwrap();
        assert!(!bytes.windows(16).any(|part| part == number.as_bytes()), "{}", entry.display());
    }
}

/// All files under a folder.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn reveals_and_look_ups_are_limited() {
    let world = World::start_with(|command| {
        command.env("FLORIN_LIMITS_REVEALS_PER_MINUTE", "2");
    });
    let card = world.card("Travel").await;
    let body = json!({"card_id": card.id});
    for _ in 0..2 {
        world.post("/api/v1/cards/show-cvv", &body).await.expect(200);
    }
    let got = world.post("/api/v1/cards/show-cvv", &body).await;
    assert_eq!(got.error(), (429, "rate_limited".into(), None));
    assert!(got.headers.contains_key("retry-after"));
    // Numbers that nobody has count too: nobody is to try them.
    let body = json!({"card_number": "4000000000000000"});
    for status in [404, 404, 429] {
        assert_eq!(world.post("/api/v1/cards/get-by-number", &body).await.status, status);
    }
}
