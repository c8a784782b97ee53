//! Approvals: asked for by a call, decided by a person, spent exactly once.

use policy::Timestamp;
use policy::approvals::Event;

pub use policy::approvals::State as ApprovalState;

use crate::facts::{Facts, fresh_id};
use crate::{ApprovalGone, EntryId, LedgerError};

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

/// A copy of an [`AskApproval`].
#[derive(Debug)]
pub(crate) struct OwnedAsk {
    grant: String,
    server: String,
    tool: String,
    policy: String,
    policy_version: String,
    rule: String,
    fingerprint: [u8; 32],
    summary: String,
    expires_at: Timestamp,
}

impl AskApproval<'_> {
    pub(crate) fn to_owned_ask(self) -> OwnedAsk {
        OwnedAsk {
            grant: self.grant.to_owned(),
            server: self.server.to_owned(),
            tool: self.tool.to_owned(),
            policy: self.policy.to_owned(),
            policy_version: self.policy_version.to_owned(),
            rule: self.rule.to_owned(),
            fingerprint: self.fingerprint,
            summary: self.summary.to_owned(),
            expires_at: self.expires_at,
        }
    }
}

impl OwnedAsk {
    pub(crate) fn as_ask(&self) -> AskApproval<'_> {
        AskApproval {
            grant: &self.grant,
            server: &self.server,
            tool: &self.tool,
            policy: &self.policy,
            policy_version: &self.policy_version,
            rule: &self.rule,
            fingerprint: self.fingerprint,
            summary: &self.summary,
            expires_at: self.expires_at,
        }
    }
}

impl Approval {
    /// The approval as it stands at `now`: what nobody used in time has expired.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        self.state = self.state.at(now, self.expires_at);
        self
    }

    fn is_for(&self, ask: &AskApproval<'_>) -> bool {
        self.fingerprint == ask.fingerprint
            && self.grant == ask.grant
            && self.server == ask.server
            && self.tool == ask.tool
            && self.policy == ask.policy
            && self.policy_version == ask.policy_version
            && self.rule == ask.rule
    }
}

/// The approval that stands for the same call, or else a new one, which is then a change to be written.
///
/// A refusal stands until its time is over: an agent that asks again does not make a person say no again.
pub(crate) fn ask(
    facts: &mut dyn Facts,
    ask: &AskApproval<'_>,
    pending_limit: usize,
    now: Timestamp,
) -> Result<(Approval, bool), LedgerError> {
    let same = facts
        .approvals_of_call(&ask.fingerprint)?
        .into_iter()
        .map(|approval| approval.at(now))
        .filter(|approval| approval.is_for(ask));
    let standing = same.filter(|approval| match approval.state {
        ApprovalState::Pending | ApprovalState::Approved => true,
        ApprovalState::Denied => now < approval.expires_at,
        ApprovalState::Spent | ApprovalState::Expired => false,
    });
    let newest_yes = |approval: &Approval| (approval.state == ApprovalState::Approved, approval.id.clone());
    if let Some(approval) = standing.max_by_key(newest_yes) {
        return Ok((approval, false));
    }
    let pending = facts.pending_approvals(ask.grant)?.into_iter().filter(|approval| now < approval.expires_at).count();
    if pending >= pending_limit {
        return Err(LedgerError::TooManyApprovals { grant: ask.grant.to_owned(), count: pending });
    }
    let approval = Approval {
        id: fresh_id("apr_", now)?,
        state: ApprovalState::Pending,
        grant: ask.grant.to_owned(),
        server: ask.server.to_owned(),
        tool: ask.tool.to_owned(),
        policy: ask.policy.to_owned(),
        policy_version: ask.policy_version.to_owned(),
        rule: ask.rule.to_owned(),
        fingerprint: ask.fingerprint,
        summary: ask.summary.to_owned(),
        asked_at: now,
        expires_at: ask.expires_at,
        decided_at: None,
        decided_by: None,
        decision_reason: None,
        spent_by: None,
    };
    Ok((approval, true))
}

/// The approval after a person's decision.
pub(crate) fn decide(
    facts: &mut dyn Facts,
    id: &str,
    decision: Decision,
    by: &str,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<Approval, LedgerError> {
    let approval = facts.approval(id)?.ok_or_else(|| LedgerError::Unknown { what: "approval", name: id.to_owned() })?;
    let event = match decision {
        Decision::Approve => Event::Approve,
        Decision::Deny => Event::Deny,
    };
    let state = approval
        .state
        .after(event, now, approval.expires_at)
        .map_err(|refused| LedgerError::NotDecidable { id: id.to_owned(), reason: refused.to_string() })?;
    Ok(Approval {
        state,
        decided_at: Some(now),
        decided_by: Some(by.to_owned()),
        decision_reason: reason.map(str::to_owned),
        ..approval
    })
}

/// The approval after `entry` has spent it.
pub(crate) fn spend(
    facts: &mut dyn Facts,
    approval: &ApprovalUse<'_>,
    entry: EntryId,
    now: Timestamp,
) -> Result<Result<Approval, ApprovalGone>, LedgerError> {
    let Some(found) = facts.approval(approval.id)? else {
        return Ok(Err(ApprovalGone::Unknown));
    };
    if found.fingerprint != *approval.fingerprint {
        return Ok(Err(ApprovalGone::OtherCall));
    }
    Ok(match found.state.after(Event::Spend, now, found.expires_at) {
        Ok(state) => Ok(Approval { state, spent_by: Some(entry), ..found }),
        Err(refused) => Err(match refused.state {
            ApprovalState::Pending | ApprovalState::Approved => ApprovalGone::Pending,
            ApprovalState::Spent => ApprovalGone::Spent,
            ApprovalState::Denied => ApprovalGone::Denied,
            ApprovalState::Expired => ApprovalGone::Expired,
        }),
    })
}

/// The approval after it turned out that `entry`, which spent it, never left; nothing if it was not that entry.
pub(crate) fn give_back(
    facts: &mut dyn Facts,
    id: &str,
    entry: EntryId,
    now: Timestamp,
) -> Result<Option<Approval>, LedgerError> {
    let Some(found) = facts.approval(id)?.filter(|found| found.spent_by == Some(entry)) else {
        return Ok(None);
    };
    let given_back = found.state.after(Event::GiveBack, now, found.expires_at).ok();
    Ok(given_back.map(|state| Approval { state, spent_by: None, ..found }))
}
