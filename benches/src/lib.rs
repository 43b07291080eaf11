//! What the criterion benches in `benches/` share.

pub mod kinds;
pub mod ledger;
pub mod loopback;
pub mod top_ups;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
