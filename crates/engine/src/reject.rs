//! Rejects: every reason for which a command changes nothing, numbered in order of precedence.
//!
//! A reject carries figures, so that no caller ever parses a sentence, and says whether a retry can help.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $number:literal $name:ident $retry:ident $text:literal;)*) => {
        /// Why a command is rejected. The number is stored, and is its rank: where several hold, the lowest is given.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Reason { $($(#[$doc])* $name = $number,)* }

        impl Reason {
            /// All reasons in order of precedence.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The reason of a stored number.
            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }

            /// Whether trying the very same again later can help.
            pub const fn retry(self) -> Retry {
                match self { $(Self::$name => Retry::$retry,)* }
            }

            /// What is wrong, as a lower-case fragment.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

/// Whether a retry can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// No: the outcome is frozen under the command's key.
    Never,
    /// Yes, the very same with the same key: the outcome is not frozen.
    Later,
}

reasons! {
    /// The message's own date is more than 31 days back.
    1 TooOld Never "the message is older than 31 days";
    /// The command's class may not give it.
    2 WrongClass Never "this class of sender may not give this command";
    /// The key was used with other content.
    3 IdempotencyConflict Later "the idempotency key was used with other content";
    /// The account has as many remembered outcomes as the policy allows.
    4 TooManyKeys Later "too many remembered idempotency keys";
    /// No policy has been adopted yet.
    5 NoPolicy Later "no policy has been adopted";
    /// A policy that does not follow the adopted one, or that cannot be decided under.
    6 PolicyRefused Never "the policy is refused";
    /// The account is not registered.
    7 UserUnknown Later "the user is not known";
    /// The account is registered already.
    8 UserExists Never "the user is registered already";
    /// The account has no such card.
    9 CardUnknown Never "the card is not known";
    /// A card of this id exists already.
    10 CardExists Never "a card of this id exists already";
    /// A field is out of form; the figure `field` says which.
    11 InvalidField Never "a field is out of form";
    /// The policy does not know the asset.
    12 AssetUnknown Never "the asset is not known";
    /// The policy does not know the programme.
    13 ProgrammeUnknown Never "the programme is not known";
    /// The amount is zero or negative.
    14 AmountNotPositive Never "the amount must be above zero";
    /// The amount is below the policy's bound.
    15 AmountBelowMinimum Never "the amount is below the minimum";
    /// The amount is above the policy's bound.
    16 AmountAboveMaximum Never "the amount is above the maximum";
    /// The card is not funded by its own balance.
    17 NotPrepaid Never "the card has no balance of its own";
    /// The card's state does not allow it; figure `status`.
    18 InvalidStatus Never "the card's status does not allow this";
    /// The block is for fraud, which only ops may lift or close.
    19 FraudBlock Never "the card is blocked for fraud";
    /// Another change of the card is pending.
    20 ChangePending Later "another change of the card is pending";
    /// The card is already what was asked for.
    21 NothingToChange Never "nothing would change";
    /// The user lacks the capability; figures `level` or none.
    22 CapabilityInactive Never "the card capability is not active";
    /// As many cards as a user may have.
    23 CardLimitReached Never "the card limit is reached";
    /// Issuing needs an invoice.
    24 InvoiceRequired Never "an invoice is required";
    /// The invoice is unknown, used, expired, or for something else.
    25 InvoiceInvalid Never "the invoice cannot be used";
    /// The invoice is for another provider.
    26 ProviderMismatch Never "the delivery provider is not the invoice's";
    /// No fee or delivery is known for this kind and country.
    27 FeesUnknown Never "no fees are known for this kind and country";
    /// Fees are not enforced in this programme.
    28 FeesNotEnforced Never "card fees are not enforced";
    /// Too little money; figures `needed`, `available`.
    29 InsufficientBalance Never "the balance is insufficient";
    /// An appeal is open already.
    30 AppealOpen Never "an appeal is open already";
    /// No such appeal, or it is decided.
    31 AppealUnknown Never "no such open appeal";
    /// No such card request, or it is decided.
    32 CardRequestUnknown Never "no such open card request";
    /// No such authorization on this card.
    33 AuthorizationUnknown Later "the authorization is not known";
    /// An authorization of this id exists already.
    34 AuthorizationExists Never "the authorization exists already";
    /// The authorization's hold is no longer open.
    35 HoldClosed Never "the hold is no longer open";
    /// As many authorizations as the policy remembers per account.
    36 TooManyAuthorizations Later "too many open or remembered authorizations";
    /// It is not due yet; figure `retry_at`.
    37 NotDue Later "it is not due yet";
    /// Nothing is pending under this request.
    38 NothingPending Never "nothing is pending under this request";
    /// Nothing is owed that could be written off.
    39 NothingOwed Never "nothing is owed";
    /// A sum would overflow 64 bits.
    40 Overflow Never "the amount overflows";
}

impl Reason {
    /// Whether the outcome is remembered under the command's key. What is said before the key is looked up never is: a key
    /// has one outcome.
    pub const fn frozen(self) -> bool {
        matches!(self.retry(), Retry::Never) && !matches!(self, Self::TooOld | Self::WrongClass)
    }
}

/// What a figure says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Figure {
    /// Money needed, minor units.
    Needed = 1,
    /// Money available, minor units.
    Available = 2,
    /// The bound.
    Limit = 3,
    /// How much of the bound is used.
    Used = 4,
    /// Milliseconds since 1970 from which a retry can help.
    RetryAt = 5,
    /// The card's status code, see `terms::Status`.
    Status = 6,
    /// The field's code, see [`Field`].
    Field = 7,
    /// The amount asked for.
    Amount = 8,
    /// The rank of the verification level needed.
    Level = 9,
    /// A version: the one found.
    Version = 10,
    /// A code that says more, by reason.
    Detail = 11,
}

crate::codes! { Figure: 1 Needed, 2 Available, 3 Limit, 4 Used, 5 RetryAt, 6 Status, 7 Field, 8 Amount, 9 Level, 10 Version, 11 Detail }

/// Fields that [`Reason::InvalidField`] may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "each is the field of that name")]
pub enum Field {
    Profile = 1,
    Reference = 2,
    Reason = 3,
    Message = 4,
    Merchant = 5,
    Company = 6,
    Levels = 7,
    Limits = 8,
    Amount = 9,
    Provider = 10,
    Country = 11,
    CardId = 12,
    EffectiveAt = 13,
    Initial = 14,
    Outcome = 15,
    Date = 16,
    Currency = 17,
}

crate::codes! { Field: 1 Profile, 2 Reference, 3 Reason, 4 Message, 5 Merchant, 6 Company, 7 Levels, 8 Limits, 9 Amount, 10 Provider,
11 Country, 12 CardId, 13 EffectiveAt, 14 Initial, 15 Outcome, 16 Date, 17 Currency }

/// A reject: its reason and up to a handful of figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Why.
    pub reason: Reason,
    /// The figures of the moment.
    pub figures: Vec<(Figure, i64)>,
}

impl Reject {
    /// A reject without figures.
    pub const fn new(reason: Reason) -> Self {
        Self { reason, figures: Vec::new() }
    }

    /// Adds a figure.
    #[must_use]
    pub fn with(mut self, figure: Figure, value: i64) -> Self {
        self.figures.push((figure, value));
        self
    }

    /// A field out of form.
    pub fn field(field: Field) -> Self {
        Self::new(Reason::InvalidField).with(Figure::Field, i64::from(field as u8))
    }

    /// The value of a figure, if it is there.
    pub fn figure(&self, figure: Figure) -> Option<i64> {
        self.figures.iter().find(|(name, _)| *name == figure).map(|(_, value)| *value)
    }
}

impl From<Reason> for Reject {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.text())?;
        for (n, (figure, value)) in self.figures.iter().enumerate() {
            write!(f, "{} {figure:?} {value}", if n == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

impl core::error::Error for Reject {}

impl Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(*self as u16)
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u16::deserialize(deserializer)?;
        Self::from_number(number).ok_or_else(|| serde::de::Error::custom("unknown reject number"))
    }
}
