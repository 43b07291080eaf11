//! `florin audit check-proof`: a proof, a head and a public key; nothing else is read.

use std::process::ExitCode;

use florin_engine::codec::{Entry, Outcome};

use super::args::CheckProof;
use super::proof_file::ProofFile;
use super::{anchors, moment, tell, words};
use crate::failure::Failure;

/// Checks; exit code 0 it holds, 1 it does not, 2 something else is wrong.
pub(super) fn run(args: &CheckProof) -> ExitCode {
    match check(args) {
        Ok(Ok(said)) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Ok(Err(reason)) => {
            println!("the proof does not hold: {reason}");
            ExitCode::from(1)
        }
        Err(failure) => {
            tell(&failure);
            ExitCode::from(2)
        }
    }
}

fn check(args: &CheckProof) -> Result<Result<String, String>, Failure> {
    let key = anchors::public_key(&args.public_key)?;
    let heads = anchors::read(&args.head)?;
    if anchors::check_signatures(&heads, Some(&key)).is_err() {
        return Ok(Err("the head is not signed by the public key".into()));
    }
    let Some((proof, entry)) = ProofFile::read(&args.file)?.and_then(|file| file.parts()) else {
        return Ok(Err("the file is no proof".into()));
    };
    // The proof names no head: the one it was made for has as many records under it.
    let mut reason = "no head of the file covers as many records as the proof was made for".to_owned();
    for head in heads.iter().filter(|head| head.head.index.checked_add(1) == Some(proof.count)) {
        let header = match proof.verify(&entry, head.head.range) {
            Ok(header) => header,
            Err(error) => {
                reason = error.to_string();
                continue;
            }
        };
        if header.ledger != head.ledger || header.partition != head.partition {
            reason = "it is of another ledger or partition than the head".into();
            continue;
        }
        return Ok(Ok(format!(
            "proven: ledger {}, entry {}.{}.{} is in the history signed at record {} ({})\n{}",
            header.ledger,
            header.partition,
            header.index,
            proof.entry,
            head.head.index,
            moment::show(head.head.time_ms),
            said(&entry)
        )));
    }
    Ok(Err(reason))
}

/// The entry in words, if this binary can read it; the proof holds either way.
fn said(entry: &[u8]) -> String {
    let Ok(entry) = Entry::decode(entry) else {
        return "the entry is of a version that this binary cannot read".into();
    };
    let outcome = match &entry.outcome {
        Outcome::Accepted(events) => Ok(events.as_slice()),
        Outcome::Rejected(reject) => Err(reject),
    };
    let envelope = &entry.admitted.envelope;
    format!(
        "{}, account {}, {:?}: {}\n{}",
        moment::show(entry.admitted.time_ms),
        envelope.account,
        envelope.class,
        words::of(&envelope.command),
        words::outcome(outcome)
    )
}
