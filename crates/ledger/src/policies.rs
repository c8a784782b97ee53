//! Policies made at run time.

use policy::Timestamp;
use policy::document::Format;

use crate::LedgerError;
use crate::facts::Facts;

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

/// The next document of a policy.
pub(crate) fn next_revision(facts: &mut dyn Facts, policy: StoredPolicy) -> Result<StoredPolicy, LedgerError> {
    let revision = facts.policy_revision(&policy.name)? + 1;
    Ok(StoredPolicy { revision, ..policy })
}
