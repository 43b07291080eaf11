//! Events for people and programs: the engine's own readable form, with amounts in their asset's decimals and ciphertexts by
//! their length only; and that as a line of text.
//!
//! Which asset an amount is in is said beside it, around it, or is the card's currency.

use florin_engine::{
    event::Event,
    human,
    money::Asset,
    reject::{Figure, Reject},
    terms::{Decline, Status},
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::decimals::Decimals;
use super::moment;

/// What amounts are told by.
#[derive(Clone, Copy)]
pub(super) struct Teller<'a> {
    pub(super) decimals: &'a Decimals,
    /// Of the card that it is about, where nothing nearer says so.
    pub(super) currency: Option<Asset>,
}

impl Teller<'_> {
    /// An event: its name as `event`, and what it says.
    pub(super) fn event(&self, event: &Event) -> Value {
        let mut told = Map::new();
        told.insert("event".into(), human::snake(event.name()).into());
        match event {
            // Its policy is a file of its own, in the units of one.
            Event::PolicyAdopted(adopted) => {
                told.insert("version".into(), adopted.version.into());
                told.insert("effective_at_ms".into(), adopted.effective_at_ms.into());
            }
            event => {
                if let Ok(Value::Object(body)) = event.serialize_body(serde_json::value::Serializer) {
                    told.extend(self.object(body));
                }
            }
        }
        Value::Object(told)
    }

    /// Anything of the engine that has a readable form.
    pub(super) fn of(&self, value: &impl Serialize) -> Value {
        self.value("", serde_json::to_value(value).unwrap_or_default())
    }

    /// Minor units of the card's currency.
    pub(super) fn amount(&self, minor: i64) -> Value {
        self.money(self.currency, minor)
    }

    /// Minor units of `asset`.
    pub(super) fn money(&self, asset: Option<Asset>, minor: i64) -> Value {
        asset.map_or_else(|| minor.into(), |asset| self.decimals.amount(asset, minor.into()).into())
    }

    /// A decline: its reason, and the figures of its moment.
    pub(super) fn decline(&self, decline: &Decline) -> Value {
        let figures = decline.figures.iter().map(|(figure, value)| {
            let told = match figure {
                Figure::Needed | Figure::Available | Figure::Limit | Figure::Used | Figure::Amount => {
                    self.amount(*value)
                }
                Figure::RetryAt => moment::show(u64::try_from(*value).unwrap_or_default()).into(),
                Figure::Status => match u8::try_from(*value).ok().and_then(Status::from_code) {
                    Some(status) => self.of(&status),
                    None => (*value).into(),
                },
                _ => (*value).into(),
            };
            (human::snake(&format!("{figure:?}")), told)
        });
        serde_json::json!({ "reason": decline.reason.word(), "figures": figures.collect::<Map<_, _>>() })
    }

    fn object(&self, body: Map<String, Value>) -> Map<String, Value> {
        let named = |key: &str| body.get(key).and_then(Value::as_str).and_then(Asset::parse);
        let currency = named("currency").or(self.currency);
        let inner = Self { currency, ..*self };
        let (asset, fiat) = (named("asset").or(currency), named("fiat").or(currency));
        let in_words = body.contains_key("figures");
        let each = body.into_iter().map(|(key, value)| {
            let told = match (key.as_str(), &value) {
                ("amount" | "paid" | "balance", Value::Number(minor)) => inner.number(asset, minor),
                ("fee" | "order_fee" | "delivery_fee", Value::Number(minor)) => inner.number(fiat, minor),
                (
                    "billing" | "initial" | "card_balance" | "wallet_balance" | "no_pin" | "transaction" | "daily"
                    | "monthly" | "lifetime",
                    Value::Number(minor),
                ) => inner.number(currency, minor),
                ("reference" | "profile" | "message" | "address", Value::String(hex)) => sealed(hex),
                ("reason", Value::String(hex)) if !in_words => sealed(hex),
                ("state_hash", Value::Array(bytes)) => hash(bytes),
                (key, _) => inner.value(key, value),
            };
            (key, told)
        });
        each.collect()
    }

    fn number(&self, asset: Option<Asset>, minor: &serde_json::Number) -> Value {
        minor.as_i64().map_or_else(|| minor.clone().into(), |minor| self.money(asset, minor))
    }

    fn value(&self, key: &str, value: Value) -> Value {
        match value {
            Value::Object(body) if key == "decline" => {
                let decline = serde_json::from_value::<Decline>(Value::Object(body.clone()));
                decline.map_or(Value::Object(body), |decline| self.decline(&decline))
            }
            Value::Object(body) => Value::Object(self.object(body)),
            Value::Array(items) => items.into_iter().map(|item| self.value(key, item)).collect(),
            value => value,
        }
    }
}

/// A reject. Its figures are of many kinds, money among them: they stay as they are stored, and are called so.
pub(super) fn reject(reject: &Reject) -> Value {
    let figures =
        reject.figures.iter().map(|(figure, value)| (human::snake(&format!("{figure:?}")), Value::from(*value)));
    serde_json::json!({
        "reason": human::snake(&format!("{:?}", reject.reason)),
        "text": reject.reason.text(),
        "figures_stored": figures.collect::<Map<_, _>>(),
    })
}

fn sealed(hex: &str) -> Value {
    if hex.is_empty() { Value::Null } else { format!("{} bytes sealed", hex.len() / 2).into() }
}

fn hash(bytes: &[Value]) -> Value {
    let bytes: Vec<u8> = bytes.iter().filter_map(|byte| u8::try_from(byte.as_u64()?).ok()).collect();
    human::hex(&bytes).into()
}

/// A told thing as text: fields one after another, those within others in brackets.
pub(super) fn line(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            fields.map(|(key, value)| format!("{key} {}", nested(value))).collect::<Vec<_>>().join(", ")
        }
        Value::Array(items) => items.iter().map(nested).collect::<Vec<_>>().join(", "),
        Value::String(text) => text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect(),
        value => value.to_string(),
    }
}

fn nested(value: &Value) -> String {
    match value {
        Value::Object(_) => format!("({})", line(value)),
        Value::Array(_) => format!("[{}]", line(value)),
        value => line(value),
    }
}

#[cfg(test)]
mod tests {
    use florin_engine::command::Merchant;
    use florin_engine::event::{Authorized, Declined, Deposited, LimitsChanged};
    use florin_engine::holds::Leg;
    use florin_engine::ids::{AuthorizationId, CardId};
    use florin_engine::limits::Limits;
    use florin_engine::money::{Factor, Minor, Sealed};
    use florin_engine::terms::DeclineReason;
    use serde_json::json;

    use super::*;

    fn told(event: impl Into<Event>) -> Value {
        let mut decimals = Decimals::default();
        decimals.set(Asset::USD, 2);
        decimals.set(Asset::parse("WUSD").unwrap(), 6);
        Teller { decimals: &decimals, currency: Some(Asset::USD) }.event(&event.into())
    }

    /// One purchase, drawn from a wallet in another asset: each amount in its own decimals.
    #[test]
    fn amounts_are_in_the_decimals_of_their_asset() {
        let leg = Leg {
            wallet: true,
            asset: Asset::parse("WUSD").unwrap(),
            amount: Minor(1_500_000),
            billing: Minor(150),
            rate: Factor::new("1".parse().unwrap()).unwrap(),
        };
        let authorized = Authorized {
            card: CardId([1; 16]),
            authorization: AuthorizationId([2; 16]),
            amount: Minor(150),
            currency: Asset::USD,
            legs: vec![leg],
            expires_at_ms: 5,
            merchant: Merchant { name: "Books\u{1B}".into(), ..Merchant::default() },
        };
        let told = told(authorized);
        assert_eq!((&told["event"], &told["amount"]), (&json!("authorized"), &json!("1.50")), "{told}");
        assert_eq!((&told["legs"][0]["amount"], &told["legs"][0]["billing"]), (&json!("1.500000"), &json!("1.50")));
        assert_eq!(told["expires_at_ms"], 5, "no amount");
        assert!(line(&told).contains("amount 1.50") && !line(&told).contains('\u{1B}'), "{}", line(&told));
    }

    #[test]
    fn limits_and_declines_are_in_the_cards_currency() {
        let limits = Limits { daily: Some(Minor(60_000)), ..Limits::default() };
        assert_eq!(told(LimitsChanged { card: CardId([1; 16]), limits })["limits"]["daily"], "600.00");
        let figures =
            vec![(Figure::Limit, 60_000), (Figure::Used, 5_001), (Figure::Status, i64::from(Status::Active.code()))];
        let declined = Declined {
            card: CardId([1; 16]),
            authorization: AuthorizationId([2; 16]),
            amount: Minor(55_000),
            currency: Asset::USD,
            decline: Decline { reason: DeclineReason::DailyLimit, figures },
            merchant: Merchant::default(),
        };
        let wanted = json!({
            "reason": "daily_limit", "figures": { "limit": "600.00", "used": "50.01", "status": "active" }
        });
        assert_eq!(told(declined)["decline"], wanted);
    }

    #[test]
    fn ciphertext_is_told_by_its_length() {
        let deposited = |reference| Deposited { asset: Asset::USD, amount: Minor(1), balance: Minor(2), reference };
        assert_eq!(told(deposited(Sealed(vec![7; 12])))["reference"], "12 bytes sealed");
        assert_eq!(told(deposited(Sealed::NONE))["reference"], Value::Null);
    }
}
