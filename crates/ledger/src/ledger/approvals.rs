//! Asking for approvals, deciding and waiting for them.

use std::time::Duration;

use policy::Timestamp;

use super::{Backend, Ledger};
use crate::change::Change;
use crate::sqlite::rows;
use crate::{Approval, ApprovalFilter, ApprovalState, AskApproval, Decision, LedgerError, approvals};

/// How often another process's decision about an approval is looked for.
const DECISION_POLL: Duration = Duration::from_millis(200);
impl Ledger {
    /// Asks for an approval, or returns the one that stands for the same call: pending, approved, or denied and not over.
    ///
    /// # Errors
    /// It could not be written, or the grant has too many pending.
    pub async fn ask(&self, ask: AskApproval<'_>, now: Timestamp) -> Result<Approval, LedgerError> {
        let ask = ask.to_owned_ask();
        self.change(move |facts, options| {
            let (approval, is_new) = approvals::ask(facts, &ask.as_ask(), options.pending_approvals_per_grant, now)?;
            let changes = is_new.then(|| Change::Approval((&approval).into())).into_iter().collect();
            Ok((approval, changes))
        })
        .await
    }

    /// Reads one approval as it stands at `now`.
    ///
    /// # Errors
    /// There is none, or it could not be read.
    pub async fn approval(&self, id: &str, now: Timestamp) -> Result<Approval, LedgerError> {
        let wanted = id.to_owned();
        let live = self.question(move |facts| facts.approval(&wanted)).await?;
        let approval = match live {
            Some(approval) => Some(approval),
            None => {
                let wanted = id.to_owned();
                self.read(move |connection| rows::approval(connection, &wanted)?.map(Approval::try_from).transpose())
                    .await?
            }
        };
        approval
            .map(|approval| approval.at(now))
            .ok_or_else(|| LedgerError::Unknown { what: "approval", name: id.to_owned() })
    }

    /// Lists approvals, newest first, as they stand at `now`.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn approvals(
        &self,
        filter: &ApprovalFilter,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Approval>, LedgerError> {
        let filter = filter.clone();
        self.read(move |connection| {
            let rows = rows::approvals(connection, &filter, limit, now.as_micros())?;
            rows.into_iter().map(|row| Ok(Approval::try_from(row)?.at(now))).collect()
        })
        .await
    }

    /// Decides a pending approval, or takes back one that was given and not used.
    ///
    /// # Errors
    /// There is none, it cannot be decided any more, or it could not be written.
    pub async fn decide(
        &self,
        id: &str,
        decision: Decision,
        by: &str,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<Approval, LedgerError> {
        let (id, by, reason) = (id.to_owned(), by.to_owned(), reason.map(str::to_owned));
        self.change(move |facts, _| {
            let approval = approvals::decide(facts, &id, decision, &by, reason.as_deref(), now)?;
            let changes = vec![Change::Approval((&approval).into())];
            Ok((approval, changes))
        })
        .await
    }

    /// Waits until an approval is no longer pending, wherever it is decided; the caller bounds the wait.
    ///
    /// # Errors
    /// There is none, or it could not be read.
    pub async fn decided(&self, id: &str, clock: impl Fn() -> Timestamp + Send) -> Result<Approval, LedgerError> {
        let mut changes = match &self.backend {
            Backend::Log(log) => Some(log.approvals_changed()),
            Backend::Shared(_) => None,
        };
        loop {
            if let Some(changes) = &mut changes {
                changes.borrow_and_update();
            }
            let approval = self.approval(id, clock()).await?;
            if approval.state != ApprovalState::Pending {
                return Ok(approval);
            }
            let left = approval.expires_at.saturating_since(clock());
            match &mut changes {
                Some(changes) => {
                    // Whether it changed or lapsed is seen in the next round.
                    let _woken = tokio::time::timeout(left, changes.changed()).await;
                }
                None => tokio::time::sleep(DECISION_POLL.min(left)).await,
            }
        }
    }
}
