//! The contract that every issuer adapter keeps.

use std::future::Future;
use std::pin::Pin;

use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{
    Abandoned, Answer, Error, IssueRequest, Issued, LateAnswer, LimitsRequest, OneTimeCode, RequestState, Reveal,
    Revealed, StatusRequest,
};

/// An answer on its way. Boxed, so that the port works as `Arc<dyn Issuer>`.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// The card issuer.
///
/// Every adapter keeps these rules:
///
/// - *Idempotent.* A request id stands for one request for ever. Sent again with the same content it gets its first definite answer and
///   does nothing more; with other content it is refused as [`Refusal::Conflict`](crate::Refusal::Conflict).
/// - *Definite or unknown.* `Ok` is definite and durable at the issuer. An `Err` with [`Error::is_unknown`] leaves open whether the
///   request was carried out: send it again, or ask [`Issuer::request`].
/// - *Ordered.* A card has one counter of changes for its status and one for its limits. A change number lower than the last one accepted is
///   refused as [`Refusal::Stale`](crate::Refusal::Stale); an equal one is accepted, so that a state can be asserted again.
/// - *Cancel-safe.* A dropped future is an unknown outcome, nothing worse.
/// - *Discreet.* Nothing revealed is kept, logged or shown by `Debug`.
pub trait Issuer: Send + Sync + 'static {
    /// Makes a card. A virtual card is active at the issuer when it is made, a physical one not activated.
    fn issue(&self, request: IssueRequest) -> Pending<'_, Answer<Issued>>;

    /// Brings a card to a status. Terminated is final: anything after it is refused.
    fn set_status(&self, request: StatusRequest) -> Pending<'_, Answer<()>>;

    /// Replaces all limits of a card.
    fn set_limits(&self, request: LimitsRequest) -> Pending<'_, Answer<()>>;

    /// What became of a request of any kind. Definite on `Ok`, except that a request still on its way may yet arrive
    /// after *not found*: only [`Issuer::abandon`] rules that out.
    fn request(&self, request_id: Uuid) -> Pending<'_, RequestState>;

    /// Gives an issuance up: terminates the card if it was made, and makes sure that it is never made later. Idempotent, and
    /// definite on `Ok`. A later `issue` with this request id is refused as [`Refusal::Abandoned`](crate::Refusal::Abandoned).
    fn abandon(&self, request_id: Uuid, card_id: Uuid) -> Pending<'_, Abandoned>;

    /// Reveals secrets of a card to pass through memory only. A terminated card reveals nothing ([`Error::Refused`]).
    fn reveal(&self, card_id: Uuid, what: Reveal) -> Pending<'_, Revealed>;

    /// Makes a one-time code. Single use, and it makes every earlier code of the card worthless.
    fn one_time_code(&self, card_id: Uuid) -> Pending<'_, OneTimeCode>;

    /// Finds our id of the card with this number (16 digits), terminated cards included.
    fn find_by_number(&self, pan: &str) -> Pending<'_, Option<Uuid>>;

    /// Answers that come unasked: second copies and late ones. `None` where the adapter has none, and after the first call.
    fn late_answers(&self) -> Option<mpsc::Receiver<LateAnswer>>;
}
