//! What is stored: codec, snapshot, replay, agenda.

use super::Mutation;

pub const ALL: &[Mutation] = &[
    Mutation {
        name: "codec-fields-swapped",
        says: "an entry is read with key and digest swapped",
        file: "crates/engine/src/codec.rs",
        old: r"        envelope.key = Key(input.array()?);
        envelope.digest = Digest(input.array()?);",
        new: r"        envelope.digest = Digest(input.array()?);
        envelope.key = Key(input.array()?);",
    },
    Mutation {
        name: "codec-place-not-emptied",
        says: "an entry is read behind the events of the one before it",
        file: "crates/engine/src/codec.rs",
        old: "                events.clear();\n",
        new: "",
    },
    Mutation {
        name: "codec-body-reordered",
        says: "two fields of a stored body change places",
        file: "crates/engine/src/event/money.rs",
        old: r"    /// What the card got.
    pub amount: Minor,
    /// The service fee, beside it.
    pub fee: Minor,
",
        new: r"    /// The service fee, beside it.
    pub fee: Minor,
    /// What the card got.
    pub amount: Minor,
",
    },
    Mutation {
        name: "codec-code-changed",
        says: "an event is stored under another code",
        file: "crates/engine/src/event/mod.rs",
        old: "    74 IncrementDeclined;",
        new: "    91 IncrementDeclined;",
    },
    Mutation {
        name: "snapshot-without-counters",
        says: "a snapshot forgets the counters",
        file: "crates/engine/src/snapshot.rs",
        old: r"    state.counters = head.counters;
",
        new: "",
    },
    Mutation {
        name: "snapshot-without-fraud",
        says: "a snapshot forgets the fraud mark",
        file: "crates/engine/src/account.rs",
        old: r"    pub fraud: bool,
    /// Wrong activation tries.",
        new: r"    #[serde(skip)]
    pub fraud: bool,
    /// Wrong activation tries.",
    },
    Mutation {
        name: "snapshot-without-invoice-dates",
        says: "the agenda of a snapshot forgets invoices",
        file: "crates/engine/src/evolve.rs",
        old: "            for (expires_at_ms, number) in invoices {",
        new: "            for (expires_at_ms, number) in invoices.into_iter().skip(1) {",
    },
    Mutation {
        name: "clock-behind",
        says: "the clock lags behind the last entry",
        file: "crates/engine/src/evolve.rs",
        old: r"    state.clock_ms = state.clock_ms.max(admitted.time_ms);
",
        new: r"    state.clock_ms = admitted.time_ms.saturating_sub(1);
",
    },
    Mutation {
        name: "agenda-keeps-a-closed-hold",
        says: "a hold that is gone is due all the same",
        file: "crates/engine/src/agenda.rs",
        old: r"        if let Some((phase, time)) = before {
            self.times(phase).remove(&(time, slot, id));
        }",
        new: r"        if let Some((phase, time)) = before.filter(|_| after.is_none()) {
            self.times(phase).remove(&(time, slot, id));
        }",
    },
];
