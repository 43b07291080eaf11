//! Commands: what may be asked of the engine, each with a stored code of its own.
//!
//! Shapes only; what each does is told where it is decided. Codes are stored for ever and never used twice. A changed
//! body gets a new version beside the frozen old one; see `codec.rs`.

use crate::ids::{AccountId, Digest, Key};

mod cards;
mod money;
mod people;
mod purchases;

pub use cards::*;
pub use money::*;
pub use people::*;
pub use purchases::*;

/// Who sends a command; each class has its own subject, so that permissions can separate them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// A user, or a company for its user.
    User = 1,
    /// An operator.
    Ops = 2,
    /// The card network, or the issuer on its own account.
    Network = 3,
    /// The settlement consumer and the outbox.
    Settlement = 4,
    /// The clock worker.
    Clock = 5,
    /// The processor itself (checkpoints).
    System = 6,
}

crate::codes! { Class: 1 User, 2 Ops, 3 Network, 4 Settlement, 5 Clock, 6 System }

/// A command as sent: everything but its time and the policy it falls under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<C = Command> {
    /// Whose account. The partition's own ([`AccountId::of_partition`]) for policies and checkpoints; nil for a network
    /// command by card, which the processor resolves through the partition's index.
    pub account: AccountId,
    /// By which class of sender.
    pub class: Class,
    /// Tag of the credential that was used (a keyed hash, not a secret); 0: none.
    pub actor: u64,
    /// Fingerprint of the idempotency key.
    pub key: Key,
    /// Keyed digest of the canonical plaintext content.
    pub digest: Digest,
    /// The message's own date, ms since 1970; 0: none. Network and settlement messages must carry one.
    pub dated_ms: u64,
    /// What is asked.
    pub command: C,
}

/// A command as admitted and recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted<C = Command> {
    /// Ledger time, ms since 1970; never before the entry before it.
    pub time_ms: u64,
    /// The policy version in force then; 0: none.
    pub policy: u32,
    /// The command as sent.
    pub envelope: Envelope<C>,
}

crate::registry! {
    /// A command.
    Command, UnknownCommand:
    /// Adopt a policy in this partition. Ops.
    1 AdoptPolicy;
    /// Name an earlier record and the state's hash there. System.
    2 Checkpoint;
    /// Register a user. Ops.
    10 RegisterUser;
    /// Set a user's verification. Ops.
    11 SetVerification;
    /// Credit a wallet from outside. Ops.
    12 Deposit;
    /// Debit a wallet to outside. Ops.
    13 Withdraw;
    /// Write off what is owed by a wallet or card below zero. Ops.
    14 WriteOff;
    /// Quote order and delivery fees and fix their rate. User.
    20 CreateInvoice;
    /// Drop an invoice past its time. Clock.
    21 ExpireInvoice;
    /// Issue a card. User, ops.
    22 IssueCard;
    /// Ask for a card that somebody approves. User.
    23 RequestCard;
    /// Approve or reject a card request. Ops.
    24 DecideCardRequest;
    /// Activate a delivered card. User, ops.
    30 Activate;
    /// Freeze, thaw, block, unblock or cancel. User, ops, network.
    31 ChangeStatus;
    /// Change spending limits. User, ops.
    32 ChangeLimits;
    /// Set the no-PIN amount. User, ops.
    33 SetNoPinAmount;
    /// The issuer's definite answer to a pending change. Settlement.
    34 Settle;
    /// What the deadline of a pending change asks for. Clock.
    35 LapseChange;
    /// The issuer confirmed the asserted state. Settlement.
    36 ConfirmReconcile;
    /// End of the expiry month. Clock.
    37 ExpireCard;
    /// Appeal against a block. User.
    40 OpenAppeal;
    /// Grant or reject an appeal. Ops.
    41 DecideAppeal;
    /// What became of an appeal's e-mail. Settlement.
    42 RecordAppealEmail;
    /// Move money from wallet to card. User.
    50 TopUp;
    /// Move money from card to wallet. User.
    51 Unload;
    /// Decide an authorization. Network.
    60 Authorize;
    /// Raise an authorization's hold. Network.
    61 Increment;
    /// Clear an authorization, in part or finally. Network.
    62 Clear;
    /// Reverse an authorization, in full or in part. Network.
    63 Reverse;
    /// Release a hold past its time. Clock; network for the sandbox.
    64 ExpireHold;
    /// Refund a purchase, or credit without one. Network.
    65 Refund;
    /// Post a purchase without a hold. Network.
    66 ForcePost;
    /// Record that something secret was shown. User, ops.
    70 RecordReveal;
}

/// A provider or company name that a command carries; see [`crate::money::TEXT_BYTES_MAX`].
pub(crate) fn text_fits(text: &str) -> bool {
    text.len() <= crate::money::TEXT_BYTES_MAX && !text.chars().any(char::is_control)
}
