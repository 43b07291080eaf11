//! `florin ledger create`, and the ledger that `serve` makes in an empty directory.

use florin_engine::ids::PARTITIONS_MAX;
use florin_journal::nats::Nats;
use florin_journal::{Ledger, Provider, embedded::Embedded};
use florin_vault::Vault;

use crate::args::{OnNats, Place};
use crate::config::{self, Config};
use crate::data::{Content, Data};
use crate::failure::{Exit, Failure};
use crate::run::{Node, connect, on_nats};
use crate::serve::runtime;
use crate::{causes, secrets};

/// Makes the ledger of a data directory that has none, or on NATS servers that have none of its name.
pub(crate) fn create(place: &Place, on: &OnNats, partitions: Option<u16>, if_missing: bool) -> Result<(), Failure> {
    let mut config = config::load(place.config.as_deref())?;
    config.apply(place);
    if let Some(partitions) = partitions {
        config.ledger.partitions = partitions;
    }
    if on.named() {
        config.apply_nats(on)?;
        return runtime()?.block_on(create_on_nats(&config, if_missing));
    }
    let root = &config.serve.data;
    let data = Data::lock(root)?;
    if data.content()? == Content::Ledger {
        if if_missing {
            println!("a ledger is in {}", root.display());
            return Ok(());
        }
        return Err(Failure::new(Exit::Ledger, format!("{} already holds a ledger", root.display()))
            .advise("run `florin serve` on it, or name an empty directory with --data"));
    }
    let ledger = make(&config, &data)?;
    println!("made ledger {} with {} partition(s) in {}", ledger.id, ledger.partitions, root.display());
    Ok(())
}

/// Makes streams and buckets, writes genesis, and makes the keys that are not there yet. What is missing of a ledger on
/// which nothing has been written yet is made up for.
async fn create_on_nats(config: &Config, if_missing: bool) -> Result<(), Failure> {
    let name = &config.nats.ledger;
    let node = Node::at(&config.serve.data, true)?;
    let client = connect::connect(&config.nats, "ledger create").await?;
    let signing = node.signing_key(config, true)?;
    node.master_key(config, true)?;
    let failed = |error| causes::journal("make the ledger", error);
    let settings = on_nats::settings(config);
    let partitions = config.ledger.partitions;
    let made = Nats::create(client.clone(), name, partitions, signing.clone(), settings.clone()).await;
    let (journal, made) = match made {
        Ok(journal) => (journal, true),
        Err(florin_journal::Error::Exists(_)) if if_missing => {
            (Nats::open(client.clone(), name, Some(signing), settings).await.map_err(failed)?, false)
        }
        Err(error) => return Err(failed(error)),
    };
    let mut fresh = true;
    for partition in journal.ledger().partitions() {
        fresh &= journal.head(partition).await.map_err(failed)?.index == 0;
    }
    // A vault that is missing where there is a history was lost: making it anew would hide that.
    on_nats::open_vault(config, &node, fresh).await?;
    on_nats::make_beside(config, client, &journal).await?;
    let ledger = journal.ledger();
    let what = if made { "made ledger" } else { "found ledger" };
    println!(
        "{what} {} with {} partition(s) as {name} on {}",
        ledger.id,
        ledger.partitions,
        config.nats.urls.join(",")
    );
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
