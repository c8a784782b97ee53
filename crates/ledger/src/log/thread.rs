//! The thread behind the log: writes buffered settles within 5 ms and fills the database every 100 ms.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::Shared;
use super::applier::Applier;
use crate::LedgerError;

/// The longest a settled record stays in memory only.
const TICK: Duration = Duration::from_millis(5);
/// The database is filled every so many ticks.
const APPLY_TICKS: u64 = 20;
/// Old log files are looked for every so many ticks.
const SHORTEN_TICKS: u64 = 200;
/// The pause after a failure.
const RETRY: Duration = Duration::from_millis(50);

/// Wakes the thread, and only when it sleeps.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    asleep: AtomicBool,
    signals: Mutex<Signals>,
    wake: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
struct Signals {
    flush: bool,
    stop: bool,
}

impl Pace {
    /// Says that there is something to do within a tick; nearly free while the thread is awake.
    pub(crate) fn touch(&self) {
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            self.signal(|_| ());
        }
    }

    /// Asks for the database to be filled now.
    pub(crate) fn flush(&self) {
        self.signal(|signals| signals.flush = true);
    }

    /// Asks the thread to finish.
    pub(crate) fn stop(&self) {
        self.signal(|signals| signals.stop = true);
    }

    fn signal(&self, set: impl FnOnce(&mut Signals)) {
        let mut signals = self.signals.lock().unwrap_or_else(PoisonError::into_inner);
        set(&mut signals);
        self.asleep.store(false, Ordering::SeqCst);
        self.wake.notify_all();
    }

    fn wait(&self, pause: Duration) -> Signals {
        let mut signals = self.signals.lock().unwrap_or_else(PoisonError::into_inner);
        while self.asleep.load(Ordering::SeqCst) && !signals.flush && !signals.stop {
            signals = self.wake.wait(signals).unwrap_or_else(PoisonError::into_inner);
        }
        if !signals.flush && !signals.stop {
            signals = self.wake.wait_timeout(signals, pause).unwrap_or_else(PoisonError::into_inner).0;
        }
        let seen = *signals;
        signals.flush = false;
        seen
    }
}

/// Runs until it is stopped; then everything is in the database, unless that cannot be written.
pub(crate) fn run(shared: &Shared, mut applier: Applier) {
    let _stopping = Stopping(shared);
    let mut pause = TICK;
    for tick in 1_u64.. {
        let signals = shared.pace.wait(pause);
        let due = signals.flush || signals.stop || pause != TICK || tick.is_multiple_of(APPLY_TICKS);
        pause = match step(shared, &mut applier, due, tick.is_multiple_of(SHORTEN_TICKS)) {
            Ok(()) => TICK,
            Err(error) => {
                shared.report(Some(&error));
                RETRY
            }
        };
        if signals.stop {
            finish(shared, &mut applier);
            return;
        }
        sleep_if_done(shared, &applier);
    }
}

/// Tells those who wait that nobody works for them any more, also if that is because of a panic.
struct Stopping<'s>(&'s Shared);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.stopped();
    }
}

fn step(shared: &Shared, applier: &mut Applier, due: bool, shorten: bool) -> Result<(), LedgerError> {
    let written = shared.write_out();
    if due {
        applier.apply_to(shared.written_position()?)?;
        shared.applied_to(applier.position(), written.is_ok());
    }
    if shorten {
        applier.shorten_log()?;
    }
    shared.begin_anew_if_halted(applier)?;
    written
}

fn finish(shared: &Shared, applier: &mut Applier) {
    if shared.is_done(applier.position())
        && let Err(error) = applier.remove_log()
    {
        tracing::warn!(%error, "the log stays behind: it is applied when the ledger is opened next");
    }
}

fn sleep_if_done(shared: &Shared, applier: &Applier) {
    if !shared.is_done(applier.position()) {
        return;
    }
    shared.pace.asleep.store(true, Ordering::SeqCst);
    // Whoever added something before this second look did not see us asleep.
    if !shared.is_done(applier.position()) {
        shared.pace.asleep.store(false, Ordering::SeqCst);
    }
}
