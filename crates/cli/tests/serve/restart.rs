//! What a restart finds: views gone or damaged, a graceful stop, a journal that lost its end.

use reqwest::Method;

use crate::server::{Server, fails, florin, minor, send, serve_demo};

#[tokio::test]
async fn views_that_are_deleted_or_damaged_are_built_again_with_the_same_answers() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let card = server.card("alice", "100").await;
    let statement =
        |server: &Server| send(server.dashboard(Method::GET, &format!("/users/alice/cards/{card}/transactions")), 200);
    let before = statement(&server).await;
    assert!(server.terminate().success());

    // When the views are deleted
    std::fs::remove_dir_all(data.join("views")).unwrap();
    let server = Server::start(&data);
    assert_eq!(statement(&server).await, before);
    server.kill();

    // When every file of them is overwritten
    let mut overwritten = 0;
    let mut folders = vec![data.join("views")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                std::fs::write(path, b"not what it was").unwrap();
                overwritten += 1;
            }
        }
    }
    assert!(overwritten > 0);
    let server = Server::start(&data);
    assert_eq!(statement(&server).await, before);
    assert!(server.terminate().success());

    // When a rebuild is asked for
    let output = florin().args(["views", "rebuild", "--data"]).arg(&data).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let server = Server::start(&data);
    assert_eq!(statement(&server).await, before);
}

#[tokio::test]
async fn a_graceful_stop_answers_what_was_admitted_and_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let card = server.card("alice", "100").await;
    let path = format!("/users/alice/cards/{card}/topup");
    let requests: Vec<_> = (0..32)
        .map(|_| {
            let request = server
                .dashboard(Method::POST, &path)
                .header("content-type", "application/json")
                .body(r#"{"amount": 10.00}"#);
            tokio::spawn(async move {
                let answer = request.send().await.ok()?;
                (answer.status() == 200).then_some(())
            })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let stopped = tokio::task::spawn_blocking(move || server.terminate());
    let mut answered = 0;
    for request in requests {
        answered += i64::from(request.await.unwrap().is_some());
    }
    assert!(stopped.await.unwrap().success());

    let server = Server::start(&data);
    let balance = minor(&server.listed("alice", &card).await["balance"]);
    // Whatever was answered is there; a graceful stop leaves no request decided and unanswered
    assert_eq!(balance, 100_00 + answered * 10_00);
}

#[tokio::test]
async fn a_journal_that_is_gone_or_short_is_refused_with_advice_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let journal = data.join("ledger/journal");
    let server = Server::start(&data);
    let old = dir.path().join("old");
    // Given a copy of the journal from before the card
    copy(&journal, &old);
    server.card("alice", "100").await;
    assert!(server.terminate().success());

    // When the journal is gone
    let kept = dir.path().join("kept");
    std::fs::rename(&journal, &kept).unwrap();
    let (code, said) = fails(&mut serve_demo(&data));
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("the journal is missing"), "{said}");
    assert!(said.contains("what to do: "), "{said}");
    assert!(!journal.exists());

    // When there is an empty directory in its place
    std::fs::create_dir(&journal).unwrap();
    let (code, said) = fails(&mut serve_demo(&data));
    assert_eq!(code, 5, "{said}");
    assert!(std::fs::read_dir(&journal).unwrap().next().is_none());

    // When the older copy is in its place
    std::fs::remove_dir(&journal).unwrap();
    copy(&old, &journal);
    let (code, said) = fails(&mut serve_demo(&data));
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("what to do: "), "{said}");

    // When the right one is put back, then all is well
    std::fs::remove_dir_all(&journal).unwrap();
    std::fs::rename(&kept, &journal).unwrap();
    let server = Server::start(&data);
    assert_eq!(server.wallet("alice", "USD").await, 9_892_00);
}

/// A record damaged at the very end looks like one that was never acknowledged. The head that was signed at the stop
/// knows better, with nothing else left that remembers.
#[tokio::test]
async fn a_tail_that_is_cut_after_a_clean_stop_is_missed_by_the_signed_head() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    server.card("alice", "100").await;
    assert!(server.terminate().success());
    std::fs::remove_dir_all(data.join("views")).unwrap();

    let partition = data.join("ledger/journal/p00000");
    let segment = std::fs::read_dir(partition).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(&segment).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    let mut cut = bytes.clone();
    cut[end - 200..].fill(0);
    std::fs::write(&segment, &cut).unwrap();
    let (code, said) = fails(&mut serve_demo(&data));
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("what to do: "), "{said}");
    assert!(std::fs::read(&segment).unwrap() == cut, "nothing is written");

    std::fs::write(&segment, &bytes).unwrap();
    let server = Server::start(&data);
    assert_eq!(server.wallet("alice", "USD").await, 9_892_00);
}

/// After a kill no head is signed and a cut end looks like a torn one. The settlement's queue still remembers.
#[tokio::test]
async fn a_tail_that_is_cut_after_a_kill_is_missed_by_the_settlements_queue_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let segment = std::fs::read_dir(data.join("ledger/journal/p00000")).unwrap().next().unwrap().unwrap().path();
    let before = std::fs::read(&segment).unwrap();
    let end = before.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let card = server.card("alice", "100").await;
    for _ in 0..3 {
        let path = format!("/users/alice/cards/{card}/topup");
        send(server.dashboard(Method::POST, &path).body(r#"{"amount": 10.00}"#), 200).await;
    }
    server.kill();
    let (journal, right) = (data.join("ledger/journal"), dir.path().join("right"));
    copy(&journal, &right);

    // When the views are gone and the journal is cut back to before the card
    let bytes = std::fs::read(&segment).unwrap();
    let mut cut = bytes.clone();
    cut[end..].fill(0);
    assert!(cut != bytes);
    std::fs::write(&segment, &cut).unwrap();
    std::fs::remove_dir_all(data.join("views")).unwrap();
    // then it is refused, and again if it is tried again
    for _ in 0..2 {
        let (code, said) = fails(&mut serve_demo(&data));
        assert_eq!(code, 5, "{said}");
        assert!(said.contains("acknowledged records are lost"), "{said}");
        assert!(said.contains("what to do: "), "{said}");
        assert!(std::fs::read(&segment).unwrap() == cut, "written over");
    }

    // When it was written over while nobody remembered, and the queue comes back
    let queue = data.join("settlement.redb");
    let kept = dir.path().join("kept.redb");
    std::fs::rename(&queue, &kept).unwrap();
    let server = Server::start(&data);
    for _ in 0..5 {
        server.card("bob", "25").await;
    }
    server.kill();
    let other = std::fs::read(&segment).unwrap();
    std::fs::rename(&kept, &queue).unwrap();
    std::fs::remove_dir_all(data.join("views")).unwrap();
    // then it is found to be another history, and left alone
    let (code, said) = fails(&mut serve_demo(&data));
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("this is another history"), "{said}");
    assert!(std::fs::read(&segment).unwrap() == other, "written over");

    // When the right one is put back, then all is well
    std::fs::remove_dir_all(&journal).unwrap();
    std::fs::rename(&right, &journal).unwrap();
    let server = Server::start(&data);
    assert_eq!(minor(&server.listed("alice", &card).await["balance"]), 130_00);
}

#[tokio::test]
async fn a_changed_byte_in_the_journal_is_named_and_nothing_is_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    for _ in 0..3 {
        server.card("alice", "100").await;
    }
    assert!(server.terminate().success());

    // Given one byte changed in the first record after genesis and claim, with good records after it
    let journal = data.join("ledger/journal");
    let partition = std::fs::read_dir(&journal)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.is_dir())
        .expect("a partition");
    let segment = std::fs::read_dir(partition).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[1_000] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();

    // When it is started, then it says where, and leaves the bytes as they are
    let (code, said) = fails(&mut serve_demo(&data));
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("partition 0 is corrupt at record "), "{said}");
    assert!(said.contains("what to do: "), "{said}");
    assert!(std::fs::read(&segment).unwrap() == bytes, "written over");

    // When the byte is put right, then all is well
    bytes[1_000] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let server = Server::start(&data);
    assert_eq!(server.wallet("alice", "USD").await, 9_676_00);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Nobody waits for a killed process to be gone before starting the next.
#[tokio::test]
async fn a_start_right_behind_a_kill_waits_for_the_dead_to_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let held = std::fs::File::open(data.join("florin.lock")).unwrap();
    assert!(server.terminate().success());
    // Given a lock that is held for a moment longer than its process was there
    held.lock().unwrap();
    let letting_go = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        drop(held);
    });
    let server = Server::start(&data);
    letting_go.join().unwrap();
    assert_eq!(server.wallet("alice", "USD").await, 10_000_00);
}
