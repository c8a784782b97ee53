//! Approvals: asked for by a call, decided by a person, spent exactly once.

use policy::Timestamp;

pub use policy::approvals::State as ApprovalState;

use crate::EntryId;

/// What a person is asked to approve.
#[derive(Clone, Copy, Debug)]
pub struct AskApproval<'a> {
    /// Id of the grant.
    pub grant: &'a str,
    /// The server's name.
    pub server: &'a str,
    /// Tool, prompt or URI.
    pub tool: &'a str,
    /// The policy's name.
    pub policy: &'a str,
    /// The policy's version.
    pub policy_version: &'a str,
    /// The rule that asked.
    pub rule: &'a str,
    /// HMAC of everything that makes two calls the same.
    pub fingerprint: [u8; 32],
    /// What the person is shown.
    pub summary: &'a str,
    /// When the approval lapses, decided or not.
    pub expires_at: Timestamp,
}

/// One approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// `apr_` and a ULID.
    pub id: String,
    /// Where it stands.
    pub state: ApprovalState,
    /// Id of the grant.
    pub grant: String,
    /// The server's name.
    pub server: String,
    /// Tool, prompt or URI.
    pub tool: String,
    /// The policy's name.
    pub policy: String,
    /// The policy's version.
    pub policy_version: String,
    /// The rule that asked.
    pub rule: String,
    /// HMAC of everything that makes two calls the same.
    pub fingerprint: [u8; 32],
    /// What the person is shown.
    pub summary: String,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// When it lapses.
    pub expires_at: Timestamp,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    /// Who decided.
    pub decided_by: Option<String>,
    /// What they said.
    pub decision_reason: Option<String>,
    /// The entry that spent it.
    pub spent_by: Option<EntryId>,
}

/// The answer of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The call may be made once.
    Approve,
    /// It may not.
    Deny,
}

/// Which approvals are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalFilter {
    /// Only those that can still be decided.
    pub pending_only: bool,
    /// Only those of this grant (its id).
    pub grant: Option<String>,
}

/// The approval that a reservation spends.
#[derive(Clone, Copy, Debug)]
pub struct ApprovalUse<'a> {
    /// The approval's id.
    pub id: &'a str,
    /// Must be the one it was asked with.
    pub fingerprint: &'a [u8; 32],
}
