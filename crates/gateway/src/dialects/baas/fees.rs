//! Order fees, what they come to in tokens, and invoices that fix both until the card is issued.
//!
//! In this order: the form of what is asked, whether fees are enforced, whether there is one, and last the token and the courier.

use axum::body::Body;
use florin_engine::{
    command::CreateInvoice,
    event::{Event, InvoiceCreated},
    fees::{Quote, order_and_delivery, quote},
    money::{Country, Factor, Minor},
    policy::{AssetPolicy, CardKind, Policy, ProgrammeCode},
    reject::Reason,
};

use super::{
    Answer, Baas,
    call::{Call, programme, provider, read},
    error::{Failure, Told},
    item::{decimals, kind as kind_name},
    pattern,
    wire::{Fees, Invoice, Payment},
};
use crate::http::{
    amount::Money,
    idempotency::Content,
    json::Fields,
    problem::{Dialect, Fault, Problem},
};

/// `GET /api/v1/cards/{Virtual|Plastic}/fees/{country}`.
pub(super) async fn fees(call: Call) -> Answer {
    let at = call.see().await?;
    let (kind, country) = call.kind_and_country()?;
    let policy = call.policy()?;
    let fee = order_fee(&policy, kind, country)?;
    let fees = Fees {
        currency: policy.fee_currency.to_string(),
        order_fee: Money::new(fee, decimals(&policy, policy.fee_currency)),
        estimated_payment_amounts: estimates(&policy, fee),
    };
    Ok(read(at, &fees))
}

fn order_fee(policy: &Policy, kind: CardKind, country: Country) -> Result<Minor, Failure> {
    if !programme(policy)?.needs_invoice {
        return Err(Told::not_enforced().into());
    }
    let fee = policy.order_fee(kind, country);
    Ok(fee.ok_or_else(|| Told::no_fees(kind_name(kind), country.as_str()))?)
}

/// `POST /api/v2/cards/{Virtual|Plastic}/fees/{country}/payment`.
pub(super) async fn invoice(call: Call, body: Body) -> Answer {
    let (kind, country) = call.kind_and_country()?;
    let body = call.body(body).await?;
    let fields = Fields::parse(&body)?;
    let policy = call.policy()?;
    // Whether there are fees comes before what is wrong with the fields: nobody mends a body for fees that are not taken.
    let (token, courier) =
        wanted(&fields, kind).or_else(|failure| order_fee(&policy, kind, country).and(Err(failure)))?;
    let key = call.key()?;
    let Some(asset) = by_address(&policy, &token).map(|asset| asset.code) else {
        order_fee(&policy, kind, country)?;
        return Err(Told::unknown("token_address").into());
    };
    let content = Content::of(Baas::NAME, "invoice")
        .with("type", kind_name(kind))
        .with("country", country.as_str())
        .with("provider", &courier)
        .with("asset", asset.as_str());
    let command = CreateInvoice { programme: ProgrammeCode::Baas, kind, country, provider: courier.clone(), asset };
    let sent = call.send(key, &content, command.into()).await.map_err(|failure| {
        failure.or_told(|reason| (reason == Reason::FeesUnknown).then(|| no_fees(&policy, kind, country)))
    })?;
    let created = sent.events.iter().find_map(|event| match event {
        Event::InvoiceCreated(created) => Some(created),
        _ => None,
    });
    let answer = created.and_then(|created| answer(&policy, created)).ok_or_else(|| {
        tracing::error!("an accepted invoice cannot be told");
        Problem::Internal
    })?;
    Ok(sent.json(&answer))
}

/// Token address and courier, as the body has them.
fn wanted(fields: &Fields<'_>, kind: CardKind) -> Result<(String, String), Failure> {
    let token = fields.text("token_address")?;
    if !pattern::is_address(&token) {
        return Err(fields.fault("token_address", Fault::Form("0x and 40 hex digits")).into());
    }
    let courier = match kind {
        CardKind::Virtual => String::new(),
        CardKind::Physical => provider(fields.text("delivery_provider")?)?.into_owned(),
    };
    Ok((token.into_owned(), courier))
}

/// Which fee it is that the policy does not know.
fn no_fees(policy: &Policy, kind: CardKind, country: Country) -> Told {
    if policy.order_fee(kind, country).is_none() {
        return Told::no_fees(kind_name(kind), country.as_str());
    }
    Told::unknown("delivery_provider")
}

fn answer(policy: &Policy, created: &InvoiceCreated) -> Option<Invoice> {
    let quote = Quote { asset: created.asset, amount: created.amount, rate: created.rate };
    Some(Invoice {
        delivery_id: created.number,
        recipient_address: policy.treasury_address.clone(),
        payment_amount: payment(policy.asset(created.asset)?, quote)?,
    })
}

fn by_address<'a>(policy: &'a Policy, address: &str) -> Option<&'a AssetPolicy> {
    let has =
        |asset: &&AssetPolicy| asset.token.as_ref().is_some_and(|token| token.address.eq_ignore_ascii_case(address));
    policy.assets.iter().find(has)
}

/// A fee in every token that has a rate, in the policy's order.
pub(super) fn estimates(policy: &Policy, fee: Minor) -> Vec<Payment> {
    let tokens = policy.assets.iter().filter(|asset| asset.token.is_some());
    tokens.filter_map(|asset| payment(asset, quote(policy, fee, asset.code)?)).collect()
}

fn payment(asset: &AssetPolicy, quote: Quote) -> Option<Payment> {
    let token = asset.token.as_ref()?;
    // Quoted to two decimals, so what is left out here is zeros.
    let shown = asset.decimals.min(2);
    let unit = 10_i64.checked_pow(u32::from(asset.decimals - shown))?;
    Some(Payment {
        amount: Money::new(Minor(quote.amount.0 / unit), shown),
        precise_amount: quote.amount.0.to_string(),
        token_address: token.address.clone(),
        token_symbol: asset.code.to_string(),
        rate: Money::new(four_decimals(quote.rate)?, 4),
    })
}

/// A rate in ten-thousandths, rounded half-up.
fn four_decimals(rate: Factor) -> Option<Minor> {
    rate.of(Minor(10_000))
}

/// What is taken for a card's order and delivery together, in a fee's own currency.
pub(super) fn methods_of(policy: &Policy, country: Country) -> impl Iterator<Item = (&str, Minor)> {
    let deliveries = policy.deliveries.iter().filter(move |way| way.country == country);
    deliveries.map(|way| (way.provider.as_str(), way.fee))
}

/// Whether a courier delivers to a country.
pub(super) fn delivers(policy: &Policy, courier: &str, country: Country) -> bool {
    order_and_delivery(policy, CardKind::Physical, country, courier).is_some()
        || policy.delivery_fee(courier, country).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy_document::{DEMO, read};

    fn policy(usdc: &str) -> Policy {
        read(&DEMO.replace("0.9940", usdc)).unwrap()
    }

    fn usdc(policy: &Policy, fee: i64) -> String {
        let all = estimates(policy, Minor(fee));
        serde_json::to_string(all.iter().find(|payment| payment.token_symbol == "USDC").unwrap()).unwrap()
    }

    #[test]
    fn the_documents_figures_come_out_to_the_digit() {
        assert_eq!(
            usdc(&policy("0.9940"), 999),
            r#"{"amount":10.05,"precise_amount":"10050000","token_address":"0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48","token_symbol":"USDC","rate":0.9940}"#
        );
        assert_eq!(
            usdc(&policy("0.9934"), 1_500),
            r#"{"amount":15.10,"precise_amount":"15100000","token_address":"0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48","token_symbol":"USDC","rate":0.9934}"#
        );
    }

    #[test]
    fn a_plastic_invoice_is_rounded_once() {
        // 9.99 and 15.00 one by one are 10.05 and 15.09, together 25.14; at another rate the two ways differ.
        assert!(usdc(&policy("0.9940"), 2_499).contains(r#""amount":25.14"#));
        let other = policy("0.9");
        assert!(usdc(&other, 999).contains("11.10") && usdc(&other, 1_500).contains("16.67"));
        assert!(usdc(&other, 2_499).contains(r#""amount":27.77"#));
        let third = policy("0.7");
        assert!(usdc(&third, 999).contains("14.27") && usdc(&third, 1_500).contains("21.43"));
        assert!(usdc(&third, 2_499).contains(r#""amount":35.70"#));
    }

    #[test]
    fn every_token_is_quoted_with_its_own_rate() {
        let all = serde_json::to_string(&estimates(&policy("0.9940"), Minor(999))).unwrap();
        for part in [
            r#""amount":9.99,"precise_amount":"999""#,
            r#""token_symbol":"WUSD","rate":1.0000"#,
            r#""amount":9.25,"precise_amount":"925""#,
            r#""token_symbol":"WEUR","rate":1.0800"#,
        ] {
            assert!(all.contains(part), "{part} in {all}");
        }
    }
}
