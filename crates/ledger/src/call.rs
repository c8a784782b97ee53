//! One attempt to reserve, the same for every backend.

use std::time::Duration;

use policy::limits::Taken;
use policy::{Count, Timestamp};

use crate::approvals::{self, Approval};
use crate::facts::Facts;
use crate::log::Key;
use crate::record::Opened;
use crate::{ApprovalGone, ApprovalUse, Charge, Ending, EntryId, GrantCheck, Intent, LedgerError, Outcome, grants};

/// What a caller wants to reserve.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt<'a> {
    pub(crate) intent: Intent<'a>,
    pub(crate) charges: &'a [Charge<'a>],
    pub(crate) check: GrantCheck<'a>,
    pub(crate) approval: Option<ApprovalUse<'a>>,
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Reservation {
    Open(OpenCall),
    Refused(Refusal),
}

/// Why nothing was reserved. Recorded like any other refusal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    Limited { index: usize, retry_after: Option<Duration> },
    GrantGone,
    ApprovalGone(ApprovalGone),
}

/// A reserved call that has not been settled.
#[derive(Debug)]
pub(crate) struct OpenCall {
    pub(crate) id: EntryId,
    pub(crate) opened_seq: u64,
    pub(crate) at: Timestamp,
    /// Which counter, when it is given back, and what was taken.
    pub(crate) taken: Vec<(Key, Count, Taken)>,
    /// The approval that was spent.
    pub(crate) approval: Option<String>,
}

impl<'a> Attempt<'a> {
    /// Whether grant and approval allow it; the spent approval, if there is one, is a change to be written.
    pub(crate) fn judge(
        &self,
        facts: &mut dyn Facts,
        now: Timestamp,
    ) -> Result<Result<Option<Approval>, Refusal>, LedgerError> {
        if !grants::still_holds(facts, &self.check, now)? {
            return Ok(Err(Refusal::GrantGone));
        }
        let Some(approval) = &self.approval else {
            return Ok(Ok(None));
        };
        let spent = approvals::spend(facts, approval, self.intent.id, now)?;
        Ok(spent.map(Some).map_err(Refusal::ApprovalGone))
    }

    pub(crate) fn record(&self, argument_keys: &'a str, instance: u64, outcome: Outcome) -> Opened<'a> {
        let approval = self.approval.map(|approval| approval.id);
        Opened { approval, ..Opened::of(&self.intent, argument_keys, instance, outcome) }
    }

    pub(crate) fn refused(&self, argument_keys: &'a str, instance: u64, refusal: &Refusal) -> Opened<'a> {
        let record = |outcome| self.record(argument_keys, instance, outcome);
        match refusal {
            Refusal::Limited { index, .. } => {
                let limit = self.charges.get(*index);
                let (rule, reason) = (limit.map(|limit| limit.rule), limit.map(|limit| limit.on_deny));
                Opened { rule, reason, approval: None, ..record(Outcome::Limit) }
            }
            Refusal::GrantGone => Opened {
                reason: Some("the grant was revoked, has expired or was changed"),
                approval: None,
                ..record(Outcome::Deny)
            },
            Refusal::ApprovalGone(why) => Opened { reason: Some(why.as_str()), ..record(Outcome::Deny) },
        }
    }
}

/// Whether a charge comes back when a call ends so.
pub(crate) fn gives_back(ending: Ending, count: Count) -> bool {
    match ending {
        Ending::NotSent => true,
        Ending::Answered { is_error, .. } => is_error && count == Count::Successes,
        Ending::Failed | Ending::TimedOut | Ending::Unknown => false,
    }
}
