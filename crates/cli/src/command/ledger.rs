//! `florin ledger create`, and the ledger that `serve` makes in an empty directory.

use florin_engine::ids::PARTITIONS_MAX;
use florin_journal::{Ledger, embedded::Embedded};
use florin_vault::Vault;

use crate::args::Place;
use crate::config::{self, Config};
use crate::data::{Content, Data};
use crate::failure::{Exit, Failure};
use crate::{causes, secrets};

/// Makes the ledger of a data directory that has none.
pub(crate) fn create(place: &Place, partitions: Option<u16>) -> Result<(), Failure> {
    let mut config = config::load(place.config.as_deref())?;
    config.apply(place);
    if let Some(partitions) = partitions {
        config.ledger.partitions = partitions;
    }
    let root = &config.serve.data;
    let data = Data::lock(root)?;
    if data.content()? == Content::Ledger {
        return Err(Failure::new(Exit::Ledger, format!("{} already holds a ledger", root.display()))
            .advise("run `florin serve` on it, or name an empty directory with --data"));
    }
    let ledger = make(&config, &data)?;
    println!("made ledger {} with {} partition(s) in {}", ledger.id, ledger.partitions, root.display());
    Ok(())
}

/// Writes genesis and an empty vault, and makes the keys that are not there yet.
pub(crate) fn make(config: &Config, data: &Data) -> Result<Ledger, Failure> {
    const { assert!(config::PARTITIONS_MAX <= PARTITIONS_MAX) }
    let master = secrets::master_key(&config.master_key_file(data), true)?;
    let signing = secrets::signing_key(&config.signing_key_file(data), true)?;
    data.create(|scratch| {
        let ledger = Embedded::create(&scratch.journal(), config.ledger.partitions, signing)
            .map_err(|error| causes::journal("make the ledger", error))?;
        Vault::open(&scratch.vault(), &master).map_err(causes::vault)?;
        Ok(ledger)
    })
}
