//! Who should run what: slots (partitions) shared out evenly over the live members of a group, by leases in a NATS
//! key-value bucket.
//!
//! Placement only says who should try; the journal decides who may write. Bucket `FLORIN_<ledger>_PLACEMENT`, keys:
//!
//! ```text
//! <group>.member.<place>   a member: its id, a space, its beat (a counter), a space, its label, and, if it sits any out, a
//!                          space and those slots with commas between them; written again at every beat
//! <group>.slot.<n>         a slot: the id of the member that holds it; deleted when it is let go
//! <group>.watched          nothing: so that every watch has something to show
//! ```
//!
//! *Beats.* A member writes its key again every fifth of the lease (`ttl`), each time with the revision of its last one
//! expected. It believes in what it holds until two thirds of the lease after it *sent* the last beat that was
//! acknowledged, whatever it can reach or not.
//!
//! *Death.* Who has not *seen* a member's key change for a whole lease, by its own monotonic clock (and counted anew after it
//! could not beat itself), deletes that key with the revision it saw expected. Had there been a beat meanwhile, the deletion fails; once it succeeded, the member's next
//! beat fails, and it starts over under a new id. As the dead one's belief ended a third of a lease before, nobody holds a
//! slot that somebody else believes in. No clock of anybody else is ever read.
//!
//! *Slots.* A slot is free when there is no key for it, or its key names an id that is no member's. It is taken with the
//! revision seen expected, so that one of several takers gets it.
//!
//! *Shares.* Every member computes the same shares from the same keys ([`share`]): who has too many lets some go, who
//! has too few takes them when they are free. A slot that a member says it sits out, as it cannot run it, is another's
//! share, unless all say so. Everything is read through one watch of the bucket, which is in order; a
//! member that does not see its own beats come back asks for a new watch.
//!
//! Works with servers from 2.9 on.

mod keys;
mod member;
pub mod share;
mod view;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, kv, stream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use self::member::Member;

/// The lease that production uses.
pub const TTL: Duration = Duration::from_secs(5);

/// Leases for which a slot is sat out.
const SAT_OUT: u32 = 12;

/// Most members of a group.
pub const MEMBERS_MAX: u16 = 256;

/// The shortest lease: below that, beats would come faster than servers answer.
const TTL_MIN: Duration = Duration::from_millis(300);

/// Why a group cannot be joined.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that cannot be part of a key or a bucket.
    #[error("{what} {name:?} has other characters than a-z, 0-9 and -, or not 1 to 32 of them")]
    Name {
        /// Which name.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The lease is too short.
    #[error("a lease of {0:?} is too short: it is at least 300 ms")]
    Ttl(Duration),
    /// The bucket is not there and cannot be made.
    #[error("the bucket {bucket} can neither be opened nor made: {reason}")]
    Bucket {
        /// Which bucket.
        bucket: String,
        /// What the server or client said.
        reason: String,
    },
}

/// What a member joins, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The ledger's short name.
    pub ledger: String,
    /// The group: one for each role that shares something out.
    pub group: String,
    /// Slots to be shared out, numbered from 0.
    pub slots: u16,
    /// The lease, at least 300 ms (default [`TTL`]). Every member of a group must have the same.
    pub ttl: Duration,
    /// Replicas of the bucket, if it has to be made (default 1).
    pub replicas: usize,
    /// What people should see beside the member's id: a host, a process; spaces and control characters are dropped.
    pub label: String,
    /// Whether a slot that is to be handed over is kept until [`Placement::released`] was called for it (default
    /// false: a fifth of the lease after it left [`Placement::held`]).
    pub confirmed: bool,
}

impl Settings {
    /// The defaults for a group.
    pub fn new(ledger: &str, group: &str, slots: u16) -> Self {
        Self {
            ledger: ledger.to_owned(),
            group: group.to_owned(),
            slots,
            ttl: TTL,
            replicas: 1,
            label: String::new(),
            confirmed: false,
        }
    }
}

/// A membership of one group. When dropped without [`leave`](Self::leave), what it held is free once its lease has run out.
pub struct Placement {
    held: watch::Receiver<BTreeSet<u16>>,
    orders: mpsc::UnboundedSender<Order>,
    belief: Belief,
    task: JoinHandle<()>,
}

/// What is asked of the member's task.
enum Order {
    Released(u16),
    SitOut(u16),
    Leave(oneshot::Sender<()>),
}

impl Placement {
    /// Joins a group with default settings: see [`Settings`]. Starts with nothing; what it is to hold comes through
    /// [`held`](Self::held).
    pub async fn join(
        client: async_nats::Client,
        ledger: &str,
        group: &str,
        slots: u16,
        ttl: Duration,
    ) -> Result<Self, Error> {
        Self::join_with(client, Settings { ttl, ..Settings::new(ledger, group, slots) }).await
    }

    /// Joins a group. Must be called within a tokio runtime with time.
    pub async fn join_with(client: async_nats::Client, settings: Settings) -> Result<Self, Error> {
        for (what, name) in [("the ledger's name", &settings.ledger), ("the group's name", &settings.group)] {
            let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if !(1..=32).contains(&name.len()) || !name.bytes().all(fits) {
                return Err(Error::Name { what, name: name.clone() });
            }
        }
        if settings.ttl < TTL_MIN {
            return Err(Error::Ttl(settings.ttl));
        }
        let store = open(&client, &settings).await?;
        let (tell_held, held) = watch::channel(BTreeSet::new());
        let (orders, inbox) = mpsc::unbounded_channel();
        let belief = Belief::new();
        let member = Member::new(client, store, settings, tell_held, inbox, belief.clone());
        Ok(Self { held, orders, belief, task: tokio::spawn(member.run()) })
    }

    /// What this member should run, now and from now on. Empty while the lease is in doubt.
    ///
    /// A slot that leaves the set is to be stopped at once: it is somebody else's soon.
    pub fn held(&self) -> watch::Receiver<BTreeSet<u16>> {
        self.held.clone()
    }

    /// Whether the slot is held at this very moment, by the monotonic clock: also right in a process that was stopped
    /// and has just been continued, before any task of it has noticed.
    pub fn holds(&self, slot: u16) -> bool {
        self.belief.lives() && self.held.borrow().contains(&slot)
    }

    /// Something to ask [`holds`](Self::holds) of from elsewhere.
    pub fn lease(&self, slot: u16) -> Lease {
        Lease { slot, held: self.held.clone(), belief: self.belief.clone(), orders: self.orders.clone() }
    }

    /// With [`Settings::confirmed`]: the slot, which has left [`held`](Self::held), is no longer run here and may go to
    /// somebody else.
    pub fn released(&self, slot: u16) {
        // A member that has ended holds nothing.
        let _ = self.orders.send(Order::Released(slot));
    }

    /// Leaves: empties [`held`](Self::held), waits for what runs to be released (as [`Settings::confirmed`] says, but at
    /// most half a minute), and frees it at once for others.
    pub async fn leave(self) {
        self.leaving().await;
    }

    /// As [`leave`](Self::leave), for who must go on calling [`released`](Self::released) meanwhile.
    pub fn leaving(&self) -> impl Future<Output = ()> + Send + use<> {
        let (to, left) = oneshot::channel();
        let sent = self.orders.send(Order::Leave(to));
        async move {
            if sent.is_ok() {
                let _ = left.await;
            }
        }
    }
}

impl Drop for Placement {
    fn drop(&mut self) {
        self.belief.end();
        self.task.abort();
    }
}

impl fmt::Debug for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placement").field("held", &*self.held.borrow()).finish_non_exhaustive()
    }
}

/// One slot's lease; cheap to clone.
#[derive(Clone, Debug)]
pub struct Lease {
    slot: u16,
    held: watch::Receiver<BTreeSet<u16>>,
    belief: Belief,
    orders: mpsc::UnboundedSender<Order>,
}

impl Lease {
    /// The slot cannot be run here: for twelve leases it is another's, if there is another who does not say so too. Until
    /// somebody else can have it, it stays held.
    pub fn sit_out(&self) {
        // A member that has ended holds nothing.
        let _ = self.orders.send(Order::SitOut(self.slot));
    }

    /// As [`Placement::holds`].
    pub fn lives(&self) -> bool {
        self.belief.lives() && self.held.borrow().contains(&self.slot)
    }

    /// Whether nobody else can have it yet: also while it is on its way to somebody else and not yet released here.
    pub fn unclaimed(&self) -> bool {
        self.belief.lives()
    }

    /// Resolves once the slot is no longer held, or is in doubt. Cancel-safe.
    pub async fn lost(&mut self) {
        // A sender that is gone holds nothing either.
        let _ = self.held.wait_for(|held| !held.contains(&self.slot)).await;
    }
}

/// Until when a member may believe in what it holds: milliseconds after a beginning of its own, 0: not at all.
#[derive(Clone, Debug)]
pub(crate) struct Belief {
    beginning: Instant,
    until_ms: Arc<AtomicU64>,
}

impl Belief {
    fn new() -> Self {
        Self { beginning: Instant::now(), until_ms: Arc::default() }
    }

    fn until(&self, until: Instant) {
        let ms = until.saturating_duration_since(self.beginning).as_millis();
        self.until_ms.store(u64::try_from(ms).unwrap_or(0), Ordering::Release);
    }

    fn end(&self) {
        self.until_ms.store(0, Ordering::Release);
    }

    fn ends(&self) -> Instant {
        self.beginning + Duration::from_millis(self.until_ms.load(Ordering::Acquire))
    }

    fn lives(&self) -> bool {
        Instant::now() < self.ends()
    }
}

/// The bucket of a ledger.
pub fn bucket(ledger: &str) -> String {
    format!("FLORIN_{ledger}_PLACEMENT")
}

async fn open(client: &async_nats::Client, settings: &Settings) -> Result<kv::Store, Error> {
    let mut context = jetstream::new(client.clone());
    context.set_timeout(Duration::from_secs(10));
    let bucket = bucket(&settings.ledger);
    let missing = match context.get_key_value(&bucket).await {
        Ok(store) => return Ok(store),
        Err(error) => error.to_string(),
    };
    // As the client library would, which asks an old server for more than it can tell.
    let config = stream::Config {
        name: format!("KV_{bucket}"),
        subjects: vec![format!("$KV.{bucket}.>")],
        description: Some("florin: which process should run what".into()),
        max_messages_per_subject: 1,
        discard: stream::DiscardPolicy::New,
        num_replicas: settings.replicas.max(1),
        allow_rollup: true,
        deny_delete: true,
        allow_direct: true,
        ..stream::Config::default()
    };
    let made = context.create_stream(config).await.map_err(|error| error.to_string());
    // Or somebody else has made it meanwhile, with other replicas.
    match context.get_key_value(&bucket).await {
        Ok(store) => Ok(store),
        Err(error) => {
            let reason = format!("{missing}; {}; {error}", made.err().unwrap_or_default());
            Err(Error::Bucket { bucket, reason })
        }
    }
}
