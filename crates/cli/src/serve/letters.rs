//! The settlement's dead letters as the gateway asks for them: the gateway does not know the workers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use florin_gateway::ports::{DeadLetter, DeadLetters, Error};
use florin_workers::queue::{self, Queue};
use florin_workers::webhooks::Desk;
use tokio::runtime::Handle;

use super::webhooks::AllLetters;

/// What the queue is called in the ops API.
const QUEUE: &str = "settlement";

/// How long it is waited for the end of a try that is under way: two of the usual calls of the issuer.
const WAIT: Duration = Duration::from_secs(10);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(100);

struct Letters<Q> {
    letters: florin_workers::DeadLetters<Q>,
    runtime: Handle,
}

/// The dead letters of `queue`. The gateway calls them from threads that may block.
pub(super) fn of<Q: Queue>(queue: Q) -> Arc<dyn DeadLetters> {
    Arc::new(Letters { letters: florin_workers::DeadLetters::new(queue), runtime: Handle::current() })
}

/// Those of settlement and webhooks, as far as they run here.
pub(super) fn all(settlement: Option<Arc<dyn DeadLetters>>, webhooks: Option<Desk>) -> Option<Arc<dyn DeadLetters>> {
    match (settlement, webhooks) {
        (settlement, None) => settlement,
        (settlement, webhooks) => Some(Arc::new(AllLetters { settlement, webhooks, runtime: Handle::current() })),
    }
}

impl<Q: Queue> DeadLetters for Letters<Q> {
    fn list(&self, limit: usize) -> Result<Vec<DeadLetter>, Error> {
        let letters = self.runtime.block_on(self.letters.list());
        let letters = letters.map_err(failed)?;
        Ok(letters.into_iter().take(limit).map(shown).collect())
    }

    fn retry(&self, id: &str) -> Result<bool, Error> {
        let Ok(id) = id.parse() else {
            return Ok(false);
        };
        found(self.runtime.block_on(once_free(|| self.letters.retry(id))))
    }

    fn drop(&self, id: &str) -> Result<bool, Error> {
        let Ok(id) = id.parse() else {
            return Ok(false);
        };
        found(self.runtime.block_on(once_free(|| self.letters.discard(id))))
    }
}

/// Deals with a letter once it is not being tried; if that takes too long, says that it is.
async fn once_free<F: Future<Output = Result<(), queue::Error>>>(
    mut deal: impl FnMut() -> F,
) -> Result<(), queue::Error> {
    for _ in 0..WAIT.as_millis() / LOOK.as_millis() {
        match deal().await {
            Err(queue::Error::Leased(_)) => tokio::time::sleep(LOOK).await,
            dealt => return dealt,
        }
    }
    deal().await
}

fn found(done: Result<(), queue::Error>) -> Result<bool, Error> {
    match done {
        Ok(()) => Ok(true),
        Err(queue::Error::NoLetter(_)) => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

fn failed(error: queue::Error) -> Error {
    match error {
        queue::Error::Leased(_) => Error::BeingTried,
        error if error.is_passing() => Error::Away(Box::new(error)),
        error => Error::Failed(Box::new(error)),
    }
}

fn shown(letter: queue::Letter) -> DeadLetter {
    DeadLetter {
        id: letter.item.id().to_string(),
        queue: QUEUE.to_owned(),
        account: letter.item.account,
        card: letter.item.card,
        task: letter.item.kind.word().to_owned(),
        tries: letter.tries,
        error: letter.death.reason,
        since_ms: letter.death.died_ms,
    }
}
