//! Stories of the vault: who can read what, and who no longer can.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use florin_vault::{Error, MasterKey, Vault};

const ALICE: [u8; 16] = [0xa1; 16];
const BOB: [u8; 16] = [0xb0; 16];

struct World {
    folder: tempfile::TempDir,
    master: MasterKey,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("temp dir"), master: MasterKey::generate().expect("random") }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("vault.redb")
    }

    fn open(&self) -> Vault {
        Vault::open(&self.path(), &self.master).expect("opens")
    }

    fn with_alice(&self) -> Vault {
        let vault = self.open();
        vault.register(ALICE, "demo", "alice").expect("registers");
        vault
    }
}

#[test]
fn what_is_sealed_opens_again_after_a_restart() {
    let world = World::new();
    let vault = world.with_alice();
    let sealed = vault.seal(ALICE, "card-name", "Zoë".as_bytes()).expect("seals");
    let digest = vault.digest(ALICE, b"content").expect("digests");
    let pseudonym = vault.pseudonym("demo", "alice");
    drop(vault);

    let vault = world.open();

    let opened = vault.open_sealed(ALICE, "card-name", &sealed).expect("opens");
    assert_eq!(opened.as_slice(), "Zoë".as_bytes());
    assert_eq!(vault.digest(ALICE, b"content").expect("digests"), digest);
    assert_eq!(vault.pseudonym("demo", "alice"), pseudonym);
    let person = vault.way_back(ALICE).expect("reads").expect("is there");
    assert_eq!((person.company.as_str(), person.user.as_str()), ("demo", "alice"));
}

#[test]
fn sealing_twice_gives_other_bytes_and_digesting_twice_the_same() {
    let vault = World::new().with_alice();
    let seal = || vault.seal(ALICE, "x", b"y").expect("seals");
    assert_ne!(seal(), seal());
    let digest = |content: &[u8]| vault.digest(ALICE, content).expect("digests");
    assert_eq!(digest(b"y"), digest(b"y"));
    assert_ne!(digest(b"y"), digest(b"z"));
}

#[test]
fn one_user_reads_nothing_of_another_and_no_context_passes_for_another() {
    let vault = World::new().with_alice();
    vault.register(BOB, "demo", "bob").expect("registers");
    let sealed = vault.seal(ALICE, "card-name", b"secret").expect("seals");

    assert!(matches!(vault.open_sealed(BOB, "card-name", &sealed), Err(Error::Damaged(_))));
    assert!(matches!(vault.open_sealed(ALICE, "address", &sealed), Err(Error::Damaged(_))));
    assert_ne!(vault.digest(ALICE, b"same").expect("digests"), vault.digest(BOB, b"same").expect("digests"));
}

#[test]
fn registering_again_is_nothing_new_and_another_user_never_gets_the_account() {
    let vault = World::new().with_alice();
    let sealed = vault.seal(ALICE, "x", b"y").expect("seals");

    vault.register(ALICE, "demo", "alice").expect("the same three");

    assert!(vault.open_sealed(ALICE, "x", &sealed).is_ok(), "the key was replaced");
    assert!(matches!(vault.register(ALICE, "demo", "bob"), Err(Error::Taken)));
    assert!(matches!(vault.register(ALICE, "other", "alice"), Err(Error::Taken)));
    // The same letters, cut elsewhere.
    assert!(matches!(vault.register(ALICE, "demoa", "lice"), Err(Error::Taken)));
}

#[test]
fn many_are_registered_together_or_not_at_all() {
    let vault = World::new().with_alice();

    let refused = vault.register_all(&[(BOB, "demo", "bob"), (ALICE, "demo", "eve")]);
    assert!(matches!(refused, Err(Error::Taken)));
    assert!(vault.way_back(BOB).expect("reads").is_none());

    let people = [(ALICE, "demo", "alice"), (BOB, "demo", "bob"), (BOB, "demo", "bob")];
    vault.register_all(&people).expect("registers");
    assert_eq!(vault.way_back(BOB).expect("reads").expect("is there").user, "bob");
    assert!(vault.seal(ALICE, "x", b"y").is_ok() && vault.seal(BOB, "x", b"y").is_ok());
}

#[test]
fn a_destroyed_user_is_gone_for_good() {
    let world = World::new();
    let vault = world.with_alice();
    vault.register(BOB, "demo", "bob").expect("registers");
    let sealed = vault.seal(ALICE, "x", b"y").expect("seals");

    assert!(vault.destroy(ALICE).expect("destroys"));

    let gone = |vault: &Vault| {
        assert!(matches!(vault.open_sealed(ALICE, "x", &sealed), Err(Error::Erased)));
        assert!(matches!(vault.seal(ALICE, "x", b"y"), Err(Error::Erased)));
        assert!(matches!(vault.digest(ALICE, b"y"), Err(Error::Erased)));
        assert!(matches!(vault.register(ALICE, "demo", "alice"), Err(Error::Erased)));
        assert!(vault.way_back(ALICE).expect("reads").is_none());
        assert!(!vault.destroy(ALICE).expect("again"));
        assert!(vault.seal(BOB, "x", b"y").is_ok(), "the neighbour went too");
    };
    gone(&vault);
    drop(vault);
    gone(&world.open());
}

/// redb leaves old pages in its file; what is in them must not be enough, even with the master key.
#[test]
fn the_database_as_it_was_before_the_destruction_opens_nothing() {
    let world = World::new();
    let vault = world.with_alice();
    let sealed = vault.seal(ALICE, "x", b"y").expect("seals");
    drop(vault);
    let before = std::fs::read(world.path()).expect("reads");
    world.open().destroy(ALICE).expect("destroys");

    std::fs::write(world.path(), before).expect("writes the old pages back");

    let vault = world.open();
    assert!(matches!(vault.open_sealed(ALICE, "x", &sealed), Err(Error::Erased)));
    assert!(vault.way_back(ALICE).expect("reads").is_none());
    // The same state as a crash between shred and tombstone: destroying again completes it.
    assert!(vault.destroy(ALICE).expect("destroys"));
    assert!(!vault.destroy(ALICE).expect("again"));
}

#[test]
fn nobody_seals_under_a_key_that_was_destroyed_meanwhile() {
    let world = World::new();
    for _ in 0..20 {
        let vault = world.open();
        let account = vault.pseudonym("demo", &format!("{:?}", std::time::Instant::now()));
        vault.register(account, "demo", "somebody").expect("registers");
        let destroyed = Arc::new(AtomicBool::new(false));
        let writer = std::thread::spawn({
            let (vault, destroyed) = (vault.clone(), Arc::clone(&destroyed));
            move || {
                loop {
                    let late = destroyed.load(Ordering::SeqCst);
                    let sealed = vault.seal(account, "x", b"y");
                    if late {
                        return sealed;
                    }
                }
            }
        });
        vault.destroy(account).expect("destroys");
        destroyed.store(true, Ordering::SeqCst);
        assert!(matches!(writer.join().expect("no panic"), Err(Error::Erased)));
    }
}

#[test]
fn strangers_are_unknown() {
    let vault = World::new().open();
    assert!(matches!(vault.seal(ALICE, "x", b"y"), Err(Error::Unknown)));
    assert!(matches!(vault.digest(ALICE, b"y"), Err(Error::Unknown)));
    assert!(matches!(vault.destroy(ALICE), Err(Error::Unknown)));
    assert!(vault.way_back(ALICE).expect("reads").is_none());
}

#[test]
fn pseudonyms_are_the_ledgers_own_and_unambiguous() {
    let (one, other) = (World::new().open(), World::new().open());
    assert_eq!(one.pseudonym("demo", "alice"), one.pseudonym("demo", "alice"));
    assert_ne!(one.pseudonym("demo", "alice"), other.pseudonym("demo", "alice"));
    assert_ne!(one.pseudonym("demo", "alice"), one.pseudonym("demoa", "lice"));
}

#[test]
fn another_master_key_is_told_so() {
    let world = World::new();
    drop(world.with_alice());
    let stranger = MasterKey::generate().expect("random");
    assert!(matches!(Vault::open(&world.path(), &stranger), Err(Error::WrongMasterKey)));
    assert!(Vault::open(&world.path(), &world.master).is_ok(), "the attempt did harm");
}

#[test]
fn half_a_vault_is_never_a_fresh_start() {
    let world = World::new();
    drop(world.with_alice());
    let shreds = world.folder.path().join("vault.redb.shreds");
    let aside = world.folder.path().join("aside");

    std::fs::rename(&shreds, &aside).expect("renames");
    assert!(matches!(Vault::open(&world.path(), &world.master), Err(Error::Incomplete(path)) if path == shreds));
    std::fs::rename(&aside, &shreds).expect("renames");

    std::fs::rename(world.path(), &aside).expect("renames");
    let refused = Vault::open(&world.path(), &world.master);
    assert!(matches!(refused, Err(Error::Incomplete(path)) if path == world.path()));
}

#[test]
fn one_process_at_a_time() {
    let world = World::new();
    let _held = world.open();
    assert!(matches!(Vault::open(&world.path(), &world.master), Err(Error::Database(_))));
}

#[test]
fn nothing_on_disk_or_in_debug_names_the_user() {
    let world = World::new();
    let vault = world.open();
    vault.register(ALICE, "the-company", "alice@example.org").expect("registers");
    assert_eq!(format!("{vault:?}"), "Vault { .. }");
    drop(vault);
    for file in ["vault.redb", "vault.redb.shreds"] {
        let bytes = std::fs::read(world.folder.path().join(file)).expect("reads");
        for name in [&b"alice@"[..], b"the-company"] {
            assert!(!bytes.windows(name.len()).any(|window| window == name), "{file}");
        }
    }
}
