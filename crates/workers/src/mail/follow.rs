//! Follows one partition: opened appeals go into the outbox, recorded ones out of it.
//!
//! An outbox that never knew a position begins at the beginning: what waited before mail was configured is sent then.

use std::collections::BTreeSet;
use std::time::Duration;

use florin_engine::codec::{ENTRY_HEAD_BYTES, Entry, Outcome};
use florin_engine::event::Event;
use florin_engine::ids::{AppealId, Position};
use florin_engine::terms::EmailStatus;
use florin_journal::{Kind, PartitionId, Provider, Reader, Record};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Error;
use super::outbox::{Letter, Outbox};
use crate::queue::Checkpoint;

/// Codes of the commands that open an appeal and record its e-mail; all other entries are passed over unread.
const READ: [u16; 2] = [40, 42];
/// How long a position without letters may go unstored.
const POSITION_AFTER: Duration = Duration::from_secs(10);
/// How long to wait for room in a full outbox.
const FULL_WAIT: Duration = Duration::from_secs(1);

pub(super) struct Follower<P> {
    pub(super) partition: u16,
    pub(super) provider: P,
    pub(super) outbox: Outbox,
}

impl<P: Provider> Follower<P> {
    /// Follows while the partition is held here.
    pub(super) async fn run(self, mut held: watch::Receiver<BTreeSet<u16>>) -> Result<(), Error> {
        let partition = self.partition;
        loop {
            if held.wait_for(|held| held.contains(&partition)).await.is_err() {
                return Ok(());
            }
            self.outbox.gain(partition).await?;
            let lost = async {
                if held.wait_for(|held| !held.contains(&partition)).await.is_err() {
                    // Whoever said what is held has gone, and so has what is held here.
                }
            };
            tokio::select! {
                followed = self.follow() => return followed,
                () = lost => self.outbox.lose(partition),
            }
        }
    }

    async fn follow(&self) -> Result<(), Error> {
        let journal = PartitionId(self.partition);
        let from = self.outbox.reached(self.partition).map_or(0, |checkpoint| checkpoint.index + 1);
        let mut reader = self.provider.reader(journal, from).await?;
        let mut stored = Instant::now();
        let (mut opened, mut recorded, mut unstored) = (Vec::new(), Vec::new(), None);
        loop {
            let Some(record) = reader.try_next().await? else {
                self.store(&mut opened, &mut recorded, &mut unstored, &mut stored).await?;
                self.outbox.whole(self.partition, true);
                let record = match unstored {
                    None => reader.next().await?,
                    // A quiet journal's position is stored too, so that whoever looks sees that nothing is behind.
                    Some(_) => match tokio::time::timeout(POSITION_AFTER, reader.next()).await {
                        Ok(record) => record?,
                        Err(_) => continue,
                    },
                };
                unstored = Some(self.read(&record, &mut opened, &mut recorded)?);
                continue;
            };
            unstored = Some(self.read(&record, &mut opened, &mut recorded)?);
            while self.outbox.full() {
                tokio::time::sleep(FULL_WAIT).await;
            }
            if stored.elapsed() >= POSITION_AFTER {
                self.store(&mut opened, &mut recorded, &mut unstored, &mut stored).await?;
            }
        }
    }

    /// Stores what was read, if there is something to send, or the position is an old one.
    async fn store(
        &self,
        opened: &mut Vec<Letter>,
        recorded: &mut Vec<AppealId>,
        unstored: &mut Option<Checkpoint>,
        stored: &mut Instant,
    ) -> Result<(), Error> {
        let worth = !opened.is_empty() || !recorded.is_empty() || stored.elapsed() >= POSITION_AFTER;
        if let (true, Some(checkpoint)) = (worth, *unstored) {
            let (opened, recorded) = (std::mem::take(opened), std::mem::take(recorded));
            self.outbox.follow(self.partition, opened, recorded, checkpoint).await?;
            (*unstored, *stored) = (None, Instant::now());
        }
        Ok(())
    }

    fn read(
        &self,
        record: &Record,
        opened: &mut Vec<Letter>,
        recorded: &mut Vec<AppealId>,
    ) -> Result<Checkpoint, Error> {
        let entries = record.entries().take(if record.kind() == Kind::Entries { record.len() } else { 0 });
        for (number, bytes) in (0_u32..).zip(entries) {
            if !is_read(bytes) {
                continue;
            }
            let position = Position::new(record.index(), number);
            let entry =
                Entry::decode(bytes).map_err(|source| Error::Entry { partition: self.partition, position, source })?;
            let Outcome::Accepted(events) = &entry.outcome else { continue };
            for event in events {
                match event {
                    Event::AppealOpened(event) => opened.push(Letter {
                        appeal: event.appeal,
                        state: EmailStatus::Queued,
                        account: entry.admitted.envelope.account,
                        card: event.card,
                        number: event.number,
                        position,
                        tries: 0,
                        next_ms: 0,
                    }),
                    Event::AppealEmailed(event) if event.status != EmailStatus::Queued => {
                        opened.retain(|letter| letter.appeal != event.appeal);
                        recorded.push(event.appeal);
                    }
                    _ => {}
                }
            }
        }
        Ok(Checkpoint { index: record.index(), hash: record.hash() })
    }
}

fn is_read(entry: &[u8]) -> bool {
    let code = entry.get(ENTRY_HEAD_BYTES..ENTRY_HEAD_BYTES + 2);
    code.is_none_or(|code| READ.contains(&u16::from_le_bytes([code[0], code[1]])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use florin_engine::command::{Admitted, Class, Command, Envelope, OpenAppeal, RecordAppealEmail, TopUp};
    use florin_engine::ids::{AccountId, CardId, Digest, Key};
    use florin_engine::money::{Minor, Sealed};

    #[test]
    fn only_what_opens_and_records_is_read() {
        let entry = |command: Command| {
            let envelope = Envelope {
                account: AccountId([3; 16]),
                class: Class::User,
                actor: 0,
                key: Key([0; 16]),
                digest: Digest([0; 16]),
                dated_ms: 0,
                command,
            };
            let mut bytes = Vec::new();
            let admitted = Admitted { time_ms: 5, policy: 1, envelope };
            Entry { admitted, outcome: Outcome::Accepted(Vec::new()) }.encode(&mut bytes);
            bytes
        };
        let (card, appeal) = (CardId([1; 16]), AppealId([2; 16]));
        assert!(is_read(&entry(OpenAppeal { card, appeal, message: Sealed(vec![1]) }.into())));
        assert!(is_read(&entry(RecordAppealEmail { appeal, status: EmailStatus::Sent }.into())));
        assert!(!is_read(&entry(TopUp { card, amount: Minor(5) }.into())));
        assert!(is_read(&[]), "what is too short is left to the decoder");
    }
}
