//! What the stories play with: events in memory, workers that run, and places where they keep what they know.
#![allow(clippy::unwrap_used, dead_code, reason = "helpers of stories")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::receiver::{Got, Receiver};
use florin_engine::ids::{AccountId, CardId, Position};
use florin_journal::{Hash, LedgerId, testing::NatsServer};
use florin_workers::Webhooks;
use florin_workers::queue::Checkpoint;
use florin_workers::webhooks::{
    Desk, Due, Embedded, Error, Kind, Mark, Options, Order, Reached, Schedule, Seal, Secret, Shared, Source, Store,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) const LEDGER: LedgerId = LedgerId([0xAB; 16]);

/// A call to forget: up to where, but for these.
type Forgotten = (Position, BTreeSet<Mark>);

/// What is due, in memory: each event is a record of its own.
#[derive(Clone)]
pub(crate) struct Events {
    partitions: u16,
    rows: Arc<Mutex<Vec<(String, Due)>>>,
    reached: watch::Sender<u64>,
    pub(crate) forgotten: Arc<Mutex<Vec<Forgotten>>>,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self::over(1)
    }

    /// A card is in the partition of its number.
    pub(crate) fn over(partitions: u16) -> Self {
        Self { partitions, rows: Arc::default(), reached: watch::Sender::new(1), forgotten: Arc::default() }
    }

    /// Something happens to a card of a company.
    pub(crate) fn happen(&self, company: &str, card: u8) -> Position {
        let index = *self.reached.borrow() + 1;
        let position = Position::new(index, 0);
        let (account, card) = (AccountId::of_partition(u16::from(card) % self.partitions), CardId([card; 16]));
        let due = Due { mark: Mark { position, number: 0 }, kind: Kind::Card, account, card };
        self.rows.lock().unwrap().push((company.to_owned(), due));
        self.reached.send_replace(index);
        position
    }

    pub(crate) fn find(&self, company: &str, want: impl Fn(&Due) -> bool) -> Vec<Due> {
        let rows = self.rows.lock().unwrap();
        rows.iter().filter(|(of, due)| of == company && want(due)).map(|(_, due)| *due).collect()
    }
}

impl Source for Events {
    fn partitions(&self) -> u16 {
        self.partitions
    }

    fn reached(&self, _: u16) -> Result<Option<Reached>, Error> {
        let index = *self.reached.borrow();
        let checkpoint = Checkpoint { index, hash: Hash([7; 32]) };
        Ok(Some(Reached { checkpoint, position: Position::new(index, 0) }))
    }

    fn due_after(&self, partition: u16, company: &str, after: Mark, max: usize) -> Result<Vec<Due>, Error> {
        Ok(self
            .find(company, |due| due.account.partition() == partition && due.mark > after)
            .into_iter()
            .take(max)
            .collect())
    }

    fn due(&self, _: u16, company: &str, mark: Mark) -> Result<Option<Due>, Error> {
        Ok(self.find(company, |due| due.mark == mark).pop())
    }

    fn body(&self, _: u16, company: &str, mark: Mark) -> Result<Option<Vec<u8>>, Error> {
        let due = self.find(company, |due| due.mark == mark).pop();
        Ok(due.map(|due| format!(r#"{{"card":{},"at":{}}}"#, due.card.0[0], due.mark.position.index()).into_bytes()))
    }

    async fn moved(&self, _: u16, seen: Position) {
        let _ = self.reached.subscribe().wait_for(|reached| *reached > seen.index()).await;
    }

    fn forget(&self, _: u16, needed: Position, _: u64, except: &BTreeSet<Mark>) -> Result<(), Error> {
        self.forgotten.lock().unwrap().push((needed, except.clone()));
        Ok(())
    }

    fn lag(&self, _: u16) -> u64 {
        0
    }
}

struct Plain;

impl Seal for Plain {
    fn seal(&self, _: &str, secret: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(secret.to_vec())
    }

    fn open(&self, _: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(sealed.to_vec())
    }
}

/// A little later.
const SOON: Duration = Duration::from_millis(20);

/// Where webhooks are kept.
pub(crate) trait Place {
    type Kept: Store;
    async fn new() -> Self;
    /// As a process has it that has just begun.
    fn kept(&self) -> Self::Kept;
}

impl Place for tempfile::TempDir {
    type Kept = Embedded;

    async fn new() -> Self {
        tempfile::tempdir().unwrap()
    }

    fn kept(&self) -> Embedded {
        // What was just crashed takes a moment to let go of its file.
        let begun = std::time::Instant::now();
        loop {
            match Embedded::open(&self.path().join("webhooks.redb"), LEDGER) {
                Err(Error::Locked { .. }) if begun.elapsed() < Duration::from_secs(20) => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                opened => return opened.unwrap(),
            }
        }
    }
}

impl Place for NatsServer {
    type Kept = Shared;

    async fn new() -> Self {
        Self::start().await
    }

    fn kept(&self) -> Shared {
        let open = async { Shared::open(self.connect().await, "test", LEDGER, 1).await.unwrap() };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(open))
    }
}

fn options(set: impl FnOnce(&mut Options)) -> Options {
    let mut options = Options {
        schedule: Schedule::new(vec![Duration::from_millis(20); 30]).unwrap(),
        timeout: Duration::from_millis(300),
        allow_private: true,
        allow_http: true,
        forget_every: Duration::from_millis(50),
        ..Options::new(LEDGER, Arc::new(Plain))
    };
    set(&mut options);
    options
}

/// Webhooks that run.
pub(crate) struct Worker {
    pub(crate) desk: Desk,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), Error>>,
}

impl Worker {
    pub(crate) fn start(events: &Events, place: &impl Place, set: impl FnOnce(&mut Options)) -> Self {
        Self::start_with(events, place.kept(), None, set)
    }

    pub(crate) fn start_with<T: Store>(
        events: &Events,
        store: T,
        held: Option<watch::Receiver<BTreeSet<u16>>>,
        set: impl FnOnce(&mut Options),
    ) -> Self {
        let (desk, inbox) = Desk::open();
        let (stop, stopped) = watch::channel(false);
        let (events, options) = (events.clone(), options(set));
        let run = async move {
            loop {
                let mut stopped = stopped.clone();
                let stopped = async move {
                    let _ = stopped.wait_for(|stop| *stop).await;
                };
                let (store, options, inbox, held) = (store.clone(), options.clone(), inbox.clone(), held.clone());
                match Webhooks::run(events.clone(), store, options, inbox, held, stopped).await {
                    // As a process does: what may pass is tried again.
                    Err(Error::Bucket(error)) if error.is_passing() => tokio::time::sleep(SOON).await,
                    ended => return ended,
                }
            }
        };
        Self { desk, stop, task: tokio::spawn(run) }
    }

    /// Answers operators as a process does that sends nothing itself.
    pub(crate) fn attend(events: &Events, store: Shared) -> Self {
        let (desk, inbox) = Desk::open();
        let (stop, mut stopped) = watch::channel(false);
        let stopped = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let task = tokio::spawn(Webhooks::attend(events.clone(), store, options(|_| {}), inbox, stopped));
        Self { desk, stop, task }
    }

    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap().unwrap();
    }

    /// As a crash would: at once, whatever is under way.
    pub(crate) async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    pub(crate) async fn endpoint(&self, company: &str, receiver: &Receiver) {
        self.desk.put(order(company, &receiver.url(), true)).await.unwrap();
    }

    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&florin_workers::webhooks::EndpointShown) -> bool) {
        let until = tokio::time::Instant::now() + Duration::from_mins(1);
        loop {
            let shown = self.desk.list().await.unwrap();
            if shown.iter().any(&holds) {
                return;
            }
            assert!(tokio::time::Instant::now() < until, "not {what}: {shown:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

pub(crate) fn order(company: &str, url: &str, enabled: bool) -> Order {
    Order { company: company.into(), url: url.into(), enabled, secret: Some(secret()), rotate: false }
}

pub(crate) fn secret() -> Secret {
    Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()
}

pub(crate) fn bodies(got: &[Got]) -> Vec<String> {
    got.iter().map(|got| got.body.clone()).collect()
}

/// Where the accepted webhooks of a card stood, in the order they came.
pub(crate) fn of_card(got: &[Got], card: u8) -> Vec<String> {
    let start = format!(r#"{{"card":{card},"#);
    bodies(got).into_iter().filter(|body| body.starts_with(&start)).collect()
}
