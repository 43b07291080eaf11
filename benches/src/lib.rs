//! What the criterion benches in `benches/` share.

pub mod ledger;
pub mod top_ups;
