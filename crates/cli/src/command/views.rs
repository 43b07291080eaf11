//! `florin views rebuild`: the views deleted and made again from the journal.

use std::sync::Arc;

use florin_journal::Provider;
use florin_journal::embedded::Embedded;
use florin_projector::{Options, Projector, Views};

use crate::args::Place;
use crate::config;
use crate::data::{Content, Data};
use crate::failure::{Exit, Failure};
use crate::progress::Meter;
use crate::serve::outbound;
use crate::{causes, serve};

/// Rebuilds the views of a data directory that no server uses.
pub(crate) fn rebuild(place: &Place) -> Result<(), Failure> {
    let mut config = config::load(place.config.as_deref())?;
    config.apply(place);
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
    let failed = |error| causes::views("rebuild the views", error);
    Views::discard(&data.views()).map_err(failed)?;
    let records = serve::runtime()?.block_on(async {
        let options = Options { cache_bytes: config.views.cache_mib << 20, ..Options::default() };
        let (views, _) = Views::open(&data.views(), &journal, options).await.map_err(failed)?;
        outbound::keep_of(&config, &data, journal.ledger().id, &views).await?;
        let meter = Arc::new(Meter::new("rebuilding the views"));
        let told = Arc::clone(&meter);
        Projector::new(journal, views)
            .on_progress(move |at| told.tell(at.partition, at.applied, at.records))
            .catch_up()
            .await
            .map_err(failed)?;
        Ok::<_, Failure>(meter.finish())
    })?;
    println!("rebuilt the views from {records} records");
    Ok(())
}
