//! Entries as the journal stores them.

use florin_engine::{codec::Entry, evolve::evolve, ids::Position};
use florin_proptests::fuzz::{Target, bytes};

use crate::{
    INPUTS,
    bounds::{alone, bounded},
    samples,
};

/// Not repeated here: flips, cuts and folds of generated histories (`properties/bytes.rs`). This splices all kinds, lies about
/// lengths, and counts what reading costs.
#[test]
fn entries_are_refused_or_read_and_cost_no_more_than_their_bytes() {
    let _alone = alone();
    let samples = samples::entries();
    let mut state = samples::states().pop().unwrap();
    let (mut n, mut read, mut place) = (1_000, 0, Entry::blank());
    Target { name: "entries", inputs: INPUTS, rounds: 60_000 }.run(
        |rng| bytes::mutate(rng, &samples),
        |input| {
            let Ok(entry) = bounded(input.len(), || Entry::decode(input)) else { return };
            read += 1;
            let mut again = vec![];
            entry.encode(&mut again);
            assert_eq!(Entry::decode(&again).as_ref(), Ok(&entry), "what is read is written back alike");
            // The place still has what was read there before, or what was not read to its end.
            let _ = place.read(input.get(..input.len() * (read % 4) / 4).unwrap_or_default());
            assert_eq!((place.read(input), &place), (Ok(()), &entry), "an entry reads alike in a place that was used");
            let original = samples.iter().find(|sample| Entry::decode(sample).as_ref() == Ok(&entry));
            // Only a length written longer than it must be may read as another entry does; what is written has one form.
            assert!(original.is_none_or(|original| *original == again), "an entry has one written form");
            if read % 16 == 0 {
                n += 1;
                evolve(&mut state, Position::new(n, 0), &entry.admitted, samples::outcome(&entry.outcome));
            }
        },
    );
    assert!(read > 100, "some are read: {read}");
}
