//! Balances, statements, and the reasons of things.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;

use florin_engine::event::Event;
use florin_engine::money::Asset;
use florin_journal::Provider;
use florin_journal::embedded::Embedded;
use florin_projector::{TransactionRow, Views};
use serde_json::Value;

use crate::forge::{find, has, pieces};
use crate::world::{World, account, authorization, card, id, signing};

fn json(world: &World, command: &str, options: &[&str]) -> Value {
    let output = world.audit(command, &[options, &["--json"]].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn cents(text: &Value) -> i64 {
    text.as_str().unwrap().replace('.', "").parse().unwrap()
}

fn row<'a>(trial: &'a Value, account: &str) -> &'a Value {
    trial["rows"].as_array().unwrap().iter().find(|row| row["account"] == account).unwrap()
}

#[test]
fn the_trial_balance_balances_at_any_moment() {
    let world = World::new();
    let now = json(&world, "balance", &[]);
    assert_eq!(now["balanced"], true);
    assert_eq!(cents(&row(&now, "funding")["debits"]), 3 * 5_000_000);
    assert_eq!(cents(&row(&now, "funding")["credits"]), 3 * 4 * 777);
    // Three users forced a purchase that was not covered
    assert!(cents(&now["receivable"]["USD"]) > 0);
    // As of the first deposit there is one deposit and nothing else
    let deposit = find(&world, 0, |entry| has(entry, |event| matches!(event, Event::Deposited(_))));
    let then = json(&world, "balance", &["--as-of", &format!("0.{deposit}")]);
    assert_eq!(cents(&row(&then, "funding")["debits"]) % 5_000_000, 0);
    assert!(cents(&row(&then, "wallets")["credits"]) < cents(&row(&now, "wallets")["credits"]));
    // Before the first day there is nothing
    let nothing = json(&world, "balance", &["--as-of", "2020-01-01"]);
    assert_eq!(nothing["rows"].as_array().unwrap().len(), 0);
}

#[test]
fn statements_of_two_halves_meet_in_the_middle() {
    let world = World::new();
    let card = card(9).to_string();
    let middle = "2027-01-17T00:00:00Z";
    let whole = json(&world, "statement", &["--card", &card]);
    let first = json(&world, "statement", &["--card", &card, "--to", middle]);
    let second = json(&world, "statement", &["--card", &card, "--from", middle]);
    assert_eq!((cents(&whole["opening"]), &first["closing"]), (0, &second["opening"]));
    assert_eq!(whole["closing"], second["closing"]);
    let lines = |sheet: &Value| sheet["lines"].as_array().unwrap().len();
    assert!(lines(&first) > 5 && lines(&second) > 5);
    assert_eq!(lines(&first) + lines(&second), lines(&whole));
    // Opening and lines add up to closing, and each line says the balance after it
    let mut balance = cents(&second["opening"]);
    for line in second["lines"].as_array().unwrap() {
        balance += cents(&line["amount"]);
        assert_eq!(cents(&line["balance"]), balance, "{line}");
    }
    assert_eq!(balance, cents(&second["closing"]));
}

#[test]
fn a_wallets_statement_comes_as_csv() {
    let world = World::new();
    let wallet = format!("{}/USD", account(8));
    let sheet = json(&world, "statement", &["--wallet", &wallet]);
    let csv = String::from_utf8(world.audit("statement", &["--wallet", &wallet, "--csv"]).stdout).unwrap();
    assert_eq!(csv.lines().count(), sheet["lines"].as_array().unwrap().len() + 3);
    assert!(
        csv.starts_with("time,position,transaction,event,account,asset,card,against,amount,balance,merchant\n"),
        "{csv}"
    );
    // A top-up is two lines, what the card got and the fee: each says whose it is, in what, and for which card
    let of = format!(",ToppedUp,wallet {wallet},USD,{}", card(8));
    assert!(csv.contains(&format!("{of},cards,-10.01,")), "{csv}");
    assert!(csv.contains(&format!("{of},revenue.service,-0.30,")), "{csv}");
}

/// The transactions that the views list of a card or wallet: id, amount, merchant.
fn listed(world: &World, user: u8, asset: Option<Asset>) -> Vec<TransactionRow> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let journal = Embedded::open_read_only(&world.journal()).unwrap();
        let (views, _) =
            Views::open(&world.path().join("views"), &journal, florin_projector::Options::default()).await.unwrap();
        let (mut rows, mut after) = (Vec::new(), None);
        loop {
            let page = match asset {
                Some(asset) => views.transactions_of_wallet(account(user), asset, 100, after),
                None => views.transactions_of_card(card(user), 100, after),
            };
            let page = page.unwrap();
            rows.extend(page.rows);
            after = page.next;
            if after.is_none() {
                return rows;
            }
        }
    })
}

#[test]
fn a_statement_names_transactions_and_merchants_as_the_views_do() {
    let world = World::new();
    let wallet = format!("{}/USD", account(9));
    let sheets = [
        (None, json(&world, "statement", &["--card", &card(9).to_string()])),
        (Some(Asset::USD), json(&world, "statement", &["--wallet", &wallet])),
    ];
    for (asset, sheet) in sheets {
        let rows = listed(&world, 9, asset);
        let mut moved: BTreeMap<String, i64> = BTreeMap::new();
        for line in sheet["lines"].as_array().unwrap() {
            let id = line["transaction"].as_str().unwrap();
            let row =
                rows.iter().find(|row| row.id.to_string() == id).unwrap_or_else(|| panic!("no view lists {line}"));
            let merchant = row.merchant.as_ref().map_or("", |merchant| merchant.name.as_str());
            assert_eq!(line["merchant"], merchant, "{line}");
            *moved.entry(id.to_owned()).or_default() += cents(&line["amount"]);
        }
        // What the lines of a transaction come to is what the views say of it
        for (id, cents) in &moved {
            let row = rows.iter().find(|row| row.id.to_string() == *id).unwrap();
            assert_eq!(cents.abs(), row.amount.0, "{row:?}");
        }
        let purchases = sheet["lines"].as_array().unwrap().iter().filter(|line| line["event"] == "Cleared").count();
        assert!(if asset.is_none() { purchases >= 8 } else { purchases == 0 }, "two clearings a day, on the card");
    }
    // A top-up and its fee are two transactions
    let lines = json(&world, "statement", &["--wallet", &wallet]);
    let lines = lines["lines"].as_array().unwrap();
    let (moved, fee) = lines.iter().partition::<Vec<_>, _>(|line| line["against"] == "cards");
    assert!(moved.iter().all(|moved| fee.iter().all(|fee| fee["transaction"] != moved["transaction"])));
}

#[test]
fn a_statement_of_nobody_is_refused() {
    let world = World::new();
    let nobody = uuid::Uuid::nil().to_string();
    let wallet = |account: &str, asset: &str| format!("{account}/{asset}");
    let own = account(9).to_string();
    let cases = [
        ("--card", nobody.clone(), "no card"),
        ("--wallet", wallet(&nobody, "USD"), "no account"),
        ("--wallet", wallet(&own, "EUR"), "the asset EUR"),
    ];
    for (option, name, why) in cases {
        for form in ["--csv", "--json"] {
            let output = world.audit("statement", &[option, &name, form]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.code() == Some(2) && said.contains(why), "{option} {name}: {output:?}");
            assert!(output.stdout.is_empty(), "no sheet of zeros");
        }
    }
    // but one that is there and had nothing yet has an empty one
    let early = json(&world, "statement", &["--card", &card(9).to_string(), "--to", "2020-01-01"]);
    assert_eq!(
        (&early["opening"], &early["closing"], &early["asset"]),
        (&"0.00".into(), &"0.00".into(), &"USD".into())
    );
}

#[test]
fn a_time_that_may_be_meant_otherwise_is_refused() {
    let world = World::new();
    let card = card(9).to_string();
    for times in [["--from", "2026"], ["--to", "20260701"], ["--from", "2027-01-17T00:00:00+2"]] {
        let output = world.audit("statement", &[&["--card", &card], &times[..]].concat());
        assert_eq!(output.status.code(), Some(2), "{times:?}: {output:?}");
    }
    assert_eq!(world.audit("balance", &["--as-of", "20260701"]).status.code(), Some(2));
    let reversed = ["--card", &card, "--from", "2027-01-18", "--to", "2027-01-17"];
    assert_eq!(world.audit("statement", &reversed).status.code(), Some(2));
    // Midnight in Berlin is the hour before in Greenwich
    let berlin = json(&world, "statement", &["--card", &card, "--to", "2027-01-17T01:00:00+01:00"]);
    let greenwich = json(&world, "statement", &["--card", &card, "--to", "2027-01-17T00:00:00Z"]);
    assert_eq!(berlin["lines"], greenwich["lines"]);
}

/// Given a journal whose last record is damaged or cut, nothing that is read from it looks whole.
#[test]
fn a_torn_end_is_told_by_all_that_read_it() {
    let card = card(9).to_string();
    let asked: [(&str, &[&str]); 3] =
        [("balance", &[]), ("statement", &["--card", &card]), ("why", &["--card", &card])];
    for cut in [false, true] {
        let world = World::new();
        let last = pieces(&world, 1).pop().unwrap();
        let mut bytes = std::fs::read(world.segment(1)).unwrap();
        if cut {
            bytes.truncate(last.offset + 100);
        } else {
            bytes[last.offset + 40] ^= 1;
        }
        std::fs::write(world.segment(1), bytes).unwrap();
        for (command, options) in asked {
            let output = world.audit(command, &[options, &["--json"]].concat());
            assert_eq!(output.status.code(), Some(5), "{command}: {output:?}");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("incomplete: partition 1"), "{command}: {said}");
            let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(shown["incomplete"].as_array().unwrap().len(), 1, "{command}: {shown:#}");
        }
        // What ends before the damage is whole
        let before = json(&world, "statement", &["--card", &card, "--to", "2027-01-17"]);
        assert_eq!(before["incomplete"], Value::Array(vec![]));
    }
    let whole = json(&World::new(), "balance", &[]);
    assert_eq!(whole["incomplete"], Value::Array(vec![]));
}

#[test]
fn a_decline_is_told_with_the_figures_of_its_moment() {
    let world = World::new();
    // Given 55,000 asked for where the day's limit leaves less
    let declined = authorization(8, 3).to_string();
    let why = json(&world, "why", &["--transaction", &declined]);
    let step = &why["steps"][0];
    assert_eq!(step["decline"]["reason"], "daily_limit", "{why:#}");
    // Figures are amounts of the card's currency, as on a statement
    let used = &step["before"]["used_today"];
    assert!(cents(used) > 5_000 && cents(used) + 55_000 > 60_000, "{why:#}");
    assert_eq!((&step["decline"]["figures"]["used"], &step["before"]["currency"]), (used, &"USD".into()), "{why:#}");
    assert_eq!((&step["events"][0]["event"], &step["events"][0]["amount"]), (&"declined".into(), &"550.00".into()));
    assert_eq!((&step["before"]["limits"]["daily"], &step["before"]["status"]), (&"600.00".into(), &"active".into()));
    let text = String::from_utf8(world.audit("why", &["--transaction", &declined]).stdout).unwrap();
    assert!(text.contains("declined: ") && text.contains("limits: daily 600.00"), "{text}");
    assert!(!text.contains("Minor(") && !text.contains("Some("), "{text}");
}

#[test]
fn a_card_is_told_from_its_request_to_now() {
    let world = World::new();
    let why = json(&world, "why", &["--card", &card(11).to_string()]);
    let steps = why["steps"].as_array().unwrap();
    assert_eq!(steps[0]["command"], "IssueCard");
    let reject = steps.iter().find_map(|step| step["reject"].as_object()).expect("rejects too");
    assert!(reject["reason"].is_string() && reject["figures_stored"].is_object(), "{reject:?}");
    assert!(cents(&why["now"]["balance"]) < 0, "the forced purchase");
    let unknown = world.audit("why", &["--card", &uuid::Uuid::nil().to_string()]);
    assert!(!unknown.status.success());
}

/// Given a server that is in the middle of a write, what was durable is shown, and the rest is named without an alarm.
#[test]
fn beside_a_running_server_a_torn_end_is_named_and_no_failure() {
    let world = World::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let _held = runtime.block_on(async {
        let journal = Embedded::open(&world.journal(), signing()).unwrap();
        let writer = journal.claim(id(1)).await.unwrap();
        (journal, writer)
    });
    let last = pieces(&world, 1).pop().unwrap();
    let segment = std::fs::File::options().write(true).open(world.segment(1)).unwrap();
    segment.write_all_at(&[0xAB; 50], (last.offset + last.bytes.len()) as u64).unwrap();
    let output = world.audit("balance", &["--json"]);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("incomplete: partition 1"), "{output:?}");
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&shown["balanced"], shown["incomplete"].as_array().unwrap().len()), (&true.into(), 1));
}
