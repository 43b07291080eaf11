//! From the policy to the document, by hand.

use florin_engine::{
    money::{Asset, Minor},
    policy::{self, Policy},
};

use super::{digits::Digits, reading::ANY_AMOUNT, wire};

pub(super) fn document(policy: &Policy) -> wire::Document {
    // A checked policy knows the assets that its amounts are in.
    let decimals = |asset: Asset| policy.asset(asset).map_or(0, |asset| asset.decimals);
    let fee_decimals = decimals(policy.fee_currency);
    let spans = policy.spans;
    wire::Document {
        rules: policy.rules,
        assets: policy.assets.iter().map(asset).collect(),
        levels: policy.levels.iter().map(level).collect(),
        capabilities: policy.capabilities.iter().map(capability).collect(),
        programmes: policy.programmes.iter().map(|of| programme(of, decimals(of.currency))).collect(),
        fee_currency: policy.fee_currency.to_string(),
        order_fees: policy
            .order_fees
            .iter()
            .map(|of| wire::OrderFee {
                card: card(of.kind),
                country: of.country.as_str().to_owned(),
                fee: Digits::of_minor(of.fee, fee_decimals),
            })
            .collect(),
        deliveries: policy
            .deliveries
            .iter()
            .map(|of| wire::Delivery {
                provider: of.provider.clone(),
                country: of.country.as_str().to_owned(),
                fee: Digits::of_minor(of.fee, fee_decimals),
            })
            .collect(),
        spans: wire::Spans {
            change_seconds: Digits::of_ms(spans.change_ms),
            issuance_seconds: Digits::of_ms(spans.issuance_ms),
            hold_seconds: Digits::of_ms(spans.hold_ms),
            invoice_seconds: Digits::of_ms(spans.invoice_ms),
            purchase_seconds: Digits::of_ms(spans.purchase_ms),
        },
        bounds: wire::Counts {
            cards_max: policy.cards_max,
            activation_tries_max: policy.activation_tries_max,
            remembered_max: policy.remembered_max,
            authorizations_max: policy.authorizations_max,
        },
        cards: wire::Cards {
            bin: policy.bin.clone(),
            generation: policy.generation.clone(),
            provider: policy.provider.clone(),
            treasury_address: policy.treasury_address.clone(),
        },
    }
}

fn asset(of: &policy::AssetPolicy) -> wire::Asset {
    wire::Asset {
        code: of.code.to_string(),
        decimals: of.decimals,
        token: of.token.as_ref().map(|token| wire::Token {
            address: token.address.clone(),
            fiat: token.fiat.to_string(),
            rate: Digits::of_factor(token.rate),
        }),
    }
}

fn level(of: &policy::Level) -> wire::Level {
    wire::Level { code: of.code.clone(), rank: of.rank }
}

fn capability(of: &policy::Capability) -> wire::Capability {
    wire::Capability {
        card: card(of.kind),
        level: of.level.clone(),
        countries: of.countries.iter().map(|country| country.as_str().to_owned()).collect(),
        prerequisite: of.prerequisite.map(card),
    }
}

fn programme(of: &policy::Programme, decimals: u8) -> wire::Programme {
    let amount = |amount: Minor| Digits::of_minor(amount, decimals);
    let bounds = |of: policy::Bounds| wire::Bounds { min: amount(of.min), max: amount(of.max) };
    wire::Programme {
        programme: match of.code {
            policy::ProgrammeCode::Dashboard => wire::Code::Dashboard,
            policy::ProgrammeCode::Baas => wire::Code::Baas,
            policy::ProgrammeCode::Mobile => wire::Code::Mobile,
        },
        funding: match of.funding {
            policy::Funding::Prepaid => wire::Funding::Prepaid,
            policy::Funding::Wallet => wire::Funding::Wallet,
        },
        currency: of.currency.to_string(),
        wallet_assets: of.wallet_assets.iter().map(Asset::to_string).collect(),
        needs_capability: of.needs_capability,
        needs_invoice: of.needs_invoice,
        requests_approved: of.requests_approved,
        issue_fee: amount(of.issue_fee),
        issue_service_percent: Digits::of_percent(of.issue_service),
        top_up_service_percent: Digits::of_percent(of.top_up_service),
        initial_balance: of.initial.map(bounds),
        top_up: (of.top_up != ANY_AMOUNT).then(|| bounds(of.top_up)),
        limits: wire::Limits {
            transaction: of.limits.transaction.map(amount),
            daily: of.limits.daily.map(amount),
            monthly: of.limits.monthly.map(amount),
            lifetime: of.limits.lifetime.map(amount),
            no_pin: of.no_pin.map(amount),
        },
    }
}

fn card(kind: policy::CardKind) -> wire::Card {
    match kind {
        policy::CardKind::Virtual => wire::Card::Virtual,
        policy::CardKind::Physical => wire::Card::Physical,
    }
}
