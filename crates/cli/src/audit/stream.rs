//! A ledger on NATS, for the auditor. What reads all of it has its durable records copied to a file first, void messages left
//! out, and audits the file, which takes as much room as the ledger does and is gone afterwards; a head or a proof needs a
//! few messages only, which are asked for.

use std::path::Path;
use std::sync::Arc;

use florin_journal::nats::Nats;
use florin_journal::{Provider, SignedHead};

use super::exported::Records;
use super::source::Source;
use crate::args::OnNats;
use crate::failure::Failure;
use crate::run::{connect, on_nats};
use crate::{causes, config, transfer};

/// Opens the ledger to read it.
pub(super) async fn open(on: &OnNats, file: Option<&Path>) -> Result<Nats, Failure> {
    let mut config = config::load(file)?;
    config.apply_nats(on)?;
    let client = connect::connect(&config.nats, "audit").await?;
    on_nats::journal(&config, client, None).await
}

/// The newest signed head of each partition that has one.
pub(super) async fn heads(journal: &Nats) -> Result<Vec<SignedHead>, Failure> {
    let mut heads = Vec::new();
    for partition in journal.ledger().partitions() {
        let head = journal.signed_head(partition).await.map_err(|error| causes::journal("read the heads", error))?;
        heads.extend(head);
    }
    Ok(heads)
}

/// Copies the ledger to a temporary file, its signed heads beside it.
pub(super) fn copy(on: &OnNats, file: Option<&Path>) -> Result<Source, Failure> {
    let place = std::env::temp_dir();
    let dir = tempfile::Builder::new().prefix("florin-audit-").tempdir_in(&place);
    let dir = dir.map_err(|cause| Failure::io("make a directory in", &place, cause))?;
    let (copy, published) = (dir.path().join("ledger.export"), dir.path().join("heads.jsonl"));
    crate::serve::runtime()?.block_on(async {
        let journal = open(on, file).await?;
        // First: what they are about is among the records then.
        let lines: String = heads(&journal).await?.iter().map(|head| head.to_json() + "\n").collect();
        std::fs::write(&published, lines).map_err(|cause| Failure::io("write", &published, cause))?;
        transfer::to_file(&journal, &copy, |_| 0).await
    })?;
    Ok(Source::File(Arc::new(Records::read(&copy, Some(dir))?)))
}
