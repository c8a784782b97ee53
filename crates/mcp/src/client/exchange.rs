use bytes::Bytes;

use super::{Reply, UpstreamError, child, http};

/// One request under way. Dropping it forgets the request and sends nothing.
#[derive(Debug)]
pub struct Exchange(Inner);

#[derive(Debug)]
enum Inner {
    Child(child::ChildExchange),
    Http(Box<http::HttpExchange>),
}

/// What came for a request.
#[derive(Debug, Clone)]
pub enum Event {
    /// A request or notification that the server related to this request; over HTTP only.
    Message(Bytes),
    /// The reply. Nothing follows.
    Reply(Reply),
}

impl Exchange {
    pub(super) fn child(exchange: child::ChildExchange) -> Self {
        Self(Inner::Child(exchange))
    }

    pub(super) fn http(exchange: Box<http::HttpExchange>) -> Self {
        Self(Inner::Http(exchange))
    }

    /// Waits for what comes next. It has no time limit of its own, and may be cancelled and called again.
    ///
    /// # Errors
    ///
    /// See [`UpstreamError`]. After a reply or an error nothing more comes.
    pub async fn next(&mut self) -> Result<Event, UpstreamError> {
        match &mut self.0 {
            Inner::Child(exchange) => exchange.next().await,
            Inner::Http(exchange) => exchange.next().await,
        }
    }
}
