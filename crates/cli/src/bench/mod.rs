//! `florin bench`: the figures that users compare, and the proof that none of them was bought with a lost command.
//!
//! Shape: a [`Script`] says who there is and which command is the n-th, [`Bed`] is the ledger that is loaded, [`Front`] the
//! gateway before it, [`Settling`] brings changes to the issuer, `load` and `http` drive them, `authorizations` and `reads`
//! come beside, `check` reads everything back, [`Report`] tells the figures. Acceptance alone proves nothing: the clocks of
//! the views and of settlement run until they are at the last command, and the run fails unless every command is in the
//! journal exactly once, every change is settled, and everything balances.

pub(crate) mod args;
mod audit;
mod authorizations;
mod bar;
mod bed;
mod check;
mod front;
mod funds;
mod http;
mod latency;
mod load;
mod measure;
mod mix;
mod people;
mod plot;
mod process;
mod reads;
mod report;
mod script;
pub(crate) mod servers;
mod settling;
mod wire;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use florin_gateway::http::metrics;
use florin_journal::Provider;
use florin_journal::nats::{self, Nats};

use self::args::Bench;
use self::bar::bar;
use self::bed::Bed;
use self::check::Sent;
use self::front::Front;
use self::measure::{Load, Measured};
use self::mix::What;
use self::report::{Authorizations, Beside, Memory, Options, Report, Restart, rate};
use self::script::Script;
use self::servers::{Servers, Where};
use self::settling::Settling;
use crate::causes;
use crate::config;
use crate::failure::{Exit, Failure};

/// Runs it, prints the figures, and writes them to a file if asked to.
pub(crate) fn run(args: &Bench) -> Result<(), Failure> {
    args.fits(process::of_machine())?;
    let place = args.dir.clone().unwrap_or_else(std::env::temp_dir);
    let dir = tempfile::Builder::new().prefix("florin-bench-").tempdir_in(&place);
    let dir = dir.map_err(|cause| Failure::io("make a directory in", &place, cause))?;
    let report = crate::serve::runtime()?.block_on(async {
        tokio::select! {
            report = everywhere(args, dir.path()) => report,
            _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Stopped, "interrupted")),
        }
    })?;
    println!("{report}");
    if let Some(file) = &args.json {
        let text = serde_json::to_vec_pretty(&report);
        let text = text.map_err(|cause| Failure::new(Exit::Other, "the figures are no JSON").because(cause))?;
        fs::write(file, text).map_err(|cause| Failure::io("write", file, cause))?;
    }
    Ok(())
}

/// Where the journal is, and makes and opens a ledger there.
async fn everywhere(args: &Bench, dir: &Path) -> Result<Report, Failure> {
    let Some(place) = &args.nats else {
        bed::create(dir, args)?;
        return bench(args, dir, "segment files".to_owned(), async || bed::journal(dir)).await;
    };
    let started = match place {
        Where::Start(count) => Some(Servers::start(dir, *count)?),
        Where::There(_) => None,
    };
    let (urls, servers) = match (place, &started) {
        (Where::There(urls), _) => (urls.clone(), "there already".to_owned()),
        (Where::Start(count), Some(started)) => (started.urls.clone(), format!("{count} of this machine")),
        (Where::Start(_), None) => (Vec::new(), String::new()),
    };
    let old = started.as_ref().is_some_and(|servers| servers.old);
    let client = crate::run::connect::connect(&of_servers(args, urls, old)?, "bench").await?;
    let settings = nats::Settings {
        replicas: if let Where::Start(count) = place { *count } else { args.replicas },
        allow_old_server: true,
        patience: Duration::from_mins(1),
    };
    let name = format!("bench-{:08x}", std::process::id());
    let failed = |error| causes::journal("make the ledger", error);
    Nats::create(client.clone(), &name, args.partitions, bed::signing(), settings.clone()).await.map_err(failed)?;
    let open = async || {
        let opened = Nats::open(client.clone(), &name, Some(bed::signing()), settings.clone()).await;
        opened.map_err(|error| causes::journal("open the journal", error))
    };
    let replicas = settings.replicas;
    let done = bench(args, dir, format!("JetStream, {replicas} replica(s), servers: {servers}"), open).await;
    if matches!(place, Where::There(_)) {
        forget(&client, &name, args.partitions).await;
    }
    done
}

/// The servers as the configuration would name them.
fn of_servers(args: &Bench, urls: Vec<String>, old: bool) -> Result<config::Nats, Failure> {
    let mut nats = config::load(args.config.as_deref())?.nats;
    nats.urls = urls;
    nats.allow_old_server |= old;
    Ok(nats)
}

/// Takes a run's streams off servers that are not its own.
async fn forget(client: &async_nats::Client, name: &str, partitions: u16) {
    let context = async_nats::jetstream::new(client.clone());
    let streams = (0..partitions).map(|n| format!("FLORIN_{name}_P{n:03}")).chain([format!("FLORIN_{name}_HEADS")]);
    for stream in streams {
        if let Err(error) = context.delete_stream(&stream).await {
            tracing::warn!(%error, "the stream {stream} of this run is left on the servers");
        }
    }
}

async fn bench<P: Provider>(
    args: &Bench,
    dir: &Path,
    on: String,
    open: impl AsyncFn() -> Result<P, Failure>,
) -> Result<Report, Failure> {
    let recorder =
        metrics::install().map_err(|cause| Failure::new(Exit::Other, "cannot record metrics").because(cause))?;
    let upkeep = tokio::spawn(metrics::upkeep(recorder.clone()));
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
    let settles = args.mix.has(What::Freeze);
    let vault = (args.http || args.authorizations.is_some() || settles).then(|| front::vault(dir)).transpose()?;
    let issuer = vault.as_ref().map(|(vault, master)| front::sandbox(dir, vault, master)).transpose()?;
    let people = vault.as_ref().filter(|_| args.http).map(|(vault, _)| vault.clone());
    let script = Arc::new(Script::new(args, now_ms, people.clone())?);

    let bed = Bed::open(dir, args, open().await?).await?;
    let before = process::resident();
    let set_up = u64::from(args.accounts) * script.commands_per_user();
    let progress = bar("making users", set_up);
    if let Some(vault) = &people {
        front::register(vault, &script)?;
    }
    let begun = Instant::now();
    bed.set_up(&script, issuer.as_ref().filter(|_| settles), &progress).await?;
    let set_up_per_s = rate(set_up, begun.elapsed());
    progress.finish_and_clear();
    let progress = bar("views follow", 0);
    bed.drain(&progress).await?;
    progress.finish_and_clear();
    let per_account = process::resident().saturating_sub(before) as f64 / f64::from(args.accounts);

    let front = match (&vault, &bed.views, &issuer) {
        (Some((vault, _)), Some(views), Some(issuer)) if args.http || args.authorizations.is_some() => {
            Some(Front::open(&bed, views.clone(), vault.clone(), Arc::clone(issuer)).await?)
        }
        _ => None,
    };
    let settling = match &issuer {
        Some(issuer) if settles => Some(Settling::start(dir, &bed, &script, Arc::clone(issuer))?),
        _ => None,
    };
    let load = Load { args, script: &script, bed: &bed, front: front.as_ref(), settling: settling.as_ref() };
    let first = args.warm_up();
    let (_, mut beside) = load.drive("warming up", 0, first, 0).await?;
    load.drain(first).await?;
    let measured = load.measure(&recorder, first, beside.sent).await?;
    let Measured { mut done, mut told, views, settlement, reads } = measured;
    if let Some(file) = &args.plot {
        let series = [(what(args), done.latencies.samples()), ("authorizations".to_owned(), told.latencies.samples())];
        let shown = if args.authorizations.is_some() { 2 } else { 1 };
        fs::write(file, plot::svg(&series[..shown])).map_err(|cause| Failure::io("write", file, cause))?;
    }
    let authorizations = args.authorizations.map(|rate| Authorizations::of(rate, &mut told));
    beside.join(told);
    let (card_lists, cards) = load.read().await?;
    let peak = process::peak();

    let mut commands = args.end();
    let trial = bed.views.as_ref().map(florin_projector::Views::trial_balance).transpose();
    let trial = trial.map_err(|error| causes::views("read the trial balance", error))?;
    if let Some(front) = front {
        front.stop().await?;
    }
    if let Some(settling) = settling {
        settling.stop().await?;
    }
    bed.stop().await?;
    upkeep.abort();
    let mut restart = None;
    if !args.no_snapshots && !args.http {
        restart = Some(restarted(dir, &script, commands, &open).await?);
        commands += 1;
    }
    let progress = bar("checking", set_up + commands + beside.sent);
    let sent = Sent { commands, authorizations: beside };
    let found = check::journal(&open().await?, &script, &sent, &progress).await?;
    let mut checked = found.checked;
    if let Some(trial) = &trial {
        checked.views(trial)?;
    }
    if let Some(issuer) = issuer.filter(|_| settles) {
        checked.issuer(&issuer).await?;
    }
    progress.finish_and_clear();
    let mut audit = None;
    if args.audit {
        let (dir, entries) = (dir.to_owned(), found.entries);
        let failed = |cause| Failure::new(Exit::Stopped, "the audit panicked").because(cause);
        audit = Some(tokio::task::spawn_blocking(move || audit::verify(&dir, entries)).await.map_err(failed)??);
    }

    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        load: Options {
            accounts: args.accounts,
            cards: args.cards,
            commands: args.commands(),
            batch: args.batch(),
            clients: args.clients(),
            http: args.http,
            mix: args.mix.to_string(),
            seed: args.seed,
            partitions: args.partitions,
            journal: on,
            snapshots: !args.no_snapshots,
        },
        set_up_per_s,
        accepted_per_s: rate(args.commands(), done.elapsed),
        processor_us: done.processor_us,
        latency: done.latencies.percentiles(),
        busy: done.busy,
        held_s: done.held.as_secs_f64(),
        authorizations,
        views,
        settlement,
        reads: reads.map(|mut read| Beside {
            asked_per_s: args.reads(),
            per_s: rate(read.latencies.samples().len() as u64, read.elapsed),
            latency: read.latencies.percentiles(),
        }),
        card_lists,
        cards,
        bytes_per_command: found.bytes as f64 / found.counted.max(1) as f64,
        memory: Memory { peak, per_account },
        restart,
        replay_per_s: rate(found.entries, found.elapsed),
        audit,
        checked,
    })
}

/// Opens the ledger again, as a server that starts does, and decides command `next`.
async fn restarted<P: Provider>(
    dir: &Path,
    script: &Script,
    next: u64,
    open: impl AsyncFn() -> Result<P, Failure>,
) -> Result<Restart, Failure> {
    let begun = Instant::now();
    let journal = open().await?;
    let options =
        florin_processor::Options { snapshots: Some(dir.join("snapshots")), ..florin_processor::Options::default() };
    let partitions = journal.ledger().partitions();
    let started = florin_processor::Processor::start(journal, partitions, options).await;
    let (handle, processor) = started.map_err(causes::start)?;
    let reply = handle.submit(script.envelope(next)).await.map_err(bed::refused)?;
    let elapsed: Duration = begun.elapsed();
    load::accepted(&reply)?;
    drop(handle);
    processor.stop().await.map_err(causes::stopped)?;
    let commands = script.user_count() as u64 * script.commands_per_user() + next;
    Ok(Restart { commands, seconds: elapsed.as_secs_f64() })
}

/// What a run does, for the head of its picture.
fn what(args: &Bench) -> String {
    let by = if args.http { " over HTTP" } else { "" };
    format!("{} commands ({}){by}, {} clients, batch {}", args.commands(), args.mix, args.clients(), args.batch())
}
