//! The one door to both backends.

mod approvals;
mod audit;
mod grants;
mod policies;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ring::hmac;
use rusqlite::Connection;

use crate::call::{Attempt, OpenCall, Refusal, Reservation};
use crate::change::Change;
use crate::directory::{self, Opening};
use crate::facts::Facts;
use crate::log::LogLedger;
use crate::shared::SharedLedger;
use crate::{
    ApprovalGone, ApprovalUse, Charge, EntryId, GrantCheck, Intent, LedgerError, OpenError, Options, Outcome,
    Settlement, sqlite,
};

pub use self::audit::{EntryStream, Verified};

/// A handle to the ledger of one data directory. Clones share it.
#[derive(Clone, Debug)]
pub struct Ledger {
    backend: Backend,
    key: Arc<hmac::Key>,
}

/// The ways to keep a ledger. PostgreSQL will be one more.
#[derive(Clone, Debug)]
enum Backend {
    Log(Arc<LogLedger>),
    Shared(Arc<SharedLedger>),
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
    call: Option<OpenCall>,
    backend: Backend,
}

impl Ticket {
    /// The entry's id.
    #[must_use]
    pub fn id(&self) -> EntryId {
        self.id
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        match (self.call.take(), &self.backend) {
            (None, _) => {}
            (Some(call), Backend::Log(log)) => log.abandon(&call),
            (Some(call), Backend::Shared(shared)) => shared.abandon(call),
        }
    }
}

impl Ledger {
    /// Opens a directory for this process alone (`serve`).
    ///
    /// # Errors
    /// The directory is held by others, damaged, newer than this build, or cannot be written.
    pub fn open_exclusive(directory: &Path, options: Options) -> Result<Self, OpenError> {
        let opening = directory::begin_opening(directory, options.patience)?;
        let log = LogLedger::open(directory, options, &opening)?;
        Self::new(Backend::Log(Arc::new(log)), directory, &opening)
    }

    /// Opens a directory together with any number of other processes (`run`, command line).
    ///
    /// # Errors
    /// The directory is held by a gateway, damaged, newer than this build, or cannot be written.
    pub fn open_shared(directory: &Path, options: Options) -> Result<Self, OpenError> {
        let opening = directory::begin_opening(directory, options.patience)?;
        let shared = SharedLedger::open(directory, options, &opening)?;
        Self::new(Backend::Shared(Arc::new(shared)), directory, &opening)
    }

    fn new(backend: Backend, directory: &Path, opening: &Opening) -> Result<Self, OpenError> {
        Ok(Self { backend, key: Arc::new(directory::key(directory, opening)?) })
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
        let attempt = Attempt { intent, charges, check, approval };
        let reservation = match &self.backend {
            Backend::Log(log) => log.reserve(&attempt).await?,
            Backend::Shared(shared) => shared.reserve(&attempt).await?,
        };
        let record = intent.id;
        Ok(match reservation {
            Reservation::Open(call) => {
                Reserved::Open(Ticket { id: record, call: Some(call), backend: self.backend.clone() })
            }
            Reservation::Refused(Refusal::Limited { index, retry_after }) => {
                Reserved::Limited { index, retry_after, record }
            }
            Reservation::Refused(Refusal::GrantGone) => Reserved::GrantGone { record },
            Reservation::Refused(Refusal::ApprovalGone(why)) => Reserved::ApprovalGone { why, record },
        })
    }

    /// Records what came of a reserved call, and gives back what is due.
    pub async fn settle(&self, mut ticket: Ticket, settlement: Settlement) {
        match (ticket.call.take(), &ticket.backend) {
            (None, _) => {}
            (Some(call), Backend::Log(log)) => log.settle(&call, &settlement),
            (Some(call), Backend::Shared(shared)) => shared.settle(call, settlement).await,
        }
    }

    /// Records a call that is not forwarded.
    ///
    /// # Errors
    /// The record could not be written.
    pub async fn refuse(&self, intent: Intent<'_>, outcome: Outcome, reason: &str) -> Result<EntryId, LedgerError> {
        match &self.backend {
            Backend::Log(log) => log.refuse(&intent, outcome, reason).await,
            Backend::Shared(shared) => shared.refuse(&intent, outcome, reason).await,
        }
    }

    /// The keyed digest of canonical arguments, so that short ones cannot be guessed from it. The key is the directory's own.
    #[must_use]
    pub fn hmac_arguments(&self, canonical: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&self.key, canonical);
        let mut digest = [0; 32];
        for (slot, byte) in digest.iter_mut().zip(tag.as_ref()) {
            *slot = *byte;
        }
        digest
    }

    /// Waits until everything acknowledged so far is in the database.
    ///
    /// # Errors
    /// The database could not be written.
    pub async fn flush(&self) -> Result<(), LedgerError> {
        match &self.backend {
            Backend::Log(log) => log.flush().await,
            Backend::Shared(shared) => shared.flush().await,
        }
    }

    /// Flushes and closes; later operations fail with [`LedgerError::Closed`].
    ///
    /// # Errors
    /// The database could not be written; the log keeps what is missing and the next opening applies it.
    pub async fn close(&self) -> Result<(), LedgerError> {
        let backend = self.backend.clone();
        let closed = tokio::task::spawn_blocking(move || match backend {
            Backend::Log(log) => log.close(),
            Backend::Shared(shared) => {
                shared.close();
                Ok(())
            }
        });
        closed.await.map_err(|_| LedgerError::Closed)?
    }

    fn directory(&self) -> &Path {
        match &self.backend {
            Backend::Log(log) => log.directory(),
            Backend::Shared(shared) => shared.directory(),
        }
    }

    /// Lets readers see what was acknowledged; if that cannot be written now, they see what there is.
    async fn catch_up(&self) {
        if let Err(error) = self.flush().await {
            tracing::warn!(%error, "reading a ledger whose database is behind");
        }
    }

    /// Reads on a connection and a thread of its own.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.catch_up().await;
        let directory = self.directory().to_owned();
        let reading = tokio::task::spawn_blocking(move || read(&sqlite::open_reader(&directory)?));
        reading.await.map_err(|_| LedgerError::Damaged("reading it panicked".to_owned()))?
    }

    async fn change<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut dyn Facts, &Options) -> Result<(T, Vec<Change>), LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        match &self.backend {
            Backend::Log(log) => log.change(decide).await,
            Backend::Shared(shared) => shared.change(decide).await,
        }
    }

    async fn question<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut dyn Facts) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        match &self.backend {
            Backend::Log(log) => log.ask(question),
            Backend::Shared(shared) => shared.ask(question).await,
        }
    }
}
