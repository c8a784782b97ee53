//! Speaks to upstreams: child processes over stdio and servers over Streamable HTTP, behind one surface.
//!
//! A connection is one upstream session. [`Upstream::request`] sends one JSON-RPC request and gives
//! an [`Exchange`], which yields what belongs to it until its reply. What the upstream says unasked
//! comes through the receiver of [`Incoming`] that is handed over when the connection is made.
//!
//! Invariants: every queue, line, body and table is bounded; dropping an exchange forgets it and
//! sends nothing; an error says whether anything can have reached the upstream.

pub mod child;
mod error;
mod exchange;
pub mod http;
mod reply;

use bytes::Bytes;

use crate::envelope::IdKey;

pub use error::UpstreamError;
pub use exchange::{Event, Exchange};
pub use reply::{Reply, ReplyKind};

/// What failed while a message was sent.
pub type SendError = UpstreamError;

/// What failed while a reply was awaited.
pub type ExchangeError = UpstreamError;

/// How many unasked messages of one upstream wait to be read; beyond it the upstream is made to wait.
pub const INCOMING_MESSAGES: usize = 64;

/// One session with an upstream.
#[derive(Debug)]
pub enum Upstream {
    /// A child process that speaks over its standard streams.
    Child(child::Connection),
    /// A server that speaks Streamable HTTP.
    Http(http::Connection),
}

/// One JSON-RPC request on its way to an upstream.
#[derive(Debug, Clone)]
pub struct Outgoing<'a> {
    /// The complete message; for a child without line breaks.
    pub body: Bytes,
    /// The id inside the message; one id may be under way only once.
    pub id: IdKey,
    /// The method inside the message.
    pub method: &'a str,
}

/// What an upstream said unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A complete request or notification, already read strictly.
    Message(Bytes),
    /// The connection is gone for good, for this reason. Nothing follows.
    Closed(String),
}

impl Upstream {
    /// Sends one request.
    ///
    /// For a child it returns once the request is queued, for HTTP once the head of the response is there.
    ///
    /// # Errors
    ///
    /// See [`UpstreamError`]; [`UpstreamError::nothing_was_sent`] tells whether quota may be given back.
    pub async fn request(&self, call: Outgoing<'_>) -> Result<Exchange, UpstreamError> {
        match self {
            Self::Child(child) => child.request(call).await,
            Self::Http(http) => http.request(call).await,
        }
    }

    /// Sends a notification or a response, to which nothing is answered.
    ///
    /// # Errors
    ///
    /// As for [`Upstream::request`].
    pub async fn send(&self, body: Bytes) -> Result<(), UpstreamError> {
        match self {
            Self::Child(child) => child.send(body).await,
            Self::Http(http) => http.send(body).await,
        }
    }

    /// Remembers the protocol version that the reply to `initialize` named.
    ///
    /// From then on HTTP requests carry it; a child has no use for it.
    pub fn negotiated(&self, protocol_version: &str) {
        match self {
            Self::Child(_) => {}
            Self::Http(http) => http.negotiated(protocol_version),
        }
    }

    /// Starts to listen for what the upstream says unasked; called once, after `notifications/initialized` was sent.
    ///
    /// Over HTTP this opens the GET stream on the calling runtime; a child is listened to from its start.
    pub fn listen(&self) {
        match self {
            Self::Child(_) => {}
            Self::Http(http) => http.listen(),
        }
    }

    /// Whether nothing more can be sent: the child has ended, or the session is lost or closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Child(child) => child.is_closed(),
            Self::Http(http) => http.is_closed(),
        }
    }

    /// Ends the session. Doing it twice does nothing more.
    ///
    /// A child gets its standard input closed, then SIGTERM, then SIGKILL, two seconds apart, and its exchanges
    /// fail when it ends; an HTTP session gets a DELETE, and its exchanges go on until they are dropped.
    /// Dropping a connection without this kills the child at once.
    pub async fn close(&self) {
        match self {
            Self::Child(child) => child.close().await,
            Self::Http(http) => http.close().await,
        }
    }
}
