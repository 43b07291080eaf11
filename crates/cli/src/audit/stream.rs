//! A ledger on NATS, for the auditor: its durable records are copied to a file first, void messages left out, and the file is
//! what is audited. It takes as much room as the ledger does, and is gone afterwards.

use std::path::Path;
use std::sync::Arc;

use super::exported::Records;
use super::source::Source;
use crate::args::OnNats;
use crate::config;
use crate::failure::Failure;
use crate::run::{connect, on_nats};
use crate::transfer;

/// Copies the ledger to a temporary file.
pub(super) fn copy(on: &OnNats, file: Option<&Path>) -> Result<Source, Failure> {
    let mut config = config::load(file)?;
    config.apply_nats(on)?;
    let place = std::env::temp_dir();
    let dir = tempfile::Builder::new().prefix("florin-audit-").tempdir_in(&place);
    let dir = dir.map_err(|cause| Failure::io("make a directory in", &place, cause))?;
    let copy = dir.path().join("ledger.export");
    crate::serve::runtime()?.block_on(async {
        let client = connect::connect(&config.nats, "audit").await?;
        let journal = on_nats::journal(&config, client, None).await?;
        transfer::to_file(&journal, &copy, |_| 0).await
    })?;
    Ok(Source::File(Arc::new(Records::read(&copy, Some(dir))?)))
}
