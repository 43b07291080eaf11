//! Finding where a partition ends, without writing anything.

use std::sync::Arc;

use super::segment::Segment;
use crate::header::{Header, MAGIC};
use crate::mmr::Range;
use crate::record::Loose;
use crate::{Chain, Corruption, Error, Hash, Head, Ledger, PartitionId};

/// Where a partition ends.
pub(super) struct Tail {
    pub(super) chain: Chain,
    pub(super) head: Head,
    /// Offset after the last record in the last segment.
    pub(super) end: u64,
    /// Whether bytes other than zeros follow: writes that were never acknowledged.
    pub(super) torn: bool,
}

/// Scans the last segment. What precedes it is taken from the few headers that hold the mountain range.
pub(super) fn tail(ledger: &Ledger, partition: PartitionId, segments: &[Arc<Segment>]) -> Result<Tail, Error> {
    let corrupt = |index, reason| Error::corrupt(partition, index, reason);
    let Some(last) = segments.last() else {
        return Err(corrupt(0, Corruption::Genesis));
    };
    let (mut chain, mut head) = match last.first {
        0 => (Chain::new(ledger.id, partition), None),
        first => {
            let (chain, head) = chain_after(partition, segments, first - 1)?;
            (chain, Some(head))
        }
    };
    let mut end = 0;
    let reason = loop {
        let index = chain.next_index();
        match last.record(index, end) {
            Ok(loose) => {
                if index == 0 {
                    ledger.check_genesis(&loose).map_err(|reason| corrupt(0, reason))?;
                }
                let record = chain.push(loose).map_err(|reason| corrupt(index, reason))?;
                last.note(index, end, record.bytes().len());
                end += record.bytes().len() as u64;
                head = Some(record.head());
            }
            Err(Error::Corrupt { reason, .. }) => break reason,
            Err(error) => return Err(error),
        }
    };
    // Genesis was durable before anything else existed: a partition without it is not torn.
    let head = head.ok_or_else(|| corrupt(0, reason.clone()))?;
    let torn = torn(ledger, partition, chain.next_index(), &last.rest(end)?, reason)?;
    Ok(Tail { chain, head, end, torn })
}

/// Whether `rest`, which does not begin with record `next` and is empty if it is all zeros, holds anything. An error if it shows that record `next`
/// had been acknowledged: some later record was sealed when `next` was known durable.
fn torn(ledger: &Ledger, partition: PartitionId, next: u64, rest: &[u8], reason: Corruption) -> Result<bool, Error> {
    if rest.is_empty() {
        return Ok(false);
    }
    let starts = rest.windows(MAGIC.len()).enumerate().filter(|(_, window)| *window == MAGIC);
    for (start, _) in starts {
        let Ok((header, _)) = Header::decode(&rest[start..]) else { continue };
        let ours = header.ledger == ledger.id && header.partition == partition;
        let whole = rest.get(start..start + header.record_bytes()).map(<[u8]>::to_vec);
        if ours && header.durable > next && whole.is_some_and(|whole| Loose::decode(whole).is_ok()) {
            return Err(Error::corrupt(partition, next, reason));
        }
    }
    Ok(true)
}

/// Header of a durable record and the record's hash.
pub(super) fn header_at(
    partition: PartitionId,
    segments: &[Arc<Segment>],
    index: u64,
) -> Result<(Header, Hash), Error> {
    let segment = segment_of(partition, segments, index)?;
    segment.header(index, segment.find(index)?)
}

/// The segment that record `index` is in, if it exists.
pub(super) fn segment_of(
    partition: PartitionId,
    segments: &[Arc<Segment>],
    index: u64,
) -> Result<&Arc<Segment>, Error> {
    let after = segments.partition_point(|segment| segment.first <= index);
    after.checked_sub(1).map(|at| &segments[at]).ok_or_else(|| Error::corrupt(partition, index, Corruption::Genesis))
}

/// The chain after record `index`, and the head there, from at most 65 headers.
pub(super) fn chain_after(
    partition: PartitionId,
    segments: &[Arc<Segment>],
    index: u64,
) -> Result<(Chain, Head), Error> {
    let (header, hash) = header_at(partition, segments, index)?;
    let mut peaks = Vec::new();
    for end in Range::ends(index) {
        peaks.push(header_at(partition, segments, end)?.0.mountain);
    }
    let corrupt = |reason| Error::corrupt(partition, index, reason);
    let before = Range::from_peaks(index, peaks).ok_or_else(|| corrupt(Corruption::Range))?;
    let chain = Chain::after(&header, hash, before).map_err(corrupt)?;
    let range = chain.range().root();
    Ok((chain, Head { index, hash, range, term: header.term, time_ms: header.last_time_ms }))
}
