//! Where plastic cards are delivered to, by whom, for how much: all from the policy.

use florin_engine::money::Country;

use super::{
    Answer,
    call::{Call, read},
    error::Told,
    fees::{estimates, methods_of},
    item::decimals,
    wire::Method,
};
use crate::http::amount::Money;

/// `GET /api/v1/cards/delivery/countries`.
pub(super) async fn countries(call: Call) -> Answer {
    let at = call.see().await?;
    let policy = call.policy()?;
    let mut countries: Vec<Country> = Vec::new();
    for way in &policy.deliveries {
        if !countries.contains(&way.country) {
            countries.push(way.country);
        }
    }
    if countries.is_empty() {
        return Err(Told::no_countries().into());
    }
    let countries: Vec<&str> = countries.iter().map(Country::as_str).collect();
    Ok(read(at, &countries))
}

/// `GET /api/v1/cards/delivery/methods/{country}`.
pub(super) async fn methods(call: Call) -> Answer {
    let at = call.see().await?;
    let country = call.country()?;
    let policy = call.policy()?;
    let places = decimals(&policy, policy.fee_currency);
    let methods: Vec<Method> = methods_of(&policy, country)
        .map(|(provider, fee)| Method {
            fee: Money::new(fee, places),
            currency: policy.fee_currency.to_string(),
            provider: provider.to_owned(),
            estimated_payment_amounts: estimates(&policy, fee),
        })
        .collect();
    if methods.is_empty() {
        return Err(Told::no_methods(country.as_str()).into());
    }
    Ok(read(at, &methods))
}
