//! Changes to grants, approvals, policies and settings: whole rows, so that applying one twice changes nothing.

use policy::Timestamp;
use policy::document::Format;
use serde::{Deserialize, Serialize};

use crate::approvals::{Approval, ApprovalState};
use crate::chain::Hash;
use crate::grants::{Access, Grant, Held, Origin};
use crate::{EntryId, LedgerError, StoredPolicy};

/// One change, as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "row", rename_all = "snake_case")]
pub(crate) enum Change {
    Grant(GrantRow),
    Approval(ApprovalRow),
    Policy(PolicyRow),
    PolicyRemoved { name: String },
    Meta { key: String, value: String },
}

/// A row of `grants`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GrantRow {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) access: Vec<Access>,
    pub(crate) expires: Option<i64>,
    pub(crate) created_at: i64,
    pub(crate) revoked_at: Option<i64>,
    pub(crate) generation: u64,
    pub(crate) origin: String,
    pub(crate) token_sha256: Hash,
}

/// A row of `approvals`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ApprovalRow {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) grant: String,
    pub(crate) server: String,
    pub(crate) tool: String,
    pub(crate) policy: String,
    pub(crate) policy_version: String,
    pub(crate) rule: String,
    pub(crate) fingerprint: Hash,
    pub(crate) summary: String,
    pub(crate) asked_at: i64,
    pub(crate) expires_at: i64,
    pub(crate) decided_at: Option<i64>,
    pub(crate) decided_by: Option<String>,
    pub(crate) decision_reason: Option<String>,
    pub(crate) spent_by: Option<String>,
}

/// A row of `policies`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PolicyRow {
    pub(crate) name: String,
    pub(crate) revision: u64,
    pub(crate) text: String,
    pub(crate) format: String,
    pub(crate) stored_at: i64,
    pub(crate) stored_by: String,
}

impl From<&Held> for GrantRow {
    fn from(held: &Held) -> Self {
        let grant = &*held.grant;
        Self {
            id: grant.id.clone(),
            label: grant.label.clone(),
            access: grant.access.clone(),
            expires: grant.expires.map(Timestamp::as_micros),
            created_at: grant.created_at.as_micros(),
            revoked_at: grant.revoked_at.map(Timestamp::as_micros),
            generation: grant.generation,
            origin: grant.origin.as_str().to_owned(),
            token_sha256: held.token_sha256,
        }
    }
}

impl TryFrom<GrantRow> for Held {
    type Error = LedgerError;

    fn try_from(row: GrantRow) -> Result<Self, LedgerError> {
        let origin = Origin::parse(&row.origin).ok_or_else(|| damaged("grant", &row.id))?;
        let grant = Grant {
            id: row.id,
            label: row.label,
            access: row.access,
            expires: row.expires.map(Timestamp::from_micros),
            created_at: Timestamp::from_micros(row.created_at),
            revoked_at: row.revoked_at.map(Timestamp::from_micros),
            generation: row.generation,
            origin,
        };
        Ok(Self { grant: grant.into(), token_sha256: row.token_sha256 })
    }
}

impl From<&Approval> for ApprovalRow {
    fn from(approval: &Approval) -> Self {
        let approval = approval.clone();
        Self {
            id: approval.id,
            state: approval.state.as_str().to_owned(),
            grant: approval.grant,
            server: approval.server,
            tool: approval.tool,
            policy: approval.policy,
            policy_version: approval.policy_version,
            rule: approval.rule,
            fingerprint: approval.fingerprint,
            summary: approval.summary,
            asked_at: approval.asked_at.as_micros(),
            expires_at: approval.expires_at.as_micros(),
            decided_at: approval.decided_at.map(Timestamp::as_micros),
            decided_by: approval.decided_by,
            decision_reason: approval.decision_reason,
            spent_by: approval.spent_by.map(|id| id.to_string()),
        }
    }
}

impl TryFrom<ApprovalRow> for Approval {
    type Error = LedgerError;

    fn try_from(row: ApprovalRow) -> Result<Self, LedgerError> {
        let state = ApprovalState::parse(&row.state).ok_or_else(|| damaged("approval", &row.id))?;
        let spent_by =
            row.spent_by.map(|id| id.parse::<EntryId>()).transpose().map_err(|_| damaged("approval", &row.id))?;
        Ok(Self {
            id: row.id,
            state,
            grant: row.grant,
            server: row.server,
            tool: row.tool,
            policy: row.policy,
            policy_version: row.policy_version,
            rule: row.rule,
            fingerprint: row.fingerprint,
            summary: row.summary,
            asked_at: Timestamp::from_micros(row.asked_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            decided_at: row.decided_at.map(Timestamp::from_micros),
            decided_by: row.decided_by,
            decision_reason: row.decision_reason,
            spent_by,
        })
    }
}

impl From<&StoredPolicy> for PolicyRow {
    fn from(stored: &StoredPolicy) -> Self {
        let format = match stored.format {
            Format::Json => "json",
            Format::Yaml => "yaml",
        };
        Self {
            name: stored.name.clone(),
            revision: stored.revision,
            text: stored.text.clone(),
            format: format.to_owned(),
            stored_at: stored.stored_at.as_micros(),
            stored_by: stored.stored_by.clone(),
        }
    }
}

impl TryFrom<PolicyRow> for StoredPolicy {
    type Error = LedgerError;

    fn try_from(row: PolicyRow) -> Result<Self, LedgerError> {
        let format = match row.format.as_str() {
            "json" => Format::Json,
            "yaml" => Format::Yaml,
            _ => return Err(damaged("policy", &row.name)),
        };
        Ok(Self {
            name: row.name,
            revision: row.revision,
            text: row.text,
            format,
            stored_at: Timestamp::from_micros(row.stored_at),
            stored_by: row.stored_by,
        })
    }
}

fn damaged(what: &str, id: &str) -> LedgerError {
    LedgerError::Damaged(format!("{what} `{id}` holds a word that this version does not know"))
}
