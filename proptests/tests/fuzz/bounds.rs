//! What reading may cost: every allocation is counted, so that a length that lies is seen to reserve nothing.

use std::{
    alloc::System,
    sync::{Mutex, MutexGuard, PoisonError},
};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The counter is of the whole process: one target runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Waits until no other target runs.
pub fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes that may be allocated whatever the input is.
const FLOOR: usize = 2 << 20;

/// Bytes that may be allocated for each byte of input: what is read is larger than what it is read from, by a bounded factor.
const FACTOR: usize = 256;

/// Runs `read`, which must not allocate more in all than its input can account for.
#[track_caller]
pub fn bounded<T>(input: usize, read: impl FnOnce() -> T) -> T {
    let region = Region::new(COUNTED);
    let value = read();
    let change = region.change();
    let most = FLOOR + FACTOR * input;
    let bytes = change.bytes_allocated;
    assert!(bytes <= most, "{bytes} bytes were allocated for {input} bytes of input, {most} may be");
    value
}
