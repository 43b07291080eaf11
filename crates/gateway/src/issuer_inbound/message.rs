//! Network messages: from the fields of a body to the engine's commands, the same for the issuer and the sandbox.
//!
//! Amounts are in the card's currency, as the issuer supplies the billing amount (lifecycle.md, Accounts and postings).

use florin_engine::{
    command::{Authorize, Clear, Command, ExpireHold, ForcePost, Increment, Merchant, Refund, Reverse},
    ids::{AccountId, AuthorizationId, CardId, Key, Kind, mint},
    money::{Asset, Country, Minor, TEXT_BYTES_MAX, Text},
};

use crate::http::{
    idempotency::Content,
    json::Fields,
    problem::{Fault, Problem},
};

/// Most characters of the network's own id of a message or authorization.
pub const NETWORK_ID_MAX: usize = 255;

/// The card that a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whose.
    pub account: AccountId,
    /// The card.
    pub card: CardId,
    /// Its billing currency.
    pub currency: Asset,
    /// Decimals of that.
    pub decimals: u8,
}

/// What a message asks for, without the card and the authorization it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Approve or decline.
    Authorize {
        /// How much; zero is a check of the account.
        amount: Minor,
        /// Where.
        merchant: Merchant,
        /// Whether the card itself was there.
        card_present: bool,
        /// Whether a PIN was given.
        pin_entered: bool,
    },
    /// Raise the hold.
    Increment {
        /// By how much.
        amount: Minor,
    },
    /// Post what was held.
    Clear {
        /// How much; `None`: what is still held.
        amount: Option<Minor>,
        /// Whether the rest is released.
        last: bool,
    },
    /// Release what was held.
    Reverse {
        /// How much; `None`: all.
        amount: Option<Minor>,
    },
    /// Let the hold expire now; the sandbox only.
    Expire,
    /// Give back what was cleared, or credit without a purchase.
    Refund {
        /// How much; `None`: what is not yet refunded.
        amount: Option<Minor>,
        /// Where.
        merchant: Merchant,
    },
    /// Post without a hold.
    ForcePost {
        /// How much.
        amount: Minor,
        /// Where.
        merchant: Merchant,
    },
}

impl Message {
    /// `{amount, currency?, merchant?, mcc?, country?, card_present?, pin_entered?}`.
    pub fn authorize(body: &Fields<'_>, target: &Target) -> Result<Self, Problem> {
        expect_currency(body, target)?;
        Ok(Self::Authorize {
            amount: body.amount("amount", target.decimals)?,
            merchant: merchant(body)?,
            card_present: body.flag_if("card_present")?.unwrap_or(false),
            pin_entered: body.flag_if("pin_entered")?.unwrap_or(false),
        })
    }

    /// `{amount}`.
    pub fn increment(body: &Fields<'_>, target: &Target) -> Result<Self, Problem> {
        expect_currency(body, target)?;
        Ok(Self::Increment { amount: body.amount("amount", target.decimals)? })
    }

    /// `{amount?, final?}`. Without an amount it is final unless it says otherwise, with one it is not unless it says so.
    pub fn clear(body: &Fields<'_>, target: &Target) -> Result<Self, Problem> {
        expect_currency(body, target)?;
        let amount = body.amount_if("amount", target.decimals)?;
        Ok(Self::Clear { amount, last: body.flag_if("final")?.unwrap_or(amount.is_none()) })
    }

    /// `{amount?}`.
    pub fn reverse(body: &Fields<'_>, target: &Target) -> Result<Self, Problem> {
        expect_currency(body, target)?;
        Ok(Self::Reverse { amount: body.amount_if("amount", target.decimals)? })
    }

    /// `{amount?, merchant?, mcc?, country?}`; a refund without a purchase must name its amount.
    pub fn refund(body: &Fields<'_>, target: &Target, linked: bool) -> Result<Self, Problem> {
        expect_currency(body, target)?;
        let amount = body.amount_if("amount", target.decimals)?;
        if amount.is_none() && !linked {
            return Err(Problem::missing("amount"));
        }
        Ok(Self::Refund { amount, merchant: merchant(body)? })
    }

    /// `{amount, merchant?, mcc?, country?}`.
    pub fn force_post(body: &Fields<'_>, target: &Target) -> Result<Self, Problem> {
        expect_currency(body, target)?;
        Ok(Self::ForcePost { amount: body.amount("amount", target.decimals)?, merchant: merchant(body)? })
    }

    /// The command for a card and an authorization (nil: a refund without a purchase).
    pub fn command(self, target: &Target, authorization: AuthorizationId) -> Command {
        let card = target.card;
        match self {
            Self::Authorize { amount, merchant, card_present, pin_entered } => Authorize {
                card,
                authorization,
                amount,
                currency: target.currency,
                merchant,
                card_present,
                pin_entered,
            }
            .into(),
            Self::Increment { amount } => Increment { card, authorization, amount }.into(),
            Self::Clear { amount, last } => Clear { card, authorization, amount, last }.into(),
            Self::Reverse { amount } => Reverse { card, authorization, amount }.into(),
            Self::Expire => ExpireHold { card, authorization }.into(),
            Self::Refund { amount, merchant } => Refund { card, authorization, amount, merchant }.into(),
            Self::ForcePost { amount, merchant } => ForcePost { card, authorization, amount, merchant }.into(),
        }
    }

    /// Whether it names no amount, and so is about all that there is.
    pub const fn asks_for_all(&self) -> bool {
        matches!(
            self,
            Self::Clear { amount: None, .. } | Self::Reverse { amount: None } | Self::Refund { amount: None, .. }
        )
    }

    /// The route's name, which scopes idempotency keys.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Authorize { .. } => "authorize",
            Self::Increment { .. } => "increment",
            Self::Clear { .. } => "clear",
            Self::Reverse { .. } => "reverse",
            Self::Expire => "expire",
            Self::Refund { .. } => "refund",
            Self::ForcePost { .. } => "force_post",
        }
    }

    /// What a repeated message must say again.
    pub fn content(&self, api: &'static str, target: &Target, authorization: AuthorizationId) -> Content {
        let content = Content::of(api, self.name()).with("card", target.card.0).with("authorization", authorization.0);
        let optional = |content: Content, amount: &Option<Minor>| match amount {
            Some(amount) => content.amount("amount", *amount),
            None => content,
        };
        match self {
            Self::Authorize { amount, merchant, card_present, pin_entered } => {
                with_merchant(content.amount("amount", *amount), merchant)
                    .with("card_present", [u8::from(*card_present)])
                    .with("pin_entered", [u8::from(*pin_entered)])
            }
            Self::Increment { amount } => content.amount("amount", *amount),
            Self::Clear { amount, last } => optional(content, amount).with("final", [u8::from(*last)]),
            Self::Reverse { amount } => optional(content, amount),
            Self::Expire => content,
            Self::Refund { amount, merchant } => with_merchant(optional(content, amount), merchant),
            Self::ForcePost { amount, merchant } => with_merchant(content.amount("amount", *amount), merchant),
        }
    }
}

/// The id of the authorization that the network knows as `id`. A reversal that comes before its authorization mints the
/// same, which is how the two meet.
pub fn authorization_of(account: AccountId, api: &'static str, id: &str) -> AuthorizationId {
    AuthorizationId(mint(account, network_key(account, api, "authorization", id), Kind::Authorization))
}

/// The idempotency key of a message that has an id of the network's own.
pub fn network_key(account: AccountId, api: &'static str, scope: &'static str, id: &str) -> Key {
    Key::of(account, format!("{api}|{scope}|{id}").as_bytes())
}

/// A network's id of a message or authorization: 1–255 visible ASCII characters.
pub fn network_id<'a>(body: &Fields<'a>, field: &'static str) -> Result<Option<std::borrow::Cow<'a, str>>, Problem> {
    let id = body.text_if(field)?;
    if let Some(id) = &id {
        let fits = (1..=NETWORK_ID_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
        if !fits {
            let fault = Fault::Form("1 to 255 visible ASCII characters");
            return Err(body.fault(field, fault));
        }
    }
    Ok(id)
}

fn expect_currency(body: &Fields<'_>, target: &Target) -> Result<(), Problem> {
    match body.text_if("currency")? {
        Some(currency) if currency != target.currency.as_str() => {
            Err(body.fault("currency", Fault::Form("the card's own currency")))
        }
        _ => Ok(()),
    }
}

fn merchant(body: &Fields<'_>) -> Result<Merchant, Problem> {
    let name: Text = match body.text_if("merchant")? {
        Some(name) if name.len() > TEXT_BYTES_MAX || name.chars().any(char::is_control) => {
            let fault = Fault::Form("at most 64 bytes without control characters");
            return Err(body.fault("merchant", fault));
        }
        name => name.unwrap_or_default().into_owned(),
    };
    // The code is written as a number or, as it may begin with a zero, as a string.
    let mcc = body.given("mcc")?.map(|raw| raw.trim_matches('"'));
    let mcc = match mcc {
        None => 0,
        Some(digits) if (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().unwrap_or(0)
        }
        Some(_) => return Err(body.fault("mcc", Fault::Form("a code of 1 to 4 digits"))),
    };
    let country = match body.text_if("country")? {
        None => Country::NONE,
        Some(code) => {
            Country::parse(&code).ok_or_else(|| body.fault("country", Fault::Form("two upper-case letters")))?
        }
    };
    Ok(Merchant { name, mcc, country })
}

fn with_merchant(content: Content, merchant: &Merchant) -> Content {
    content
        .with("merchant", merchant.name.as_bytes())
        .with("mcc", merchant.mcc.to_le_bytes())
        .with("country", merchant.country.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target { account: AccountId([1; 16]), card: CardId([2; 16]), currency: Asset::USD, decimals: 2 }
    }

    fn body(text: &str) -> Fields<'_> {
        Fields::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn an_authorization_is_read_with_its_merchant() {
        let text =
            r#"{"amount":12.50,"currency":"USD","merchant":"Café","mcc":"0742","country":"GB","card_present":true}"#;
        let message = Message::authorize(&body(text), &target()).unwrap();
        let Command::Authorize(command) = message.command(&target(), AuthorizationId([3; 16])) else {
            panic!("an authorization");
        };
        assert_eq!(command.amount, Minor(1_250));
        assert_eq!((command.merchant.name.as_str(), command.merchant.mcc), ("Café", 742));
        assert_eq!(command.merchant.country.as_str(), "GB");
        assert!(command.card_present && !command.pin_entered);
    }

    #[test]
    fn a_clearing_is_final_by_default_only_without_an_amount() {
        for (text, last) in [
            ("{}", true),
            (r#"{"amount":1}"#, false),
            (r#"{"amount":1,"final":true}"#, true),
            (r#"{"final":false}"#, false),
        ] {
            let Ok(Message::Clear { last: found, .. }) = Message::clear(&body(text), &target()) else {
                panic!("a clearing");
            };
            assert_eq!(found, last, "{text}");
        }
    }

    #[test]
    fn what_is_out_of_form_names_the_field() {
        let long = format!(r#"{{"amount":1,"merchant":"{}"}}"#, "x".repeat(65));
        for (text, field) in [
            ("{}", "amount"),
            (r#"{"amount":"1e3"}"#, "amount"),
            (r#"{"amount":-1}"#, "amount"),
            (r#"{"amount":1,"currency":"EUR"}"#, "currency"),
            (long.as_str(), "merchant"),
            (r#"{"amount":1,"mcc":12345}"#, "mcc"),
            (r#"{"amount":1,"mcc":-1}"#, "mcc"),
            (r#"{"amount":1,"country":"gb"}"#, "country"),
            (r#"{"amount":1,"card_present":"yes"}"#, "card_present"),
        ] {
            match Message::authorize(&body(text), &target()) {
                Err(Problem::Field { field: named, .. }) => assert_eq!(named, field),
                other => panic!("{text}: {other:?}"),
            }
        }
        let unlinked = Message::refund(&body("{}"), &target(), false);
        assert_eq!(unlinked, Err(Problem::missing("amount")));
    }

    #[test]
    fn the_network_id_decides_the_authorization() {
        let account = AccountId::from_pseudonym([9; 16], 4);
        let one = authorization_of(account, "sandbox", "a-1");
        assert_eq!(one, authorization_of(account, "sandbox", "a-1"));
        assert_ne!(one, authorization_of(account, "sandbox", "a-2"));
        assert_ne!(one, authorization_of(account, "issuer", "a-1"));
        assert_eq!(one.partition(), account.partition());
    }

    #[test]
    fn two_messages_that_say_the_same_have_the_same_content() {
        let nil = AuthorizationId::NIL;
        let content = |text: &str| {
            Message::authorize(&body(text), &target()).unwrap().content("sandbox", &target(), nil).bytes().to_vec()
        };
        let one = content(r#"{"amount":10,"merchant":"A"}"#);
        assert_eq!(one, content(r#"{"merchant":"A","amount":"10.00","currency":"USD"}"#));
        assert_ne!(one, content(r#"{"amount":10.01,"merchant":"A"}"#));
        assert_ne!(one, content(r#"{"amount":10,"merchant":"B"}"#));
        assert_ne!(one, content(r#"{"amount":10,"merchant":"A","pin_entered":true}"#));
    }
}
