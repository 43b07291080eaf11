//! Whatever byte of a ledger is changed, wherever it lies, the audit does not call it clean, and names the record.

use std::fs;
use std::path::Path;

use florin_journal::SignedHead;
use florin_journal::export::TRAILER;

use super::fixture::{Small, ZEROS, offsets, with_byte};
use super::report::{Report, Verdict};
use super::source::Source;
use super::verify::examine;

fn audit(path: &Path, heads: &[SignedHead]) -> Report {
    examine(&Source::find(path).unwrap(), heads.to_vec(), false)
}

/// What a byte is changed to: every single bit of it, and the letter by which a trailer's mark differs from a record's.
fn others(byte: u8) -> impl Iterator<Item = u8> {
    let mark = if byte == b'J' { b'X' } else { b'J' };
    (0..8).map(move |bit| byte ^ 1 << bit).chain((mark != byte).then_some(mark))
}

/// One bit, another one from byte to byte, and that letter.
fn some(at: usize, byte: u8) -> impl Iterator<Item = u8> {
    others(byte).enumerate().filter(move |(n, _)| *n == at % 8 || *n == 8).map(|(_, other)| other)
}

fn places(report: &Report) -> Vec<(&'static str, Option<u16>, Option<u64>)> {
    report.findings.iter().map(|finding| (finding.kind, finding.partition, finding.index)).collect()
}

/// Changes every byte of a partition's segments to `others`, with no head at hand that would tell of the end.
fn every_byte_of<I: Iterator<Item = u8>>(partition: u16, others: impl Fn(usize, u8) -> I) {
    let small = Small::new();
    small.forget_heads();
    assert_eq!(audit(&small.journal(), &[]).verdict, Verdict::Clean);
    let segments = small.segments(partition);
    assert!(segments.len() >= 4, "{} segments", segments.len());
    let last = small.heads[usize::from(partition)].head.index;
    let mut next = 0;
    for path in &segments {
        let bytes = fs::read(path).unwrap();
        let records = offsets(&bytes);
        for (at, byte) in bytes.iter().enumerate() {
            // Behind the last record of a segment the next one is expected
            let within = records.partition_point(|offset| *offset <= at) as u64 - 1;
            let zeros = at + ZEROS >= bytes.len();
            let index = next + within + u64::from(zeros);
            for other in others(at, *byte) {
                let said = with_byte(path, at, other, || audit(&small.journal(), &[]));
                let place = || format!("byte {at} of {} to {other}: {}", path.display(), said.text());
                if index >= last {
                    // A last record may have been cut off while it was written: not clean, and no finding
                    assert_eq!((said.verdict, said.findings_total), (Verdict::Incomplete, 0), "{}", place());
                } else {
                    assert_eq!(said.verdict, Verdict::Findings, "{}", place());
                    assert_eq!(places(&said)[0].1, Some(partition), "{}", place());
                    assert_eq!(places(&said)[0].2, Some(index), "{}", place());
                }
            }
        }
        next += records.len() as u64;
    }
    assert_eq!(next, last + 1);
    assert_eq!(audit(&small.journal(), &small.heads).verdict, Verdict::Clean, "all is as it was");
}

#[test]
fn every_byte_of_a_partition_counts() {
    every_byte_of(0, some);
}

#[test]
fn every_bit_of_a_partition_counts() {
    every_byte_of(1, |_, byte| others(byte));
}

#[test]
fn every_byte_of_the_last_record_counts_once_a_head_was_kept() {
    let small = Small::new();
    small.forget_heads();
    let path = small.segments(1).pop().unwrap();
    let bytes = fs::read(&path).unwrap();
    let (from, last) = (offsets(&bytes).pop().unwrap(), small.heads[1].head.index);
    for (at, byte) in bytes.iter().enumerate().take(bytes.len() - ZEROS).skip(from) {
        for other in others(*byte) {
            let said = with_byte(&path, at, other, || audit(&small.journal(), &small.heads));
            assert_eq!(places(&said), [("trusted-head", Some(1), Some(last))], "byte {at} to {other}: {}", said.text());
        }
    }
}

#[test]
fn every_byte_of_an_export_counts_its_trailer_too() {
    let small = Small::new();
    let path = small.export([0, 0]);
    let whole = audit(&path, &small.heads);
    assert_eq!((whole.verdict, whole.anchored, whole.source), (Verdict::Clean, true, Some("export")));
    let bytes = fs::read(&path).unwrap();
    let (first, second) = (small.bytes(0).len(), small.bytes(1).len());
    let records = [small.offsets(0), small.offsets(1)];
    for (at, byte) in bytes.iter().enumerate() {
        let partition = usize::from(at >= first);
        let within = (at - partition * first) as u64;
        let index = records[partition].partition_point(|offset| *offset <= within) as u64 - 1;
        let trailer = at >= first + second;
        // Every bit of the trailer, for no hash covers it
        let tried: Vec<u8> = if trailer { others(*byte).collect() } else { some(at, *byte).collect() };
        for other in tried {
            let said = with_byte(&path, at, other, || audit(&path, &[]));
            let places = places(&said);
            assert_eq!(said.verdict, Verdict::Findings, "byte {at} to {other}: {}", said.text());
            assert!(places.iter().any(|place| place.0 == "export"), "byte {at} to {other}: {}", said.text());
            if !trailer {
                // The record is named by its own reason, and nothing else is said of any partition
                let place = (Some(u16::try_from(partition).unwrap()), Some(index));
                assert!(
                    places.iter().all(|found| (found.1, found.2) == place || *found == ("export", None, None)),
                    "byte {at} to {other}: {}",
                    said.text()
                );
                assert!(
                    places.iter().any(|found| found.0 != "export" && (found.1, found.2) == place),
                    "byte {at} to {other}: {}",
                    said.text()
                );
            }
        }
    }
}

#[test]
fn every_byte_of_plain_records_counts() {
    let small = Small::new();
    let path = small.journal().with_file_name("records");
    // Segment files one after another, with the zeros between them
    let segments = [small.segments(0), small.segments(1)].concat();
    let bytes: Vec<u8> = segments.iter().flat_map(|segment| fs::read(segment).unwrap()).collect();
    fs::write(&path, &bytes).unwrap();
    assert_eq!(audit(&path, &small.heads).verdict, Verdict::Clean, "{}", audit(&path, &small.heads).text());
    for (at, byte) in bytes.iter().enumerate() {
        for other in some(at, *byte) {
            let said = with_byte(&path, at, other, || audit(&path, &[]));
            assert_ne!(said.verdict, Verdict::Clean, "byte {at} to {other}: {}", said.text());
        }
    }
}

#[test]
fn every_byte_of_an_export_that_begins_later_counts() {
    let small = Small::new();
    let path = small.export([3, 5]);
    let whole = audit(&path, &small.heads);
    // What it begins with is not known, so it is not clean; but nothing in it is wrong, and the heads fit
    assert_eq!(
        (whole.verdict, whole.findings_total, whole.anchored),
        (Verdict::Incomplete, 0, true),
        "{}",
        whole.text()
    );
    let bytes = fs::read(&path).unwrap();
    // The hash of the genesis that is not in the file cannot be held against anything in it
    let genesis = bytes.windows(11).position(|bytes| bytes == b"\"genesis\":\"").unwrap() + 11;
    let end = bytes.windows(8).position(|bytes| bytes == TRAILER).unwrap();
    for (at, byte) in bytes.iter().enumerate().filter(|(at, _)| !(genesis..genesis + 64).contains(at)) {
        let tried: Vec<u8> = if at < end { some(at, *byte).collect() } else { others(*byte).collect() };
        for other in tried {
            let said = with_byte(&path, at, other, || audit(&path, &[]));
            assert_eq!(said.verdict, Verdict::Findings, "byte {at} to {other}: {}", said.text());
        }
    }
}

#[test]
fn a_missing_segment_in_the_middle_is_named_by_its_first_record() {
    let small = Small::new();
    for segment in 1..small.segments(0).len() - 1 {
        let small = Small::new();
        let segments = small.segments(0);
        let before: usize = segments[..segment].iter().map(|path| offsets(&fs::read(path).unwrap()).len()).sum();
        fs::remove_file(&segments[segment]).unwrap();
        let said = audit(&small.journal(), &[]);
        assert_eq!(places(&said), [("index", Some(0), Some(before as u64))], "{}", said.text());
    }
}

#[test]
fn a_segment_of_nothing_but_zeros_in_the_middle_is_missed_too() {
    let small = Small::new();
    let segments = small.segments(1);
    let before = offsets(&fs::read(&segments[0]).unwrap()).len();
    fs::write(&segments[1], vec![0; 4_000]).unwrap();
    let said = audit(&small.journal(), &[]);
    assert_eq!(places(&said), [("index", Some(1), Some(before as u64))], "{}", said.text());
}

#[test]
fn damage_in_two_segments_is_named_twice() {
    let small = Small::new();
    let segments = small.segments(0);
    let (one, other) = (&segments[0], &segments[2]);
    // Given a byte changed in the last header of the first segment, and a header's magic in the third
    let header = offsets(&fs::read(one).unwrap()).pop().unwrap() + 20;
    let first: usize = segments[..2].iter().map(|path| offsets(&fs::read(path).unwrap()).len()).sum();
    let damaged = offsets(&fs::read(one).unwrap()).len() as u64 - 1;
    let said = with_byte(one, header, 0xEE, || with_byte(other, 6, b'X', || audit(&small.journal(), &[])));
    let kinds: Vec<_> = places(&said);
    assert_eq!(kinds[0].1.zip(kinds[0].2), Some((0, damaged)), "{}", said.text());
    assert_eq!(kinds[1], ("magic", Some(0), Some(first as u64)), "{}", said.text());
    assert_eq!(kinds.len(), 2, "{}", said.text());
}

#[test]
fn a_segment_under_another_name_is_told() {
    let small = Small::new();
    let segments = small.segments(0);
    let index = offsets(&fs::read(&segments[0]).unwrap()).len() as u64;
    // Given the second segment called after the record before its first
    fs::rename(&segments[1], segments[1].with_file_name(format!("{:020}.journal", index - 1))).unwrap();
    let said = audit(&small.journal(), &[]);
    assert_eq!(places(&said), [("index", Some(0), Some(index))], "{}", said.text());
    // And the last one called something else: nobody reads it, so nothing is clean
    let small = Small::new();
    small.forget_heads();
    let last = small.segments(1).pop().unwrap();
    fs::rename(&last, last.with_file_name("last.journal")).unwrap();
    assert_eq!(audit(&small.journal(), &[]).verdict, Verdict::Incomplete);
}
