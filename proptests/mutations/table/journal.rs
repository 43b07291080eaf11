//! The journal: what a record must show, by itself and in its place.

use super::Mutation;

pub const ALL: &[Mutation] = &[
    Mutation {
        name: "record-checksum-not-checked",
        says: "a record is read whatever its checksum says",
        file: "crates/journal/src/header.rs",
        old: "if bytes[CHECKSUM_AT..] != hash.0[..8] {",
        new: "if bytes[CHECKSUM_AT..] != hash.0[..8] && bytes.is_empty() {",
    },
    Mutation {
        name: "record-entries-not-checked",
        says: "entries need not be those of the header",
        file: "crates/journal/src/record.rs",
        old: "if merkle::root(&bytes[HEADER_BYTES..], header.count)? != header.entries {",
        new: "if merkle::root(&bytes[HEADER_BYTES..], header.count)? == Hash::ZERO {",
    },
    Mutation {
        name: "record-without-its-history",
        says: "a record need not follow the one before",
        file: "crates/journal/src/chain.rs",
        old: r"            return Err(Corruption::Previous { expected: self.last, found: header.previous });
        }
        if header.range != self.range.root() || header.mountain != self.range.mountain() {
            return Err(Corruption::Range);
        }",
        new: r"            return Ok(());
        }",
    },
    Mutation {
        name: "record-root-of-its-first-entry",
        says: "the root is that of the first entry alone",
        file: "crates/journal/src/merkle.rs",
        old: r"        while level.len() > 32 {
            climb(lanes, level, next);
        }
        Ok(first(level))
    })",
        new: r"        let _ = next;
        Ok(first(level))
    })",
    },
];
