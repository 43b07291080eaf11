//! Answers to queries, as postcard for Florin's own client and as JSON for people, from the same shapes.

use florin_engine::{
    agenda::{Due, Task, Work},
    human,
    ids::{AccountId, AuthorizationId, CardId, Position, RequestId},
    limits::Limits,
    money::Minor,
    terms,
};
use florin_journal::{Hash, Head, PartitionId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What is asked of `due`: how many at most (default 1,000).
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// At most so many, 1 to [`ASKED_MAX`].
    pub max: u32,
}

/// What is asked of `work`: how many at most (default 1,000), or what there is for one card.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskWork {
    /// At most so many, 1 to [`ASKED_MAX`].
    #[serde(default = "asked")]
    pub max: u32,
    /// Only this card's, however much older work there is.
    #[serde(default)]
    pub card: Option<CardId>,
}

impl Default for AskWork {
    fn default() -> Self {
        Self { max: asked(), card: None }
    }
}

impl Default for Ask {
    fn default() -> Self {
        Self { max: asked() }
    }
}

/// Items that a question without a number asks for.
const fn asked() -> u32 {
    1_000
}

/// Most items in one answer.
pub const ASKED_MAX: u32 = 2_000;

/// A hash: raw, or in hexadecimal for people.
#[derive(Clone, Copy, Debug)]
pub struct Bytes32([u8; 32]);

impl Serialize for Bytes32 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.serialize_str(&human::hex(&self.0));
        }
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Bytes32 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let bytes = human::unhex(&String::deserialize(deserializer)?).and_then(|bytes| bytes.try_into().ok());
            return bytes.map(Self).ok_or_else(|| de::Error::custom("64 hexadecimal digits were expected"));
        }
        Deserialize::deserialize(deserializer).map(Self)
    }
}

/// See [`crate::Status`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the field of that name")]
pub struct Status {
    pub partition: u16,
    pub index: u64,
    pub hash: Bytes32,
    pub range: Bytes32,
    pub term: u64,
    pub time_ms: u64,
    pub accounts: u64,
    pub cards: u64,
    pub remembered: u64,
    pub policy: u32,
    pub clock_ms: u64,
    /// What the wall clock read and how far it is off, if it is refused.
    pub clock_refused: Option<(u64, i64)>,
    pub user_queued: u64,
    pub network_queued: u64,
    pub in_flight: u64,
}

impl From<&crate::Status> for Status {
    fn from(status: &crate::Status) -> Self {
        let clock_refused = match &status.clock_refused {
            Some(crate::Error::ClockRefused { wall_ms, off_ms, .. }) => Some((*wall_ms, *off_ms)),
            _ => None,
        };
        Self {
            partition: status.partition.0,
            index: status.head.index,
            hash: Bytes32(status.head.hash.0),
            range: Bytes32(status.head.range.0),
            term: status.head.term,
            time_ms: status.head.time_ms,
            accounts: status.accounts as u64,
            cards: status.cards as u64,
            remembered: status.remembered as u64,
            policy: status.policy,
            clock_ms: status.clock_ms,
            clock_refused,
            user_queued: status.user_queued as u64,
            network_queued: status.network_queued as u64,
            in_flight: status.in_flight as u64,
        }
    }
}

impl From<Status> for crate::Status {
    fn from(status: Status) -> Self {
        let partition = PartitionId(status.partition);
        let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        Self {
            partition,
            head: Head {
                index: status.index,
                hash: Hash(status.hash.0),
                range: Hash(status.range.0),
                term: status.term,
                time_ms: status.time_ms,
            },
            accounts: size(status.accounts),
            cards: size(status.cards),
            remembered: size(status.remembered),
            policy: status.policy,
            clock_ms: status.clock_ms,
            clock_refused: status.clock_refused.map(|(wall_ms, off_ms)| crate::Error::ClockRefused {
                partition,
                wall_ms,
                off_ms,
            }),
            user_queued: size(status.user_queued),
            network_queued: size(status.network_queued),
            in_flight: size(status.in_flight),
        }
    }
}

/// See [`Due`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the variant and field of that name")]
pub enum DueItem {
    Invoice { account: AccountId, number: u64 },
    Change { account: AccountId, card: CardId, request: RequestId },
    Hold { account: AccountId, card: CardId, authorization: AuthorizationId },
    Card { account: AccountId, card: CardId },
}

impl From<Due> for DueItem {
    fn from(due: Due) -> Self {
        match due {
            Due::Invoice { account, number } => Self::Invoice { account, number },
            Due::Change { account, card, request } => Self::Change { account, card, request },
            Due::Hold { account, card, authorization } => Self::Hold { account, card, authorization },
            Due::Card { account, card } => Self::Card { account, card },
        }
    }
}

impl From<DueItem> for Due {
    fn from(due: DueItem) -> Self {
        match due {
            DueItem::Invoice { account, number } => Self::Invoice { account, number },
            DueItem::Change { account, card, request } => Self::Change { account, card, request },
            DueItem::Hold { account, card, authorization } => Self::Hold { account, card, authorization },
            DueItem::Card { account, card } => Self::Card { account, card },
        }
    }
}

/// See [`Work`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the field of that name")]
pub struct WorkItem {
    pub account: AccountId,
    pub card: CardId,
    pub request: RequestId,
    pub change: u32,
    pub position: Position,
    pub since_ms: u64,
    pub deadline_ms: u64,
    pub task: TaskItem,
}

/// See [`Task`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the variant and field of that name")]
pub enum TaskItem {
    Issue,
    Abandon,
    SetStatus(terms::Status),
    SetLimits { limits: Limits, no_pin: Option<Minor> },
    Assert { status: terms::Status, limits: Limits, no_pin: Option<Minor> },
}

impl From<Work> for WorkItem {
    fn from(work: Work) -> Self {
        let task = match work.task {
            Task::Issue => TaskItem::Issue,
            Task::Abandon => TaskItem::Abandon,
            Task::SetStatus(status) => TaskItem::SetStatus(status),
            Task::SetLimits { limits, no_pin } => TaskItem::SetLimits { limits, no_pin },
            Task::Assert { status, limits, no_pin } => TaskItem::Assert { status, limits, no_pin },
        };
        let Work { account, card, request, change, position, since_ms, deadline_ms, .. } = work;
        Self { account, card, request, change, position, since_ms, deadline_ms, task }
    }
}

impl From<WorkItem> for Work {
    fn from(work: WorkItem) -> Self {
        let task = match work.task {
            TaskItem::Issue => Task::Issue,
            TaskItem::Abandon => Task::Abandon,
            TaskItem::SetStatus(status) => Task::SetStatus(status),
            TaskItem::SetLimits { limits, no_pin } => Task::SetLimits { limits, no_pin },
            TaskItem::Assert { status, limits, no_pin } => Task::Assert { status, limits, no_pin },
        };
        let WorkItem { account, card, request, change, position, since_ms, deadline_ms, .. } = work;
        Self { account, card, request, change, position, since_ms, deadline_ms, task }
    }
}
