//! Proof that a request was judged and reserved. Forwarding takes nothing else.

use ledger::{ApprovalGone, ApprovalUse, Charge, EntryId, GrantCheck, Intent, Ledger, LedgerError, Reserved, Ticket};
use policy::Verdict;
use std::time::Duration;

use crate::config::FailMode;

/// Leave to forward one request. Only this module can make one.
#[derive(Debug)]
pub(crate) struct Permit {
    ticket: Option<Ticket>,
}

/// What a used permit leaves: it opens the way upstream for one request.
#[derive(Debug)]
pub(crate) struct Pass(());

/// Why a request that was judged well cannot be forwarded after all.
#[derive(Debug)]
pub(crate) enum NotReserved {
    /// The limit at this place among the charges is used up.
    Limited { index: usize, retry_after: Option<Duration>, record: EntryId },
    /// The grant has been taken back meanwhile.
    GrantGone { record: EntryId },
    /// The approval cannot be spent.
    ApprovalGone { why: ApprovalGone, record: EntryId },
    /// The ledger cannot be written.
    Unwritten(LedgerError),
}

impl Permit {
    /// Lets a request pass that no policy governs: the handshake, lists, `ping` and the like.
    ///
    /// `None` if the verdict says that it is governed after all.
    pub(crate) fn ungoverned(verdict: &Verdict<'_>) -> Option<Self> {
        match verdict {
            Verdict::Allow { rule, charges } if rule.is_empty() && charges.is_empty() => Some(Self { ticket: None }),
            Verdict::Allow { .. } | Verdict::Deny { .. } | Verdict::Hide { .. } | Verdict::Approve { .. } => None,
        }
    }

    /// Reserves a governed request: grant checked again, approval spent, limits taken, intent written.
    ///
    /// # Errors
    ///
    /// [`NotReserved`]; nothing was taken.
    pub(crate) async fn reserve(
        ledger: &Ledger,
        fail_mode: FailMode,
        intent: Intent<'_>,
        charges: &[Charge<'_>],
        check: GrantCheck<'_>,
        approval: Option<ApprovalUse<'_>>,
    ) -> Result<Self, NotReserved> {
        match ledger.reserve(intent, charges, check, approval).await {
            Ok(Reserved::Open(ticket)) => Ok(Self { ticket: Some(ticket) }),
            Ok(Reserved::Limited { index, retry_after, record }) => {
                Err(NotReserved::Limited { index, retry_after, record })
            }
            Ok(Reserved::GrantGone { record }) => Err(NotReserved::GrantGone { record }),
            Ok(Reserved::ApprovalGone { why, record }) => Err(NotReserved::ApprovalGone { why, record }),
            // An approval that cannot be spent durably could be used twice, whatever the mode.
            Err(error) if fail_mode == FailMode::Open && approval.is_none() => {
                tracing::error!(%error, "let a call pass unrecorded and uncounted, as `fail_mode: open` says");
                Ok(Self { ticket: None })
            }
            Err(error) => Err(NotReserved::Unwritten(error)),
        }
    }

    /// Uses the permit up: the pass to send one request with, and the entry to settle afterwards.
    pub(crate) fn use_up(self) -> (Pass, Option<Ticket>) {
        (Pass(()), self.ticket)
    }
}
