//! The upstream's side of a session: opened by the agent's `initialize`, and opened again when it
//! was lost.
//!
//! A lost upstream is replaced without the agent noticing only if the new one negotiates exactly
//! what the old one did; otherwise the session ends, and the agent starts a new one.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mcp::client::{Event, Exchange, Incoming, Outgoing, Reply, ReplyKind, Upstream, UpstreamError};
use mcp::envelope::{self, IdKey, Message, Revision};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::gate::Gate;
use crate::snapshot::Server;
use crate::upstream::{self, ChildPlace, Connected};

/// A connection on which the handshake is done, or at least its first half.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) upstream: Upstream,
    /// Which of the session's connections it is, from 0.
    pub(crate) number: u64,
    _place: Option<ChildPlace>,
}

/// What the agent opened the session with, and what the server made of it.
#[derive(Debug)]
pub(crate) struct Handshake {
    /// The agent's `initialize`, as it was.
    pub(crate) initialize: Bytes,
    pub(crate) revision: Revision,
    /// The raw `capabilities` that the server answered.
    capabilities: String,
}

/// What came of an `initialize`.
#[derive(Debug)]
pub(crate) enum Opened {
    /// The server accepted.
    Accepted(Box<Accepted>),
    /// The server answered with an error, which the agent gets.
    Declined(Reply),
}

/// A connection that has answered `initialize`.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) link: Link,
    pub(crate) incoming: mpsc::Receiver<Incoming>,
    pub(crate) handshake: Handshake,
    pub(crate) reply: Reply,
    /// What the server said before it answered.
    pub(crate) early: Vec<Bytes>,
}

/// How many messages a server may send before it has answered `initialize`.
const EARLY_MESSAGES: usize = 64;

/// Connects to `server` and passes the agent's `initialize` on.
///
/// # Errors
///
/// If the server cannot be reached, does not answer in time, or answers what no client understands.
pub(crate) async fn open(
    gate: &Gate,
    server: &Arc<Server>,
    initialize: &Message<'_>,
    number: u64,
    wire_id: Option<&str>,
) -> Result<Opened, UpstreamError> {
    let Connected { upstream, incoming, child } = upstream::connect(gate, server).await?;
    let link = Link { upstream, number, _place: child };
    let body = match wire_id {
        Some(id) => initialize.with_id(id),
        None => initialize.raw().to_owned(),
    };
    let id = wire_id.and_then(IdKey::from_raw).or_else(|| initialize.id().map(|id| id.key()));
    let id = id.ok_or_else(|| UpstreamError::NotSent("`initialize` has no id".to_owned()))?;
    let body = envelope::without_line_breaks(&body).into_owned();
    let patience = gate.snapshot.load().config.timeouts.start;
    let answered = timeout(patience, first_answer(&link.upstream, body.into(), id)).await;
    let (reply, early) = answered.map_err(|_| slow(server, patience))??;
    if reply.kind() == ReplyKind::Error {
        link.upstream.close().await;
        return Ok(Opened::Declined(reply));
    }
    let handshake = handshake(server, initialize, &reply)?;
    link.upstream.negotiated(handshake.revision.as_str());
    Ok(Opened::Accepted(Box::new(Accepted { link, incoming, handshake, reply, early })))
}

async fn first_answer(upstream: &Upstream, body: Bytes, id: IdKey) -> Result<(Reply, Vec<Bytes>), UpstreamError> {
    let mut exchange = upstream.request(Outgoing { body, id, method: "initialize" }).await?;
    let mut early = Vec::new();
    loop {
        match exchange.next().await? {
            Event::Reply(reply) => return Ok((reply, early)),
            Event::Message(message) if early.len() < EARLY_MESSAGES => early.push(message),
            Event::Message(_) => {
                return Err(UpstreamError::Nonsense(
                    "the upstream talks without end before it answers `initialize`".to_owned(),
                ));
            }
        }
    }
}

fn slow(server: &Server, patience: Duration) -> UpstreamError {
    UpstreamError::Unknown(format!("`{}` did not answer `initialize` within {patience:?}", server.name()))
}

fn handshake(server: &Server, initialize: &Message<'_>, reply: &Reply) -> Result<Handshake, UpstreamError> {
    let outcome = reply.outcome();
    let result = std::str::from_utf8(&outcome).unwrap_or_default();
    let date = envelope::member(result, "protocolVersion").and_then(envelope::string);
    let date = date.ok_or_else(|| {
        UpstreamError::Nonsense(format!("`{}` answered `initialize` without a `protocolVersion`", server.name()))
    })?;
    let revision = Revision::parse(&date).filter(|revision| revision.is_legacy()).ok_or_else(|| {
        UpstreamError::Nonsense(format!(
            "`{}` speaks revision `{date}`, which is not spoken here; the newest is {}",
            server.name(),
            Revision::NEWEST_LEGACY
        ))
    })?;
    Ok(Handshake {
        initialize: Bytes::copy_from_slice(initialize.raw().as_bytes()),
        revision,
        capabilities: envelope::member(result, "capabilities").unwrap_or("{}").to_owned(),
    })
}

impl Handshake {
    /// Whether an agent that was told `self` can go on with a server that said `other`.
    pub(crate) fn is_same_for_the_agent(&self, other: &Self) -> bool {
        self.revision == other.revision && self.capabilities == other.capabilities
    }
}

impl Link {
    pub(crate) async fn request(&self, body: Bytes, id: IdKey, method: &str) -> Result<Exchange, UpstreamError> {
        self.upstream.request(Outgoing { body, id, method }).await
    }
}
