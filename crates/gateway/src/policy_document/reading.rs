//! From the document to the policy, by hand.

use florin_engine::{
    limits,
    money::{Asset, Country, Factor, Minor},
    policy::{self, Policy},
};

use super::{digits::Digits, wire};

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) path: String,
    pub(super) reason: String,
}

type Result<T> = std::result::Result<T, Wrong>;

/// An amount's bounds where the document names none.
pub(super) const ANY_AMOUNT: policy::Bounds = policy::Bounds { min: Minor(1), max: Minor::MAX };

/// Most bytes of a free text that is shown to users.
const TEXT_BYTES_MAX: usize = 64;

pub(super) fn policy(document: &wire::Document) -> Result<Policy> {
    let assets = each("assets", &document.assets, asset)?;
    let fee_currency = code("fee_currency", &document.fee_currency)?;
    let fee_decimals = decimals(&assets, "fee_currency", fee_currency)?;
    let spans = &document.spans;
    let policy = Policy {
        rules: document.rules,
        levels: each("levels", &document.levels, level)?,
        capabilities: each("capabilities", &document.capabilities, capability)?,
        programmes: each("programmes", &document.programmes, |path, of| programme(path, of, &assets))?,
        fee_currency,
        order_fees: each("order_fees", &document.order_fees, |path, of| {
            Ok(policy::OrderFee {
                kind: kind(of.card),
                country: country(&at(path, "country"), &of.country)?,
                fee: minor(&at(path, "fee"), &of.fee, fee_decimals)?,
            })
        })?,
        deliveries: each("deliveries", &document.deliveries, |path, of| {
            Ok(policy::Delivery {
                provider: text(&at(path, "provider"), &of.provider)?,
                country: country(&at(path, "country"), &of.country)?,
                fee: minor(&at(path, "fee"), &of.fee, fee_decimals)?,
            })
        })?,
        spans: policy::Spans {
            change_ms: span("spans.change_seconds", &spans.change_seconds)?,
            issuance_ms: span("spans.issuance_seconds", &spans.issuance_seconds)?,
            hold_ms: span("spans.hold_seconds", &spans.hold_seconds)?,
            invoice_ms: span("spans.invoice_seconds", &spans.invoice_seconds)?,
            purchase_ms: span("spans.purchase_seconds", &spans.purchase_seconds)?,
        },
        cards_max: document.bounds.cards_max,
        activation_tries_max: document.bounds.activation_tries_max,
        remembered_max: document.bounds.remembered_max,
        authorizations_max: document.bounds.authorizations_max,
        bin: document.cards.bin.clone(),
        generation: text("cards.generation", &document.cards.generation)?,
        provider: text("cards.provider", &document.cards.provider)?,
        treasury_address: address("cards.treasury_address", &document.cards.treasury_address)?,
        assets,
    };
    policy.check().map_err(|error| unworkable(&policy, &error))?;
    Ok(policy)
}

/// Where in the document the engine's refusal points.
fn unworkable(policy: &Policy, error: &policy::Error) -> Wrong {
    use policy::Error;
    // The second of two that have the same name: the later is the one too many.
    let last = |list: &str, index: Option<usize>| match index {
        Some(index) => format!("{list}[{index}]"),
        None => list.to_owned(),
    };
    let (path, reason) = match error {
        Error::Rules(_) => ("rules".to_owned(), error.to_string()),
        Error::Asset { asset, reason } => {
            let index = policy.assets.iter().rposition(|one| one.code == *asset);
            (last("assets", index), (*reason).to_owned())
        }
        Error::Programme { programme, reason } => {
            let index = policy.programmes.iter().rposition(|one| one.code == *programme);
            (last("programmes", index), (*reason).to_owned())
        }
        Error::Capability { kind, reason } => {
            let index = policy.capabilities.iter().rposition(|one| one.kind == *kind);
            (last("capabilities", index), (*reason).to_owned())
        }
        Error::Field { field, reason } => {
            let path = match *field {
                "bin" => "cards.bin",
                many if many.contains(',') => "bounds",
                one => one,
            };
            (path.to_owned(), (*reason).to_owned())
        }
    };
    Wrong { path, reason }
}

fn asset(path: &str, of: &wire::Asset) -> Result<policy::AssetPolicy> {
    let token = of.token.as_ref().map(|token| {
        let path = at(path, "token");
        Ok(policy::Token {
            address: address(&at(&path, "address"), &token.address)?,
            fiat: code(&at(&path, "fiat"), &token.fiat)?,
            rate: factor(&at(&path, "rate"), &token.rate)?,
        })
    });
    Ok(policy::AssetPolicy {
        code: code(&at(path, "code"), &of.code)?,
        decimals: of.decimals,
        token: token.transpose()?,
    })
}

fn level(path: &str, of: &wire::Level) -> Result<policy::Level> {
    if of.rank == 0 {
        return wrong(&at(path, "rank"), "must be at least 1");
    }
    Ok(policy::Level { code: text(&at(path, "type"), &of.code)?, rank: of.rank })
}

fn capability(path: &str, of: &wire::Capability) -> Result<policy::Capability> {
    Ok(policy::Capability {
        kind: kind(of.card),
        level: of.level.clone(),
        countries: each(&at(path, "countries"), &of.countries, |path, of| country(path, of))?,
        prerequisite: of.prerequisite.map(kind),
    })
}

fn programme(path: &str, of: &wire::Programme, assets: &[policy::AssetPolicy]) -> Result<policy::Programme> {
    let currency_at = at(path, "currency");
    let currency = code(&currency_at, &of.currency)?;
    let decimals = decimals(assets, &currency_at, currency)?;
    let amount = |name: &str, digits: &Digits| minor(&at(path, name), digits, decimals);
    let bounds = |name: &str, bounds: &wire::Bounds| {
        Ok(policy::Bounds { min: amount(&at(name, "min"), &bounds.min)?, max: amount(&at(name, "max"), &bounds.max)? })
    };
    let limit = |name: &str, digits: &Option<Digits>| {
        let name = at("limits", name);
        digits.as_ref().map(|digits| amount(&name, digits)).transpose()
    };
    let percent = |name: &str, digits: &Digits| digits.percent().or_else(|reason| wrong(&at(path, name), reason));
    let initial = of.initial_balance.as_ref();
    let top_up = of.top_up.as_ref();
    Ok(policy::Programme {
        code: match of.programme {
            wire::Code::Dashboard => policy::ProgrammeCode::Dashboard,
            wire::Code::Baas => policy::ProgrammeCode::Baas,
            wire::Code::Mobile => policy::ProgrammeCode::Mobile,
        },
        funding: match of.funding {
            wire::Funding::Prepaid => policy::Funding::Prepaid,
            wire::Funding::Wallet => policy::Funding::Wallet,
        },
        currency,
        wallet_assets: each(&at(path, "wallet_assets"), &of.wallet_assets, |path, of| code(path, of))?,
        needs_capability: of.needs_capability,
        needs_invoice: of.needs_invoice,
        issue_fee: amount("issue_fee", &of.issue_fee)?,
        issue_service: percent("issue_service_percent", &of.issue_service_percent)?,
        top_up_service: percent("top_up_service_percent", &of.top_up_service_percent)?,
        initial: initial.map(|of| bounds("initial_balance", of)).transpose()?,
        top_up: match top_up {
            Some(of) => bounds("top_up", of)?,
            None => ANY_AMOUNT,
        },
        limits: limits::Limits {
            transaction: limit("transaction", &of.limits.transaction)?,
            daily: limit("daily", &of.limits.daily)?,
            monthly: limit("monthly", &of.limits.monthly)?,
            lifetime: limit("lifetime", &of.limits.lifetime)?,
        },
        no_pin: limit("no_pin", &of.limits.no_pin)?,
        requests_approved: of.requests_approved,
    })
}

fn kind(card: wire::Card) -> policy::CardKind {
    match card {
        wire::Card::Virtual => policy::CardKind::Virtual,
        wire::Card::Physical => policy::CardKind::Physical,
    }
}

fn at(path: &str, field: &str) -> String {
    format!("{path}.{field}")
}

fn wrong<T>(path: &str, reason: impl Into<String>) -> Result<T> {
    Err(Wrong { path: path.to_owned(), reason: reason.into() })
}

fn each<W, T>(path: &str, list: &[W], read: impl Fn(&str, &W) -> Result<T>) -> Result<Vec<T>> {
    list.iter().enumerate().map(|(index, one)| read(&format!("{path}[{index}]"), one)).collect()
}

fn code(path: &str, code: &str) -> Result<Asset> {
    Asset::parse(code).map_or_else(|| wrong(path, "must be 1-8 upper-case letters or digits"), Ok)
}

fn decimals(assets: &[policy::AssetPolicy], path: &str, code: Asset) -> Result<u8> {
    let asset = assets.iter().find(|asset| asset.code == code);
    asset.map_or_else(|| wrong(path, format!("{code} is not an asset of the policy")), |asset| Ok(asset.decimals))
}

fn country(path: &str, code: &str) -> Result<Country> {
    Country::parse(code).map_or_else(|| wrong(path, "must be two upper-case letters"), Ok)
}

fn minor(path: &str, digits: &Digits, decimals: u8) -> Result<Minor> {
    digits.minor(decimals).or_else(|reason| wrong(path, reason))
}

fn factor(path: &str, digits: &Digits) -> Result<Factor> {
    digits.factor().or_else(|reason| wrong(path, reason))
}

fn span(path: &str, digits: &Digits) -> Result<u64> {
    digits.ms().or_else(|reason| wrong(path, reason))
}

fn text(path: &str, text: &str) -> Result<String> {
    let fits = !text.is_empty() && text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { wrong(path, "must be 1-64 bytes of text without control characters") }
}

fn address(path: &str, address: &str) -> Result<String> {
    let digits = address.strip_prefix("0x").unwrap_or_default();
    if digits.len() == 40 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        Ok(address.to_owned())
    } else {
        wrong(path, "must be 0x and 40 hex digits")
    }
}
