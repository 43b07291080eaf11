//! Stories of what the views show: balances, statements, pending changes, ledger accounts. Each compares the views with the engine's own state.

use crate::world::{USD, World, issued, on_card, on_wallet};
use florin_engine::{
    command::Class,
    event::{
        AppealDecided, AppealEmailed, AppealOpened, CardRequestDecided, CardRequestOpened, ChangeLapsed, ChangeOverdue,
        ChangeRefused, Cleared, Declined, ForcePosted, HoldIncremented, HoldReleased, IncrementDeclined,
        InvoiceCreated, InvoiceExpired, IssuanceFailed, LimitsChangeRequested, LimitsChanged, Overdrawn,
        ReconcileStarted, Reconciled, Refunded, Revealed, StatusChangeRequested, StatusChanged, Swept, ToppedUp,
        Unloaded, VerificationSet, Withdrawn, WrittenOff,
    },
    fees::{FeeKind, FeeTaken},
    holds::{Release, ReleaseCause},
    ids::{AccountId, AppealId, CardId, CardRequestId, Kind, transaction_id},
    limits::Limits,
    money::{Asset, Country, Factor, Minor, Sealed},
    people::{Verification, VerificationStatus},
    policy::{CardKind, ProgrammeCode},
    reject::{Figure, Reason},
    terms::{Cause, Change, Decline, DeclineReason, EmailStatus, RefusalCode, RevealKind, Status},
};
use florin_projector::{
    Decision, Direction, InvoiceStatus, LedgerKind, PendingKind, TransactionKind, TransactionRow, TransactionStatus,
    Views,
};

type Line = (TransactionKind, i64, Direction, TransactionStatus);

fn line(row: &TransactionRow) -> Line {
    (row.kind, row.amount.0, row.direction, row.status)
}

fn card_lines(views: &Views, card: CardId) -> Vec<Line> {
    views.transactions_of_card(card, 100, None).expect("a page").rows.iter().map(line).collect()
}

fn wallet_lines(views: &Views, account: AccountId, asset: Asset) -> Vec<Line> {
    views.transactions_of_wallet(account, asset, 100, None).expect("a page").rows.iter().map(line).collect()
}

fn topped_up(card: CardId, amount: i64, fee: i64) -> ToppedUp {
    ToppedUp {
        card,
        currency: USD,
        amount: Minor(amount),
        fee: Minor(fee),
        card_balance: Minor(0),
        wallet_balance: Minor(0),
    }
}

use Direction::{Credit, Debit};
use TransactionKind::{Deposit, Fee, Issue, Purchase, Refund, Sweep, TopUp, Unload, Withdrawal, WriteOff};
use TransactionStatus::{Completed, Declined as Refused, Failed, Pending};

#[tokio::test]
async fn an_issue_with_fees_moves_money_and_is_on_both_statements() {
    let mut world = World::new(1).await;
    let alice = world.user(1).await;
    let fees = vec![
        FeeTaken { kind: FeeKind::Issue, fiat: USD, fee: Minor(500), asset: USD, paid: Minor(500) },
        FeeTaken { kind: FeeKind::Service, fiat: USD, fee: Minor(300), asset: USD, paid: Minor(300) },
    ];
    let requested = world.request(alice, 1, 10_000, fees);
    let card = requested.card;
    let at = world.happen(alice, Class::User, &[requested.into()]).await;
    let views = world.views().await;

    let row = views.card(card).expect("a read").expect("the card");
    assert_eq!((row.status, row.balance, row.company.as_str()), (Status::Requested, Minor(10_000), "demo"));
    assert_eq!(row.pending.as_ref().map(|pending| pending.kind), Some(PendingKind::Issue));
    assert_eq!(views.pending().expect("a list").len(), 1);
    let both = [(Fee, 300, Debit, Completed), (Fee, 500, Debit, Completed)];
    assert_eq!(card_lines(&views, card), [both[0], both[1], (Issue, 10_000, Credit, Completed)]);
    assert_eq!(
        wallet_lines(&views, alice, USD),
        [both[0], both[1], (Issue, 10_000, Debit, Completed), (Deposit, 1_000_000, Credit, Completed)]
    );
    let issue = &views.transactions_of_card(card, 100, None).expect("a page").rows[2];
    assert_eq!(issue.id, transaction_id(0, at, 0), "the answer to the command names the same id");
    world.agree(&views);

    world.happen(alice, Class::Settlement, &[issued(card, 1)]).await;
    world.catch_up(&views).await;
    let row = views.card_by_issuer_id("iss-1").expect("a read").expect("found by the issuer's id");
    assert_eq!((row.status, row.pending, row.last4), (Status::NotActivated, None, Some(1234)));
    assert_eq!(views.card_by_number(1).expect("a read").map(|row| row.card), Some(card));
    assert!(views.pending().expect("a list").is_empty());
    assert_eq!(views.card_by_number(2).expect("a read"), None);
    world.agree(&views);
}

#[tokio::test]
async fn a_failed_issuance_gives_all_back_and_its_lines_say_so() {
    let mut world = World::new(1).await;
    let alice = world.user(1).await;
    let usdc = Asset::parse("USDC").expect("an asset");
    world.deposit(alice, usdc, 50_000_000).await;
    let invoice = InvoiceCreated {
        number: 12,
        programme: ProgrammeCode::Dashboard,
        kind: CardKind::Virtual,
        country: Country::NONE,
        provider: String::new(),
        order_fee: Minor(999),
        delivery_fee: Minor(0),
        fiat: USD,
        asset: usdc,
        amount: Minor(10_050_000),
        rate: Factor::ONE,
        expires_at_ms: u64::MAX,
    };
    world.happen(alice, Class::User, &[invoice.into()]).await;
    let fees =
        vec![FeeTaken { kind: FeeKind::Order, fiat: USD, fee: Minor(999), asset: usdc, paid: Minor(10_050_000) }];
    let mut requested = world.request(alice, 1, 5_000, fees.clone());
    requested.invoice = 12;
    let card = requested.card;
    world.happen(alice, Class::User, &[requested.into()]).await;
    let views = world.views().await;
    assert_eq!(
        views.invoice(alice, 12).expect("a read").map(|invoice| (invoice.status, invoice.card)),
        Some((InvoiceStatus::Used, Some(card)))
    );
    assert_eq!(card_lines(&views, card), [(Fee, 999, Debit, Completed), (Issue, 5_000, Credit, Completed)]);
    assert_eq!(wallet_lines(&views, alice, usdc)[0], (Fee, 10_050_000, Debit, Completed));
    world.agree(&views);

    let failed = IssuanceFailed {
        card,
        refusal: RefusalCode::Declined,
        currency: USD,
        initial: Minor(5_000),
        fees,
        invoice: 12,
    };
    world.happen(alice, Class::Settlement, &[failed.into()]).await;
    world.catch_up(&views).await;
    let row = views.card(card).expect("a read").expect("the card");
    assert_eq!((row.status, row.balance, row.refusal), (Status::Cancelled, Minor(0), Some(RefusalCode::Declined)));
    assert_eq!(card_lines(&views, card), [(Fee, 999, Debit, Failed), (Issue, 5_000, Credit, Failed)]);
    assert_eq!(wallet_lines(&views, alice, usdc)[0], (Fee, 10_050_000, Debit, Failed));
    assert_eq!(views.wallet(alice, USD).expect("a read").map(|wallet| wallet.balance), Some(Minor(1_000_000)));
    assert_eq!(views.invoices(alice).expect("a list")[0].status, InvoiceStatus::Open, "the invoice is good again");
    world.agree(&views);

    world.happen(alice, Class::Clock, &[InvoiceExpired { number: 12 }.into()]).await;
    world.catch_up(&views).await;
    assert_eq!(views.invoices(alice).expect("a list")[0].status, InvoiceStatus::Expired);
}

#[tokio::test]
async fn statements_are_newest_first_and_a_cursor_stays_good_while_lines_arrive() {
    let mut world = World::new(1).await;
    let alice = world.user(1).await;
    let card = world.card(alice, 1).await;
    for n in 1..=5 {
        world.happen(alice, Class::User, &[topped_up(card, n * 100, n).into()]).await;
    }
    let views = world.views().await;
    let whole = views.transactions_of_card(card, 100, None).expect("a page");
    assert_eq!(whole.rows.len(), 11);
    assert_eq!(whole.next, None, "a page that is not full is the last");
    assert!(whole.rows.is_sorted_by(|a, b| a.position >= b.position), "newest first");
    assert_eq!(line(&whole.rows[0]), (Fee, 5, Debit, Completed));
    assert_eq!(line(&whole.rows[1]), (TopUp, 500, Credit, Completed));

    let mut paged = Vec::new();
    let mut cursor = None;
    loop {
        let page = views.transactions_of_card(card, 3, cursor).expect("a page");
        assert!(page.rows.len() <= 3);
        paged.extend(page.rows);
        // Something new arrives between two pages: it belongs before the first.
        world.happen(alice, Class::User, &[topped_up(card, 7, 0).into()]).await;
        world.catch_up(&views).await;
        match page.next {
            Some(next) => cursor = Some(next.to_string().parse().expect("a cursor reads back")),
            None => break,
        }
    }
    assert_eq!(paged, whole.rows, "no line twice, none missing");
    let unloaded =
        Unloaded { card, currency: USD, amount: Minor(50), card_balance: Minor(0), wallet_balance: Minor(0) };
    let withdrawn = Withdrawn { asset: USD, amount: Minor(40), balance: Minor(0), reference: Sealed(vec![2]) };
    world.happen_all(&[(alice, Class::User, vec![unloaded.into()]), (alice, Class::Ops, vec![withdrawn.into()])]).await;
    world.catch_up(&views).await;
    assert_eq!(card_lines(&views, card)[0], (Unload, 50, Debit, Completed));
    assert_eq!(
        wallet_lines(&views, alice, USD)[..2],
        [(Withdrawal, 40, Debit, Completed), (Unload, 50, Credit, Completed)]
    );
    world.agree(&views);
}

#[tokio::test]
async fn a_purchase_is_one_line_from_hold_to_refund() {
    let mut world = World::new(1).await;
    let alice = world.user(1).await;
    let card = world.card(alice, 1).await;
    let held = world.authorized(alice, card, vec![on_card(3_000)]);
    let id = held.authorization;
    world.happen(alice, Class::Network, &[held.into()]).await;
    let views = world.views().await;
    let place = views.transactions_of_card(card, 1, None).expect("a page").rows[0].id;
    assert_eq!(card_lines(&views, card)[0], (Purchase, 3_000, Debit, Pending));
    assert_eq!(views.holds(alice).expect("a list").len(), 1);
    world.agree(&views);

    let more = HoldIncremented { card, authorization: id, amount: Minor(500), legs: vec![on_card(500)] };
    let figures = vec![(Figure::Available, 6_500), (Figure::Needed, 9_000)];
    let decline = Decline { reason: DeclineReason::InsufficientBalance, figures };
    let too_much = IncrementDeclined { card, authorization: id, amount: Minor(9_000), decline: decline.clone() };
    let part =
        Cleared { card, authorization: id, currency: USD, held: vec![on_card(1_000)], excess: vec![], last: false };
    world.happen(alice, Class::Network, &[more.into()]).await;
    world.happen(alice, Class::Network, &[too_much.into()]).await;
    world.happen(alice, Class::Network, &[part.into()]).await;
    world.catch_up(&views).await;
    assert_eq!(card_lines(&views, card)[..2], [(Purchase, 9_000, Debit, Refused), (Purchase, 3_500, Debit, Pending)]);
    assert_eq!(views.transactions_of_card(card, 1, None).expect("a page").rows[0].decline, Some(decline));
    world.agree(&views);

    // 26.00 of the last 25.00, so 1.00 beyond the hold; then 5.00 come back.
    let last = Cleared {
        card,
        authorization: id,
        currency: USD,
        held: vec![on_card(2_500)],
        excess: vec![on_card(100)],
        last: true,
    };
    let refund = Refunded {
        card,
        authorization: id,
        currency: USD,
        linked: vec![on_card(400)],
        unlinked: vec![on_card(100)],
        merchant: florin_engine::command::Merchant::default(),
    };
    world.happen(alice, Class::Network, &[last.into()]).await;
    world.happen(alice, Class::Network, &[refund.into()]).await;
    world.catch_up(&views).await;
    let lines = views.transactions_of_card(card, 100, None).expect("a page").rows;
    assert_eq!(line(&lines[0]), (Refund, 500, Credit, Completed));
    assert_eq!(
        lines[0].merchant.as_ref().map(|merchant| merchant.name.as_str()),
        Some("cafe"),
        "the purchase's merchant"
    );
    assert_eq!(line(&lines[2]), (Purchase, 3_600, Debit, Completed));
    assert_eq!(lines[2].id, place, "still the same line in its place");
    let row = views.authorization(id).expect("a read").expect("the authorization");
    assert_eq!(
        (row.authorized, row.held, row.cleared, row.refunded, row.open),
        (Minor(3_500), Minor(0), Minor(3_600), Minor(400), false)
    );
    assert!(views.holds(alice).expect("a list").is_empty());
    assert_eq!(
        views.card(card).expect("a read").map(|row| (row.balance, row.held)),
        Some((Minor(10_000 - 3_600 + 500), Minor(0)))
    );
    world.agree(&views);
}

#[tokio::test]
async fn holds_that_are_reversed_or_expire_fail_and_what_clears_later_is_a_line_of_its_own() {
    let mut world = World::new(1).await;
    let alice = world.user(1).await;
    let card = world.card(alice, 1).await;
    let (one, two) =
        (world.authorized(alice, card, vec![on_card(700)]), world.authorized(alice, card, vec![on_card(800)]));
    let (first, second) = (one.authorization, two.authorization);
    world.happen_all(&[(alice, Class::Network, vec![one.into()]), (alice, Class::Network, vec![two.into()])]).await;
    let release = |authorization, cause, amount, closes| HoldReleased {
        card,
        authorization,
        cause,
        release: Release { billing: Minor(amount), legs: vec![on_card(amount)] },
        closes,
    };
    world.happen(alice, Class::Network, &[release(first, ReleaseCause::Reversed, 200, false).into()]).await;
    let views = world.views().await;
    assert_eq!(card_lines(&views, card)[..2], [(Purchase, 800, Debit, Pending), (Purchase, 500, Debit, Pending)]);
    world.agree(&views);
    world.happen(alice, Class::Network, &[release(first, ReleaseCause::Reversed, 500, true).into()]).await;
    world.happen(alice, Class::Clock, &[release(second, ReleaseCause::Expired, 800, true).into()]).await;
    world.catch_up(&views).await;
    assert_eq!(card_lines(&views, card)[..2], [(Purchase, 800, Debit, Failed), (Purchase, 700, Debit, Failed)]);
    world.agree(&views);

    let merchant = florin_engine::command::Merchant::default();
    let late = ForcePosted { card, authorization: second, currency: USD, legs: vec![on_card(11_000)], merchant };
    let below = Overdrawn { card, asset: USD, balance: Minor(-1_000) };
    world.happen(alice, Class::Network, &[late.into(), below.into()]).await;
    world.catch_up(&views).await;
    assert_eq!(card_lines(&views, card)[..2], [(Purchase, 11_000, Debit, Completed), (Purchase, 800, Debit, Failed)]);
    let owed = views.trial_balance().expect("a read").assets[&USD].clone();
    assert_eq!(owed.receivable, 1_000);
    assert_eq!(owed.accounts[&LedgerKind::Cards].balance, 0);
    world.agree(&views);

    let off = WrittenOff { card, asset: USD, amount: Minor(1_000), balance: Minor(0), reason: Sealed::NONE };
    world.happen(alice, Class::Ops, &[off.into()]).await;
    world.catch_up(&views).await;
    assert_eq!(card_lines(&views, card)[0], (WriteOff, 1_000, Credit, Completed));
    assert_eq!(views.trial_balance().expect("a read").assets[&USD].receivable, 0);
    world.agree(&views);
}

#[tokio::test]
async fn a_decline_is_a_line_with_its_reason_and_moves_nothing() {
    let mut world = World::new(1).await;
    let alice = world.user(1).await;
    let card = world.card(alice, 1).await;
    let asked = world.authorized(alice, card, vec![on_card(20_000)]);
    let figures = vec![(Figure::Needed, 20_000), (Figure::Available, 10_000)];
    let decline = Decline { reason: DeclineReason::InsufficientBalance, figures };
    let declined = Declined {
        card,
        authorization: asked.authorization,
        amount: asked.amount,
        currency: USD,
        decline: decline.clone(),
        merchant: asked.merchant,
    };
    world.happen(alice, Class::Network, &[declined.into()]).await;
    world.refuse(alice, Reason::CardUnknown).await;
    let views = world.views().await;
    let top = views.transactions_of_card(card, 1, None).expect("a page").rows.remove(0);
    assert_eq!(line(&top), (Purchase, 20_000, Debit, Refused));
    assert_eq!(top.decline, Some(decline));
    assert_eq!(views.authorization(asked.authorization).expect("a read").map(|row| row.status), Some(Refused));
    assert!(views.holds(alice).expect("a list").is_empty());
    world.agree(&views);
}

#[tokio::test]
async fn a_purchase_on_the_wallet_is_on_the_statement_of_every_asset_it_draws_on() {
    let mut world = World::new(1).await;
    let alice = world.user(1).await;
    let (wusd, usdc) = (Asset::parse("WUSD").expect("an asset"), Asset::parse("USDC").expect("an asset"));
    world.deposit(alice, wusd, 1_000).await;
    world.deposit(alice, usdc, 9_000_000).await;
    let card = world.card(alice, 1).await;
    let held = world.authorized(alice, card, vec![on_wallet("WUSD", 1_000, 1_000), on_wallet("USDC", 5_000_000, 500)]);
    let id = held.authorization;
    world.happen(alice, Class::Network, &[held.into()]).await;
    let views = world.views().await;
    assert_eq!(card_lines(&views, card)[0], (Purchase, 1_500, Debit, Pending));
    assert_eq!(wallet_lines(&views, alice, wusd)[0], (Purchase, 1_000, Debit, Pending));
    assert_eq!(wallet_lines(&views, alice, usdc)[0], (Purchase, 5_000_000, Debit, Pending));
    world.agree(&views);

    // Only the first asset is drawn in the end.
    let drawn = Cleared {
        card,
        authorization: id,
        currency: USD,
        held: vec![on_wallet("WUSD", 1_000, 1_000)],
        excess: vec![],
        last: true,
    };
    let release = Release { billing: Minor(500), legs: vec![on_wallet("USDC", 5_000_000, 500)] };
    let rest = HoldReleased { card, authorization: id, cause: ReleaseCause::Cleared, release, closes: true };
    world.happen(alice, Class::Network, &[drawn.into(), rest.into()]).await;
    world.catch_up(&views).await;
    assert_eq!(card_lines(&views, card)[0], (Purchase, 1_000, Debit, Completed));
    assert_eq!(wallet_lines(&views, alice, wusd)[0], (Purchase, 1_000, Debit, Completed));
    assert_eq!(wallet_lines(&views, alice, usdc)[0], (Purchase, 5_000_000, Debit, Failed));
    let trial = views.trial_balance().expect("a read");
    assert_eq!(trial.assets[&wusd].accounts[&LedgerKind::Exchange].balance, 1_000);
    world.agree(&views);
}

#[tokio::test]
async fn a_pending_change_lies_over_the_card_until_it_is_settled_refused_lapsed_or_overtaken() {
    let mut world = World::new(1).await;
    let alice = world.user(1).await;
    let card = world.card(alice, 1).await;
    let views = world.views().await;
    let ask = |change, what, target, cause, overtakes| StatusChangeRequested {
        card,
        change,
        what,
        target,
        cause,
        deadline_ms: 5,
        overtakes,
        reason: Sealed::NONE,
    };
    let turn = |from, to, cause, fraud| StatusChanged { card, from, to, cause, fraud };
    let low = Limits { daily: Some(Minor(100)), ..Limits::default() };
    let steps = [
        (Class::User, vec![ask(2, Change::Freeze, Status::Frozen, Cause::User, false).into()]),
        (Class::Clock, vec![ChangeOverdue { card, change: 2 }.into()]),
        (Class::Settlement, vec![turn(Status::Active, Status::Frozen, Cause::User, false).into()]),
        (Class::User, vec![ask(3, Change::Thaw, Status::Active, Cause::User, false).into()]),
        (Class::Clock, vec![ChangeLapsed { card, change: 3 }.into(), ReconcileStarted { card, change: 4 }.into()]),
        (Class::Settlement, vec![Reconciled { card, change: 4 }.into()]),
        (
            Class::User,
            vec![LimitsChangeRequested { card, change: 5, target: low, binding: low, deadline_ms: 5 }.into()],
        ),
        (Class::Settlement, vec![ChangeRefused { card, change: 5, refusal: RefusalCode::Declined }.into()]),
        (
            Class::User,
            vec![LimitsChangeRequested { card, change: 6, target: low, binding: low, deadline_ms: 5 }.into()],
        ),
        (Class::Settlement, vec![LimitsChanged { card, limits: low }.into()]),
        (Class::User, vec![ask(7, Change::Cancel, Status::PreCancel, Cause::User, false).into()]),
        (Class::Network, vec![turn(Status::Frozen, Status::Blocked, Cause::Issuer, false).into()]),
        (Class::Ops, vec![ask(8, Change::BlockForFraud, Status::Blocked, Cause::Ops, true).into()]),
        (Class::Settlement, vec![turn(Status::Blocked, Status::Blocked, Cause::Ops, true).into()]),
        (Class::Settlement, vec![turn(Status::Blocked, Status::PreCancel, Cause::Ops, false).into()]),
        (
            Class::Settlement,
            vec![
                Swept { card, currency: USD, amount: Minor(10_000), wallet_balance: Minor(0) }.into(),
                turn(Status::PreCancel, Status::Cancelled, Cause::System, false).into(),
            ],
        ),
    ];
    let mut waiting = Vec::new();
    for (class, events) in steps {
        world.happen(alice, class, &events).await;
        world.catch_up(&views).await;
        world.agree(&views);
        let row = views.card(card).expect("a read").expect("the card");
        let listed = views.pending().expect("a list");
        assert_eq!(listed.len(), usize::from(row.pending.is_some()), "the list of pending changes follows the card");
        waiting.push(row.pending.map(|pending| (pending.change, pending.overdue)));
    }
    let expected = [
        Some((2, false)),
        Some((2, true)),
        None,
        Some((3, false)),
        None,
        None,
        Some((5, false)),
        None,
        Some((6, false)),
        None,
        Some((7, false)),
        Some((7, false)),
        Some((8, false)),
        None,
        None,
        None,
    ];
    assert_eq!(waiting, expected);
    let row = views.card(card).expect("a read").expect("the card");
    assert_eq!((row.status, row.previous_status, row.balance), (Status::Cancelled, Some(Status::PreCancel), Minor(0)));
    assert!(row.before_closing.is_some(), "it is told what it was before it closed");
    assert_eq!(card_lines(&views, card)[0], (Sweep, 10_000, Debit, Completed));

    let history = views.history(card).expect("a history");
    assert!(history.is_sorted_by(|a, b| a.position <= b.position), "oldest first");
    let words: Vec<&str> = history.iter().map(|step| step.words.as_str()).collect();
    assert_eq!(words[3], "Freeze to Frozen asked for by User, change 2");
    assert_eq!(words.last(), Some(&"PreCancel to Cancelled by System"));
    assert_eq!(history[3].class, Class::User);
}

#[tokio::test]
async fn appeals_and_card_requests_are_found_by_state_and_the_latest_counts() {
    let mut world = World::new(1).await;
    let alice = world.user(1).await;
    let card = world.card(alice, 1).await;
    let (one, two) = (AppealId(world.mint(alice, Kind::Appeal)), AppealId(world.mint(alice, Kind::Appeal)));
    let open = |appeal, number| AppealOpened { card, appeal, number, message: Sealed(vec![3]) };
    world.happen(alice, Class::User, &[open(one, 1).into()]).await;
    let decided = AppealDecided { card, appeal: one, granted: false, reason: Sealed(vec![4]) };
    world.happen(alice, Class::Ops, &[decided.into()]).await;
    world.happen(alice, Class::User, &[open(two, 2).into()]).await;
    world.happen(alice, Class::Settlement, &[AppealEmailed { appeal: two, status: EmailStatus::Sent }.into()]).await;
    let request = CardRequestId(world.mint(alice, Kind::CardRequest));
    let asked = CardRequestOpened {
        request,
        card: CardId([9; 16]),
        programme: ProgrammeCode::Mobile,
        kind: CardKind::Physical,
        profile: Sealed::NONE,
    };
    world.happen(alice, Class::User, &[asked.into()]).await;
    let verification = Verification { status: VerificationStatus::Approved, levels: Vec::new() };
    world.happen(alice, Class::Ops, &[VerificationSet { verification: verification.clone() }.into()]).await;
    world
        .happen(alice, Class::User, &[Revealed { card, kind: RevealKind::Cvv, address: Sealed(vec![5]) }.into()])
        .await;
    let views = world.views().await;
    let latest = views.latest_appeal(card).expect("a read").expect("an appeal");
    assert_eq!((latest.appeal, latest.decision, latest.email), (two, Decision::Open, EmailStatus::Sent));
    let ids = |decision| views.appeals(decision, 10).expect("a list").iter().map(|row| row.appeal).collect::<Vec<_>>();
    assert_eq!((ids(Decision::Open), ids(Decision::Rejected), ids(Decision::Approved)), (vec![two], vec![one], vec![]));
    assert_eq!(views.card_requests(Decision::Open, 10).expect("a list").len(), 1);
    assert_eq!(views.account(alice).expect("a read").and_then(|row| row.verification), Some(verification));
    assert_eq!(views.history(card).expect("a history").last().map(|step| step.words.clone()), Some("Cvv shown".into()));

    let decided = CardRequestDecided { request, approved: true, reason: Sealed::NONE };
    world.happen(alice, Class::Ops, &[decided.into()]).await;
    world.catch_up(&views).await;
    assert!(views.card_requests(Decision::Open, 10).expect("a list").is_empty());
    assert_eq!(views.card_request(request).expect("a read").map(|row| row.decision), Some(Decision::Approved));
    assert_eq!(views.card_requests_of(alice).expect("a list").len(), 1);
}

#[tokio::test]
async fn cards_of_an_account_are_newest_first_and_nobody_elses() {
    let mut world = World::new(4).await;
    let (alice, bob) = (world.user(1).await, world.user(2).await);
    assert_ne!(alice.partition(), bob.partition(), "two partitions are followed");
    let cards = [world.card(alice, 1).await, world.card(alice, 5).await, world.card(alice, 9).await];
    let other = world.card(bob, 2).await;
    let views = world.views().await;
    let ids = |account| views.cards_of(account).expect("a list").iter().map(|row| row.card).collect::<Vec<_>>();
    assert_eq!(ids(alice), [cards[2], cards[1], cards[0]]);
    assert_eq!(ids(bob), [other]);
    assert_eq!(ids(AccountId([0xEE; 16])), []);
    assert!(views.caught_up());
    world.agree(&views);
}
