//! Webhooks due: what companies are to be told of their cards, as each was when it happened.
//!
//! A row per event that changes what a company sees of a card, and another where it changes limits or usage; written in
//! the same batch as the card's own row. Rows are derived from the journal alone, so a rebuild makes the same rows again.
//! They are kept by [`DueKeep`]: nothing is forgotten that somebody still has to send.

use std::{collections::BTreeSet, ops::Bound, sync::PoisonError};

use florin_engine::{
    ids::{CardId, Position},
    limits::{Limits, Usage},
    money::Sealed,
    terms::{Cause, Status},
};
use serde::{Deserialize, Serialize};

use crate::{
    CardRow, Error, Views,
    key::{Key, Table},
    row::{self, Row},
};

/// What a due row tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DueKind {
    /// The card: its state, or the change that waits for the issuer.
    Card,
    /// Its limits or how much of them is used.
    Limits,
}

/// Where a due row stands in its partition. Ordered as things happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DueMark {
    /// Position of the entry.
    pub position: Position,
    /// The event within the entry, doubled; one more for limits and usage.
    pub number: u32,
}

impl DueMark {
    /// Behind everything that an entry can make due.
    pub const fn end_of(position: Position) -> Self {
        Self { position, number: u32::MAX }
    }

    const fn of(position: Position, event: u32, kind: DueKind) -> Self {
        Self { position, number: (event << 1) | matches!(kind, DueKind::Limits) as u32 }
    }
}

/// Something to tell the company of a card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueRow {
    /// When it happened, ms since 1970.
    pub time_ms: u64,
    /// The policy version that the entry was decided under.
    pub policy: u32,
    /// What is told.
    pub kind: DueKind,
    /// The card as of the event; of [`DueKind::Limits`] without its profile.
    pub card: CardRow,
}

impl Row for DueRow {
    const NAME: &'static str = "webhooks due";
}

/// Which due rows are kept: those that are younger than `since_ms` or behind `needed`. Nothing else is written by a
/// rebuild either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DueKeep {
    /// Rows of this time on are kept for replay, ms since 1970; 0: all.
    pub since_ms: u64,
    /// The position in the partition behind which somebody has not sent everything yet.
    pub needed: Position,
}

impl DueKeep {
    const fn keeps(&self, position: Position, time_ms: u64) -> bool {
        time_ms >= self.since_ms || position.0 > self.needed.0
    }
}

fn of_partition(partition: u16) -> Key {
    Key::of(Table::Due).u16(partition)
}

fn of_company(partition: u16, company: &str) -> Key {
    of_partition(partition).u64(name_hash(company))
}

/// Key of a row.
fn key(partition: u16, company: &str, mark: DueMark) -> Key {
    of_company(partition, company).u64(mark.position.0).u32(mark.number)
}

fn mark_of(key: &[u8]) -> Option<DueMark> {
    let end: &[u8; 12] = key.last_chunk()?;
    let (position, number) = end.split_at(8);
    Some(DueMark {
        position: Position(u64::from_be_bytes(position.try_into().ok()?)),
        number: u32::from_be_bytes(number.try_into().ok()?),
    })
}

/// FNV-1a: keeps the rows of a company together. Companies that share a hash are told apart by the row.
fn name_hash(company: &str) -> u64 {
    company.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

/// What a company sees of a card, to find out whether an event changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    card: CardId,
    /// `None`: there was no card before the event.
    shown: Option<(Status, Cause, bool, Option<u32>)>,
    limits: Limits,
    usage: Usage,
}

impl Seen {
    pub(crate) fn of(row: &CardRow) -> Self {
        let pending = row.pending.as_ref().map(|pending| pending.change);
        Self {
            card: row.card,
            shown: Some((row.status, row.cause, row.fraud, pending)),
            limits: row.limits,
            usage: row.usage,
        }
    }

    /// Of a card that the event makes: its limits are no change.
    pub(crate) fn new_card(row: &CardRow) -> Self {
        Self { shown: None, ..Self::of(row) }
    }

    pub(crate) const fn card(&self) -> CardId {
        self.card
    }

    /// What is due when the card looks like `row` afterwards, in order.
    pub(crate) fn due(
        &self,
        row: &CardRow,
        position: Position,
        event: u32,
        time_ms: u64,
        policy: u32,
    ) -> impl Iterator<Item = (Key, DueRow)> {
        let now = Self::of(row);
        let card = (self.shown != now.shown).then(|| (DueKind::Card, row.clone()));
        let limits = ((self.limits, self.usage) != (now.limits, now.usage))
            .then(|| (DueKind::Limits, CardRow { profile: Sealed::NONE, ..row.clone() }));
        [card, limits].into_iter().flatten().map(move |(kind, card)| {
            let mark = DueMark::of(position, event, kind);
            (key(card.account.partition(), &card.company, mark), DueRow { time_ms, policy, kind, card })
        })
    }
}

impl Views {
    /// What is due to a company in a partition behind `after`, in order; at most `max`.
    pub fn due_after(
        &self,
        partition: u16,
        company: &str,
        after: DueMark,
        max: usize,
    ) -> Result<Vec<(DueMark, DueRow)>, Error> {
        let from = key(partition, company, DueMark { number: after.number.saturating_add(1), ..after });
        let to = of_company(partition, company).u64(u64::MAX).u32(u32::MAX);
        let mut rows = Vec::new();
        for pair in self.0.store.range((Bound::Included(from), Bound::Included(to))) {
            let (key, value) = self.sound(pair)?;
            let row: DueRow = self.sound(row::decode(&value))?;
            let Some(mark) = mark_of(&key).filter(|mark| *mark > after && row.card.company == company) else {
                continue;
            };
            rows.push((mark, row));
            if rows.len() >= max {
                break;
            }
        }
        Ok(rows)
    }

    /// One due row; `None`: there is none, or it is forgotten.
    pub fn due(&self, partition: u16, company: &str, mark: DueMark) -> Result<Option<DueRow>, Error> {
        let value = self.sound(self.0.store.get(key(partition, company, mark)))?;
        let row: Option<DueRow> = value.map(|value| self.sound(row::decode(&value))).transpose()?;
        Ok(row.filter(|row| row.card.company == company))
    }

    /// The last record applied in a partition, its hash, and the position up to which it is applied; `None`: none.
    pub fn reached(&self, partition: u16) -> Result<Option<(u64, [u8; 32], Position)>, Error> {
        let checkpoint = self.sound(self.checkpoint(partition))?;
        Ok(checkpoint.map(|seen| (seen.index, seen.hash, seen.position())))
    }

    /// Says which due rows of a partition are to be kept, before the journal is followed: a rebuild then leaves the rest
    /// out. Until it is said, all are.
    pub fn keep_due(&self, partition: u16, keep: DueKeep) {
        let mut keeps = self.0.due_keep.write().unwrap_or_else(PoisonError::into_inner);
        keeps.insert(partition, keep);
    }

    pub(crate) fn keeps_due(&self, position: Position, partition: u16, time_ms: u64) -> bool {
        let keeps = self.0.due_keep.read().unwrap_or_else(PoisonError::into_inner);
        keeps.get(&partition).is_none_or(|keep| keep.keeps(position, time_ms))
    }

    /// Forgets due rows of a partition, the oldest of each company first, up to the first that [`DueKeep`] keeps; those in
    /// `except` stay. At most `max` in one go; returns how many went.
    pub fn forget_due(
        &self,
        partition: u16,
        keep: DueKeep,
        except: &BTreeSet<DueMark>,
        max: usize,
    ) -> Result<usize, Error> {
        self.keep_due(partition, keep);
        let mut gone = 0;
        let prefix = of_partition(partition);
        let mut from = prefix.as_slice().to_vec();
        'companies: while gone < max {
            let mut company = None;
            // What is still in memory is forgotten another time.
            for pair in self.0.store.stored().range(from.clone()..) {
                let (key, value) = self.sound(pair.map_err(Error::from))?;
                let Some(mark) = mark_of(&key).filter(|_| key.starts_with(prefix.as_slice())) else {
                    break 'companies;
                };
                let group = key.get(prefix.as_slice().len()..).and_then(|rest| rest.first_chunk::<8>().copied());
                if *company.get_or_insert(group) != group {
                    break;
                }
                let row: DueRow = self.sound(row::decode(&value))?;
                if keep.keeps(mark.position, row.time_ms) || gone >= max {
                    break;
                }
                if !except.contains(&mark) {
                    self.sound(self.0.store.stored().remove(key).map_err(Error::from))?;
                    gone += 1;
                }
            }
            // On to the next company.
            let Some(next) = company.flatten().map(u64::from_be_bytes).and_then(|hash| hash.checked_add(1)) else {
                break;
            };
            from = prefix.u64(next).as_slice().to_vec();
        }
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cards::tests::sample,
        row::{decode, encode},
    };
    use florin_engine::money::Minor;

    fn due(before: &Seen, after: &CardRow) -> Vec<DueKind> {
        before.due(after, Position::new(4, 1), 2, 9, 3).map(|(_, row)| row.kind).collect()
    }

    #[test]
    fn a_due_row_reads_back_as_written() {
        let row = DueRow { time_ms: 1, policy: 2, kind: DueKind::Limits, card: sample() };
        assert_eq!(decode::<DueRow>(&encode(&row).expect("encodes")).expect("decodes"), row);
    }

    #[test]
    fn rows_sort_by_partition_company_and_time_and_say_where_they_stand() {
        let mark = |index, entry, number| DueMark { position: Position::new(index, entry), number };
        let marks = [mark(1, 0, 4), mark(1, 0, 5), mark(1, 1, 0), mark(2, 0, 0)];
        let keys = marks.map(|mark| key(1, "demo", mark).as_slice().to_vec());
        assert!(keys.is_sorted());
        assert_eq!(keys.map(|key| mark_of(&key)), marks.map(Some));
    }

    #[test]
    fn money_alone_is_no_webhook_a_state_a_pending_change_and_usage_are() {
        let row = sample();
        let before = Seen::of(&row);
        let with = |change: fn(&mut CardRow)| {
            let mut after = row.clone();
            change(&mut after);
            after
        };
        type Case = (fn(&mut CardRow), &'static [DueKind]);
        let cases: [Case; 6] = [
            (|card| card.balance = Minor(5), &[]),
            (|card| card.tries = 3, &[]),
            (|card| card.status = Status::Frozen, &[DueKind::Card]),
            (|card| card.pending = None, &[DueKind::Card]),
            (|card| card.usage.lifetime = Minor(7), &[DueKind::Limits]),
            (
                |card| {
                    card.limits.daily = Some(Minor(1));
                    card.fraud = true;
                },
                &[DueKind::Card, DueKind::Limits],
            ),
        ];
        for (number, (change, expected)) in cases.into_iter().enumerate() {
            assert_eq!(due(&before, &with(change)), expected, "case {number}");
        }
        assert_eq!(due(&Seen::new_card(&row), &row), [DueKind::Card], "a new card is told, its limits are no change");
    }

    #[test]
    fn the_profile_is_kept_only_where_it_is_shown() {
        let row = sample();
        let mut after = row.clone();
        after.usage.daily = Minor(1);
        let (_, limits) = Seen::of(&row).due(&after, Position::new(1, 0), 0, 1, 1).next().expect("a row");
        assert_eq!(limits.card.profile, Sealed::NONE);
        let (_, card) = Seen::new_card(&row).due(&after, Position::new(1, 0), 0, 1, 1).next().expect("a row");
        assert_eq!(card.card.profile, row.profile);
    }
}
