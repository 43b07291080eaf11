//! The callers' side of a processor: routing, waiting, reading replayed answers back.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use florin_engine::{
    agenda::{Due, Work},
    codec::{Entry, Outcome},
    command::{Class, Command, Envelope},
    ids::{AccountId, CardId, Position},
};
use florin_journal::{Head, PartitionId, Provider, Record};
use tokio::sync::oneshot;

use crate::Error;
use crate::lanes::{Answer, Answers, Arrival, Port, Question, Single, Wanted};
use crate::remote::{self, Remote};
use crate::reversal::Reversal;

/// Most commands in a client's batch.
pub const BATCH_COMMANDS_MAX: usize = 16_384;

/// The outcome of one command, durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The partition that decided it.
    pub partition: u16,
    /// Where its entry stands.
    pub position: Position,
    /// When it was decided, ms since 1970 as the ledger counts.
    pub time_ms: u64,
    /// Whether this is an earlier outcome told again; position and time are the first one's.
    pub replayed: bool,
    /// The account it was decided for; of a command by card, the card's.
    pub account: AccountId,
    /// What came of it.
    pub outcome: Outcome,
}

/// How a partition is doing.
#[derive(Clone, Debug)]
pub struct Status {
    /// Which partition.
    pub partition: PartitionId,
    /// The durable head.
    pub head: Head,
    /// Accounts known.
    pub accounts: usize,
    /// Cards known.
    pub cards: usize,
    /// Outcomes remembered for idempotency.
    pub remembered: usize,
    /// Version of the policy in force; 0: none.
    pub policy: u32,
    /// Time of the last decision, ms since 1970.
    pub clock_ms: u64,
    /// Why the clock is refused, if it is.
    pub clock_refused: Option<Error>,
    /// Commands waiting in the user lane.
    pub user_queued: usize,
    /// Commands waiting in the network lane.
    pub network_queued: usize,
    /// Records submitted and not yet durable.
    pub in_flight: usize,
}

type Reading = Pin<Box<dyn Future<Output = Result<Record, florin_journal::Error>> + Send>>;

/// Random reads of the journal, whatever its provider.
pub(crate) trait ReadBack: Send + Sync {
    fn read(&self, partition: PartitionId, index: u64) -> Reading;
}

impl<P: Provider> ReadBack for P {
    fn read(&self, partition: PartitionId, index: u64) -> Reading {
        let provider = self.clone();
        Box::pin(async move { Provider::read(&provider, partition, index).await })
    }
}

/// Sends commands to the partitions run in this process, or, made with [`Handle::remote`], in others. Cheap to clone.
///
/// A command goes to the partition of its account; a network command with a nil account to that of its card. It holds
/// the journal open for reading as long as it lives. When the last one is dropped, the processor stops gracefully.
#[derive(Clone)]
pub struct Handle {
    side: Side,
}

/// Where the partitions run.
#[derive(Clone)]
enum Side {
    Here(Local),
    Elsewhere(Remote),
}

/// The partitions of this process.
#[derive(Clone)]
struct Local {
    ports: Arc<[Option<Port>]>,
    journal: Arc<dyn ReadBack>,
}

impl Handle {
    pub(crate) fn new(ports: Vec<Option<Port>>, journal: Arc<dyn ReadBack>) -> Self {
        Self { side: Side::Here(Local { ports: ports.into(), journal }) }
    }

    /// A handle on the partitions of a ledger (its short name on NATS) that other processes serve, see
    /// [`crate::cluster::Owner`]. The methods do the same; what finds nobody in the total time gets [`Error::Busy`], with the fate
    /// of a command unknown until it is asked for again with its key. `partitions`: the ledger's number of them.
    ///
    /// [`give_up`](Self::give_up), and dropping a network command's future, need a tokio runtime: the reversal is sent
    /// beside the caller.
    pub fn remote(client: async_nats::Client, ledger: &str, partitions: u16, options: remote::Options) -> Self {
        Self { side: Side::Elsewhere(Remote::new(client, ledger, partitions, options)) }
    }

    /// Partitions of the ledger, run here or not.
    pub fn partitions(&self) -> u16 {
        match &self.side {
            Side::Here(here) => here.partitions(),
            Side::Elsewhere(there) => there.partitions(),
        }
    }

    /// Decides one command; resolves once its outcome is durable. Network commands have their own lane.
    ///
    /// A caller that drops this future gives up on the command. If it then turns out to be an approved authorization
    /// or increment of the network, its reversal is enqueued, so that nothing stays held for an answer nobody heard.
    pub async fn submit(&self, envelope: Envelope) -> Result<Reply, Error> {
        match &self.side {
            Side::Here(here) => here.single(envelope, None).await,
            Side::Elsewhere(there) => there.single(envelope, None).await,
        }
    }

    /// As [`submit`](Self::submit), but not decided after `deadline`. If it was decided in time and is not durable by
    /// then, the caller gets [`Error::DeadlinePassed`] and has given up, as if it had dropped the future.
    ///
    /// Needs a tokio runtime with time.
    pub async fn submit_by(&self, envelope: Envelope, deadline: Instant) -> Result<Reply, Error> {
        match &self.side {
            Side::Here(here) => here.single(envelope, Some(deadline)).await,
            Side::Elsewhere(there) => there.single(envelope, Some(deadline)).await,
        }
    }

    /// Decides a client's batch for one partition, at most [`BATCH_COMMANDS_MAX`] commands; resolves once all are
    /// durable, with a reply for each in order. Not a transaction: each has its own outcome. It travels by the user
    /// lane. An error is about the batch as a whole; what had been decided before it stands, and is replayed to who
    /// sends it again.
    pub async fn submit_batch(&self, partition: u16, envelopes: Vec<Envelope>) -> Result<Vec<Reply>, Error> {
        match &self.side {
            Side::Here(here) => here.batch(partition, envelopes).await,
            Side::Elsewhere(there) => there.batch(partition, envelopes).await,
        }
    }

    /// What the clock worker must send now, at most `max`; as of what is durable.
    pub async fn due(&self, partition: u16, max: usize) -> Result<Vec<Due>, Error> {
        match &self.side {
            Side::Here(here) => here.due(partition, max).await,
            Side::Elsewhere(there) => there.due(partition, max).await,
        }
    }

    /// What the settlement must bring to the issuer, oldest first, at most `max`. Answered once every entry it names is
    /// durable, so that nothing reaches the issuer that the journal does not hold.
    pub async fn work(&self, partition: u16, max: usize) -> Result<Vec<Work>, Error> {
        match &self.side {
            Side::Here(here) => here.work(partition, max).await,
            Side::Elsewhere(there) => there.work(partition, max).await,
        }
    }

    /// What the settlement must bring to the issuer for a card, however much older work there is; answered as
    /// [`work`](Self::work) is.
    pub async fn work_of_card(&self, card: CardId) -> Result<Option<Work>, Error> {
        match &self.side {
            Side::Here(here) => here.work_of_card(card).await,
            Side::Elsewhere(there) => there.work_of_card(card).await,
        }
    }

    /// Gives an authorization up whose answer did not come in time: what was approved is reversed, and what is still to come
    /// finds its reversal there before it. However often it is said, it happens once.
    pub fn give_up(&self, authorize: &Envelope) -> Result<(), Error> {
        match &self.side {
            Side::Here(here) => here.give_up(authorize),
            Side::Elsewhere(there) => there.give_up(authorize),
        }
    }

    /// Waits until what was given up is handed to where it is taken back, at most so long; says whether all of it is. For the
    /// end of a process: what is still under way then is lost. Here it always is.
    pub async fn reversals_handed_over(&self, within: Duration) -> bool {
        match &self.side {
            Side::Here(_) => true,
            Side::Elsewhere(there) => there.reversals_handed_over(within).await,
        }
    }

    /// Whether what this command approved was taken back, or is about to be, because its caller had given up on it.
    pub async fn taken_back(&self, asked: &Envelope) -> Result<bool, Error> {
        match &self.side {
            Side::Here(here) => here.taken_back(asked).await,
            Side::Elsewhere(there) => there.taken_back(asked).await,
        }
    }

    /// How a partition is doing.
    pub async fn status(&self, partition: u16) -> Result<Status, Error> {
        match &self.side {
            Side::Here(here) => here.status(partition).await,
            Side::Elsewhere(there) => there.status(partition).await,
        }
    }

    /// Ops confirm the clock as it stands; commands are admitted again.
    pub async fn confirm_clock(&self, partition: u16) -> Result<(), Error> {
        match &self.side {
            Side::Here(here) => here.confirm_clock(partition).await,
            Side::Elsewhere(there) => there.confirm_clock(partition).await,
        }
    }
}

impl Local {
    fn partitions(&self) -> u16 {
        u16::try_from(self.ports.len()).unwrap_or(u16::MAX)
    }

    async fn batch(&self, partition: u16, envelopes: Vec<Envelope>) -> Result<Vec<Reply>, Error> {
        let port = self.port(partition)?;
        if envelopes.len() > BATCH_COMMANDS_MAX {
            return Err(Error::BatchTooLarge { max: BATCH_COMMANDS_MAX, found: envelopes.len() });
        }
        if let Some(astray) = envelopes.iter().map(route).find(|to| *to != partition) {
            return Err(Error::Misrouted(PartitionId(astray)));
        }
        if envelopes.is_empty() {
            return Ok(Vec::new());
        }
        let (to, answers) = oneshot::channel();
        port.user(envelopes.len(), Arrival::Many { envelopes, to })?;
        let mut answers = answers.await.map_err(|_| port.gate.stopped())??;
        answers.hand_out();
        self.read_back(partition, &mut answers).await?;
        Ok(answers.replies)
    }

    async fn due(&self, partition: u16, max: usize) -> Result<Vec<Due>, Error> {
        self.ask(partition, |to| Question::Due { max, to }).await
    }

    async fn work(&self, partition: u16, max: usize) -> Result<Vec<Work>, Error> {
        self.ask(partition, |to| Question::Work { of: Wanted::Oldest(max), to }).await
    }

    async fn work_of_card(&self, card: CardId) -> Result<Option<Work>, Error> {
        let work = self.ask(card.partition(), |to| Question::Work { of: Wanted::Of(card), to }).await?;
        Ok(work.into_iter().next())
    }

    fn give_up(&self, authorize: &Envelope) -> Result<(), Error> {
        let port = self.port(route(authorize))?;
        if let Some(reversal) = Reversal::of_given_up(authorize) {
            port.reversal(reversal);
        }
        Ok(())
    }

    async fn taken_back(&self, asked: &Envelope) -> Result<bool, Error> {
        let (account, key) = (asked.account, Reversal::key(asked.account, asked.key));
        self.ask(route(asked), |to| Question::Given { account, key, to }).await
    }

    async fn status(&self, partition: u16) -> Result<Status, Error> {
        self.ask(partition, |to| Question::Status { to }).await
    }

    async fn confirm_clock(&self, partition: u16) -> Result<(), Error> {
        self.ask(partition, |to| Question::ConfirmClock { to }).await
    }

    async fn ask<T>(&self, partition: u16, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Result<T, Error> {
        let port = self.port(partition)?;
        let (to, answer) = oneshot::channel();
        port.questions.send(question(to)).await.map_err(|_| port.gate.stopped())?;
        answer.await.map_err(|_| port.gate.stopped())
    }

    fn port(&self, partition: u16) -> Result<&Port, Error> {
        let port = self.ports.get(usize::from(partition)).and_then(Option::as_ref);
        port.ok_or(Error::Misrouted(PartitionId(partition)))
    }

    async fn single(&self, envelope: Envelope, deadline: Option<Instant>) -> Result<Reply, Error> {
        let partition = route(&envelope);
        let port = self.port(partition)?;
        let network = envelope.class == Class::Network;
        let (to, from) = oneshot::channel();
        let arrival = Arrival::One(Single { envelope, deadline, to });
        if network {
            port.network(arrival)?;
        } else {
            port.user(1, arrival)?;
        }
        let mut caller = Caller { from, port };
        let answer = match deadline {
            None => (&mut caller.from).await,
            Some(deadline) => match tokio::time::timeout_at(deadline.into(), &mut caller.from).await {
                Ok(answer) => answer,
                // Dropping the caller sees to a reversal.
                Err(_) => return Err(Error::DeadlinePassed),
            },
        };
        match answer.map_err(|_| port.gate.stopped())?? {
            Answer::Decided(reply, _) => Ok(reply),
            Answer::Replayed(position) => {
                let read = self.read_one(partition, position);
                match deadline {
                    None => read.await,
                    Some(deadline) => {
                        tokio::time::timeout_at(deadline.into(), read).await.map_err(|_| Error::DeadlinePassed)?
                    }
                }
            }
        }
    }

    async fn read_one(&self, partition: u16, position: Position) -> Result<Reply, Error> {
        let record = self.journal.read(PartitionId(partition), position.index()).await;
        reply_at(partition, position, &record.map_err(|error| unreadable(&error))?)
    }

    /// Fills in the replayed replies of a batch, one read for each record.
    async fn read_back(&self, partition: u16, answers: &mut Answers) -> Result<(), Error> {
        let mut by_record: HashMap<u64, Vec<usize>> = HashMap::new();
        for slot in answers.replayed.drain(..) {
            by_record.entry(answers.replies[slot].position.index()).or_default().push(slot);
        }
        for (index, slots) in by_record {
            let record = self.journal.read(PartitionId(partition), index).await.map_err(|error| unreadable(&error))?;
            for slot in slots {
                answers.replies[slot] = reply_at(partition, answers.replies[slot].position, &record)?;
            }
        }
        Ok(())
    }
}

/// Somebody who waits for one answer. When dropped, gives up: an approval that was sent but not taken is reversed here,
/// one that is still in flight is reversed by the loop, which finds nobody to answer.
struct Caller<'a> {
    from: oneshot::Receiver<Result<Answer, Error>>,
    port: &'a Port,
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.from.close();
        if let Ok(Ok(Answer::Decided(_, Some(reversal)))) = self.from.try_recv() {
            self.port.reversal(reversal);
        }
    }
}

fn reply_at(partition: u16, position: Position, record: &Record) -> Result<Reply, Error> {
    let bytes = record.entry(position.entry()).ok_or_else(|| lost(position))?;
    let entry = Entry::decode(bytes).map_err(|_| lost(position))?;
    Ok(Reply {
        partition,
        position,
        time_ms: entry.admitted.time_ms,
        replayed: true,
        account: entry.admitted.envelope.account,
        outcome: entry.outcome,
    })
}

fn unreadable(error: &florin_journal::Error) -> Error {
    Error::Stopped { reason: format!("an earlier answer cannot be read back: {error}") }
}

fn lost(position: Position) -> Error {
    Error::Stopped { reason: format!("the earlier answer at {position} cannot be read back: there is no such entry") }
}

/// The partition a command belongs to.
pub(crate) fn route(envelope: &Envelope) -> u16 {
    if envelope.account.is_nil() && envelope.class == Class::Network {
        return card_of(&envelope.command).map_or(0, |card| card.partition());
    }
    envelope.account.partition()
}

/// The card that a network command names.
pub(crate) fn card_of(command: &Command) -> Option<CardId> {
    match command {
        Command::Authorize(body) => Some(body.card),
        Command::Increment(body) => Some(body.card),
        Command::Clear(body) => Some(body.card),
        Command::Reverse(body) => Some(body.card),
        Command::ExpireHold(body) => Some(body.card),
        Command::Refund(body) => Some(body.card),
        Command::ForcePost(body) => Some(body.card),
        Command::ChangeStatus(body) => Some(body.card),
        _ => None,
    }
}
