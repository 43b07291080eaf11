//! The JSON bodies of `CONTRACT.md`, shared by the HTTP adapter and the sandbox's server.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    Abandoned, CardStatus, Expiry, IssueRequest, Issued, Kind, Limits, OneTimeCode, Profile, Refusal, RequestState,
    Reveal, Revealed, hex,
};

/// The longest body either way, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;
/// Header that repeats the request id of a write.
pub(crate) const IDEMPOTENCY_HEADER: &str = "idempotency-key";

/// A secret text on the wire: wiped when dropped, without `Debug`.
pub(crate) struct Secret(pub(crate) Zeroizing<String>);

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

impl From<&SecretString> for Secret {
    fn from(secret: &SecretString) -> Self {
        Self(Zeroizing::new(secret.expose_secret().to_owned()))
    }
}

impl From<Secret> for SecretString {
    fn from(secret: Secret) -> Self {
        Self::from(secret.0.as_str())
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct IssueBody {
    pub(crate) request_id: Uuid,
    pub(crate) card_id: Uuid,
    #[serde(with = "hex")]
    pub(crate) account: [u8; 16],
    pub(crate) kind: Kind,
    pub(crate) currency: String,
    #[serde(default)]
    pub(crate) limits: Limits,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) profile: Option<Profile>,
}

impl IssueBody {
    pub(crate) fn new(request: &IssueRequest, profile: Option<Profile>) -> Self {
        Self {
            request_id: request.request_id,
            card_id: request.card_id,
            account: request.account,
            kind: request.kind,
            currency: request.currency.clone(),
            limits: request.limits,
            profile,
        }
    }

    pub(crate) fn into_request(self) -> (IssueRequest, Option<Profile>) {
        let request = IssueRequest {
            request_id: self.request_id,
            card_id: self.card_id,
            account: self.account,
            kind: self.kind,
            currency: self.currency,
            sealed_profile: None,
            limits: self.limits,
        };
        (request, self.profile)
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct StatusBody {
    pub(crate) request_id: Uuid,
    pub(crate) change: u32,
    pub(crate) status: CardStatus,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct LimitsBody {
    pub(crate) request_id: Uuid,
    pub(crate) change: u32,
    pub(crate) limits: Limits,
}

/// The answer to what has no answer but success.
#[derive(Serialize, Deserialize)]
pub(crate) struct Empty {}

#[derive(Serialize, Deserialize)]
pub(crate) struct RefusalBody {
    pub(crate) refusal: Refusal,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum StateBody {
    NotFound,
    InProgress,
    Done {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issued: Option<Issued>,
    },
    Refused {
        refusal: Refusal,
    },
}

impl From<RequestState> for StateBody {
    fn from(state: RequestState) -> Self {
        match state {
            RequestState::NotFound => Self::NotFound,
            RequestState::InProgress => Self::InProgress,
            RequestState::Done(issued) => Self::Done { issued },
            RequestState::Refused(refusal) => Self::Refused { refusal },
        }
    }
}

impl From<StateBody> for RequestState {
    fn from(body: StateBody) -> Self {
        match body {
            StateBody::NotFound => Self::NotFound,
            StateBody::InProgress => Self::InProgress,
            StateBody::Done { issued } => Self::Done(issued),
            StateBody::Refused { refusal } => Self::Refused(refusal),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct AbandonBody {
    pub(crate) card_id: Uuid,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct AbandonedBody {
    pub(crate) outcome: Abandoned,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RevealBody {
    pub(crate) what: Reveal,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum RevealedBody {
    Details { number: Secret, expiry: Expiry },
    Cvv { cvv: Secret },
    Pin { pin: Secret },
}

impl From<&Revealed> for RevealedBody {
    fn from(revealed: &Revealed) -> Self {
        match revealed {
            Revealed::Details { number, expiry } => Self::Details { number: number.into(), expiry: *expiry },
            Revealed::Cvv(cvv) => Self::Cvv { cvv: cvv.into() },
            Revealed::Pin(pin) => Self::Pin { pin: pin.into() },
        }
    }
}

impl From<RevealedBody> for Revealed {
    fn from(body: RevealedBody) -> Self {
        match body {
            RevealedBody::Details { number, expiry } => Self::Details { number: number.into(), expiry },
            RevealedBody::Cvv { cvv } => Self::Cvv(cvv.into()),
            RevealedBody::Pin { pin } => Self::Pin(pin.into()),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct CodeBody {
    pub(crate) code: Secret,
    pub(crate) expires_at_ms: u64,
}

impl From<&OneTimeCode> for CodeBody {
    fn from(code: &OneTimeCode) -> Self {
        Self { code: (&code.code).into(), expires_at_ms: code.expires_at_ms }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct FindBody {
    pub(crate) number: Secret,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct FoundBody {
    pub(crate) card_id: Option<Uuid>,
}
