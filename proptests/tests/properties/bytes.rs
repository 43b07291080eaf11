//! Bytes that nobody wrote: decoding never panics, and neither does folding whatever decodes.

use florin_engine::{
    codec::{Entry, Unread},
    command::Class,
    evolve::evolve,
    ids::Position,
    snapshot,
    state::State,
};
use proptest::prelude::*;

use crate::{
    steps::step,
    table::Table,
    world::{World, stored},
};

/// A history with most kinds of entries in it.
fn history(steps: &[crate::steps::Step]) -> World {
    let mut table = Table::new();
    for step in steps {
        table.take(step);
    }
    table.world
}

fn fold(state: &mut State, n: usize, entry: &Entry) {
    evolve(state, Position::new(n as u64 + 1, 0), &entry.admitted, stored(&entry.outcome));
    // What derives from the state must stand up to anything too.
    let _ = (state.due(u64::MAX, 50), state.work(50), snapshot::hash(state));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::agreement::cases(), ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Entry::decode(&bytes);
        let _ = snapshot::read(&bytes);
        let mut headed = 1_u32.to_le_bytes().to_vec();
        headed.extend(&bytes);
        let _ = snapshot::read(&headed);
    }

    /// Entries with flipped, cut and inserted bytes either do not decode, or fold without a panic; what decodes is written
    /// back so that it reads the same.
    #[test]
    fn damaged_entries_never_panic(
        steps in prop::collection::vec(step(), 30..80),
        damage in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..40),
        foreign in any::<bool>(),
    ) {
        let world = history(&steps);
        let mut state = if foreign { State::new(0, 1) } else { world.state.clone() };
        for (n, (entry, at, with, how)) in damage.iter().enumerate() {
            let mut bytes = entry.get(&world.entries).clone();
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] ^= with,
                1 => bytes.truncate(at),
                2 => bytes.insert(at, *with),
                _ => bytes[at] = *with,
            }
            if let Ok(read) = Entry::decode(&bytes) {
                let mut again = vec![];
                read.encode(&mut again);
                prop_assert_eq!(Entry::decode(&again), Ok(read.clone()), "what is read is written back alike");
                fold(&mut state, world.entries.len() + n, &read);
            }
        }
    }

    /// Sound entries in an order that never happened, some twice, some in another account's name; each read in the place of the one
    /// before it.
    #[test]
    fn entries_out_of_order_never_panic(
        steps in prop::collection::vec(step(), 30..80),
        order in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<bool>()), 1..60),
    ) {
        let world = history(&steps);
        let entries: Vec<Entry> = world.entries.iter().map(|bytes| Entry::decode(bytes).unwrap()).collect();
        let (mut state, mut place, mut unread) = (State::new(0, 1), Entry::blank(), Entry::<Unread>::blank());
        for (n, (entry, other, swap)) in order.iter().enumerate() {
            let bytes: &Vec<u8> = entry.get(&world.entries);
            prop_assert_eq!(place.read(bytes), Ok(()));
            let mut entry = entry.get(&entries).clone();
            prop_assert_eq!(&place, &entry, "it reads alike wherever it is read");
            prop_assert_eq!(unread.read(bytes), Ok(()));
            prop_assert_eq!(&unread.outcome, &entry.outcome, "and with its command left out");
            if *swap {
                entry.admitted.envelope.account = other.get(&entries).admitted.envelope.account;
                entry.admitted.envelope.class = Class::User;
            }
            fold(&mut state, n, &entry);
        }
    }

    /// A snapshot with a flipped byte is refused, or read as some state without a panic.
    #[test]
    fn damaged_snapshots_never_panic(
        steps in prop::collection::vec(step(), 30..60),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..30),
    ) {
        let world = history(&steps);
        let mut bytes = vec![];
        snapshot::write(&world.state, &mut bytes);
        for (at, with) in flips {
            let mut damaged = bytes.clone();
            damaged[at.index(bytes.len())] ^= with;
            if let Ok(read) = snapshot::read(&damaged) {
                let _ = (read.due(u64::MAX, 50), read.work(50), snapshot::hash(&read));
            }
        }
    }
}
