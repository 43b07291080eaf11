//! `florin views rebuild`: the views deleted and made again from the journal.

use std::path::Path;
use std::sync::Arc;

use florin_journal::Provider;
use florin_journal::embedded::Embedded;
use florin_projector::{Options, Projector, Views};

use crate::args::{OnNats, Place};
use crate::config::{self, Config};
use crate::data::{Content, Data};
use crate::failure::{Exit, Failure};
use crate::progress::Meter;
use crate::run::{Node, connect, on_nats};
use crate::serve::outbound;
use crate::{causes, serve};

/// Rebuilds the views of a data directory that no server uses.
pub(crate) fn rebuild(place: &Place, on: &OnNats) -> Result<(), Failure> {
    let mut config = config::load(place.config.as_deref())?;
    config.apply(place);
    if on.named() {
        config.apply_nats(on)?;
        return serve::runtime()?.block_on(rebuild_from_nats(&config));
    }
    let root = &config.serve.data;
    if !root.is_dir() {
        return Err(Failure::new(Exit::Ledger, format!("there is no data directory {}", root.display()))
            .advise("name the data directory of the server with --data, or its configuration with --config"));
    }
    let data = Data::lock(root)?;
    if data.content()? == Content::Nothing {
        return Err(Failure::new(Exit::Ledger, format!("{} holds no ledger", root.display()))
            .advise("name the data directory of the server with --data"));
    }
    let journal =
        Embedded::open_read_only(&data.journal()).map_err(|error| causes::journal("open the journal", error))?;
    let records = serve::runtime()?.block_on(rebuilt(&config, &data, &data.views(), journal))?;
    println!("rebuilt the views from {records} records");
    Ok(())
}

/// The same for a gateway's directory.
async fn rebuild_from_nats(config: &Config) -> Result<(), Failure> {
    let node = Node::at(&config.serve.data, true)?;
    let client = connect::connect(&config.nats, "views rebuild").await?;
    let journal = on_nats::journal(config, client, None).await?;
    let records = rebuilt(config, node.data()?, &node.views(), journal).await?;
    println!("rebuilt the views from {records} records");
    Ok(())
}

/// Deletes the views in `dir` and makes them again; from how many records.
async fn rebuilt<P: Provider>(config: &Config, data: &Data, dir: &Path, journal: P) -> Result<u64, Failure> {
    let failed = |error| causes::views("rebuild the views", error);
    Views::discard(dir).map_err(failed)?;
    let options = Options { cache_bytes: config.views.cache_mib << 20, ..Options::default() };
    let (views, _) = Views::open(dir, &journal, options).await.map_err(failed)?;
    if data.webhooks().exists() {
        outbound::keep_of(config, data, journal.ledger().id, &views).await?;
    }
    let meter = Arc::new(Meter::new("rebuilding the views"));
    let told = Arc::clone(&meter);
    let projector = Projector::new(journal, views);
    let done = projector.on_progress(move |at| told.tell(at.partition, at.applied, at.records)).catch_up().await;
    done.map_err(failed)?;
    Ok(meter.finish())
}
