//! The shared ledger: every operation is one SQLite transaction, so any number of processes may have it open.
//!
//! A thread owns the connection, so that waiting for another process never blocks the caller's runtime.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use policy::Count;
use policy::limits::{Demand, Meter, Taken, take_all};
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use crate::approvals::{self, Approval};
use crate::bytes::Malformed;
use crate::call::{Attempt, OpenCall, Refusal, Reservation, gives_back};
use crate::chain::RecordKind;
use crate::change::Change;
use crate::directory::{self, Lease, Lock, Mode, Opening};
use crate::facts::Facts;
use crate::frame::{put_key, read_key};
use crate::grants::Held;
use crate::log::{self, Key};
use crate::owned::{OwnedAttempt, OwnedIntent};
use crate::record::{Length, Opened, Settled};
use crate::sqlite::progress::Progress;
use crate::sqlite::{counters, entries, progress, rows};
use crate::{Charge, Ending, EntryId, Intent, LedgerError, OpenError, Options, Outcome, Settlement, orphans, sqlite};

/// How often calls of dead processes are looked for.
const ORPHANS_EVERY: Duration = Duration::from_secs(60);
/// The pause before a busy database is tried again, at first and at most.
const BUSY_PAUSE: (Duration, Duration) = (Duration::from_micros(200), Duration::from_millis(4));

type Job = Box<dyn FnOnce(&mut Desk) + Send>;

/// The shared ledger.
#[derive(Debug)]
pub(crate) struct SharedLedger {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    directory: PathBuf,
}

/// A reservation on its way to its caller. Dropped on the way, it was not sent.
struct Unclaimed {
    reservation: Option<Reservation>,
    ledger: Weak<SharedLedger>,
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if let (Some(Reservation::Open(call)), Some(ledger)) = (self.reservation.take(), self.ledger.upgrade()) {
            ledger.settle_later(call, |call, _| Settlement::not_sent(call.at));
        }
    }
}

/// What the thread has.
struct Desk {
    connection: Connection,
    directory: PathBuf,
    options: Options,
    instance: u64,
    /// Settles that could not be written yet.
    late: Vec<(OpenCall, Settlement)>,
    _held: (Lease, Lock),
}

impl SharedLedger {
    pub(crate) fn open(directory: &Path, options: Options, opening: &Opening) -> Result<Self, OpenError> {
        if log::is_left_behind(directory)? {
            match directory::lock(directory, Mode::Exclusive) {
                Ok(_exclusive) => log::fold(directory, &options)?,
                // Those who share it already have seen to that.
                Err(OpenError::HeldByOthers(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let lock = directory::lock(directory, Mode::Shared)?;
        let mut connection = sqlite::open(directory, &options)?;
        sqlite::migrate(&mut connection)?;
        orphans::settle_all(&mut connection, directory, None, opening)
            .map_err(|error| log::as_open_error(directory, error))?;
        counters::remove_idle(&mut connection)?;
        let instance = rows::new_instance(&connection, std::process::id())?;
        let lease = directory::lease(directory, instance)?;
        connection.busy_timeout(Duration::ZERO)?;
        let desk = Desk {
            connection,
            directory: directory.to_owned(),
            options,
            instance,
            late: Vec::new(),
            _held: (lease, lock),
        };
        let (jobs, queue) = mpsc::channel();
        let thread = std::thread::Builder::new().name("ledger".to_owned()).spawn(move || desk.work(&queue));
        let thread = thread.map_err(|source| OpenError::Io { path: directory.to_owned(), source })?;
        Ok(Self { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)), directory: directory.to_owned() })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) async fn reserve(self: &Arc<Self>, attempt: &Attempt<'_>) -> Result<Reservation, LedgerError> {
        let (attempt, ledger) = (OwnedAttempt::of(attempt), Arc::downgrade(self));
        let reserved = self.run(move |desk| Ok(Unclaimed { reservation: Some(desk.reserve(&attempt)?), ledger }));
        reserved.await?.reservation.take().ok_or(LedgerError::Closed)
    }

    pub(crate) async fn refuse(
        &self,
        intent: &Intent<'_>,
        outcome: Outcome,
        reason: &str,
    ) -> Result<EntryId, LedgerError> {
        let (intent, reason) = (OwnedIntent::of(intent), reason.to_owned());
        self.run(move |desk| desk.refuse(&intent, outcome, &reason)).await
    }

    pub(crate) async fn settle(&self, call: OpenCall, settlement: Settlement) {
        let settled = self.run(move |desk| {
            desk.settle_or_keep(call, settlement);
            Ok(())
        });
        if let Err(error) = settled.await {
            tracing::error!(%error, "could not record what came of a call");
        }
    }

    /// Settles a call whose ticket was dropped, in its own time.
    pub(crate) fn abandon(&self, call: OpenCall) {
        self.settle_later(call, |call, desk| {
            let clock = progress::load(&desk.connection).map_or(call.at, |progress| progress.clock);
            Settlement::unknown(clock.max(call.at))
        });
    }

    fn settle_later(&self, call: OpenCall, settlement: impl FnOnce(&OpenCall, &Desk) -> Settlement + Send + 'static) {
        let job: Job = Box::new(move |desk| {
            let settlement = settlement(&call, desk);
            desk.settle_or_keep(call, settlement);
        });
        // With the thread gone, whoever opens the ledger next settles the call.
        let _queued = self.send(job);
    }

    /// Decides on something and writes what changes, in one transaction.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut dyn Facts, &Options) -> Result<(T, Vec<Change>), LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.run(move |desk| {
            let options = desk.options.clone();
            desk.transact(|transaction, _| {
                let (result, changes) = decide(&mut Rows(transaction), &options)?;
                changes.iter().try_for_each(|change| rows::apply(transaction, change))?;
                Ok(result)
            })
        })
        .await
    }

    /// Answers a question about what the database holds.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut dyn Facts) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.run(move |desk| question(&mut Rows(&desk.connection))).await
    }

    /// Waits until what was asked before has been done.
    pub(crate) async fn flush(&self) -> Result<(), LedgerError> {
        self.run(Desk::settle_late).await
    }

    pub(crate) fn close(&self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = thread.filter(|thread| thread.thread().id() != std::thread::current().id());
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the ledger's thread panicked");
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Desk) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (answer, answered) = oneshot::channel();
        self.send(Box::new(move |desk| {
            // Nobody listens any more if the caller went away; a reservation then takes itself back.
            let _heard = answer.send(job(desk));
        }))?;
        answered.await.map_err(|_| LedgerError::Closed)?
    }

    fn send(&self, job: Job) -> Result<(), LedgerError> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = jobs.as_ref().map(|jobs| jobs.send(job));
        if matches!(sent, Some(Ok(()))) { Ok(()) } else { Err(LedgerError::Closed) }
    }
}

impl Drop for SharedLedger {
    fn drop(&mut self) {
        self.close();
    }
}

impl Desk {
    fn work(mut self, queue: &mpsc::Receiver<Job>) {
        let mut looked = Instant::now();
        loop {
            match queue.recv_timeout(ORPHANS_EVERY) {
                Ok(job) => job(&mut self),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if !self.late.is_empty() || looked.elapsed() >= ORPHANS_EVERY {
                looked = Instant::now();
                self.housekeeping();
            }
        }
        if let Err(error) = self.settle_late() {
            tracing::warn!(%error, "what came of some calls could not be recorded");
        }
    }

    fn housekeeping(&mut self) {
        let done = self.settle_late().and_then(|()| match directory::try_opening(&self.directory) {
            Some(opening) => {
                orphans::settle_all(&mut self.connection, &self.directory, Some(self.instance), &opening).map(|_| ())
            }
            None => Ok(()),
        });
        if let Err(error) = done {
            tracing::warn!(%error, "the ledger's housekeeping has to wait");
        }
    }

    /// One transaction in which nobody else writes, with the chain's head read inside it.
    fn transact<T>(
        &self,
        step: impl FnOnce(&Transaction<'_>, &mut Progress) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let transaction = begin(&self.connection, self.options.patience)?;
        let before = progress::load(&transaction)?;
        let mut progress = before;
        let result = step(&transaction, &mut progress)?;
        if progress != before {
            progress::store(&transaction, &progress)?;
        }
        transaction.commit()?;
        Ok(result)
    }

    fn reserve(&self, attempt: &OwnedAttempt) -> Result<Reservation, LedgerError> {
        let instance = self.instance;
        attempt.borrowed(|attempt| {
            self.transact(|transaction, progress| {
                progress.clock = progress.clock.max(attempt.intent.at);
                let now = progress.clock;
                let keys = crate::record::argument_keys(attempt.intent.argument_keys);
                let refuse = |progress: &mut Progress, refusal: Refusal| {
                    write_opened(transaction, progress, &attempt.refused(&keys, instance, &refusal))?;
                    Ok(Reservation::Refused(refusal))
                };
                let spent = match attempt.judge(&mut Rows(transaction), now)? {
                    Ok(spent) => spent,
                    Err(refusal) => return refuse(progress, refusal),
                };
                let mut charged = Charged::load(transaction, attempt.charges)?;
                let taken = match take_all(&mut charged.meters, &charged.demands, now) {
                    Ok(taken) => taken,
                    Err(limited) => {
                        return refuse(
                            progress,
                            Refusal::Limited { index: limited.index, retry_after: limited.retry_after },
                        );
                    }
                };
                charged.store(transaction)?;
                if let Some(approval) = &spent {
                    rows::apply(transaction, &Change::Approval(approval.into()))?;
                }
                let opened_seq = write_opened(transaction, progress, &attempt.record(&keys, instance, Outcome::Allow))?;
                let taken = charged.into_taken(attempt.charges, taken);
                let approval = spent.map(|approval| approval.id);
                Ok(Reservation::Open(OpenCall {
                    id: attempt.intent.id,
                    opened_seq,
                    at: attempt.intent.at,
                    taken,
                    approval,
                }))
            })
        })
    }

    fn refuse(&self, intent: &OwnedIntent, outcome: Outcome, reason: &str) -> Result<EntryId, LedgerError> {
        let instance = self.instance;
        intent.borrowed(|intent| {
            self.transact(|transaction, progress| {
                progress.clock = progress.clock.max(intent.at);
                let keys = crate::record::argument_keys(intent.argument_keys);
                let record = Opened { reason: Some(reason), ..Opened::of(&intent, &keys, instance, outcome) };
                write_opened(transaction, progress, &record)?;
                Ok(intent.id)
            })
        })
    }

    fn settle_or_keep(&mut self, call: OpenCall, settlement: Settlement) {
        if let Err(error) = self.settle(&call, &settlement) {
            tracing::warn!(record = %call.id, %error, "what came of a call is recorded later");
            self.late.push((call, settlement));
        }
    }

    fn settle_late(&mut self) -> Result<(), LedgerError> {
        while let Some((call, settlement)) = self.late.pop() {
            if let Err(error) = self.settle(&call, &settlement) {
                self.late.push((call, settlement));
                return Err(error);
            }
        }
        Ok(())
    }

    fn settle(&self, call: &OpenCall, settlement: &Settlement) -> Result<(), LedgerError> {
        self.transact(|transaction, progress| {
            progress.clock = progress.clock.max(settlement.at);
            let record = Settled::of(call.opened_seq, settlement);
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            let place = progress.head.after(RecordKind::Settled, &bytes);
            if !entries::settle(transaction, &place, &record)? {
                return Ok(());
            }
            progress.head = place;
            for (key, _, taken) in call.taken.iter().filter(|(_, count, _)| gives_back(settlement.ending, *count)) {
                let key = read_key(key).map_err(unreadable)?;
                let mut meter = counters::load(transaction, &key)?;
                meter.give_back(taken);
                counters::store(transaction, &key, &meter)?;
            }
            if let (Some(approval), Ending::NotSent) = (&call.approval, settlement.ending)
                && let Some(returned) = approvals::give_back(&mut Rows(transaction), approval, call.id, progress.clock)?
            {
                rows::apply(transaction, &Change::Approval((&returned).into()))?;
            }
            Ok(())
        })
    }
}

/// Begins a transaction that may write, however many others want to.
fn begin(connection: &Connection, patience: Duration) -> Result<Transaction<'_>, LedgerError> {
    let begun = Instant::now();
    let mut pause = BUSY_PAUSE.0;
    loop {
        match Transaction::new_unchecked(connection, TransactionBehavior::Immediate) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                if begun.elapsed() >= patience {
                    return Err(LedgerError::Behind("other processes keep its database busy"));
                }
                std::thread::sleep(pause);
                pause = (pause * 2).min(BUSY_PAUSE.1);
            }
            begun => return Ok(begun?),
        }
    }
}

fn write_opened(connection: &Connection, progress: &mut Progress, record: &Opened<'_>) -> Result<u64, LedgerError> {
    let mut bytes = Vec::new();
    record.encode(&mut bytes, Length::Bounded);
    let place = progress.head.after(RecordKind::Opened, &bytes);
    entries::Inserter::new(connection)?.insert(&place, &Opened::decode(&bytes).map_err(unreadable)?, None)?;
    progress.head = place;
    Ok(place.seq)
}

/// The counters that a call is charged to, each once.
struct Charged<'a> {
    keys: Vec<Key>,
    meters: Vec<Meter>,
    demands: Vec<Demand<'a>>,
}

impl<'a> Charged<'a> {
    fn load(connection: &Connection, charges: &'a [Charge<'a>]) -> Result<Self, LedgerError> {
        let mut charged = Self { keys: Vec::new(), meters: Vec::new(), demands: Vec::new() };
        for charge in charges {
            let mut key = Vec::new();
            put_key(&mut key, &charge.key);
            let known = charged.keys.iter().position(|known| **known == *key);
            let meter = match known {
                Some(meter) => meter,
                None => {
                    charged.meters.push(counters::load(connection, &read_key(&key).map_err(unreadable)?)?);
                    charged.keys.push(key.into());
                    charged.keys.len() - 1
                }
            };
            charged.demands.push(Demand {
                meter,
                window: charge.window,
                kind: charge.kind,
                max: charge.max,
                cost: charge.cost,
            });
        }
        Ok(charged)
    }

    fn store(&self, connection: &Connection) -> Result<(), LedgerError> {
        for (key, meter) in self.keys.iter().zip(&self.meters) {
            counters::store(connection, &read_key(key).map_err(unreadable)?, meter)?;
        }
        Ok(())
    }

    fn into_taken(self, charges: &[Charge<'_>], taken: Vec<Taken>) -> Vec<(Key, Count, Taken)> {
        let demands = self.demands.iter().zip(charges).zip(taken);
        demands
            .filter_map(|((demand, charge), taken)| {
                Some((Key::clone(self.keys.get(demand.meter)?), charge.count, taken))
            })
            .collect()
    }
}

/// What the database holds, read inside the transaction that will change it.
struct Rows<'c>(&'c Connection);

impl Facts for Rows<'_> {
    fn grant(&mut self, id: &str) -> Result<Option<Held>, LedgerError> {
        rows::grant(self.0, id)?.map(Held::try_from).transpose()
    }

    fn grants(&mut self) -> Result<Vec<Held>, LedgerError> {
        rows::grants(self.0)?.into_iter().map(Held::try_from).collect()
    }

    fn approval(&mut self, id: &str) -> Result<Option<Approval>, LedgerError> {
        rows::approval(self.0, id)?.map(Approval::try_from).transpose()
    }

    fn approvals_of_call(&mut self, fingerprint: &[u8; 32]) -> Result<Vec<Approval>, LedgerError> {
        rows::approvals_of_call(self.0, fingerprint)?.into_iter().map(Approval::try_from).collect()
    }

    fn pending_approvals(&mut self, grant: &str) -> Result<Vec<Approval>, LedgerError> {
        rows::pending_approvals(self.0, grant)?.into_iter().map(Approval::try_from).collect()
    }

    fn policy_revision(&mut self, name: &str) -> Result<u64, LedgerError> {
        Ok(rows::policy(self.0, name)?.map_or(0, |policy| policy.revision))
    }
}

fn unreadable(malformed: Malformed) -> LedgerError {
    LedgerError::Damaged(format!("a record cannot be read: {malformed}"))
}
