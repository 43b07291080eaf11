//! The first half of the pipeline: reads a partition's records, checks each by itself and in its place, holds signed heads
//! against them, and passes them on to be decided again.
//!
//! After the first break nothing later can be decided, as the state is unknown; records are then only checked by
//! themselves and against their neighbour, so that every other damage is named too.

use std::iter::Peekable;
use std::slice::Iter;
use std::sync::mpsc::SyncSender;

use florin_journal::export::Span;
use florin_journal::header::Header;
use florin_journal::{Chain, Corruption, Error, Hash, Head, Kind, Ledger, Loose, PartitionId, Record};

use super::anchors::{Anchor, compare};
use super::finding::{Finding, Sink};
use super::progress::Meter;
use super::walk::{Step, Walk};

/// Entries, or bytes, handed over at a time.
const HAND_ENTRIES: usize = 512;
const HAND_BYTES: usize = 512 << 10;

/// What the chain of a partition came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chained {
    pub(super) records: u64,
    pub(super) bytes: u64,
    pub(super) head: Option<Head>,
    /// Whether every record was in its place.
    pub(super) whole: bool,
    /// The newest heads that were reached and fit, kept by the auditor or only published.
    pub(super) trusted: Option<Head>,
    pub(super) published: Option<Head>,
    /// Records and commands since the newest of the auditor's heads that fits, or all.
    pub(super) behind: Behind,
}

/// What no head of the auditor's answers for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Behind {
    pub(super) records: u64,
    pub(super) commands: u64,
}

/// Reads a partition to its end.
pub(super) struct Links<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) partition: PartitionId,
    pub(super) anchors: &'a [Anchor],
    /// What an export's trailer says of the partition.
    pub(super) span: Option<&'a Span>,
    pub(super) live: bool,
    pub(super) sink: &'a Sink,
    pub(super) meter: &'a Meter,
}

/// Heads that are still to come.
type Anchors<'a> = Peekable<Iter<'a, Anchor>>;

/// Where the chain is once it is broken.
struct Broken {
    next: u64,
    last: Option<Hash>,
    term: u64,
    time_ms: u64,
}

impl Links<'_> {
    /// Follows the chain; `out` is hung up at the first break.
    pub(super) fn follow(&self, walk: std::io::Result<Walk>, out: SyncSender<Vec<Record>>) -> Chained {
        let mut done = Chained { whole: true, ..Chained::default() };
        let mut walk = match walk {
            Ok(walk) => walk.live(self.live),
            Err(error) => {
                self.unreadable(&error);
                return Chained::default();
            }
        };
        let mut anchors = self.anchors.iter().peekable();
        let mut broken: Option<Broken> = None;
        let mut chain = match self.start(&mut anchors, &mut done) {
            Ok(chain) => chain,
            Err(from) => {
                done.whole = false;
                broken = Some(Broken { next: from, last: None, term: 0, time_ms: 0 });
                Chain::new(self.ledger.id, self.partition)
            }
        };
        let mut out = Some(out).filter(|_| broken.is_none());
        let (mut hand, mut held) = (Vec::new(), (0, 0));
        loop {
            let expected = broken.as_ref().map_or(chain.next_index(), |broken| broken.next);
            let step = match walk.next(expected) {
                Ok(step) => step,
                Err(error) => {
                    done.whole = false;
                    hand_over(&mut hand, &mut out);
                    self.unreadable(&error);
                    return done;
                }
            };
            match step {
                Step::End => break,
                Step::Torn { bytes, reason } => {
                    self.torn(expected, bytes, &reason);
                    break;
                }
                Step::Damage(reason) => {
                    self.sink.find(Finding::corrupt(&reason).at(self.partition.0, expected));
                    let (term, time_ms) = broken.as_ref().map_or((chain.term(), chain.time_ms()), Broken::place);
                    broken = Some(Broken { next: expected + 1, last: None, term, time_ms });
                }
                Step::Record(loose) => {
                    done.records += 1;
                    done.bytes += loose.bytes().len() as u64;
                    self.meter.advance(loose.bytes().len() as u64);
                    done.behind.records += 1;
                    done.behind.commands += if loose.kind() == Kind::Entries { loose.len() as u64 } else { 0 };
                    if let Some(broken) = &mut broken {
                        self.beside(&loose, broken);
                        self.anchored(&mut anchors, loose.index(), None, loose.hash(), &mut done);
                        continue;
                    }
                    match self.place(&mut chain, loose.clone()) {
                        Ok(record) => {
                            let head = record.head();
                            done.head = Some(head);
                            self.anchored(&mut anchors, head.index, Some(&head), head.hash, &mut done);
                            held.0 += record.len();
                            held.1 += record.bytes().len();
                            hand.push(record);
                            if held.0 >= HAND_ENTRIES || held.1 >= HAND_BYTES {
                                hand_over(&mut hand, &mut out);
                                held = (0, 0);
                            }
                        }
                        Err(reason) => {
                            self.sink.find(Finding::corrupt(&reason).at(self.partition.0, expected));
                            let header = loose.header();
                            broken = Some(Broken {
                                next: header.index + 1,
                                last: Some(loose.hash()),
                                term: header.term,
                                time_ms: header.last_time_ms,
                            });
                            self.anchored(&mut anchors, header.index, None, loose.hash(), &mut done);
                        }
                    }
                }
            }
            if broken.is_some() && out.is_some() {
                done.whole = false;
                hand_over(&mut hand, &mut out);
                out = None;
            }
        }
        hand_over(&mut hand, &mut out);
        self.exported(broken.as_ref(), done.head);
        self.end(broken.map_or(chain.next_index(), |broken| broken.next), anchors, &mut done);
        done
    }

    /// The chain before the first record: of an export that begins later, behind the record that its trailer quotes; the
    /// first index if that one does not hold.
    fn start(&self, anchors: &mut Anchors<'_>, done: &mut Chained) -> Result<Chain, u64> {
        let Some(span) = self.span.filter(|span| span.from > 0) else {
            return Ok(Chain::new(self.ledger.id, self.partition));
        };
        match span.chain(self.ledger, self.partition) {
            Ok(chain) => {
                if let Some(Ok((before, hash))) = span.before.as_ref().map(|(header, _)| Header::decode(header)) {
                    let head = Head {
                        index: before.index,
                        hash,
                        range: chain.range().root(),
                        term: before.term,
                        time_ms: before.last_time_ms,
                    };
                    self.anchored(anchors, head.index, Some(&head), hash, done);
                    done.head = Some(head);
                }
                Ok(chain)
            }
            Err(error) => {
                let finding = match error {
                    Error::Corrupt { reason, .. } => Finding::corrupt(&reason),
                    error => Finding::new("export", "a record before the first that the trailer quotes", error),
                };
                self.sink.find(finding.at(self.partition.0, span.from.saturating_sub(1)));
                Err(span.from)
            }
        }
    }

    /// Holds where the records end against what the export's trailer says.
    fn exported(&self, broken: Option<&Broken>, head: Option<Head>) {
        let Some(said) = self.span.map(|span| span.head) else { return };
        let found = match (broken, head) {
            // Behind a break the range is not known.
            (Some(broken), _) if broken.next != said.index + 1 => Some(format!("records up to before {}", broken.next)),
            (Some(broken), _) => broken.last.filter(|last| *last != said.hash).map(|last| format!("hash {last}")),
            (None, Some(head)) => (head != said).then(|| format!("{head:?}")),
            (None, None) => Some("no record".to_owned()),
        };
        if let Some(found) = found {
            let finding = Finding::new("export", format!("{said:?} at the end, by the trailer"), found);
            self.sink.find(finding.at(self.partition.0, said.index));
        }
    }

    fn place(&self, chain: &mut Chain, loose: Loose) -> Result<Record, Corruption> {
        if chain.next_index() == 0 && loose.kind() == Kind::Genesis {
            self.ledger.check_genesis(&loose)?;
        }
        if loose.kind() == Kind::Claim && loose.last_time_ms() != chain.time_ms() {
            return Err(Corruption::Time { last: chain.time_ms(), found: loose.last_time_ms() });
        }
        chain.push(loose)
    }

    /// Checks a record behind a break against the one before it only.
    fn beside(&self, loose: &Loose, broken: &mut Broken) {
        let header = loose.header();
        let reason = if header.ledger != self.ledger.id {
            Some(Corruption::Ledger(header.ledger))
        } else if header.partition != self.partition {
            Some(Corruption::Partition(header.partition))
        } else if header.index != broken.next {
            Some(Corruption::Index { expected: broken.next, found: header.index })
        } else if let Some(last) = broken.last.filter(|last| *last != header.previous) {
            Some(Corruption::Previous { expected: last, found: header.previous })
        } else if header.term < broken.term {
            Some(Corruption::Term { last: broken.term, found: header.term })
        } else if header.first_time_ms < broken.time_ms {
            Some(Corruption::Time { last: broken.time_ms, found: header.first_time_ms })
        } else {
            None
        };
        if let Some(reason) = reason {
            self.sink.find(Finding::corrupt(&reason).at(self.partition.0, broken.next));
        }
        broken.next = header.index.saturating_add(1);
        broken.last = Some(loose.hash());
        broken.term = header.term;
        broken.time_ms = header.last_time_ms;
    }

    /// Holds the record at `index` against every head that was signed there. Behind a break its range is not known.
    fn anchored(&self, anchors: &mut Anchors<'_>, index: u64, head: Option<&Head>, hash: Hash, done: &mut Chained) {
        while let Some(anchor) = anchors.next_if(|anchor| anchor.head.head.index <= index) {
            if anchor.head.head.index < index {
                continue;
            }
            let found = head.copied().unwrap_or(Head { hash, ..anchor.head.head });
            match compare(anchor, &found) {
                Some(finding) => self.sink.find(finding),
                None if anchor.trusted => {
                    done.trusted = Some(found);
                    done.behind = Behind::default();
                }
                None => done.published = Some(found),
            }
        }
    }

    fn torn(&self, index: u64, bytes: u64, reason: &Corruption) {
        self.sink.gap(format!(
            "partition {}: the {bytes} bytes after its last record are no record {index} ({reason}): a write that was cut \
             off before it was acknowledged, or a damaged last record; a signed head from after it would tell",
            self.partition
        ));
    }

    fn end(&self, next: u64, anchors: Anchors<'_>, done: &mut Chained) {
        let partition = self.partition.0;
        for anchor in anchors {
            let head = &anchor.head.head;
            let kind = if anchor.trusted { "trusted-head" } else { "published-head" };
            self.sink.find(
                Finding::new(
                    kind,
                    format!("record {} with hash {}, which was signed", head.index, head.hash),
                    format!("the partition ends before record {next}: its tail was cut off"),
                )
                .at(partition, head.index),
            );
        }
        if next == 0 {
            self.sink.gap(format!("partition {partition} is missing: no record of it was found"));
            done.whole = false;
        }
    }

    fn unreadable(&self, error: &std::io::Error) {
        self.sink.gap(format!("partition {} cannot be read: {error}", self.partition));
    }
}

fn hand_over(hand: &mut Vec<Record>, out: &mut Option<SyncSender<Vec<Record>>>) {
    let full = std::mem::take(hand);
    // Whoever decides may have given up; the chain is followed to its end all the same.
    if let Some(sender) = out
        && !full.is_empty()
        && sender.send(full).is_err()
    {
        *out = None;
    }
}

impl Broken {
    fn place(&self) -> (u64, u64) {
        (self.term, self.time_ms)
    }
}
