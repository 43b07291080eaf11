//! The views against the journal.

use std::path::Path;

use crate::world::World;

fn change(rows: &Path, table: u8, with: impl Fn(&sled::Tree, &[u8], &[u8])) {
    let db = sled::open(rows).unwrap();
    let tree = db.open_tree("views").unwrap();
    let (key, value) = tree.scan_prefix([table]).next().unwrap().unwrap();
    with(&tree, &key, &value);
    db.flush().unwrap();
}

#[test]
fn views_that_are_the_journals_are_clean() {
    let world = World::new();
    let said = world.verify_with(&["--views"]);
    assert_eq!(said.code, 0, "{:#}", said.report);
    assert!(said.report["views"].as_str().unwrap().contains("rows compared"), "{:#}", said.report);
}

#[test]
fn a_row_changed_added_or_taken_away_by_hand_is_found() {
    // A ledger account's sum, a wallet, and the history of a card.
    for (table, name) in [(0x50, "ledger account"), (0x11, "wallet"), (0x78, "history")] {
        for how in 0..3 {
            let world = World::new();
            change(&world.path().join("views/rows"), table, |tree, key, value| {
                match how {
                    0 => {
                        let mut changed = value.to_vec();
                        *changed.last_mut().unwrap() ^= 1;
                        tree.insert(key, changed).map(drop)
                    }
                    1 => tree.remove(key).map(drop),
                    _ => tree.insert([key, &[1]].concat(), value).map(drop),
                }
                .unwrap();
            });
            let said = world.verify_with(&["--views"]);
            assert_eq!((said.code, said.findings().len()), (1, 1), "{name} {how}: {:#}", said.report);
            assert_eq!(said.findings()[0].0, "view");
            assert!(said.report["findings"][0]["found"].as_str().unwrap().starts_with(name), "{:#}", said.report);
        }
    }
}

#[test]
fn views_that_cannot_be_compared_are_not_clean() {
    let world = World::new();
    std::fs::remove_dir_all(world.path().join("views")).unwrap();
    assert_eq!(world.verify_with(&["--views"]).code, 2);
    assert_eq!(world.verify_with(&[]).code, 0, "nobody asked for them");
}
