//! Events: what happened, each with a stored code of its own. They alone change state, and are what replays.
//!
//! An event says enough to be posted without the state: assets, amounts, rates and the balances that follow.

mod cards;
mod money;
mod people;
mod purchases;

pub use cards::*;
pub use money::*;
pub use people::*;
pub use purchases::*;

crate::registry! {
    /// An event.
    Event, UnknownEvent:
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
    22 CardRequested in Box;
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
    34 LimitsChangeRequested in Box;
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

// One is written for most commands, and moved a few times.
const _: () = assert!(size_of::<Event>() <= 128, "an event of which there are many is small");
