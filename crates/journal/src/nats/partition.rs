//! What a process knows of one partition: how far its stream was read, and where records are in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_nats::jetstream::stream::Config;
use ed25519_dalek::SigningKey;

use super::pipeline::{self, Claimed, Pipeline, Publish};
use super::rule::{Origin, Rule, Verdict};
use super::signature::{self, Origined, WriterKeys};
use super::stream::{Message, Stream, pause};
use crate::mmr::Range;
use crate::record::Loose;
use crate::{Chain, Corruption, Error, Hash, Head, Ledger, PartitionId, Record, SignedHead};

/// Every how many records a place is kept: 16 bytes each.
const SPARSE: u64 = 256;
/// How often a claim is tried before somebody else's progress is an error.
const CLAIM_TRIES: u32 = 16;

pub(super) struct Partition {
    pub(super) id: PartitionId,
    pub(super) ledger: Ledger,
    pub(super) stream: Stream,
    known: Mutex<Known>,
    /// As the stream's configuration named them last.
    keys: Mutex<Arc<WriterKeys>>,
    /// One reading of the tail at a time.
    refreshing: tokio::sync::Mutex<()>,
}

struct Known {
    /// The stream as far as it was read by anybody here.
    rule: Rule,
    /// Sequences of some valid records by index, ascending in both. Messages without a record lie between two places
    /// whose distances differ.
    places: BTreeMap<u64, u64>,
}

impl Partition {
    /// A partition read from a record on that is known to be valid: the last signed one, or none.
    pub(super) async fn open(
        id: PartitionId,
        ledger: &Ledger,
        stream: Stream,
        keys: WriterKeys,
        signed: Option<(SignedHead, u64)>,
    ) -> Result<Self, Error> {
        let rule = Rule::new(ledger.clone(), id);
        let known = Known { rule, places: BTreeMap::from([(0, 1)]) };
        let (known, refreshing) = (Mutex::new(known), tokio::sync::Mutex::new(()));
        let keys = Mutex::new(Arc::new(keys));
        let partition = Self { id, ledger: ledger.clone(), stream, known, keys, refreshing };
        let anchored = match &signed {
            Some((signed, sequence)) => partition.anchor(signed, *sequence).await?,
            None => false,
        };
        partition.refresh().await?;
        if let Some((signed, _)) = signed.filter(|_| !anchored) {
            let index = signed.head.index;
            if partition.hash(index).await? != signed.head.hash {
                return Err(Error::Mismatch { partition: id, index });
            }
        }
        Ok(partition)
    }

    /// Reads on from a signed head. False if its record is not where it is said to be, which nobody signed: the partition
    /// is to be read from its beginning, and shows whether the record is there.
    async fn anchor(&self, signed: &SignedHead, sequence: u64) -> Result<bool, Error> {
        let Some(message) = self.stream.get(sequence).await? else { return Ok(false) };
        let found = self.keys().examine(self.ledger.id, message);
        let Ok(record) = found.record else { return Ok(false) };
        if !found.origin.fits(sequence) || record.hash() != signed.head.hash {
            return Ok(false);
        }
        self.lock().places.insert(record.index(), sequence);
        let (chain, head) = self.chain_at(&record).await?;
        if head.range != signed.head.range {
            return Err(Error::corrupt(self.id, head.index, Corruption::Range));
        }
        self.lock().rule = Rule::after(self.ledger.clone(), chain, head, sequence);
        Ok(true)
    }

    pub(super) fn keys(&self) -> Arc<WriterKeys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn learn(&self, config: &Config) -> Result<(), Error> {
        let keys = WriterKeys::of(config, self.id)?;
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    /// Says where a message comes from. Before it is called unsigned the stream is asked whether it has a new key.
    pub(super) async fn examine(&self, message: Message) -> Result<Origined, Error> {
        let found = self.keys().examine(self.ledger.id, message.clone());
        if found.origin != Origin::Unsigned || message.signature.is_none() {
            return Ok(found);
        }
        self.learn(&self.stream.present().await?.config)?;
        Ok(self.keys().examine(self.ledger.id, message))
    }

    /// The header that makes `publish` a writer's message.
    pub(super) fn sign(&self, key: &SigningKey, publish: &Publish) -> String {
        signature::sign(key, self.ledger.id, self.id, publish.expected, publish.record.hash())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream as far as it was read here.
    pub(super) fn rule(&self) -> Rule {
        self.lock().rule.clone()
    }

    fn known_head(&self) -> Option<Head> {
        self.lock().rule.head()
    }

    /// What a reader or writer has seen spares others to read it.
    pub(super) fn saw(&self, rule: &Rule) {
        let mut known = self.lock();
        if rule.sequence() > known.rule.sequence() {
            known.rule = rule.clone();
        }
        if let Some(head) = rule.head() {
            known.place(head.index, rule.valid_sequence());
        }
    }

    /// Reads the stream to where its leader says it ends.
    pub(super) async fn refresh(&self) -> Result<Rule, Error> {
        let _one = self.refreshing.lock().await;
        let info = self.stream.present().await?;
        let last = info.state.last_sequence;
        // A key that came later than this has signed nothing up to there.
        self.learn(&info.config)?;
        let keys = self.keys();
        let mut rule = self.rule();
        if last < rule.sequence() {
            let index = rule.head().map_or(0, |head| head.index);
            return Err(Error::Shorter { partition: self.id, index, next: last });
        }
        let from = rule.sequence() + 1;
        self.stream
            .range(from, last, |message| {
                push(&mut rule, keys.examine(self.ledger.id, message))?;
                self.saw(&rule);
                Ok(())
            })
            .await?;
        if rule.sequence() != last {
            let reason = Corruption::Gap { expected: rule.sequence() + 1, found: last };
            return Err(Error::corrupt(self.id, rule.chain().next_index(), reason));
        }
        if rule.head().is_none() {
            return Err(self.stream.missing());
        }
        Ok(rule)
    }

    /// The durable head.
    pub(super) async fn head(&self) -> Result<Head, Error> {
        let head = self.refresh().await?.head();
        head.ok_or_else(|| self.stream.missing())
    }

    /// Whether record `index` is there; asks the stream only if it was not seen before.
    pub(super) async fn exists(&self, index: u64) -> Result<(), Error> {
        if self.known_head().is_some_and(|head| index <= head.index) {
            return Ok(());
        }
        let next = self.head().await?.index + 1;
        if index < next { Ok(()) } else { Err(Error::Shorter { partition: self.id, index, next }) }
    }

    /// Record `index`, which exists, and its sequence.
    ///
    /// A void message with this index is of a lower term than the record: its writer was deposed, or stranded, before
    /// anybody could write the record. So the record is the one of the highest term among the few messages where it
    /// can be.
    pub(super) async fn find(&self, index: u64) -> Result<(u64, Loose), Error> {
        let (from, to) = self.lock().bounds(index);
        let keys = self.keys();
        let mut found: Option<(u64, Loose)> = None;
        let mut unreadable = None;
        self.stream
            .range(from, to, |message| {
                let message = keys.examine(self.ledger.id, message);
                if !message.origin.fits(message.sequence) {
                    return Ok(());
                }
                match message.record {
                    Ok(record) if record.index() == index => {
                        if found.as_ref().is_none_or(|(_, other)| other.term() < record.term()) {
                            found = Some((message.sequence, record));
                        }
                    }
                    Ok(_) => {}
                    Err(reason) => unreadable = Some(reason),
                }
                Ok(())
            })
            .await?;
        let corrupt = |reason| Error::corrupt(self.id, index, reason);
        let gone = Corruption::Gap { expected: from, found: to };
        let (sequence, record) = found.ok_or_else(|| corrupt(unreadable.unwrap_or(gone)))?;
        if record.ledger() != self.ledger.id {
            return Err(corrupt(Corruption::Ledger(record.ledger())));
        }
        if record.partition() != self.id {
            return Err(corrupt(Corruption::Partition(record.partition())));
        }
        self.lock().place(index, sequence);
        Ok((sequence, record))
    }

    /// One record, placed by the one that follows it.
    pub(super) async fn read(&self, index: u64) -> Result<Record, Error> {
        self.exists(index).await?;
        let (_, record) = self.find(index).await?;
        let head = self.known_head().filter(|head| head.index == index);
        let (follower, named, range) = if let Some(head) = head {
            (index, head.hash, head.range)
        } else {
            let next = *self.find(index + 1).await?.1.header();
            (index + 1, next.previous, next.range)
        };
        if named != record.hash() {
            let reason = Corruption::Previous { expected: record.hash(), found: named };
            return Err(Error::corrupt(self.id, follower, reason));
        }
        Ok(Record::placed(record, range))
    }

    /// Hash of record `index`; [`Error::Shorter`] if it is not there.
    pub(super) async fn hash(&self, index: u64) -> Result<Hash, Error> {
        self.exists(index).await?;
        Ok(self.find(index).await?.1.hash())
    }

    /// The rule right after record `index`, which exists.
    pub(super) async fn rule_after(&self, index: u64) -> Result<Rule, Error> {
        let (sequence, record) = self.find(index).await?;
        let (chain, head) = self.chain_at(&record).await?;
        Ok(Rule::after(self.ledger.clone(), chain, head, sequence))
    }

    /// Chain and head as of a valid record, from at most 64 others.
    async fn chain_at(&self, record: &Loose) -> Result<(Chain, Head), Error> {
        let index = record.index();
        let corrupt = |reason| Error::corrupt(self.id, index, reason);
        let mut peaks = Vec::new();
        for end in Range::ends(index) {
            let mountain =
                if end == index { record.header().mountain } else { self.find(end).await?.1.header().mountain };
            peaks.push(mountain);
        }
        let before = Range::from_peaks(index, peaks).ok_or_else(|| corrupt(Corruption::Range))?;
        let chain = Chain::after(record.header(), record.hash(), before).map_err(corrupt)?;
        let (hash, range, time_ms) = (record.hash(), chain.range().root(), record.last_time_ms());
        Ok((chain, Head { index, hash, range, term: record.term(), time_ms }))
    }

    /// Takes the partition for `nonce`, signing with `key`.
    pub(super) async fn claim(&self, nonce: [u8; 16], key: &SigningKey) -> Result<(Pipeline, Rule), Error> {
        let mut term = None;
        for _ in 0..CLAIM_TRIES {
            let mut tail = self.refresh().await?;
            self.keys().admit(key)?;
            let first = *term.get_or_insert(tail.chain().term());
            match pipeline::claimed(&tail, nonce, first) {
                Claimed::Lost => return Err(Error::Deposed(self.id)),
                Claimed::Won => return self.claimed(tail),
                Claimed::Open => {}
            }
            let claim = pipeline::claim(&tail, nonce)
                .map_err(|reason| Error::corrupt(self.id, tail.chain().next_index(), reason))?;
            let sent = self.stream.publish(claim.expected, claim.record.shared(), &self.sign(key, &claim)).await;
            // Whatever the answer, the stream is read again unless it is a plain yes.
            if let Ok(answer) = sent
                && let Ok(ack) = answer.await
                && !ack.duplicate
                && ack.sequence == claim.expected + 1
            {
                tail.push(ack.sequence, Origin::Writer { expected: claim.expected }, Ok(claim.record))?;
                self.saw(&tail);
                return self.claimed(tail);
            }
            pause(Instant::now() + Duration::from_secs(1)).await;
        }
        Err(Error::nats("claiming a partition", "other messages kept coming in between, or no answer"))
    }

    fn claimed(&self, tail: Rule) -> Result<(Pipeline, Rule), Error> {
        let head = tail.head().ok_or_else(|| self.stream.missing())?;
        Ok((Pipeline::after_claim(&tail, head), tail))
    }
}

impl Known {
    fn place(&mut self, index: u64, sequence: u64) {
        let before = self.places.range(..=index).next_back();
        let same = before.is_some_and(|(at, place)| sequence - place == index - at);
        if !same || index.is_multiple_of(SPARSE) {
            self.places.insert(index, sequence);
        }
    }

    /// Sequences between which record `index` is.
    fn bounds(&self, index: u64) -> (u64, u64) {
        let before = self.places.range(..=index).next_back();
        let from = before.map_or(index + 1, |(at, place)| place + (index - at));
        let after = self.places.range(index..).next().map(|(at, place)| (*at, *place));
        let head = self.rule.head().map(|head| (head.index, self.rule.valid_sequence()));
        let after = after.or_else(|| head.filter(|(at, _)| *at >= index));
        let to = after.map_or(from, |(at, place)| place - (at - index));
        (from, to.max(from))
    }
}

/// Judges a message as it comes from the stream.
pub(super) fn push(rule: &mut Rule, message: Origined) -> Result<Verdict, Error> {
    rule.push(message.sequence, message.origin, message.record)
}
