//! Holds, their legs, clearings, reversals, refunds and force posts.

use super::Mutation;

pub const ALL: &[Mutation] = &[
    Mutation {
        name: "hold-released-twice",
        says: "a released hold is released twice",
        file: "crates/engine/src/apply.rs",
        old: "self.release(event.card, &event.release.legs);",
        new: r"self.release(event.card, &event.release.legs);
                self.release(event.card, &event.release.legs);",
    },
    Mutation {
        name: "hold-kept-on-clearing",
        says: "a clearing leaves its hold standing",
        file: "crates/engine/src/apply.rs",
        old: r"                self.release(event.card, &event.held);
",
        new: "",
    },
    Mutation {
        name: "hold-kept-after-last-clearing",
        says: "the last clearing does not release the rest",
        file: "crates/engine/src/clearings.rs",
        old: "if last && !rest.is_empty() {",
        new: "if last && rest.len() > 9 {",
    },
    Mutation {
        name: "hold-kept-on-expiry",
        says: "an expired hold stays held",
        file: "crates/engine/src/clearings.rs",
        old: "ReleaseCause::Expired, known.held.clone(), true",
        new: "ReleaseCause::Expired, Vec::new(), true",
    },
    Mutation {
        name: "hold-expires-early",
        says: "a hold is due a millisecond early",
        file: "crates/engine/src/clearings.rs",
        old: "case.due(known.until_ms)?",
        new: "case.due(known.until_ms - 1)?",
    },
    Mutation {
        name: "reversal-above-the-hold",
        says: "more is reversed than is held",
        file: "crates/engine/src/clearings.rs",
        old: "    if amount > held {",
        new: "    if amount > held.fold_plus(held) {",
    },
    Mutation {
        name: "reversal-first-forgotten",
        says: "a reversal that comes first is not remembered",
        file: "crates/engine/src/clearings.rs",
        old: "out.push(ReversalRemembered { card: card.id, authorization: command.authorization }.into());",
        new: "let _ = ReversalRemembered { card: card.id, authorization: command.authorization };",
    },
    Mutation {
        name: "split-from-the-front",
        says: "what is given back is taken from the first leg",
        file: "crates/engine/src/holds.rs",
        old: r"    let (left, taken) = split_front(legs, kept);
    (taken, left)",
        new: r"    let (taken, left) = split_front(legs, self::billing(legs).fold_minus(kept));
    (taken, left)",
    },
    Mutation {
        name: "share-rounded-down",
        says: "the share of a leg is rounded down",
        file: "crates/engine/src/money.rs",
        old: "divide(product, i128::from(of.0), Rounding::Up)?",
        new: "divide(product, i128::from(of.0), Rounding::Down)?",
    },
    Mutation {
        name: "leg-rounded-down",
        says: "a token leg is rounded down",
        file: "crates/engine/src/holds.rs",
        old: "exchange.token_for(part, Rounding::Up).filter",
        new: "exchange.token_for(part, Rounding::Down).filter",
    },
    Mutation {
        name: "leg-at-another-rate",
        says: "legs are joined whatever their rates",
        file: "crates/engine/src/holds.rs",
        old: " && other.rate == leg.rate;",
        new: ";",
    },
    Mutation {
        name: "wallets-in-another-order",
        says: "wallets are drawn on from the last",
        file: "crates/engine/src/holds.rs",
        old: "for asset in &programme.wallet_assets {",
        new: "for asset in programme.wallet_assets.iter().rev() {",
    },
    Mutation {
        name: "wallet-holds-ignored",
        says: "a wallet lends what is held already",
        file: "crates/engine/src/holds.rs",
        old: "let available = account.available(*asset);",
        new: "let available = account.wallet(*asset).map_or(Minor::ZERO, |wallet| wallet.balance);",
    },
    Mutation {
        name: "excess-not-drawn",
        says: "a clearing above its hold draws only the hold",
        file: "crates/engine/src/clearings.rs",
        old: "let excess = if beyond.is_positive() {",
        new: "let excess = if beyond.0 > i64::MAX / 8 {",
    },
    Mutation {
        name: "refund-above-the-clearing",
        says: "a refund gives back more than was cleared, as if it had been",
        file: "crates/engine/src/clearings.rs",
        old: "let back = amount.min(billing(spent));",
        new: "let back = amount;",
    },
    Mutation {
        name: "refund-twice",
        says: "a refund does not count against what was spent",
        file: "crates/engine/src/apply.rs",
        old: r"                    let (_, left) = split_back(&authorization.spent, back);
                    authorization.spent = left;",
        new: r"                    let (_, left) = split_back(&authorization.spent, back);
                    let _ = left;",
    },
    Mutation {
        name: "force-post-in-silence",
        says: "a force post puts a card below zero without a word",
        file: "crates/engine/src/clearings.rs",
        old: "if touched_card && on_card.is_negative() {",
        new: "if touched_card && on_card.0 < i64::MIN / 2 {",
    },
    Mutation {
        name: "closed-card-is-credited",
        says: "a refund on a closed card goes to the card",
        file: "crates/engine/src/account.rs",
        old: "Status::Requested | Status::Cancelled => true,",
        new: "Status::Requested => true,",
    },
];
