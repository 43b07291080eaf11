//! Everything at once: an issuer of changing moods, crashes, a queue that is deleted, deadlines that pass. In the end both
//! sides agree about every card and every cent.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use florin_engine::policy::CardKind;
use florin_engine::terms::{Change, Status};
use florin_issuer::{CardStatus, Refusal};
use support::{FUNDS, Mood, Scripted, TAKEN, World, eventually};

const CARDS: usize = 24;

/// A small generator, so that a seed says which moods come.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Changes the issuer's mood every other millisecond until told to stop.
async fn sulk(issuer: Arc<Scripted>, mut dice: Dice, enough: Arc<AtomicBool>) {
    while !enough.load(Ordering::Relaxed) {
        issuer.mood(match dice.roll(8) {
            0 => Mood::Fail,
            1 => Mood::Lose,
            2 => Mood::Silent,
            3 => Mood::Hold,
            4 => Mood::Slow(1),
            5 => Mood::Refuse(Refusal::Declined),
            _ => Mood::Well,
        });
        issuer.deaf(dice.roll(3) == 0);
        issuer.twice(dice.roll(2) == 0);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    issuer.mood(Mood::Well);
    issuer.deaf(false);
    issuer.twice(false);
}

async fn chaos(seed: u64) {
    let mut world = World::new().await;
    world.options.call_timeout = Duration::from_millis(8);
    world.options.tries_max = 6;
    world.ticks();
    let enough = Arc::new(AtomicBool::new(false));
    let moods = tokio::spawn(sulk(Arc::clone(&world.issuer), Dice(seed), Arc::clone(&enough)));
    let mut dice = Dice(seed + 1);
    let mut settling = world.settles();
    let mut cards = Vec::new();
    for n in 0..CARDS {
        cards.push(world.asks_for_card(&format!("card {n}"), CardKind::Virtual).await);
        tokio::time::sleep(Duration::from_millis(dice.roll(6))).await;
        // A freeze of some card that can be frozen; others are rejected, which is as well.
        let card = cards[usize::try_from(dice.roll(n as u64 + 1)).unwrap()];
        let _ = world.tries(&format!("freeze {n}"), card, Change::Freeze).await;
        match dice.roll(8) {
            0 => {
                settling.crashes(&world).await;
                settling = world.settles();
            }
            1 => {
                settling.crashes(&world).await;
                std::fs::remove_file(world.queue_path()).unwrap();
                settling = world.settles();
            }
            2 => world.passes_ms(450_001).await,
            _ => {}
        }
    }
    enough.store(true, Ordering::Relaxed);
    moods.await.unwrap();
    // Assertions refused before are made anew, and what still has no answer is given up.
    world.passes_ms(900_001).await;
    eventually(|| async {
        let state = world.state().await;
        let cards = &state.account(support::account()).unwrap().cards;
        cards.iter().all(|card| card.pending.is_none() && card.reconcile == 0)
    })
    .await;
    let mut paid = 0;
    for card in &cards {
        let (ours, theirs) = (world.card(*card).await.status, world.issuer.card(card.uuid()));
        let (status, times) = (theirs.as_ref().map(|card| card.status), theirs.map_or(0, |card| card.times_issued));
        match ours {
            Status::Active => assert_eq!((status, times), (Some(CardStatus::Active), 1), "{card}"),
            Status::Frozen => assert_eq!((status, times), (Some(CardStatus::Frozen), 1), "{card}"),
            Status::Cancelled => assert!(matches!(status, None | Some(CardStatus::Terminated)), "{card}: {status:?}"),
            other => panic!("{card} is {other:?}"),
        }
        paid += i64::from(ours != Status::Cancelled) * TAKEN;
    }
    assert_eq!(world.wallet().await, FUNDS - paid);
    settling.ends().await;
}

#[tokio::test]
async fn both_sides_agree_in_the_end() {
    for seed in [11, 222, 3_333] {
        chaos(seed).await;
    }
}
