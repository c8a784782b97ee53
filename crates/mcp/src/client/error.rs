use bytes::Bytes;

/// Why an upstream could not be asked or did not answer.
///
/// Its text may be shown to whoever made the call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// Provably nothing went out: it could not be started, reached or written to.
    #[error("{0}")]
    NotSent(String),
    /// The request may have been acted upon, and no reply will come.
    #[error("{0}")]
    Unknown(String),
    /// The server no longer knows our session and did not act on the request.
    #[error("the upstream has lost the session")]
    SessionLost,
    /// The server refused over HTTP, without a JSON-RPC reply to the request.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// A sentence that names the status and what it means here.
        message: String,
        /// What the server wrote, cut off at 64 KiB; never shown to an agent.
        body: Bytes,
    },
    /// The answer cannot be read as the reply to the request.
    #[error("{0}")]
    Nonsense(String),
    /// The answer is larger than this connection accepts.
    #[error("the upstream's answer is larger than {limit} bytes")]
    TooLarge {
        /// What it may have at most.
        limit: usize,
    },
}

impl UpstreamError {
    /// Whether provably not a byte of the request left, so that what it was charged may be given back.
    #[must_use]
    pub fn nothing_was_sent(&self) -> bool {
        matches!(self, Self::NotSent(_))
    }
}
