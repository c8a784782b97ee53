use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderValue;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tracing::debug;

use super::answer::Answer;
use super::exchange::HttpExchange;
use super::heads::{self, Content, Heads, LAST_EVENT_ID, PROTOCOL_VERSION, SESSION_ID};
use super::listen::listen;
use super::pool::Pool;
use super::target::Ask;
use crate::client::reply::{self, Inbound};
use crate::client::{Exchange, INCOMING_MESSAGES, Incoming, Outgoing, Reply, UpstreamError};
use crate::envelope::IdKey;

/// How much of an error page is kept.
const EXCERPT_BYTES: usize = 64 << 10;

/// How long the DELETE that ends a session may take.
const DELETE_TIMEOUT: Duration = Duration::from_secs(2);

/// One session with a server over Streamable HTTP. Dropping it ends nothing at the server; see `close`.
#[derive(Debug)]
pub struct Connection {
    session: Arc<Session>,
    listener: Mutex<Option<AbortHandle>>,
}

/// What a session's requests and its listener share.
#[derive(Debug)]
pub(super) struct Session {
    pool: Pool,
    heads: RwLock<Arc<Heads>>,
    end: OnceLock<End>,
    pub(super) incoming: mpsc::Sender<Incoming>,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Lost,
    Closed,
}

impl Connection {
    /// A session that begins with the first request, which must be `initialize`; nothing is sent yet.
    #[must_use]
    pub fn open(pool: Pool) -> (Self, mpsc::Receiver<Incoming>) {
        let (incoming, unasked) = mpsc::channel(INCOMING_MESSAGES);
        let heads = RwLock::new(Arc::new(Heads::new(pool.target())));
        let session = Arc::new(Session { pool, heads, end: OnceLock::new(), incoming });
        (Self { session, listener: Mutex::new(None) }, unasked)
    }

    pub(in crate::client) async fn request(&self, call: Outgoing<'_>) -> Result<Exchange, UpstreamError> {
        let answer = self.session.post(call.body).await?;
        if !answer.status().is_success() {
            return self.session.refused(answer, Some(call.id)).await.map(Exchange::http);
        }
        if call.method == "initialize" {
            let id = heads::session_id(answer.headers());
            if let Some(id) = id.map_err(|why| UpstreamError::Nonsense(why.to_owned()))? {
                self.session.change_heads(|heads| heads.set(&SESSION_ID, &id));
            }
        }
        let session = &self.session;
        match heads::content(answer.headers()) {
            Content::Json => Ok(Exchange::http(HttpExchange::json(session, call.id, answer))),
            Content::Events => Ok(Exchange::http(HttpExchange::events(session, call.id, answer))),
            Content::Other => Err(no_reply(answer.status())),
        }
    }

    pub(in crate::client) async fn send(&self, body: Bytes) -> Result<(), UpstreamError> {
        let answer = self.session.post(body).await?;
        if answer.status().is_success() {
            answer.finish();
            return Ok(());
        }
        self.session.refused(answer, None).await.map(drop)
    }

    pub(in crate::client) fn negotiated(&self, protocol_version: &str) {
        match HeaderValue::from_str(protocol_version) {
            Ok(version) => self.session.change_heads(|heads| heads.set(&PROTOCOL_VERSION, &version)),
            Err(_) => debug!("passed over a protocol version that no header can hold"),
        }
    }

    pub(in crate::client) fn listen(&self) {
        let mut listener = self.listener();
        if listener.is_none() && self.session.end.get().is_none() {
            *listener = Some(tokio::spawn(listen(Arc::clone(&self.session))).abort_handle());
        }
    }

    pub(in crate::client) fn is_closed(&self) -> bool {
        self.session.end.get().is_some()
    }

    pub(in crate::client) async fn close(&self) {
        if let Some(listener) = self.listener().take() {
            listener.abort();
        }
        let heads = self.session.heads();
        if self.session.end.set(End::Closed).is_err() || !heads.has_session() {
            return;
        }
        let head = heads.of(Ask::Delete);
        let ask = self.session.pool.send(Ask::Delete, &head, Bytes::new());
        match timeout(DELETE_TIMEOUT, ask).await {
            Ok(Ok(answer)) => answer.finish(),
            Ok(Err(error)) => debug!(%error, "could not end the session at the upstream"),
            Err(_) => debug!("the upstream took too long to end the session"),
        }
    }

    fn listener(&self) -> std::sync::MutexGuard<'_, Option<AbortHandle>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(listener) = self.listener().take() {
            listener.abort();
        }
    }
}

impl Session {
    pub(super) fn message_bytes(&self) -> usize {
        self.pool.options().message_bytes
    }

    /// Asks for an event stream, the continuation of an earlier one if an event id is given.
    pub(super) async fn get(&self, last_event_id: Option<&str>) -> Result<Answer, UpstreamError> {
        self.check()?;
        let heads = self.heads();
        let Some(id) = last_event_id else {
            return self.pool.send(Ask::Get, &heads.of(Ask::Get), Bytes::new()).await;
        };
        let id = HeaderValue::from_str(id)
            .map_err(|_| UpstreamError::Unknown("the upstream gave an event id that no header can hold".to_owned()))?;
        let mut head = heads.of(Ask::Get).into_owned();
        head.insert(LAST_EVENT_ID, id);
        self.pool.send(Ask::Get, &head, Bytes::new()).await
    }

    /// Notes that the server has forgotten the session; whoever reads the unasked messages is told, if there is room.
    fn lose(&self) {
        if self.end.set(End::Lost).is_ok() {
            let _ = self.incoming.try_send(Incoming::Closed(UpstreamError::SessionLost.to_string()));
        }
    }

    fn has_session(&self) -> bool {
        self.heads().has_session()
    }

    async fn post(&self, body: Bytes) -> Result<Answer, UpstreamError> {
        self.check()?;
        let heads = self.heads();
        self.pool.send(Ask::Post, &heads.of(Ask::Post), body).await
    }

    fn check(&self) -> Result<(), UpstreamError> {
        match self.end.get() {
            None => Ok(()),
            Some(End::Lost) => Err(UpstreamError::SessionLost),
            Some(End::Closed) => Err(UpstreamError::NotSent("the session with the upstream is closed".to_owned())),
        }
    }

    /// Judges an answer that is no success: a reply nevertheless, a lost session, or a refusal.
    pub(super) async fn refused(&self, answer: Answer, id: Option<IdKey>) -> Result<Box<HttpExchange>, UpstreamError> {
        let status = answer.status();
        let is_json = heads::content(answer.headers()) == Content::Json;
        let body = answer.excerpt(EXCERPT_BYTES).await;
        let read = if is_json { reply::read(&body, EXCERPT_BYTES).ok() } else { None };
        if let (Some(Inbound::Reply(Some(answered), reply)), Some(id)) = (&read, id)
            && *answered == id
        {
            return Ok(HttpExchange::replied(reply.clone()));
        }
        if self.has_session() && is_session_lost(status, read.as_ref()) {
            self.lose();
            return Err(UpstreamError::SessionLost);
        }
        Err(UpstreamError::Refused { status: status.as_u16(), message: refusal(status), body })
    }

    fn heads(&self) -> Arc<Heads> {
        Arc::clone(&self.heads.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change_heads(&self, change: impl FnOnce(&mut Heads)) {
        let mut heads = self.heads.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut heads));
    }
}

/// 404 by the specification (MCP 2025-11-25, Session Management); some servers say 400 and explain it in the error.
fn is_session_lost(status: StatusCode, said: Option<&Inbound>) -> bool {
    if status == StatusCode::NOT_FOUND {
        return true;
    }
    let explains = |reply: &Reply| {
        let words = String::from_utf8_lossy(&reply.outcome()).to_ascii_lowercase();
        words.contains("session id") || words.contains("session not found")
    };
    status == StatusCode::BAD_REQUEST && matches!(said, Some(Inbound::Reply(None, reply)) if explains(reply))
}

fn refusal(status: StatusCode) -> String {
    let hint = match status.as_u16() {
        300..=399 => ": redirects are not followed, configure the address it leads to",
        401 | 403 => ": check the credentials configured for it",
        404 => ": check the path of its URL",
        405 => ": it does not take MCP messages at this path",
        413 => ": the message is too large for it",
        429 => ": it wants fewer requests",
        _ => "",
    };
    format!("the upstream answered with HTTP status {status}{hint}")
}

fn no_reply(status: StatusCode) -> UpstreamError {
    let words =
        format!("the upstream answered a request with HTTP status {status} but with neither JSON nor an event stream");
    UpstreamError::Nonsense(words)
}
