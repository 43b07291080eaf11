//! Users: registration, verification, money in and out, and the end of their personal data.

use axum::{body::Body, http::StatusCode};
use florin_engine::{
    codec::Outcome,
    command::{Deposit, RegisterUser, SetVerification, Withdraw, WriteOff},
    event::Event,
    ids::{AccountId, CardId},
    money::{Asset, Country, Minor},
    people::{Verification, VerificationLevel, VerificationStatus},
    reject::Reason,
};
use florin_projector::AccountRow;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    call::{Answer, Call, Params, shown, written},
    cards::CardShown,
    desk::{self, accepted},
    failure::Failure,
};
use crate::http::{
    amount::Money,
    idempotency::Content,
    json::Fields,
    problem::{Fault, Problem},
    time::Time,
};

/// Most bytes of a company's name.
const COMPANY_MAX: usize = 64;
/// Most characters of a user's id, or of a reference.
const USER_MAX: usize = 255;
/// Most levels of a verification.
const LEVELS_MAX: usize = 16;

/// A registered user.
#[derive(Debug, Serialize, ToSchema)]
pub struct Registered {
    /// The tenant.
    pub company: String,
    /// The company's id of the user.
    pub user: String,
    /// Country, ISO 3166-1 alpha-2.
    pub country: String,
    /// The account: a pseudonym, stable.
    pub account: String,
    /// Its partition.
    pub partition: u16,
}

/// A user's verification.
#[derive(Debug, Serialize, ToSchema)]
pub struct VerificationShown {
    /// `NotStarted`, `Pending`, `Approved` or `Rejected`.
    #[schema(value_type = String, example = "Approved")]
    pub status: &'static str,
    /// Level by level.
    pub levels: Vec<LevelShown>,
}

/// One level.
#[derive(Debug, Serialize, ToSchema)]
pub struct LevelShown {
    /// Its type.
    #[serde(rename = "type")]
    #[schema(example = "SDD")]
    pub code: String,
    /// As above.
    #[schema(value_type = String, example = "Approved")]
    pub status: &'static str,
    /// What it is called.
    pub name: String,
}

/// A wallet's balance.
#[derive(Debug, Serialize, ToSchema)]
pub struct WalletShown {
    /// Of what.
    #[schema(example = "USD")]
    pub asset: String,
    /// Posted; below zero: owed.
    #[schema(value_type = f64, example = 10000.00)]
    pub balance: Money,
    /// Held for authorizations.
    #[schema(value_type = f64, example = 0.00)]
    pub held: Money,
    /// What can be spent.
    #[schema(value_type = f64, example = 10000.00)]
    pub available: Money,
}

/// An open hold.
#[derive(Debug, Serialize, ToSchema)]
pub struct HoldShown {
    /// The authorization.
    pub authorization_id: String,
    /// Its card.
    pub card_id: String,
    /// Still held, in the card's currency.
    #[schema(value_type = f64)]
    pub held: Money,
    /// Cleared so far.
    #[schema(value_type = f64)]
    pub cleared: Money,
    /// The card's currency.
    pub currency: String,
    /// Where.
    pub merchant: String,
    /// When it expires.
    #[schema(value_type = String)]
    pub expires_at: Time,
}

/// Everything about a user that is no secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserShown {
    /// Who.
    #[serde(flatten)]
    pub user: Registered,
    /// When it was registered.
    #[schema(value_type = String)]
    pub registered_at: Time,
    /// Null until it is set.
    pub verification: Option<VerificationShown>,
    /// By asset.
    pub wallets: Vec<WalletShown>,
    /// In every state, newest first.
    pub cards: Vec<CardShown>,
    /// Open holds.
    pub holds: Vec<HoldShown>,
}

/// Money in or out, and the wallet after it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Moved {
    /// Of what.
    #[schema(example = "USD")]
    pub asset: String,
    /// How much.
    #[schema(value_type = f64, example = 250.00)]
    pub amount: Money,
    /// The balance after it.
    #[schema(value_type = f64, example = 10250.00)]
    pub balance: Money,
}

/// Whether personal data was destroyed now or before.
#[derive(Debug, Serialize, ToSchema)]
pub struct Erased {
    /// Always true.
    pub erased: bool,
    /// Whether it had been done before.
    pub before: bool,
}

/// Registers a user: the way back in the vault first, durably, then the account.
///
/// Idempotent: the same user and country again is answered 200.
#[utoipa::path(post, path = "/users", tag = "users", request_body = super::openapi::NewUser,
    responses((status = 201, description = "Registered.", body = Registered), (status = 200, description = "Registered before.", body = Registered), super::openapi::WriteErrors))]
pub(super) async fn register(call: Call, body: Body) -> Answer {
    let body = call.body(body).await?;
    let body = Fields::parse(&body)?;
    let company = company(&body)?;
    let user = body.line("user", 1, USER_MAX)?.into_owned();
    let country = country(&body)?;
    let account = call.desk.account(&company, &user);

    let (vault, of) = (call.desk.ports().vault.clone(), (company.clone(), user.clone()));
    let kept = tokio::task::spawn_blocking(move || vault.register(account.0, &of.0, &of.1)).await;
    kept.map_err(|error| Problem::internal("a registration broke off", &error))?
        .map_err(|error| Failure::vault(&error))?;

    let content = Content::of(call.desk.api, "register").with("company", &company).with("country", country.as_str());
    let command = RegisterUser { company: company.clone(), country };
    let reply = call.send(account, &content, command).await?;
    let registered = registered(company, user, country, account);
    match &reply.outcome {
        Outcome::Accepted(_) => Ok(written(StatusCode::CREATED, &reply, &registered)),
        Outcome::Rejected(reject) if reject.reason == Reason::UserExists => {
            if row(&call, account)?.country == country {
                return Ok(written(StatusCode::OK, &reply, &registered));
            }
            Err(Failure::conflict("user_exists", "The user is registered already, with another country."))
        }
        Outcome::Rejected(reject) => Err(Problem::rejected(reject.clone(), None, 2).into()),
    }
}

/// Sets a user's verification.
#[utoipa::path(put, path = "/users/{company}/{user}/verification", tag = "users", params(super::openapi::OfUser),
    request_body = VerificationShown, responses((status = 200, description = "Set.", body = VerificationShown), super::openapi::WriteErrors))]
pub(super) async fn verification(call: Call, Params(of): Params<(String, String)>, body: Body) -> Answer {
    let account = call.desk.account(&of.0, &of.1);
    let body = call.body(body).await?;
    let body = Fields::parse(&body)?;
    let levels = body.objects("levels")?;
    if levels.len() > LEVELS_MAX {
        return Err(body.fault("levels", Fault::Form("at most 16 levels")).into());
    }
    let levels = levels.iter().map(|level| {
        Ok(VerificationLevel {
            code: level.line("type", 1, 64)?.into_owned(),
            status: status(level)?,
            name: level.text_if("name")?.unwrap_or_default().into_owned(),
        })
    });
    let verification = Verification { status: status(&body)?, levels: levels.collect::<Result<_, Problem>>()? };
    let mut content = Content::of(call.desk.api, "verification").with("status", [verification.status.code()]);
    for level in &verification.levels {
        content = content.with("type", &level.code).with("status", [level.status.code()]).with("name", &level.name);
    }
    let answer = shown_verification(&verification);
    let reply = call.send(account, &content, SetVerification { verification }).await?;
    accepted(&reply.outcome, None, 2)?;
    Ok(written(StatusCode::OK, &reply, &answer))
}

/// Credits a wallet from outside.
#[utoipa::path(post, path = "/users/{company}/{user}/deposits", tag = "money", params(super::openapi::OfUser),
    request_body = super::openapi::Movement, responses((status = 200, description = "Done, durably.", body = Moved), super::openapi::WriteErrors))]
pub(super) async fn deposit(call: Call, Params(of): Params<(String, String)>, body: Body) -> Answer {
    transfer(call, of, body, true).await
}

/// Debits a wallet to outside.
#[utoipa::path(post, path = "/users/{company}/{user}/withdrawals", tag = "money", params(super::openapi::OfUser),
    request_body = super::openapi::Movement, responses((status = 200, description = "Done, durably.", body = Moved), super::openapi::WriteErrors))]
pub(super) async fn withdraw(call: Call, Params(of): Params<(String, String)>, body: Body) -> Answer {
    transfer(call, of, body, false).await
}

async fn transfer(call: Call, of: (String, String), body: Body, credit: bool) -> Answer {
    let account = call.desk.account(&of.0, &of.1);
    let body = call.body(body).await?;
    let body = Fields::parse(&body)?;
    let (asset, decimals) = asset(&call, &body)?;
    let amount = body.amount("amount", decimals)?;
    let reference = body.line("reference", 1, USER_MAX)?;
    let told = reference;
    let reference = call.desk.seal(account, desk::REFERENCE_CONTEXT, &told)?;
    let told = if reference.0.is_empty() { "" } else { &told };
    let content = Content::of(call.desk.api, if credit { "deposit" } else { "withdraw" })
        .with("asset", asset.as_str())
        .amount("amount", amount)
        .with("reference", told);
    let reply = if credit {
        let command = Deposit { asset, amount, reference };
        call.send(account, &content, command).await?
    } else {
        let command = Withdraw { asset, amount, reference };
        call.send(account, &content, command).await?
    };
    let events = accepted(&reply.outcome, Some("amount"), decimals)?;
    let balance = events.iter().find_map(|event| match event {
        Event::Deposited(event) => Some(event.balance),
        Event::Withdrawn(event) => Some(event.balance),
        _ => None,
    });
    let money = |minor| Money::new(minor, decimals);
    let moved =
        Moved { asset: asset.to_string(), amount: money(amount), balance: money(balance.unwrap_or(Minor::ZERO)) };
    Ok(written(StatusCode::OK, &reply, &moved))
}

/// Writes off what a wallet or card owes below zero.
#[utoipa::path(post, path = "/users/{company}/{user}/write-offs", tag = "money", params(super::openapi::OfUser),
    request_body = super::openapi::NewWriteOff, responses((status = 200, description = "Done, durably.", body = Moved), super::openapi::WriteErrors))]
pub(super) async fn write_off(call: Call, Params(of): Params<(String, String)>, body: Body) -> Answer {
    let account = call.desk.account(&of.0, &of.1);
    let body = call.body(body).await?;
    let body = Fields::parse(&body)?;
    let (asset, decimals) = asset(&call, &body)?;
    let amount = body.amount("amount", decimals)?;
    let card = match body.text_if("card_id")? {
        None => CardId::NIL,
        Some(id) => {
            id.parse::<uuid::Uuid>().map_err(|_| body.fault("card_id", Fault::Form("the id of a card")))?.into()
        }
    };
    let (sealed, reason) = call.reason(account, &body)?;
    let content = Content::of(call.desk.api, "write_off")
        .with("card", card.0)
        .with("asset", asset.as_str())
        .amount("amount", amount)
        .with("reason", reason);
    let command = WriteOff { card, asset, amount, reason: sealed };
    let reply = call.send(account, &content, command).await?;
    let events = accepted(&reply.outcome, Some("amount"), decimals)?;
    let written_off = events.iter().find_map(|event| match event {
        Event::WrittenOff(event) => Some((event.amount, event.balance)),
        _ => None,
    });
    let (amount, balance) = written_off.unwrap_or((amount, Minor::ZERO));
    let moved = Moved {
        asset: asset.to_string(),
        amount: Money::new(amount, decimals),
        balance: Money::new(balance, decimals),
    };
    Ok(written(StatusCode::OK, &reply, &moved))
}

/// A user with wallets, cards, holds and verification.
#[utoipa::path(get, path = "/users/{company}/{user}", tag = "users", params(super::openapi::OfUser),
    responses((status = 200, description = "The user.", body = UserShown), super::openapi::ReadErrors))]
pub(super) async fn user(call: Call, Params((company, user)): Params<(String, String)>) -> Answer {
    let account = call.desk.account(&company, &user);
    let row = row(&call, account)?;
    let views = &call.desk.ports().views;
    let failed = |error| Failure::views(&error);
    let wallets = views.wallets(account).map_err(failed)?;
    let cards = views.cards_of(account).map_err(failed)?;
    let holds = views.holds(account).map_err(failed)?;
    let shown_user = UserShown {
        user: registered(company, user, row.country, account),
        registered_at: Time(row.registered_ms),
        verification: row.verification.as_ref().map(shown_verification),
        wallets: wallets
            .iter()
            .map(|wallet| {
                let decimals = call.desk.decimals(wallet.asset);
                WalletShown {
                    asset: wallet.asset.to_string(),
                    balance: Money::new(wallet.balance, decimals),
                    held: Money::new(wallet.held, decimals),
                    available: Money::new(wallet.available(), decimals),
                }
            })
            .collect(),
        cards: cards.iter().map(|card| CardShown::of(card, call.desk.decimals(card.currency))).collect(),
        holds: holds
            .iter()
            .map(|hold| {
                let decimals = call.desk.decimals(hold.currency);
                HoldShown {
                    authorization_id: hold.authorization.to_string(),
                    card_id: hold.card.to_string(),
                    held: Money::new(hold.held, decimals),
                    cleared: Money::new(hold.cleared, decimals),
                    currency: hold.currency.to_string(),
                    merchant: hold.merchant.name.clone(),
                    expires_at: Time(hold.expires_at_ms),
                }
            })
            .collect(),
    };
    Ok(shown(&shown_user))
}

/// Destroys the user's data key: what was sealed under it is gone for everybody, and the ledger still verifies.
///
/// The account and its money stay; close the cards and withdraw what is left before or after, both work.
#[utoipa::path(delete, path = "/users/{company}/{user}/personal-data", tag = "users", params(super::openapi::OfUser),
    responses((status = 200, description = "Nothing personal is left.", body = Erased), super::openapi::ReadErrors))]
pub(super) async fn erase(call: Call, Params((company, user)): Params<(String, String)>) -> Answer {
    let account = call.desk.account(&company, &user);
    let vault = call.desk.ports().vault.clone();
    let destroyed = tokio::task::spawn_blocking(move || vault.destroy(account.0)).await;
    let destroyed = destroyed
        .map_err(|error| Problem::internal("an erasure broke off", &error))?
        .map_err(|error| Failure::vault(&error))?;
    tracing::info!(%account, before = !destroyed, actor = call.actor, "personal data was destroyed");
    Ok(shown(&Erased { erased: true, before: !destroyed }))
}

fn row(call: &Call, account: AccountId) -> Result<AccountRow, Failure> {
    let row = call.desk.ports().views.account(account);
    row.map_err(|error| Failure::views(&error))?.ok_or_else(|| Problem::NotFound.into())
}

fn registered(company: String, user: String, country: Country, account: AccountId) -> Registered {
    Registered {
        company,
        user,
        country: country.as_str().to_owned(),
        account: account.to_string(),
        partition: account.partition(),
    }
}

fn company(body: &Fields<'_>) -> Result<String, Problem> {
    let company = body.line("company", 1, COMPANY_MAX)?;
    if company.len() > COMPANY_MAX {
        return Err(body.fault("company", Fault::Form("at most 64 bytes")));
    }
    Ok(company.into_owned())
}

fn country(body: &Fields<'_>) -> Result<Country, Problem> {
    let form = || body.fault("country", Fault::Form("two upper-case letters"));
    Country::parse(&body.text("country")?).ok_or_else(form)
}

/// An asset that the policy knows, and its decimals.
fn asset(call: &Call, body: &Fields<'_>) -> Result<(Asset, u8), Problem> {
    let code = body.text("asset")?;
    let policy = call.desk.ports().views.policy();
    let policy = policy.map(|(_, policy)| policy);
    let known = Asset::parse(&code).and_then(|code| {
        let asset = policy.as_ref()?.asset(code)?;
        Some((asset.code, asset.decimals))
    });
    known.ok_or_else(|| body.fault("asset", Fault::Form("an asset of the policy in force")))
}

fn status(body: &Fields<'_>) -> Result<VerificationStatus, Problem> {
    let word = body.text("status")?;
    let known = VerificationStatus::ALL.iter().find(|status| status_word(**status).eq_ignore_ascii_case(&word));
    known.copied().ok_or_else(|| {
        let form = Fault::Form("NotStarted, Pending, Approved or Rejected");
        body.fault("status", form)
    })
}

const fn status_word(status: VerificationStatus) -> &'static str {
    match status {
        VerificationStatus::NotStarted => "NotStarted",
        VerificationStatus::Pending => "Pending",
        VerificationStatus::Approved => "Approved",
        VerificationStatus::Rejected => "Rejected",
    }
}

fn shown_verification(of: &Verification) -> VerificationShown {
    VerificationShown {
        status: status_word(of.status),
        levels: of
            .levels
            .iter()
            .map(|level| LevelShown {
                code: level.code.clone(),
                status: status_word(level.status),
                name: level.name.clone(),
            })
            .collect(),
    }
}
