//! An upstream that speaks Streamable HTTP.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Event, Exchange, Incoming, Outgoing, UpstreamError};
use crate::stdio::UPSTREAM_LINE_BYTES;

/// Where a server is, and what every request to it carries.
#[derive(Debug, Clone)]
pub struct Target {}

/// Why a server cannot be addressed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidTarget(String);

impl Target {
    /// Reads an `http` or `https` URL; its path and query are kept as they are.
    ///
    /// # Errors
    ///
    /// When the URL has no host, another scheme, or user information, or when a header is none or is one that the transport itself sets.
    pub fn parse<'a>(
        url: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, InvalidTarget> {
        let _ = (url, headers.into_iter().count());
        todo!()
    }
}

/// Bounds of what a server may send and how long it may be looked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// The longest message in bytes.
    pub message_bytes: usize,
    /// How long connecting may take, name resolution and TLS included.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub keep_idle: Duration,
    /// TLS settings other than the system's roots.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            message_bytes: UPSTREAM_LINE_BYTES,
            connect_timeout: Duration::from_secs(10),
            keep_idle: Duration::from_secs(4),
            tls: None,
        }
    }
}

/// The TCP connections to one server, shared by its sessions. Cheap to clone.
///
/// A connection is used only on the runtime thread that opened it.
#[derive(Debug, Clone)]
pub struct Pool {}

impl Pool {
    /// Prepares to connect; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// When the server needs TLS and the system's roots cannot be loaded.
    pub fn new(target: Target, options: Options) -> Result<Self, InvalidTarget> {
        let _ = (target, options);
        todo!()
    }
}

/// One session with a server over Streamable HTTP.
#[derive(Debug)]
pub struct Connection {}

impl Connection {
    /// A session that begins with the first request, which must be `initialize`; nothing is sent yet.
    #[must_use]
    pub fn open(pool: Pool) -> (Self, mpsc::Receiver<Incoming>) {
        let _ = pool;
        todo!()
    }

    pub(super) async fn request(&self, _: Outgoing<'_>) -> Result<Exchange, UpstreamError> {
        todo!()
    }

    pub(super) async fn send(&self, _: Bytes) -> Result<(), UpstreamError> {
        todo!()
    }

    pub(super) fn negotiated(&self, _: &str) {
        todo!()
    }

    pub(super) fn listen(&self) {
        todo!()
    }

    pub(super) fn is_closed(&self) -> bool {
        todo!()
    }

    pub(super) async fn close(&self) {
        todo!()
    }
}

#[derive(Debug)]
pub(super) struct HttpExchange {}

impl HttpExchange {
    pub(super) async fn next(&mut self) -> Result<Event, UpstreamError> {
        todo!()
    }
}
