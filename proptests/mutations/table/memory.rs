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
    Mutation {
        name: "keys-one-more",
        says: "one key more than the policy allows",
        file: "crates/engine/src/decide.rs",
        old: "let full = |keys: u32| keys >= policy.remembered_max;",
        new: "let full = |keys: u32| keys > policy.remembered_max;",
    },
    Mutation {
        name: "keys-of-others-count",
        says: "the keys of messages and of ops count as the user's own",
        file: "crates/engine/src/evolve.rs",
        old: "if user && let Some(account) = state.accounts.get_mut(slot as usize) {",
        new: "if let Some(account) = state.accounts.get_mut(slot as usize) {",
    },
    Mutation {
        name: "keys-past-their-time-count",
        says: "keys past their time take room until the next entry",
        file: "crates/engine/src/decide.rs",
        old: " && full(state.keys_at(account, admitted.time_ms)) {",
        new: " {",
    },
    Mutation {
        name: "authorizations-one-more",
        says: "one authorization more than the policy allows",
        file: "crates/engine/src/decide.rs",
        old: "let full = |known: usize| known >= limit as usize;",
        new: "let full = |known: usize| known > limit as usize;",
    },
    Mutation {
        name: "authorizations-without-room",
        says: "a reversal that comes first is remembered though there is no room",
        file: "crates/engine/src/clearings.rs",
        old: r"        case.room_for_authorization()?;
        out.push(ReversalRemembered",
        new: "        out.push(ReversalRemembered",
    },
    Mutation {
        name: "reject-leaves-a-trace",
        says: "a reject moves a counter on",
        file: "crates/engine/src/evolve.rs",
        old: "let frozen = outcome.err().is_none_or(|reject| reject.reason.frozen());",
        new: r"state.counters.appeals += u64::from(outcome.is_err());
    let frozen = outcome.err().is_none_or(|reject| reject.reason.frozen());",
    },
];
