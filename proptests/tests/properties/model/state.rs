//! What the model remembers: users, their cards and purchases.

use std::collections::BTreeMap;

use florin_engine::{
    ids::{AppealId, AuthorizationId, CardId, CardRequestId, RequestId},
    limits::Limits,
    policy::{CardKind, ProgrammeCode},
    terms::{Change, Status},
};

#[derive(Clone, Debug)]
pub enum Waiting {
    Issue,
    Status(Asked),
    Limits { target: Limits, before: Limits },
}

/// A change of status that somebody asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub what: Change,
    pub target: Status,
    pub by_ops: bool,
}

#[derive(Clone, Debug)]
pub struct Pending {
    pub request: Option<RequestId>,
    pub deadline: u64,
    pub told: bool,
    pub what: Waiting,
    /// The risk-reducing changes of status that stronger ones took the place of, the latest last.
    pub overtaken: Vec<Asked>,
}

/// Usage is a list of what was used and given back, each on the day it counts for.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    pub time: u64,
    pub amount: i128,
}

/// What Florin is telling the issuer over again, outside the overlay, until it is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assertion {
    None,
    /// Begun by the last command: it must get a number above all that the card has had.
    New,
    Number(u32),
}

#[derive(Clone, Debug)]
pub struct Card {
    pub programme: ProgrammeCode,
    pub kind: CardKind,
    pub status: Status,
    pub before_block: Status,
    pub fraud: bool,
    pub tries: u8,
    pub last4: u16,
    pub expiry: u16,
    pub balance: i128,
    pub limits: Limits,
    pub no_pin: Option<i128>,
    pub uses: Vec<Use>,
    pub pending: Option<Pending>,
    pub assertion: Assertion,
    /// The change that was last settled as done: the issuer may say so again.
    pub settled: Option<RequestId>,
    pub swept: bool,
    /// What issuing took: initial balance, then fees.
    pub taken: (i128, i128),
    pub returned: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    Open,
    Closed,
    Killed,
}

/// What a purchase drew, by where it came from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drawn {
    pub card: i128,
    pub wallet: i128,
}

impl Drawn {
    pub fn sum(self) -> i128 {
        self.card + self.wallet
    }
}

#[derive(Clone, Debug)]
pub struct Purchase {
    pub card: CardId,
    pub phase: Phase,
    pub amount: i128,
    pub held: i128,
    /// What was drawn and not refunded: from the card, and from the wallet.
    pub spent: Drawn,
    pub uses: Vec<Use>,
    /// When its hold ends.
    pub until: u64,
    /// Once its hold is gone: when it is forgotten.
    pub forget: u64,
}

#[derive(Clone, Debug, Default)]
pub struct User {
    pub wallet: i128,
    pub cards: BTreeMap<CardId, Card>,
    pub purchases: BTreeMap<AuthorizationId, Purchase>,
    pub requests: BTreeMap<CardRequestId, (CardId, CardKind)>,
    /// Against the block of which card, and whether it is open.
    pub appeals: BTreeMap<AppealId, (CardId, bool)>,
}
