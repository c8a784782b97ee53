//! What operations on grants and approvals need to know, from memory or from the database.

use crate::approvals::Approval;
use crate::grants::Held;
use crate::{EntryId, LedgerError};

/// The state that an operation is decided on. Nobody else changes it until the operation's changes are in.
pub(crate) trait Facts {
    /// The grant with this id, revoked or not.
    fn grant(&mut self, id: &str) -> Result<Option<Held>, LedgerError>;
    /// All grants, revoked ones too.
    fn grants(&mut self) -> Result<Vec<Held>, LedgerError>;
    /// The approval with this id; finished ones may have been forgotten.
    fn approval(&mut self, id: &str) -> Result<Option<Approval>, LedgerError>;
    /// The approvals that were asked for with this fingerprint; finished ones may have been forgotten.
    fn approvals_of_call(&mut self, fingerprint: &[u8; 32]) -> Result<Vec<Approval>, LedgerError>;
    /// The approvals of a grant that are recorded as pending.
    fn pending_approvals(&mut self, grant: &str) -> Result<Vec<Approval>, LedgerError>;
    /// The latest revision of a policy; zero if there is none.
    fn policy_revision(&mut self, name: &str) -> Result<u64, LedgerError>;
}

/// An id that nothing else has: a prefix and a ULID of true random bits.
pub(crate) fn fresh_id(prefix: &str, now: policy::Timestamp) -> Result<String, LedgerError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| LedgerError::Write(error.into()))?;
    Ok(format!("{prefix}{}", EntryId::new(now, u128::from_le_bytes(random))))
}
