//! Snapshots: the engine's bytes of a state, and the file around them.

use florin_engine::snapshot as engine;
use florin_journal::{Hash, LedgerId, PartitionId};
use florin_processor::snapshot::{self, Header};
use florin_proptests::fuzz::{Target, bytes};

use crate::{
    INPUTS,
    bounds::{alone, bounded},
    samples,
};

#[test]
fn states_are_refused_or_read_and_cost_no_more_than_their_bytes() {
    let _alone = alone();
    let samples: Vec<Vec<u8>> = samples::states()
        .iter()
        .map(|state| {
            let mut bytes = vec![];
            engine::write(state, &mut bytes);
            bytes
        })
        .collect();
    let mut read = 0;
    Target { name: "states", inputs: INPUTS, rounds: 6_000 }.run(
        |rng| {
            let mut input = bytes::mutate(rng, &samples);
            // Lengths stand in the head more than anywhere.
            if rng.once_in(3) && input.len() > 64 {
                let mut head = input[..64].to_vec();
                bytes::change(rng, &mut head, &samples);
                input.splice(..64, head);
            }
            input
        },
        |input| {
            let Ok(state) = bounded(input.len(), || engine::read(input)) else { return };
            read += 1;
            let mut again = vec![];
            engine::write(&state, &mut again);
            let state = engine::read(&again).expect("what is read is written back");
            assert_eq!(
                engine::hash(&state),
                blake3::derive_key("florin 2026 state", &again),
                "what is written back reads alike"
            );
            let _ = (state.due(u64::MAX, 50), state.work(50));
        },
    );
    assert!(read > 100, "some are read: {read}");
}

#[test]
fn files_are_refused_unless_whole_however_they_are_sealed() {
    let _alone = alone();
    let (ledger, partition) = (LedgerId([0xAA; 16]), PartitionId(0));
    let samples: Vec<Vec<u8>> = samples::states()
        .iter()
        .zip(1..)
        .map(|(state, index)| {
            let header = Header {
                ledger,
                partition,
                index,
                record: Hash([0xBB; 32]),
                rules: 1,
                state_hash: engine::hash(state),
            };
            snapshot::encode(&header, state)
        })
        .collect();
    let mut read = 0;
    Target { name: "snapshot-files", inputs: INPUTS, rounds: 4_000 }.run(
        |rng| {
            let mut input = bytes::mutate(rng, &samples);
            if let Some((body, _)) = input.split_last_chunk::<32>().filter(|_| rng.once_in(2)) {
                let mut body = body.to_vec();
                // The length that the file says, made true: 8 bytes before the state.
                if body.len() > 116 && rng.once_in(2) {
                    let length = (body.len() - 116) as u64;
                    body[108..116].copy_from_slice(&length.to_le_bytes());
                }
                let own = blake3::derive_key("florin 2026 snapshot file", &body);
                body.extend(own);
                input = body;
            }
            input
        },
        |input| {
            let whole = samples.iter().any(|sample| sample == input);
            let decoded = bounded(input.len(), || snapshot::decode(input, ledger, partition));
            assert!(decoded.is_ok() || !whole, "what was written is read");
            let Ok((header, state)) = decoded else { return };
            read += 1;
            let (body, own) = input.split_last_chunk::<32>().unwrap();
            assert_eq!(blake3::derive_key("florin 2026 snapshot file", body), *own, "only what is sealed is read");
            let again = snapshot::encode(&header, &state);
            let (twice, _) = snapshot::decode(&again, ledger, partition).expect("what is read is written back");
            assert_eq!(twice, header);
        },
    );
    assert!(read > 50, "a seal gets them past the hash: {read}");
}
