//! The hash chain that all records form.

use ring::digest::{Context, Digest, SHA256, digest};

/// A SHA-256 digest.
pub(crate) type Hash = [u8; 32];

/// Which of an entry's two records is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordKind {
    Opened,
    Settled,
}

/// The last link of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Place of the last record; zero for an empty chain.
    pub(crate) seq: u64,
    pub(crate) hash: Hash,
}

impl Head {
    /// The head of a ledger without records.
    pub(crate) const EMPTY: Self = Self { seq: 0, hash: [0; 32] };

    /// The head after one more record.
    pub(crate) fn after(&self, kind: RecordKind, record: &[u8]) -> Self {
        let seq = self.seq + 1;
        Self { seq, hash: link(&self.hash, seq, kind, record) }
    }
}

/// The hash of a record: over the hash before it, its place, its kind and its bytes.
pub(crate) fn link(before: &Hash, seq: u64, kind: RecordKind, record: &[u8]) -> Hash {
    let kind = match kind {
        RecordKind::Opened => 1,
        RecordKind::Settled => 2,
    };
    let [a, b, c, d, e, f, g, h] = seq.to_le_bytes();
    let mut context = Context::new(&SHA256);
    context.update(before);
    context.update(&[a, b, c, d, e, f, g, h, kind]);
    context.update(record);
    whole(&context.finish())
}

/// SHA-256 of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    whole(&digest(&SHA256, bytes))
}

fn whole(digest: &Digest) -> Hash {
    // SHA-256 has 32 bytes, whatever the type says.
    digest.as_ref().try_into().unwrap_or_default()
}
