//! `florin audit why`: the entries that led to a card's state, or to a transaction, with the figures of the moment.

use std::ops::ControlFlow;

use florin_engine::{
    codec::{Entry, Outcome},
    event::Event,
    evolve::evolve,
    ids::{AccountId, AuthorizationId, CardId, Position, TransactionId, transaction_id},
    limits::Day,
    money::{Asset, Minor},
    state::{Card, State},
    terms::Decline,
};
use serde::Serialize;
use serde_json::Value;

use super::args::{What, Why};
use super::decimals::Decimals;
use super::moment;
use super::replay::Replay;
use super::told::{self, Teller};
use crate::failure::{Exit, Failure};

/// One entry that has to do with what was asked.
#[derive(Debug, Serialize)]
struct Step {
    position: String,
    time: String,
    class: String,
    command: &'static str,
    policy: u32,
    /// What happened; empty if it was rejected.
    events: Vec<Value>,
    reject: Option<Value>,
    decline: Option<Value>,
    /// The card just before, where money was decided on.
    before: Option<Figures>,
}

/// A card at one moment. Amounts are in the decimals of its currency, those of a wallet in its asset's.
#[derive(Debug, Serialize)]
struct Figures {
    card: String,
    status: Value,
    pending: Option<Value>,
    currency: String,
    balance: Value,
    held: Value,
    available: Value,
    limits: Value,
    used_today: Value,
    used_this_month: Value,
    used_ever: Value,
    wallets: Vec<Wallet>,
}

#[derive(Debug, Serialize)]
struct Wallet {
    asset: String,
    balance: Value,
    held: Value,
    available: Value,
}

#[derive(Debug, Serialize)]
struct Answer {
    steps: Vec<Step>,
    /// The card as it is now.
    now: Option<Figures>,
    /// What could not be read.
    incomplete: Vec<String>,
}

/// What is asked for.
enum Wanted {
    Card(CardId),
    Transaction(TransactionId, AuthorizationId),
    Entry(Position),
}

/// Prints it.
pub(super) fn run(args: &Why) -> Result<(), Failure> {
    let source = args.place.source()?;
    let (partition, wanted) = wanted(&args.what)?;
    let mut replay = Replay::open(&source)?;
    replay.expect(&[partition]);
    let mut state = State::new(partition, replay.ledger.partitions);
    let mut search =
        Search { partition, wanted, account: None, card: None, decimals: Decimals::default(), steps: Vec::new() };
    replay.entries(partition, |position, entry| {
        search.entry(&state, position, &entry);
        let outcome = match &entry.outcome {
            Outcome::Accepted(events) => Ok(events.as_slice()),
            Outcome::Rejected(reject) => Err(reject),
        };
        evolve(&mut state, position, &entry.admitted, outcome);
        match search.wanted {
            Wanted::Entry(last) if position >= last => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    })?;
    let end = replay.end();
    if search.steps.is_empty() {
        end.close()?;
        return Err(Failure::new(Exit::Other, "the journal has nothing of that id")
            .advise("an id carries its partition; check that it is of this ledger"));
    }
    let now = matches!(search.wanted, Wanted::Card(_)).then(|| search.card).flatten();
    let answer = Answer {
        now: now.and_then(|card| figures_at(&state, &search.decimals, card, state.clock_ms())),
        steps: search.steps,
        incomplete: end.incomplete.clone(),
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&answer).unwrap_or_default());
    } else {
        show(&answer);
    }
    end.close()
}

fn wanted(what: &What) -> Result<(u16, Wanted), Failure> {
    if let Some(card) = what.card {
        let card = CardId::from(card);
        return Ok((card.partition(), Wanted::Card(card)));
    }
    if let Some(id) = what.transaction {
        let transaction = TransactionId::from(id);
        return Ok((transaction.partition(), Wanted::Transaction(transaction, AuthorizationId::from(id))));
    }
    let (partition, position) = moment::must_position(what.position.as_deref().unwrap_or_default())?;
    Ok((partition, Wanted::Entry(position)))
}

struct Search {
    partition: u16,
    wanted: Wanted,
    /// The card's account, once known: only its entries are looked into.
    account: Option<AccountId>,
    card: Option<CardId>,
    decimals: Decimals,
    steps: Vec<Step>,
}

impl Search {
    fn entry(&mut self, state: &State, position: Position, entry: &Entry) {
        let events = match &entry.outcome {
            Outcome::Accepted(events) => events.as_slice(),
            Outcome::Rejected(_) => &[],
        };
        for event in events {
            self.decimals.learn(event);
        }
        let about = match self.wanted {
            Wanted::Entry(wanted) => wanted == position,
            Wanted::Card(card) => self.about_card(card, entry, events),
            Wanted::Transaction(transaction, authorization) => {
                let found =
                    events.iter().any(|event| authorization_of(event).is_some_and(|(_, id)| id == authorization))
                        || self.makes(transaction, position, events);
                // A transaction of an authorization brings the others of it along, from here on.
                if found
                    && let Some((_, id)) = events.iter().find_map(authorization_of)
                    && !id.is_nil()
                {
                    self.wanted = Wanted::Transaction(transaction, id);
                }
                found
            }
        };
        if !about {
            return;
        }
        let card = match self.wanted {
            Wanted::Card(card) => Some(card),
            _ => events.iter().find_map(authorization_of).map(|(card, _)| card).or_else(|| named_card(state, entry)),
        };
        self.card = card.or(self.card);
        let teller = Teller { decimals: &self.decimals, currency: card.and_then(|card| currency(state, events, card)) };
        let envelope = &entry.admitted.envelope;
        self.steps.push(Step {
            position: format!("{}.{position}", self.partition),
            time: moment::show(entry.admitted.time_ms),
            class: format!("{:?}", envelope.class),
            command: envelope.command.name(),
            policy: entry.admitted.policy,
            events: events.iter().map(|event| teller.event(event)).collect(),
            reject: match &entry.outcome {
                Outcome::Accepted(_) => None,
                Outcome::Rejected(reject) => Some(told::reject(reject)),
            },
            decline: events.iter().find_map(decline_of).map(|decline| teller.decline(decline)),
            before: card.and_then(|card| figures_at(state, &self.decimals, card, entry.admitted.time_ms)),
        });
    }

    fn about_card(&mut self, card: CardId, entry: &Entry, events: &[Event]) -> bool {
        let envelope = &entry.admitted.envelope;
        if self.account.is_none() {
            let made = |event: &Event| matches!(event, Event::CardRequested(event) if event.card == card);
            self.account = events.iter().any(made).then_some(envelope.account);
        }
        // Every event and command about a card names it; their text is the one place that all of them share.
        let id = card.to_string();
        self.account == Some(envelope.account)
            && (events.iter().any(|event| format!("{event:?}").contains(&id))
                || format!("{:?}", envelope.command).contains(&id))
    }

    /// Whether an event of the entry, or one of its fees, is the transaction.
    fn makes(&self, wanted: TransactionId, position: Position, events: &[Event]) -> bool {
        (0_u32..).zip(events).any(|(n, event)| {
            let fees = match event {
                Event::CardRequested(event) => event.fees.len(),
                Event::IssuanceFailed(event) => event.fees.len(),
                Event::ToppedUp(_) => 1,
                _ => 0,
            };
            (0..=u32::try_from(fees).unwrap_or(0))
                .any(|part| transaction_id(self.partition, position, n | part << 16) == wanted)
        })
    }
}

fn authorization_of(event: &Event) -> Option<(CardId, AuthorizationId)> {
    match event {
        Event::Authorized(event) => Some((event.card, event.authorization)),
        Event::Declined(event) => Some((event.card, event.authorization)),
        Event::AccountChecked(event) => Some((event.card, event.authorization)),
        Event::HoldIncremented(event) => Some((event.card, event.authorization)),
        Event::IncrementDeclined(event) => Some((event.card, event.authorization)),
        Event::Cleared(event) => Some((event.card, event.authorization)),
        Event::HoldReleased(event) => Some((event.card, event.authorization)),
        Event::Refunded(event) => Some((event.card, event.authorization)),
        Event::ForcePosted(event) => Some((event.card, event.authorization)),
        Event::ReversalRemembered(event) => Some((event.card, event.authorization)),
        _ => None,
    }
}

fn decline_of(event: &Event) -> Option<&Decline> {
    match event {
        Event::Declined(event) => Some(&event.decline),
        Event::IncrementDeclined(event) => Some(&event.decline),
        _ => None,
    }
}

/// The card of the account that a command or its outcome names.
fn named_card(state: &State, entry: &Entry) -> Option<CardId> {
    let text = format!("{:?}{:?}", entry.admitted.envelope.command, entry.outcome);
    let account = state.account(entry.admitted.envelope.account)?;
    account.cards.iter().map(|card| card.id).find(|card| text.contains(&card.to_string()))
}

/// A card's currency, also in the entry that makes it.
fn currency(state: &State, events: &[Event], card: CardId) -> Option<Asset> {
    let known = state.account_of_card(card).and_then(|account| state.account(account)?.card(card));
    known.map(|card| card.currency).or_else(|| {
        events.iter().find_map(|event| match event {
            Event::CardRequested(event) if event.card == card => Some(event.currency),
            _ => None,
        })
    })
}

fn figures_at(state: &State, decimals: &Decimals, card: CardId, time_ms: u64) -> Option<Figures> {
    let account = state.account(state.account_of_card(card)?)?;
    let card: &Card = account.card(card)?;
    let teller = Teller { decimals, currency: Some(card.currency) };
    let used = card.usage.on(Day::of(time_ms));
    let wallets = account.wallets.iter().map(|wallet| {
        let money = |minor: Minor| teller.money(Some(wallet.asset), minor.0);
        Wallet {
            asset: wallet.asset.to_string(),
            balance: money(wallet.balance),
            held: money(wallet.held),
            available: money(wallet.available()),
        }
    });
    let money = |minor: Minor| teller.amount(minor.0);
    Some(Figures {
        card: card.id.to_string(),
        status: teller.of(&card.status),
        pending: card.pending.as_ref().map(|pending| teller.of(pending)),
        currency: card.currency.to_string(),
        balance: money(card.balance),
        held: money(card.held),
        available: money(card.available()),
        limits: teller.of(&card.limits),
        used_today: money(used.daily),
        used_this_month: money(used.monthly),
        used_ever: money(used.lifetime),
        wallets: wallets.collect(),
    })
}

fn show(answer: &Answer) {
    for step in &answer.steps {
        println!("{} {} {} {} (policy {})", step.position, step.time, step.class, step.command, step.policy);
        for event in &step.events {
            println!("    {}", told::line(event));
        }
        if let Some(reject) = &step.reject {
            println!("    rejected: {}", told::line(reject));
        }
        if let Some(decline) = &step.decline {
            println!("    declined: {}", told::line(decline));
        }
        if let Some(before) = &step.before {
            card("before", before);
        }
    }
    if let Some(now) = &answer.now {
        card("now", now);
    }
}

fn card(when: &str, figures: &Figures) {
    let text = told::line;
    println!(
        "    {when}: {}, {} {} posted, {} held, {} available; used {} today, {} this month, {} ever; limits: {}",
        text(&figures.status),
        figures.currency,
        text(&figures.balance),
        text(&figures.held),
        text(&figures.available),
        text(&figures.used_today),
        text(&figures.used_this_month),
        text(&figures.used_ever),
        if figures.limits.as_object().is_some_and(|limits| limits.values().any(|limit| !limit.is_null())) {
            text(&figures.limits)
        } else {
            "none".into()
        }
    );
    if let Some(pending) = &figures.pending {
        println!("      pending: {}", text(pending));
    }
    for wallet in &figures.wallets {
        let Wallet { asset, balance, held, available } = wallet;
        println!("      wallet {asset}: {} posted, {} held, {} available", text(balance), text(held), text(available));
    }
}
