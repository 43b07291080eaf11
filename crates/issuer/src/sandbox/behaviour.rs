//! How the sandbox misbehaves: settable at run time, never persisted.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Profile, Refusal};

/// The longest latency that can be set, in milliseconds.
pub const LATENCY_MS_MAX: u64 = 60_000;

/// A value that cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a probability.
    #[error("failure_rate is from 0 to 1")]
    FailureRate,
    /// Too slow.
    #[error("latency_ms is at most {LATENCY_MS_MAX}")]
    Latency,
}

/// What the behaviour applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Making a card.
    Issue,
    /// Changing its status.
    Status,
    /// Changing its limits.
    Limits,
}

/// The behaviour in force. The default is a prompt and willing issuer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Behaviour {
    /// Time before anything is done.
    pub latency_ms: u64,
    /// How often a call fails with 503 before anything is done, 0 to 1.
    pub failure_rate: f64,
    /// What every new request is refused as.
    pub refuse: Option<Refusal>,
    /// A second copy of each answer comes through [`Issuer::late_answers`](crate::Issuer::late_answers).
    pub answer_twice: bool,
    /// The work is done, the answer never comes.
    pub lose_answers: bool,
    /// No answer comes and nothing is done.
    pub timeout: bool,
    /// The operations that all of this applies to.
    pub applies_to: Vec<Operation>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            latency_ms: 0,
            failure_rate: 0.0,
            refuse: None,
            answer_twice: false,
            lose_answers: false,
            timeout: false,
            applies_to: vec![Operation::Issue, Operation::Status, Operation::Limits],
        }
    }
}

/// A change of some fields; absent ones stay.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct BehaviourUpdate {
    /// See [`Behaviour::latency_ms`].
    pub latency_ms: Option<u64>,
    /// See [`Behaviour::failure_rate`].
    pub failure_rate: Option<f64>,
    /// `true` (declined), `false`, or a refusal's word.
    pub refuse: Option<Refuse>,
    /// See [`Behaviour::answer_twice`].
    pub answer_twice: Option<bool>,
    /// See [`Behaviour::lose_answers`].
    pub lose_answers: Option<bool>,
    /// See [`Behaviour::timeout`].
    pub timeout: Option<bool>,
    /// See [`Behaviour::applies_to`].
    pub applies_to: Option<Vec<Operation>>,
}

/// Whether, or as what, to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Refuse {
    /// Yes ([`Refusal::Declined`]) or no.
    Flag(bool),
    /// As this.
    As(Refusal),
}

impl Behaviour {
    /// The behaviour with the update's fields in it.
    pub fn updated(&self, update: BehaviourUpdate) -> Result<Self, Error> {
        let next = Self {
            latency_ms: update.latency_ms.unwrap_or(self.latency_ms),
            failure_rate: update.failure_rate.unwrap_or(self.failure_rate),
            refuse: match update.refuse {
                None => self.refuse,
                Some(Refuse::Flag(refuse)) => refuse.then_some(Refusal::Declined),
                Some(Refuse::As(refusal)) => Some(refusal),
            },
            answer_twice: update.answer_twice.unwrap_or(self.answer_twice),
            lose_answers: update.lose_answers.unwrap_or(self.lose_answers),
            timeout: update.timeout.unwrap_or(self.timeout),
            applies_to: update.applies_to.unwrap_or_else(|| self.applies_to.clone()),
        };
        if !(0.0..=1.0).contains(&next.failure_rate) {
            return Err(Error::FailureRate);
        }
        if next.latency_ms > LATENCY_MS_MAX {
            return Err(Error::Latency);
        }
        Ok(next)
    }

    /// What one call meets. `dice` is from 0 up to, not including, 1.
    pub(crate) fn plan(&self, operation: Operation, profile: Option<&Profile>, dice: f64) -> Plan {
        let on = self.applies_to.contains(&operation);
        Plan {
            latency: Duration::from_millis(if on { self.latency_ms } else { 0 }),
            fail: on && dice < self.failure_rate,
            timeout: on && self.timeout,
            refuse: self.refuse.filter(|_| on),
            lose: on && self.lose_answers,
            twice: on && self.answer_twice,
            magic: profile.and_then(Magic::find),
        }
    }
}

/// What happens to one call, decided before it begins.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) latency: Duration,
    fail: bool,
    timeout: bool,
    refuse: Option<Refusal>,
    lose: bool,
    twice: bool,
    magic: Option<Magic>,
}

impl Plan {
    /// What stops the call before any work; `calls` counts this one too.
    pub(crate) fn stop(&self, calls: u32) -> Option<Stop> {
        if self.fail || self.magic == Some(Magic::Fail) {
            Some(Stop::Failed)
        } else if self.timeout || (self.magic == Some(Magic::Timeout) && calls == 1) {
            Some(Stop::Silent)
        } else {
            None
        }
    }

    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let magic = self.magic == Some(Magic::Refuse);
        self.refuse.or(magic.then_some(Refusal::Declined))
    }

    pub(crate) fn loses(&self, calls: u32) -> bool {
        self.lose || (self.magic == Some(Magic::LoseAnswer) && calls == 1)
    }

    pub(crate) fn twice(&self) -> bool {
        self.twice || self.magic == Some(Magic::Twice)
    }
}

/// How a call ends before any work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// With 503.
    Failed,
    /// With silence.
    Silent,
}

/// The magic values; the crate's documentation lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Magic {
    Refuse,
    Timeout,
    Twice,
    LoseAnswer,
    Fail,
}

impl Magic {
    fn find(profile: &Profile) -> Option<Self> {
        [&profile.name_on_card, &profile.card_name].into_iter().flatten().find_map(|name| Self::parse(name))
    }

    fn parse(name: &str) -> Option<Self> {
        match name.trim().to_ascii_uppercase().as_str() {
            "SANDBOX REFUSE" => Some(Self::Refuse),
            "SANDBOX TIMEOUT" => Some(Self::Timeout),
            "SANDBOX TWICE" => Some(Self::Twice),
            "SANDBOX LOSE ANSWER" => Some(Self::LoseAnswer),
            "SANDBOX FAIL" => Some(Self::Fail),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(json: &str) -> BehaviourUpdate {
        serde_json::from_str(json).expect("an update")
    }

    #[test]
    fn an_update_changes_what_it_names_and_nothing_else() {
        let one = Behaviour::default().updated(update(r#"{"latency_ms": 5, "refuse": true}"#)).expect("valid");
        let two = one.updated(update(r#"{"answer_twice": true, "unknown": 1}"#)).expect("valid");
        assert_eq!((two.latency_ms, two.refuse, two.answer_twice), (5, Some(Refusal::Declined), true));
        let three = two.updated(update(r#"{"refuse": "stale"}"#)).expect("valid");
        assert_eq!(three.refuse, Some(Refusal::Stale));
        assert_eq!(three.updated(update(r#"{"refuse": false}"#)).expect("valid").refuse, None);
    }

    #[test]
    fn values_out_of_bounds_are_refused() {
        let set = |json| Behaviour::default().updated(update(json));
        assert_eq!(set(r#"{"failure_rate": 1.01}"#), Err(Error::FailureRate));
        assert_eq!(set(r#"{"failure_rate": -0.1}"#), Err(Error::FailureRate));
        assert_eq!(set(r#"{"latency_ms": 60001}"#), Err(Error::Latency));
        assert!(set(r#"{"failure_rate": 1, "latency_ms": 60000}"#).is_ok());
    }

    #[test]
    fn behaviour_applies_to_the_operations_it_names() {
        let behaviour =
            Behaviour::default().updated(update(r#"{"failure_rate": 1, "applies_to": ["status"]}"#)).expect("valid");
        assert_eq!(behaviour.plan(Operation::Issue, None, 0.5).stop(1), None);
        assert_eq!(behaviour.plan(Operation::Status, None, 0.5).stop(1), Some(Stop::Failed));
    }

    #[test]
    fn magic_is_found_in_either_name_in_any_case_and_is_bounded() {
        let plan = |name: &str| {
            let profile = Profile {
                card_name: Some(name.to_owned()),
                name_on_card: Some("ADA".to_owned()),
                ..Profile::default()
            };
            Behaviour::default().plan(Operation::Issue, Some(&profile), 0.5)
        };
        assert_eq!(plan("sandbox Refuse").refusal(), Some(Refusal::Declined));
        assert_eq!(plan("SANDBOX TIMEOUT").stop(1), Some(Stop::Silent));
        assert_eq!(plan("SANDBOX TIMEOUT").stop(2), None);
        assert!(plan("SANDBOX LOSE ANSWER").loses(1) && !plan("SANDBOX LOSE ANSWER").loses(2));
        assert_eq!(plan("SANDBOX FAIL").stop(1000), Some(Stop::Failed));
        assert!(plan("SANDBOX TWICE").twice());
        let plain = plan("SANDBOX");
        assert!(plain.stop(1).is_none() && plain.refusal().is_none() && !plain.loses(1) && !plain.twice());
    }
}
