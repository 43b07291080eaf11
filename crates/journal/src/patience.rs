//! Waiting for what somebody may be about to let go of: a process that was just killed takes a moment to be gone, and one that is
//! just being started holds for a moment what its parent holds. Neither should fail who comes right behind.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long it is tried.
const TRIED: Duration = Duration::from_secs(2);
/// How long between two attempts.
const BETWEEN: Duration = Duration::from_millis(20);

/// Attempts it again, for up to two seconds, while it is `taken`. Blocks the thread: for openings, not for work.
pub fn patiently<T, E>(mut attempt: impl FnMut() -> Result<T, E>, taken: impl Fn(&E) -> bool) -> Result<T, E> {
    let begun = Instant::now();
    loop {
        match attempt() {
            Err(refused) if taken(&refused) && begun.elapsed() < TRIED => thread::sleep(BETWEEN),
            ended => return ended,
        }
    }
}
