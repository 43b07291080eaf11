//! What the sandbox stores, as JSON of version 1: cards and requests. No secret is in the clear, no personal data is kept.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{CardStatus, Error, Expiry, Issued, Kind, Limits, Refusal, hex};

const VERSION: u8 = 1;

/// A card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Card {
    pub(crate) request_id: Uuid,
    pub(crate) issuer_card_id: String,
    #[serde(with = "hex")]
    pub(crate) account: [u8; 16],
    pub(crate) kind: Kind,
    pub(crate) currency: String,
    pub(crate) status: CardStatus,
    pub(crate) status_change: u32,
    pub(crate) limits: Limits,
    pub(crate) limits_change: u32,
    pub(crate) first4: u16,
    pub(crate) last4: u16,
    pub(crate) expiry: Expiry,
    /// How often the card was made: 1, or idempotency is broken.
    pub(crate) times_issued: u32,
    #[serde(with = "hex")]
    pub(crate) sealed_number: Vec<u8>,
    #[serde(with = "hex")]
    pub(crate) sealed_cvv: Vec<u8>,
    /// Empty for a virtual card.
    #[serde(with = "hex")]
    pub(crate) sealed_pin: Vec<u8>,
    pub(crate) code: Option<Code>,
}

/// The latest one-time code, while it has not been used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Code {
    #[serde(with = "hex")]
    pub(crate) fingerprint: [u8; 32],
    pub(crate) expires_at_ms: u64,
}

impl Card {
    pub(crate) fn issued(&self) -> Issued {
        Issued {
            issuer_card_id: self.issuer_card_id.clone(),
            first4: self.first4,
            last4: self.last4,
            expiry: self.expiry,
        }
    }
}

/// A request id and all that came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// Calls that arrived with it, those that failed included.
    pub(crate) calls: u32,
    /// What the first call that was carried out or refused asked for.
    pub(crate) asked: Option<Asked>,
    /// None until there is a definite outcome.
    pub(crate) outcome: Option<Outcome>,
}

/// The content of a request, less what is personal; the same id with another one is a conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum Asked {
    Issue {
        card_id: Uuid,
        #[serde(with = "hex")]
        account: [u8; 16],
        kind: Kind,
        currency: String,
        limits: Limits,
    },
    Status {
        card_id: Uuid,
        change: u32,
        status: CardStatus,
    },
    Limits {
        card_id: Uuid,
        change: u32,
        limits: Limits,
    },
}

impl Asked {
    pub(crate) fn card_id(&self) -> Uuid {
        match self {
            Self::Issue { card_id, .. } | Self::Status { card_id, .. } | Self::Limits { card_id, .. } => *card_id,
        }
    }
}

/// A definite outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Done,
    Refused(Refusal),
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u8,
    #[serde(flatten)]
    record: T,
}

/// The stored bytes of a record.
pub(crate) fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(&Versioned { v: VERSION, record }).map_err(|error| Error::Storage(error.into()))
}

/// Reads stored bytes; another version is an error.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let stored: Versioned<T> = serde_json::from_slice(bytes).map_err(|error| Error::Storage(error.into()))?;
    if stored.v == VERSION {
        Ok(stored.record)
    } else {
        Err(Error::Storage(format!("the sandbox's state has version {}, not {VERSION}", stored.v).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = r#"{"v":1,"request_id":"00000000-0000-0000-0000-000000000001","issuer_card_id":"sbx_1","account":"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a","kind":"physical","currency":"USD","status":"not_activated","status_change":2,"limits":{"daily":5},"limits_change":3,"first4":4000,"last4":12,"expiry":{"year":2029,"month":2},"times_issued":1,"sealed_number":"0102","sealed_cvv":"03","sealed_pin":"","code":{"fingerprint":"0707070707070707070707070707070707070707070707070707070707070707","expires_at_ms":9}}"#;
    const REQUEST: &str = r#"{"v":1,"calls":2,"asked":{"what":"status","card_id":"00000000-0000-0000-0000-000000000002","change":7,"status":"frozen"},"outcome":{"refused":"stale"}}"#;

    #[test]
    fn stored_records_stay_what_they_were() {
        let card = Card {
            request_id: Uuid::from_u128(1),
            issuer_card_id: "sbx_1".into(),
            account: [10; 16],
            kind: Kind::Physical,
            currency: "USD".into(),
            status: CardStatus::NotActivated,
            status_change: 2,
            limits: Limits { daily: Some(5), ..Limits::default() },
            limits_change: 3,
            first4: 4000,
            last4: 12,
            expiry: Expiry { year: 2029, month: 2 },
            times_issued: 1,
            sealed_number: vec![1, 2],
            sealed_cvv: vec![3],
            sealed_pin: vec![],
            code: Some(Code { fingerprint: [7; 32], expires_at_ms: 9 }),
        };
        assert_eq!(encode(&card).expect("encodes"), CARD.as_bytes());
        assert_eq!(decode::<Card>(CARD.as_bytes()).expect("decodes"), card);

        let request = Request {
            calls: 2,
            asked: Some(Asked::Status { card_id: Uuid::from_u128(2), change: 7, status: CardStatus::Frozen }),
            outcome: Some(Outcome::Refused(Refusal::Stale)),
        };
        assert_eq!(encode(&request).expect("encodes"), REQUEST.as_bytes());
        assert_eq!(decode::<Request>(REQUEST.as_bytes()).expect("decodes"), request);
    }

    #[test]
    fn another_version_is_not_guessed_at() {
        let newer = REQUEST.replacen("\"v\":1", "\"v\":2", 1);
        assert!(decode::<Request>(newer.as_bytes()).is_err());
    }
}
