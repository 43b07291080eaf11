//! `florin audit head`: the newest signed head of each partition, to be kept elsewhere.

use std::collections::BTreeMap;

use super::anchors;
use super::args::Head;
use super::finding::Sink;
use crate::failure::{Exit, Failure};

/// Prints the heads, and beside them the public key.
pub(super) fn run(args: &Head) -> Result<(), Failure> {
    let source = args.place.source()?;
    let none = || {
        Failure::new(Exit::Ledger, "the journal has no signed head that can be used")
            .advise("run `florin audit verify` on it; a data directory keeps its heads in heads.jsonl")
    };
    let ledger = source.ledger().ok().flatten().ok_or_else(none)?;
    let sink = Sink::default();
    let mut newest = BTreeMap::new();
    for head in anchors::published(&source, &ledger, &sink) {
        let place = newest.entry(head.partition.0).or_insert(head);
        if head.head.index >= place.head.index {
            *place = head;
        }
    }
    if newest.is_empty() || sink.total() > 0 {
        return Err(none());
    }
    for head in newest.values() {
        println!("{}", head.to_json());
    }
    let mut keys: Vec<String> =
        newest.values().map(|head| blake3::Hash::from_bytes(head.key).to_hex().to_string()).collect();
    keys.dedup();
    eprintln!("public key: {}", keys.join(", "));
    eprintln!("keep the heads and the key where whoever runs the server cannot write");
    Ok(())
}
