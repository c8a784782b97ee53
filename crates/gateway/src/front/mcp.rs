//! `/mcp/{server}`: Streamable HTTP towards agents, revisions 2025-03-26 to 2025-11-25.
//!
//! Order of a POST: where it comes from, who sends it, which server, whether it can be read at all,
//! which session; only then what it says. The stateless revision, HTTP+SSE and the endpoint of all
//! servers in one have their place beside this module.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use mcp::envelope::{Bounds, Kind, Message, Rejected, Revision, answer, read_batch, read_request};
use mcp::server::headers::{self, Accepts};
use tokio::time::Instant;
use tracing::warn;

use super::body::{self, BodyError};
use super::persistent::Persistent;
use super::{Body, events, json};
use crate::decision::{self, Origin};
use crate::gate::Gate;
use crate::identity::{self, Caller};
use crate::opening;
use crate::refusal;
use crate::relay::{Relay, Step};
use crate::session::{Agent, Session};
use crate::snapshot::{NamedPolicy, Server, Snapshot};
use crate::telling;
use crate::walk::{self, Answer, Turn};

/// How many messages one batch may have.
const BATCH_MESSAGES: usize = 100;
/// After how long a silent request is answered by a stream, so that the agent sees that it lives.
const STREAM_AFTER: Duration = Duration::from_secs(10);

/// Where a request goes, and who sends it.
struct Routed {
    snapshot: Arc<Snapshot>,
    caller: Caller,
    server: Arc<Server>,
    policy: Option<Arc<NamedPolicy>>,
}

/// Answers one request, to its end even if the agent goes away meanwhile.
pub(super) fn handle(gate: &Arc<Gate>, server: &str, request: Request<Incoming>) -> Persistent {
    Persistent::new(gate, answer_to(Arc::clone(gate), server.to_owned(), request))
}

async fn answer_to(gate: Arc<Gate>, server: String, request: Request<Incoming>) -> Response<Body> {
    let started = Instant::now();
    let gate = &gate;
    let routed = match admit(gate, &server, request.headers()).await {
        Ok(routed) => routed,
        Err(response) => return response,
    };
    let answered = match *request.method() {
        Method::POST => post(gate, &routed, request, started).await,
        Method::GET => get(gate, &routed, request.headers()),
        Method::DELETE => delete(gate, &routed, request.headers()).await,
        _ => Err(method_not_allowed()),
    };
    answered.unwrap_or_else(|refused| refused)
}

/// Authenticates and routes; everything before the body.
async fn admit(gate: &Arc<Gate>, server: &str, headers: &HeaderMap) -> Result<Routed, Response<Body>> {
    let snapshot = gate.snapshot.load_full();
    snapshot.trust.check(headers).map_err(|refused| header_refused(&refused))?;
    let caller = match identity::authenticate(headers, &gate.ledger, gate.clock.now()).await {
        Ok(caller) => caller,
        Err(anonymous) => return Err(unauthenticated(gate, server, &anonymous)),
    };
    let access = match &caller {
        Caller::Granted(grant) => grant.access.iter().find(|access| access.server == server),
        Caller::Local(_) => None,
    };
    let found = access.and_then(|access| Some((access, snapshot.servers.get(server)?)));
    let Some((access, server)) = found else {
        let message = format!("this grant opens no server `{server}`; see `toolgate grant list`");
        return Err(plain_error(StatusCode::NOT_FOUND, &message));
    };
    let policy = snapshot.policies.get(&access.policy).cloned();
    let server = Arc::clone(server);
    Ok(Routed { snapshot, caller, server, policy })
}

async fn post(
    gate: &Arc<Gate>,
    routed: &Routed,
    request: Request<Incoming>,
    started: Instant,
) -> Result<Response<Body>, Response<Body>> {
    let (head, incoming) = request.into_parts();
    let accepts = headers::check_post(&head.headers).map_err(|refused| header_refused(&refused))?;
    check_revision(&head.headers)?;
    let bounds = routed.snapshot.config.bounds;
    let bounds = Bounds { bytes: bounds.request_bytes, depth: bounds.request_depth };
    let session = find_session(gate, routed, &head.headers)?;
    let body = match body::read(incoming, bounds.bytes).await {
        Ok(body) => body,
        Err(BodyError::Broken) => return Err(plain_error(StatusCode::BAD_REQUEST, "the body broke off")),
        Err(BodyError::TooLarge) => return Err(too_large(gate, routed, session.as_ref(), bounds.bytes).await),
    };
    let has_batches = session.as_ref().is_some_and(|session| session.revision().has_batches());
    let read = if has_batches {
        read_batch(&body, &bounds, BATCH_MESSAGES)
    } else {
        read_request(&body, &bounds).map(|message| vec![message])
    };
    let messages = match read {
        Ok(messages) => messages,
        Err(rejected) => return Err(reject(gate, routed, session.as_ref(), &rejected).await),
    };
    let Some(session) = session else { return open_session(gate, routed, &messages).await };
    session.touch(gate.clock.now());
    let trace_id = trace_id(&head.headers);
    let post = Post { gate, routed, session: &session, body: &body, accepts, trace_id, started };
    match messages.as_slice() {
        [message] if !is_array(&body) => post.one(message).await,
        messages => post.batch(messages).await,
    }
}

/// One POST on an open session.
struct Post<'a> {
    gate: &'a Arc<Gate>,
    routed: &'a Routed,
    session: &'a Arc<Session>,
    body: &'a Bytes,
    accepts: Accepts,
    trace_id: Option<&'a str>,
    started: Instant,
}

impl Post<'_> {
    async fn one(&self, message: &Message<'_>) -> Result<Response<Body>, Response<Body>> {
        match &message.kind {
            Kind::Request(_) => match self.walk(message).await {
                Some(Answer::Now(answer)) => Ok(json(StatusCode::OK, answer)),
                Some(Answer::Later(relay)) => Ok(self.later(message, relay).await),
                None => Err(plain_error(StatusCode::BAD_REQUEST, "not a request")),
            },
            Kind::Notification(_) | Kind::Response(_) => {
                self.take(message).await;
                Ok(accepted())
            }
        }
    }

    /// Judges every message of a batch by itself, in order.
    async fn batch(&self, messages: &[Message<'_>]) -> Result<Response<Body>, Response<Body>> {
        let mut now = Vec::new();
        let mut later = Vec::new();
        for message in messages {
            match self.walk(message).await {
                Some(Answer::Now(answer)) => now.push(Bytes::from(answer)),
                Some(Answer::Later(relay)) => later.push((raw_id(message), relay)),
                None => self.take(message).await,
            }
        }
        if later.is_empty() && now.is_empty() {
            return Ok(accepted());
        }
        if self.accepts.event_stream && !later.is_empty() {
            return Ok(events::stream(self.gate, self.session, later, now));
        }
        for (_, mut relay) in later {
            while let Some(step) = relay.next(None).await {
                if let Step::Done(answer) = step {
                    now.push(answer);
                    break;
                }
            }
        }
        let answers: Vec<&[u8]> = now.iter().map(|answer| answer.as_ref()).collect();
        let all = [b"[".as_slice(), &answers.join(b",".as_slice()), b"]"].concat();
        Ok(json(StatusCode::OK, Bytes::from(all)))
    }

    async fn walk(&self, message: &Message<'_>) -> Option<Answer> {
        let Kind::Request(request) = &message.kind else { return None };
        if request.method == "initialize" {
            let why = "the session is open already; send `initialize` without `Mcp-Session-Id`";
            return Some(Answer::Now(answer::error(request.id.raw(), -32600, why, None)));
        }
        let turn = Turn {
            gate: self.gate,
            session: self.session,
            caller: &self.routed.caller,
            policy: self.routed.policy.as_ref(),
            body: self.body,
            message,
            request,
            trace_id: self.trace_id,
            started: self.started,
            may_hold: true,
        };
        Some(walk::request(turn).await)
    }

    /// Takes a message that wants no answer.
    async fn take(&self, message: &Message<'_>) {
        let whose = telling::Whose {
            gate: self.gate,
            session: self.session,
            caller: &self.routed.caller,
            policy: self.routed.policy.as_ref(),
        };
        match &message.kind {
            Kind::Notification(notification) => whose.notification(message, notification, self.body).await,
            Kind::Response(response) => whose.response(message, response, self.body).await,
            Kind::Request(_) => {}
        }
    }

    /// Answers plainly if the answer is the first thing that comes, and by a stream otherwise.
    async fn later(&self, message: &Message<'_>, mut relay: Relay) -> Response<Body> {
        let until = self.accepts.event_stream.then(|| Instant::now() + STREAM_AFTER);
        loop {
            match relay.next(until).await {
                Some(Step::Done(answer)) => return json(StatusCode::OK, answer),
                Some(Step::Message(first)) if self.accepts.event_stream => {
                    return self.stream(message, relay, vec![first]);
                }
                // This agent takes nothing but the answer; the rest goes where it listens, if anywhere.
                Some(Step::Message(other)) => self.session.agent.send(other).await,
                None => return self.stream(message, relay, Vec::new()),
            }
        }
    }

    fn stream(&self, message: &Message<'_>, relay: Relay, first: Vec<Bytes>) -> Response<Body> {
        events::stream(self.gate, self.session, vec![(raw_id(message), relay)], first)
    }
}

fn get(gate: &Arc<Gate>, routed: &Routed, head: &HeaderMap) -> Result<Response<Body>, Response<Body>> {
    headers::check_get(head).map_err(|refused| header_refused(&refused))?;
    check_revision(head)?;
    let session = find_session(gate, routed, head)?.ok_or_else(session_needed)?;
    session.touch(gate.clock.now());
    let Agent::Http { streams, standalone } = &session.agent else { return Err(method_not_allowed()) };
    let last = headers::last_event_id(head).map_err(|refused| header_refused(&refused))?;
    let subscription = match last {
        Some(last) => streams.resume(last),
        None => streams.subscribe(*standalone),
    };
    let subscription = subscription.map_err(|error| plain_error(StatusCode::BAD_REQUEST, &error.to_string()))?;
    Ok(events::response(subscription))
}

async fn delete(gate: &Arc<Gate>, routed: &Routed, head: &HeaderMap) -> Result<Response<Body>, Response<Body>> {
    let session = find_session(gate, routed, head)?.ok_or_else(session_needed)?;
    gate.sessions.remove(&session.id);
    session.end("the agent ended it").await;
    Ok(Response::new(Body::empty()))
}

/// The session that a request names; `None` if it names none. Somebody else's session does not exist.
fn find_session(gate: &Gate, routed: &Routed, head: &HeaderMap) -> Result<Option<Arc<Session>>, Response<Body>> {
    let Some(id) = headers::session_id(head).map_err(|refused| header_refused(&refused))? else { return Ok(None) };
    let found = gate.sessions.get(id).filter(|session| {
        session.owner == routed.caller.id() && session.server.name() == routed.server.name() && !session.has_ended()
    });
    let gone = || plain_error(StatusCode::NOT_FOUND, "there is no such session; start a new one with `initialize`");
    found.map(Some).ok_or_else(gone)
}

async fn open_session(
    gate: &Arc<Gate>,
    routed: &Routed,
    messages: &[Message<'_>],
) -> Result<Response<Body>, Response<Body>> {
    let [message] = messages else { return Err(session_needed()) };
    let Kind::Request(request) = &message.kind else { return Err(session_needed()) };
    if request.method != "initialize" {
        let why = "`Mcp-Session-Id` is missing; start with `initialize` and send the id that its answer brings";
        return Err(json(StatusCode::BAD_REQUEST, answer::error(request.id.raw(), -32600, why, None)));
    }
    let agent = Agent::http().map_err(|error| plain_error(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()))?;
    let newcomer = opening::Newcomer { gate, server: &routed.server, caller: &routed.caller, agent };
    match newcomer.open(message, request).await {
        Ok((session, reply)) => {
            let mut response = json(StatusCode::OK, reply);
            if let Some(session) = session
                && let Ok(id) = HeaderValue::from_str(&session.id)
            {
                response.headers_mut().insert(&headers::SESSION_ID, id);
            }
            Ok(response)
        }
        Err(failed) => Err(json(failed.status, failed.answer)),
    }
}

fn check_revision(head: &HeaderMap) -> Result<(), Response<Body>> {
    match headers::revision(head) {
        Ok(Some(revision)) if !revision.is_legacy() => {
            let newest = Revision::NEWEST_LEGACY;
            let message = format!("revision {revision} is not spoken here yet; the newest that is: {newest}");
            Err(plain_error(StatusCode::BAD_REQUEST, &message))
        }
        Ok(_) => Ok(()),
        Err(refused) => Err(header_refused(&refused)),
    }
}

/// Records and answers what cannot be read safely.
async fn reject(gate: &Gate, routed: &Routed, session: Option<&Arc<Session>>, rejected: &Rejected) -> Response<Body> {
    let status = StatusCode::from_u16(rejected.status).unwrap_or(StatusCode::BAD_REQUEST);
    let policy = routed.policy.as_deref();
    match refusal::record(gate, &routed.server, &routed.caller, policy, session.map(Arc::as_ref), rejected).await {
        Ok(()) => json(status, rejected.answer()),
        Err(error) => {
            tracing::error!(%error, "could not record a rejected request");
            json(status, rejected.answer())
        }
    }
}

async fn too_large(gate: &Gate, routed: &Routed, session: Option<&Arc<Session>>, bound: usize) -> Response<Body> {
    reject(gate, routed, session, &refusal::too_large(bound)).await
}

fn unauthenticated(gate: &Gate, server: &str, anonymous: &identity::Anonymous) -> Response<Body> {
    gate.metrics.unauthenticated(anonymous.as_str());
    if let Some(left_out) = gate.strangers.take(gate.clock.now()) {
        let server: String = server.chars().take(64).collect();
        warn!(server, reason = anonymous.as_str(), left_out, "turned away a request without a valid token");
    }
    if let identity::Anonymous::Unreadable(error) = anonymous {
        tracing::error!(%error, "could not look up a token");
        return plain_error(StatusCode::SERVICE_UNAVAILABLE, "the gate cannot look up tokens at the moment");
    }
    let mut response = plain_error(
        StatusCode::UNAUTHORIZED,
        "a valid token is needed; send `Authorization: Bearer …` with the token of a living grant",
    );
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"toolgate\""));
    response
}

fn session_needed() -> Response<Body> {
    plain_error(
        StatusCode::BAD_REQUEST,
        "`Mcp-Session-Id` is missing; start with `initialize` and send the id that its answer brings",
    )
}

fn header_refused(refused: &headers::Refused) -> Response<Body> {
    plain_error(StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::BAD_REQUEST), &refused.to_string())
}

fn method_not_allowed() -> Response<Body> {
    let mut response = plain_error(StatusCode::METHOD_NOT_ALLOWED, "use POST, GET or DELETE here");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST, GET, DELETE"));
    response
}

/// An error that answers no particular request, in the shape that clients of the protocol read.
fn plain_error(status: StatusCode, message: &str) -> Response<Body> {
    json(status, decision::failure("null", -32600, message, Origin::Gate, false, None))
}

fn accepted() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

fn raw_id(message: &Message<'_>) -> String {
    message.id().map_or_else(|| "null".to_owned(), |id| id.raw().to_owned())
}

fn is_array(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'[')
}

/// The trace id of a W3C `traceparent` header (Trace Context, section 3.2).
fn trace_id(head: &HeaderMap) -> Option<&str> {
    let parent = head.get("traceparent")?.to_str().ok()?;
    let id = parent.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}
