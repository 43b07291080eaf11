//! What the model says where something is refused: the reason, the figures told with it, and whether it may come again.

use florin_engine::{
    reject::{Field, Figure, Reason},
    terms::{Change, DeclineReason, Status},
};

/// Figures as they are told, in their order.
type Figures = Vec<(Figure, i128)>;

/// Why a command is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    /// `None` where the documents do not say which.
    pub figures: Option<Figures>,
}

/// Why a purchase is declined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decline {
    pub reason: DeclineReason,
    pub figures: Figures,
}

impl Refusal {
    /// Whether what the engine says is this.
    pub fn allows(&self, said: &Self) -> bool {
        self.reason == said.reason && (self.figures.is_none() || self.figures == said.figures)
    }
}

/// A reason that is told without figures.
impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        with(reason, [])
    }
}

/// A reason that is told with these figures.
pub fn with<const N: usize>(reason: Reason, figures: [(Figure, i128); N]) -> Refusal {
    Refusal { reason, figures: Some(figures.into()) }
}

/// A field out of form.
pub fn field(field: Field) -> Refusal {
    with(Reason::InvalidField, [(Figure::Field, field as i128)])
}

/// The card's state does not allow it.
pub fn status(status: Status) -> Refusal {
    with(Reason::InvalidStatus, [(Figure::Status, number_of(status))])
}

/// An amount above, or below, a bound.
pub fn beside(reason: Reason, bound: i128, amount: i128) -> Refusal {
    with(reason, [(Figure::Limit, bound), (Figure::Amount, amount)])
}

/// Too little money.
pub fn short(needed: i128, available: i128) -> Refusal {
    with(Reason::InsufficientBalance, [(Figure::Needed, needed), (Figure::Available, available)])
}

/// Only later.
pub fn not_due(time: u64) -> Refusal {
    with(Reason::NotDue, [(Figure::RetryAt, time.into())])
}

/// As many as there may be of something.
pub fn full(reason: Reason, most: usize) -> Refusal {
    with(reason, [(Figure::Limit, most as i128)])
}

pub fn no<T>(refusal: impl Into<Refusal>) -> Result<T, Vec<Refusal>> {
    Err(vec![refusal.into()])
}

/// Declined, with figures.
pub fn declined<const N: usize>(reason: DeclineReason, figures: [(Figure, i128); N]) -> Decline {
    Decline { reason, figures: figures.into() }
}

/// The number under which a state is told.
pub fn number_of(status: Status) -> i128 {
    match status {
        Status::Requested => 1,
        Status::NotActivated => 2,
        Status::Active => 3,
        Status::Frozen => 4,
        Status::Blocked => 5,
        Status::PreCancel => 6,
        Status::Cancelled => 7,
        Status::Expired => 8,
    }
}

/// Whether the very same may come again and be decided anew: what it lacks may come yet, or what is in its way may go.
pub fn comes_again(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::IdempotencyConflict
            | Reason::TooManyKeys
            | Reason::NoPolicy
            | Reason::UserUnknown
            | Reason::ChangePending
            | Reason::AuthorizationUnknown
            | Reason::TooManyAuthorizations
            | Reason::NotDue
    )
}

/// Freeze, block and cancel bind from the moment they are accepted, and never revert by themselves.
pub fn lowers_risk(change: Change) -> bool {
    match change {
        Change::Freeze | Change::Block | Change::BlockForFraud | Change::Cancel => true,
        Change::Thaw | Change::Unblock => false,
    }
}
