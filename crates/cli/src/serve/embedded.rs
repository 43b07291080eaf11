//! The stack on the embedded journal: everything in one data directory, opened in the order in which the parts need each other.

use std::sync::Arc;

use florin_journal::Provider;
use florin_journal::embedded::Embedded;
use florin_processor::{Handle, Processor};
use florin_vault::Vault;
use florin_workers::{Settlement, queue};

use super::outbound::Outbound;
use super::running::Tasks;
use super::stack::{Held, Stack, catch_up, open_issuer, open_views};
use crate::command::ledger;
use crate::config::Config;
use crate::data::{Content, Data};
use crate::failure::Failure;
use crate::progress::Meter;
use crate::{causes, secrets};

/// Opens the ledger (makes it in an empty directory), recovers the processor, and brings the views to its end.
pub(super) async fn open(config: &Config, data: &Data) -> Result<Stack<Embedded, queue::Embedded>, Failure> {
    if data.content()? == Content::Nothing {
        let ledger = ledger::make(config, data)?;
        tracing::info!(ledger = %ledger.id, partitions = ledger.partitions, "made a new ledger");
    }
    let master = secrets::master_key(&config.master_key_file(data), false)?;
    let signing = secrets::signing_key(&config.signing_key_file(data), false)?;
    let journal =
        Embedded::open(&data.journal(), signing).map_err(|error| causes::journal("open the journal", error))?;
    let vault = Vault::open(&data.vault(), &master).map_err(causes::vault)?;
    // Whatever remembers the journal is compared with it before the processor may write to it: the views, the
    // settlement's queue, what goes out, and, by the processor itself, the snapshots.
    let views = open_views(config, &data.views(), &journal).await?;
    let ledger = journal.ledger().id;
    let queue = queue::Embedded::open(&data.settlement(), ledger, queue::Settings::default()).map_err(causes::queue)?;
    Settlement::confirm(&journal, &queue).await.map_err(causes::confirm)?;
    let outbound = Outbound::open(data, &journal, &master).await?;
    outbound.keep(config, &views).await?;
    let (handle, mut running) = start_processor(config, data, &journal).await?;
    let mut processor = Tasks::new();
    let told = processor.told();
    processor.spawn(async move {
        tokio::select! {
            () = told => running.stop().await.map_err(causes::stopped),
            error = running.failed() => Err(causes::stopped(error)),
        }
    });
    catch_up(&journal, &views, Meter::new("bringing the views up")).await?;
    let (issuer, sandbox) = open_issuer(config, &data.sandbox(), &master, &vault)?;
    Ok(Stack {
        journal,
        handle,
        processor,
        views: Some(views),
        vault: Some(vault),
        issuer: Some(issuer),
        sandbox,
        queue: Some(queue),
        outbound: Some(outbound),
        held: Held::default(),
        placements: Tasks::new(),
        persistent: false,
    })
}

async fn start_processor(
    config: &Config,
    data: &Data,
    journal: &Embedded,
) -> Result<(Handle, florin_processor::Running), Failure> {
    let meter = Arc::new(Meter::new("reading the journal"));
    let told = Arc::clone(&meter);
    let options = florin_processor::Options {
        user_lane: config.processor.queue,
        network_lane: config.processor.network_queue,
        snapshots: Some(data.snapshots()),
        snapshot_entries: config.processor.snapshot_entries,
        progress: Some(Arc::new(move |at| {
            told.tell(at.partition.0, at.index, at.last);
        })),
        ..florin_processor::Options::default()
    };
    let partitions = journal.ledger().partitions();
    let started = Processor::start(journal.clone(), partitions, options).await;
    meter.finish();
    started.map_err(causes::start)
}
