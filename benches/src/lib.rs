//! What the criterion benches in `benches/` share.

pub mod kinds;
pub mod ledger;
pub mod loopback;
pub mod top_ups;
