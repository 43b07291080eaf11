//! Steps of a generated story: small numbers that a [`Table`](crate::table::Table) turns into commands on what is there by
//! then.

use florin_engine::{
    command::Class,
    terms::{Change, RevealKind},
};

mod draw;

pub use self::draw::{change_step, plastic_step, step};

/// What the issuer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Done,
    Refused,
    /// Refused, as it has done a newer change already.
    Stale,
}

/// What has a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// The end of a hold.
    Hold,
    /// The deadline of a card's pending change.
    Deadline,
    /// When a purchase is forgotten.
    Purchase,
    /// When a command's key is forgotten.
    Memory,
    /// When a policy that was adopted comes into force.
    Policy,
}

/// What a command that comes again has of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum With {
    Nothing,
    Content,
    /// The same key and content in another user's name.
    User,
}

/// One step. Numbers choose among what there is: users, cards and authorizations, the newest first.
#[derive(Clone, Debug)]
pub enum Step {
    Wait(u64),
    /// Until something falls due, or the millisecond before.
    WaitFor {
        what: Time,
        which: u8,
        early: bool,
    },
    /// The next message was written that long ago, ms.
    Delay(u64),
    /// The next message is dated that far ahead, ms.
    Ahead(u64),
    Snapshot,
    Deposit {
        user: u8,
        amount: i64,
    },
    Withdraw {
        user: u8,
        amount: i64,
    },
    /// The next policy, in force so much later.
    Adopt {
        figures: usize,
        in_ms: u64,
    },
    WriteOff {
        card: u8,
        of_wallet: bool,
        amount: i64,
    },
    /// All that a card or wallet owes, and so much more.
    WriteOffAll {
        card: u8,
        of_wallet: bool,
        more: i64,
    },
    /// All that is on a card and not held, and so much more.
    UnloadAll {
        card: u8,
        more: i64,
    },
    Issue {
        user: u8,
        amount: i64,
        mobile: bool,
        physical: bool,
        expiry: u8,
    },
    Request {
        user: u8,
        physical: bool,
    },
    Decide {
        request: u8,
        approved: bool,
    },
    Settle {
        card: u8,
        said: Said,
    },
    SettleLate {
        request: u8,
        said: Said,
    },
    /// The issuer confirms what was asserted: the last assertion, or one before it.
    Confirm {
        card: u8,
        older: u32,
    },
    Appeal {
        card: u8,
        empty: bool,
    },
    DecideAppeal {
        appeal: u8,
        granted: bool,
    },
    Email {
        appeal: u8,
        known: bool,
    },
    Change {
        card: u8,
        change: Change,
        class: Class,
    },
    Limits {
        card: u8,
        which: u8,
        amount: Option<i64>,
        ops: bool,
    },
    NoPin {
        card: u8,
        amount: i64,
    },
    Activate {
        card: u8,
        right: bool,
    },
    Reveal {
        card: u8,
        kind: RevealKind,
        ops: bool,
        /// With an address that is too long.
        long: bool,
    },
    Lapse {
        card: u8,
    },
    Expire {
        card: u8,
    },
    TopUp {
        card: u8,
        amount: i64,
    },
    Unload {
        card: u8,
        amount: i64,
    },
    Authorize {
        card: u8,
        amount: i64,
        present: bool,
        pin: bool,
    },
    Increment {
        auth: u8,
        amount: i64,
    },
    /// Up to the limit per transaction, or all that is on the card, and so much more.
    IncrementUpTo {
        auth: u8,
        more: i64,
    },
    Clear {
        auth: u8,
        amount: Option<i64>,
        last: bool,
    },
    Reverse {
        auth: u8,
        amount: Option<i64>,
    },
    ReverseFirst {
        card: u8,
    },
    AuthorizeReversed {
        card: u8,
    },
    /// A clearing of an authorization that nobody knows, or that was reversed before it came.
    ClearFirst {
        card: u8,
        reversed: bool,
        amount: Option<i64>,
        last: bool,
    },
    /// A refund of one of those.
    RefundFirst {
        card: u8,
        reversed: bool,
        amount: Option<i64>,
    },
    ExpireHold {
        auth: u8,
        network: bool,
    },
    Refund {
        auth: u8,
        amount: Option<i64>,
    },
    Credit {
        card: u8,
        amount: i64,
    },
    ForcePost {
        card: u8,
        amount: i64,
    },
    /// A command again, as it was, or with a change.
    Again {
        sent: u8,
        with: With,
    },
    WorkClock,
}
