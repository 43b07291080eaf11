//! One partition of the real engine with its history, and what must hold after every single command whatever it was.

use std::collections::BTreeMap;

use florin_engine::{
    codec::{self, Entry, Outcome},
    command::{Admitted, AdoptPolicy, Class, Command, Envelope},
    decide::{Decision, decide},
    event::Event,
    evolve::evolve,
    ids::{AccountId, AuthorizationId, CardId, Digest, Key, Position},
    limits::Day,
    money::{Asset, Minor},
    policy::Policy,
    postings::{Ledger, Side, postings, unbalanced},
    reject::Reject,
    snapshot,
    state::State,
    terms::Status,
};

use crate::{
    matter::{account_at, matter},
    model::comes_again,
    policy::START,
};

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Accepted(Vec<Event>),
    Rejected(Reject),
    Replayed(Position),
}

impl Told {
    #[track_caller]
    pub fn events(self) -> Vec<Event> {
        match self {
            Self::Accepted(events) => events,
            other => panic!("expected events, got {other:?}"),
        }
    }
}

pub struct World {
    pub state: State,
    pub now: u64,
    pub entries: Vec<Vec<u8>>,
    /// Credits less debits of every ledger account and asset, from the postings alone.
    pub ledger: BTreeMap<(Ledger, Asset), i128>,
    /// How long ago the next dated message was written, ms.
    pub delay: u64,
    /// How far ahead it is dated, ms.
    pub ahead: u64,
    /// Every purchase that an event has told of.
    purchases: Vec<AuthorizationId>,
    keys: u64,
    middle: Option<(usize, Vec<u8>)>,
}

pub fn stored(outcome: &Outcome) -> Result<&[Event], &Reject> {
    match outcome {
        Outcome::Accepted(events) => Ok(events),
        Outcome::Rejected(reject) => Err(reject),
    }
}

/// The purchase that may be remembered from an event on.
fn begun(event: &Event) -> Option<AuthorizationId> {
    match event {
        Event::Authorized(event) => Some(event.authorization),
        Event::ForcePosted(event) => Some(event.authorization),
        Event::ReversalRemembered(event) => Some(event.authorization),
        _ => None,
    }
}

/// All posted balances: wallets under the nil card.
fn balances(state: &State) -> BTreeMap<(AccountId, CardId, Asset), i64> {
    let mut all = BTreeMap::new();
    for account in state.all_accounts() {
        for wallet in &account.wallets {
            all.insert((account.id, CardId::NIL, wallet.asset), wallet.balance.0);
        }
        for card in &account.cards {
            all.insert((account.id, card.id, card.currency), card.balance.0);
        }
    }
    all
}

impl World {
    pub fn under(policy: Policy) -> Self {
        let mut world = Self {
            state: State::new(0, 1),
            now: START,
            entries: vec![],
            ledger: BTreeMap::new(),
            delay: 0,
            ahead: 0,
            purchases: vec![],
            keys: 0,
            middle: None,
        };
        let adopt = AdoptPolicy { version: 1, effective_at_ms: 0, policy: Box::new(policy) };
        world.send(AccountId::of_partition(0), Class::Ops, adopt).events();
        world
    }

    /// Adopts the next policy, in force at once.
    pub fn adopt(&mut self, policy: Policy) {
        let version = self.state.policy_version() + 1;
        let adopt = AdoptPolicy { version, effective_at_ms: 0, policy: Box::new(policy) };
        self.send(AccountId::of_partition(0), Class::Ops, adopt).events();
    }

    pub fn key(&mut self) -> Key {
        self.keys += 1;
        let mut key = [0xA5; 16];
        key[..8].copy_from_slice(&(self.keys.wrapping_mul(0x9E37_79B9_7F4A_7C15)).to_le_bytes());
        Key(key)
    }

    pub fn envelope(&mut self, account: AccountId, class: Class, command: impl Into<Command>) -> Envelope {
        let key = self.key();
        let dated = matches!(class, Class::Network | Class::Settlement);
        let dated_ms =
            if dated { self.now + std::mem::take(&mut self.ahead) - std::mem::take(&mut self.delay) } else { 0 };
        Envelope { account, class, actor: 1, key, digest: Digest([7; 16]), dated_ms, command: command.into() }
    }

    pub fn send(&mut self, account: AccountId, class: Class, command: impl Into<Command>) -> Told {
        let envelope = self.envelope(account, class, command);
        self.admit(envelope)
    }

    pub fn admit(&mut self, envelope: Envelope) -> Told {
        let time_ms = self.now.max(self.state.clock_ms());
        let policy = self.state.policy_version_at(time_ms);
        let admitted = Admitted { time_ms, policy, envelope };
        let mut events = vec![];
        let outcome = match decide(&self.state, &admitted, &mut events) {
            Decision::Replayed(position) => {
                assert!(position.index() <= self.entries.len() as u64, "a replay names an entry that is there");
                return Told::Replayed(position);
            }
            Decision::Accepted => Ok(events),
            Decision::Rejected(reject) => Err(reject),
        };
        let mut again = vec![];
        let _ = decide(&self.state, &admitted, &mut again);
        assert_eq!(outcome.as_deref().unwrap_or(&[]), &again[..], "the same state decides alike");
        for event in outcome.as_deref().unwrap_or(&[]) {
            self.purchases.extend(begun(event));
            let mut lines = vec![];
            postings(admitted.envelope.account, event, &mut lines);
            assert_eq!(unbalanced(&lines), None, "unbalanced: {event:?}");
            let mut sums = BTreeMap::<Asset, i128>::new();
            for line in &lines {
                assert!(line.amount.is_positive(), "a posting is above zero: {event:?}");
                let signed =
                    if line.side == Side::Credit { i128::from(line.amount.0) } else { -i128::from(line.amount.0) };
                *sums.entry(line.asset).or_default() += signed;
                *self.ledger.entry((line.ledger, line.asset)).or_default() += signed;
            }
            assert!(sums.values().all(|sum| *sum == 0), "debits equal credits per asset: {event:?}");
        }
        let mut bytes = vec![];
        codec::encode(&admitted, outcome.as_deref(), &mut bytes);
        let read = Entry::decode(&bytes).expect("what was stored reads back");
        assert_eq!(read.admitted, admitted, "the stored command is the one decided");
        let mut rewritten = vec![];
        read.encode(&mut rewritten);
        assert_eq!(rewritten, bytes, "an entry has one stored form");
        let position = Position::new(self.entries.len() as u64 + 1, 0);
        let before = self.state.clone();
        evolve(&mut self.state, position, &read.admitted, stored(&read.outcome));
        self.entries.push(bytes);
        match outcome {
            Ok(events) => {
                assert_eq!(read.outcome, Outcome::Accepted(events.clone()), "the stored events are the ones decided");
                self.check_debts(&before, &events);
                self.check_grants(&admitted, &events);
                Told::Accepted(events)
            }
            Err(reject) => {
                assert_eq!(read.outcome, Outcome::Rejected(reject.clone()));
                self.check_reject(&before, &admitted, &reject);
                Told::Rejected(reject)
            }
        }
    }

    /// A reject changes nothing but the remembered outcome and the clock.
    fn check_reject(&self, before: &State, admitted: &Admitted, reject: &Reject) {
        assert_eq!(self.state.clock_ms(), admitted.time_ms);
        let now = admitted.time_ms;
        assert_eq!(before.accounts(), self.state.accounts());
        for (was, is) in before.all_accounts().iter().zip(self.state.all_accounts()) {
            // As time goes on, purchases past their time are forgotten, whatever moves the clock.
            let same = if was.authorizations() == is.authorizations() {
                let mut is = is.clone();
                is.remembered = was.remembered;
                *was == is
            } else {
                account_at(was, &self.purchases, now) == account_at(is, &self.purchases, now)
            };
            assert!(same, "a reject changes nothing: {reject}: {was:?} {is:?}");
        }
        // All bytes of the state are many: of every few rejects one is looked at as closely.
        if self.entries.len().is_multiple_of(4) {
            let (was, is) = (matter(before, &self.purchases, now), matter(&self.state, &self.purchases, now));
            assert_eq!(was, is, "a reject changes nothing: {reject}");
        }
        assert_eq!(before.due(u64::MAX, usize::MAX), self.state.due(u64::MAX, usize::MAX));
        assert_eq!(before.work(usize::MAX), self.state.work(usize::MAX));
        if comes_again(reject.reason) && before.clock_ms() == admitted.time_ms {
            assert_eq!(snapshot::hash(before), snapshot::hash(&self.state), "what is not frozen leaves no trace");
        }
    }

    /// Nothing falls below zero without an event that says so, and nothing but a post of the network makes it fall.
    fn check_debts(&self, before: &State, events: &[Event]) {
        let was = balances(before);
        for ((account, card, asset), balance) in balances(&self.state) {
            if balance < 0 && balance < was.get(&(account, card, asset)).copied().unwrap_or(0) {
                assert!(
                    events.iter().any(|event| matches!(event, Event::Overdrawn(over)
                        if over.card == card && over.asset == asset && over.balance == Minor(balance))),
                    "below zero without a word: {events:?}"
                );
                assert!(
                    events.iter().any(|event| matches!(event, Event::Cleared(_) | Event::ForcePosted(_))),
                    "only a force post or an over-clearing overdraws: {events:?}"
                );
            }
        }
    }

    /// What was approved fits the limits and the money, and nobody has more cards than the policy allows.
    fn check_grants(&self, admitted: &Admitted, events: &[Event]) {
        let Some(account) = self.state.account(admitted.envelope.account) else { return };
        assert!(account.cards_counted() <= 5, "five cards, requests included");
        for event in events {
            let (card, authorization) = match event {
                Event::Authorized(event) => (event.card, event.authorization),
                Event::HoldIncremented(event) => (event.card, event.authorization),
                _ => continue,
            };
            let card = account.card(card).unwrap();
            let amount = account.authorization(authorization).unwrap().amount;
            let usage = card.usage.on(Day::of(admitted.time_ms));
            assert_eq!(card.status, Status::Active);
            for (limit, used) in [
                (card.limits.transaction, amount),
                (card.limits.daily, usage.daily),
                (card.limits.monthly, usage.monthly),
                (card.limits.lifetime, usage.lifetime),
            ] {
                assert!(limit.is_none_or(|limit| used <= limit), "approved above a limit: {used:?} of {limit:?}");
            }
            assert!(card.held <= card.balance || card.held.is_zero(), "held more than there is");
            let legs = match event {
                Event::Authorized(event) => &event.legs,
                Event::HoldIncremented(event) => &event.legs,
                _ => continue,
            };
            for wallet in legs.iter().filter(|leg| leg.wallet).filter_map(|leg| account.wallet(leg.asset)) {
                assert!(wallet.held <= wallet.balance, "held more than there is");
            }
        }
    }

    /// Does what is due.
    pub fn work_clock(&mut self) {
        for due in self.state.due(self.now, 100) {
            let told = self.send(due.account(), Class::Clock, due.command());
            assert!(!matches!(told, Told::Replayed(_)), "a new key is never a replay");
        }
    }

    /// Remembers the state of now, to be restored in [`World::audit`].
    pub fn snapshot_here(&mut self) {
        let mut bytes = vec![];
        snapshot::write(&self.state, &mut bytes);
        self.middle = Some((self.entries.len(), bytes));
    }

    /// Replay equals live and decides alike, snapshot and tail equal the whole, and postings add up to the balances.
    pub fn audit(&self) {
        let live = snapshot::hash(&self.state);
        let mut replayed = State::new(0, 1);
        self.fold(&mut replayed, 0);
        assert_eq!(snapshot::hash(&replayed), live, "replay equals live");
        assert_eq!(replayed.all_accounts(), self.state.all_accounts(), "replay equals live");
        assert_eq!(replayed.due(u64::MAX, usize::MAX), self.state.due(u64::MAX, usize::MAX), "agenda of the replay");
        if let Some((count, bytes)) = &self.middle {
            let mut restored = snapshot::read(bytes).expect("a snapshot reads back");
            self.fold(&mut restored, *count);
            assert_eq!(snapshot::hash(&restored), live, "snapshot and tail equal the whole");
            assert_eq!(restored.all_accounts(), self.state.all_accounts(), "snapshot and tail equal the whole");
            assert_eq!(restored.due(u64::MAX, usize::MAX), self.state.due(u64::MAX, usize::MAX), "agenda restored");
            assert_eq!(restored.work(usize::MAX), self.state.work(usize::MAX), "work restored");
            for bytes in &self.entries {
                let envelope = Entry::decode(bytes).unwrap().admitted.envelope;
                let recalled = self.state.recall(&envelope, self.now);
                assert_eq!(replayed.recall(&envelope, self.now), recalled, "the replay remembers alike");
                assert_eq!(restored.recall(&envelope, self.now), recalled, "the snapshot remembers alike");
            }
        }
        for account in self.state.all_accounts() {
            for wallet in &account.wallets {
                let sum = self.ledger.get(&(Ledger::Wallet(account.id), wallet.asset)).copied().unwrap_or(0);
                assert_eq!(sum, i128::from(wallet.balance.0), "a wallet is the sum of its postings");
                assert!(!wallet.held.is_negative(), "nothing is held below zero");
            }
            for card in &account.cards {
                let sum = self.ledger.get(&(Ledger::Card(card.id), card.currency)).copied().unwrap_or(0);
                assert_eq!(sum, i128::from(card.balance.0), "a card is the sum of its postings");
                assert!(!card.held.is_negative(), "nothing is held below zero");
            }
        }
        let mut total = BTreeMap::<Asset, i128>::new();
        for ((_, asset), sum) in &self.ledger {
            *total.entry(*asset).or_default() += sum;
        }
        assert!(total.values().all(|sum| *sum == 0), "the trial balance is zero in every asset: {total:?}");
    }

    /// Folds the history from an entry on, and decides every command of it again.
    fn fold(&self, state: &mut State, from: usize) {
        let mut events = vec![];
        for (n, bytes) in self.entries.iter().enumerate().skip(from) {
            let entry = Entry::decode(bytes).unwrap();
            let again = match decide(state, &entry.admitted, &mut events) {
                Decision::Accepted => Outcome::Accepted(std::mem::take(&mut events)),
                Decision::Rejected(reject) => Outcome::Rejected(reject),
                Decision::Replayed(position) => panic!("an entry of the history says it was decided at {position:?}"),
            };
            assert_eq!(again, entry.outcome, "decided again, entry {n} comes to the same");
            evolve(state, Position::new(n as u64 + 1, 0), &entry.admitted, stored(&entry.outcome));
        }
    }
}
