//! Remembered outcomes and dated messages.

use super::Mutation;

pub const ALL: &[Mutation] = &[
    Mutation {
        name: "outcome-of-rejects-forgotten",
        says: "a reject is not remembered",
        file: "crates/engine/src/evolve.rs",
        old: "let frozen = outcome.err().is_none_or(|reject| reject.reason.frozen());",
        new: "let frozen = outcome.is_ok();",
    },
    Mutation {
        name: "outcome-of-later-frozen",
        says: "what only says later is remembered",
        file: "crates/engine/src/reject.rs",
        old: "matches!(self.retry(), Retry::Never) && ",
        new: "",
    },
    Mutation {
        name: "outcome-a-moment-too-long",
        says: "an outcome is remembered a millisecond too long",
        file: "crates/engine/src/outcomes.rs",
        old: "if row.time().saturating_add(MEMORY_MS) <= now_ms {",
        new: "if row.time().saturating_add(MEMORY_MS) < now_ms {",
    },
    Mutation {
        name: "outcome-forgotten-a-day-early",
        says: "outcomes are forgotten a day early",
        file: "crates/engine/src/outcomes.rs",
        old: "if row.time().saturating_add(MEMORY_MS) > now_ms {",
        new: "if row.time().saturating_add(MEMORY_MS - 86_400_000) > now_ms {",
    },
    Mutation {
        name: "outcome-of-another-content",
        says: "a key with other content has the first outcome",
        file: "crates/engine/src/outcomes.rs",
        old: "if row.digest == digest.0[..4] {",
        new: "if row.digest == digest.0[..4] || row.slot != u32::MAX {",
    },
    Mutation {
        name: "outcome-of-another-user",
        says: "a key is looked up among those of another user",
        file: "crates/engine/src/state.rs",
        old: "Some(u32::MAX) } else { self.slot(account) }",
        new: "Some(u32::MAX) } else { self.slot(account).map(|slot| slot / 2 * 2) }",
    },
    Mutation {
        name: "message-too-old-taken",
        says: "a message is taken whose key may be forgotten",
        file: "crates/engine/src/decide.rs",
        old: "envelope.dated_ms.saturating_add(MEMORY_MS - AHEAD_MS) <= admitted.time_ms",
        new: "envelope.dated_ms.saturating_add(MEMORY_MS - AHEAD_MS) < admitted.time_ms",
    },
    Mutation {
        name: "message-from-the-future-taken",
        says: "a message dated ahead is taken",
        file: "crates/engine/src/decide.rs",
        old: "let ahead = dated_ms > admitted.time_ms.saturating_add(AHEAD_MS);",
        new: "let ahead = dated_ms > admitted.time_ms.saturating_add(AHEAD_MS + 1);",
    },
];
