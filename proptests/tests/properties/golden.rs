//! The stored history in which every kind of event happens: it reads, is written back as it was, and decides again to the
//! same outcomes, to the byte. A field that moves within a stored body shows here, where nothing else that is written and read by
//! the same code would see it.

use florin_engine::{
    codec::{Entry, encode_outcome},
    decide::{Decision, decide},
    evolve::evolve,
    ids::Position,
    snapshot,
    state::State,
};

use crate::world::stored;

const ENTRIES: &[u8] = include_bytes!("../../../crates/engine/tests/stories/grand_tour.entries");
const STATE: &str = include_str!("../../../crates/engine/tests/stories/grand_tour.state");

#[test]
fn the_stored_history_decides_again_to_the_same_bytes() {
    let (mut state, mut rest, mut index, mut events) = (State::new(0, 1), ENTRIES, 0, vec![]);
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (bytes, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        (rest, index) = (after, index + 1);
        let entry = Entry::decode(bytes).unwrap();
        let mut written = vec![];
        entry.encode(&mut written);
        assert_eq!(written, bytes, "entry {index} is written as it was read");
        let mut outcome = vec![];
        match decide(&state, &entry.admitted, &mut events) {
            Decision::Accepted => encode_outcome(Ok(&events), &mut outcome),
            Decision::Rejected(reject) => encode_outcome(Err(&reject), &mut outcome),
            Decision::Replayed(position) => panic!("entry {index} was decided at {position:?}"),
        }
        assert!(bytes.ends_with(&outcome), "entry {index} comes to the same: {:?}", entry.outcome);
        evolve(&mut state, Position::new(index, 0), &entry.admitted, stored(&entry.outcome));
    }
    assert!(index > 50, "there are entries");
    let hash = florin_engine::human::hex(&snapshot::hash(&state));
    assert_eq!(hash, STATE.trim(), "the state it leads to");
}
