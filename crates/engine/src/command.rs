//! Commands: what may be asked of the engine, each with a stored code of its own.
//!
//! Shapes only; what each does is told where it is decided. Codes are stored for ever and never used twice. A changed
//! body gets a new version beside the frozen old one; see `codec.rs`.

use alloc::{boxed::Box, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    ids::{AccountId, AppealId, AuthorizationId, CardId, CardRequestId, Digest, Key, RequestId},
    limits::LimitsUpdate,
    money::{Asset, Country, Minor, Sealed, Text},
    people::Verification,
    policy::{CardKind, Policy, ProgrammeCode},
    terms::{Change, EmailStatus, RefusalCode, RevealKind},
};

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
pub struct Envelope {
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
    pub command: Command,
}

/// A command as admitted and recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Ledger time, ms since 1970; never before the entry before it.
    pub time_ms: u64,
    /// The policy version in force then; 0: none.
    pub policy: u32,
    /// The command as sent.
    pub envelope: Envelope,
}

macro_rules! commands {
    ($($(#[$doc:meta])* $code:literal $name:ident;)*) => {
        /// A command.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Command { $($(#[$doc])* $name($name),)* }

        impl Command {
            /// The stored code.
            pub const fn code(&self) -> u16 {
                match self { $(Self::$name(_) => $code,)* }
            }

            /// The name, for people.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* }
            }

            pub(crate) fn body(&self, out: &mut Vec<u8>) {
                match self { $(Self::$name(body) => crate::codec::append(body, out),)* }
            }

            pub(crate) fn from_body(code: u16, version: u8, body: &[u8]) -> Result<Self, crate::codec::Error> {
                match (code, version) {
                    $(($code, 1) => crate::codec::whole(body).map(Self::$name),)*
                    _ => Err(crate::codec::Error::UnknownCommand { code, version }),
                }
            }
        }

        $(impl From<$name> for Command { fn from(body: $name) -> Self { Self::$name(body) } })*
    };
}

commands! {
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

/// See [`Command::AdoptPolicy`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdoptPolicy {
    /// Its version, above every earlier one.
    pub version: u32,
    /// From when it is in force, ms since 1970; not before an earlier policy's.
    pub effective_at_ms: u64,
    /// The policy.
    pub policy: Box<Policy>,
}

/// See [`Command::Checkpoint`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Index of an earlier record.
    pub index: u64,
    /// Schema of the state that was hashed; see `snapshot.rs`.
    pub schema: u32,
    /// Hash of the state after it.
    pub state_hash: [u8; 32],
}

/// See [`Command::RegisterUser`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterUser {
    /// The tenant; not personal.
    pub company: Text,
    /// The user's country.
    pub country: Country,
}

/// See [`Command::SetVerification`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetVerification {
    /// Status and levels.
    pub verification: Verification,
}

/// See [`Command::Deposit`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deposit {
    /// Which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Minor,
    /// The sender's reference.
    pub reference: Sealed,
}

/// See [`Command::Withdraw`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdraw {
    /// Which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Minor,
    /// The sender's reference.
    pub reference: Sealed,
}

/// See [`Command::WriteOff`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteOff {
    /// The card; nil: the wallet.
    pub card: CardId,
    /// Which asset.
    pub asset: Asset,
    /// How much of what is owed.
    pub amount: Minor,
    /// Why.
    pub reason: Sealed,
}

/// See [`Command::CreateInvoice`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateInvoice {
    /// Under which programme.
    pub programme: ProgrammeCode,
    /// For what kind of card.
    pub kind: CardKind,
    /// For which country.
    pub country: Country,
    /// The courier; empty for virtual cards.
    pub provider: Text,
    /// What it is to be paid in.
    pub asset: Asset,
}

/// See [`Command::ExpireInvoice`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpireInvoice {
    /// Its number.
    pub number: u64,
}

/// See [`Command::IssueCard`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueCard {
    /// The id, minted from account and key.
    pub card: CardId,
    /// Under which programme.
    pub programme: ProgrammeCode,
    /// What kind.
    pub kind: CardKind,
    /// The initial balance, for a programme that has one.
    pub initial: Minor,
    /// Number of the invoice; 0: none.
    pub invoice: u64,
    /// The courier the caller named; empty: the invoice's.
    pub provider: Text,
    /// The delivery address's country, or the user's.
    pub country: Country,
    /// Card name, name on card, delivery address.
    pub profile: Sealed,
}

/// See [`Command::RequestCard`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCard {
    /// The id, minted from account and key; also the seed of the card's id.
    pub request: CardRequestId,
    /// The id of the card it becomes.
    pub card: CardId,
    /// Under which programme.
    pub programme: ProgrammeCode,
    /// What kind.
    pub kind: CardKind,
    /// Card name.
    pub profile: Sealed,
}

/// See [`Command::DecideCardRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecideCardRequest {
    /// Which.
    pub request: CardRequestId,
    /// Whether it is approved.
    pub approved: bool,
    /// Why.
    pub reason: Sealed,
}

/// See [`Command::Activate`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activate {
    /// Which card.
    pub card: CardId,
    /// Last four digits and expiry as the user read them; ops give none.
    pub tried: Option<Tried>,
}

/// What a user typed to activate a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Last four digits, 0–9999.
    pub last4: u16,
    /// Expiry in months since year 0: `year × 12 + month − 1`.
    pub expiry: u16,
}

/// See [`Command::ChangeStatus`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeStatus {
    /// Which card.
    pub card: CardId,
    /// To what.
    pub change: Change,
    /// Why, in words.
    pub reason: Sealed,
}

/// See [`Command::ChangeLimits`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeLimits {
    /// Which card.
    pub card: CardId,
    /// What to set, clear and leave.
    pub update: LimitsUpdate,
}

/// See [`Command::SetNoPinAmount`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetNoPinAmount {
    /// Which card.
    pub card: CardId,
    /// Most that is approved on a card-present purchase without a PIN.
    pub amount: Minor,
}

/// See [`Command::Settle`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settle {
    /// Which card.
    pub card: CardId,
    /// Which of its changes.
    pub request: RequestId,
    /// The issuer's answer.
    pub outcome: Outcome,
}

/// A definite answer of the issuer. Stored as (code, card made, refusal), so that its order here says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A card was made.
    Issued(Issued),
    /// A status or limit change was done.
    Done,
    /// It was refused, and will not be done.
    Refused(RefusalCode),
}

impl Serialize for Outcome {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Issued(issued) => (1_u8, Some(issued), None::<RefusalCode>),
            Self::Done => (2, None, None),
            Self::Refused(refusal) => (3, None, Some(*refusal)),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Outcome {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match <(u8, Option<Issued>, Option<RefusalCode>)>::deserialize(deserializer)? {
            (1, Some(issued), None) => Ok(Self::Issued(issued)),
            (2, None, None) => Ok(Self::Done),
            (3, None, Some(refusal)) => Ok(Self::Refused(refusal)),
            _ => Err(serde::de::Error::custom("unknown outcome")),
        }
    }
}

/// The card that the issuer made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// The issuer's id of the card.
    pub issuer_card: Text,
    /// First four digits.
    pub first4: u16,
    /// Last four digits.
    pub last4: u16,
    /// Expiry in months since year 0: `year × 12 + month − 1`; usable through that month.
    pub expiry: u16,
}

/// See [`Command::LapseChange`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LapseChange {
    /// Which card.
    pub card: CardId,
    /// Which of its changes.
    pub request: RequestId,
}

/// See [`Command::ConfirmReconcile`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmReconcile {
    /// Which card.
    pub card: CardId,
    /// The change number that was asserted.
    pub change: u32,
}

/// See [`Command::ExpireCard`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpireCard {
    /// Which card.
    pub card: CardId,
}

/// See [`Command::OpenAppeal`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenAppeal {
    /// Which card.
    pub card: CardId,
    /// The id, minted from account and key.
    pub appeal: AppealId,
    /// What the user says.
    pub message: Sealed,
}

/// See [`Command::DecideAppeal`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecideAppeal {
    /// Which.
    pub appeal: AppealId,
    /// Whether it is granted.
    pub granted: bool,
    /// Why.
    pub reason: Sealed,
}

/// See [`Command::RecordAppealEmail`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordAppealEmail {
    /// Which.
    pub appeal: AppealId,
    /// What became of it.
    pub status: EmailStatus,
}

/// See [`Command::TopUp`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopUp {
    /// Which card.
    pub card: CardId,
    /// How much the card gets; the service fee comes on top.
    pub amount: Minor,
}

/// See [`Command::Unload`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unload {
    /// Which card.
    pub card: CardId,
    /// How much.
    pub amount: Minor,
}

/// Where a purchase was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merchant {
    /// Its name, at most 64 bytes.
    pub name: Text,
    /// Merchant category code, 0–9999.
    pub mcc: u16,
    /// Its country.
    pub country: Country,
}

/// See [`Command::Authorize`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorize {
    /// Which card.
    pub card: CardId,
    /// The id, minted from account and the network's id.
    pub authorization: AuthorizationId,
    /// How much, in the card's currency; zero: an account check.
    pub amount: Minor,
    /// The currency it is billed in.
    pub currency: Asset,
    /// Where.
    pub merchant: Merchant,
    /// Whether the card itself was there.
    pub card_present: bool,
    /// Whether a PIN was given.
    pub pin_entered: bool,
}

/// See [`Command::Increment`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Increment {
    /// Which card.
    pub card: CardId,
    /// Which authorization.
    pub authorization: AuthorizationId,
    /// How much more.
    pub amount: Minor,
}

/// See [`Command::Clear`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clear {
    /// Which card.
    pub card: CardId,
    /// Which authorization.
    pub authorization: AuthorizationId,
    /// How much; `None`: what is still held.
    pub amount: Option<Minor>,
    /// Whether it is the last one, so that the rest is released.
    pub last: bool,
}

/// See [`Command::Reverse`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reverse {
    /// Which card.
    pub card: CardId,
    /// Which authorization.
    pub authorization: AuthorizationId,
    /// How much of what is held; `None`: all.
    pub amount: Option<Minor>,
}

/// See [`Command::ExpireHold`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpireHold {
    /// Which card.
    pub card: CardId,
    /// Which authorization.
    pub authorization: AuthorizationId,
}

/// See [`Command::Refund`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Which card.
    pub card: CardId,
    /// The purchase it belongs to; nil: none.
    pub authorization: AuthorizationId,
    /// How much, in the card's currency; `None`: what was cleared and is not yet refunded.
    pub amount: Option<Minor>,
    /// Where.
    pub merchant: Merchant,
}

/// See [`Command::ForcePost`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForcePost {
    /// Which card.
    pub card: CardId,
    /// The id, minted from account and the network's id.
    pub authorization: AuthorizationId,
    /// How much, in the card's currency.
    pub amount: Minor,
    /// Where.
    pub merchant: Merchant,
}

/// See [`Command::RecordReveal`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordReveal {
    /// Which card.
    pub card: CardId,
    /// What is shown.
    pub kind: RevealKind,
    /// From which address.
    pub address: Sealed,
}

/// A provider or company name that a command carries; see [`crate::money::TEXT_BYTES_MAX`].
pub(crate) fn text_fits(text: &str) -> bool {
    text.len() <= crate::money::TEXT_BYTES_MAX && !text.chars().any(char::is_control)
}
