//! The port to whoever really makes the cards.
//!
//! [`Issuer`] is the contract; [`Http`] speaks it over the network (`CONTRACT.md`), [`Sandbox`] simulates an issuer honestly,
//! with its own state on disk. Florin's own card id is what both sides know a card by.
//!
//! Three kinds of result are kept apart everywhere: *done* and *refused* ([`Answer`]) are definite; an [`Error`] whose
//! [`Error::is_unknown`] holds says nothing about what the issuer did, and is asked again by request id.
//!
//! # Magic values of the sandbox
//!
//! In `card_name` or `name_on_card`, in any case, they act on the issuance of that card only:
//!
//! | value | what happens |
//! |---|---|
//! | `SANDBOX REFUSE` | refused ([`Refusal::Declined`]) |
//! | `SANDBOX TIMEOUT` | the first try never answers and does nothing; the next one goes through |
//! | `SANDBOX TWICE` | the answer comes, and a second copy through [`Issuer::late_answers`] |
//! | `SANDBOX LOSE ANSWER` | the card is made, but the first answer is lost; asking again finds it |
//! | `SANDBOX FAIL` | every try fails before anything is done, until the issuance is given up |

mod answer;
mod error;
mod hex;
pub mod http;
mod port;
mod request;
mod reveal;
pub mod sandbox;
pub mod signature;
mod wire;

pub use answer::{Abandoned, Answer, Expiry, Issued, LateAnswer, Refusal, RequestState};
pub use error::Error;
pub use http::Http;
pub use port::{Issuer, Pending};
pub use request::{
    Address, CardStatus, IssueRequest, Kind, Limits, LimitsRequest, PROFILE_CONTEXT, Profile, StatusRequest,
};
pub use reveal::{OneTimeCode, Reveal, Revealed};
pub use sandbox::Sandbox;
