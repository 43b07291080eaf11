//! An issuer that keeps the contract in memory and behaves as it is told.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use florin_issuer::{
    Abandoned, Answer, CardStatus, Error, Expiry, IssueRequest, Issued, Issuer, Kind, LateAnswer, Limits,
    LimitsRequest, OneTimeCode, Pending, Refusal, RequestState, Reveal, Revealed, StatusRequest,
};
use tokio::sync::mpsc;
use uuid::Uuid;

/// What happens to calls that make or change something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// Done and answered.
    #[default]
    Well,
    /// Fails before anything is done.
    Fail,
    /// Done, and the answer is lost.
    Lose,
    /// Done, and the answer held back for ever.
    Hold,
    /// Nothing is done and no answer comes.
    Silent,
    /// Done and answered after this many milliseconds.
    Slow(u64),
    /// Refused.
    Refuse(Refusal),
}

/// A card at the issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    pub status: CardStatus,
    pub status_change: u32,
    pub limits: Limits,
    pub limits_change: u32,
    pub times_issued: u32,
}

#[derive(Default)]
struct Books {
    mood: Mood,
    moods: HashMap<Uuid, Mood>,
    deaf: bool,
    twice: bool,
    cards: HashMap<Uuid, Card>,
    answers: HashMap<Uuid, Answer<Option<Issued>>>,
    calls: HashMap<Uuid, u32>,
    busy: HashMap<Uuid, u32>,
    crowded: bool,
}

/// The scripted issuer.
pub struct Scripted {
    books: Mutex<Books>,
    late: Mutex<Option<mpsc::Sender<LateAnswer>>>,
}

/// Counts a call of a card for as long as it lasts, dropped calls included.
struct Busy<'a>(&'a Scripted, Uuid);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        *self.0.books().busy.get_mut(&self.1).unwrap() -= 1;
    }
}

impl Scripted {
    pub fn new() -> Self {
        Self { books: Mutex::default(), late: Mutex::default() }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    /// How all cards are treated from now on.
    pub fn mood(&self, mood: Mood) {
        self.books().mood = mood;
    }

    /// How one card is treated, whatever the others are.
    pub fn mood_of(&self, card: Uuid, mood: Mood) {
        self.books().moods.insert(card, mood);
    }

    /// Whether questions after a request and abandonments fail.
    pub fn deaf(&self, deaf: bool) {
        self.books().deaf = deaf;
    }

    /// Whether a second copy of every answer comes.
    pub fn twice(&self, twice: bool) {
        self.books().twice = twice;
    }

    /// Sends an answer nobody asked for.
    pub fn send_late(&self, answer: LateAnswer) {
        // Between two settlements nobody listens.
        if let Some(late) = self.late.lock().unwrap().as_ref() {
            let _ = late.try_send(answer);
        }
    }

    pub fn card(&self, card: Uuid) -> Option<Card> {
        self.books().cards.get(&card).cloned()
    }

    pub fn cards(&self) -> Vec<Card> {
        self.books().cards.values().cloned().collect()
    }

    /// How many calls came with this request id.
    pub fn calls(&self, request: Uuid) -> u32 {
        self.books().calls.get(&request).copied().unwrap_or(0)
    }

    pub fn calls_of_all(&self) -> Vec<u32> {
        self.books().calls.values().copied().collect()
    }

    /// Whether two calls for one card were ever under way at once.
    pub fn crowded(&self) -> bool {
        self.books().crowded
    }

    async fn call(
        &self,
        request: Uuid,
        card: Uuid,
        work: impl FnOnce(&mut Books) -> Answer<Option<Issued>>,
        copy: impl Fn(&Answer<Option<Issued>>) -> LateAnswer,
    ) -> Result<Answer<Option<Issued>>, Error> {
        let mood = {
            let mut books = self.books();
            *books.calls.entry(request).or_default() += 1;
            let busy = books.busy.entry(card).or_default();
            *busy += 1;
            books.crowded = *busy > 1 || books.crowded;
            books.moods.get(&card).copied().unwrap_or(books.mood)
        };
        let _busy = Busy(self, card);
        match mood {
            Mood::Fail => return Err(Error::Status(503)),
            Mood::Silent => std::future::pending().await,
            Mood::Slow(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Mood::Well | Mood::Lose | Mood::Hold | Mood::Refuse(_) => {}
        }
        let (answer, twice) = {
            let mut books = self.books();
            let known = books.answers.get(&request).cloned();
            let answer = match (known, mood) {
                (Some(known), _) => known,
                (None, Mood::Refuse(refusal)) => Answer::Refused(refusal),
                (None, _) => work(&mut books),
            };
            books.answers.insert(request, answer.clone());
            (answer, books.twice)
        };
        if twice {
            self.send_late(copy(&answer));
        }
        match mood {
            Mood::Lose => Err(Error::TimedOut),
            Mood::Hold => std::future::pending().await,
            _ => Ok(answer),
        }
    }
}

/// What a change comes to: the card, unless the change is stale or the card over or unknown.
fn changeable(
    books: &mut Books,
    card: Uuid,
    change: u32,
    last: impl Fn(&Card) -> u32,
) -> Result<&mut Card, Answer<Option<Issued>>> {
    match books.cards.get_mut(&card) {
        None => Err(Answer::Refused(Refusal::UnknownCard)),
        Some(card) if card.status == CardStatus::Terminated => Err(Answer::Refused(Refusal::Terminated)),
        Some(card) if change < last(card) => Err(Answer::Refused(Refusal::Stale)),
        Some(card) => Ok(card),
    }
}

fn nothing(answer: &Answer<Option<Issued>>) -> Answer<()> {
    match answer {
        Answer::Done(_) => Answer::Done(()),
        Answer::Refused(refusal) => Answer::Refused(*refusal),
    }
}

fn made(answer: &Answer<Option<Issued>>) -> Answer<Issued> {
    match answer {
        Answer::Done(issued) => Answer::Done(issued.clone().unwrap()),
        Answer::Refused(refusal) => Answer::Refused(*refusal),
    }
}

impl Issuer for Scripted {
    fn issue(&self, request: IssueRequest) -> Pending<'_, Answer<Issued>> {
        let (request_id, card_id) = (request.request_id, request.card_id);
        let copy = move |answer: &_| LateAnswer::Issue { request_id, card_id, answer: made(answer) };
        let work = move |books: &mut Books| {
            let status = match request.kind {
                Kind::Virtual => CardStatus::Active,
                Kind::Physical => CardStatus::NotActivated,
            };
            let new = Card { status, status_change: 0, limits: request.limits, limits_change: 0, times_issued: 0 };
            books.cards.entry(card_id).or_insert(new).times_issued += 1;
            let expiry = Expiry { year: 2031, month: 7 };
            let issuer_card_id = format!("i-{card_id}");
            Answer::Done(Some(Issued { issuer_card_id, first4: 4000, last4: 1234, expiry }))
        };
        Box::pin(async move { Ok(made(&self.call(request_id, card_id, work, copy).await?)) })
    }

    fn set_status(&self, request: StatusRequest) -> Pending<'_, Answer<()>> {
        let (request_id, card_id) = (request.request_id, request.card_id);
        let copy = move |answer: &_| LateAnswer::Status { request_id, card_id, answer: nothing(answer) };
        let work = move |books: &mut Books| match changeable(books, card_id, request.change, |card| card.status_change)
        {
            Ok(card) => {
                (card.status, card.status_change) = (request.status, request.change);
                Answer::Done(None)
            }
            Err(answer) => answer,
        };
        Box::pin(async move { Ok(nothing(&self.call(request_id, card_id, work, copy).await?)) })
    }

    fn set_limits(&self, request: LimitsRequest) -> Pending<'_, Answer<()>> {
        let (request_id, card_id) = (request.request_id, request.card_id);
        let copy = move |answer: &_| LateAnswer::Limits { request_id, card_id, answer: nothing(answer) };
        let work = move |books: &mut Books| match changeable(books, card_id, request.change, |card| card.limits_change)
        {
            Ok(card) => {
                (card.limits, card.limits_change) = (request.limits, request.change);
                Answer::Done(None)
            }
            Err(answer) => answer,
        };
        Box::pin(async move { Ok(nothing(&self.call(request_id, card_id, work, copy).await?)) })
    }

    fn request(&self, request_id: Uuid) -> Pending<'_, RequestState> {
        Box::pin(async move {
            let books = self.books();
            if books.deaf {
                return Err(Error::TimedOut);
            }
            Ok(match books.answers.get(&request_id) {
                None => RequestState::NotFound,
                Some(Answer::Done(issued)) => RequestState::Done(issued.clone()),
                Some(Answer::Refused(refusal)) => RequestState::Refused(*refusal),
            })
        })
    }

    fn abandon(&self, request_id: Uuid, card_id: Uuid) -> Pending<'_, Abandoned> {
        Box::pin(async move {
            let mut books = self.books();
            if books.deaf {
                return Err(Error::TimedOut);
            }
            books.answers.insert(request_id, Answer::Refused(Refusal::Abandoned));
            Ok(match books.cards.get_mut(&card_id) {
                None => Abandoned::NeverMade,
                Some(card) => {
                    card.status = CardStatus::Terminated;
                    Abandoned::Terminated
                }
            })
        })
    }

    fn reveal(&self, _: Uuid, _: Reveal) -> Pending<'_, Revealed> {
        Box::pin(async { Err(Refusal::NotAvailable.into()) })
    }

    fn one_time_code(&self, _: Uuid) -> Pending<'_, OneTimeCode> {
        Box::pin(async { Err(Refusal::NotAvailable.into()) })
    }

    fn find_by_number(&self, _: &str) -> Pending<'_, Option<Uuid>> {
        Box::pin(async { Ok(None) })
    }

    fn late_answers(&self) -> Option<mpsc::Receiver<LateAnswer>> {
        let (late, answers) = mpsc::channel(64);
        *self.late.lock().unwrap() = Some(late);
        Some(answers)
    }
}
