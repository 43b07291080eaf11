//! Reads beside the load: single cards straight from the views, at a rate of their own, while the projector writes them.
//!
//! A thread of its own reads. What is due while an earlier read still takes its time counts from when it was due; where the
//! thread itself woke late, the clock starts when it woke, as that says nothing of the views.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use florin_projector::Views;

use super::authorizations::after;
use super::latency::Latencies;
use super::load::wrong;
use super::script::Script;
use crate::causes;
use crate::failure::{Exit, Failure};

/// What came of them.
pub(super) struct Read {
    pub(super) elapsed: Duration,
    pub(super) latencies: Latencies,
}

/// Reads that go on until [`Reading::stop`].
pub(super) struct Reading {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Read, Failure>>,
}

/// Starts so many reads a second.
pub(super) fn start(views: &Views, script: &Arc<Script>, per_second: u32) -> Result<Reading, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let (views, script, told) = (views.clone(), Arc::clone(script), Arc::clone(&stop));
    let thread = thread::Builder::new().name("reader".to_owned());
    let thread = thread.spawn(move || read(&views, &script, per_second, &told));
    let failed = |cause| Failure::new(Exit::Other, "cannot start a thread").because(cause);
    Ok(Reading { stop, thread: thread.map_err(failed)? })
}

impl Reading {
    /// Ends them; what they came to.
    pub(super) fn stop(self) -> Result<Read, Failure> {
        self.stop.store(true, Ordering::Release);
        self.thread.join().map_err(|_| Failure::new(Exit::Stopped, "the reader panicked"))?
    }
}

fn read(views: &Views, script: &Script, per_second: u32, stop: &AtomicBool) -> Result<Read, Failure> {
    let begun = Instant::now();
    let mut latencies = Latencies::default();
    let mut ended = begun;
    for n in 0.. {
        let due = begun + after(n, per_second);
        if let Some(early) = due.checked_duration_since(Instant::now()) {
            thread::sleep(early);
        }
        if stop.load(Ordering::Acquire) {
            break;
        }
        let since = if ended > due { due } else { Instant::now() };
        let card = script.read(n);
        let row = views.card(card).map_err(|error| causes::views("read a card", error))?;
        ended = Instant::now();
        latencies.add(ended - begun, ended - since);
        if row.is_none_or(|row| row.card != card) {
            return Err(wrong(format!("card {card} is not in the views")));
        }
    }
    Ok(Read { elapsed: begun.elapsed(), latencies })
}
