//! The outbox that processes share: a bucket on JetStream, `FLORIN_<name>_MAIL`.
//!
//! ```text
//! letter.<partition>.<appeal, 32 hex digits>   a stored letter
//! reached.<partition>                          a stored position
//! ```
//!
//! Letters are written and removed first, the position last: a crash in between has the stretch read again, over the same
//! keys, and nothing of a partition is sent before it was read to its end. Every write names the revision it replaces, so that
//! who has lost a partition without knowing it writes over nothing ([`crate::bucket`]); a message it sends meanwhile has the
//! `Message-ID` of the other one.

use async_nats::Client;
use florin_engine::ids::AppealId;
use florin_journal::LedgerId;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::Error;
use super::outbox::{Letter, checkpoint_bytes, checkpoint_of, storage};
use crate::bucket::{AT_ONCE, Bucket};
use crate::queue::Checkpoint;

#[derive(Clone)]
pub(super) struct Shared(Bucket);

impl Shared {
    pub(super) async fn open(client: Client, name: &str, ledger: LedgerId, replicas: usize) -> Result<Self, Error> {
        Ok(Self(Bucket::open(client, name, "MAIL", ledger, replicas).await?))
    }

    /// How far each partition is followed, by whomever.
    pub(super) async fn reached(&self) -> Result<Vec<(u16, Checkpoint)>, Error> {
        // Looked at beside the writes: what those know must not change.
        let rows = self.0.anew().load("reading positions", "reached.").await?;
        let position =
            |(key, bytes): (String, Vec<u8>)| Some((key.strip_prefix("reached.")?.parse().ok()?, checkpoint(&bytes)?));
        rows.into_iter().map(|row| position(row).ok_or_else(|| damaged("a position"))).collect()
    }

    /// What is kept of a partition.
    pub(super) async fn load(&self, partition: u16) -> Result<(Vec<Letter>, Option<Checkpoint>), Error> {
        let doing = "reading letters";
        let reached = self.0.get(doing, &format!("reached.{partition}")).await?;
        let reached = reached.map(|bytes| checkpoint(&bytes).ok_or_else(|| damaged("a position"))).transpose()?;
        let rows = self.0.load(doing, &format!("letter.{partition}.")).await?;
        let letter = |(key, bytes): (String, Vec<u8>)| {
            let appeal = u128::from_str_radix(key.rsplit('.').next()?, 16).ok()?;
            Letter::decode(appeal.to_be_bytes(), bytes.as_slice().try_into().ok()?)
        };
        let letters = rows.into_iter().map(|row| letter(row).ok_or_else(|| damaged("a letter")));
        Ok((letters.collect::<Result<_, _>>()?, reached))
    }

    pub(super) async fn follow(
        &self,
        partition: u16,
        opened: &[Letter],
        recorded: &[AppealId],
        checkpoint: Checkpoint,
    ) -> Result<(), Error> {
        let keep = stream::iter(opened.to_vec()).map(|letter| async move { self.keep(&letter).await });
        keep.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        for appeal in recorded {
            self.remove(partition, *appeal).await?;
        }
        let key = format!("reached.{partition}");
        Ok(self.0.put("keeping a position", &key, &checkpoint_bytes(checkpoint)).await?)
    }

    pub(super) async fn keep(&self, letter: &Letter) -> Result<(), Error> {
        Ok(self.0.put("keeping a letter", &key(letter.partition(), letter.appeal), &letter.encode()).await?)
    }

    pub(super) async fn remove(&self, partition: u16, appeal: AppealId) -> Result<(), Error> {
        Ok(self.0.remove("removing a letter", &key(partition, appeal)).await?)
    }
}

fn key(partition: u16, appeal: AppealId) -> String {
    format!("letter.{partition}.{:032x}", u128::from_be_bytes(appeal.0))
}

fn checkpoint(bytes: &[u8]) -> Option<Checkpoint> {
    bytes.try_into().ok().map(checkpoint_of)
}

fn damaged(what: &str) -> Error {
    storage("reading what is shared")(format!("{what} cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_they_always_were() {
        let appeal = AppealId([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(key(7, appeal), "letter.7.000102030405060708090a0b0c0d0e0f");
    }
}
