//! Policy: fees, limits, rates, capabilities and programmes, as state.
//!
//! A policy is adopted by a command, partition by partition, in order of version, and every entry names the version it
//! was decided under. [`Policy::check`] refuses a document that could not be decided under.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::money::{Asset, Country, DECIMALS_MAX, Exchange, Factor, Minor};

/// The newest released set of rules; a policy that names a higher one is refused, and a partition under one is not owned.
pub const RULES_LATEST: u32 = 1;

/// What a card was issued under; decides fees, funding and capability rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ProgrammeCode {
    /// The dashboard API's programme.
    Dashboard = 1,
    /// The BaaS API's programme.
    Baas = 2,
    /// The mobile API's programme.
    Mobile = 3,
}

/// Virtual or physical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CardKind {
    /// A number only; activated by the system.
    Virtual = 1,
    /// A plastic card that is delivered and then activated.
    Physical = 2,
}

/// Where a card's money lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Funding {
    /// The card's own balance.
    Prepaid = 1,
    /// The user's wallets, in the policy's order.
    Wallet = 2,
}

crate::codes! { ProgrammeCode: 1 Dashboard, 2 Baas, 3 Mobile }
crate::codes! { CardKind: 1 Virtual, 2 Physical }
crate::codes! { Funding: 1 Prepaid, 2 Wallet }

/// Inclusive bounds of an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Smallest amount allowed.
    pub min: Minor,
    /// Largest amount allowed.
    pub max: Minor,
}

/// An asset that wallets may hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetPolicy {
    /// Its code.
    pub code: Asset,
    /// Its decimals, at most 8.
    pub decimals: u8,
    /// For a token: its fiat, and how much of it one token is worth.
    pub token: Option<Token>,
}

/// What makes an asset a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The contract address, `0x` and 40 hex digits.
    pub address: String,
    /// The fiat it is quoted in.
    pub fiat: Asset,
    /// Fiat for one token.
    pub rate: Factor,
}

/// A verification level; higher ranks satisfy lower ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// Its type, such as `SDD`.
    pub code: String,
    /// Its rank, from 1.
    pub rank: u8,
}

/// What a user needs for a kind of card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capability {
    /// The kind of card.
    pub kind: CardKind,
    /// The level needed.
    pub level: String,
    /// Countries it is available in; empty: all.
    pub countries: Vec<Country>,
    /// The kind whose capability must be active first.
    pub prerequisite: Option<CardKind>,
}

/// A programme's fees and rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Programme {
    /// Which one.
    pub code: ProgrammeCode,
    /// How its cards are funded.
    pub funding: Funding,
    /// The billing currency of its cards.
    pub currency: Asset,
    /// For wallet-funded cards: assets drawn on, in this order.
    pub wallet_assets: Vec<Asset>,
    /// Whether issuing needs the capability Active.
    pub needs_capability: bool,
    /// Whether issuing needs an invoice of order and delivery fees.
    pub needs_invoice: bool,
    /// Fixed fee on issue.
    pub issue_fee: Minor,
    /// Service fee on the initial balance, as a fraction.
    pub issue_service: Factor,
    /// Service fee on top-ups, as a fraction.
    pub top_up_service: Factor,
    /// Bounds of the initial balance; `None`: cards begin empty.
    pub initial: Option<Bounds>,
    /// Bounds of a top-up.
    pub top_up: Bounds,
    /// Limits that a card of this programme begins with.
    pub limits: crate::limits::Limits,
    /// No-PIN amount that a card begins with.
    pub no_pin: Option<Minor>,
    /// Whether a card request is approved at once by policy.
    pub requests_approved: bool,
}

/// An order fee for a kind of card in a country.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderFee {
    /// The kind of card.
    pub kind: CardKind,
    /// The country.
    pub country: Country,
    /// The fee in [`Policy::fee_currency`].
    pub fee: Minor,
}

/// A way of delivering plastic cards to a country.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The courier.
    pub provider: String,
    /// The country.
    pub country: Country,
    /// The fee in [`Policy::fee_currency`].
    pub fee: Minor,
}

/// Spans of time, all in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spans {
    /// How long a status or limit change may stay unsettled [10 min].
    pub change_ms: u64,
    /// How long an issuance may stay unsettled.
    pub issuance_ms: u64,
    /// How long a hold lives [7 days].
    pub hold_ms: u64,
    /// How long an invoice lives [15 min].
    pub invoice_ms: u64,
    /// How long a closed authorization is remembered, for linked refunds.
    pub purchase_ms: u64,
}

/// Everything a decision depends on beside the account itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The set of rules it is decided by, 1 to [`RULES_LATEST`].
    pub rules: u32,
    /// Assets.
    pub assets: Vec<AssetPolicy>,
    /// Verification levels.
    pub levels: Vec<Level>,
    /// Capabilities.
    pub capabilities: Vec<Capability>,
    /// Programmes.
    pub programmes: Vec<Programme>,
    /// Fiat that order and delivery fees are quoted in.
    pub fee_currency: Asset,
    /// Order fees.
    pub order_fees: Vec<OrderFee>,
    /// Deliveries.
    pub deliveries: Vec<Delivery>,
    /// Spans of time.
    pub spans: Spans,
    /// Cards that are neither Cancelled nor Expired a user may have, requests included (demo: 5).
    pub cards_max: u16,
    /// Wrong activation tries that block a card (demo: 5).
    pub activation_tries_max: u8,
    /// Remembered outcomes an account may have at a time.
    pub remembered_max: u32,
    /// Holds and remembered authorizations an account may have at a time.
    pub authorizations_max: u32,
    /// First six digits of the cards' numbers, as shown before activation.
    pub bin: String,
    /// Shown as the card's generation.
    pub generation: String,
    /// Shown as the card's provider.
    pub provider: String,
    /// Where invoices are paid to.
    pub treasury_address: String,
}

/// Why a policy is refused; names the part that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// Rules this binary does not have.
    #[error("rules {0} are not known here, the latest are {RULES_LATEST}")]
    Rules(u32),
    /// An asset out of bounds.
    #[error("asset {asset}: {reason}")]
    Asset {
        /// Which.
        asset: Asset,
        /// What is wrong.
        reason: &'static str,
    },
    /// A programme that cannot work.
    #[error("programme {programme:?}: {reason}")]
    Programme {
        /// Which.
        programme: ProgrammeCode,
        /// What is wrong.
        reason: &'static str,
    },
    /// A capability that cannot work.
    #[error("capability for {kind:?} cards: {reason}")]
    Capability {
        /// Which.
        kind: CardKind,
        /// What is wrong.
        reason: &'static str,
    },
    /// A single value out of bounds.
    #[error("{field}: {reason}")]
    Field {
        /// Which.
        field: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
}

impl Policy {
    /// The asset, if the policy knows it.
    pub fn asset(&self, code: Asset) -> Option<&AssetPolicy> {
        self.assets.iter().find(|asset| asset.code == code)
    }

    /// The programme, if the policy knows it.
    pub fn programme(&self, code: ProgrammeCode) -> Option<&Programme> {
        self.programmes.iter().find(|programme| programme.code == code)
    }

    /// The capability for a kind of card.
    pub fn capability(&self, kind: CardKind) -> Option<&Capability> {
        self.capabilities.iter().find(|capability| capability.kind == kind)
    }

    /// The rank of a level; `None` where the policy does not know it.
    pub fn rank(&self, level: &str) -> Option<u8> {
        self.levels.iter().find(|known| known.code == level).map(|known| known.rank)
    }

    /// The order fee for a kind in a country.
    pub fn order_fee(&self, kind: CardKind, country: Country) -> Option<Minor> {
        self.order_fees.iter().find(|fee| fee.kind == kind && fee.country == country).map(|fee| fee.fee)
    }

    /// The fee of a provider in a country.
    pub fn delivery_fee(&self, provider: &str, country: Country) -> Option<Minor> {
        self.deliveries.iter().find(|way| way.provider == provider && way.country == country).map(|way| way.fee)
    }

    /// How `asset` converts to `fiat`: at its own rate for a token of it, one to one for the fiat itself.
    pub fn exchange(&self, asset: Asset, fiat: Asset) -> Option<Exchange> {
        let known = self.asset(asset)?;
        let fiat_decimals = self.asset(fiat)?.decimals;
        let rate = match &known.token {
            _ if asset == fiat => Factor::ONE,
            Some(token) if token.fiat == fiat => token.rate,
            _ => return None,
        };
        Some(Exchange { rate, token_decimals: known.decimals, fiat_decimals })
    }

    /// Refuses to follow `before` where that would leave money without its measure, or cards without their programme: an
    /// asset keeps its decimals and its fiat, a programme its funding and currency, and neither is taken away.
    pub fn follows(&self, before: &Self) -> Result<(), Error> {
        let fiat = |asset: &AssetPolicy| asset.token.as_ref().map(|token| token.fiat);
        for asset in &before.assets {
            let same =
                self.asset(asset.code).is_some_and(|now| now.decimals == asset.decimals && fiat(now) == fiat(asset));
            if !same {
                let reason = "taken away, or with other decimals or another fiat than the policy before it has";
                return Err(Error::Asset { asset: asset.code, reason });
            }
        }
        for programme in &before.programmes {
            let same = self
                .programme(programme.code)
                .is_some_and(|now| now.funding == programme.funding && now.currency == programme.currency);
            if !same {
                let reason = "taken away, or with another funding or currency than the policy before it has";
                return Err(Error::Programme { programme: programme.code, reason });
            }
        }
        Ok(())
    }

    /// Refuses what could not be decided under.
    pub fn check(&self) -> Result<(), Error> {
        if self.rules == 0 || self.rules > RULES_LATEST {
            return Err(Error::Rules(self.rules));
        }
        self.check_assets()?;
        for (n, programme) in self.programmes.iter().enumerate() {
            self.check_programme(n, programme)?;
        }
        self.check_capabilities()?;
        self.check_fields()
    }

    fn check_assets(&self) -> Result<(), Error> {
        for (n, asset) in self.assets.iter().enumerate() {
            let wrong = |reason| Err(Error::Asset { asset: asset.code, reason });
            if asset.decimals > DECIMALS_MAX {
                return wrong("more than 8 decimals");
            }
            if self.assets[..n].iter().any(|other| other.code == asset.code) {
                return wrong("named twice");
            }
            let Some(token) = &asset.token else { continue };
            if token.rate.is_zero() {
                return wrong("a token's rate must be above zero");
            }
            if self.asset(token.fiat).is_none_or(|fiat| fiat.token.is_some()) {
                return wrong("its fiat is not an asset of the policy");
            }
        }
        Ok(())
    }

    fn check_programme(&self, n: usize, programme: &Programme) -> Result<(), Error> {
        let wrong = |reason| Err(Error::Programme { programme: programme.code, reason });
        if self.programmes[..n].iter().any(|other| other.code == programme.code) {
            return wrong("named twice");
        }
        if self.asset(programme.currency).is_none_or(|asset| asset.token.is_some()) {
            return wrong("its currency is not a fiat asset of the policy");
        }
        let fees_off = programme.issue_fee.is_zero() && programme.issue_service.is_zero();
        match programme.funding {
            Funding::Wallet if programme.wallet_assets.is_empty() => {
                return wrong("wallet-funded, but names no wallet assets");
            }
            Funding::Wallet if programme.initial.is_some() || !fees_off => {
                return wrong("wallet-funded cards have no initial balance and no issue fees, only invoices");
            }
            Funding::Prepaid if programme.needs_invoice => {
                return wrong("prepaid cards take their fees at issue, not by invoice");
            }
            _ => {}
        }
        for (n, asset) in programme.wallet_assets.iter().enumerate() {
            if programme.wallet_assets[..n].contains(asset) {
                return wrong("a wallet asset is named twice");
            }
            if self.exchange(*asset, programme.currency).is_none() {
                return wrong("a wallet asset has no rate to the card's currency");
            }
        }
        let bounds = programme.initial.iter().chain([&programme.top_up]);
        if bounds.into_iter().any(|bounds| !bounds.min.is_positive() || bounds.max < bounds.min) {
            return wrong("bounds must be above zero, the smaller first");
        }
        let limits =
            [programme.limits.transaction, programme.limits.daily, programme.limits.monthly, programme.limits.lifetime];
        if programme.issue_fee.is_negative()
            || limits.into_iter().chain([programme.no_pin]).flatten().any(Minor::is_negative)
        {
            return wrong("fees and limits must not be negative");
        }
        Ok(())
    }

    fn check_capabilities(&self) -> Result<(), Error> {
        for (n, capability) in self.capabilities.iter().enumerate() {
            let wrong = |reason| Err(Error::Capability { kind: capability.kind, reason });
            if self.capabilities[..n].iter().any(|other| other.kind == capability.kind) {
                return wrong("named twice");
            }
            if self.rank(&capability.level).is_none() {
                return wrong("its level is not a level of the policy");
            }
            if capability.prerequisite == Some(capability.kind) {
                return wrong("it is its own prerequisite");
            }
        }
        let circle = self.capabilities.iter().any(|one| {
            one.prerequisite
                .and_then(|kind| self.capability(kind))
                .is_some_and(|other| other.prerequisite == Some(one.kind))
        });
        if circle {
            return Err(Error::Field { field: "capabilities", reason: "each is the other's prerequisite" });
        }
        Ok(())
    }

    fn check_fields(&self) -> Result<(), Error> {
        let wrong = |field, reason| Err(Error::Field { field, reason });
        if self.asset(self.fee_currency).is_none_or(|asset| asset.token.is_some()) {
            return wrong("fee_currency", "not a fiat asset of the policy");
        }
        if self.order_fees.iter().any(|fee| fee.fee.is_negative()) {
            return wrong("order_fees", "a fee must not be negative");
        }
        if self.deliveries.iter().any(|way| way.fee.is_negative() || way.provider.is_empty() || way.provider.len() > 64)
        {
            return wrong("deliveries", "a fee must not be negative, a provider has 1-64 bytes");
        }
        let spans = self.spans;
        let all = [spans.change_ms, spans.issuance_ms, spans.hold_ms, spans.invoice_ms, spans.purchase_ms];
        const TEN_YEARS_MS: u64 = 10 * 366 * 86_400_000;
        if all.iter().any(|span| *span == 0 || *span > TEN_YEARS_MS) {
            return wrong("spans", "a span is 1 ms to 10 years");
        }
        if self.cards_max == 0
            || self.activation_tries_max == 0
            || self.remembered_max == 0
            || self.authorizations_max == 0
        {
            return wrong("cards_max, activation_tries_max, remembered_max, authorizations_max", "must be at least 1");
        }
        if self.bin.len() != 6 || !self.bin.bytes().all(|digit| digit.is_ascii_digit()) {
            return wrong("bin", "must be 6 digits");
        }
        Ok(())
    }
}
