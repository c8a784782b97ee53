//! The hash chain that all records form.

use ring::digest::{Context, SHA256};

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
    let mut front = [0_u8; 41];
    let kind = match kind {
        RecordKind::Opened => 1,
        RecordKind::Settled => 2,
    };
    for (slot, byte) in front.iter_mut().zip(before.iter().copied().chain(seq.to_le_bytes()).chain([kind])) {
        *slot = byte;
    }
    let mut context = Context::new(&SHA256);
    context.update(&front);
    context.update(record);
    sha256_of(context)
}

/// SHA-256 of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    sha256_of(context)
}

fn sha256_of(context: Context) -> Hash {
    let mut hash = [0; 32];
    for (slot, byte) in hash.iter_mut().zip(context.finish().as_ref()) {
        *slot = *byte;
    }
    hash
}
