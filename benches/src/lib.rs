//! What the criterion benches in `benches/` share.

pub mod top_ups;
