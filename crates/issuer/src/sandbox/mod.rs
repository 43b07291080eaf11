//! The sandbox issuer: an honest simulator that keeps its state in a redb file and misbehaves only as told.
//!
//! Numbers, CVVs and PINs are encrypted ([`florin_vault::pan`]); a one-time code is kept as a keyed fingerprint; names and addresses are not
//! kept at all. Everything is durable before it is answered, the count of calls included; [`Behaviour`] alone is forgotten at the end.

mod behaviour;
pub mod control;
mod make;
mod records;
pub mod server;
mod store;
mod work;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use florin_vault::{MasterKey, Vault, pan};
use secrecy::SecretString;
use tokio::sync::mpsc;
use uuid::Uuid;

pub use self::behaviour::{Behaviour, BehaviourUpdate, Error as BehaviourError, LATENCY_MS_MAX, Operation, Refuse};
pub use self::make::TEST_BIN;

use self::records::{Asked, Card, Code, Outcome};
use self::work::Reached;
use crate::request::open_profile;
use crate::{
    Abandoned, Answer, CardStatus, Error, IssueRequest, Issued, Issuer, Kind, LateAnswer, Limits, LimitsRequest,
    OneTimeCode, Pending, Profile, Refusal, RequestState, Reveal, Revealed, StatusRequest,
};

/// How long a one-time code is good, in milliseconds.
pub const CODE_MS: u64 = 120_000;
/// How many late answers wait at most. When that many wait, a further copy is not sent (and a warning says so): it is a copy only, and the
/// request can always be asked for.
pub const LATE_ANSWERS_MAX: usize = 1024;

/// Tells the time in milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What a sandbox needs beside its file and key.
#[derive(Clone)]
pub struct Settings {
    /// The time, for expiries and codes.
    pub clock: Clock,
    /// How long a call that is never answered is held before it ends as a time-out.
    pub patience: Duration,
}

impl Default for Settings {
    /// The system's clock and ten seconds.
    fn default() -> Self {
        Self {
            clock: Arc::new(|| {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }),
            patience: Duration::from_secs(10),
        }
    }
}

/// A card as the sandbox has it, for tests and ops. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardView {
    /// Our id.
    pub card_id: Uuid,
    /// The request that made it.
    pub request_id: Uuid,
    /// Virtual or physical.
    pub kind: Kind,
    /// Its status at the issuer.
    pub status: CardStatus,
    /// The last change number accepted for the status; 0 before the first.
    pub status_change: u32,
    /// Its limits at the issuer.
    pub limits: Limits,
    /// The last change number accepted for the limits; 0 before the first.
    pub limits_change: u32,
    /// What was answered when it was made.
    pub issued: Issued,
    /// How often it was made: 1, or something is wrong.
    pub times_issued: u32,
}

/// The sandbox. Cheap to clone.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    store: store::Store,
    keys: Arc<pan::Keys>,
    vault: Option<Vault>,
    settings: Settings,
    behaviour: Mutex<Behaviour>,
    in_flight: Mutex<HashMap<Uuid, usize>>,
    late: mpsc::Sender<LateAnswer>,
    late_receiver: Mutex<Option<mpsc::Receiver<LateAnswer>>>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Opens the sandbox's file, or makes it. The vault opens sealed profiles; without one they are ignored (behind
    /// [`server`] they arrive open).
    pub fn open(path: &Path, master: &MasterKey, vault: Option<Vault>, settings: Settings) -> Result<Self, Error> {
        let keys = Arc::new(pan::Keys::derive(master));
        let (late, late_receiver) = mpsc::channel(LATE_ANSWERS_MAX);
        Ok(Self(Arc::new(Inner {
            store: store::Store::open(path, &keys)?,
            keys,
            vault,
            settings,
            behaviour: Mutex::default(),
            in_flight: Mutex::default(),
            late,
            late_receiver: Mutex::new(Some(late_receiver)),
        })))
    }

    /// The behaviour in force.
    pub fn behaviour(&self) -> Behaviour {
        locked(&self.0.behaviour).clone()
    }

    /// Changes the behaviour for calls from now on; answers what is then in force.
    pub fn update_behaviour(&self, update: BehaviourUpdate) -> Result<Behaviour, BehaviourError> {
        let mut behaviour = locked(&self.0.behaviour);
        *behaviour = behaviour.updated(update)?;
        Ok(behaviour.clone())
    }

    /// All cards, in the order of our ids.
    pub async fn cards(&self) -> Result<Vec<CardView>, Error> {
        let cards = self.0.store.read(store::Snapshot::cards).await?;
        Ok(cards.into_iter().map(|(card_id, card)| view(card_id, &card)).collect())
    }

    /// One card.
    pub async fn card(&self, card_id: Uuid) -> Result<Option<CardView>, Error> {
        let card = self.0.store.read(move |snapshot| snapshot.card(card_id)).await?;
        Ok(card.map(|card| view(card_id, &card)))
    }

    /// How many calls arrived with a request id, failed ones included.
    pub async fn calls(&self, request_id: Uuid) -> Result<u32, Error> {
        let request = self.0.store.read(move |snapshot| snapshot.request(request_id)).await?;
        Ok(request.map_or(0, |request| request.calls))
    }

    /// Pays with a one-time code, as a shop would: `true` once, for the latest code in time.
    pub async fn use_code(&self, card_id: Uuid, code: &str) -> Result<bool, Error> {
        let fingerprint = code_fingerprint(&self.0.keys, card_id, code);
        let now_ms = (self.0.settings.clock)();
        let work = move |tables: &mut store::Tables<'_>| {
            let Some(mut card) = tables.card(card_id)? else {
                return Ok(false);
            };
            let good =
                card.code.as_ref().is_some_and(|code| code.fingerprint == fingerprint && now_ms < code.expires_at_ms);
            if good {
                card.code = None;
                tables.put_card(card_id, &card)?;
            }
            Ok(good)
        };
        self.0.store.write(work).await
    }

    /// Makes a card with the profile in the clear.
    async fn issue_open(&self, request: IssueRequest, profile: Option<Profile>) -> Result<Answer<Issued>, Error> {
        let (request_id, card_id) = (request.request_id, request.card_id);
        let asked = Asked::Issue {
            card_id,
            account: request.account,
            kind: request.kind,
            currency: request.currency,
            limits: request.limits,
        };
        let late = |answer: &Answer<Option<Issued>>| {
            card_made(answer.clone()).ok().map(|answer| LateAnswer::Issue { request_id, card_id, answer })
        };
        let answer = self.call(Operation::Issue, request_id, asked, profile, late).await?;
        card_made(answer)
    }

    async fn change_status(&self, request: StatusRequest) -> Result<Answer<()>, Error> {
        let (request_id, card_id) = (request.request_id, request.card_id);
        let asked = Asked::Status { card_id, change: request.change, status: request.status };
        let late =
            |answer: &Answer<Option<Issued>>| Some(LateAnswer::Status { request_id, card_id, answer: nothing(answer) });
        let answer = self.call(Operation::Status, request_id, asked, None, late).await?;
        Ok(nothing(&answer))
    }

    async fn change_limits(&self, request: LimitsRequest) -> Result<Answer<()>, Error> {
        let (request_id, card_id) = (request.request_id, request.card_id);
        let asked = Asked::Limits { card_id, change: request.change, limits: request.limits };
        let late =
            |answer: &Answer<Option<Issued>>| Some(LateAnswer::Limits { request_id, card_id, answer: nothing(answer) });
        let answer = self.call(Operation::Limits, request_id, asked, None, late).await?;
        Ok(nothing(&answer))
    }

    /// One call that the behaviour applies to. `late` makes the second copy of an answer.
    async fn call(
        &self,
        operation: Operation,
        request_id: Uuid,
        asked: Asked,
        profile: Option<Profile>,
        late: impl Fn(&Answer<Option<Issued>>) -> Option<LateAnswer>,
    ) -> Result<Answer<Option<Issued>>, Error> {
        let plan = locked(&self.0.behaviour).plan(operation, profile.as_ref(), dice()?);
        // The names go no further than this.
        drop(profile);
        let reached = {
            let _in_flight = InFlight::enter(&self.0.in_flight, request_id);
            if !plan.latency.is_zero() {
                tokio::time::sleep(plan.latency).await;
            }
            let keys = Arc::clone(&self.0.keys);
            let now_ms = (self.0.settings.clock)();
            let work =
                move |tables: &mut store::Tables<'_>| work::call(tables, &keys, now_ms, request_id, asked, &plan);
            self.0.store.write(work).await?
        };
        match reached {
            Reached::Stopped(behaviour::Stop::Failed) => Err(Error::Status(503)),
            Reached::Stopped(behaviour::Stop::Silent) => {
                tokio::time::sleep(self.0.settings.patience).await;
                Err(Error::TimedOut)
            }
            Reached::Answered { answer, lost } => {
                if plan.twice()
                    && let Some(copy) = late(&answer)
                {
                    self.send_late(copy);
                }
                if lost { Err(Error::TimedOut) } else { Ok(answer) }
            }
        }
    }

    fn send_late(&self, copy: LateAnswer) {
        // While nobody has taken the other end, nobody wants copies.
        if locked(&self.0.late_receiver).is_none() && self.0.late.try_send(copy).is_err() {
            tracing::warn!(bound = LATE_ANSWERS_MAX, "a second copy of an answer was not sent");
        }
    }

    async fn request_state(&self, request_id: Uuid) -> Result<RequestState, Error> {
        let in_flight = locked(&self.0.in_flight).contains_key(&request_id);
        let read = move |snapshot: &store::Snapshot| {
            let Some(request) = snapshot.request(request_id)? else {
                return Ok(None);
            };
            let card_id = match &request.asked {
                Some(Asked::Issue { card_id, .. }) => Some(*card_id),
                _ => None,
            };
            let card = card_id.map(|card_id| snapshot.card(card_id)).transpose()?.flatten();
            Ok(request.outcome.map(|outcome| (outcome, card)))
        };
        Ok(match self.0.store.read(read).await? {
            Some((Outcome::Done, card)) => RequestState::Done(card.map(|card| card.issued())),
            Some((Outcome::Refused(refusal), _)) => RequestState::Refused(refusal),
            None if in_flight => RequestState::InProgress,
            None => RequestState::NotFound,
        })
    }

    async fn give_up(&self, request_id: Uuid, card_id: Uuid) -> Result<Abandoned, Error> {
        let work = move |tables: &mut store::Tables<'_>| work::abandon(tables, request_id, card_id);
        Ok(self.0.store.write(work).await??)
    }

    async fn show(&self, card_id: Uuid, what: Reveal) -> Result<Revealed, Error> {
        let card = self.0.store.read(move |snapshot| snapshot.card(card_id)).await?;
        let card = card.ok_or(Refusal::UnknownCard)?;
        if card.status == CardStatus::Terminated {
            return Err(Refusal::Terminated.into());
        }
        Ok(match what {
            Reveal::Details => Revealed::Details {
                number: self.open_secret(card_id, make::NUMBER, &card.sealed_number)?,
                expiry: card.expiry,
            },
            Reveal::Cvv => Revealed::Cvv(self.open_secret(card_id, make::CVV, &card.sealed_cvv)?),
            Reveal::Pin if card.kind == Kind::Virtual => return Err(Refusal::NotAvailable.into()),
            Reveal::Pin => Revealed::Pin(self.open_secret(card_id, make::PIN, &card.sealed_pin)?),
        })
    }

    fn open_secret(&self, card_id: Uuid, context: &'static str, sealed: &[u8]) -> Result<SecretString, Error> {
        let bytes = self.0.keys.open(card_id.as_bytes(), context, sealed).map_err(make::vault)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| Error::Storage("a secret is not text".into()))?;
        Ok(SecretString::from(text))
    }

    async fn new_code(&self, card_id: Uuid) -> Result<OneTimeCode, Error> {
        let code = pan::digits(6).map_err(make::vault)?;
        let expires_at_ms = (self.0.settings.clock)().saturating_add(CODE_MS);
        let kept = Code { fingerprint: code_fingerprint(&self.0.keys, card_id, &code), expires_at_ms };
        let work = move |tables: &mut store::Tables<'_>| {
            let Some(mut card) = tables.card(card_id)? else {
                return Ok(Err(Refusal::UnknownCard));
            };
            match card.status {
                CardStatus::Terminated => return Ok(Err(Refusal::Terminated)),
                CardStatus::Frozen | CardStatus::Blocked => return Ok(Err(Refusal::NotAvailable)),
                CardStatus::Active | CardStatus::NotActivated => {}
            }
            card.code = Some(kept);
            tables.put_card(card_id, &card)?;
            Ok(Ok(()))
        };
        self.0.store.write(work).await??;
        Ok(OneTimeCode { code: SecretString::from(code.as_str()), expires_at_ms })
    }

    fn find(&self, pan: &str) -> impl Future<Output = Result<Option<Uuid>, Error>> + Send + use<'_> {
        let fingerprint = pan::is_number(pan).then(|| self.0.keys.fingerprint(make::NUMBER, pan));
        async move {
            match fingerprint {
                Some(fingerprint) => self.0.store.read(move |snapshot| snapshot.number(&fingerprint)).await,
                None => Ok(None),
            }
        }
    }
}

impl Issuer for Sandbox {
    fn issue(&self, request: IssueRequest) -> Pending<'_, Answer<Issued>> {
        Box::pin(async move {
            let profile = open_profile(self.0.vault.as_ref(), &request)?;
            self.issue_open(request, profile).await
        })
    }

    fn set_status(&self, request: StatusRequest) -> Pending<'_, Answer<()>> {
        Box::pin(self.change_status(request))
    }

    fn set_limits(&self, request: LimitsRequest) -> Pending<'_, Answer<()>> {
        Box::pin(self.change_limits(request))
    }

    fn request(&self, request_id: Uuid) -> Pending<'_, RequestState> {
        Box::pin(self.request_state(request_id))
    }

    fn abandon(&self, request_id: Uuid, card_id: Uuid) -> Pending<'_, Abandoned> {
        Box::pin(self.give_up(request_id, card_id))
    }

    fn reveal(&self, card_id: Uuid, what: Reveal) -> Pending<'_, Revealed> {
        Box::pin(self.show(card_id, what))
    }

    fn one_time_code(&self, card_id: Uuid) -> Pending<'_, OneTimeCode> {
        Box::pin(self.new_code(card_id))
    }

    fn find_by_number(&self, pan: &str) -> Pending<'_, Option<Uuid>> {
        Box::pin(self.find(pan))
    }

    fn late_answers(&self) -> Option<mpsc::Receiver<LateAnswer>> {
        locked(&self.0.late_receiver).take()
    }
}

/// Marks a request as being worked on until dropped.
struct InFlight<'a> {
    requests: &'a Mutex<HashMap<Uuid, usize>>,
    request_id: Uuid,
}

impl<'a> InFlight<'a> {
    fn enter(requests: &'a Mutex<HashMap<Uuid, usize>>, request_id: Uuid) -> Self {
        *locked(requests).entry(request_id).or_default() += 1;
        Self { requests, request_id }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut requests = locked(self.requests);
        if let Some(calls) = requests.get_mut(&self.request_id) {
            *calls -= 1;
            if *calls == 0 {
                requests.remove(&self.request_id);
            }
        }
    }
}

fn view(card_id: Uuid, card: &Card) -> CardView {
    CardView {
        card_id,
        request_id: card.request_id,
        kind: card.kind,
        status: card.status,
        status_change: card.status_change,
        limits: card.limits,
        limits_change: card.limits_change,
        issued: card.issued(),
        times_issued: card.times_issued,
    }
}

fn card_made(answer: Answer<Option<Issued>>) -> Result<Answer<Issued>, Error> {
    match answer {
        Answer::Done(Some(issued)) => Ok(Answer::Done(issued)),
        Answer::Done(None) => Err(Error::Storage("an issuance is done and its card is missing".into())),
        Answer::Refused(refusal) => Ok(Answer::Refused(refusal)),
    }
}

fn nothing(answer: &Answer<Option<Issued>>) -> Answer<()> {
    match answer {
        Answer::Done(_) => Answer::Done(()),
        Answer::Refused(refusal) => Answer::Refused(*refusal),
    }
}

fn code_fingerprint(keys: &pan::Keys, card_id: Uuid, code: &str) -> [u8; 32] {
    let bound = zeroize::Zeroizing::new(format!("{card_id} {code}"));
    keys.fingerprint("one-time code", &bound)
}

/// A random number from 0 up to, not including, 1.
fn dice() -> Result<f64, Error> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_err(|_| Error::Storage("no random bytes from the operating system".into()))?;
    Ok(f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0))
}

/// A panic elsewhere leaves nothing half done in these, so a poisoned lock is as good as any.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
