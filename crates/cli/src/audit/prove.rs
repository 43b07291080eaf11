//! `florin audit prove`: an entry with its path to a signed head.

use florin_journal::embedded::Embedded;
use florin_journal::proof::prove;
use florin_journal::{PartitionId, Provider};

use super::args::Prove;
use super::finding::Sink;
use super::proof_file::ProofFile;
use super::{anchors, moment, replay};
use crate::failure::{Exit, Failure};
use crate::{causes, serve};

/// Writes the proof.
pub(super) fn run(args: &Prove) -> Result<(), Failure> {
    let source = args.place.source()?;
    let (partition, position) = moment::must_position(&args.position)?;
    let ledger = replay::ledger(&source)?;
    let heads = match &args.head {
        Some(path) => anchors::read(path)?,
        None => anchors::published(&source, &ledger, &Sink::default()),
    };
    let head = heads
        .iter()
        .filter(|head| head.partition.0 == partition && head.ledger == ledger.id)
        .max_by_key(|head| head.head.index)
        .filter(|head| head.head.index >= position.index())
        .ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                format!("there is no signed head of partition {partition} at record {} or later", position.index()),
            )
            .advise("a head covers what was written before it: take a newer one, or none to use the newest published")
        })?;
    let journal = source.journal().ok_or_else(|| {
        Failure::new(Exit::Usage, "a proof is made from a journal's directory")
            .advise("name the data directory or a copy of it")
    })?;
    let failed = |error| causes::journal("make the proof", error);
    let (proof, entry) = serve::runtime()?.block_on(async {
        let journal = Embedded::open_read_only(journal).map_err(failed)?;
        let (id, index) = (PartitionId(partition), position.index());
        let record = journal.read(id, index).await.map_err(failed)?;
        let entry = record.entry(position.entry()).map(<[u8]>::to_vec).ok_or_else(|| {
            Failure::new(Exit::Usage, format!("record {index} has no entry {}", position.entry()))
                .advise(format!("it has {}", record.len()))
        })?;
        let proof = prove(&journal, id, index, position.entry(), head.head.index).await.map_err(failed)?;
        Ok::<_, Failure>((proof, entry))
    })?;
    if let Err(reason) = proof.verify(&entry, head.head.range) {
        return Err(Failure::new(Exit::Ledger, format!("the entry is not under that head: {reason}"))
            .advise("run `florin audit verify --trusted-head` with it"));
    }
    let text = serde_json::to_string_pretty(&ProofFile::new(&proof, &entry)).unwrap_or_default();
    std::fs::write(&args.output, &text).map_err(|cause| Failure::io("write", &args.output, cause))?;
    println!("{}: {} bytes, towards the head at record {}", args.output.display(), text.len(), head.head.index);
    Ok(())
}
