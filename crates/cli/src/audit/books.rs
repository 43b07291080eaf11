//! The auditor's own books: balances, holds and limit usage, kept from the events alone and apart from the engine's state.
//!
//! Balances come from the postings, holds and usage from the legs of authorizations (lifecycle.md). They are compared
//! with the figures that events carry, event by event, and with the engine's state from time to time and at the end.
//! Memory goes with wallets, cards and remembered authorizations, not with history.

use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};

use florin_engine::{
    codec::{Entry, Outcome},
    event::Event,
    fees::FeeKind,
    holds::{Leg, billing},
    ids::{AccountId, AuthorizationId, CardId},
    limits::Day,
    money::{Asset, Minor},
    policy::Policy,
    postings::{Ledger, Posting, Side, postings, unbalanced},
    state::State,
};

use super::finding::Finding;
use super::hasher::Spread;

/// Money on one wallet or card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) balance: i128,
    pub(super) held: i128,
}

/// All debits and credits of a kind of ledger account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) debits: i128,
    pub(super) credits: i128,
}

/// Kinds of ledger accounts, in the order they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Wallets,
    Cards,
    Funding,
    Revenue(u8),
    Network,
    Exchange,
    WriteOff,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Usage {
    at: Day,
    daily: i128,
    monthly: i128,
    lifetime: i128,
}

#[derive(Debug, Default)]
struct Used {
    account: AccountId,
    parts: Vec<(Day, i128)>,
}

/// A wallet or a card, in an asset. Made of a posting's parts one by one, and not copied but for a new line: one that is copied as a
/// whole right after it was written is waited for until all that was written before it is in the cache, which costs more than the
/// rest of its posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Liability {
    id: [u8; 16],
    card: bool,
    asset: Asset,
}

impl Hash for Liability {
    /// By its id: one has few assets.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u128(u128::from_le_bytes(self.id));
    }
}

impl Liability {
    const fn wallet(account: AccountId, asset: Asset) -> Self {
        Self { id: account.0, card: false, asset }
    }

    const fn card(card: CardId, asset: Asset) -> Self {
        Self { id: card.0, card: true, asset }
    }

    const fn of(ledger: &Ledger, asset: Asset) -> Option<Self> {
        match ledger {
            Ledger::Wallet(account) => Some(Self::wallet(*account, asset)),
            Ledger::Card(card) => Some(Self::card(*card, asset)),
            _ => None,
        }
    }

    const fn ledger(self) -> Ledger {
        if self.card { Ledger::Card(CardId(self.id)) } else { Ledger::Wallet(AccountId(self.id)) }
    }
}

/// A line that the entry at hand touches.
#[derive(Debug)]
struct Touched {
    /// Where it is among the lines.
    place: usize,
    /// What was on it before the entry.
    before: i128,
}

/// The books of a partition.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// Where the line of a wallet or card is.
    places: HashMap<Liability, usize, Spread>,
    lines: Vec<(Liability, Line)>,
    /// There are few of them.
    sums: Vec<((Asset, Kind), Sums)>,
    usage: HashMap<CardId, Usage, Spread>,
    /// What each authorization used of the limits, and when; the newest is given back first.
    used: HashMap<AuthorizationId, Used, Spread>,
    decimals: BTreeMap<Asset, u8>,
    scratch: Vec<Posting>,
    touched: Vec<Touched>,
}

impl Kind {
    pub(super) fn of(ledger: &Ledger) -> Self {
        match ledger {
            Ledger::Wallet(_) => Self::Wallets,
            Ledger::Card(_) => Self::Cards,
            Ledger::Funding => Self::Funding,
            Ledger::Revenue(fee) => Self::Revenue(fee.code()),
            Ledger::Network => Self::Network,
            Ledger::Exchange => Self::Exchange,
            Ledger::WriteOff => Self::WriteOff,
        }
    }

    /// The stable word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Wallets => "wallets",
            Self::Cards => "cards",
            Self::Funding => "funding",
            Self::Network => "network",
            Self::Exchange => "exchange",
            Self::WriteOff => "write_off",
            Self::Revenue(fee) => match FeeKind::from_code(fee) {
                Some(FeeKind::Issue) => "revenue.issue",
                Some(FeeKind::Service) => "revenue.service",
                Some(FeeKind::Order) => "revenue.order",
                Some(FeeKind::Delivery) => "revenue.delivery",
                None => "revenue",
            },
        }
    }
}

/// What the postings of an entry must be by themselves.
pub(super) fn double_entry(all: &[Posting], tell: &mut impl FnMut(Finding)) {
    for posting in all.iter().filter(|posting| !posting.amount.is_positive()) {
        tell(Finding::new("posting", "an amount above zero", format!("{posting:?}")));
    }
    if let Some(asset) = unbalanced(all) {
        tell(Finding::new("double-entry", format!("debits that equal credits in {asset}"), format!("{all:?}")));
    }
}

impl Books {
    /// Takes the events of an accepted entry. `tell` gets what does not hold.
    pub(super) fn entry(&mut self, account: AccountId, time_ms: u64, events: &[Event], tell: &mut impl FnMut(Finding)) {
        self.touched.clear();
        let mut all = std::mem::take(&mut self.scratch);
        all.clear();
        for event in events {
            let from = all.len();
            postings(account, event, &mut all);
            for posting in &all[from..] {
                self.post(posting);
            }
            self.hold(account, event);
            self.limits(account, time_ms, event);
            self.figures(account, event, tell);
            if let Event::PolicyAdopted(adopted) = event {
                self.learn(&adopted.policy);
            }
        }
        double_entry(&all, tell);
        self.scratch = all;
        for Touched { place, before } in &self.touched {
            let (of, now) = (&self.lines[*place].0, self.lines[*place].1.balance);
            if now < 0 && now < *before && !owned_up(events, of, now) {
                let (ledger, asset) = (of.ledger(), of.asset);
                tell(Finding::new(
                    "negative-liability",
                    format!("{ledger:?} in {asset} not below zero but with an Overdrawn event that says so"),
                    format!("{now} after {before}, without one"),
                ));
            }
        }
    }

    fn post(&mut self, posting: &Posting) {
        let amount = i128::from(posting.amount.0);
        let key = (posting.asset, Kind::of(&posting.ledger));
        let at = self.sums.iter().position(|(of, _)| *of == key).unwrap_or_else(|| {
            self.sums.push((key, Sums::default()));
            self.sums.len() - 1
        });
        let sums = &mut self.sums[at].1;
        let signed = match posting.side {
            Side::Debit => {
                sums.debits += amount;
                -amount
            }
            Side::Credit => {
                sums.credits += amount;
                amount
            }
        };
        if let Some(of) = Liability::of(&posting.ledger, posting.asset) {
            self.touched(&of).balance += signed;
        }
    }

    /// A line to be changed by the entry at hand; made when first touched.
    fn touched(&mut self, of: &Liability) -> &mut Line {
        let place = self.place(of).unwrap_or_else(|| {
            let place = self.places.get(of).copied().unwrap_or_else(|| {
                self.places.insert(*of, self.lines.len());
                self.lines.push((*of, Line::default()));
                self.lines.len() - 1
            });
            self.touched.push(Touched { place, before: self.lines[place].1.balance });
            place
        });
        &mut self.lines[place].1
    }

    /// Where a line is that the entry at hand has touched.
    fn place(&self, of: &Liability) -> Option<usize> {
        self.touched.iter().map(|line| line.place).find(|place| self.lines[*place].0 == *of)
    }

    /// Looks at the lines that most of these entries will touch, so that they are waited for together.
    pub(super) fn look(&self, ahead: &[Entry]) {
        let events = ahead.iter().flat_map(|entry| {
            let events = if let Outcome::Accepted(events) = &entry.outcome { events.as_slice() } else { &[] };
            events.iter().map(|event| (entry.admitted.envelope.account, event))
        });
        let seen = events.fold(0, |seen, (account, event)| {
            let (card, asset) = match event {
                Event::ToppedUp(event) => (event.card, event.currency),
                Event::Unloaded(event) => (event.card, event.currency),
                _ => return seen,
            };
            let (card, wallet) = (Liability::card(card, asset), Liability::wallet(account, asset));
            seen ^ self.line(&card).balance ^ self.line(&wallet).balance
        });
        std::hint::black_box(seen);
    }

    fn hold(&mut self, account: AccountId, event: &Event) {
        let (card, legs, sign): (_, &[Leg], _) = match event {
            Event::Authorized(event) => (event.card, &event.legs, 1),
            Event::HoldIncremented(event) => (event.card, &event.legs, 1),
            Event::Cleared(event) => (event.card, &event.held, -1),
            Event::HoldReleased(event) => (event.card, &event.release.legs, -1),
            _ => return,
        };
        for leg in legs {
            let of = if leg.wallet { Liability::wallet(account, leg.asset) } else { Liability::card(card, leg.asset) };
            self.touched(&of).held += sign * i128::from(leg.amount.0);
        }
    }

    fn limits(&mut self, account: AccountId, time_ms: u64, event: &Event) {
        let (card, authorization, amount) = match event {
            Event::Authorized(event) => (event.card, event.authorization, event.amount),
            Event::HoldIncremented(event) => (event.card, event.authorization, event.amount),
            Event::Cleared(event) => (event.card, event.authorization, billing(&event.excess)),
            Event::ForcePosted(event) => (event.card, event.authorization, billing(&event.legs)),
            Event::HoldReleased(event) => {
                return self.give_back(event.card, event.authorization, time_ms, event.release.billing);
            }
            Event::Refunded(event) => {
                return self.give_back(event.card, event.authorization, time_ms, billing(&event.linked));
            }
            _ => return,
        };
        if !amount.is_positive() {
            return;
        }
        let (at, amount) = (Day::of(time_ms), i128::from(amount.0));
        let usage = self.usage.entry(card).or_default();
        usage.roll(at);
        usage.daily += amount;
        usage.monthly += amount;
        usage.lifetime += amount;
        let used = self.used.entry(authorization).or_default();
        used.account = account;
        used.parts.push((at, amount));
    }

    fn give_back(&mut self, card: CardId, authorization: AuthorizationId, time_ms: u64, amount: Minor) {
        let (now, mut left) = (Day::of(time_ms), i128::from(amount.0));
        let Some(used) = self.used.get_mut(&authorization) else { return };
        let usage = self.usage.entry(card).or_default();
        while left > 0
            && let Some((at, amount)) = used.parts.pop()
        {
            let part = amount.min(left);
            left -= part;
            usage.roll(now);
            usage.daily -= if at.day == now.day { part } else { 0 };
            usage.monthly -= if at.month == now.month { part } else { 0 };
            usage.lifetime -= part;
            if part < amount {
                used.parts.push((at, amount - part));
            }
        }
    }

    /// Compares the balances that an event says with the books.
    fn figures(&self, account: AccountId, event: &Event, tell: &mut impl FnMut(Finding)) {
        let wallet = |asset| Liability::wallet(account, asset);
        let owing = |card: CardId, asset| if card.is_nil() { wallet(asset) } else { Liability::card(card, asset) };
        let mut is = |of: Liability, said: Minor| {
            let books = self.place(&of).map_or_else(|| self.line(&of), |place| self.lines[place].1).balance;
            if books != i128::from(said.0) {
                tell(Finding::new(
                    "balance",
                    format!("{:?} in {} at {books} by its postings", of.ledger(), of.asset),
                    format!("{} says {}", event.name(), said.0),
                ));
            }
        };
        match event {
            Event::Deposited(event) => is(wallet(event.asset), event.balance),
            Event::Withdrawn(event) => is(wallet(event.asset), event.balance),
            Event::WrittenOff(event) => is(owing(event.card, event.asset), event.balance),
            Event::Overdrawn(event) => is(owing(event.card, event.asset), event.balance),
            Event::ToppedUp(event) => {
                is(Liability::card(event.card, event.currency), event.card_balance);
                is(wallet(event.currency), event.wallet_balance);
            }
            Event::Unloaded(event) => {
                is(Liability::card(event.card, event.currency), event.card_balance);
                is(wallet(event.currency), event.wallet_balance);
            }
            Event::Swept(event) => is(wallet(event.currency), event.wallet_balance),
            Event::CardRequested(event) => {
                let asset = event.fees.first().map_or(event.currency, |fee| fee.asset);
                is(wallet(asset), event.wallet_balance);
            }
            _ => {}
        }
    }

    fn learn(&mut self, policy: &Policy) {
        for asset in &policy.assets {
            self.decimals.insert(asset.code, asset.decimals);
        }
    }

    /// What is on a wallet or card.
    fn line(&self, of: &Liability) -> Line {
        self.places.get(of).map_or_else(Line::default, |place| self.lines[*place].1)
    }

    /// Every wallet and card that ever had something.
    pub(super) fn lines(&self) -> impl Iterator<Item = (Asset, &Line)> {
        self.lines.iter().map(|(of, line)| (of.asset, line))
    }

    /// Debits and credits by asset and kind.
    pub(super) fn sums(&self) -> BTreeMap<(Asset, Kind), Sums> {
        self.sums.iter().copied().collect()
    }

    /// Decimals of an asset by the policies so far; 0 if none names it.
    pub(super) fn decimals(&self, asset: Asset) -> u8 {
        self.decimals.get(&asset).copied().unwrap_or(0)
    }

    /// Compares the books with the engine's state, wallet by wallet and card by card, and forgets authorizations that the
    /// ledger has forgotten. Returns whether they agree.
    pub(super) fn compare(&mut self, state: &State, tell: &mut impl FnMut(Finding)) -> bool {
        let today = Day::of(state.clock_ms());
        let (mut agree, mut matched) = (true, 0_usize);
        let mut told = |finding| {
            agree = false;
            tell(finding);
        };
        let mut one = |what: &str, of: Liability, balance: Minor, held: Minor| {
            let place = self.places.get(&of);
            matched += usize::from(place.is_some());
            let line = place.map_or_else(Line::default, |place| self.lines[*place].1);
            let same = line.balance == i128::from(balance.0) && line.held == i128::from(held.0);
            (!same).then(|| {
                Finding::new(
                    "state",
                    format!(
                        "{what} in {}: {} posted, {} held by the journal's postings",
                        of.asset, line.balance, line.held
                    ),
                    format!("{} posted, {} held", balance.0, held.0),
                )
            })
        };
        for account in state.all_accounts() {
            for wallet in &account.wallets {
                let of = Liability::wallet(account.id, wallet.asset);
                if let Some(finding) = one("wallet", of, wallet.balance, wallet.held) {
                    told(Finding { expected: format!("{} {}", account.id, finding.expected), ..finding });
                }
            }
            for card in &account.cards {
                if let Some(finding) = one("card", Liability::card(card.id, card.currency), card.balance, card.held) {
                    told(Finding { expected: format!("{} {}", card.id, finding.expected), ..finding });
                }
                let mut own = self.usage.get(&card.id).copied().unwrap_or_default();
                own.roll(today);
                let theirs = card.usage.on(today);
                let figures = [theirs.daily, theirs.monthly, theirs.lifetime].map(|figure| i128::from(figure.0));
                if [own.daily, own.monthly, own.lifetime] != figures {
                    told(Finding::new(
                        "limit-usage",
                        format!(
                            "card {}: {} today, {} this month, {} ever",
                            card.id, own.daily, own.monthly, own.lifetime
                        ),
                        format!("{} today, {} this month, {} ever", figures[0], figures[1], figures[2]),
                    ));
                }
            }
        }
        if matched != self.lines.len() {
            told(Finding::new(
                "state",
                format!("{} wallets and cards with postings", self.lines.len()),
                format!("{matched} of them in the state"),
            ));
        }
        self.used.retain(|id, used| {
            let known = state.account(used.account).is_some_and(|account| account.authorization(*id).is_some());
            known && !used.parts.is_empty()
        });
        agree
    }
}

impl Usage {
    /// A window that is over counts nothing.
    fn roll(&mut self, at: Day) {
        if self.at.day != at.day {
            self.daily = 0;
        }
        if self.at.month != at.month {
            self.monthly = 0;
        }
        self.at = at;
    }
}

fn owned_up(events: &[Event], of: &Liability, balance: i128) -> bool {
    events.iter().any(|event| match event {
        Event::Overdrawn(event) => {
            let card = if of.card { CardId(of.id) } else { CardId::NIL };
            event.card == card && event.asset == of.asset && i128::from(event.balance.0) == balance
        }
        _ => false,
    })
}
