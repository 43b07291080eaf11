//! `florin export`: the durable records of a ledger, or those from given positions on, in one self-verifying file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use clap::Args;
use florin_journal::embedded::Embedded;
use florin_journal::export::{self, Contents};
use florin_journal::{PartitionId, Provider};

use crate::args::{OnNats, Place};
use crate::config;
use crate::failure::{Exit, Failure};
use crate::progress::Meter;
use crate::run::{connect, on_nats};
use crate::{causes, serve};

/// Shown under `florin export --help`.
pub(crate) const EXPORT: &str = "\
Examples:
  florin export --data /var/lib/florin -o ledger.export
  florin export --nats nats://127.0.0.1:4222 --ledger main -o ledger.export
  florin export --nats nats://127.0.0.1:4222 --after ledger.export -o more.export     what came since
  florin export --data /var/lib/florin --from 0.5120 -o more.export                   partition 0 from record 5120 on
  florin audit verify ledger.export

Works beside a running ledger: what is durable when a partition has its turn is in it. The file is written under another name
and gets its own when it is whole. Back the vault and the keys up too: without them nobody can say whose the accounts are.";

/// Writes a ledger to a file.
#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    on: OnNats,
    /// The file to write; one that is there is not touched.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Only what came after this earlier export.
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    after: Option<PathBuf>,
    /// Partition and first record; may be given once per partition, the others are whole.
    #[arg(long, value_name = "PARTITION.RECORD", value_parser = position)]
    from: Vec<(u16, u64)>,
}

fn position(text: &str) -> Result<(u16, u64), String> {
    let parsed =
        text.split_once('.').and_then(|(partition, index)| Some((partition.parse().ok()?, index.parse().ok()?)));
    parsed.ok_or_else(|| "must be PARTITION.RECORD, such as 0.5120".to_owned())
}

/// Runs it.
pub(crate) fn export(args: &Export) -> Result<(), Failure> {
    let mut config = config::load(args.place.config.as_deref())?;
    config.apply(&args.place);
    if args.output.exists() {
        return Err(Failure::new(Exit::Usage, format!("{} is there already", args.output.display()))
            .advise("name another file with --output, or remove it"));
    }
    let after = args.after.as_deref().map(earlier).transpose()?;
    let contents = serve::runtime()?.block_on(async {
        if args.on.named() {
            config.apply_nats(&args.on)?;
            let client = connect::connect(&config.nats, "export").await?;
            let journal = on_nats::journal(&config, client, None).await?;
            write(&journal, &args.output, after.as_ref(), &args.from).await
        } else {
            let dir = config.serve.data.join("ledger").join("journal");
            let journal = Embedded::open_read_only(&dir).map_err(|error| causes::journal("open the journal", error))?;
            write(&journal, &args.output, after.as_ref(), &args.from).await
        }
    })?;
    println!("exported ledger {} to {}", contents.ledger.id, args.output.display());
    for (partition, span) in contents.ledger.partitions().zip(&contents.partitions) {
        let count = (span.head.index + 1).saturating_sub(span.from);
        println!(
            "partition {partition}: {count} records from {}, head {} {}",
            span.from, span.head.index, span.head.hash
        );
    }
    Ok(())
}

/// What an earlier export holds.
fn earlier(path: &Path) -> Result<Contents, Failure> {
    let mut file = File::open(path).map_err(|cause| Failure::io("read", path, cause))?;
    export::contents(&mut file).map_err(|error| causes::export(path, error))
}

async fn write<P: Provider>(
    journal: &P,
    output: &Path,
    after: Option<&Contents>,
    from: &[(u16, u64)],
) -> Result<Contents, Failure> {
    let partitions = journal.ledger().partitions;
    let mut first: BTreeMap<u16, u64> = from.iter().copied().collect();
    if let Some((astray, _)) = from.iter().find(|(partition, _)| *partition >= partitions) {
        return Err(Failure::new(Exit::Usage, format!("there is no partition {astray}: the ledger has {partitions}")));
    }
    if let Some(after) = after {
        if after.ledger != *journal.ledger() {
            return Err(Failure::new(Exit::Ledger, format!("the earlier export is of ledger {}", after.ledger.id))
                .advise("name an export of this ledger with --after"));
        }
        for (partition, span) in after.ledger.partitions().zip(&after.partitions) {
            let known = journal.confirm(partition, span.head.index, span.head.hash).await;
            known.map_err(|error| causes::journal("continue the earlier export", error))?;
            first.insert(partition.0, span.head.index + 1);
        }
    }
    to_file(journal, output, |partition| first.get(&partition.0).copied().unwrap_or(0)).await
}

/// Writes the records from `from` on to a new file, durably, whole or not at all.
pub(crate) async fn to_file<P: Provider>(
    journal: &P,
    output: &Path,
    from: impl Fn(PartitionId) -> u64 + Send,
) -> Result<Contents, Failure> {
    let scratch = output.with_extension("unfinished");
    let failed = |cause| Failure::io("write", output, cause);
    let file = File::create(&scratch).map_err(failed)?;
    let mut last = BTreeMap::new();
    for partition in journal.ledger().partitions() {
        let head = journal.head(partition).await.map_err(|error| causes::journal("read the journal", error))?;
        last.insert(partition, head.index + 1);
    }
    let meter = Meter::new("exporting");
    for (partition, all) in &last {
        meter.tell(partition.0, from(*partition), *all);
    }
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let written = export::write(journal, from, &mut out, |record| {
        let all = last.get(&record.partition()).copied().unwrap_or_default();
        meter.tell(record.partition().0, record.index() + 1, all.max(record.index() + 1));
    });
    let contents = written.await;
    meter.finish();
    let contents = contents.map_err(|error| causes::export(output, error))?;
    let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().and_then(|()| std::fs::rename(&scratch, output)).map_err(failed)?;
    let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|directory| directory.sync_all()).map_err(failed)?;
    Ok(contents)
}
