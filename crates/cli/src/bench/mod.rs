//! `florin bench`: the figures that users compare, and the proof that none of them was bought with a lost command.
//!
//! Shape: a [`Script`] says who there is and which command is the n-th, [`Bed`] is the ledger that is loaded, [`Front`] the
//! gateway before it, `load` and `http` drive them, `authorizations` come beside, `check` reads everything back, [`Report`]
//! tells the figures. Acceptance alone proves nothing: the clock of the views runs until they show the last command, and the
//! run fails unless every command is in the journal exactly once and everything balances.

pub(crate) mod args;
mod authorizations;
mod bar;
mod bed;
mod check;
mod front;
mod http;
mod latency;
mod load;
mod mix;
mod plot;
mod report;
mod script;
pub(crate) mod servers;
mod wire;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use florin_gateway::http::metrics;
use florin_journal::Provider;
use florin_journal::nats::{self, Nats};
use metrics_exporter_prometheus::PrometheusHandle;

use self::args::Bench;
use self::bar::bar;
use self::bed::Bed;
use self::check::Sent;
use self::front::Front;
use self::http::Ask;
use self::load::{Done, Range};
use self::report::{Authorizations, Memory, Options, Reads, Report, Restart, Views, rate};
use self::script::{COMMANDS_PER_USER, Script};
use self::servers::{Servers, Where};
use crate::causes;
use crate::config;
use crate::failure::{Exit, Failure};

/// Runs it, prints the figures, and writes them to a file if asked to.
pub(crate) fn run(args: &Bench) -> Result<(), Failure> {
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
    let vault = (args.http || args.authorizations.is_some()).then(|| front::vault(dir)).transpose()?;
    let people = vault.as_ref().filter(|_| args.http).map(|(vault, _)| vault.clone());
    let script = Arc::new(Script::new(args, now_ms, people.clone())?);

    let bed = Bed::open(dir, args, open().await?).await?;
    let before = resident();
    let set_up = u64::from(args.accounts) * COMMANDS_PER_USER;
    let progress = bar("making users", set_up);
    if let Some(vault) = &people {
        front::register(vault, &script)?;
    }
    let begun = Instant::now();
    bed.set_up(&script, &progress).await?;
    let set_up_per_s = rate(set_up, begun.elapsed());
    bed.drain().await?;
    progress.finish_and_clear();
    let per_account = resident().saturating_sub(before) as f64 / f64::from(args.accounts);

    let front = match (vault, &bed.views) {
        (Some(vault), Some(views)) => Some(Front::open(dir, &bed, views.clone(), vault).await?),
        _ => None,
    };
    let load = Load { args, script: &script, bed: &bed, front: front.as_ref() };
    let (_, mut beside) = load.drive("warming up", 0, args.warm_up(), 0).await?;
    bed.drain().await?;
    let first = args.warm_up();
    let (mut done, mut told, views) = load.measure(&recorder, first, beside.sent).await?;
    if let Some(file) = &args.plot {
        let series = [(what(args), done.latencies.samples()), ("authorizations".to_owned(), told.latencies.samples())];
        let shown = if args.authorizations.is_some() { 2 } else { 1 };
        fs::write(file, plot::svg(&series[..shown])).map_err(|cause| Failure::io("write", file, cause))?;
    }
    let authorizations = args.authorizations.map(|rate| Authorizations::of(rate, &mut told));
    beside.join(told);
    let (card_lists, cards) = load.read().await?;
    let peak = memory("VmHWM:");

    let mut commands = first + args.commands();
    let trial = bed.views.as_ref().map(florin_projector::Views::trial_balance).transpose();
    let trial = trial.map_err(|error| causes::views("read the trial balance", error))?;
    if let Some(front) = front {
        front.stop().await?;
    }
    bed.stop().await?;
    upkeep.abort();
    let mut restart = None;
    if !args.no_snapshots && !args.http {
        restart = Some(restarted(dir, args, &script, commands, &open).await?);
        commands += 1;
    }
    let progress = bar("checking", set_up + commands + beside.sent);
    let sent = Sent { commands, authorizations: beside };
    let found = check::journal(&open().await?, &script, &sent, &progress).await?;
    if let Some(trial) = &trial {
        check::views(trial, &script)?;
    }
    progress.finish_and_clear();

    Ok(Report {
        version: env!("CARGO_PKG_VERSION"),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        load: Options {
            accounts: args.accounts,
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
        authorizations,
        views,
        card_lists,
        cards,
        bytes_per_command: found.bytes as f64 / found.counted.max(1) as f64,
        memory: Memory { peak, per_account },
        restart,
        replay_per_s: rate(found.entries, found.elapsed),
    })
}

/// Who drives what.
struct Load<'a, P> {
    args: &'a Bench,
    script: &'a Arc<Script>,
    bed: &'a Bed<P>,
    front: Option<&'a Front>,
}

impl<P: Provider> Load<'_, P> {
    /// Drives commands, with the issuer's authorizations from number `authorization` on beside them.
    async fn drive(
        &self,
        doing: &'static str,
        first: u64,
        commands: u64,
        authorization: u64,
    ) -> Result<(Done, authorizations::Told), Failure> {
        let progress = bar(doing, commands);
        let range = Range { first, end: first + commands, batch: self.args.batch() };
        let clients = self.args.clients();
        let issuer = match (self.front, self.args.authorizations) {
            (Some(front), Some(rate)) => Some(authorizations::start(front, self.script, rate, authorization).await?),
            _ => None,
        };
        let done = match self.front {
            Some(front) if self.args.http => {
                http::drive(front, self.script, &Arc::new(Ask::TopUp), range, clients, &progress).await
            }
            _ => load::drive(&self.bed.handle, self.script, range, clients, &progress).await,
        };
        progress.finish_and_clear();
        let told = match issuer {
            Some(issuer) => issuer.stop().await?,
            None => authorizations::Told::default(),
        };
        Ok((done?, told))
    }

    /// The measured part: until the last answer, and until the views show it.
    async fn measure(
        &self,
        recorder: &PrometheusHandle,
        first: u64,
        authorization: u64,
    ) -> Result<(Done, authorizations::Told, Option<Views>), Failure> {
        let commands = self.args.commands();
        let rows = bed::rows(recorder);
        let (begun, used) = (Instant::now(), processor_time());
        let (mut done, told) = self.drive("topping up", first, commands, authorization).await?;
        done.processor_us = processor_us(used, commands);
        if self.bed.views.is_none() {
            return Ok((done, told, None));
        }
        let accepted = Instant::now();
        self.bed.drain().await?;
        let seen = begun.elapsed();
        let views = Views {
            drain_s: accepted.elapsed().as_secs_f64(),
            caught_up_per_s: rate(commands, seen),
            rows_per_s: rate(bed::rows(recorder) - rows, seen),
        };
        Ok((done, told, Some(views)))
    }

    /// Reads over HTTP, with nothing written beside them: card lists, then single cards.
    async fn read(&self) -> Result<(Option<Reads>, Option<Reads>), Failure> {
        let Some(front) = self.front.filter(|_| self.args.http) else { return Ok((None, None)) };
        let lists = self.read_as("reading card lists", front, Ask::cards(self.script)).await?;
        let cards = self.read_as("reading cards", front, Ask::card(self.script, front)?).await?;
        Ok((Some(lists), Some(cards)))
    }

    async fn read_as(&self, doing: &'static str, front: &Front, ask: Ask) -> Result<Reads, Failure> {
        let (reads, ask, clients) = (self.args.commands(), Arc::new(ask), self.args.clients());
        let warm_up = Range { first: 0, end: self.args.warm_up(), batch: 1 };
        let progress = bar(doing, warm_up.end + reads);
        let measured = Range { first: warm_up.end, end: warm_up.end + reads, batch: 1 };
        http::drive(front, self.script, &ask, warm_up, clients, &progress).await?;
        let used = processor_time();
        let mut done = http::drive(front, self.script, &ask, measured, clients, &progress).await?;
        progress.finish_and_clear();
        let processor_us = processor_us(used, reads);
        Ok(Reads { per_s: rate(reads, done.elapsed), processor_us, latency: done.latencies.percentiles() })
    }
}

/// Opens the ledger again, as a server that starts does, and decides command `next`.
async fn restarted<P: Provider>(
    dir: &Path,
    args: &Bench,
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
    let commands = u64::from(args.accounts) * COMMANDS_PER_USER + next;
    Ok(Restart { commands, seconds: elapsed.as_secs_f64() })
}

/// What a run does, for the head of its picture.
fn what(args: &Bench) -> String {
    let by = if args.http { " over HTTP" } else { "" };
    format!("{} commands ({}){by}, {} clients, batch {}", args.commands(), args.mix, args.clients(), args.batch())
}

/// Processor time that this process has used, all threads and the kernel's share.
fn processor_time() -> Duration {
    // Fields 14 and 15, of which the name in parentheses, which may have spaces, is the second; in hundredths of a second.
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let used = rest.split_ascii_whitespace().skip(11).take(2);
    Duration::from_millis(10 * used.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>())
}

/// The same for each of so many, in microseconds.
fn processor_us(since: Duration, count: u64) -> f64 {
    processor_time().saturating_sub(since).as_secs_f64() * 1e6 / count.max(1) as f64
}

/// Bytes resident now.
fn resident() -> u64 {
    memory("VmRSS:")
}

/// A line of the kernel's account of this process, in bytes; 0 where there is none.
fn memory(line: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|text| text.strip_prefix(line)?.trim().strip_suffix("kB")?.trim().parse().ok());
    kib.map_or(0, |kib: u64| kib << 10)
}
