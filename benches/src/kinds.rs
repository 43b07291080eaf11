//! One command of each kind that the engine knows, with what has to come before it.

use florin_engine::{
    command::{
        Activate, Admitted, AdoptPolicy, Authorize, ChangeLimits, ChangeStatus, Checkpoint, Class, Clear, Command,
        ConfirmReconcile, CreateInvoice, DecideAppeal, DecideCardRequest, Deposit, Envelope, ExpireCard, ExpireHold,
        ExpireInvoice, ForcePost, Increment, IssueCard, Issued, LapseChange, Merchant, OpenAppeal, Outcome,
        RecordAppealEmail, RecordReveal, Refund, RegisterUser, RequestCard, Reverse, SetNoPinAmount, SetVerification,
        Settle, TopUp, Unload, Withdraw, WriteOff,
    },
    decide::{Decision, decide},
    evolve::evolve,
    ids::{
        AccountId, AppealId, AuthorizationId, CardId, CardRequestId, Key, Kind as Minted, Position, mint, request_id,
    },
    limits::LimitsUpdate,
    money::{Asset, Country, Factor, Minor, Sealed},
    people::{Verification, VerificationStatus},
    policy::{Bounds, CardKind, Funding, OrderFee, Policy, Programme, ProgrammeCode},
    state::State,
    terms::{Change, EmailStatus, RevealKind},
};

use crate::top_ups::{self, START_MS, account, card};

/// Later than every span of the policy.
const LATE_MS: u64 = START_MS + 1_000;
/// After the cards' expiry month.
const EXPIRED_MS: u64 = START_MS + 101 * 366 * 86_400_000;

/// A command, whose it is, and when it is decided.
pub struct Step {
    account: AccountId,
    class: Class,
    command: Command,
    time_ms: u64,
}

/// A kind of command: what comes before it for a user, and the command itself.
pub struct Kind {
    /// What it is called in a report.
    pub name: &'static str,
    before: fn(u32) -> Vec<Step>,
    command: fn(u32) -> Step,
}

/// All kinds, and some that are decided in more than one way.
pub const KINDS: [Kind; 36] = [
    kind("adopt a policy", none, |user| {
        let adopt = AdoptPolicy { version: 2 + user, effective_at_ms: 0, policy: Box::new(policy()) };
        step(AccountId::of_partition(0), Class::Ops, adopt)
    }),
    kind("checkpoint", none, |user| {
        let checkpoint = Checkpoint { index: u64::from(user), schema: 1, state_hash: [7; 32] };
        step(AccountId::of_partition(0), Class::System, checkpoint)
    }),
    kind("register a user", none, |user| {
        // A user who is not one of those that are there.
        let register = RegisterUser { company: "bench".into(), country: country() };
        step(account(user + 1_000_000), Class::Ops, register)
    }),
    kind("set a verification", none, |user| {
        let verification = Verification { status: VerificationStatus::Approved, levels: Vec::new() };
        ops(user, SetVerification { verification })
    }),
    kind("deposit", none, |user| {
        ops(user, Deposit { asset: Asset::USD, amount: Minor(1_000), reference: Sealed::NONE })
    }),
    kind("withdraw", none, |user| {
        ops(user, Withdraw { asset: Asset::USD, amount: Minor(1_000), reference: Sealed::NONE })
    }),
    kind(
        "write off",
        |user| vec![force_post(user)],
        |user| ops(user, WriteOff { card: card(user), asset: Asset::USD, amount: Minor(100), reason: Sealed::NONE }),
    ),
    kind("create an invoice", none, invoice),
    kind(
        "expire an invoice",
        |user| vec![invoice(user)],
        |user| {
            // Users have their invoices in turn, and numbers begin at 1.
            late(clock(user, ExpireInvoice { number: u64::from(user) + 1 }))
        },
    ),
    kind("issue a card", none, |user| issue(user, CardKind::Virtual)),
    kind("request a card", none, request),
    kind(
        "decide a card request",
        |user| vec![request(user)],
        |user| {
            ops(
                user,
                DecideCardRequest {
                    request: CardRequestId(minted(user, Minted::CardRequest)),
                    approved: true,
                    reason: Sealed::NONE,
                },
            )
        },
    ),
    kind(
        "activate",
        |user| vec![issue(user, CardKind::Physical), issued(user)],
        |user| ops(user, Activate { card: second(user), tried: None }),
    ),
    kind("freeze", none, |user| change(user, Change::Freeze)),
    kind("change limits", none, limit),
    kind("set the no-PIN amount", none, |user| {
        of_user(user, SetNoPinAmount { card: card(user), amount: Minor(5_000) })
    }),
    kind("settle an issue", |user| vec![issue(user, CardKind::Virtual)], issued),
    kind("settle a freeze", |user| vec![change(user, Change::Freeze)], |user| settled(user, 2)),
    kind("settle limits", |user| vec![limit(user)], |user| settled(user, 2)),
    kind("lapse a change", thawing, lapse),
    kind(
        "confirm an assertion",
        |user| [thawing(user), vec![lapse(user)]].concat_steps(),
        |user| late(settlement(user, ConfirmReconcile { card: card(user), change: 4 })),
    ),
    kind("expire a card", none, |user| Step { time_ms: EXPIRED_MS, ..clock(user, ExpireCard { card: card(user) }) }),
    kind("open an appeal", |user| vec![block(user)], appeal),
    kind(
        "decide an appeal",
        |user| vec![block(user), appeal(user)],
        |user| {
            ops(
                user,
                DecideAppeal { appeal: AppealId(minted(user, Minted::Appeal)), granted: true, reason: Sealed::NONE },
            )
        },
    ),
    kind(
        "record an appeal's e-mail",
        |user| vec![block(user), appeal(user)],
        |user| {
            let appeal = AppealId(minted(user, Minted::Appeal));
            settlement(user, RecordAppealEmail { appeal, status: EmailStatus::Sent })
        },
    ),
    kind("top-up", none, |user| of_user(user, TopUp { card: card(user), amount: Minor(1_000) })),
    kind("unload", none, |user| of_user(user, Unload { card: card(user), amount: Minor(1_000) })),
    kind("authorize", none, authorize),
    kind(
        "increment",
        |user| vec![authorize(user)],
        |user| network(user, Increment { card: card(user), authorization: authorization(user), amount: Minor(100) }),
    ),
    kind("clear", |user| vec![authorize(user)], clear),
    kind(
        "reverse",
        |user| vec![authorize(user)],
        |user| network(user, Reverse { card: card(user), authorization: authorization(user), amount: None }),
    ),
    kind(
        "expire a hold",
        |user| vec![authorize(user)],
        |user| late(clock(user, ExpireHold { card: card(user), authorization: authorization(user) })),
    ),
    kind(
        "refund",
        |user| vec![authorize(user), clear(user)],
        |user| {
            let (card, authorization, merchant) = (card(user), authorization(user), Merchant::default());
            network(user, Refund { card, authorization, amount: None, merchant })
        },
    ),
    kind("refund without a purchase", none, |user| {
        let (card, authorization, merchant) = (card(user), AuthorizationId::NIL, Merchant::default());
        network(user, Refund { card, authorization, amount: Some(Minor(100)), merchant })
    }),
    kind("force post", none, force_post),
    kind("record a reveal", none, |user| {
        of_user(user, RecordReveal { card: card(user), kind: RevealKind::Cvv, address: Sealed::NONE })
    }),
];

const fn kind(name: &'static str, before: fn(u32) -> Vec<Step>, command: fn(u32) -> Step) -> Kind {
    Kind { name, before, command }
}

impl Kind {
    /// A partition of so many users for whom everything before the command is done, and the command of each.
    ///
    /// # Panics
    /// If the engine does not accept what comes before.
    pub fn prepared(&self, users: u32) -> (State, Vec<Admitted>) {
        let mut state = top_ups::partition_under(policy(), users);
        let mut number = 0_u64;
        let mut admitted = |step: Step, policy| {
            number += 1;
            let key = Key::of(step.account, &number.to_le_bytes());
            let dated_ms = if step.class == Class::Clock { 0 } else { START_MS };
            let digest = florin_engine::ids::Digest([7; 16]);
            let Step { account, class, command, time_ms } = step;
            Admitted {
                time_ms,
                policy,
                envelope: Envelope { account, class, actor: 1, key, digest, dated_ms, command },
            }
        };
        let mut events = Vec::new();
        let mut before: Vec<Vec<Step>> = (0..users).map(|user| (self.before)(user)).collect();
        // Step by step over all users, as the ledger's time never goes back.
        while before.iter().any(|steps| !steps.is_empty()) {
            for steps in before.iter_mut().filter(|steps| !steps.is_empty()) {
                let step = steps.remove(0);
                let admitted = admitted(step, state.policy_version_at(START_MS));
                let decision = decide(&state, &admitted, &mut events);
                assert_eq!(decision, Decision::Accepted, "before {}: {:?}", self.name, admitted.envelope.command);
                evolve(&mut state, Position::new(1, 0), &admitted, Ok(&events));
            }
        }
        let policy = state.policy_version_at(START_MS);
        let commands = (0..users).map(|user| admitted((self.command)(user), policy)).collect();
        (state, commands)
    }

    /// Decides and applies the commands of [`prepared`](Self::prepared).
    ///
    /// # Panics
    /// If the engine does not accept one.
    pub fn run(&self, mut state: State, commands: &[Admitted]) -> State {
        let mut events = Vec::new();
        for (n, admitted) in (0..).zip(commands) {
            assert_eq!(decide(&state, admitted, &mut events), Decision::Accepted, "{}", self.name);
            evolve(&mut state, Position::new(2, n), admitted, Ok(&events));
        }
        state
    }
}

/// The policy of the top-ups, with a programme that needs invoices, one that takes requests, and the fees of an invoice.
fn policy() -> Policy {
    let mut policy = top_ups::policy();
    let dashboard = policy.programmes[0].clone();
    let plain = Programme { initial: None, issue_fee: Minor::ZERO, issue_service: Factor::ZERO, ..dashboard };
    policy.programmes.push(Programme {
        code: ProgrammeCode::Baas,
        funding: Funding::Wallet,
        wallet_assets: vec![Asset::USD],
        needs_invoice: true,
        top_up: Bounds { min: Minor(1), max: Minor(1) },
        ..plain.clone()
    });
    policy.programmes.push(Programme { code: ProgrammeCode::Mobile, ..plain });
    policy.order_fees.push(OrderFee { kind: CardKind::Virtual, country: country(), fee: Minor(999) });
    policy
}

fn none(_: u32) -> Vec<Step> {
    Vec::new()
}

fn country() -> Country {
    Country::parse("GB").unwrap_or_default()
}

fn step(account: AccountId, class: Class, command: impl Into<Command>) -> Step {
    Step { account, class, command: command.into(), time_ms: START_MS + 1 }
}

fn of_user(user: u32, command: impl Into<Command>) -> Step {
    step(account(user), Class::User, command)
}

fn ops(user: u32, command: impl Into<Command>) -> Step {
    step(account(user), Class::Ops, command)
}

fn network(user: u32, command: impl Into<Command>) -> Step {
    step(account(user), Class::Network, command)
}

fn settlement(user: u32, command: impl Into<Command>) -> Step {
    step(account(user), Class::Settlement, command)
}

fn clock(user: u32, command: impl Into<Command>) -> Step {
    step(account(user), Class::Clock, command)
}

/// The same, when everything that has an end is past it.
fn late(step: Step) -> Step {
    Step { time_ms: LATE_MS, ..step }
}

/// Two lists of steps one after the other.
trait ConcatSteps {
    fn concat_steps(self) -> Vec<Step>;
}

impl ConcatSteps for [Vec<Step>; 2] {
    fn concat_steps(self) -> Vec<Step> {
        self.into_iter().flatten().collect()
    }
}

fn minted(user: u32, kind: Minted) -> [u8; 16] {
    mint(account(user), Key([1; 16]), kind)
}

/// A user's second card.
fn second(user: u32) -> CardId {
    CardId(minted(user, Minted::Card))
}

fn authorization(user: u32) -> AuthorizationId {
    AuthorizationId(minted(user, Minted::Authorization))
}

fn issue(user: u32, kind: CardKind) -> Step {
    let (card, programme, initial) = (second(user), ProgrammeCode::Dashboard, Minor(10_000));
    let (invoice, provider, country, profile) = (0, String::new(), country(), Sealed(vec![7; 64]));
    of_user(user, IssueCard { card, programme, kind, initial, invoice, provider, country, profile })
}

fn issued(user: u32) -> Step {
    let issued = Issued { issuer_card: String::new(), first4: 4000, last4: 1234, expiry: 2090 * 12 };
    let (card, outcome) = (second(user), Outcome::Issued(issued));
    settlement(user, Settle { card, request: request_id(card, 1), outcome })
}

fn invoice(user: u32) -> Step {
    let (programme, kind, provider) = (ProgrammeCode::Baas, CardKind::Virtual, String::new());
    of_user(user, CreateInvoice { programme, kind, country: country(), provider, asset: Asset::USD })
}

fn request(user: u32) -> Step {
    let (request, card) = (CardRequestId(minted(user, Minted::CardRequest)), second(user));
    let (programme, kind, profile) = (ProgrammeCode::Mobile, CardKind::Virtual, Sealed(vec![7; 64]));
    of_user(user, RequestCard { request, card, programme, kind, profile })
}

fn change(user: u32, change: Change) -> Step {
    of_user(user, ChangeStatus { card: card(user), change, reason: Sealed::NONE })
}

fn limit(user: u32) -> Step {
    let update = LimitsUpdate { daily: Some(Some(Minor(50_000))), ..LimitsUpdate::default() };
    of_user(user, ChangeLimits { card: card(user), update })
}

/// The issuer's word on a card's change of this number.
fn settled(user: u32, change: u32) -> Step {
    let card = card(user);
    settlement(user, Settle { card, request: request_id(card, change), outcome: Outcome::Done })
}

/// A card that is frozen and whose thaw, its third change, is on its way.
fn thawing(user: u32) -> Vec<Step> {
    vec![change(user, Change::Freeze), settled(user, 2), change(user, Change::Thaw)]
}

fn lapse(user: u32) -> Step {
    let card = card(user);
    late(clock(user, LapseChange { card, request: request_id(card, 3) }))
}

fn block(user: u32) -> Step {
    network(user, ChangeStatus { card: card(user), change: Change::Block, reason: Sealed::NONE })
}

fn appeal(user: u32) -> Step {
    let (card, appeal) = (card(user), AppealId(minted(user, Minted::Appeal)));
    of_user(user, OpenAppeal { card, appeal, message: Sealed(vec![7; 64]) })
}

fn authorize(user: u32) -> Step {
    let (card, authorization, merchant) = (card(user), authorization(user), Merchant::default());
    let (amount, currency, card_present, pin_entered) = (Minor(1_000), Asset::USD, true, true);
    network(user, Authorize { card, authorization, amount, currency, merchant, card_present, pin_entered })
}

fn clear(user: u32) -> Step {
    network(user, Clear { card: card(user), authorization: authorization(user), amount: None, last: true })
}

/// A purchase of twice what the card has.
fn force_post(user: u32) -> Step {
    let (card, authorization, merchant) = (card(user), authorization(user), Merchant::default());
    network(user, ForcePost { card, authorization, amount: Minor(20_000), merchant })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every code of the engine's registry of commands.
    const CODES: [u16; 33] = [
        1, 2, 10, 11, 12, 13, 14, 20, 21, 22, 23, 24, 30, 31, 32, 33, 34, 35, 36, 37, 40, 41, 42, 50, 51, 60, 61, 62,
        63, 64, 65, 66, 70,
    ];

    #[test]
    fn every_kind_of_command_is_here_and_is_accepted() {
        let mut codes = BTreeSet::new();
        for kind in &KINDS {
            let (state, commands) = kind.prepared(3);
            codes.extend(commands.iter().map(|admitted| admitted.envelope.command.code()));
            kind.run(state, &commands);
        }
        assert_eq!(codes.into_iter().collect::<Vec<_>>(), CODES);
    }

    #[test]
    fn no_two_have_one_name() {
        let names: BTreeSet<_> = KINDS.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), KINDS.len());
    }
}
