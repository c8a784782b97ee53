//! The one door to both backends.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use policy::Timestamp;
use policy::document::Format;
use ring::hmac;
use rusqlite::Connection;

use crate::call::{Attempt, OpenCall, Refusal, Reservation};
use crate::change::Change;
use crate::directory::{self, Opening};
use crate::facts::Facts;
use crate::grants::Held;
use crate::log::{LogLedger, next_revision};
use crate::shared::SharedLedger;
use crate::sqlite::entries::Direction;
use crate::sqlite::{self, rows};
use crate::{
    Approval, ApprovalFilter, ApprovalGone, ApprovalState, ApprovalUse, AskApproval, Charge, Decision, Entry,
    EntryFilter, EntryId, FileGrant, Grant, GrantCheck, Intent, LedgerError, NewGrant, OpenError, Options, Outcome,
    Settlement, StoredPolicy, Token, approvals, audit, grants,
};

/// How often another process's decision about an approval is looked for.
const DECISION_POLL: Duration = Duration::from_millis(200);
/// Entries read at a time for an export, and kept ready for a slow reader.
const EXPORT_PAGE: usize = 500;

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

    /// Makes a grant and its token.
    ///
    /// # Errors
    /// The label is taken, or it could not be written.
    pub async fn create_grant(&self, new: NewGrant, now: Timestamp) -> Result<(Arc<Grant>, Token), LedgerError> {
        self.change(move |facts, _| {
            let (held, token) = grants::create(facts, new, now)?;
            Ok(((Arc::clone(&held.grant), token), vec![Change::Grant((&held).into())]))
        })
        .await
    }

    /// Lists grants by label; revoked ones too if asked.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn grants(&self, with_revoked: bool) -> Result<Vec<Arc<Grant>>, LedgerError> {
        let mut grants = self.question(|facts| facts.grants()).await?;
        grants.retain(|held| with_revoked || held.grant.revoked_at.is_none());
        grants.sort_by(|left, right| (&left.grant.label, &left.grant.id).cmp(&(&right.grant.label, &right.grant.id)));
        Ok(grants.into_iter().map(|held| held.grant).collect())
    }

    /// Revokes a grant by id or label; from then on no reservation under it succeeds.
    ///
    /// # Errors
    /// There is none, it comes from the file, or it could not be written.
    pub async fn revoke_grant(&self, id_or_label: &str, now: Timestamp) -> Result<Arc<Grant>, LedgerError> {
        let name = id_or_label.to_owned();
        self.change(move |facts, _| {
            let held = grants::revoke(facts, &name, now)?;
            Ok((Arc::clone(&held.grant), vec![Change::Grant((&held).into())]))
        })
        .await
    }

    /// Replaces a grant's token; the old one is worthless at once.
    ///
    /// # Errors
    /// There is none, it comes from the file, or it could not be written.
    pub async fn rotate_grant(&self, id_or_label: &str) -> Result<(Arc<Grant>, Token), LedgerError> {
        let name = id_or_label.to_owned();
        self.change(move |facts, _| {
            let (held, token) = grants::rotate(facts, &name)?;
            Ok(((Arc::clone(&held.grant), token), vec![Change::Grant((&held).into())]))
        })
        .await
    }

    /// Finds the unrevoked grant of a token, which may have expired. In exclusive mode this is a look-up in memory.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn grant_by_token(&self, token_sha256: &[u8; 32]) -> Result<Option<Arc<Grant>>, LedgerError> {
        match &self.backend {
            Backend::Log(log) => Ok(log.grant_by_token(token_sha256)),
            Backend::Shared(shared) => {
                let wanted = *token_sha256;
                let is_it = move |held: &Held| held.token_sha256 == wanted && held.grant.revoked_at.is_none();
                shared.ask(move |facts| Ok(facts.grants()?.into_iter().find(is_it).map(|held| held.grant))).await
            }
        }
    }

    /// Replaces the grants that come from the configuration file. Unchanged ones keep their generation, all keep their ids.
    ///
    /// # Errors
    /// A label belongs to a grant made elsewhere, or it could not be written.
    pub async fn publish_file_grants(&self, grants: &[FileGrant], now: Timestamp) -> Result<(), LedgerError> {
        let wanted = grants.to_vec();
        self.change(move |facts, _| {
            Ok(((), grants::publish(facts, &wanted, now)?.iter().map(|held| Change::Grant(held.into())).collect()))
        })
        .await
    }

    /// Stores a policy document and returns its revision.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn put_policy(
        &self,
        name: &str,
        text: &str,
        format: Format,
        by: &str,
        now: Timestamp,
    ) -> Result<u64, LedgerError> {
        let policy = StoredPolicy {
            name: name.to_owned(),
            revision: 0,
            text: text.to_owned(),
            format,
            stored_at: now,
            stored_by: by.to_owned(),
        };
        self.change(move |facts, _| {
            let policy = next_revision(facts, policy)?;
            Ok((policy.revision, vec![Change::Policy((&policy).into())]))
        })
        .await
    }

    /// Reads the latest document of a name.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn policy(&self, name: &str) -> Result<Option<StoredPolicy>, LedgerError> {
        let name = name.to_owned();
        self.read(move |connection| rows::policy(connection, &name)?.map(StoredPolicy::try_from).transpose()).await
    }

    /// Lists the latest document of every name.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn policies(&self) -> Result<Vec<StoredPolicy>, LedgerError> {
        self.read(|connection| rows::policies(connection)?.into_iter().map(StoredPolicy::try_from).collect()).await
    }

    /// Removes a policy, all revisions of it.
    ///
    /// # Errors
    /// There is none, or it could not be written.
    pub async fn remove_policy(&self, name: &str) -> Result<(), LedgerError> {
        let name = name.to_owned();
        self.change(move |facts, _| match facts.policy_revision(&name)? {
            0 => Err(LedgerError::Unknown { what: "policy", name }),
            _ => Ok(((), vec![Change::PolicyRemoved { name }])),
        })
        .await
    }

    /// Reads a setting kept in the ledger.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn meta(&self, key: &str) -> Result<Option<String>, LedgerError> {
        let key = key.to_owned();
        self.read(move |connection| Ok(rows::meta(connection, &key)?)).await
    }

    /// Writes a setting kept in the ledger.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn set_meta(&self, key: &str, value: &str) -> Result<(), LedgerError> {
        let change = Change::Meta { key: key.to_owned(), value: value.to_owned() };
        self.change(move |_, _| Ok(((), vec![change]))).await
    }

    /// Lists entries, newest first.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn entries(&self, filter: &EntryFilter, limit: usize) -> Result<Vec<Entry>, LedgerError> {
        let filter = filter.clone();
        self.read(move |connection| Ok(sqlite::entries::select(connection, &filter, Direction::NewestFirst, limit)?))
            .await
    }

    /// Reads one entry.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn entry(&self, id: EntryId) -> Result<Option<Entry>, LedgerError> {
        self.read(move |connection| Ok(sqlite::entries::find(connection, id)?)).await
    }

    /// Lists the entries opened after a place in the chain, oldest first, for following along.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn entries_after(&self, seq: u64, filter: &EntryFilter, limit: usize) -> Result<Vec<Entry>, LedgerError> {
        let filter = EntryFilter { after_seq: Some(seq), ..filter.clone() };
        self.read(move |connection| Ok(sqlite::entries::select(connection, &filter, Direction::OldestFirst, limit)?))
            .await
    }

    /// Reads all entries that pass the filter, oldest first, without holding them in memory or the database up.
    ///
    /// # Errors
    /// The reading could not begin.
    pub async fn export(&self, filter: &EntryFilter) -> Result<EntryStream, LedgerError> {
        self.catch_up().await;
        let connection = sqlite::open_reader(self.directory())?;
        let (sender, entries) = tokio::sync::mpsc::channel(EXPORT_PAGE);
        let mut filter = filter.clone();
        tokio::task::spawn_blocking(move || {
            loop {
                let page = match sqlite::entries::select(&connection, &filter, Direction::OldestFirst, EXPORT_PAGE) {
                    Ok(page) => page,
                    Err(error) => {
                        let _reader_left = sender.blocking_send(Err(error.into()));
                        return;
                    }
                };
                let Some(last) = page.last() else { return };
                filter.after_seq = Some(last.opened_seq);
                if page.into_iter().any(|entry| sender.blocking_send(Ok(entry)).is_err()) {
                    return;
                }
            }
        });
        Ok(EntryStream { entries })
    }

    /// Checks the whole chain. `progress` hears (records checked, records in all) now and then.
    ///
    /// # Errors
    /// The records could not be read; a broken chain is not an error but [`Verified::Broken`].
    pub async fn verify(&self, progress: impl FnMut(u64, u64) + Send + 'static) -> Result<Verified, LedgerError> {
        self.read(move |connection| audit::verify(connection, progress)).await
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
