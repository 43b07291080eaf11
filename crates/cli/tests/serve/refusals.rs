//! Starts that are refused: each with its exit code and with advice.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use crate::server::{Server, fails, florin, serve_demo};

fn advised(said: &str) {
    assert!(said.contains("what to do: "), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[tokio::test]
async fn a_second_process_on_the_same_data_is_refused_and_the_first_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let rebuild = |data: &std::path::Path| {
        let mut command = florin();
        command.args(["views", "rebuild", "--data"]).arg(data);
        command
    };
    for command in [&mut serve_demo(&data), &mut rebuild(&data)] {
        let (code, said) = fails(command);
        assert_eq!(code, 4, "{said}");
        assert!(said.contains("another process uses"), "{said}");
        advised(&said);
    }
    server.card("alice", "100").await;
}

#[test]
fn a_taken_port_is_named_and_nothing_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (option, other) in [("--listen", "--ops-listen"), ("--ops-listen", "--listen")] {
        let data = dir.path().join(option);
        let listen = ["serve", option, &address, other, "127.0.0.1:0", "--data"];
        let (code, said) = fails(florin().args(listen).arg(&data));
        assert_eq!(code, 7, "{said}");
        assert!(said.contains(&address), "{said}");
        advised(&said);
        assert!(!data.exists(), "a ledger was made for nothing");
    }
}

#[test]
fn demo_credentials_are_for_loopback_only() {
    let dir = tempfile::tempdir().unwrap();
    for option in ["--listen", "--ops-listen"] {
        let data = dir.path().join("data");
        let (code, said) = fails(florin().args(["serve", "--demo", option, "0.0.0.0:0", "--data"]).arg(&data));
        assert_eq!(code, 7, "{said}");
        assert!(said.contains("loopback"), "{said}");
        advised(&said);
        assert!(!data.exists());
    }
}

#[test]
fn a_data_directory_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"").unwrap();
    // A file in its place, a file in its way, and a place where not even root can make directories
    for data in [file.clone(), file.join("below"), "/proc/florin".into()] {
        let (code, said) = fails(&mut serve_demo(&data));
        assert_eq!(code, 6, "{said}");
        assert!(said.contains(data.to_str().unwrap()), "{said}");
        advised(&said);
    }
}

#[test]
fn a_directory_of_something_else_gets_no_ledger() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("thesis.txt"), b"").unwrap();
    let (code, said) = fails(&mut serve_demo(dir.path()));
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("thesis.txt"), "{said}");
    advised(&said);
}

#[test]
fn a_ledger_is_created_once() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let create = || {
        let mut command = florin();
        command.args(["ledger", "create", "--partitions", "2", "--data"]).arg(&data);
        command
    };
    assert!(create().output().unwrap().status.success());
    let (code, said) = fails(&mut create());
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("already holds a ledger"), "{said}");
    advised(&said);
}

#[test]
fn a_lost_master_key_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    assert!(florin().args(["ledger", "create", "--data"]).arg(&data).output().unwrap().status.success());
    for key in ["master.key", "signing.key"] {
        let kept = std::fs::read(data.join(key)).unwrap();
        std::fs::remove_file(data.join(key)).unwrap();
        let (code, said) = fails(&mut serve_demo(&data));
        assert_eq!(code, 3, "{said}");
        assert!(said.contains(key), "{said}");
        advised(&said);
        assert!(!data.join(key).exists());
        std::fs::write(data.join(key), kept).unwrap();
        let owner_only = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(data.join(key), owner_only).unwrap();
    }
}
