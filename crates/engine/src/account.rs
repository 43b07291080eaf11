//! An account: wallets, cards, and what belongs to them. It is the unit of consistency: every command is about one.
//!
//! Sizes count: with one wallet and two cards a user must stay below 1 KiB (budgets.md P12), so growing vectors reserve
//! exactly, and what is rare lies behind a box.

use alloc::{boxed::Box, collections::BTreeMap, string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    fees::FeeTaken,
    holds::Leg,
    ids::{AccountId, AppealId, AuthorizationId, CardId, CardRequestId, Position, RequestId, request_id},
    limits::{Limits, Usage, Used},
    money::{Asset, Country, Factor, Minor, Sealed},
    people::Verification,
    policy::{CardKind, Funding, ProgrammeCode},
    terms::{Cause, Change, Status},
};

/// One user of one company.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Who.
    pub id: AccountId,
    /// The user's country.
    pub country: Country,
    /// Wallets, one an asset.
    pub wallets: Vec<Wallet>,
    /// Cards, oldest first; cancelled ones too, as clearings and refunds may still come.
    pub cards: Vec<Card>,
    /// How many idempotency keys are remembered.
    pub remembered: u32,
    pub(crate) rare: Option<Box<Rare>>,
}

/// What few accounts have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rare {
    pub(crate) verification: Option<Verification>,
    pub(crate) invoices: Vec<Invoice>,
    pub(crate) requests: Vec<CardRequest>,
    pub(crate) appeals: Vec<Appeal>,
    pub(crate) authorizations: BTreeMap<AuthorizationId, Authorization>,
}

/// Money of one user in one asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wallet {
    /// Which asset.
    pub asset: Asset,
    /// Posted.
    pub balance: Minor,
    /// Held for authorizations.
    pub held: Minor,
}

impl Wallet {
    /// Posted less held.
    pub const fn available(&self) -> Minor {
        self.balance.fold_minus(self.held)
    }
}

/// A card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Its id.
    pub id: CardId,
    /// Its numeric id.
    pub number: u64,
    /// Under which programme.
    pub programme: ProgrammeCode,
    /// What kind.
    pub kind: CardKind,
    /// How it is funded.
    pub funding: Funding,
    /// Its state.
    pub status: Status,
    /// For a blocked card: what it was before.
    pub before_block: Status,
    /// Whether a fraud block is open.
    pub fraud: bool,
    /// Wrong activation tries.
    pub tries: u8,
    /// Last four digits, once issued.
    pub last4: u16,
    /// Last month it can be used in, `year × 12 + month − 1`; 0: not issued yet.
    pub expiry: u16,
    /// The highest change number given.
    pub change: u32,
    /// The change number last settled as done.
    pub settled: u32,
    /// The change number under which its state is to be asserted at the issuer; 0: none.
    pub reconcile: u32,
    /// Since when, ms since 1970.
    pub reconcile_since_ms: u64,
    /// Its billing currency.
    pub currency: Asset,
    /// Posted; always zero for a wallet-funded card.
    pub balance: Minor,
    /// Held for authorizations on its own balance.
    pub held: Minor,
    /// Spending limits that bind.
    pub limits: Limits,
    /// Most that is approved without a PIN on a card-present purchase.
    pub no_pin: Option<Minor>,
    /// How much of the limits is used.
    pub usage: Usage,
    /// The change that waits for the issuer.
    pub pending: Option<Box<Pending>>,
    /// Risk-reducing changes of status that it, and what is below it, took the place of: weakest first. Each is asked for
    /// again when what is above it is refused.
    pub overtaken: Vec<Overtaken>,
}

/// A change that waits for the issuer: shown as PROCESSING over the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Its change number.
    pub change: u32,
    /// Where it was asked for.
    pub position: Position,
    /// When, ms since 1970.
    pub since_ms: u64,
    /// When it is past its time, ms since 1970; `u64::MAX` once that has been told.
    pub deadline_ms: u64,
    /// What it is.
    pub what: Waiting,
}

/// What a pending change is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Waiting {
    /// The issuance, and what to give back if it fails.
    Issue {
        /// What moved from wallet to card.
        initial: Minor,
        /// The fees taken.
        fees: Vec<FeeTaken>,
        /// The invoice used; 0: none.
        invoice: u64,
        /// Whether the issuer is asked to give it up.
        abandoned: bool,
    },
    /// A change of status.
    Status {
        /// What was asked.
        what: Change,
        /// The state it leads to.
        target: Status,
        /// Who asked.
        cause: Cause,
    },
    /// A change of limits.
    Limits {
        /// The limits asked for.
        target: Limits,
        /// The limits before.
        before: Limits,
    },
}

/// A change of status that a stronger one took the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overtaken {
    /// What was asked.
    pub what: Change,
    /// The state it leads to.
    pub target: Status,
    /// Who asked.
    pub cause: Cause,
}

/// A quote of order and delivery fees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invoice {
    pub(crate) number: u64,
    pub(crate) programme: ProgrammeCode,
    pub(crate) kind: CardKind,
    pub(crate) country: Country,
    pub(crate) provider: String,
    pub(crate) fiat: Asset,
    pub(crate) order_fee: Minor,
    pub(crate) delivery_fee: Minor,
    pub(crate) asset: Asset,
    pub(crate) amount: Minor,
    pub(crate) rate: Factor,
    pub(crate) expires_at_ms: u64,
    pub(crate) used: bool,
}

/// A card request that waits for its approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CardRequest {
    pub(crate) id: CardRequestId,
    pub(crate) card: CardId,
    pub(crate) programme: ProgrammeCode,
    pub(crate) kind: CardKind,
    pub(crate) profile: Sealed,
}

/// An appeal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Appeal {
    pub(crate) id: AppealId,
    pub(crate) card: CardId,
    pub(crate) open: bool,
}

/// An authorization with its hold, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// On which card.
    pub card: CardId,
    /// How far it is.
    pub phase: Phase,
    /// Authorized in all, increments included.
    pub amount: Minor,
    /// What is still held.
    pub held: Vec<Leg>,
    /// What was cleared and is not refunded.
    pub spent: Vec<Leg>,
    /// What it used of the limits, and when.
    pub used: Vec<Used>,
    /// Open: when the hold expires; closed: when it is forgotten. Ms since 1970.
    pub until_ms: u64,
}

/// How far an authorization is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Its hold stands.
    Open,
    /// Its hold is gone.
    Closed,
    /// Its reversal came first.
    Killed,
}

impl Authorization {
    /// Whether its hold is open, or it is remembered at a time.
    pub(crate) fn is_known_at(&self, now_ms: u64) -> bool {
        self.phase == Phase::Open || self.until_ms > now_ms
    }

    /// What is still held, in the card's currency.
    pub fn held_billing(&self) -> Minor {
        crate::holds::billing(&self.held)
    }

    /// What was cleared and is not refunded, in the card's currency.
    pub fn spent_billing(&self) -> Minor {
        crate::holds::billing(&self.spent)
    }
}

impl Card {
    /// Posted less held.
    pub const fn available(&self) -> Minor {
        self.balance.fold_minus(self.held)
    }

    /// The request id of the pending change.
    pub fn request(&self) -> Option<RequestId> {
        self.pending.as_ref().map(|pending| request_id(self.id, pending.change))
    }

    /// Whether what the network posts goes to the wallet: the card is not there yet, or it is closed with nothing left on it.
    pub fn posts_to_wallet(&self) -> bool {
        match self.status {
            Status::Requested | Status::Cancelled => true,
            Status::Expired => self.balance.is_zero() && self.held.is_zero() && !self.fraud,
            _ => false,
        }
    }

    /// Whether it is past its expiry month at `now_ms`.
    pub fn past_expiry(&self, now_ms: u64) -> bool {
        self.expiry != 0 && now_ms >= crate::limits::month_end_ms(self.expiry)
    }
}

impl Account {
    pub(crate) const fn new(id: AccountId, country: Country) -> Self {
        Self { id, country, wallets: Vec::new(), cards: Vec::new(), remembered: 0, rare: None }
    }

    /// The wallet of an asset.
    pub fn wallet(&self, asset: Asset) -> Option<&Wallet> {
        self.wallets.iter().find(|wallet| wallet.asset == asset)
    }

    /// What can be spent of an asset.
    pub fn available(&self, asset: Asset) -> Minor {
        self.wallet(asset).map_or(Minor::ZERO, Wallet::available)
    }

    /// A card of this account.
    pub fn card(&self, id: CardId) -> Option<&Card> {
        self.cards.iter().find(|card| card.id == id)
    }

    pub(crate) fn card_mut(&mut self, id: CardId) -> Option<&mut Card> {
        self.cards.iter_mut().find(|card| card.id == id)
    }

    pub(crate) fn wallet_mut(&mut self, asset: Asset) -> &mut Wallet {
        let at = self.wallets.iter().position(|wallet| wallet.asset == asset).unwrap_or_else(|| {
            self.wallets.reserve_exact(1);
            self.wallets.push(Wallet { asset, balance: Minor::ZERO, held: Minor::ZERO });
            self.wallets.len() - 1
        });
        &mut self.wallets[at]
    }

    pub(crate) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// An authorization of this account.
    pub fn authorization(&self, id: AuthorizationId) -> Option<&Authorization> {
        self.rare.as_ref()?.authorizations.get(&id)
    }

    /// Authorizations with a hold or remembered.
    pub fn authorizations(&self) -> usize {
        self.rare.as_ref().map_or(0, |rare| rare.authorizations.len())
    }

    /// The same at a time: one past it is none, forgotten already or not.
    pub(crate) fn authorizations_at(&self, now_ms: u64) -> usize {
        let known = |authorization: &&Authorization| authorization.is_known_at(now_ms);
        self.rare.as_ref().map_or(0, |rare| rare.authorizations.values().filter(known).count())
    }

    /// Whether a hold of this card is open.
    pub fn has_holds(&self, card: CardId) -> bool {
        self.rare
            .as_ref()
            .is_some_and(|rare| rare.authorizations.values().any(|auth| auth.card == card && auth.phase == Phase::Open))
    }

    pub(crate) fn invoice(&self, number: u64) -> Option<&Invoice> {
        self.rare.as_ref()?.invoices.iter().find(|invoice| invoice.number == number)
    }

    pub(crate) fn card_request(&self, id: CardRequestId) -> Option<&CardRequest> {
        self.rare.as_ref()?.requests.iter().find(|request| request.id == id)
    }

    pub(crate) fn appeal(&self, id: AppealId) -> Option<&Appeal> {
        self.rare.as_ref()?.appeals.iter().find(|appeal| appeal.id == id)
    }

    /// Cards that count towards the most a user may have, open requests included.
    pub fn cards_counted(&self) -> usize {
        let requests = self.rare.as_ref().map_or(0, |rare| rare.requests.len());
        self.cards.iter().filter(|card| card.status.counts()).count() + requests
    }
}
