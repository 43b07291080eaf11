//! Events: what happened, each with a stored code of its own. They alone change state, and are what replays.
//!
//! An event says enough to be posted without the state: assets, amounts, rates and the balances that follow.

use alloc::{boxed::Box, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    command::{Issued, Merchant},
    fees::FeeTaken,
    holds::{Leg, Release, ReleaseCause},
    ids::{AppealId, AuthorizationId, CardId, CardRequestId},
    limits::Limits,
    money::{Asset, Country, Factor, Minor, Sealed, Text},
    people::Verification,
    policy::{CardKind, Funding, Policy, ProgrammeCode},
    terms::{Cause, Change, Decline, EmailStatus, RefusalCode, RevealKind, Status},
};

macro_rules! events {
    ($($(#[$doc:meta])* $code:literal $name:ident;)*) => {
        /// An event.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Event { $($(#[$doc])* $name($name),)* }

        impl Event {
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
                    _ => Err(crate::codec::Error::UnknownEvent { code, version }),
                }
            }
        }

        $(impl From<$name> for Event { fn from(body: $name) -> Self { Self::$name(body) } })*
    };
}

events! {
    /// A policy was adopted.
    1 PolicyAdopted;
    /// A checkpoint was noted; changes nothing.
    2 Checkpointed;
    /// A user was registered.
    10 UserRegistered;
    /// A verification was set.
    11 VerificationSet;
    /// A wallet was credited from outside.
    12 Deposited;
    /// A wallet was debited to outside.
    13 Withdrawn;
    /// What was owed was written off.
    14 WrittenOff;
    /// Something fell below zero.
    15 Overdrawn;
    /// An invoice was made.
    20 InvoiceCreated;
    /// An invoice was dropped.
    21 InvoiceExpired;
    /// A card was asked for, its money moved and its fees taken.
    22 CardRequested;
    /// The issuer made the card: Requested → NotActivated.
    23 CardIssued;
    /// The issuer refused or never made the card: all that was taken is given back.
    24 IssuanceFailed;
    /// The issuance is past its deadline: the issuer is asked to give it up.
    25 IssuanceAbandoned;
    /// A card request was opened.
    26 CardRequestOpened;
    /// A card request was decided.
    27 CardRequestDecided;
    /// NotActivated → Active.
    30 CardActivated;
    /// A wrong activation try.
    31 ActivationFailed;
    /// A status change was asked for and waits for the issuer.
    32 StatusChangeRequested;
    /// A card's state changed.
    33 StatusChanged;
    /// A limit change was asked for and waits for the issuer.
    34 LimitsChangeRequested;
    /// Limits changed.
    35 LimitsChanged;
    /// The issuer refused a pending change: what was there before is there again.
    36 ChangeRefused;
    /// A risk-raising change was given up at its deadline.
    37 ChangeLapsed;
    /// A risk-reducing change is past its deadline: it holds, and alarms.
    38 ChangeOverdue;
    /// The card's state is to be asserted at the issuer again.
    39 ReconcileStarted;
    /// The issuer confirmed the asserted state.
    40 Reconciled;
    /// The no-PIN amount was set.
    41 NoPinAmountSet;
    /// The fraud mark of a closing card was lifted.
    42 FraudCleared;
    /// A settlement that settles nothing (late, or a second copy).
    43 SettlementIgnored;
    /// An appeal was opened.
    50 AppealOpened;
    /// An appeal was decided.
    51 AppealDecided;
    /// What became of an appeal's e-mail.
    52 AppealEmailed;
    /// Wallet → card.
    60 ToppedUp;
    /// Card → wallet.
    61 Unloaded;
    /// What was left on a closing card went to the wallet.
    62 Swept;
    /// An authorization was approved with a hold.
    70 Authorized;
    /// An authorization was declined.
    71 Declined;
    /// A zero-amount check was answered, without a hold.
    72 AccountChecked;
    /// A hold was raised.
    73 HoldIncremented;
    /// An increment was declined.
    74 IncrementDeclined;
    /// A purchase was cleared, from the hold and beyond.
    75 Cleared;
    /// A hold was released, in full or in part.
    76 HoldReleased;
    /// A purchase was refunded, or a credit came without one.
    77 Refunded;
    /// A purchase was posted without a hold.
    78 ForcePosted;
    /// A reversal came before its authorization.
    79 ReversalRemembered;
    /// Something secret was shown.
    90 Revealed;
}

/// See [`Event::PolicyAdopted`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyAdopted {
    /// Its version.
    pub version: u32,
    /// From when it is in force, ms since 1970.
    pub effective_at_ms: u64,
    /// The policy.
    pub policy: Box<Policy>,
}

/// See [`Event::Checkpointed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpointed {
    /// Index of an earlier record.
    pub index: u64,
    /// Schema of the state that was hashed.
    pub schema: u32,
    /// Hash of the state after it.
    pub state_hash: [u8; 32],
}

/// See [`Event::UserRegistered`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRegistered {
    /// The tenant.
    pub company: Text,
    /// The user's country.
    pub country: Country,
}

/// See [`Event::VerificationSet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationSet {
    /// Status and levels.
    pub verification: Verification,
}

/// See [`Event::Deposited`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deposited {
    /// Which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Minor,
    /// The wallet's balance after it.
    pub balance: Minor,
    /// The sender's reference.
    pub reference: Sealed,
}

/// See [`Event::Withdrawn`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// Which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Minor,
    /// The wallet's balance after it.
    pub balance: Minor,
    /// The sender's reference.
    pub reference: Sealed,
}

/// See [`Event::WrittenOff`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenOff {
    /// The card; nil: the wallet.
    pub card: CardId,
    /// Which asset.
    pub asset: Asset,
    /// How much.
    pub amount: Minor,
    /// The balance after it.
    pub balance: Minor,
    /// Why.
    pub reason: Sealed,
}

/// See [`Event::Overdrawn`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overdrawn {
    /// The card; nil: the wallet.
    pub card: CardId,
    /// Which asset.
    pub asset: Asset,
    /// The balance, below zero.
    pub balance: Minor,
}

/// See [`Event::InvoiceCreated`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceCreated {
    /// Its number, as shown to the user.
    pub number: u64,
    /// Under which programme.
    pub programme: ProgrammeCode,
    /// For what kind of card.
    pub kind: CardKind,
    /// For which country.
    pub country: Country,
    /// The courier; empty for virtual cards.
    pub provider: Text,
    /// Order fee, in `fiat`.
    pub order_fee: Minor,
    /// Delivery fee, in `fiat`.
    pub delivery_fee: Minor,
    /// What the fees are quoted in.
    pub fiat: Asset,
    /// What it is paid in.
    pub asset: Asset,
    /// How much of that.
    pub amount: Minor,
    /// Fiat for one token, fixed.
    pub rate: Factor,
    /// Until when it can be used, ms since 1970.
    pub expires_at_ms: u64,
}

/// See [`Event::InvoiceExpired`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceExpired {
    /// Its number.
    pub number: u64,
}

/// See [`Event::CardRequested`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardRequested {
    /// The card.
    pub card: CardId,
    /// Its numeric id.
    pub number: u64,
    /// Under which programme.
    pub programme: ProgrammeCode,
    /// What kind.
    pub kind: CardKind,
    /// How it is funded.
    pub funding: Funding,
    /// Its billing currency.
    pub currency: Asset,
    /// What moved from wallet to card.
    pub initial: Minor,
    /// The fees taken.
    pub fees: Vec<FeeTaken>,
    /// The invoice used; 0: none.
    pub invoice: u64,
    /// The courier; empty: none.
    pub provider: Text,
    /// The balance of the wallet that paid, after it.
    pub wallet_balance: Minor,
    /// Limits it begins with.
    pub limits: Limits,
    /// No-PIN amount it begins with.
    pub no_pin: Option<Minor>,
    /// The change number of the issuance.
    pub change: u32,
    /// When the issuance is past its time, ms since 1970.
    pub deadline_ms: u64,
    /// Card name, name on card, delivery address.
    pub profile: Sealed,
}

/// See [`Event::CardIssued`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardIssued {
    /// The card.
    pub card: CardId,
    /// What the issuer made.
    pub issued: Issued,
}

/// See [`Event::IssuanceFailed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuanceFailed {
    /// The card.
    pub card: CardId,
    /// Why.
    pub refusal: RefusalCode,
    /// Its currency.
    pub currency: Asset,
    /// What goes back from card to wallet.
    pub initial: Minor,
    /// The fees given back.
    pub fees: Vec<FeeTaken>,
    /// The invoice given back; 0: none.
    pub invoice: u64,
}

/// See [`Event::IssuanceAbandoned`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuanceAbandoned {
    /// The card.
    pub card: CardId,
}

/// See [`Event::CardRequestOpened`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardRequestOpened {
    /// The request.
    pub request: CardRequestId,
    /// The card it becomes.
    pub card: CardId,
    /// Under which programme.
    pub programme: ProgrammeCode,
    /// What kind.
    pub kind: CardKind,
    /// Card name.
    pub profile: Sealed,
}

/// See [`Event::CardRequestDecided`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardRequestDecided {
    /// The request.
    pub request: CardRequestId,
    /// Whether it was approved.
    pub approved: bool,
    /// Why.
    pub reason: Sealed,
}

/// See [`Event::CardActivated`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardActivated {
    /// The card.
    pub card: CardId,
    /// By whom.
    pub cause: Cause,
}

/// See [`Event::ActivationFailed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivationFailed {
    /// The card.
    pub card: CardId,
    /// How many wrong tries there are now.
    pub tries: u8,
}

/// See [`Event::StatusChangeRequested`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusChangeRequested {
    /// The card.
    pub card: CardId,
    /// Its change number.
    pub change: u32,
    /// What was asked.
    pub what: Change,
    /// The state it leads to.
    pub target: Status,
    /// Who asked.
    pub cause: Cause,
    /// When it is past its time, ms since 1970.
    pub deadline_ms: u64,
    /// Whether it took the place of another pending change.
    pub overtakes: bool,
    /// Why, in words.
    pub reason: Sealed,
}

/// See [`Event::StatusChanged`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusChanged {
    /// The card.
    pub card: CardId,
    /// From.
    pub from: Status,
    /// To.
    pub to: Status,
    /// Whose doing.
    pub cause: Cause,
    /// For a block: for fraud.
    pub fraud: bool,
}

/// See [`Event::LimitsChangeRequested`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsChangeRequested {
    /// The card.
    pub card: CardId,
    /// Its change number.
    pub change: u32,
    /// The limits asked for.
    pub target: Limits,
    /// The limits that bind from now on: the lower of old and new, one by one.
    pub binding: Limits,
    /// When it is past its time, ms since 1970.
    pub deadline_ms: u64,
}

/// See [`Event::LimitsChanged`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsChanged {
    /// The card.
    pub card: CardId,
    /// The limits now.
    pub limits: Limits,
}

/// See [`Event::ChangeRefused`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRefused {
    /// The card.
    pub card: CardId,
    /// Its change number.
    pub change: u32,
    /// Why.
    pub refusal: RefusalCode,
}

/// See [`Event::ChangeLapsed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeLapsed {
    /// The card.
    pub card: CardId,
    /// Its change number.
    pub change: u32,
}

/// See [`Event::ChangeOverdue`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeOverdue {
    /// The card.
    pub card: CardId,
    /// Its change number.
    pub change: u32,
}

/// See [`Event::ReconcileStarted`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileStarted {
    /// The card.
    pub card: CardId,
    /// The change number to assert under.
    pub change: u32,
}

/// See [`Event::Reconciled`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciled {
    /// The card.
    pub card: CardId,
    /// The change number that was asserted.
    pub change: u32,
}

/// See [`Event::NoPinAmountSet`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoPinAmountSet {
    /// The card.
    pub card: CardId,
    /// The amount.
    pub amount: Minor,
}

/// See [`Event::FraudCleared`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FraudCleared {
    /// The card.
    pub card: CardId,
}

/// See [`Event::SettlementIgnored`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettlementIgnored {
    /// The card.
    pub card: CardId,
}

/// See [`Event::AppealOpened`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppealOpened {
    /// The card.
    pub card: CardId,
    /// The appeal.
    pub appeal: AppealId,
    /// Its numeric id.
    pub number: u64,
    /// What the user says.
    pub message: Sealed,
}

/// See [`Event::AppealDecided`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppealDecided {
    /// The card.
    pub card: CardId,
    /// The appeal.
    pub appeal: AppealId,
    /// Whether it was granted.
    pub granted: bool,
    /// Why.
    pub reason: Sealed,
}

/// See [`Event::AppealEmailed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppealEmailed {
    /// The appeal.
    pub appeal: AppealId,
    /// What became of it.
    pub status: EmailStatus,
}

/// See [`Event::ToppedUp`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToppedUp {
    /// The card.
    pub card: CardId,
    /// Its currency.
    pub currency: Asset,
    /// What the card got.
    pub amount: Minor,
    /// The service fee, beside it.
    pub fee: Minor,
    /// The card's balance after it.
    pub card_balance: Minor,
    /// The wallet's balance after it.
    pub wallet_balance: Minor,
}

/// See [`Event::Unloaded`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unloaded {
    /// The card.
    pub card: CardId,
    /// Its currency.
    pub currency: Asset,
    /// How much.
    pub amount: Minor,
    /// The card's balance after it.
    pub card_balance: Minor,
    /// The wallet's balance after it.
    pub wallet_balance: Minor,
}

/// See [`Event::Swept`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// The card.
    pub card: CardId,
    /// Its currency.
    pub currency: Asset,
    /// How much.
    pub amount: Minor,
    /// The wallet's balance after it.
    pub wallet_balance: Minor,
}

/// See [`Event::Authorized`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorized {
    /// The card.
    pub card: CardId,
    /// The authorization.
    pub authorization: AuthorizationId,
    /// How much, in the card's currency.
    pub amount: Minor,
    /// The card's currency.
    pub currency: Asset,
    /// What is held for it, where.
    pub legs: Vec<Leg>,
    /// When the hold expires, ms since 1970.
    pub expires_at_ms: u64,
    /// Where.
    pub merchant: Merchant,
}

/// See [`Event::Declined`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declined {
    /// The card.
    pub card: CardId,
    /// The authorization.
    pub authorization: AuthorizationId,
    /// How much was asked for.
    pub amount: Minor,
    /// The card's currency.
    pub currency: Asset,
    /// Why, with the figures of the moment.
    pub decline: Decline,
    /// Where.
    pub merchant: Merchant,
}

/// See [`Event::AccountChecked`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountChecked {
    /// The card.
    pub card: CardId,
    /// The authorization.
    pub authorization: AuthorizationId,
    /// Where.
    pub merchant: Merchant,
}

/// See [`Event::HoldIncremented`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldIncremented {
    /// The card.
    pub card: CardId,
    /// The authorization.
    pub authorization: AuthorizationId,
    /// How much more.
    pub amount: Minor,
    /// What is held for it, beside what was.
    pub legs: Vec<Leg>,
}

/// See [`Event::IncrementDeclined`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncrementDeclined {
    /// The card.
    pub card: CardId,
    /// The authorization.
    pub authorization: AuthorizationId,
    /// How much was asked for.
    pub amount: Minor,
    /// Why, with the figures of the moment.
    pub decline: Decline,
}

/// See [`Event::Cleared`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleared {
    /// The card.
    pub card: CardId,
    /// The authorization.
    pub authorization: AuthorizationId,
    /// The card's currency.
    pub currency: Asset,
    /// What was drawn from the hold, by its own rates.
    pub held: Vec<Leg>,
    /// What was drawn beyond the hold, at the rates of now.
    pub excess: Vec<Leg>,
    /// Whether it is the last clearing.
    pub last: bool,
}

/// See [`Event::HoldReleased`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldReleased {
    /// The card.
    pub card: CardId,
    /// The authorization.
    pub authorization: AuthorizationId,
    /// Why.
    pub cause: ReleaseCause,
    /// What is no longer held.
    pub release: Release,
    /// Whether the hold is closed by it.
    pub closes: bool,
}

/// See [`Event::Refunded`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refunded {
    /// The card.
    pub card: CardId,
    /// The purchase it belongs to; nil: none.
    pub authorization: AuthorizationId,
    /// The card's currency.
    pub currency: Asset,
    /// What is credited against what the purchase drew, by its own rates.
    pub linked: Vec<Leg>,
    /// What is credited beside that, at the rates of now.
    pub unlinked: Vec<Leg>,
    /// Where.
    pub merchant: Merchant,
}

/// See [`Event::ForcePosted`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForcePosted {
    /// The card.
    pub card: CardId,
    /// The authorization that it makes, or belongs to.
    pub authorization: AuthorizationId,
    /// The card's currency.
    pub currency: Asset,
    /// What was drawn.
    pub legs: Vec<Leg>,
    /// Where.
    pub merchant: Merchant,
}

/// See [`Event::ReversalRemembered`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReversalRemembered {
    /// The card.
    pub card: CardId,
    /// The authorization that is still to come.
    pub authorization: AuthorizationId,
}

/// See [`Event::Revealed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revealed {
    /// The card.
    pub card: CardId,
    /// What was shown.
    pub kind: RevealKind,
    /// From which address.
    pub address: Sealed,
}
