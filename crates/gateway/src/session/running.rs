//! The requests of a session that are under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use mcp::envelope::{Id, IdKey};
use tokio::sync::{Notify, mpsc};

/// How many requests of one session may be under way.
pub(crate) const RUNNING_REQUESTS: usize = 1024;
/// How many messages for one request wait for the agent to take them.
const WAITING_MESSAGES: usize = 64;
/// The largest integer that every JSON reader keeps exactly (RFC 8259, section 6).
const EXACT_INTEGER: i64 = (1 << 53) - 1;

/// The table of one session's running requests.
#[derive(Debug, Default)]
pub(crate) struct RunningTable {
    requests: Mutex<HashMap<IdKey, Running>>,
}

#[derive(Debug)]
struct Running {
    /// The id towards the upstream, where it is not the agent's.
    replaced: Option<String>,
    progress_token: Option<String>,
    messages: Option<mpsc::Sender<Bytes>>,
    cancelled: Arc<Notify>,
}

/// A request's place in the table; dropping it takes the request out.
#[derive(Debug)]
pub(crate) struct Place {
    table: Arc<RunningTable>,
    key: IdKey,
    /// The id to use towards the upstream, where it is not the agent's.
    pub(crate) replaced: Option<String>,
    /// Messages that the server sent for this request.
    pub(crate) messages: Option<mpsc::Receiver<Bytes>>,
    /// Told when the agent cancels the request.
    pub(crate) cancelled: Arc<Notify>,
}

/// Why a request cannot be taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPlace {
    /// The agent uses an id twice at the same time.
    #[error("a request with the same `id` is under way in this session; use every id once")]
    SameId,
    /// The agent has too much under way.
    #[error("{RUNNING_REQUESTS} requests of this session are under way; wait for an answer before sending more")]
    TooMany,
}

impl RunningTable {
    /// Enters a request. `relates` says whether messages of the server may have to be sorted to it.
    ///
    /// An id that some reader would not give back exactly is replaced on the way to the upstream.
    ///
    /// # Errors
    ///
    /// See [`NoPlace`].
    pub(crate) fn enter(
        self: &Arc<Self>,
        id: Id<'_>,
        progress_token: Option<&str>,
        relates: bool,
        fresh_id: impl FnOnce() -> String,
    ) -> Result<Place, NoPlace> {
        let key = id.key();
        let mut requests = self.lock();
        if requests.len() >= RUNNING_REQUESTS {
            return Err(NoPlace::TooMany);
        }
        if requests.contains_key(&key) {
            return Err(NoPlace::SameId);
        }
        let replaced = (!comes_back_as_it_is(id, &key)).then(fresh_id);
        let (sender, receiver) = relates.then(|| mpsc::channel(WAITING_MESSAGES)).unzip();
        let cancelled = Arc::new(Notify::new());
        let running = Running {
            replaced: replaced.clone(),
            progress_token: progress_token.map(ToOwned::to_owned),
            messages: sender,
            cancelled: Arc::clone(&cancelled),
        };
        requests.insert(key.clone(), running);
        Ok(Place { table: Arc::clone(self), key, replaced, messages: receiver, cancelled })
    }

    /// Tells a request that its agent has cancelled it; gives the id that the upstream knows it by.
    ///
    /// `None` if no such request is under way; `Some(None)` if the upstream knows the agent's own id.
    pub(crate) fn cancel(&self, key: &IdKey) -> Option<Option<String>> {
        let requests = self.lock();
        let running = requests.get(key)?;
        running.cancelled.notify_one();
        Some(running.replaced.clone())
    }

    /// Where a progress notification with this token belongs.
    pub(crate) fn by_progress_token(&self, token: &str) -> Option<mpsc::Sender<Bytes>> {
        self.lock().values().find(|running| running.progress_token.as_deref() == Some(token))?.messages.clone()
    }

    /// Some request that a message of the server can travel with, where nothing says which.
    pub(crate) fn any(&self) -> Option<mpsc::Sender<Bytes>> {
        self.lock().values().find_map(|running| running.messages.clone())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IdKey, Running>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.table.lock().remove(&self.key);
    }
}

/// Whether any upstream will answer with exactly this id.
pub(crate) fn comes_back_as_it_is(id: Id<'_>, key: &IdKey) -> bool {
    if let Some(integer) = key.as_integer() {
        return (-EXACT_INTEGER..=EXACT_INTEGER).contains(&integer) && id.raw() != "-0";
    }
    key.as_text().is_some_and(|text| text.len() + 2 == id.raw().len() && text.is_ascii())
}
