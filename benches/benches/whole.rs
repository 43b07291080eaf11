//! The parts together: a durable batch from end to end (budgets.md P1), views that follow (P10), one HTTP request (P5, P7) in
//! process and as a round trip over a kept connection.
//!
//! What many clients reach at once, and the latencies, are `florin bench`'s to tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use florin_benches::{ledger::Ledger, loopback::Connection, top_ups};
use florin_engine::{ids::AccountId, money::Sealed};
use florin_gateway::http::keys::ApiKey;
use florin_gateway::http::serve;
use florin_gateway::{Gateway, Ports, Settings, public_router};
use florin_issuer::sandbox::{self, Sandbox};
use florin_projector::{Projector, Views};
use florin_vault::{MasterKey, Vault};
use tokio::runtime::Runtime;
use tower::ServiceExt;

const USERS: u32 = 10_000;
const BATCH: u32 = 8_189;
const KEY: &str = "florin-bench";

fn runtime() -> Runtime {
    Runtime::new().expect("threads")
}

fn batch(criterion: &mut Criterion) {
    let runtime = runtime();
    let ledger = runtime.block_on(Ledger::with(USERS));
    let next = AtomicU32::new(0);
    let mut group = criterion.benchmark_group("batch");
    group.sample_size(20).throughput(Throughput::Elements(u64::from(BATCH)));
    group.bench_function("decide and make durable a top-up", |bencher| {
        bencher.iter(|| {
            let first = next.fetch_add(BATCH, Ordering::Relaxed);
            let batch = (first..first + BATCH).map(|n| top_ups::top_up(n % USERS, u64::from(n)));
            runtime.block_on(ledger.decide(batch));
        });
    });
    group.finish();
    runtime.block_on(ledger.stop());
}

/// Views of a new directory catch up with a journal of users and top-ups.
fn views(criterion: &mut Criterion) {
    const TOP_UPS: u32 = 50_000;
    let runtime = runtime();
    let (dir, journal) = runtime.block_on(async {
        let ledger = Ledger::with(USERS).await;
        ledger.decide((0..TOP_UPS).map(|n| top_ups::top_up(n % USERS, u64::from(n)))).await;
        ledger.stop().await
    });
    let mut group = criterion.benchmark_group("views");
    group.sample_size(10).throughput(Throughput::Elements(u64::from(TOP_UPS + 4 * USERS)));
    let number = AtomicU32::new(0);
    group.bench_function("follow a command", |bencher| {
        bencher.iter_custom(|times| {
            let mut spent = Duration::ZERO;
            for _ in 0..times {
                let place = dir.path().join(format!("views-{}", number.fetch_add(1, Ordering::Relaxed)));
                let opened = runtime.block_on(Views::open(&place, &journal, florin_projector::Options::default()));
                let (views, _) = opened.expect("new views");
                let begun = Instant::now();
                runtime.block_on(Projector::new(journal.clone(), views).catch_up()).expect("a sound journal");
                spent += begun.elapsed();
                std::fs::remove_dir_all(&place).expect("views of its own");
            }
            spent
        });
    });
    group.finish();
}

/// The gateway's router, asked in process: everything of a request but the socket; then the same over loopback, with the
/// server that Florin serves with.
fn http(criterion: &mut Criterion) {
    let runtime = runtime();
    let ledger = runtime.block_on(Ledger::with(1));
    let dir = ledger.dir.path();
    let master = MasterKey::generate().expect("randomness");
    let vault = Vault::open(&dir.join("vault.redb"), &master).expect("a new vault");
    let partitions = ledger.handle.partitions();
    let account = AccountId::from_pseudonym(vault.pseudonym("bench", "ada"), partitions);
    vault.register(account.0, "bench", "ada").expect("a new user");
    runtime.block_on(ledger.decide(top_ups::user_of(account, Sealed::NONE)));
    let opened =
        runtime.block_on(Views::open(&dir.join("views"), &ledger.journal, florin_projector::Options::default()));
    let (views, _) = opened.expect("new views");
    runtime.spawn(Projector::new(ledger.journal.clone(), views.clone()).run(std::future::pending()));
    let sandbox = Sandbox::open(&dir.join("issuer.redb"), &master, Some(vault.clone()), sandbox::Settings::default());
    let ports = Ports {
        handle: ledger.handle.clone(),
        followers: Arc::new(views.clone()),
        views,
        vault,
        issuer: Arc::new(sandbox.expect("a new sandbox")),
        dead_letters: None,
        sandbox: None,
        webhooks: None,
        preparing: Arc::default(),
    };
    let settings = Settings { dashboard_keys: vec![ApiKey::new("bench", KEY)], ..Settings::default() };
    let router = public_router(&Gateway::new(ports, settings), None);
    let ask = |request: Request<Body>| {
        let answer = runtime.block_on(router.clone().oneshot(request)).expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
    };
    let path = format!("/api/dashboard/users/ada/cards/{}/topup", top_ups::card_of(account));
    let mut group = criterion.benchmark_group("http");
    group.sample_size(20).throughput(Throughput::Elements(1));
    group.bench_function("a durable top-up", |bencher| {
        bencher.iter(|| {
            let request = Request::post(&path).header("authorization", format!("Bearer {KEY}"));
            let request = request.header("content-type", "application/json").body(Body::from(r#"{"amount": 10.00}"#));
            ask(request.expect("a request"));
        });
    });
    group.bench_function("a list of cards", |bencher| {
        bencher.iter(|| {
            let request =
                Request::get("/api/dashboard/users/ada/cards").header("authorization", format!("Bearer {KEY}"));
            ask(request.body(Body::empty()).expect("a request"));
        });
    });
    let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).expect("loopback");
    let address = listener.local_addr().expect("an address");
    let serving = runtime.spawn(serve::serve(listener, router.clone(), Duration::ZERO, std::future::pending()));
    let mut connection = Connection::open(address);
    let head = format!("host: bench\r\nauthorization: Bearer {KEY}\r\n");
    let body = r#"{"amount": 10.00}"#;
    let length = body.len();
    let top_up = format!(
        "POST {path} HTTP/1.1\r\n{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let list = format!("GET /api/dashboard/users/ada/cards HTTP/1.1\r\n{head}\r\n");
    for (name, request) in [("a durable top-up, round trip", top_up), ("a list of cards, round trip", list)] {
        group.bench_function(name, |bencher| bencher.iter(|| assert_eq!(connection.ask(request.as_bytes()), 200)));
    }
    drop(connection);
    serving.abort();
    group.finish();
}

criterion_group!(benches, batch, views, http);
criterion_main!(benches);
