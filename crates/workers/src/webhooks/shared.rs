//! The store that processes share: a bucket on JetStream, `FLORIN_<name>_WEBHOOKS`.
//!
//! ```text
//! endpoint.<company>                        a stored endpoint, its secrets sealed
//! cursor.<partition>.<company>              a stored cursor
//! delivery.<partition>.<position>.<number>  a stored delivery (16 and 8 hex digits)
//! order.<partition>.<16 hex digits>         what operators ordered and whoever holds the partition has not done yet
//! ```
//!
//! A company is base64url of its name. There is no transaction over several keys, so the order of the writes is what keeps
//! a crash from losing or reordering anything:
//!
//! - *Taking in.* Deliveries are written first, at the same time, and the cursor when all of them are there. A crash before
//!   the cursor leaves some deliveries behind it; [`Kept::sound`](super::Kept::sound) passes over those, and they are taken in again with the
//!   ones that are missing, in order, over the same keys.
//! - *Delivering.* A delivery is removed after it was answered. A crash in between sends it again under its `webhook-id`.
//! - *A new endpoint.* Its cursors are written before it, so that whoever holds a partition begins where the endpoint was set.
//! - *Orders.* An order is removed after it was done; a crash in between does it twice, which sends again.
//! - *Two that believe in one partition.* Every write names the revision it replaces. Who has lost the partition without
//!   knowing it writes over nothing: its write is [`bucket::Error::Changed`](crate::bucket::Error::Changed), upon which it begins
//!   anew with what is stored. Until then it may send what the other sends too, under the same ids, and nothing before its turn.
//!   What it takes in after the other has sent it is found by the other, and sent once more.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::Client;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use florin_engine::ids::Position;
use florin_journal::LedgerId;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use super::delivery::{Cursor, Delivery, Mark};
use super::order::Standing;
use super::store::{Change, Kept, Store};
use super::{Error, storage};
use crate::bucket::{AT_ONCE, Bucket};

/// How often it is looked whether another process has changed something.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Most orders that may wait.
const ORDERS_MAX: usize = 1_000;

/// What was seen of other processes' changes.
#[derive(Clone, Copy)]
struct Seen {
    endpoints: u64,
    orders: u64,
    look: Instant,
}

/// The shared store. Clones share what they know of the bucket.
#[derive(Clone)]
pub struct Shared {
    bucket: Bucket,
    seen: Arc<Mutex<Seen>>,
}

impl Shared {
    /// Opens the store of the ledger called `name`, or makes it.
    pub async fn open(client: Client, name: &str, ledger: LedgerId, replicas: usize) -> Result<Self, Error> {
        Ok(Self::of(Bucket::open(client, name, "WEBHOOKS", ledger, replicas).await?))
    }

    fn of(bucket: Bucket) -> Self {
        Self { bucket, seen: Arc::new(Mutex::new(Seen { endpoints: 0, orders: 0, look: Instant::now() })) }
    }

    /// The same store for another worker of this process.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self::of(self.bucket.anew())
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All cursors: partition, company, how far.
    pub(super) async fn cursors(&self) -> Result<Vec<(u16, String, Cursor)>, Error> {
        let rows = self.bucket.load("reading cursors", "cursor.").await?;
        let cursor = |(key, bytes): (String, Vec<u8>)| {
            let (partition, name) = key.strip_prefix("cursor.")?.split_once('.')?;
            Some((partition.parse().ok()?, company(name)?, Cursor::decode(&bytes)?))
        };
        rows.into_iter().map(|row| cursor(row).ok_or_else(|| damaged("a cursor"))).collect()
    }

    /// Where a new endpoint begins, written unless it has begun already.
    pub(super) async fn begin(&self, company: &str, at: Vec<(u16, Cursor)>) -> Result<(), Error> {
        let begun = self.cursors().await?;
        let has = |partition: u16| begun.iter().any(|(of, name, _)| *of == partition && name == company);
        let changes = at
            .into_iter()
            .filter(|(partition, _)| !has(*partition))
            .map(|(partition, cursor)| Change::Cursor { partition, company: company.to_owned(), cursor });
        self.write(changes.collect(), true).await
    }

    /// One delivery.
    pub(super) async fn delivery(&self, partition: u16, mark: Mark) -> Result<Option<Delivery>, Error> {
        let bytes = self.bucket.get("reading a delivery", &delivery_key(partition, mark)).await?;
        bytes.map(|bytes| Delivery::decode(mark, &bytes).ok_or_else(|| damaged("a delivery"))).transpose()
    }

    /// Keeps an order until whoever holds its partition has done it.
    pub(super) async fn order(&self, order: &Standing) -> Result<(), Error> {
        if self.orders().await?.len() >= ORDERS_MAX {
            return Err(Error::Full);
        }
        let name = getrandom::u64().map_err(storage("naming an order"))?;
        let key = format!("order.{}.{name:016x}", order.partition);
        Ok(self.bucket.put("keeping an order", &key, &order.encode()).await?)
    }

    async fn put(&self, change: Change) -> Result<(), Error> {
        match change {
            Change::Cursor { partition, company, cursor } => {
                let key = format!("cursor.{partition}.{}", name(&company));
                self.bucket.put("keeping a cursor", &key, &cursor.encode()).await?;
            }
            Change::Put(delivery) => {
                let key = delivery_key(delivery.partition(), delivery.mark);
                self.bucket.put("keeping a delivery", &key, &delivery.encode()).await?;
            }
            Change::Remove { partition, mark } => {
                self.bucket.remove("removing a delivery", &delivery_key(partition, mark)).await?;
            }
        }
        Ok(())
    }
}

impl Store for Shared {
    async fn endpoints(&self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let rows = self.bucket.load("reading endpoints", "endpoint.").await?;
        self.seen().endpoints = self.bucket.newest("endpoint.");
        let endpoint = |(key, bytes): (String, Vec<u8>)| Some((company(key.strip_prefix("endpoint.")?)?, bytes));
        rows.into_iter().map(|row| endpoint(row).ok_or_else(|| damaged("an endpoint's name"))).collect()
    }

    async fn put_endpoint(&self, company: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let key = format!("endpoint.{}", name(company));
        Ok(self.bucket.put("keeping an endpoint", &key, &bytes).await?)
    }

    async fn changed(&self) {
        loop {
            let seen = *self.seen();
            tokio::time::sleep_until(seen.look).await;
            self.seen().look = Instant::now() + LOOK_EVERY;
            let doing = "looking for changes";
            let (endpoints, orders) = tokio::join!(
                self.bucket.changed(doing, "endpoint.", seen.endpoints),
                self.bucket.changed(doing, "order.", seen.orders)
            );
            match (endpoints, orders) {
                (Ok(false), Ok(false)) => {}
                (Ok(_), Ok(_)) => return,
                // Servers that are away are found to be by whoever has to write.
                (Err(error), _) | (_, Err(error)) => tracing::debug!(%error, "changes are looked for later"),
            }
        }
    }

    async fn orders(&self) -> Result<Vec<(String, Standing)>, Error> {
        let rows = self.bucket.load("reading orders", "order.").await?;
        let newest = self.bucket.newest("order.");
        let mut seen = self.seen();
        seen.orders = newest.max(seen.orders);
        drop(seen);
        let order = |(key, bytes): (String, Vec<u8>)| {
            let partition = key.strip_prefix("order.")?.split_once('.')?.0.parse().ok()?;
            let order = Standing::decode(partition, &bytes)?;
            Some((key, order))
        };
        rows.into_iter().map(|row| order(row).ok_or_else(|| damaged("an order"))).collect()
    }

    async fn done(&self, order: &str) -> Result<(), Error> {
        Ok(self.bucket.remove("removing an order", order).await?)
    }

    async fn load(&self, partition: u16) -> Result<Kept, Error> {
        let mut kept = Kept::default();
        let doing = "reading what is undelivered";
        // Cursors first: what is taken in meanwhile is behind them, and is passed over.
        for (key, bytes) in self.bucket.load(doing, &format!("cursor.{partition}.")).await? {
            let company = key.rsplit('.').next().and_then(company).ok_or_else(|| damaged("a cursor's name"))?;
            kept.cursors.push((company, Cursor::decode(&bytes).ok_or_else(|| damaged("a cursor"))?));
        }
        for (key, bytes) in self.bucket.load(doing, &format!("delivery.{partition}.")).await? {
            let delivery = mark(&key).and_then(|mark| Delivery::decode(mark, &bytes));
            kept.deliveries.push(delivery.ok_or_else(|| damaged("a delivery"))?);
        }
        Ok(kept)
    }

    async fn write(&self, changes: Vec<Change>, _: bool) -> Result<(), Error> {
        // Cursors stand for what is before them: they are written when that is.
        let is_cursor = |change: &Change| matches!(change, Change::Cursor { .. });
        for stretch in changes.chunk_by(|one, next| is_cursor(one) == is_cursor(next)) {
            let writes = stream::iter(stretch.to_vec()).map(|change| self.put(change));
            writes.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        }
        Ok(())
    }
}

fn damaged(what: &str) -> Error {
    storage("reading what is shared")(format!("{what} cannot be read"))
}

fn name(company: &str) -> String {
    URL_SAFE_NO_PAD.encode(company)
}

fn company(name: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(name).ok()?).ok()
}

fn delivery_key(partition: u16, mark: Mark) -> String {
    format!("delivery.{partition}.{:016x}.{:08x}", mark.position.0, mark.number)
}

fn mark(key: &str) -> Option<Mark> {
    let mut parts = key.rsplit('.');
    let (number, position) = (parts.next()?, parts.next()?);
    let position = Position(u64::from_str_radix(position, 16).ok()?);
    Some(Mark { position, number: u32::from_str_radix(number, 16).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_they_always_were() {
        let at = Mark { position: Position(0x0102), number: 9 };
        let key = delivery_key(3, at);
        assert_eq!(key, "delivery.3.0000000000000102.00000009");
        assert_eq!(mark(&key), Some(at));
        assert_eq!(name("demo.co / é"), "ZGVtby5jbyAvIMOp");
        assert_eq!(company("ZGVtby5jbyAvIMOp").as_deref(), Some("demo.co / é"));
        assert_eq!(company("*"), None);
    }
}
