//! What is wrong with a key or a page is told where it stands, before anything starts.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::server::florin;

/// Exit code and standard error of a check.
fn check(text: &str) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("florin.toml");
    fs::write(&file, text).unwrap();
    let output = florin().args(["config", "check"]).arg(&file).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_key_that_would_not_protect_is_refused_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("ed.key");
    let made = florin().args(["token", "keys", "--company", "acme", "--out"]).arg(&key).status().unwrap();
    assert!(made.success());
    let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tokens");
    let short = dir.path().join("short");
    fs::write(&short, "only 31 bytes, one is missing!\n").unwrap();
    let ed = key.display().to_string();
    for (algorithm, file, what) in [
        ("EdDSA", format!("{ed}.pub"), ""),
        ("RS256", format!("{tests}/rsa-for-tests-only.pub.pem"), ""),
        ("EdDSA", ed.clone(), "`tokens.keys.file` has a private key"),
        ("RS256", format!("{tests}/rsa-for-tests-only.pem"), "`tokens.keys.file` has a private key"),
        ("RS256", format!("{tests}/rsa-too-short.pub.pem"), "is not of 2048 to 4096 bits"),
        ("RS256", format!("{ed}.pub"), "has no RS256 public key in PEM"),
        ("EdDSA", format!("{tests}/rsa-for-tests-only.pub.pem"), "has no EdDSA public key in PEM"),
        ("HS256", format!("{ed}.pub"), "has a PEM key, which is no secret"),
        ("HS256", short.display().to_string(), "has a secret of less than 32 bytes"),
        ("EdDSA", "/no/such/file".to_owned(), "cannot be read"),
    ] {
        let entry =
            format!("[[tokens.keys]]\ncompany = \"a\"\nissuer = \"i\"\nalgorithm = \"{algorithm}\"\nfile = {file:?}");
        let (code, said) = check(&entry);
        assert_eq!(code, Some(if what.is_empty() { 0 } else { 3 }), "{algorithm} {file}: {said}");
        assert!(said.contains(what), "{what} is not in: {said}");
        assert!(what.is_empty() || said.contains("line 5, column 8"), "{said}");
    }
    let (code, said) = check("[[tokens.keys]]\ncompany = \"a\"\nalgorithm = \"none\"");
    assert_eq!(code, Some(3));
    for what in ["must be EdDSA, RS256 or HS256", "`tokens.keys.issuer` is missing", "`tokens.keys.file` is missing"] {
        assert!(said.contains(what), "{said}");
    }
}

#[test]
fn a_page_that_could_be_framed_by_anybody_is_refused_with_its_line() {
    let page = |text: &str| check(&format!("[secure_page]\nbase_url = \"https://cards.example\"\n{text}"));
    for (text, what) in [
        ("allowed_origins = [\"https://a.example\", \"http://localhost:3000\"]\ntoken_seconds = 1", ""),
        (
            "allowed_origins = [\"https://a.example\",\n  \"*\"]",
            "line 4, column 3: `secure_page.allowed_origins` must be an origin",
        ),
        ("allowed_origins = [\"http://a.example\"]", "must begin with https://"),
        ("allowed_origins = [\"https://a.example; script-src *\"]", "must be an origin"),
        ("allowed_origins = \"https://a.example\"", "must be a list"),
        ("token_seconds = 61", "`secure_page.token_seconds` must be 1 to 60"),
        ("shown_seconds = 0", "`secure_page.shown_seconds` must be 1 to 30"),
    ] {
        let (code, said) = page(text);
        assert_eq!(code, Some(if what.is_empty() { 0 } else { 3 }), "{text}: {said}");
        assert!(said.contains(what), "{what} is not in: {said}");
    }
    for (text, what) in [
        ("[secure_page]\nbase_url = \"cards.example\"", "`secure_page.base_url` must be an address"),
        ("[secure_page]\nbase_url = \"https://cards.example/?a=b\"", "`secure_page.base_url` must be an address"),
        ("[secure_page]\nbase_url = \"http://cards.example\"", "must begin with https://"),
        ("[secure_page]\nallowed_origins = [\"https://a.example\"]", "`secure_page.base_url` is missing"),
    ] {
        let (code, said) = check(text);
        assert_eq!(code, Some(3), "{text}");
        assert!(said.contains(what), "{what} is not in: {said}");
    }
}

#[test]
fn a_key_pair_is_its_owners_and_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("acme.key");
    let make = || florin().args(["token", "keys", "--company", "acme", "--out"]).arg(&key).output().unwrap();
    assert!(make().status.success());
    let (mode, made) = (fs::metadata(&key).unwrap().permissions().mode(), fs::read(&key).unwrap());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(make().status.code(), Some(2));
    assert_eq!(fs::read(&key).unwrap(), made);
    // A key that others can read signs nothing
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let output = florin().args(["token", "baas", "--company", "acme", "--key"]).arg(&key).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("chmod 600") && output.stdout.is_empty());
}

#[test]
fn a_key_pair_is_made_in_the_working_directory_as_the_help_shows() {
    let dir = tempfile::tempdir().unwrap();
    let run = |line: &str| florin().current_dir(dir.path()).args(line.split(' ')).output().unwrap();
    let made = run("token keys --company acme --out acme.key");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(dir.path().join("acme.key").exists() && dir.path().join("acme.key.pub").exists());
    assert!(run("token mobile --company acme --user carol --key acme.key").status.success());
}

#[test]
fn a_token_for_one_baas_user_names_chain_and_address() {
    let dir = tempfile::tempdir().unwrap();
    let run = |line: &str| florin().current_dir(dir.path()).args(line.split(' ')).output().unwrap();
    assert!(run("token keys --company acme --out acme.key").status.success());
    // What the server would never accept is not minted,
    for user in [
        "carol",
        "1:carol",
        "0x00000000000000000000000000000000000000aa",
        "x:0x00000000000000000000000000000000000000aa",
    ] {
        let output = run(&format!("token baas --company acme --key acme.key --user {user}"));
        assert_eq!(output.status.code(), Some(2), "{user}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("CHAIN:ADDRESS") && output.stdout.is_empty());
    }
    // an address in any case is.
    assert!(
        run("token baas --company acme --key acme.key --user 1:0xABCDEF000000000000000000000000000000abcd")
            .status
            .success()
    );
}
