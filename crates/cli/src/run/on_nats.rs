//! The stack on NATS: the journal's streams, partitions as far as they fall to this process, views of its own, the shared
//! vault and queue; of all that only what the roles need.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::Client;
use florin_issuer::{Issuer, Sandbox};
use florin_journal::nats::{self, Nats};
use florin_journal::{Provider, SigningKey};
use florin_processor::cluster::{self, Owner};
use florin_processor::placement::{self, Placement};
use florin_processor::{Handle, remote};
use florin_vault::Vault;
use florin_workers::Settlement;
use florin_workers::queue::{JetStream, SharedSettings};
use tokio::sync::watch;

use super::{Node, connect};
use crate::causes;
use crate::config::{self, Config};
use crate::failure::{Exit, Failure};
use crate::progress::Meter;
use crate::serve::outbound::{self, Outbound};
use crate::serve::roles::{Role, Roles};
use crate::serve::running::Tasks;
use crate::serve::stack::{Held, Stack, catch_up, open_issuer, open_views};

/// How often a long start is told in the log.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// How long the end of the process waits for reversals to be handed over.
const REVERSALS: Duration = Duration::from_secs(5);

/// Opens what the roles need; beside the connection, where the partitions that run here are to be told; `say` is told what
/// is being waited for.
pub(super) async fn open(
    config: &Config,
    node: &Node,
    roles: &Roles,
    (client, owned): (Client, Arc<watch::Sender<BTreeSet<u16>>>),
    sandbox: Option<Arc<Sandbox>>,
    say: impl Fn(String) + Clone + Send + Sync + 'static,
) -> Result<Stack<Nats, JetStream>, Failure> {
    let name = config.nats.ledger.clone();
    say("the journal is being opened".into());
    let signing = roles.has(Role::Processor).then(|| node.signing_key(config, false)).transpose()?;
    let journal = journal(config, client.clone(), signing).await?;
    let ledger = journal.ledger().clone();
    tracing::info!(ledger = %ledger.id, partitions = ledger.partitions, %roles, "opened the ledger {name}");

    let issues = roles.reads() || roles.has(Role::Settlement);
    let (mut vault, mut issuer): (_, Option<Arc<dyn Issuer>>) = (None, None);
    if issues || roles.has(Role::Webhooks) || roles.has(Role::Mail) {
        say("the vault is being opened".into());
        vault = Some(open_vault(config, node, false).await?);
    }
    if let (true, Some(vault)) = (issues, &vault) {
        if matches!(config.issuer, config::Issuer::Sandbox) {
            return Err(Failure::new(Exit::Config, "on NATS the issuer is a process of its own").advise(
                "set [issuer] kind = \"http\", url and secret_file; `florin run issuer-sandbox` is such an issuer, to try",
            ));
        }
        issuer = Some(open_issuer(config, &node.sandbox(), &node.master_key(config, false)?, vault)?.0);
    }
    let mut queue = None;
    if roles.has(Role::Settlement) || roles.has(Role::Ops) {
        let opened = open_queue(config, client.clone(), &journal).await?;
        if roles.has(Role::Settlement) {
            Settlement::confirm(&journal, &opened).await.map_err(causes::confirm)?;
        }
        queue = Some(opened);
    }
    let mut outbound = None;
    if [Role::Webhooks, Role::Mail, Role::Ops].iter().any(|role| roles.has(*role)) {
        outbound =
            Some(Outbound::open_shared(config, client.clone(), &journal, &node.master_key(config, false)?).await?);
    }
    let mut views = None;
    if roles.follows() {
        say("the views are being opened".into());
        let opened = open_views(config, &node.views(), &journal).await?;
        if let Some(outbound) = &outbound {
            outbound.keep(config, &opened).await?;
        }
        let (told, last) = (say.clone(), std::sync::Mutex::new(Instant::now()));
        let meter = Meter::new("bringing the views up").telling(move |done, all| {
            let what = format!("the views are at {done} of {all} records");
            if let Ok(mut last) = last.lock()
                && last.elapsed() >= TOLD_EVERY
            {
                *last = Instant::now();
                tracing::info!("{what}");
            }
            told(what);
        });
        catch_up(&journal, &opened, meter).await?;
        views = Some(opened);
    }
    let partitions = ledger.partitions;
    let handle = Handle::remote(client.clone(), &name, partitions, remote::Options::default());
    let mut processor = Tasks::new();
    if roles.has(Role::Processor) {
        run_partitions(config, node, &journal, &client, owned, &mut processor);
    }
    let mut placements = Tasks::new();
    // Once nobody asks here any more, and before the partitions of this process go: they may be who takes back.
    let (told, giving_up) = (placements.told(), handle.clone());
    placements.spawn(async move {
        told.await;
        if !giving_up.reversals_handed_over(REVERSALS).await {
            tracing::warn!("approvals that nobody heard are not reversed: no processor took their reversals");
        }
        Ok(())
    });
    let mut held = Held::default();
    for (role, group, place) in [
        (Role::Settlement, "settlement", &mut held.settlement),
        (Role::Clock, "clock", &mut held.clock),
        (Role::Webhooks, "webhooks", &mut held.webhooks),
        (Role::Mail, "mail", &mut held.mail),
    ] {
        if roles.has(role) {
            let settings = placement::Settings {
                replicas: config.nats.replicas,
                ..placement::Settings::new(&name, group, partitions)
            };
            let placement = Placement::join_with(client.clone(), settings).await.map_err(causes::placement)?;
            *place = Some(placement.held());
            let told = placements.told();
            placements.spawn(async move {
                told.await;
                placement.leave().await;
                Ok(())
            });
        }
    }
    Ok(Stack {
        journal,
        handle,
        processor,
        views,
        vault,
        issuer,
        sandbox,
        queue,
        outbound,
        held,
        placements,
        persistent: true,
    })
}

/// Opens the journal; with a key that signs, it may be written.
pub(crate) async fn journal(config: &Config, client: Client, signing: Option<SigningKey>) -> Result<Nats, Failure> {
    let opened = Nats::open(client, &config.nats.ledger, signing, settings(config)).await;
    opened.map_err(|error| causes::journal("open the journal", error))
}

/// What the configuration says of streams and servers.
pub(crate) fn settings(config: &Config) -> nats::Settings {
    nats::Settings {
        replicas: config.nats.replicas,
        allow_old_server: config.nats.allow_old_server,
        ..nats::Settings::default()
    }
}

/// Opens the vault, or makes it.
pub(crate) async fn open_vault(config: &Config, node: &Node, make: bool) -> Result<Vault, Failure> {
    let master = node.master_key(config, make)?;
    let connection = vault_connection(config)?;
    let name = config.nats.ledger.clone();
    let opened = tokio::task::spawn_blocking(move || {
        if make { Vault::create_nats(connection, &name, &master) } else { Vault::open_nats(connection, &name, &master) }
    });
    opened
        .await
        .map_err(|cause| Failure::new(Exit::Other, "the vault's thread broke down").because(cause))?
        .map_err(causes::vault)
}

/// Copies a vault to the ledger's place on NATS; how many people it holds.
pub(crate) async fn copy_vault(config: &Config, node: &Node, from: Vault) -> Result<u64, Failure> {
    let master = node.master_key(config, false)?;
    let (connection, name) = (vault_connection(config)?, config.nats.ledger.clone());
    let copied = tokio::task::spawn_blocking(move || from.copy_to_nats(connection, &name, &master));
    let copied =
        copied.await.map_err(|cause| Failure::new(Exit::Other, "the vault's thread broke down").because(cause));
    copied?.map_err(causes::vault)
}

fn vault_connection(config: &Config) -> Result<florin_vault::nats::Connection, Failure> {
    Ok(florin_vault::nats::Connection {
        servers: config.nats.urls.join(","),
        options: connect::options(&config.nats, "vault")?,
        replicas: config.nats.replicas,
    })
}

/// Opens the settlement's queue, and makes what is missing of it.
pub(crate) async fn open_queue(config: &Config, client: Client, journal: &Nats) -> Result<JetStream, Failure> {
    let settings = SharedSettings { replicas: config.nats.replicas, ..SharedSettings::default() };
    JetStream::open(client, &config.nats.ledger, journal.ledger().id, settings).await.map_err(causes::queue)
}

/// Makes what is missing beside the journal and the vault: the settlement's queue, and where partitions are shared out.
pub(crate) async fn make_beside(config: &Config, client: Client, journal: &Nats) -> Result<(), Failure> {
    open_queue(config, client.clone(), journal).await?;
    outbound::make_shared(config, client.clone(), journal.ledger().id).await?;
    let settings = placement::Settings {
        replicas: config.nats.replicas,
        ..placement::Settings::new(&config.nats.ledger, "none", journal.ledger().partitions)
    };
    Placement::join_with(client, settings).await.map_err(causes::placement)?.leave().await;
    Ok(())
}

/// Runs the partitions that fall to this process.
fn run_partitions(
    config: &Config,
    node: &Node,
    journal: &Nats,
    client: &Client,
    owned: Arc<watch::Sender<BTreeSet<u16>>>,
    processor: &mut Tasks,
) {
    let options = cluster::Options {
        processor: florin_processor::Options {
            user_lane: config.processor.queue,
            network_lane: config.processor.network_queue,
            snapshots: Some(node.snapshots()),
            snapshot_entries: config.processor.snapshot_entries,
            ..florin_processor::Options::default()
        },
        replicas: config.nats.replicas,
        label: host(),
        running: owned,
        ..cluster::Options::default()
    };
    let (journal, client, name) = (journal.clone(), client.clone(), config.nats.ledger.clone());
    let told = processor.told();
    processor.spawn(async move { Owner::run(journal, client, &name, options, told).await.map_err(causes::cluster) });
}

/// What this machine is called, for people.
fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned()).unwrap_or_default()
}
