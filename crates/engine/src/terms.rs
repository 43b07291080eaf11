//! The words of a card's life that commands, events and views share: states, changes, causes, declines.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::reject::Figure;

/// A card's state (lifecycle.md, Card states). PROCESSING is no state but an overlay, see [`crate::state::Pending`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Asked for at the issuer.
    Requested,
    /// Made, not yet activated.
    NotActivated,
    /// Usable.
    Active,
    /// Frozen by user or ops.
    Frozen,
    /// Blocked by issuer, ops or wrong tries.
    Blocked,
    /// Closing: waits for holds, a fraud block or a debt.
    PreCancel,
    /// Closed.
    Cancelled,
    /// Past its expiry month.
    Expired,
}

crate::codes! { Status: 1 Requested, 2 NotActivated, 3 Active, 4 Frozen, 5 Blocked, 6 PreCancel, 7 Cancelled, 8 Expired }

impl Status {
    /// Whether the card counts towards the most a user may have.
    pub const fn counts(self) -> bool {
        !matches!(self, Self::Cancelled | Self::Expired)
    }
}

/// A change of status that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Active → Frozen.
    Freeze,
    /// Frozen → Active.
    Thaw,
    /// → Blocked.
    Block,
    /// → Blocked, for fraud: only ops may lift or close it.
    BlockForFraud,
    /// Blocked → what it was.
    Unblock,
    /// → PreCancel → Cancelled.
    Cancel,
}

crate::codes! { Change: 1 Freeze, 2 Thaw, 3 Block, 4 BlockForFraud, 5 Unblock, 6 Cancel }

impl Change {
    /// Whether it lowers risk: it binds from its acceptance and never reverts by itself.
    pub const fn reduces_risk(self) -> bool {
        !matches!(self, Self::Thaw | Self::Unblock)
    }
}

/// Whose doing a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The user's.
    User,
    /// An operator's.
    Ops,
    /// The issuer's or network's.
    Issuer,
    /// Too many wrong activation tries.
    WrongTries,
    /// The engine's own (activation of virtual cards, closing).
    System,
    /// The clock's.
    Clock,
    /// A granted appeal.
    Appeal,
}

crate::codes! { Cause: 1 User, 2 Ops, 3 Issuer, 4 WrongTries, 5 System, 6 Clock, 7 Appeal }

/// Why the issuer refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalCode {
    /// The issuer does not want to.
    Declined,
    /// A newer change has been done already.
    Stale,
    /// The issuer does not know the card.
    CardUnknown,
    /// The request is out of form for the issuer.
    Invalid,
    /// The issuance was given up, and the issuer says that no card is or will be there.
    Abandoned,
}

crate::codes! { RefusalCode: 1 Declined, 2 Stale, 3 CardUnknown, 4 Invalid, 5 Abandoned }

/// Why an authorization is declined, in the order of the checks (lifecycle.md, Authorizations).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeclineReason {
    /// The card is not Active.
    CardNotActive,
    /// A freeze, block or cancel is pending.
    ChangePending,
    /// The card is past its expiry month.
    Expired,
    /// Above the limit per transaction.
    TransactionLimit,
    /// Card present, no PIN, above the no-PIN amount.
    NoPinLimit,
    /// Above what is left of the day's limit.
    DailyLimit,
    /// Above what is left of the month's limit.
    MonthlyLimit,
    /// Above what is left of the lifetime limit.
    LifetimeLimit,
    /// Too little money.
    InsufficientBalance,
    /// Its reversal came first.
    Reversed,
}

crate::codes! { DeclineReason: 1 CardNotActive, 2 ChangePending, 3 Expired, 4 TransactionLimit, 5 NoPinLimit, 6 DailyLimit,
7 MonthlyLimit, 8 LifetimeLimit, 9 InsufficientBalance, 10 Reversed }

impl DeclineReason {
    /// The stable word of the reason, as the APIs show it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::CardNotActive => "card_not_active",
            Self::ChangePending => "change_pending",
            Self::Expired => "expired",
            Self::TransactionLimit => "transaction_limit",
            Self::NoPinLimit => "no_pin_limit",
            Self::DailyLimit => "daily_limit",
            Self::MonthlyLimit => "monthly_limit",
            Self::LifetimeLimit => "lifetime_limit",
            Self::InsufficientBalance => "insufficient_balance",
            Self::Reversed => "reversed",
        }
    }
}

/// A decline with the figures of its moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decline {
    /// Why.
    pub reason: DeclineReason,
    /// The figures.
    pub figures: Vec<(Figure, i64)>,
}

/// What is shown in a reveal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RevealKind {
    /// Number and expiry, with or without CVV.
    Details,
    /// CVV.
    Cvv,
    /// PIN.
    Pin,
    /// A one-time code.
    OneTimeCode,
    /// The secure page was opened.
    Page,
    /// A look-up by number.
    ByNumber,
}

crate::codes! { RevealKind: 1 Details, 2 Cvv, 3 Pin, 4 OneTimeCode, 5 Page, 6 ByNumber }

/// What became of an e-mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EmailStatus {
    /// Waits in the outbox.
    Queued,
    /// Handed to the mail server.
    Sent,
    /// Given up.
    Failed,
}

crate::codes! { EmailStatus: 1 Queued, 2 Sent, 3 Failed }

/// The month `expiry` (`year × 12 + month − 1`) as (year, month 1–12).
pub const fn expiry_parts(expiry: u16) -> (u16, u8) {
    (expiry / 12, (expiry % 12) as u8 + 1)
}

/// (year, month 1–12) as an expiry; `None` unless the month is one and the year is below 5400.
pub const fn expiry_of(year: u16, month: u8) -> Option<u16> {
    if month == 0 || month > 12 || year >= 5400 {
        return None;
    }
    Some(year * 12 + month as u16 - 1)
}
