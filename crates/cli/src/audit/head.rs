//! `florin audit head`: the newest signed head of each partition, to be kept elsewhere.

use std::collections::BTreeMap;

use florin_journal::SignedHead;

use super::args::Head;
use super::finding::Sink;
use super::{anchors, stream};
use crate::failure::{Exit, Failure};
use crate::serve;

/// Prints the heads, and beside them the public key.
pub(super) fn run(args: &Head) -> Result<(), Failure> {
    let mut newest: BTreeMap<u16, SignedHead> = BTreeMap::new();
    for head in published(args)? {
        let place = newest.entry(head.partition.0).or_insert(head);
        if head.head.index >= place.head.index {
            *place = head;
        }
    }
    if newest.is_empty() {
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

fn published(args: &Head) -> Result<Vec<SignedHead>, Failure> {
    let place = &args.place;
    if place.on.named() {
        return serve::runtime()?.block_on(async {
            let journal = stream::open(&place.on, place.config.as_deref()).await?;
            stream::heads(&journal).await
        });
    }
    let source = place.source()?;
    if let Some(file) = source.file() {
        return Err(Failure::new(
            Exit::Usage,
            format!("{} is a file of records, which has no signed heads", file.path().display()),
        )
        .advise("name the data directory, a journal's directory with its heads.jsonl, or the ledger on NATS"));
    }
    let ledger = source.ledger().ok().flatten().ok_or_else(none)?;
    let sink = Sink::default();
    let heads = anchors::published(&source, &ledger, &sink);
    if sink.total() > 0 { Err(none()) } else { Ok(heads) }
}

fn none() -> Failure {
    Failure::new(Exit::Ledger, "the journal has no signed head that can be used")
        .advise("run `florin audit verify` on it; a data directory keeps its heads in heads.jsonl")
}
