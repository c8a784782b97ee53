//! Everything that a request needs and that outlives it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use ledger::Ledger;
use policy::Timestamp;
use tokio::sync::{Notify, Semaphore};

use crate::Clock;
use crate::metrics::Metrics;
use crate::session::Sessions;
use crate::snapshot::Snapshot;

/// The gate's shared state.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) clock: Clock,
    pub(crate) ledger: Ledger,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) sessions: Sessions,
    pub(crate) metrics: Metrics,
    /// Places for child processes.
    pub(crate) children: Arc<Semaphore>,
    /// Whether children get this process's whole environment (`run`) or four variables of it (`serve`).
    pub(crate) inherit_environment: bool,
    /// Whether the gate is stopping: `/readyz` says so, and new sessions are refused.
    pub(crate) stopping: AtomicBool,
    /// Calls that go on although nobody waits for their answer any more.
    pub(crate) loose: Loose,
    /// Requests without a valid token, for the log.
    pub(crate) strangers: Sampled,
    /// The routes of the admin API.
    pub(crate) api: axum::Router<crate::service::Service>,
    /// The SHA-256 of the token that opens the admin API.
    pub(crate) admin_token_sha256: [u8; 32],
    /// The address that is listened on.
    pub(crate) address: std::net::SocketAddr,
    pub(crate) started_at: policy::Timestamp,
}

impl Gate {
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// Lets one of many equal events into the log now and then, with the number of those left out.
#[derive(Debug, Default)]
pub(crate) struct Sampled {
    next: AtomicI64,
    left_out: AtomicU64,
}

impl Sampled {
    /// How far two log lines are apart, in microseconds.
    const APART: i64 = 10_000_000;

    /// How many were left out since the last one, if this one may be logged.
    pub(crate) fn take(&self, now: Timestamp) -> Option<u64> {
        let next = self.next.load(Ordering::Relaxed);
        let is_due = now.as_micros() >= next;
        let then = now.as_micros().saturating_add(Self::APART);
        if is_due && self.next.compare_exchange(next, then, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// Counts tasks that must come to their end before the gate may stop.
#[derive(Debug, Default)]
pub(crate) struct Loose {
    running: AtomicUsize,
    ended: Notify,
}

impl Loose {
    /// Counts one task until the result is dropped.
    pub(crate) fn enter(gate: &Arc<Gate>) -> LooseGuard {
        gate.loose.running.fetch_add(1, Ordering::AcqRel);
        LooseGuard(Arc::clone(gate))
    }

    /// Waits for all of them, but no longer than `patience`.
    pub(crate) async fn wait(&self, patience: Duration) {
        let all_ended = async {
            loop {
                let ended = self.ended.notified();
                if self.running.load(Ordering::Acquire) == 0 {
                    return;
                }
                ended.await;
            }
        };
        // Whoever is not done by now is settled as unknown.
        let _ = tokio::time::timeout(patience, all_ended).await;
    }
}

/// One counted task.
#[derive(Debug)]
pub(crate) struct LooseGuard(Arc<Gate>);

impl Drop for LooseGuard {
    fn drop(&mut self) {
        if self.0.loose.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.loose.ended.notify_waiters();
        }
    }
}
