//! The whole: trial balance, how far followers are, how processors do.

use std::collections::BTreeMap;

use axum::{body::Body, http::StatusCode, response::IntoResponse};
use florin_projector::{AssetBalance, LedgerKind};
use serde::{Serialize, Serializer, ser};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    call::{Answer, Call, Params, shown},
    failure::Failure,
};
use crate::http::{problem::Problem, time::Time};

/// All postings, asset by asset.
#[derive(Serialize, ToSchema)]
pub struct TrialBalanceShown {
    /// Whether debits equal credits in every currency.
    pub balanced: bool,
    /// By currency or token.
    pub currencies: BTreeMap<String, CurrencyShown>,
}

/// The postings in one asset.
#[derive(Serialize, ToSchema)]
pub struct CurrencyShown {
    /// All debits.
    #[schema(value_type = f64)]
    pub debits: Sum,
    /// All credits; equal to the debits.
    #[schema(value_type = f64)]
    pub credits: Sum,
    /// Credits less debits of each kind of account: wallets, cards, funding, revenue.issue, revenue.service, revenue.order,
    /// revenue.delivery, network, exchange, write_off, and receivable (what wallets and cards owe, a debit, below zero).
    /// They sum to zero.
    #[schema(value_type = Object, example = json!({"wallets": 19892.00, "cards": 100.00, "funding": -20000.00,
        "revenue.issue": 5.00, "revenue.service": 3.00, "receivable": 0.00}))]
    pub accounts: BTreeMap<&'static str, Sum>,
}

/// A sum over the whole ledger, which may be larger than one amount; a JSON number with the asset's decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    minor: i128,
    decimals: u8,
}

impl Serialize for Sum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let unit = 10_u128.pow(u32::from(self.decimals.min(8)));
        let whole = self.minor.unsigned_abs();
        let sign = if self.minor < 0 { "-" } else { "" };
        let mut text = format!("{sign}{}", whole / unit);
        if self.decimals > 0 {
            let width = usize::from(self.decimals.min(8));
            text = format!("{text}.{:0width$}", whole % unit);
        }
        RawValue::from_string(text).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

impl CurrencyShown {
    fn of(sums: &AssetBalance, decimals: u8) -> Self {
        let sum = |minor| Sum { minor, decimals };
        let mut accounts: BTreeMap<_, _> =
            sums.accounts.iter().map(|(kind, account): (&LedgerKind, _)| (kind.word(), sum(account.balance))).collect();
        accounts.insert("receivable", sum(-sums.receivable));
        Self { debits: sum(sums.debits), credits: sum(sums.credits), accounts }
    }
}

/// Debits, credits and balances of all ledger accounts, per currency.
#[utoipa::path(get, path = "/trial-balance", tag = "ledger",
    responses((status = 200, description = "The sums.", body = TrialBalanceShown), super::openapi::ReadErrors))]
pub(super) async fn trial_balance(call: Call) -> Answer {
    let trial = call.desk.ports().views.trial_balance();
    let trial = trial.map_err(|error| Failure::views(&error))?;
    let currencies = trial.assets.iter().map(|(asset, sums)| {
        let decimals = call.desk.decimals(*asset);
        (asset.to_string(), CurrencyShown::of(sums, decimals))
    });
    Ok(shown(&TrialBalanceShown { balanced: trial.unbalanced().is_none(), currencies: currencies.collect() }))
}

/// Who follows the journal.
#[derive(Debug, Serialize, ToSchema)]
pub struct FollowerList {
    /// By name, then partition.
    pub followers: Vec<FollowerShown>,
}

/// One follower of one partition.
#[derive(Debug, Serialize, ToSchema)]
pub struct FollowerShown {
    /// What it is called.
    #[schema(example = "projector")]
    pub name: String,
    /// Which partition.
    pub partition: u16,
    /// What it has applied: `<record>.<entry>`.
    #[schema(example = "120.7")]
    pub position: String,
    /// Records it is behind the durable journal.
    pub behind_records: u64,
}

/// How far each follower of the journal is behind.
#[utoipa::path(get, path = "/followers", tag = "ledger",
    responses((status = 200, description = "How far each is.", body = FollowerList), super::openapi::ReadErrors))]
pub(super) async fn followers(call: Call) -> Answer {
    let followers = call.desk.ports().followers.followers();
    let followers = followers.into_iter().map(|of| FollowerShown {
        name: of.name,
        partition: of.partition,
        position: of.position.to_string(),
        behind_records: of.behind_records,
    });
    Ok(shown(&FollowerList { followers: followers.collect() }))
}

/// How partitions are doing.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProcessorList {
    /// One for each partition that is run here.
    pub processors: Vec<ProcessorShown>,
}

/// How a partition is doing.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProcessorShown {
    /// Which.
    pub partition: u16,
    /// Index of the last durable record.
    pub head: u64,
    /// Term of its writer.
    pub term: u64,
    /// Accounts known.
    pub accounts: usize,
    /// Cards known.
    pub cards: usize,
    /// Outcomes remembered for idempotency.
    pub remembered: usize,
    /// Policy in force; 0: none.
    pub policy_version: u32,
    /// Time of the last decision.
    #[schema(value_type = String)]
    pub clock: Time,
    /// Why the clock is refused; null: it is not.
    pub clock_refused: Option<String>,
    /// Commands waiting in the user lane.
    pub user_queued: usize,
    /// Commands waiting in the network lane.
    pub network_queued: usize,
    /// Records submitted and not yet durable.
    pub records_in_flight: usize,
}

/// How each partition's processor is doing.
#[utoipa::path(get, path = "/processors", tag = "ledger",
    responses((status = 200, description = "How each partition is.", body = ProcessorList), super::openapi::ReadErrors))]
pub(super) async fn processors(call: Call) -> Answer {
    let handle = &call.desk.ports().handle;
    let mut processors = Vec::new();
    for partition in 0..handle.partitions() {
        let status = match handle.status(partition).await {
            Ok(status) => status,
            Err(florin_processor::Error::Misrouted(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        processors.push(ProcessorShown {
            partition,
            head: status.head.index,
            term: status.head.term,
            accounts: status.accounts,
            cards: status.cards,
            remembered: status.remembered,
            policy_version: status.policy,
            clock: Time(status.clock_ms),
            clock_refused: status.clock_refused.map(|why| why.to_string()),
            user_queued: status.user_queued,
            network_queued: status.network_queued,
            records_in_flight: status.in_flight,
        });
    }
    Ok(shown(&ProcessorList { processors }))
}

/// Confirms a partition's clock as it stands, after a jump; commands are admitted again.
#[utoipa::path(post, path = "/processors/{partition}/confirm-clock", tag = "ledger", params(super::openapi::OfPartition),
    responses((status = 204, description = "Confirmed"), super::openapi::ReadErrors))]
pub(super) async fn confirm_clock(call: Call, Params(partition): Params<u16>, _: Body) -> Answer {
    let handle = &call.desk.ports().handle;
    if partition >= handle.partitions() {
        return Err(Problem::NotFound.into());
    }
    handle.confirm_clock(partition).await?;
    tracing::warn!(partition, actor = call.actor, "the clock was confirmed");
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_written_with_the_decimals_of_its_asset() {
        for (minor, decimals, text) in [
            (0, 2, "0.00"),
            (-5, 2, "-0.05"),
            (1_989_200, 2, "19892.00"),
            (10_050_000, 6, "10.050000"),
            (7, 0, "7"),
            (i128::from(i64::MAX) * 100, 2, "9223372036854775807.00"),
        ] {
            assert_eq!(serde_json::to_string(&Sum { minor, decimals }).unwrap(), text);
        }
    }
}
