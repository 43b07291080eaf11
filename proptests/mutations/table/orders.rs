//! Invoices and capabilities.

use super::Mutation;

pub const ALL: &[Mutation] = &[
    Mutation {
        name: "invoice-used-twice",
        says: "an invoice is used twice",
        file: "crates/engine/src/fees.rs",
        old: r"        !invoice.used
            && invoice.expires_at_ms",
        new: "        invoice.expires_at_ms",
    },
    Mutation {
        name: "invoice-past-its-time",
        says: "an invoice is good at the moment it ends",
        file: "crates/engine/src/fees.rs",
        old: "invoice.expires_at_ms > case.now_ms",
        new: "invoice.expires_at_ms >= case.now_ms",
    },
    Mutation {
        name: "invoice-of-another-country",
        says: "an invoice is good for another country",
        file: "crates/engine/src/fees.rs",
        old: r"            && invoice.country == country
",
        new: "",
    },
    Mutation {
        name: "invoice-of-another-courier",
        says: "an invoice is good for another courier",
        file: "crates/engine/src/fees.rs",
        old: "if !command.provider.is_empty() && command.provider != invoice.provider {",
        new: "if command.provider.len() > 63 && command.provider != invoice.provider {",
    },
    Mutation {
        name: "invoice-at-the-rate-of-now",
        says: "an invoice is paid at the rate of now",
        file: "crates/engine/src/fees.rs",
        old: "    Ok((parts(invoice).ok_or(Reason::Overflow)?, &invoice.provider))",
        new: r"    let total = invoice.order_fee.plus(invoice.delivery_fee).ok_or(Reason::Overflow)?;
    let now = quote(case.policy, total, invoice.asset).ok_or(Reason::Overflow)?;
    let of_now = Invoice { amount: now.amount, ..invoice.clone() };
    Ok((parts(&of_now).ok_or(Reason::Overflow)?, &invoice.provider))",
    },
    Mutation {
        name: "invoice-lost-with-a-failed-card",
        says: "a failed issuance does not give its invoice back",
        file: "crates/engine/src/apply.rs",
        old: "self.use_invoice(event.invoice, false);",
        new: "self.use_invoice(event.invoice, true);",
    },
    Mutation {
        name: "invoice-rounded-up",
        says: "a fee in tokens is rounded up",
        file: "crates/engine/src/fees.rs",
        old: "token_for(fee, Rounding::HalfUp)?",
        new: "token_for(fee, Rounding::Up)?",
    },
    Mutation {
        name: "capability-of-a-higher-level-only",
        says: "a level satisfies only what is below it",
        file: "crates/engine/src/people.rs",
        old: "if reached >= needed {",
        new: "if reached > needed {",
    },
    Mutation {
        name: "capability-without-the-first",
        says: "a capability does without the one before it",
        file: "crates/engine/src/people.rs",
        old: r"!= Capability::Active
    {",
        new: r"== Capability::NeedsCapability(first)
    {",
    },
    Mutation {
        name: "capability-anywhere",
        says: "a capability is there in every country",
        file: "crates/engine/src/people.rs",
        old: "!wanted.countries.contains(&country)",
        new: "wanted.countries.len() > 9",
    },
];
