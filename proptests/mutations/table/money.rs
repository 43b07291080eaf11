//! Fees, postings, and money between wallet and card.

use super::Mutation;

pub const ALL: &[Mutation] = &[
    Mutation {
        name: "fee-rounded-down",
        says: "a percentage is rounded down",
        file: "crates/engine/src/money.rs",
        old: "product.checked_add(unit / 2)?.div_euclid(unit)",
        new: "product.div_euclid(unit)",
    },
    Mutation {
        name: "fee-of-issue-on-top-ups",
        says: "a top-up takes the percentage of an issue",
        file: "crates/engine/src/funding.rs",
        old: "programme.top_up_service.of(",
        new: "programme.issue_service.of(",
    },
    Mutation {
        name: "fee-not-posted",
        says: "the fee of a top-up is not posted",
        file: "crates/engine/src/postings.rs",
        old: r"            pair(out, event.currency, event.fee, wallet, || Ledger::Revenue(FeeKind::Service));
",
        new: "",
    },
    Mutation {
        name: "fee-kept-on-failed-issue",
        says: "a failed issuance keeps the fees",
        file: "crates/engine/src/apply.rs",
        old: r"                for fee in &event.fees {
                    self.credit_wallet(fee.asset, fee.paid);
                }
",
        new: "",
    },
    Mutation {
        name: "top-up-bound-excluded",
        says: "the largest top-up is refused",
        file: "crates/engine/src/funding.rs",
        old: "if amount > bounds.max {",
        new: "if amount >= bounds.max {",
    },
    Mutation {
        name: "posting-sides-swapped",
        says: "an unload credits the card and debits the wallet",
        file: "crates/engine/src/postings.rs",
        old: "Event::Unloaded(event) => pair(out, event.currency, event.amount, || Ledger::Card(event.card), wallet),",
        new: "Event::Unloaded(event) => pair(out, event.currency, event.amount, wallet, || Ledger::Card(event.card)),",
    },
    Mutation {
        name: "posting-of-one-side",
        says: "a refund in a token is posted on one side of the exchange only",
        file: "crates/engine/src/postings.rs",
        old: r"        turn(leg.asset, leg.amount, source, Ledger::Exchange);
        turn(currency, leg.billing, Ledger::Exchange, Ledger::Network);",
        new: r"        turn(leg.asset, leg.amount, source, Ledger::Exchange);
        if !back {
            turn(currency, leg.billing, Ledger::Exchange, Ledger::Network);
        }",
    },
    Mutation {
        name: "trial-balance-off",
        says: "a debit is posted without its credit",
        file: "crates/engine/src/postings.rs",
        old: r"    out.push(Posting { ledger: credit(), asset, side: Side::Credit, amount });
",
        new: r"    let _ = credit;
",
    },
    Mutation {
        name: "write-off-above-what-is-owed",
        says: "more is written off than is owed",
        file: "crates/engine/src/funding.rs",
        old: "    if command.amount > owed {",
        new: "    if command.amount > owed.fold_plus(owed) {",
    },
    Mutation {
        name: "unload-of-what-is-held",
        says: "what is held can be unloaded",
        file: "crates/engine/src/funding.rs",
        old: "if card.available() < command.amount {",
        new: "if card.balance < command.amount {",
    },
    Mutation {
        name: "unload-told-with-the-balance",
        says: "a refused unload names the balance instead of what is available",
        file: "crates/engine/src/funding.rs",
        old: "return Err(short(command.amount, card.available()));",
        new: "return Err(short(command.amount, card.balance));",
    },
];
