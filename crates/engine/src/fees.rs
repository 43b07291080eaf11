//! Fees: what is taken at issue and on top-ups, and invoices that fix a fee in a token.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{
    account::Invoice,
    command::{CreateInvoice, ExpireInvoice, IssueCard, text_fits},
    decide::{Case, Verdict},
    event::{Event, InvoiceCreated, InvoiceExpired},
    funding::short,
    money::{Asset, Country, Minor, Rounding, share},
    policy::{CardKind, Policy},
    reject::{Field, Reason, Reject},
};

/// What a fee is for; each is a revenue account of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FeeKind {
    /// Fixed fee on issue.
    Issue,
    /// Percentage on the initial balance and on top-ups.
    Service,
    /// Order fee of an invoice.
    Order,
    /// Delivery fee of an invoice.
    Delivery,
}

crate::codes! { FeeKind: 1 Issue, 2 Service, 3 Order, 4 Delivery }

/// A fee that was taken from a wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeeTaken {
    /// What for.
    pub kind: FeeKind,
    /// What it was quoted in.
    pub fiat: Asset,
    /// How much of that.
    pub fee: Minor,
    /// What it was paid in.
    pub asset: Asset,
    /// How much of that.
    pub paid: Minor,
}

/// A fee quoted in a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// In what.
    pub asset: Asset,
    /// How much of it: fee ÷ rate, rounded half-up to 2 decimals, in the token's minor units.
    pub amount: Minor,
    /// Fiat for one token.
    pub rate: crate::money::Factor,
}

/// Quotes a fee of the policy's fee currency in an asset; `None` without a rate, or on overflow.
pub fn quote(policy: &Policy, fee: Minor, asset: Asset) -> Option<Quote> {
    let exact = policy.exchange(asset, policy.fee_currency)?;
    let shown = exact.token_decimals.min(2);
    let rounded = crate::money::Exchange { token_decimals: shown, ..exact }.token_for(fee, Rounding::HalfUp)?;
    let units = 10_i64.checked_pow(u32::from(exact.token_decimals - shown))?;
    Some(Quote { asset, amount: Minor(rounded.0.checked_mul(units)?), rate: exact.rate })
}

/// Order and delivery fee for a card; `None` where the policy knows none.
pub fn order_and_delivery(policy: &Policy, kind: CardKind, country: Country, provider: &str) -> Option<(Minor, Minor)> {
    let order = policy.order_fee(kind, country)?;
    match kind {
        CardKind::Virtual => Some((order, Minor::ZERO)),
        CardKind::Physical => Some((order, policy.delivery_fee(provider, country)?)),
    }
}

pub(crate) fn create_invoice(case: &Case<'_>, command: &CreateInvoice, out: &mut Vec<Event>) -> Verdict {
    if !text_fits(&command.provider) || (command.kind == CardKind::Virtual && !command.provider.is_empty()) {
        return Err(Reject::field(Field::Provider));
    }
    let exchange = case.policy.exchange(command.asset, case.policy.fee_currency);
    exchange.ok_or(Reason::AssetUnknown)?;
    let fees = order_and_delivery(case.policy, command.kind, command.country, &command.provider);
    let programme = case.programme(command.programme)?;
    let (order_fee, delivery_fee) = match (fees, programme.needs_invoice) {
        (_, false) => return Err(Reason::FeesNotEnforced.into()),
        (None, true) => return Err(Reason::FeesUnknown.into()),
        (Some(fees), true) => fees,
    };
    let total = order_fee.plus(delivery_fee).ok_or(Reason::Overflow)?;
    let quote = quote(case.policy, total, command.asset).ok_or(Reason::Overflow)?;
    let counter = case.state.counters.invoices + 1;
    out.push(
        InvoiceCreated {
            number: counter * u64::from(case.state.partitions()) + u64::from(case.state.partition()),
            programme: command.programme,
            kind: command.kind,
            country: command.country,
            provider: command.provider.clone(),
            order_fee,
            delivery_fee,
            fiat: case.policy.fee_currency,
            asset: quote.asset,
            amount: quote.amount,
            rate: quote.rate,
            expires_at_ms: case.now_ms.saturating_add(case.policy.spans.invoice_ms),
        }
        .into(),
    );
    Ok(())
}

pub(crate) fn expire_invoice(case: &Case<'_>, command: &ExpireInvoice, out: &mut Vec<Event>) -> Verdict {
    let invoice = case.account.invoice(command.number).ok_or(Reason::InvoiceInvalid)?;
    case.due(invoice.expires_at_ms)?;
    out.push(InvoiceExpired { number: invoice.number }.into());
    Ok(())
}

/// The fees that an invoice takes at issue, and its courier; refused where it does not fit, or the wallet is short.
pub(crate) fn take_invoice<'a>(case: &Case<'a>, command: &IssueCard) -> Result<(Vec<FeeTaken>, &'a str), Reject> {
    if command.invoice == 0 {
        return Err(Reason::InvoiceRequired.into());
    }
    let country = match command.kind {
        CardKind::Virtual => case.account.country,
        CardKind::Physical => command.country,
    };
    let fits = |invoice: &&Invoice| {
        !invoice.used
            && invoice.expires_at_ms > case.now_ms
            && invoice.programme == command.programme
            && invoice.kind == command.kind
            && invoice.country == country
    };
    let invoice = case.account.invoice(command.invoice).filter(fits).ok_or(Reason::InvoiceInvalid)?;
    if !command.provider.is_empty() && command.provider != invoice.provider {
        return Err(Reason::ProviderMismatch.into());
    }
    let available = case.account.available(invoice.asset);
    if available < invoice.amount {
        return Err(short(invoice.amount, available));
    }
    Ok((parts(invoice).ok_or(Reason::Overflow)?, &invoice.provider))
}

/// The invoice's token amount, split over its fees so that the parts add up.
fn parts(invoice: &Invoice) -> Option<Vec<FeeTaken>> {
    let total = invoice.order_fee.plus(invoice.delivery_fee)?;
    let order = share(invoice.amount, invoice.order_fee, total)?;
    let (fiat, asset) = (invoice.fiat, invoice.asset);
    let fees = [
        FeeTaken { kind: FeeKind::Order, fiat, fee: invoice.order_fee, asset, paid: order },
        FeeTaken {
            kind: FeeKind::Delivery,
            fiat,
            fee: invoice.delivery_fee,
            asset,
            paid: invoice.amount.minus(order)?,
        },
    ];
    Some(fees.into_iter().filter(|fee| fee.fee.is_positive()).collect())
}
