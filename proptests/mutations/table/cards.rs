//! Cards: how many, tries, changes of status and what overtakes them, settlement, assertions, appeals, policies that change.

use super::Mutation;

pub const ALL: &[Mutation] = &[
    Mutation {
        name: "card-the-sixth",
        says: "a sixth card is issued",
        file: "crates/engine/src/issue.rs",
        old: "if used + more <= usize::from(limit) {",
        new: "if used + more <= usize::from(limit) + 1 {",
    },
    Mutation {
        name: "card-requests-not-counted",
        says: "open requests do not count as cards",
        file: "crates/engine/src/account.rs",
        old: "self.cards.iter().filter(|card| card.status.counts()).count() + requests",
        new: "self.cards.iter().filter(|card| card.status.counts()).count() + requests * 0",
    },
    Mutation {
        name: "card-expires-early",
        says: "a card expires a month early",
        file: "crates/engine/src/limits.rs",
        old: "let next = u64::from(month) + 1;",
        new: "let next = u64::from(month);",
    },
    Mutation {
        name: "tries-kept-after-unblock",
        says: "wrong tries are kept when a card is unblocked",
        file: "crates/engine/src/apply.rs",
        old: r"                    card.tries = 0;
",
        new: r"                    card.tries = card.tries.saturating_sub(1);
",
    },
    Mutation {
        name: "tries-one-more",
        says: "one wrong try more than the policy allows",
        file: "crates/engine/src/lifecycle.rs",
        old: "if tries >= case.policy.activation_tries_max {",
        new: "if tries > case.policy.activation_tries_max {",
    },
    Mutation {
        name: "sweep-over-fraud",
        says: "a card blocked for fraud is swept and closed",
        file: "crates/engine/src/lifecycle.rs",
        old: "if card.fraud || card.balance.is_negative()",
        new: "if card.balance.is_negative()",
    },
    Mutation {
        name: "sweep-over-holds",
        says: "a card is closed over an open hold",
        file: "crates/engine/src/lifecycle.rs",
        old: " || account.has_holds(card.id) {",
        new: " {",
    },
    Mutation {
        name: "sweep-not-credited",
        says: "what is swept does not reach the wallet",
        file: "crates/engine/src/apply.rs",
        old: r"            Event::Swept(event) => {
                self.on_card(event.card, |card| card.balance = card.balance.fold_minus(event.amount));
                self.credit_wallet(event.currency, event.amount);
",
        new: r"            Event::Swept(event) => {
                self.on_card(event.card, |card| card.balance = card.balance.fold_minus(event.amount));
",
    },
    Mutation {
        name: "freeze-binds-late",
        says: "a freeze binds only when it is settled",
        file: "crates/engine/src/authorizations.rs",
        old: "    if closing {",
        new: "    if closing && card.fraud {",
    },
    Mutation {
        name: "change-overtakes-its-like",
        says: "a change takes the place of one that is as strong",
        file: "crates/engine/src/lifecycle.rs",
        old: "strength(change) > strength(*what) => Ok(true)",
        new: "strength(change) >= strength(*what) => Ok(true)",
    },
    Mutation {
        name: "freeze-forgotten-under-a-block",
        says: "a block over an accepted freeze is lifted to active",
        file: "crates/engine/src/apply.rs",
        old: "if freezing { Status::Frozen } else { event.from }",
        new: "if freezing && event.fraud { Status::Frozen } else { event.from }",
    },
    Mutation {
        name: "freeze-not-asked-again",
        says: "what was overtaken is forgotten when the stronger is refused",
        file: "crates/engine/src/settlement.rs",
        old: r"            ask_again(case, card, out);
",
        new: "",
    },
    Mutation {
        name: "thaw-never-reverts",
        says: "a thaw past its deadline stays pending",
        file: "crates/engine/src/settlement.rs",
        old: "Waiting::Status { what, .. } => what.reduces_risk(),",
        new: "Waiting::Status { what, .. } => what.reduces_risk() || *what == Change::Thaw,",
    },
    Mutation {
        name: "fraud-cancelled-by-its-user",
        says: "the user cancels a card blocked for fraud",
        file: "crates/engine/src/lifecycle.rs",
        old: "if card.fraud && case.class == Class::User {",
        new: "if card.fraud && case.class == Class::Clock {",
    },
    Mutation {
        name: "settlement-of-an-older-change",
        says: "the answer to an older change settles the newer one",
        file: "crates/engine/src/settlement.rs",
        old: r"        card.pending.as_deref().filter(|pending| request_id(card.id, pending.change) == command.request)
    else {",
        new: r"        card.pending.as_deref().filter(|pending| request_id(card.id, pending.change) == command.request || card.change > 2)
    else {",
    },
    Mutation {
        name: "settlement-applied-twice",
        says: "a second refusal of an issuance returns its money again",
        file: "crates/engine/src/apply.rs",
        old: r"                    card.status = Status::Cancelled;
                    card.pending = None;
",
        new: r"                    card.status = Status::Cancelled;
",
    },
    Mutation {
        name: "reconcile-not-started",
        says: "a card made after all is not terminated",
        file: "crates/engine/src/settlement.rs",
        old: "Outcome::Issued(_) => card.status == Status::Cancelled && card.expiry == 0,",
        new: "Outcome::Issued(_) => false,",
    },
    Mutation {
        name: "reconcile-with-an-old-number",
        says: "what is asserted keeps a number below the change that was done",
        file: "crates/engine/src/settlement.rs",
        old: r"fn assert_again(card: &Card, out: &mut Vec<Event>) {
    if card.reconcile != 0 {",
        new: r"fn assert_again(card: &Card, out: &mut Vec<Event>) {
    if card.reconcile == u32::MAX {",
    },
    Mutation {
        name: "reconcile-confirmed-by-any",
        says: "the confirmation of an older assertion is taken",
        file: "crates/engine/src/settlement.rs",
        old: "if card.reconcile == 0 || card.reconcile != command.change {",
        new: "if card.reconcile == 0 || card.reconcile < command.change {",
    },
    Mutation {
        name: "appeal-beside-another",
        says: "a second appeal is opened beside the first",
        file: "crates/engine/src/appeals.rs",
        old: "(appeal.card == card.id && appeal.open)",
        new: "(appeal.card == card.id && !appeal.open && appeals.len() > 99)",
    },
    Mutation {
        name: "appeal-rejected-stays-open",
        says: "a rejected appeal stays open",
        file: "crates/engine/src/apply.rs",
        old: "appeal.open = false;",
        new: "appeal.open = !event.granted;",
    },
    Mutation {
        name: "appeal-granted-in-vain",
        says: "a granted appeal leaves the card blocked",
        file: "crates/engine/src/appeals.rs",
        old: r"    if unblock {
",
        new: r"    if unblock && card.fraud {
",
    },
    Mutation {
        name: "policy-before-its-time",
        says: "a policy is in force as soon as it is adopted",
        file: "crates/engine/src/state.rs",
        old: "self.policies.iter().rev().find(|adopted| adopted.effective_at_ms <= time_ms)?",
        new: "self.policies.last()?",
    },
    Mutation {
        name: "policy-of-now-for-old-deadlines",
        says: "an expiry counts from the policy of now, not from that of the purchase",
        file: "crates/engine/src/clearings.rs",
        old: "        case.due(known.until_ms)?;",
        new: r"        let born = known.used.first().map_or(0, |used| u64::from(used.at.day) * 86_400_000);
        case.due(known.until_ms.max(born + case.policy.spans.hold_ms))?;",
    },
    Mutation {
        name: "reveal-code-of-a-frozen-card",
        says: "a one-time code is shown of a frozen card",
        file: "crates/engine/src/lifecycle.rs",
        old: "RevealKind::OneTimeCode => card.status == Status::Active,",
        new: "RevealKind::OneTimeCode => matches!(card.status, Status::Active | Status::Frozen),",
    },
    Mutation {
        name: "reveal-told-as-another",
        says: "a reveal is told as one of another kind",
        file: "crates/engine/src/lifecycle.rs",
        old: "out.push(Revealed { card: card.id, kind: command.kind,",
        new: "out.push(Revealed { card: card.id, kind: RevealKind::Details,",
    },
];
