//! The exclusive ledger: an append-only log written by the caller, the database filled behind it.

mod applier;
mod disk;
mod meters;
mod reserve;
mod state;
#[cfg(test)]
mod tests;
mod thread;
mod writer;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::watch;

use self::applier::Applier;
use self::disk::{Disk, LogDirectory};
use self::state::State;
use self::thread::Pace;
use self::writer::Writer;
use crate::chain::Hash;
use crate::change::Change;
use crate::directory::{self, Lease, Lock, Mode, Opening};
use crate::facts::Facts;
use crate::frame::FrameWriter;
use crate::grants::Grant;
use crate::sqlite::rows;
use crate::{LedgerError, OpenError, Options, Synchronous, orphans, sqlite};

pub(crate) use self::meters::Key;

/// The exclusive ledger.
#[derive(Debug)]
pub(crate) struct LogLedger {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    held: Mutex<Option<(Lease, Lock)>>,
}

/// What callers and the thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    pace: Pace,
    applied: watch::Sender<Applied>,
    applied_position: AtomicU64,
    /// Where the log ended a moment ago.
    end: AtomicU64,
    /// The log is on disk up to here; held while syncing, so that those who wait are served together.
    synced: Mutex<u64>,
    tokens: RwLock<HashMap<Hash, Arc<Grant>>>,
    /// Counts changes of approvals.
    approvals: watch::Sender<u64>,
    instance: u64,
    options: Options,
    directory: PathBuf,
}

/// How the thread is doing.
#[derive(Clone, Debug, Default)]
struct Applied {
    position: u64,
    failures: u64,
    failure: Option<String>,
    /// Nobody applies anything any more.
    stopped: bool,
}

impl LogLedger {
    pub(crate) fn open(directory: &Path, options: Options, opening: &Opening) -> Result<Self, OpenError> {
        let disk = LogDirectory(directory::logs(directory));
        Self::open_on(Box::new(disk), directory, options, opening)
    }

    fn open_on(disk: Box<dyn Disk>, directory: &Path, options: Options, opening: &Opening) -> Result<Self, OpenError> {
        let lock = directory::lock(directory, Mode::Exclusive)?;
        let mut applier = recovered(directory, &options)?;
        applier.remove_log().map_err(|error| as_open_error(directory, error))?;
        let connection = applier.connection();
        orphans::settle_all(connection, directory, None, opening).map_err(|error| as_open_error(directory, error))?;
        let instance = rows::new_instance(connection, std::process::id())?;
        let lease = directory::lease(directory, instance)?;
        let shared = Arc::new(Shared::begin(connection, disk, directory, options, instance)?);
        // What was settled just now moved the head that the applier goes on from.
        let applier = Applier::new(sqlite::open(directory, &shared.options)?, directory::logs(directory))
            .map_err(|error| as_open_error(directory, error))?;
        let for_thread = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("ledger".to_owned()).spawn(move || thread::run(&for_thread, applier));
        let thread = thread.map_err(|source| OpenError::Io { path: directory.to_owned(), source })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)), held: Mutex::new(Some((lease, lock))) })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.shared.directory
    }

    pub(crate) fn approvals_changed(&self) -> watch::Receiver<u64> {
        self.shared.approvals.subscribe()
    }

    pub(crate) fn grant_by_token(&self, token_sha256: &Hash) -> Option<Arc<Grant>> {
        let tokens = self.shared.tokens.read().unwrap_or_else(PoisonError::into_inner);
        tokens.get(token_sha256).map(Arc::clone)
    }

    /// Decides on something and writes what changes; nothing changes if it cannot be written.
    pub(crate) async fn change<T>(
        &self,
        decide: impl FnOnce(&mut dyn Facts, &Options) -> Result<(T, Vec<Change>), LedgerError>,
    ) -> Result<T, LedgerError> {
        let (result, position) = self.shared.change(decide)?;
        self.shared.durable(position).await?;
        Ok(result)
    }

    /// Answers a question about what is in memory.
    pub(crate) fn ask<T>(
        &self,
        question: impl FnOnce(&mut dyn Facts) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        question(&mut self.shared.lock()?.memory)
    }

    /// Waits until everything acknowledged so far is in the database.
    pub(crate) async fn flush(&self) -> Result<(), LedgerError> {
        let mut applied = self.shared.applied.subscribe();
        let failures = applied.borrow_and_update().failures;
        let target = {
            let mut state = self.shared.lock()?;
            state.writer.write_out().map_err(LedgerError::Write)?;
            state.writer.position()
        };
        self.shared.pace.flush();
        let done = applied
            .wait_for(|applied| applied.position >= target || applied.failures > failures || applied.stopped)
            .await;
        let done = done.map_err(|_| LedgerError::Closed)?;
        match &done.failure {
            Some(failure) if done.position < target => Err(LedgerError::Write(std::io::Error::other(failure.clone()))),
            None if done.position < target => Err(LedgerError::Closed),
            _ => Ok(()),
        }
    }

    /// Refuses everything from now on, and waits until the database holds all.
    pub(crate) fn close(&self) -> Result<(), LedgerError> {
        if let Ok(mut state) = self.shared.state.lock() {
            state.closed = true;
        }
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return Ok(()) };
        self.shared.pace.stop();
        let ended = thread.join();
        self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        let applied = self.shared.applied.borrow().clone();
        match applied.failure {
            _ if ended.is_err() => Err(LedgerError::Damaged("the ledger's thread panicked".to_owned())),
            Some(failure) => Err(LedgerError::Write(std::io::Error::other(failure))),
            None => Ok(()),
        }
    }
}

impl Drop for LogLedger {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the ledger could not be closed: its log is applied when it is opened next");
        }
    }
}

/// Brings a log that was left behind into the database.
pub(crate) fn recovered(directory: &Path, options: &Options) -> Result<Applier, OpenError> {
    let mut connection = sqlite::open(directory, options)?;
    sqlite::migrate(&mut connection)?;
    let recovered = Applier::new(connection, directory::logs(directory)).and_then(|mut applier| {
        let torn = applier.recover()?;
        if torn > 0 {
            tracing::warn!(bytes = torn, "dropped an unfinished write at the end of the ledger's log");
        }
        Ok(applier)
    });
    recovered.map_err(|error| as_open_error(directory, error))
}

/// Tells whether a log was left behind.
pub(crate) fn is_left_behind(directory: &Path) -> Result<bool, OpenError> {
    let path = directory::logs(directory);
    disk::files(&path).map(|files| !files.is_empty()).map_err(|source| OpenError::Io { path, source })
}

/// Brings a log that was left behind into the database and removes it.
pub(crate) fn fold(directory: &Path, options: &Options) -> Result<(), OpenError> {
    recovered(directory, options)?.remove_log().map_err(|error| as_open_error(directory, error))
}

pub(crate) fn as_open_error(directory: &Path, error: LedgerError) -> OpenError {
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else it is, it concerns the directory's contents")]
    match error {
        LedgerError::Database(error) => OpenError::Database(error),
        LedgerError::Write(source) => OpenError::Io { path: directory.to_owned(), source },
        error => OpenError::Damaged { path: directory.to_owned(), what: error.to_string() },
    }
}

impl Shared {
    fn begin(
        connection: &Connection,
        disk: Box<dyn Disk>,
        directory: &Path,
        options: Options,
        instance: u64,
    ) -> Result<Self, OpenError> {
        let position = sqlite::progress::load(connection)?.log_position;
        let durable = options.synchronous == Synchronous::Full;
        let writer = Writer::begin(disk, position, options.log_file_bytes, durable);
        let writer = writer.map_err(|source| OpenError::Io { path: directory::logs(directory), source })?;
        let state = State::load(connection, writer).map_err(|error| as_open_error(directory, error))?;
        Ok(Self {
            tokens: RwLock::new(state.memory.by_token()),
            state: Mutex::new(state),
            pace: Pace::default(),
            applied: watch::Sender::new(Applied { position, ..Applied::default() }),
            applied_position: AtomicU64::new(position),
            end: AtomicU64::new(position),
            synced: Mutex::new(position),
            approvals: watch::Sender::new(0),
            instance,
            options,
            directory: directory.to_owned(),
        })
    }

    /// After a panic in the middle of a step nobody knows what was done: everything is refused from then on.
    fn lock(&self) -> Result<MutexGuard<'_, State>, LedgerError> {
        self.state
            .lock()
            .map_err(|_| LedgerError::Damaged("a step was interrupted by a panic: restart the gateway".to_owned()))
    }

    fn change<T>(
        &self,
        decide: impl FnOnce(&mut dyn Facts, &Options) -> Result<(T, Vec<Change>), LedgerError>,
    ) -> Result<(T, u64), LedgerError> {
        let mut guard = self.lock()?;
        let state = &mut *guard;
        state.ready()?;
        state.memory.forget_lapsed(state.clock);
        let (result, changes) = decide(&mut state.memory, &self.options)?;
        if !changes.is_empty() {
            let buffered = state.writer.buffered();
            state.writer.push(|out, position| FrameWriter::changed(out).end(&changes, position))?;
            if let Err(error) = state.writer.write_out() {
                state.writer.truncate(buffered);
                return Err(LedgerError::Write(error));
            }
            self.learn(state, &changes)?;
        }
        Ok((result, self.added(guard)))
    }

    fn learn(&self, state: &mut State, changes: &[Change]) -> Result<(), LedgerError> {
        for change in changes {
            state.memory.learn(change)?;
            match change {
                Change::Grant(_) => {
                    *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = state.memory.by_token()
                }
                Change::Approval(_) => self.approvals.send_modify(|count| *count += 1),
                Change::Policy(_) | Change::PolicyRemoved { .. } | Change::Meta { .. } => {}
            }
        }
        Ok(())
    }

    /// Waits until the log is on disk up to `position`, if that was asked for.
    async fn durable(self: &Arc<Self>, position: u64) -> Result<(), LedgerError> {
        if self.options.synchronous == Synchronous::Normal {
            return Ok(());
        }
        let shared = Arc::clone(self);
        tokio::task::spawn_blocking(move || shared.sync_to(position)).await.map_err(|_| LedgerError::Closed)?
    }

    fn sync_to(&self, position: u64) -> Result<(), LedgerError> {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if *synced >= position {
            return Ok(());
        }
        let (file, written) = {
            let state = self.lock()?;
            state.ready()?;
            (state.writer.file(), state.writer.written_position())
        };
        if let Err(error) = file.sync() {
            // What a failed sync leaves behind is not known: nothing goes on before the database has it all.
            self.lock()?.halted = Some(format!("the log could not be synced: {error}"));
            self.pace.flush();
            return Err(LedgerError::Write(error));
        }
        *synced = written;
        Ok(())
    }

    /// Waits while the database is too far behind.
    async fn room(&self) -> Result<(), LedgerError> {
        let backlog = |applied: u64| {
            self.written_position().map(|written| written.saturating_sub(applied) > self.options.log_backlog_bytes)
        };
        let mut applied = self.applied.subscribe();
        while backlog(applied.borrow_and_update().position)? {
            let changed = tokio::time::timeout(self.options.patience, applied.changed()).await;
            match changed {
                Ok(Ok(())) if self.applied.borrow().failure.is_none() => {}
                Ok(Err(_)) => return Err(LedgerError::Closed),
                Ok(Ok(())) | Err(_) => {
                    return Err(LedgerError::Behind("its database cannot keep up, or cannot be written"));
                }
            }
        }
        Ok(())
    }

    /// Nearly free, so that every call can ask; may be wrong by what is being written just now.
    fn is_behind(&self) -> bool {
        let backlog = self.end.load(Ordering::Relaxed).saturating_sub(self.applied_position.load(Ordering::Relaxed));
        backlog > self.options.log_backlog_bytes
    }

    /// Lets go of the state after something was added, and returns where the log ends now.
    fn added(&self, state: MutexGuard<'_, State>) -> u64 {
        let position = state.writer.position();
        self.end.store(position, Ordering::Relaxed);
        drop(state);
        self.pace.touch();
        position
    }

    fn write_out(&self) -> Result<(), LedgerError> {
        self.lock()?.writer.write_out().map_err(LedgerError::Write)
    }

    fn written_position(&self) -> Result<u64, LedgerError> {
        Ok(self.lock()?.writer.written_position())
    }

    /// Tells whether everything, written or not, is in the database.
    fn is_done(&self, applied: u64) -> bool {
        self.lock().is_ok_and(|state| state.writer.position() == applied && state.halted.is_none())
    }

    /// Tells how far the database is; a failure is over once everything could be written again.
    fn applied_to(&self, position: u64, is_well: bool) {
        self.applied_position.store(position, Ordering::Relaxed);
        self.applied.send_if_modified(|applied| {
            let recovered = is_well && applied.failure.take().is_some();
            let changed = applied.position != position || recovered;
            if recovered {
                tracing::info!("the ledger can be written again");
            }
            applied.position = position;
            changed
        });
    }

    fn stopped(&self) {
        self.applied.send_modify(|applied| applied.stopped = true);
    }

    fn report(&self, error: Option<&LedgerError>) {
        let Some(error) = error else { return };
        self.applied.send_modify(|applied| {
            applied.failures += 1;
            let failure = error.to_string();
            if applied.failure.as_ref() != Some(&failure) {
                tracing::error!(%error, "the ledger cannot be written: it is tried again");
            }
            applied.failure = Some(failure);
        });
    }

    /// After a failed sync: once the database holds everything on disk, the log goes on in a new file.
    fn begin_anew_if_halted(&self, applier: &mut Applier) -> Result<(), LedgerError> {
        let halted = self.lock()?.halted.is_some();
        if !halted {
            return Ok(());
        }
        applier.apply_to(self.written_position()?)?;
        if sqlite::checkpoint(applier.connection())? {
            let mut state = self.lock()?;
            state.writer.begin_file().map_err(LedgerError::Write)?;
            state.halted = None;
        }
        Ok(())
    }
}
