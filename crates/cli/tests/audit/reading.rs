//! Balances, statements, and the reasons of things.

use florin_engine::event::Event;
use serde_json::Value;

use crate::forge::{find, has};
use crate::world::{World, account, authorization, card};

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
    assert!(csv.starts_with("time,position,transaction,event,against,amount,balance,merchant\n"));
    // A top-up is two lines: what the card got, and the fee
    assert!(csv.contains(",ToppedUp,cards,-10.01,") && csv.contains(",ToppedUp,revenue.service,-0.30,"), "{csv}");
}

#[test]
fn a_decline_is_told_with_the_figures_of_its_moment() {
    let world = World::new();
    // Given 55,000 asked for where the day's limit leaves less
    let declined = authorization(8, 3).to_string();
    let why = json(&world, "why", &["--transaction", &declined]);
    let step = &why["steps"][0];
    assert_eq!(step["decline"]["reason"], "daily_limit", "{why:#}");
    let used = step["before"]["used_today"].as_i64().unwrap();
    assert!(used > 5_000 && used + 55_000 > 60_000);
    assert!(step["decline"]["figures"].as_array().unwrap().contains(&serde_json::json!(["Used", used])), "{why:#}");
}

#[test]
fn a_card_is_told_from_its_request_to_now() {
    let world = World::new();
    let why = json(&world, "why", &["--card", &card(11).to_string()]);
    let steps = why["steps"].as_array().unwrap();
    assert_eq!(steps[0]["command"], "IssueCard");
    assert!(steps.iter().any(|step| step["outcome"][0].as_str().unwrap().starts_with("rejected")), "rejects too");
    assert!(why["now"]["balance"].as_i64().unwrap() < 0, "the forced purchase");
    let unknown = world.audit("why", &["--card", &uuid::Uuid::nil().to_string()]);
    assert!(!unknown.status.success());
}
