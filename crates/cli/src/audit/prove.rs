//! `florin audit prove`: an entry with its path to a signed head.
//!
//! From a directory and from NATS the few records on the way are read by their index; a file of records is read from the
//! partition's beginning to the head.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use florin_journal::embedded::Embedded;
use florin_journal::proof::{self, EntryProof, Node};
use florin_journal::{Loose, PartitionId, Provider, SignedHead};

use super::args::Prove;
use super::finding::Sink;
use super::proof_file::ProofFile;
use super::replay::Replay;
use super::source::Source;
use super::{anchors, moment, stream};
use crate::failure::{Exit, Failure};
use crate::{causes, serve};

/// Writes the proof.
pub(super) fn run(args: &Prove) -> Result<(), Failure> {
    let (partition, position) = moment::must_position(&args.position)?;
    let asked = Asked { partition: PartitionId(partition), index: position.index(), entry: position.entry() };
    let kept = args.head.as_deref().map(anchors::read).transpose()?;
    let place = &args.place;
    let (proof, entry, head) = if place.on.named() {
        serve::runtime()?.block_on(async {
            let journal = stream::open(&place.on, place.config.as_deref()).await?;
            let heads = match kept {
                Some(kept) => kept,
                None => stream::heads(&journal).await?,
            };
            asked.of(&journal, &heads).await
        })?
    } else {
        let source = place.source()?;
        match (source.journal(), kept) {
            (Some(journal), kept) => serve::runtime()?.block_on(async {
                let opened =
                    Embedded::open_read_only(journal).map_err(|error| causes::journal("make the proof", error))?;
                let heads = kept.unwrap_or_else(|| anchors::published(&source, opened.ledger(), &Sink::default()));
                asked.of(&opened, &heads).await
            })?,
            (None, Some(kept)) => asked.in_file(&source, &kept)?,
            (None, None) => {
                return Err(Failure::new(Exit::Usage, "a file of records has no signed heads to prove towards")
                    .advise("name one with --head, as `florin audit head` printed it"));
            }
        }
    };
    if let Err(reason) = proof.verify(&entry, head.head.range) {
        return Err(Failure::new(Exit::Ledger, format!("the entry is not under that head: {reason}"))
            .advise("run `florin audit verify --trusted-head` with it"));
    }
    let text = ProofFile::new(&proof, &entry).text();
    std::fs::write(&args.output, &text).map_err(|cause| Failure::io("write", &args.output, cause))?;
    println!("{}: {} bytes, towards the head at record {}", args.output.display(), text.len(), head.head.index);
    Ok(())
}

/// Which entry is to be proven.
struct Asked {
    partition: PartitionId,
    index: u64,
    entry: u32,
}

/// A proof, the entry it is of, and the head it leads to.
type Proven = (EntryProof, Vec<u8>, SignedHead);

impl Asked {
    /// From a journal that finds records by their index.
    async fn of<P: Provider>(&self, journal: &P, heads: &[SignedHead]) -> Result<Proven, Failure> {
        let failed = |error| causes::journal("make the proof", error);
        let head = self.head(journal.ledger().id, heads)?;
        let record = journal.read(self.partition, self.index).await.map_err(failed)?;
        let entry = self.entry(&record)?;
        let proof = proof::prove(journal, self.partition, self.index, self.entry, head.head.index).await;
        Ok((proof.map_err(failed)?, entry, head))
    }

    /// From records in order.
    fn in_file(&self, source: &Source, heads: &[SignedHead]) -> Result<Proven, Failure> {
        let mut replay = Replay::open(source)?;
        let head = self.head(replay.ledger.id, heads)?;
        replay.expect(&[self.partition.0]);
        let needed = proof::needed(self.index, head.head.index);
        let (mut record, mut nodes, mut next) = (None, BTreeMap::new(), 0);
        replay.records(self.partition.0, |passing| {
            let at = passing.index();
            next = at + 1;
            if at == self.index {
                record = Some((**passing).clone());
            }
            if needed.contains(&at) {
                nodes.insert(at, Node::of(passing));
            }
            Ok(if at < head.head.index { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        replay.end().close()?;
        let proof = record.map(|record| {
            let entry = self.entry(&record)?;
            Ok((proof::assemble(&record, self.entry, head.head.index, &nodes), entry))
        });
        match proof.transpose()? {
            Some((Some(proof), entry)) => Ok((proof, entry, head)),
            _ => Err(Failure::new(
                Exit::Ledger,
                format!("the file ends before record {next}, the head is at record {}", head.head.index),
            )
            .advise("take a file that goes as far as the head, or an earlier head")),
        }
    }

    /// The newest head of the partition.
    fn head(&self, ledger: florin_journal::LedgerId, heads: &[SignedHead]) -> Result<SignedHead, Failure> {
        let of_partition = heads.iter().filter(|head| head.partition == self.partition && head.ledger == ledger);
        let newest = of_partition.max_by_key(|head| head.head.index).filter(|head| head.head.index >= self.index);
        newest.copied().ok_or_else(|| {
            let what =
                format!("there is no signed head of partition {} at record {} or later", self.partition, self.index);
            Failure::new(Exit::Usage, what).advise(
                "a head covers what was written before it: take a newer one, or none to use the newest published",
            )
        })
    }

    fn entry(&self, record: &Loose) -> Result<Vec<u8>, Failure> {
        record.entry(self.entry).map(<[u8]>::to_vec).ok_or_else(|| {
            Failure::new(Exit::Usage, format!("record {} has no entry {}", self.index, self.entry))
                .advise(format!("it has {}", record.len()))
        })
    }
}
