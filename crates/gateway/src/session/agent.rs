//! The agent's side of a session: where messages go that no request has asked for.

use bytes::Bytes;
use mcp::server::streams::{Limits, StreamError, StreamId, Streams};
use tokio::sync::mpsc;

/// How the agent is reached.
#[derive(Debug)]
pub(crate) enum Agent {
    /// Over Streamable HTTP: by event streams that can be resumed.
    Http {
        /// All streams of the session.
        streams: Streams,
        /// The one that a GET listens to.
        standalone: StreamId,
    },
    /// Over standard output.
    Stdio(mpsc::Sender<Bytes>),
}

impl Agent {
    /// An agent that will come by HTTP.
    ///
    /// # Errors
    ///
    /// Never with limits that allow one stream.
    pub(crate) fn http() -> Result<Self, StreamError> {
        let streams = Streams::new(Limits::default());
        let standalone = streams.open()?;
        Ok(Self::Http { streams, standalone })
    }

    /// Sends a message that belongs to no request; over HTTP it waits, within bounds, for a listener.
    pub(crate) async fn send(&self, message: Bytes) {
        match self {
            Self::Http { streams, standalone } => {
                streams.room(*standalone).await;
                // A session that has ended has nobody left to tell.
                let _ = streams.push(*standalone, message);
            }
            Self::Stdio(output) => {
                let _ = output.send(message).await;
            }
        }
    }

    /// Whether somebody listens for messages that belong to no request.
    pub(crate) fn is_listening(&self) -> bool {
        match self {
            Self::Http { streams, standalone } => streams.has_reader(*standalone),
            Self::Stdio(_) => true,
        }
    }

    /// Whether messages for one request have to travel with its answer.
    pub(crate) fn sorts_messages(&self) -> bool {
        matches!(self, Self::Http { .. })
    }

    /// Ends the stream that a GET listens to; streams that answer requests go on.
    pub(crate) fn stop_listening(&self) {
        if let Self::Http { streams, standalone } = self {
            streams.finish(*standalone);
        }
    }

    pub(crate) fn close(&self) {
        if let Self::Http { streams, .. } = self {
            streams.close();
        }
    }
}
