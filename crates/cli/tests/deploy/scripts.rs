//! Shell scripts are well-formed, and the one that makes secrets keeps those that are there.

use std::path::Path;
use std::process::Command;

use super::deploy;

#[test]
fn every_script_parses_and_may_be_run() {
    use std::os::unix::fs::PermissionsExt;
    fn walk(dir: &Path, found: &mut usize) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "sh") {
                let checked = Command::new("bash").arg("-n").arg(&path).output().unwrap();
                assert!(checked.status.success(), "{}: {checked:?}", path.display());
                let mode = path.metadata().unwrap().permissions().mode();
                assert_eq!(mode & 0o111, 0o111, "{} cannot be run", path.display());
                *found += 1;
            }
        }
    }
    let mut found = 0;
    walk(&deploy(""), &mut found);
    assert!(found >= 3);
}

#[test]
fn the_secrets_of_the_compose_file_are_made_once() {
    // Given a copy of the folder
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("deploy");
    std::fs::create_dir_all(copy.join("nats")).unwrap();
    for name in ["compose-prepare.sh", "nats/make-certificates.sh"] {
        std::fs::copy(deploy(name), copy.join(name)).unwrap();
    }
    let run = || {
        let output = Command::new(copy.join("compose-prepare.sh")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let secrets = copy.join("compose.secrets");
        ["nats.env", "gateway.env", "master.key", "certificates/ca.pem"]
            .map(|name| std::fs::read(secrets.join(name)).unwrap())
    };
    // When it is run twice, then the second changes nothing
    let first = run();
    assert_eq!(run(), first);
    // and a gateway has the master key, but not the key that signs.
    let gateway = String::from_utf8(first[1].clone()).unwrap();
    assert!(gateway.contains("FLORIN_MASTER_KEY=") && !gateway.contains("FLORIN_SIGNING_KEY="));
}
