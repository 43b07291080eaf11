//! Reads over NATS: a card and a user's wallets, for programs that send commands over NATS and have no use for HTTP.
//!
//! A service (ADR-32) on `florin.<ledger>.read.v1.card` and `.wallet`, shared by all gateways; requests and answers are JSON,
//! shown in README.md. Answers are those of the ops API and come from this gateway's views: the header `Florin-As-Of` says as
//! of where, and a request that names `partition` and `position`, as an answer to a command gave them, waits until the views
//! have that, or is told to come again. Who may ask is for the permissions of the subjects to say.
//!
//! Bounds: [`AT_ONCE`] requests are worked on; beyond that they wait in the connection.

use std::sync::Arc;

use async_nats::service::{Request, ServiceExt, error};
use async_nats::{Client, HeaderMap};
use florin_engine::ids::{AccountId, CardId, Position};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::Gateway;
use crate::http::amount::Money;
use crate::http::position::At;
use crate::ops::cards::CardShown;
use crate::ops::users::WalletShown;

/// Requests worked on at once.
const AT_ONCE: usize = 256;
/// As of where an answer is.
const AS_OF: &str = "Florin-As-Of";

/// Why reads are not served.
#[derive(Debug, thiserror::Error)]
#[error("reads cannot be served over NATS: {0}")]
pub struct Error(String);

/// What must have been seen.
#[derive(Default, Deserialize)]
struct Seen {
    partition: Option<u16>,
    position: Option<Position>,
}

#[derive(Deserialize)]
struct AskedCard {
    card_id: Uuid,
    #[serde(flatten)]
    seen: Seen,
}

#[derive(Deserialize)]
struct AskedWallet {
    company: String,
    user: String,
    #[serde(flatten)]
    seen: Seen,
}

/// A user's wallets.
#[derive(Serialize)]
struct WalletsShown {
    account: String,
    partition: u16,
    wallets: Vec<WalletShown>,
}

/// An answer: as of where, and its body; or a code of HTTP's with words.
type Answer = Result<(At, Vec<u8>), (usize, String)>;

/// Serves reads of the ledger called `name` until `shutdown` resolves.
pub async fn serve(
    gateway: Gateway,
    client: Client,
    name: &str,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let failed = |error: &dyn std::fmt::Display| Error(error.to_string());
    let service = client
        .service_builder()
        .description("florin: reads of cards and wallets")
        .queue_group("read")
        .start(format!("florin-{name}-read"), env!("CARGO_PKG_VERSION"))
        .await
        .map_err(|error| failed(&error))?;
    let subject = |what: &str| format!("florin.{name}.read.v1.{what}");
    let mut cards = service.endpoint(subject("card")).await.map_err(|error| failed(&error))?;
    let mut wallets = service.endpoint(subject("wallet")).await.map_err(|error| failed(&error))?;
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let (request, card) = tokio::select! {
            () = &mut shutdown => break,
            Some(request) = cards.next() => (request, true),
            Some(request) = wallets.next() => (request, false),
            else => break,
        };
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { break };
        let gateway = gateway.clone();
        tokio::spawn(async move {
            let body = &request.message.payload;
            let answer = if card { read_card(&gateway, body).await } else { read_wallets(&gateway, body).await };
            respond(&request, answer).await;
            drop(permit);
        });
    }
    // An error says that the connection is gone, and with it the service.
    let _ = service.stop().await;
    Ok(())
}

async fn respond(request: &Request, answer: Answer) {
    let sent = match answer {
        Ok((at, body)) => {
            let mut headers = HeaderMap::new();
            headers.insert(AS_OF, at.to_string());
            request.respond_with_headers(Ok(body.into()), headers).await
        }
        Err((code, status)) => request.respond(Err(error::Error { code, status })).await,
    };
    if let Err(error) = sent {
        tracing::debug!(%error, "an answer over NATS could not be sent");
    }
}

async fn read_card(gateway: &Gateway, body: &[u8]) -> Answer {
    let asked: AskedCard = parsed(body)?;
    let card = CardId::from(asked.card_id);
    if card.partition() >= gateway.ports().handle.partitions() {
        return Err((404, "there is no such card".to_owned()));
    }
    let at = see(gateway, card.partition(), &asked.seen).await?;
    let row = gateway.ports().views.card(card).map_err(|error| failed(&error))?;
    let row = row.ok_or_else(|| (404, "there is no such card".to_owned()))?;
    Ok((at, written(&CardShown::of(&row, gateway.decimals(row.currency)))?))
}

async fn read_wallets(gateway: &Gateway, body: &[u8]) -> Answer {
    let asked: AskedWallet = parsed(body)?;
    let account: AccountId = gateway.account(&asked.company, &asked.user);
    let partition = account.partition();
    let at = see(gateway, partition, &asked.seen).await?;
    let views = &gateway.ports().views;
    if views.account(account).map_err(|error| failed(&error))?.is_none() {
        return Err((404, "there is no such user".to_owned()));
    }
    let rows = views.wallets(account).map_err(|error| failed(&error))?;
    let wallets = rows.iter().map(|wallet| {
        let decimals = gateway.decimals(wallet.asset);
        WalletShown {
            asset: wallet.asset.to_string(),
            balance: Money::new(wallet.balance, decimals),
            held: Money::new(wallet.held, decimals),
            available: Money::new(wallet.available(), decimals),
        }
    });
    Ok((at, written(&WalletsShown { account: account.to_string(), partition, wallets: wallets.collect() })?))
}

/// Waits until the views show what the request names.
async fn see(gateway: &Gateway, partition: u16, seen: &Seen) -> Result<At, (usize, String)> {
    let views = &gateway.ports().views;
    if let (Some(partition), Some(position)) = (seen.partition, seen.position) {
        if partition >= views.partitions() {
            return Err((400, format!("partition: there is no partition {partition}")));
        }
        let wait = gateway.settings().read_wait;
        let late = |_| (503, "the views have not come that far: ask again".to_owned());
        views.wait(partition, position, wait).await.map_err(late)?;
    }
    Ok(At { partition, position: views.position(partition) })
}

fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, (usize, String)> {
    serde_json::from_slice(body).map_err(|error| (400, format!("the request cannot be read: {error}")))
}

fn written(shown: &impl Serialize) -> Result<Vec<u8>, (usize, String)> {
    serde_json::to_vec(shown).map_err(|error| failed(&error))
}

fn failed(error: &dyn std::error::Error) -> (usize, String) {
    tracing::error!(%error, "a read over NATS failed");
    (500, "the views cannot be read".to_owned())
}
