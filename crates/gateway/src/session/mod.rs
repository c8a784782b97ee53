//! Sessions: one agent, one server, one upstream connection.
//!
//! A session belongs to the grant that opened it, and its id is no authentication. It ends when
//! nobody has used it for a while, when the agent ends it, or when its upstream is lost and
//! cannot be replaced without the agent noticing.

mod agent;
mod link;
mod names;
mod running;
mod table;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;
use mcp::client::{Event, Exchange, Incoming, Reply, UpstreamError};
use mcp::envelope::{Bounds, IdKey, Kind, Message, Revision, read_reply};
use policy::{Listed, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tracing::{debug, info, warn};

use crate::gate::Gate;
use crate::permit::Pass;
use crate::snapshot::Server;

pub(crate) use agent::Agent;
pub(crate) use link::{Accepted, Opened};
use link::{Handshake, Link};
pub(crate) use running::Place;
use running::{RunningTable, comes_back_as_it_is};
pub(crate) use table::{SessionPlace, Sessions, new_id};

/// How many requests of a server may wait for the agent's answer.
const ASKED: usize = 256;
/// How many subscriptions are made again on a new connection.
const SUBSCRIPTIONS: usize = 1024;

/// One agent's session with one server.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    /// The id of the grant that opened it.
    pub(crate) owner: String,
    pub(crate) server: Arc<Server>,
    pub(crate) client_name: Option<String>,
    pub(crate) agent: Agent,
    pub(crate) running: Arc<RunningTable>,
    handshake: Handshake,
    link: ArcSwap<Link>,
    /// Held by whoever replaces the link.
    relinking: tokio::sync::Mutex<()>,
    names: names::Names,
    /// Requests of the server that the agent has not answered.
    asked: Mutex<HashSet<IdKey>>,
    memory: Mutex<Memory>,
    initialized: AtomicBool,
    ended: AtomicBool,
    last_used: AtomicI64,
    own_requests: AtomicU64,
    /// Where to ask that everything the server has said so far be sorted first.
    barriers: Mutex<Option<mpsc::UnboundedSender<oneshot::Sender<()>>>>,
}

/// What a new connection has to be told again.
#[derive(Debug, Default)]
struct Memory {
    log_level: Option<Bytes>,
    subscriptions: BTreeMap<String, Bytes>,
}

/// Who opens a session.
#[derive(Debug)]
pub(crate) struct Opener {
    pub(crate) id: String,
    pub(crate) owner: String,
    pub(crate) agent: Agent,
    pub(crate) client_name: Option<String>,
}

impl Session {
    /// Begins a session on a connection that has answered `initialize`.
    pub(crate) fn begin(gate: &Arc<Gate>, server: Arc<Server>, opener: Opener, accepted: Accepted) -> Arc<Self> {
        let Accepted { link, incoming, handshake, early, .. } = accepted;
        let session = Arc::new(Self {
            id: opener.id,
            owner: opener.owner,
            server,
            client_name: opener.client_name,
            agent: opener.agent,
            running: Arc::default(),
            handshake,
            link: ArcSwap::from_pointee(link),
            relinking: tokio::sync::Mutex::default(),
            names: names::Names::default(),
            asked: Mutex::default(),
            memory: Mutex::default(),
            initialized: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            last_used: AtomicI64::new(gate.clock.now().as_micros()),
            own_requests: AtomicU64::new(0),
            barriers: Mutex::new(None),
        });
        session.listen(incoming, early);
        session
    }

    pub(crate) fn revision(&self) -> Revision {
        self.handshake.revision
    }

    /// Marks the session as in use.
    pub(crate) fn touch(&self, now: Timestamp) {
        self.last_used.store(now.as_micros(), Ordering::Relaxed);
    }

    /// When the session was last used. With a running request, or an agent that listens, it is in use.
    pub(crate) fn last_used(&self, now: Timestamp) -> Timestamp {
        if self.running.is_empty() && !self.agent.is_listening() {
            return Timestamp::from_micros(self.last_used.load(Ordering::Relaxed));
        }
        now
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Ends the session: its streams, and its upstream with it.
    pub(crate) async fn end(&self, why: &str) {
        if self.ended.swap(true, Ordering::AcqRel) {
            return;
        }
        info!(server = self.server.name(), session = %self.id, "ended a session: {why}");
        self.agent.close();
        self.link.load_full().upstream.close().await;
    }

    /// Sends a request of the agent, on a new connection if the old one is lost.
    ///
    /// # Errors
    ///
    /// See [`UpstreamError`].
    pub(crate) async fn request(
        self: &Arc<Self>,
        gate: &Arc<Gate>,
        _pass: Pass,
        body: Bytes,
        id: IdKey,
        method: &str,
    ) -> Result<Exchange, UpstreamError> {
        let link = self.living_link(gate).await?;
        match link.request(body.clone(), id.clone(), method).await {
            // The server has not acted on it, so it may be said again.
            Err(UpstreamError::SessionLost) => {
                let link = self.relink(gate, link.number).await?;
                link.request(body, id, method).await
            }
            sent => sent,
        }
    }

    /// Sends a notification or an answer of the agent.
    ///
    /// # Errors
    ///
    /// See [`UpstreamError`].
    pub(crate) async fn send(self: &Arc<Self>, gate: &Arc<Gate>, body: Bytes) -> Result<(), UpstreamError> {
        let link = self.living_link(gate).await?;
        match link.upstream.send(body.clone()).await {
            Err(UpstreamError::SessionLost) => self.relink(gate, link.number).await?.upstream.send(body).await,
            sent => sent,
        }
    }

    /// Asks the server something on the gate's own account.
    ///
    /// # Errors
    ///
    /// See [`UpstreamError`].
    pub(crate) async fn ask(
        self: &Arc<Self>,
        gate: &Arc<Gate>,
        method: &str,
        params: Option<&str>,
    ) -> Result<Reply, UpstreamError> {
        let id = self.fresh_id();
        let params = params.map_or_else(String::new, |params| format!(r#","params":{params}"#));
        let body = Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"{params}}}"#));
        let patience = gate.snapshot.load().config.timeouts.start;
        let asked = async {
            let link = self.living_link(gate).await?;
            match ask_on(&link, body.clone(), &id, method).await {
                Err(UpstreamError::SessionLost) => {
                    let link = self.relink(gate, link.number).await?;
                    ask_on(&link, body, &id, method).await
                }
                answered => answered,
            }
        };
        let answered = timeout(patience, asked).await;
        answered.map_err(|_| {
            UpstreamError::Unknown(format!("`{}` did not answer `{method}` within {patience:?}", self.server.name()))
        })?
    }

    /// An id that no agent can guess, as JSON text.
    pub(crate) fn fresh_id(&self) -> String {
        fresh_id(self.own_requests.fetch_add(1, Ordering::Relaxed))
    }

    /// The agent has said `notifications/initialized`: from now on the server may speak unasked.
    pub(crate) fn initialized(&self) {
        if !self.initialized.swap(true, Ordering::AcqRel) {
            self.link.load().upstream.listen();
        }
    }

    /// Keeps what a new connection has to be told again.
    pub(crate) fn remember(&self, method: &str, uri: Option<&str>, body: &Bytes) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        match (method, uri) {
            ("logging/setLevel", _) => memory.log_level = Some(body.clone()),
            ("resources/subscribe", Some(uri)) if memory.subscriptions.len() < SUBSCRIPTIONS => {
                memory.subscriptions.insert(uri.to_owned(), body.clone());
            }
            ("resources/unsubscribe", Some(uri)) => {
                memory.subscriptions.remove(uri);
            }
            _ => {}
        }
    }

    /// Takes note that the agent answers a request of the server; `false` if the server asked no such thing.
    pub(crate) fn answers(&self, id: &IdKey) -> bool {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    /// Takes note of a message from the server on its way to the agent; `false` if it must not pass.
    pub(crate) fn note(&self, message: &Message<'_>) -> bool {
        match &message.kind {
            Kind::Request(request) => {
                let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
                if asked.len() >= ASKED {
                    warn!(
                        server = self.server.name(),
                        "dropped a request of the server: {ASKED} of its requests wait for the agent"
                    );
                    return false;
                }
                asked.insert(request.id.key())
            }
            Kind::Notification(notification) => {
                match notification.method.as_ref() {
                    "notifications/tools/list_changed" => self.names.forget(Listed::Tools),
                    "notifications/prompts/list_changed" => self.names.forget(Listed::Prompts),
                    "notifications/cancelled" => {
                        if let Some(id) = notification.params.as_ref().and_then(|params| params.request_id) {
                            self.answers(&id.key());
                        }
                    }
                    _ => {}
                }
                true
            }
            Kind::Response(_) => false,
        }
    }

    fn listen(self: &Arc<Self>, mut incoming: mpsc::Receiver<Incoming>, early: Vec<Bytes>) {
        let session = Arc::downgrade(self);
        let (barrier, mut barriers) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
        *self.barriers.lock().unwrap_or_else(PoisonError::into_inner) = Some(barrier);
        tokio::spawn(async move {
            for message in early {
                let Some(session) = session.upgrade() else { return };
                session.sort(message).await;
            }
            loop {
                let said = tokio::select! {
                    biased;
                    said = incoming.recv() => said,
                    Some(barrier) = barriers.recv() => {
                        // Whoever asked may have gone.
                        let _ = barrier.send(());
                        continue;
                    }
                };
                let (Some(said), Some(session)) = (said, session.upgrade()) else { return };
                match said {
                    Incoming::Message(message) => session.sort(message).await,
                    Incoming::Closed(reason) => return session.lost(&reason),
                }
            }
        });
    }

    fn lost(&self, reason: &str) {
        if !self.has_ended() {
            warn!(server = self.server.name(), session = %self.id, "lost an upstream: {reason}");
        }
    }

    /// Resolves once everything that the server has said until now has been brought to its place.
    pub(crate) fn sorted_until_now(&self) -> oneshot::Receiver<()> {
        let (done, wait) = oneshot::channel();
        if let Some(barriers) = self.barriers.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            // Where nothing is sorted any more, the dropped sender resolves the wait as well.
            let _ = barriers.send(done);
        }
        wait
    }

    /// Brings a message that the server sent unasked to where the agent will see it.
    async fn sort(&self, bytes: Bytes) {
        let message = match read_reply(&bytes, &Bounds::REPLY) {
            Ok(message) => message,
            Err(rejected) => {
                warn!(server = self.server.name(), "dropped a message of the server: {rejected}");
                return;
            }
        };
        if !self.note(&message) {
            debug!(server = self.server.name(), "dropped a message that nobody waits for");
            return;
        }
        if let Some(request) = self.request_it_belongs_to(&message)
            && request.send(bytes.clone()).await.is_ok()
        {
            return;
        }
        self.agent.send(bytes).await;
    }

    /// The running request whose answer a message has to travel with, if any.
    fn request_it_belongs_to(&self, message: &Message<'_>) -> Option<mpsc::Sender<Bytes>> {
        if !self.agent.sorts_messages() {
            return None;
        }
        let token = message.params().and_then(|params| params.progress_token);
        if let (Some("notifications/progress"), Some(token)) = (message.method(), token) {
            return self.running.by_progress_token(token);
        }
        if self.agent.is_listening() { None } else { self.running.any() }
    }

    async fn living_link(self: &Arc<Self>, gate: &Arc<Gate>) -> Result<Arc<Link>, UpstreamError> {
        let link = self.link.load_full();
        if link.upstream.is_closed() { self.relink(gate, link.number).await } else { Ok(link) }
    }

    /// Replaces the connection `lost`, unless somebody has already done so.
    async fn relink(self: &Arc<Self>, gate: &Arc<Gate>, lost: u64) -> Result<Arc<Link>, UpstreamError> {
        let _one_at_a_time = self.relinking.lock().await;
        let current = self.link.load_full();
        if current.number != lost {
            return Ok(current);
        }
        if self.has_ended() {
            return Err(UpstreamError::NotSent("the session has ended; start a new one".to_owned()));
        }
        let initialize = self.handshake.initialize.clone();
        let initialize = read_reply(&initialize, &Bounds::REQUEST)
            .map_err(|rejected| UpstreamError::NotSent(format!("the session cannot be opened again: {rejected}")))?;
        let opened = link::open(gate, &self.server, &initialize, lost + 1, Some(&self.fresh_id())).await;
        let accepted = match opened.map_err(not_sent)? {
            Opened::Accepted(accepted) => *accepted,
            Opened::Declined(_) => return Err(self.give_up("the server declines a new session").await),
        };
        if !self.handshake.is_same_for_the_agent(&accepted.handshake) {
            accepted.link.upstream.close().await;
            return Err(self.give_up("the server came back as another one").await);
        }
        self.take_over(accepted).await?;
        info!(server = self.server.name(), session = %self.id, "opened a lost upstream session again");
        Ok(self.link.load_full())
    }

    /// Puts a new connection in place and tells it what the old one knew.
    async fn take_over(self: &Arc<Self>, accepted: Accepted) -> Result<(), UpstreamError> {
        let Accepted { link, incoming, early, .. } = accepted;
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.names.forget_all();
        let initialized = Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        link.upstream.send(initialized).await.map_err(not_sent)?;
        link.upstream.listen();
        for body in self.to_say_again() {
            let id = self.fresh_id();
            let Ok(message) = read_reply(&body, &Bounds::REQUEST) else { continue };
            let method = message.method().unwrap_or_default().to_owned();
            ask_on(&link, message.with_id(&id).into(), &id, &method).await.map_err(not_sent)?;
        }
        self.link.store(Arc::new(link));
        self.listen(incoming, early);
        Ok(())
    }

    fn to_say_again(&self) -> Vec<Bytes> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.log_level.iter().chain(memory.subscriptions.values()).cloned().collect()
    }

    async fn give_up(&self, why: &str) -> UpstreamError {
        self.end(why).await;
        UpstreamError::NotSent(format!("the session with `{}` is lost: {why}; start a new one", self.server.name()))
    }
}

async fn ask_on(link: &Link, body: Bytes, raw_id: &str, method: &str) -> Result<Reply, UpstreamError> {
    let id = IdKey::from_raw(raw_id).ok_or_else(|| UpstreamError::NotSent("not an id".to_owned()))?;
    let mut exchange = link.request(body, id, method).await?;
    loop {
        if let Event::Reply(reply) = exchange.next().await? {
            return Ok(reply);
        }
    }
}

/// A failure before the agent's own message was sent: whatever happened, that message did not leave.
fn not_sent(error: UpstreamError) -> UpstreamError {
    UpstreamError::NotSent(error.to_string())
}

/// Opens a session's first connection with the agent's `initialize`.
///
/// # Errors
///
/// See [`link::open`].
pub(crate) async fn open(gate: &Gate, server: &Arc<Server>, initialize: &Message<'_>) -> Result<Opened, UpstreamError> {
    let is_exact = initialize.id().is_some_and(|id| comes_back_as_it_is(id, &id.key()));
    let other_id = (!is_exact).then(|| fresh_id(0));
    link::open(gate, server, initialize, 0, other_id.as_deref()).await
}

/// An id that no agent can guess, as JSON text.
fn fresh_id(number: u64) -> String {
    format!(r#""toolgate-{}-{number}""#, new_id())
}
