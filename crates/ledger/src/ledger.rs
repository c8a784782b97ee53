//! The one door to both backends.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use policy::Timestamp;

use crate::{
    Approval, ApprovalFilter, ApprovalGone, ApprovalUse, AskApproval, Charge, Decision, Entry, EntryFilter, EntryId, FileGrant, Grant, GrantCheck,
    Intent, LedgerError, NewGrant, OpenError, Options, Outcome, Settlement, StoredPolicy, Token,
};
use policy::document::Format;

/// A handle to the ledger of one data directory. Clones share it.
#[derive(Clone, Debug)]
pub struct Ledger {
    inner: Arc<()>,
}

/// What became of a reservation.
#[derive(Debug)]
#[must_use]
pub enum Reserved {
    /// Everything was taken and the intent is written: the call may be forwarded.
    Open(Ticket),
    /// A limit is full; nothing was taken.
    Limited {
        /// Index of the charge that did not fit.
        index: usize,
        /// When it may fit; `None` if it never will.
        retry_after: Option<Duration>,
        /// The entry that records the refusal.
        record: EntryId,
    },
    /// The grant was revoked, has expired or was changed since the call was judged.
    GrantGone {
        /// The entry that records the refusal.
        record: EntryId,
    },
    /// The approval cannot be spent.
    ApprovalGone {
        /// Why not.
        why: ApprovalGone,
        /// The entry that records the refusal.
        record: EntryId,
    },
}

/// Proof that a call was reserved. Dropping it settles the entry as `unknown`.
#[derive(Debug)]
pub struct Ticket {
    id: EntryId,
}

impl Ticket {
    /// The entry's id.
    #[must_use]
    pub fn id(&self) -> EntryId {
        self.id
    }
}

/// What [`Ledger::verify`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// Every record is as it was written.
    Intact {
        /// How many records there are.
        records: u64,
        /// Hash of the last one.
        head: [u8; 32],
    },
    /// The chain is broken.
    Broken {
        /// The first bad record.
        seq: u64,
        /// The entry it belongs to, where that can be told.
        entry: Option<String>,
        /// What is wrong with it.
        what: String,
    },
}

/// Entries, oldest first, read piece by piece on a connection of their own.
#[derive(Debug)]
pub struct EntryStream {
    entries: tokio::sync::mpsc::Receiver<Result<Entry, LedgerError>>,
}

impl EntryStream {
    /// The next entry; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Entry, LedgerError>> {
        self.entries.recv().await
    }
}

impl Ledger {
    /// Opens a directory for this process alone (`serve`).
    ///
    /// # Errors
    /// The directory is held by others, damaged, newer than this build, or cannot be written.
    pub fn open_exclusive(directory: &Path, options: Options) -> Result<Self, OpenError> {
        todo!()
    }

    /// Opens a directory together with any number of other processes (`run`, command line).
    ///
    /// # Errors
    /// The directory is held by a gateway, damaged, newer than this build, or cannot be written.
    pub fn open_shared(directory: &Path, options: Options) -> Result<Self, OpenError> {
        todo!()
    }

    /// Re-checks the grant, spends the approval, takes all charges or none, and writes the entry, in one atomic step.
    ///
    /// # Errors
    /// Nothing could be written; nothing was taken.
    pub async fn reserve(
        &self,
        intent: Intent<'_>,
        charges: &[Charge<'_>],
        check: GrantCheck<'_>,
        approval: Option<ApprovalUse<'_>>,
    ) -> Result<Reserved, LedgerError> {
        todo!()
    }

    /// Records what came of a reserved call, and gives back what is due.
    pub async fn settle(&self, ticket: Ticket, settlement: Settlement) {
        todo!()
    }

    /// Records a call that is not forwarded.
    ///
    /// # Errors
    /// The record could not be written.
    pub async fn refuse(&self, intent: Intent<'_>, outcome: Outcome, reason: &str) -> Result<EntryId, LedgerError> {
        todo!()
    }

    /// Asks for an approval, or returns the one that is pending or approved for the same call.
    ///
    /// # Errors
    /// It could not be written, or the grant has too many pending.
    pub async fn ask(&self, ask: AskApproval<'_>, now: Timestamp) -> Result<Approval, LedgerError> {
        todo!()
    }

    /// Reads one approval, expired at `now` or not.
    ///
    /// # Errors
    /// There is none, or it could not be read.
    pub async fn approval(&self, id: &str, now: Timestamp) -> Result<Approval, LedgerError> {
        todo!()
    }

    /// Lists approvals, newest first.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn approvals(&self, filter: &ApprovalFilter, limit: usize, now: Timestamp) -> Result<Vec<Approval>, LedgerError> {
        todo!()
    }

    /// Decides a pending approval.
    ///
    /// # Errors
    /// There is none, it is not pending, or it could not be written.
    pub async fn decide(&self, id: &str, decision: Decision, by: &str, reason: Option<&str>, now: Timestamp) -> Result<Approval, LedgerError> {
        todo!()
    }

    /// Waits until an approval is no longer pending, wherever it is decided; the caller bounds the wait.
    ///
    /// # Errors
    /// There is none, or it could not be read.
    pub async fn decided(&self, id: &str, clock: impl Fn() -> Timestamp + Send) -> Result<Approval, LedgerError> {
        todo!()
    }

    /// Makes a grant and its token.
    ///
    /// # Errors
    /// The label is taken, or it could not be written.
    pub async fn create_grant(&self, new: NewGrant, now: Timestamp) -> Result<(Grant, Token), LedgerError> {
        todo!()
    }

    /// Lists grants by label; revoked ones too if asked.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn grants(&self, with_revoked: bool) -> Result<Vec<Arc<Grant>>, LedgerError> {
        todo!()
    }

    /// Revokes a grant by id or label; from then on no reservation under it succeeds.
    ///
    /// # Errors
    /// There is none, it comes from the file, or it could not be written.
    pub async fn revoke_grant(&self, id_or_label: &str, now: Timestamp) -> Result<Arc<Grant>, LedgerError> {
        todo!()
    }

    /// Replaces a grant's token; the old one is worthless at once.
    ///
    /// # Errors
    /// There is none, it comes from the file, or it could not be written.
    pub async fn rotate_grant(&self, id_or_label: &str, now: Timestamp) -> Result<(Arc<Grant>, Token), LedgerError> {
        todo!()
    }

    /// Finds the unrevoked grant of a token. In exclusive mode this is a look-up in memory.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn grant_by_token(&self, token_sha256: &[u8; 32]) -> Result<Option<Arc<Grant>>, LedgerError> {
        todo!()
    }

    /// Replaces the grants that come from the configuration file. Unchanged ones keep their generation, all keep their ids.
    ///
    /// # Errors
    /// A label belongs to a grant made elsewhere, or it could not be written.
    pub async fn publish_file_grants(&self, grants: &[FileGrant], now: Timestamp) -> Result<(), LedgerError> {
        todo!()
    }

    /// Stores a policy document and returns its revision.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn put_policy(&self, name: &str, text: &str, format: Format, by: &str, now: Timestamp) -> Result<u64, LedgerError> {
        todo!()
    }

    /// Reads the latest document of a name.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn policy(&self, name: &str) -> Result<Option<StoredPolicy>, LedgerError> {
        todo!()
    }

    /// Lists the latest document of every name.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn policies(&self) -> Result<Vec<StoredPolicy>, LedgerError> {
        todo!()
    }

    /// Removes a policy, all revisions of it.
    ///
    /// # Errors
    /// There is none, or it could not be written.
    pub async fn remove_policy(&self, name: &str) -> Result<(), LedgerError> {
        todo!()
    }

    /// Reads a setting kept in the ledger.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn meta(&self, key: &str) -> Result<Option<String>, LedgerError> {
        todo!()
    }

    /// Writes a setting kept in the ledger.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn set_meta(&self, key: &str, value: &str) -> Result<(), LedgerError> {
        todo!()
    }

    /// Lists entries, newest first.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn entries(&self, filter: &EntryFilter, limit: usize) -> Result<Vec<Entry>, LedgerError> {
        todo!()
    }

    /// Reads one entry.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn entry(&self, id: EntryId) -> Result<Option<Entry>, LedgerError> {
        todo!()
    }

    /// Lists the entries opened after a place in the chain, oldest first, for following along.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn entries_after(&self, seq: u64, filter: &EntryFilter, limit: usize) -> Result<Vec<Entry>, LedgerError> {
        todo!()
    }

    /// Reads all entries that pass the filter, oldest first, without holding them in memory.
    ///
    /// # Errors
    /// The reading could not begin.
    pub async fn export(&self, filter: &EntryFilter) -> Result<EntryStream, LedgerError> {
        todo!()
    }

    /// Checks the whole chain. `progress` hears (records checked, records in all) now and then.
    ///
    /// # Errors
    /// The records could not be read; a broken chain is not an error but [`Verified::Broken`].
    pub async fn verify(&self, progress: impl FnMut(u64, u64) + Send + 'static) -> Result<Verified, LedgerError> {
        todo!()
    }

    /// The keyed digest of canonical arguments, so that short ones cannot be guessed from it. The key is the directory's own.
    #[must_use]
    pub fn hmac_arguments(&self, canonical: &[u8]) -> [u8; 32] {
        todo!()
    }

    /// Waits until everything acknowledged so far is in the database.
    ///
    /// # Errors
    /// The database could not be written.
    pub async fn flush(&self) -> Result<(), LedgerError> {
        todo!()
    }

    /// Flushes and closes; later operations fail with [`LedgerError::Closed`].
    ///
    /// # Errors
    /// The database could not be written; the log keeps what is missing and the next opening applies it.
    pub async fn close(&self) -> Result<(), LedgerError> {
        todo!()
    }
}
