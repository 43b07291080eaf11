//! What a forger with right checksums, roots, chain and even heads does: deciding again finds it, or the kept head.

use florin_engine::codec::{Entry, Outcome};
use florin_engine::command::{Class, Command};
use florin_engine::event::{Authorized, Event};
use florin_engine::holds::Leg;
use florin_engine::ids::Position;
use florin_engine::money::{Asset, Factor, Minor};
use florin_engine::reject::Reason;

use crate::forge::{Forged, find, forge, has, pieces, rewrite};
use crate::world::World;

/// Forges the entry at one position, and lets the rest follow honestly.
fn forge_one(world: &World, partition: u16, position: Position, mut with: impl FnMut(Entry) -> Forged) {
    forge(world, partition, |at, entry| if at == position { with(entry) } else { Forged::Honest(entry.admitted) });
}

fn events(entry: &Entry) -> Vec<Event> {
    match &entry.outcome {
        Outcome::Accepted(events) => events.clone(),
        Outcome::Rejected(reject) => panic!("{reject}"),
    }
}

/// The one thing that is wrong, and nothing else.
fn only(world: &World, kind: &str, partition: u16, position: Position) -> String {
    let said = world.verify_with(&[]);
    let place = (Some(u64::from(partition)), Some(position.index()), Some(u64::from(position.entry())));
    let findings = said.findings();
    assert_eq!(findings.len(), 1, "{:#}", said.report);
    assert_eq!(
        (findings[0].0.as_str(), (findings[0].1, findings[0].2, findings[0].3)),
        (kind, place),
        "{:#}",
        said.report
    );
    assert_eq!(said.code, 1);
    format!("{} | {}", said.report["findings"][0]["expected"], said.report["findings"][0]["found"])
}

#[test]
fn an_honest_forger_changes_nothing() {
    // The tool itself: decided again and sealed again, the ledger is the same to the byte.
    let world = World::new();
    let before: Vec<Vec<u8>> = pieces(&world, 1).into_iter().map(|piece| piece.bytes).collect();
    forge(&world, 1, |_, entry| Forged::Honest(entry.admitted));
    let after: Vec<Vec<u8>> = pieces(&world, 1).into_iter().map(|piece| piece.bytes).collect();
    assert_eq!(before, after);
}

#[test]
fn a_history_forged_from_one_deposit_on_is_told_by_the_kept_head_only() {
    let world = World::new();
    let deposit = find(&world, 0, |entry| has(entry, |event| matches!(event, Event::Deposited(_))));
    let last = pieces(&world, 0).last().unwrap().header.index;
    forge_one(&world, 0, deposit, |mut entry| {
        if let Command::Deposit(deposit) = &mut entry.admitted.envelope.command {
            deposit.amount = Minor(6_000_000);
        }
        Forged::Honest(entry.admitted)
    });
    // Everything fits, so without a head nothing can be said but that it is unanchored
    let said = world.verify_with(&[]);
    assert_eq!((said.code, &said.report["anchored"]), (0, &false.into()), "{:#}", said.report);
    // The head that was kept is of another history
    let said = world.verify();
    said.has("trusted-head", 0, last);
    assert!(said.report["findings"][0]["found"].as_str().unwrap().contains("another history"));
}

#[test]
fn a_fee_one_cent_off_is_found() {
    let world = World::new();
    let top_up = find(&world, 1, |entry| has(entry, |event| matches!(event, Event::ToppedUp(_))));
    forge_one(&world, 1, top_up, |entry| {
        let mut events = events(&entry);
        for event in &mut events {
            if let Event::ToppedUp(event) = event {
                event.fee = Minor(event.fee.0 - 1);
                event.wallet_balance = Minor(event.wallet_balance.0 + 1);
            }
        }
        Forged::Outcome(entry.admitted, Outcome::Accepted(events))
    });
    let reason = only(&world, "outcome", 1, top_up);
    assert!(reason.contains("fee: Minor(30)") && reason.contains("fee: Minor(29)"), "{reason}");
}

#[test]
fn a_forged_approval_is_found() {
    let world = World::new();
    let declined = find(&world, 0, |entry| {
        has(entry, |event| matches!(event, Event::Declined(event) if event.amount.is_positive()))
    });
    forge_one(&world, 0, declined, |entry| {
        let Some(Event::Declined(was)) = events(&entry).into_iter().next() else { panic!("a decline") };
        let leg = Leg { wallet: false, asset: Asset::USD, amount: was.amount, billing: was.amount, rate: Factor::ONE };
        let approval = Authorized {
            card: was.card,
            authorization: was.authorization,
            amount: was.amount,
            currency: was.currency,
            legs: vec![leg],
            expires_at_ms: entry.admitted.time_ms + 604_800_000,
            merchant: was.merchant,
        };
        Forged::Outcome(entry.admitted, Outcome::Accepted(vec![approval.into()]))
    });
    let reason = only(&world, "outcome", 0, declined);
    assert!(reason.contains("Declined") && reason.contains("Authorized"), "{reason}");
}

#[test]
fn a_decline_forged_from_an_approval_is_found() {
    let world = World::new();
    let approved = find(&world, 1, |entry| has(entry, |event| matches!(event, Event::Authorized(_))));
    forge_one(&world, 1, approved, |entry| {
        Forged::Outcome(entry.admitted, Outcome::Rejected(Reason::InsufficientBalance.into()))
    });
    only(&world, "outcome", 1, approved);
}

#[test]
fn a_reject_with_another_figure_is_found() {
    let world = World::new();
    let rejected = find(
        &world,
        1,
        |entry| matches!(&entry.outcome, Outcome::Rejected(reject) if reject.reason == Reason::InsufficientBalance),
    );
    forge_one(&world, 1, rejected, |entry| {
        let Outcome::Rejected(mut reject) = entry.outcome else { panic!("a reject") };
        reject.figures[0].1 += 1;
        Forged::Outcome(entry.admitted, Outcome::Rejected(reject))
    });
    only(&world, "outcome", 1, rejected);
}

#[test]
fn money_taken_that_was_not_there_is_found_by_the_books_too() {
    // Given a refused unloading that the forger lets through
    let world = World::new();
    let refused = find(&world, 0, |entry| {
        matches!(entry.outcome, Outcome::Rejected(_)) && matches!(entry.admitted.envelope.command, Command::Unload(_))
    });
    forge_one(&world, 0, refused, |entry| {
        let Command::Unload(unload) = &entry.admitted.envelope.command else { panic!("an unloading") };
        let event = florin_engine::event::Unloaded {
            card: unload.card,
            currency: Asset::USD,
            amount: unload.amount,
            card_balance: Minor(0),
            wallet_balance: Minor(0),
        };
        Forged::Outcome(entry.admitted, Outcome::Accepted(vec![event.into()]))
    });
    let said = world.verify_with(&[]);
    for kind in ["outcome", "balance", "negative-liability"] {
        said.has(kind, 0, refused.index());
    }
}

#[test]
fn a_command_decided_twice_is_found() {
    let world = World::new();
    let first = find(&world, 0, |entry| has(entry, |event| matches!(event, Event::ToppedUp(_))));
    forge_one(&world, 0, first, |entry| Forged::Twice(entry.admitted));
    let said = world.verify_with(&[]);
    said.has("idempotency", 0, first.index());
    assert!(said.report["findings"][0]["expected"].as_str().unwrap().contains(&first.to_string()), "{:#}", said.report);
}

#[test]
fn a_command_from_the_wrong_class_is_found() {
    let world = World::new();
    let deposit = find(&world, 1, |entry| has(entry, |event| matches!(event, Event::Deposited(_))));
    forge_one(&world, 1, deposit, |entry| {
        let outcome = entry.outcome.clone();
        let mut admitted = entry.admitted;
        admitted.envelope.class = Class::User;
        Forged::Outcome(admitted, outcome)
    });
    let reason = only(&world, "outcome", 1, deposit);
    assert!(reason.contains("WrongClass"), "{reason}");
}

#[test]
fn a_policy_that_was_not_in_force_is_found() {
    let world = World::new();
    let place = find(&world, 1, |entry| has(entry, |event| matches!(event, Event::ToppedUp(_))));
    forge_one(&world, 1, place, |mut entry| {
        entry.admitted.policy = 7;
        Forged::Honest(entry.admitted)
    });
    only(&world, "policy", 1, place);
}

#[test]
fn a_wrong_checkpoint_is_found() {
    let world = World::new();
    let place = find(&world, 0, |entry| has(entry, |event| matches!(event, Event::Checkpointed(_))));
    rewrite(&world, 0, place, |bytes| {
        let mut entry = Entry::decode(bytes).unwrap();
        if let Command::Checkpoint(checkpoint) = &mut entry.admitted.envelope.command {
            checkpoint.state_hash[0] ^= 1;
        }
        let Outcome::Accepted(events) = &mut entry.outcome else { panic!("accepted") };
        for event in events {
            if let Event::Checkpointed(checkpoint) = event {
                checkpoint.state_hash[0] ^= 1;
            }
        }
        bytes.clear();
        entry.encode(bytes);
    });
    // The key's digest is of the hash too, but the later checkpoints then do not fit either
    let said = world.verify_with(&[]);
    said.has("checkpoint", 0, place.index());
}

#[test]
fn an_unknown_type_or_version_is_found() {
    let world = World::new();
    let place = find(&world, 0, |entry| has(entry, |event| matches!(event, Event::ToppedUp(_))));
    // The entry's own version, the command's code, the command's version.
    for at in [0, 78, 80] {
        let world = World::new();
        rewrite(&world, 0, place, |bytes| bytes[at] = 0xEE);
        let said = world.verify_with(&[]);
        said.has("entry", 0, place.index());
        assert!(said.report["findings"][0]["found"].as_str().unwrap().contains("is not known"), "{:#}", said.report);
    }
}

#[test]
fn a_time_that_is_not_the_headers_is_found() {
    let world = World::new();
    let place = find(&world, 1, |entry| has(entry, |event| matches!(event, Event::Withdrawn(_))));
    rewrite(&world, 1, place, |bytes| bytes[2] ^= 1);
    world.verify_with(&[]).has("time", 1, place.index());
}
