//! A forger with all the time in the world: takes a partition's records apart, changes what it likes, seals them again with
//! right checksums, roots and chain, and signs heads with a key of its own.

use std::collections::BTreeMap;
use std::fs;

use florin_engine::codec::{Entry, Outcome, encode};
use florin_engine::command::{Admitted, Command};
use florin_engine::decide::{Decision, decide};
use florin_engine::event::Event;
use florin_engine::evolve::evolve;
use florin_engine::ids::Position;
use florin_engine::snapshot;
use florin_engine::state::State;
use florin_journal::header::Header;
use florin_journal::mmr::Range;
use florin_journal::{HEADER_BYTES, Hash, Head, Kind, SignedHead, SigningKey, merkle, verify_record};

use crate::world::{PARTITIONS, World, id};

/// A record taken apart.
#[derive(Clone)]
pub(crate) struct Piece {
    pub(crate) header: Header,
    pub(crate) bytes: Vec<u8>,
    pub(crate) offset: usize,
}

impl Piece {
    pub(crate) fn entries(&self) -> Vec<Vec<u8>> {
        verify_record(&self.bytes).unwrap().entries().map(<[u8]>::to_vec).collect()
    }
}

/// The records of a partition.
pub(crate) fn pieces(world: &World, partition: u16) -> Vec<Piece> {
    let bytes = fs::read(world.segment(partition)).unwrap();
    let (mut pieces, mut offset) = (Vec::new(), 0);
    while let Ok((header, _)) = Header::decode(&bytes[offset..]) {
        let end = offset + header.record_bytes();
        pieces.push(Piece { header, bytes: bytes[offset..end].to_vec(), offset });
        offset = end;
    }
    pieces
}

/// Writes records as they are.
pub(crate) fn put(world: &World, partition: u16, pieces: &[Piece]) {
    let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes.clone()).collect();
    fs::write(world.segment(partition), bytes).unwrap();
}

/// Seals the partition again with `entries` for each record, and publishes forged heads, so that all that can be
/// checked without an own head fits.
pub(crate) fn seal(world: &World, partition: u16, pieces: &[Piece], entries: &[Vec<Vec<u8>>]) {
    let (mut range, mut last) = (Range::new(), Hash::ZERO);
    let mut out = Vec::new();
    let mut head = None;
    for (piece, entries) in pieces.iter().zip(entries) {
        let mut body = Vec::new();
        for entry in entries {
            body.extend_from_slice(&u32::try_from(entry.len()).unwrap().to_le_bytes());
            body.extend_from_slice(entry);
        }
        let count = u32::try_from(entries.len()).unwrap();
        let root = if piece.header.kind == Kind::Claim { Hash::ZERO } else { merkle::root(&body, count).unwrap() };
        let header = Header {
            previous: last,
            range: range.root(),
            mountain: range.mountain(),
            count,
            body_bytes: u32::try_from(body.len()).unwrap(),
            entries: root,
            ..piece.header
        };
        let mut sealed = [0; HEADER_BYTES];
        last = header.encode(&mut sealed);
        range.push(last);
        out.extend_from_slice(&sealed);
        out.extend_from_slice(&body);
        head = Some(Head {
            index: header.index,
            hash: last,
            range: range.root(),
            term: header.term,
            time_ms: header.last_time_ms,
        });
    }
    fs::write(world.segment(partition), out).unwrap();
    let key = SigningKey::from_bytes(&[66; 32]);
    let published = fs::read_to_string(world.journal().join("heads.jsonl")).unwrap();
    let mut lines: Vec<String> = published
        .lines()
        .filter(|line| SignedHead::from_json(line).unwrap().partition.0 != partition)
        .map(ToOwned::to_owned)
        .collect();
    lines.push(SignedHead::sign(pieces[0].header.ledger, id(partition), head.unwrap(), &key).to_json());
    world.publish(&(lines.join("\n") + "\n"));
}

/// Changes the bytes of one entry, and seals everything again without deciding anything.
pub(crate) fn rewrite(world: &World, partition: u16, position: Position, change: impl Fn(&mut Vec<u8>)) {
    let pieces = pieces(world, partition);
    let mut entries: Vec<Vec<Vec<u8>>> = pieces.iter().map(Piece::entries).collect();
    let record = usize::try_from(position.index()).unwrap();
    change(&mut entries[record][position.entry() as usize]);
    seal(world, partition, &pieces, &entries);
}

/// What a forger makes of an entry.
pub(crate) enum Forged {
    /// As decided under the state so far, with the command as it is.
    Honest(Admitted),
    /// With an outcome of the forger's choice.
    Outcome(Admitted, Outcome),
    /// Twice.
    Twice(Admitted),
}

/// Forges a partition: every entry passes through `change`, all is decided again under the forged state, so that nothing
/// but the change itself is wrong. Checkpoints are made to fit.
pub(crate) fn forge(world: &World, partition: u16, mut change: impl FnMut(Position, Entry) -> Forged) {
    let pieces = pieces(world, partition);
    let mut state = State::new(partition, PARTITIONS);
    let mut hashes = BTreeMap::new();
    let (mut all, mut events) = (Vec::new(), Vec::new());
    for piece in &pieces {
        let mut forged = Vec::new();
        if piece.header.kind == Kind::Entries {
            for (n, bytes) in (0..).zip(piece.entries()) {
                let entry = Entry::decode(&bytes).unwrap();
                let change = change(Position::new(piece.header.index, n), entry);
                let times = if matches!(change, Forged::Twice(_)) { 2 } else { 1 };
                let (mut admitted, chosen) = match change {
                    Forged::Honest(admitted) | Forged::Twice(admitted) => (admitted, None),
                    Forged::Outcome(admitted, outcome) => (admitted, Some(outcome)),
                };
                if let Command::Checkpoint(checkpoint) = &mut admitted.envelope.command {
                    checkpoint.state_hash = hashes[&checkpoint.index];
                }
                let outcome = chosen.unwrap_or_else(|| match decide(&state, &admitted, &mut events) {
                    Decision::Accepted => Outcome::Accepted(events.clone()),
                    Decision::Rejected(reject) => Outcome::Rejected(reject),
                    Decision::Replayed(position) => panic!("{position} again"),
                });
                for _ in 0..times {
                    let position = Position::new(piece.header.index, u32::try_from(forged.len()).unwrap());
                    let outcome = match &outcome {
                        Outcome::Accepted(events) => Ok(events.as_slice()),
                        Outcome::Rejected(reject) => Err(reject),
                    };
                    let mut bytes = Vec::new();
                    encode(&admitted, outcome, &mut bytes);
                    forged.push(bytes);
                    evolve(&mut state, position, &admitted, outcome);
                }
            }
        } else {
            forged = piece.entries();
        }
        hashes.insert(piece.header.index, snapshot::hash(&state));
        all.push(forged);
    }
    seal(world, partition, &pieces, &all);
}

/// Where the first entry is that `wanted` likes.
pub(crate) fn find(world: &World, partition: u16, wanted: impl Fn(&Entry) -> bool) -> Position {
    for piece in pieces(world, partition).iter().filter(|piece| piece.header.kind == Kind::Entries) {
        for (n, bytes) in (0..).zip(piece.entries()) {
            if wanted(&Entry::decode(&bytes).unwrap()) {
                return Position::new(piece.header.index, n);
            }
        }
    }
    panic!("the ledger has no such entry");
}

/// Whether an entry has such an event.
pub(crate) fn has(entry: &Entry, wanted: impl Fn(&Event) -> bool) -> bool {
    matches!(&entry.outcome, Outcome::Accepted(events) if events.iter().any(wanted))
}
