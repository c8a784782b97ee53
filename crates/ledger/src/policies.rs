//! Policies made at run time.

use policy::Timestamp;
use policy::document::Format;

/// A policy document kept in the ledger, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPolicy {
    /// Its name.
    pub name: String,
    /// 1 for the first document of this name, and so on.
    pub revision: u64,
    /// The document.
    pub text: String,
    /// How it is written.
    pub format: Format,
    /// When it was stored.
    pub stored_at: Timestamp,
    /// Who stored it.
    pub stored_by: String,
}
