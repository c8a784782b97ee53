//! All sessions, by id, with a cap and a time to live.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policy::Timestamp;

use super::Session;

/// Among how many locks the sessions are spread.
const SHARDS: usize = 16;

type Shard = Mutex<HashMap<String, Arc<Session>>>;

/// The sessions that are open.
#[derive(Debug)]
pub(crate) struct Sessions {
    shards: [Shard; SHARDS],
    hasher: RandomState,
    count: AtomicUsize,
}

/// A place for a session that is being opened; given back when it is dropped unused.
#[derive(Debug)]
pub(crate) struct SessionPlace<'a> {
    sessions: &'a Sessions,
    used: bool,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { shards: Default::default(), hasher: RandomState::new(), count: AtomicUsize::new(0) }
    }
}

impl Sessions {
    /// Takes a place among at most `bound` sessions; `None` if all are taken.
    pub(crate) fn take_place(&self, bound: usize) -> Option<SessionPlace<'_>> {
        let taken =
            self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| (count < bound).then_some(count + 1));
        taken.ok().map(|_| SessionPlace { sessions: self, used: false })
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<Session>> {
        self.shard(id)?.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    pub(crate) fn remove(&self, id: &str) -> Option<Arc<Session>> {
        let removed = self.shard(id)?.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        if removed.is_some() {
            self.count.fetch_sub(1, Ordering::AcqRel);
        }
        removed
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// The sessions that nobody has used for `idle`, and those that have ended.
    pub(crate) fn stale(&self, now: Timestamp, idle: Duration) -> Vec<Arc<Session>> {
        self.filter(|session| session.has_ended() || now.saturating_since(session.last_used(now)) >= idle)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        self.filter(|_| true)
    }

    /// Of the sessions that fit, the one that has been idle longest, if it is idle for at least `idle`.
    pub(crate) fn longest_idle(
        &self,
        now: Timestamp,
        idle: Duration,
        fits: impl Fn(&Session) -> bool,
    ) -> Option<Arc<Session>> {
        let stale = self.stale(now, idle).into_iter().filter(|session| fits(session));
        stale.min_by_key(|session| session.last_used(now))
    }

    fn filter(&self, keep: impl Fn(&Session) -> bool) -> Vec<Arc<Session>> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            found.extend(shard.values().filter(|session| keep(session)).cloned());
        }
        found
    }

    fn shard(&self, id: &str) -> Option<&Shard> {
        let place = usize::try_from(self.hasher.hash_one(id) % SHARDS as u64).ok()?;
        self.shards.get(place)
    }
}

impl SessionPlace<'_> {
    /// Puts a session in the place.
    pub(crate) fn fill(mut self, session: &Arc<Session>) {
        if let Some(shard) = self.sessions.shard(&session.id) {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.insert(session.id.clone(), Arc::clone(session));
            self.used = true;
        }
    }
}

impl Drop for SessionPlace<'_> {
    fn drop(&mut self) {
        if !self.used {
            self.sessions.count.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// A random id of 128 bits that nobody can guess.
pub(crate) fn new_id() -> String {
    let mut bits = [0_u8; 16];
    // Without randomness ids could be guessed; they are still bound to their grant.
    if getrandom::fill(&mut bits).is_err() {
        tracing::error!("the system gives no random numbers; session ids can be guessed");
    }
    URL_SAFE_NO_PAD.encode(bits)
}
