//! What the ledger holds, as the API shows it.

use std::collections::BTreeMap;

use policy::Timestamp;
use policy::approvals::State;
use policy::document::Format;

use super::{
    Access, Approval, ApprovalState, AuditQuery, Decision, Entry, Grant, GrantState, Origin, PolicyFormat, Verification,
};

/// Writes a time as RFC 3339 in UTC, as precise as it is.
#[must_use]
pub fn time_text(time: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(time.as_micros())
        .map_or_else(|_| time.as_micros().to_string(), |time| time.to_string())
}

/// Reads a time in RFC 3339, of any offset.
///
/// # Errors
///
/// A sentence that says what to write instead.
pub fn read_time(text: &str) -> Result<Timestamp, String> {
    text.parse::<jiff::Timestamp>()
        .map(|time| Timestamp::from_micros(time.as_microsecond()))
        .map_err(|_| format!("`{text}` is not a time: write it as `2027-01-01T00:00:00Z`"))
}

/// Writes bytes in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

impl Grant {
    /// Shows a grant as it stands at `now`.
    #[must_use]
    pub fn of(grant: &ledger::Grant, now: Timestamp) -> Self {
        let state = match grant.revoked_at {
            Some(_) => GrantState::Revoked,
            None if grant.is_valid(now) => GrantState::Active,
            None => GrantState::Expired,
        };
        let access =
            grant.access.iter().map(|access| Access { server: access.server.clone(), policy: access.policy.clone() });
        Self {
            id: grant.id.clone(),
            label: grant.label.clone(),
            state,
            origin: match grant.origin {
                ledger::Origin::File => Origin::File,
                ledger::Origin::Api => Origin::Api,
            },
            access: access.collect(),
            created_at: Some(time_text(grant.created_at)),
            expires_at: grant.expires.map(time_text),
            revoked_at: grant.revoked_at.map(time_text),
        }
    }
}

impl From<&Access> for ledger::Access {
    fn from(access: &Access) -> Self {
        Self { server: access.server.clone(), policy: access.policy.clone() }
    }
}

impl Approval {
    /// Shows an approval as it stands at `now`; `labels` has the label of each grant's id.
    #[must_use]
    pub fn of(approval: &ledger::Approval, labels: &BTreeMap<String, String>, now: Timestamp) -> Self {
        let label = labels.get(&approval.grant).unwrap_or(&approval.grant);
        Self {
            id: approval.id.clone(),
            state: approval.state.at(now, approval.expires_at).into(),
            grant: label.clone(),
            server: approval.server.clone(),
            tool: approval.tool.clone(),
            policy: approval.policy.clone(),
            policy_version: approval.policy_version.clone(),
            rule: approval.rule.clone(),
            summary: approval.summary.clone(),
            asked_at: time_text(approval.asked_at),
            expires_at: time_text(approval.expires_at),
            decided_at: approval.decided_at.map(time_text),
            decided_by: approval.decided_by.clone(),
            reason: approval.decision_reason.clone(),
        }
    }
}

impl From<State> for ApprovalState {
    fn from(state: State) -> Self {
        match state {
            State::Pending => Self::Pending,
            State::Approved => Self::Approved,
            State::Spent => Self::Spent,
            State::Denied => Self::Denied,
            State::Expired => Self::Expired,
        }
    }
}

impl From<Decision> for ledger::Decision {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Approve => Self::Approve,
            Decision::Deny => Self::Deny,
        }
    }
}

impl From<&ledger::Entry> for Entry {
    fn from(entry: &ledger::Entry) -> Self {
        let keys = entry.argument_keys.as_deref().and_then(|keys| serde_json::from_str(keys).ok());
        Self {
            seq: entry.opened_seq,
            id: entry.id.to_string(),
            at: time_text(entry.at),
            grant: entry.grant.clone(),
            client: entry.client.clone(),
            session: Some(entry.session.clone()).filter(|session| !session.is_empty()),
            server: entry.server.clone(),
            method: entry.method.clone(),
            tool: entry.tool.clone(),
            category: entry.category.clone(),
            policy: entry.policy.clone(),
            policy_version: entry.policy_version.clone(),
            outcome: entry.outcome.as_str().to_owned(),
            rule: entry.rule.clone(),
            reason: entry.reason.clone(),
            approval: entry.approval.clone(),
            settled: entry.result.map(|result| result.as_str().to_owned()),
            settled_at: entry.settled_at.map(time_text),
            upstream_status: entry.upstream_status,
            is_error: entry.is_error,
            gateway_us: entry.gateway_us,
            upstream_us: entry.upstream_us,
            argument_keys: keys.unwrap_or_default(),
            arguments_hmac: entry.arguments_hmac.map(|digest| hex(&digest)),
            request_id: entry.request_id.clone(),
            trace_id: entry.trace_id.clone(),
            hash: hex(&entry.opened_hash),
            settled_seq: entry.settled_seq,
            settled_hash: entry.settled_hash.map(|hash| hex(&hash)),
        }
    }
}

impl AuditQuery {
    /// What the query asks of the ledger.
    ///
    /// # Errors
    ///
    /// A sentence about the part that cannot be read.
    pub fn filter(&self) -> Result<ledger::EntryFilter, String> {
        let outcome = self.outcome.as_deref().map(|word| {
            ledger::Outcome::parse(word)
                .ok_or_else(|| format!("`{word}` is not an outcome: write allow, deny, hide, limit, approve or reject"))
        });
        Ok(ledger::EntryFilter {
            since: self.since.as_deref().map(read_time).transpose()?,
            until: self.until.as_deref().map(read_time).transpose()?,
            grant: self.grant.clone(),
            server: self.server.clone(),
            tool: self.tool.clone(),
            outcome: outcome.transpose()?,
            rule: self.rule.clone(),
            after_seq: self.after,
        })
    }
}

impl From<&ledger::Verified> for Verification {
    fn from(verified: &ledger::Verified) -> Self {
        match verified {
            ledger::Verified::Intact { records, head } => Self {
                intact: true,
                records: Some(*records),
                head: Some(hex(head)),
                first_bad: None,
                entry: None,
                what: None,
            },
            ledger::Verified::Broken { seq, entry, what } => Self {
                intact: false,
                records: None,
                head: None,
                first_bad: Some(*seq),
                entry: entry.clone(),
                what: Some(what.clone()),
            },
        }
    }
}

impl From<Format> for PolicyFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Json => Self::Json,
            Format::Yaml => Self::Yaml,
        }
    }
}

impl From<PolicyFormat> for Format {
    fn from(format: PolicyFormat) -> Self {
        match format {
            PolicyFormat::Json => Self::Json,
            PolicyFormat::Yaml => Self::Yaml,
        }
    }
}
