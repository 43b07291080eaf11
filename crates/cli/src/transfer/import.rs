//! `florin import`: a ledger from an export, in an empty data directory or under a free name on NATS.
//!
//! The vault is no part of an export, and without it nobody can say whose the accounts are: `--vault` names the data
//! directory that it comes from. Its records are sealed under the master key, which stays the same; the key that signs heads
//! does too, so that auditors go on knowing it. Both are copied where the target has none.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use clap::Args;
use florin_journal::embedded::EmbeddedRestore;
use florin_journal::nats::NatsRestore;
use florin_journal::{Ledger, Record, Restore, export};
use florin_vault::Vault;

use crate::args::{OnNats, Place};
use crate::config::{self, Config};
use crate::data::{Content, Data};
use crate::failure::{Exit, Failure};
use crate::progress::Meter;
use crate::run::{Node, connect, on_nats};
use crate::{causes, secrets, serve};

/// Shown under `florin import --help`.
pub(crate) const IMPORT: &str = "\
Examples:
  florin import ledger.export --nats nats://127.0.0.1:4222 --ledger main --vault /var/lib/florin --data /var/lib/florin-keys
  florin import ledger.export --data /var/lib/florin-new --vault /var/lib/florin
  florin import ledger.export --data /tmp/drill --without-vault      to audit; nobody's personal data can be read there

Every record is verified on its way; a file that is not whole leaves nothing that opens. --vault is the data directory of the
ledger that was exported, whose server is stopped. --data is where the new ledger lies, or on NATS the keys.";

/// Makes a ledger from an export.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The export, from genesis on.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    on: OnNats,
    /// The data directory whose vault, and keys if there are none yet, come along.
    #[arg(long, value_name = "DIR", required_unless_present = "without_vault", conflicts_with = "without_vault")]
    vault: Option<PathBuf>,
    /// Bring no vault: for an audit, or a drill.
    #[arg(long)]
    without_vault: bool,
}

/// Runs it.
pub(crate) fn import(args: &Import) -> Result<(), Failure> {
    let mut config = config::load(args.place.config.as_deref())?;
    config.apply(&args.place);
    let mut file = File::open(&args.file).map_err(|cause| Failure::io("read", &args.file, cause))?;
    export::contents(&mut file).map_err(|error| causes::export(&args.file, error))?;
    // Locked, so that no server changes the vault meanwhile.
    let from = args.vault.as_deref().map(source).transpose()?;
    let ledger = if args.on.named() {
        config.apply_nats(&args.on)?;
        serve::runtime()?.block_on(to_nats(&config, args, &mut file, from.as_ref()))?
    } else {
        serve::runtime()?.block_on(to_directory(&config, args, &mut file, from.as_ref()))?
    };
    let place = if args.on.named() {
        format!("{} on {}", config.nats.ledger, config.nats.urls.join(","))
    } else {
        config.serve.data.display().to_string()
    };
    println!("imported ledger {} with {} partition(s) to {place}", ledger.id, ledger.partitions);
    if args.without_vault {
        println!("without a vault: personal data cannot be read, and no user can be found by name");
    }
    Ok(())
}

fn source(dir: &Path) -> Result<Data, Failure> {
    if !dir.is_dir() {
        return Err(Failure::new(Exit::Usage, format!("there is no data directory {}", dir.display())));
    }
    let data = Data::lock(dir)?;
    match data.content()? {
        Content::Ledger => Ok(data),
        Content::Nothing => Err(Failure::new(Exit::Ledger, format!("{} holds no ledger", dir.display()))
            .advise("name the data directory that was exported with --vault")),
    }
}

/// Copies the keys of the source that the target lacks.
fn keys(config: &Config, target: [PathBuf; 2], from: Option<&Data>) -> Result<(), Failure> {
    let Some(from) = from else { return Ok(()) };
    let given = [&config.secrets.master_key_file, &config.secrets.signing_key_file];
    let variables = [secrets::MASTER_KEY, secrets::SIGNING_KEY];
    let sources = [from.master_key(), from.signing_key()];
    for (((target, given), variable), source) in target.into_iter().zip(given).zip(variables).zip(sources) {
        if given.is_none() && std::env::var_os(variable).is_none() && !target.exists() && source.exists() {
            let key = fs::read(&source).map_err(|cause| Failure::io("read", &source, cause))?;
            secrets::write_private(&target, &zeroize::Zeroizing::new(key))?;
        }
    }
    Ok(())
}

async fn fill<R: Restore>(args: &Import, file: &mut File, target: R) -> Result<Ledger, Failure> {
    let contents = export::contents(file).map_err(|error| causes::export(&args.file, error))?;
    let meter = Meter::new("importing");
    let all = |record: &Record| {
        contents.partitions.get(usize::from(record.partition().0)).map_or(0, |span| span.head.index + 1)
    };
    for (partition, span) in contents.ledger.partitions().zip(&contents.partitions) {
        meter.tell(partition.0, 0, span.head.index + 1);
    }
    let restored =
        export::restore(file, target, |record| meter.tell(record.partition().0, record.index() + 1, all(record))).await;
    meter.finish();
    restored.map_err(|error| causes::export(&args.file, error))
}

async fn to_directory(config: &Config, args: &Import, file: &mut File, from: Option<&Data>) -> Result<Ledger, Failure> {
    let root = &config.serve.data;
    let data = Data::lock(root)?;
    if data.content()? == Content::Ledger {
        return Err(Failure::new(Exit::Ledger, format!("{} already holds a ledger", root.display()))
            .advise("name an empty directory with --data"));
    }
    keys(config, [data.master_key(), data.signing_key()], from)?;
    let master = secrets::master_key(&config.master_key_file(&data), true)?;
    let signing = secrets::signing_key(&config.signing_key_file(&data), true)?;
    let scratch = data.scratch()?;
    let target = EmbeddedRestore::start(&scratch.journal(), signing)
        .map_err(|error| causes::journal("begin the new ledger", error))?;
    let ledger = Box::pin(fill(args, file, target)).await?;
    if let Some(from) = from {
        for suffix in ["", ".shreds"] {
            let beside = |path: PathBuf| PathBuf::from(format!("{}{suffix}", path.display()));
            let (source, target) = (beside(from.vault()), beside(scratch.vault()));
            fs::copy(&source, &target).map_err(|cause| Failure::io("copy", &source, cause))?;
            File::open(&target)
                .and_then(|file| file.sync_all())
                .map_err(|cause| Failure::io("write", &target, cause))?;
        }
    }
    Vault::open(&scratch.vault(), &master).map_err(causes::vault)?;
    data.finish(scratch)?;
    Ok(ledger)
}

async fn to_nats(config: &Config, args: &Import, file: &mut File, from: Option<&Data>) -> Result<Ledger, Failure> {
    let node = Node::at(&config.serve.data, true)?;
    let root = &config.serve.data;
    keys(config, [root.join("master.key"), root.join("signing.key")], from)?;
    let signing = node.signing_key(config, true)?;
    let client = connect::connect(&config.nats, "import").await?;
    let target = NatsRestore::start(client.clone(), &config.nats.ledger, signing, on_nats::settings(config)).await;
    let target = target.map_err(|error| causes::journal("begin the new ledger", error))?;
    let ledger = Box::pin(fill(args, file, target)).await?;
    let journal = on_nats::journal(config, client.clone(), None).await?;
    on_nats::make_beside(config, client, &journal).await?;
    if let Some(from) = from {
        let master = node.master_key(config, false)?;
        let vault = Vault::open(&from.vault(), &master).map_err(causes::vault)?;
        on_nats::copy_vault(config, &node, vault).await?;
    } else {
        on_nats::open_vault(config, &node, true).await?;
    }
    Ok(ledger)
}
