//! Which requests are acceptable before their body is read.

use std::time::Duration;

use http::HeaderMap;

use crate::envelope::Revision;

/// Why a request is refused by its headers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// 406
    #[error("`Accept` must allow {needed}; add it to the header")]
    NotAcceptable {
        /// The media types that must be acceptable.
        needed: &'static str,
    },
    /// 415
    #[error("`Content-Type` must be `application/json`; send the message with that header")]
    NotJson,
    /// 400
    #[error("`MCP-Protocol-Version` `{sent}` is not a revision that is spoken here; send one of {spoken}")]
    UnknownRevision {
        /// What was sent.
        sent: String,
        /// What would do.
        spoken: String,
    },
    /// 403
    #[error("`Origin` `{sent}` is not allowed; add it to the allowed origins if you trust that page")]
    ForeignOrigin {
        /// What was sent.
        sent: String,
    },
    /// 403
    #[error("`Host` `{sent}` is not allowed; add it to the allowed hosts if this gate is known by that name")]
    ForeignHost {
        /// What was sent.
        sent: String,
    },
    /// 400
    #[error("`{name}` is not readable; send it once, in visible ASCII characters")]
    Unreadable {
        /// The header's name.
        name: &'static str,
    },
}

impl Refused {
    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::NotAcceptable { .. } => 406,
            Self::NotJson => 415,
            Self::UnknownRevision { .. } | Self::Unreadable { .. } => 400,
            Self::ForeignOrigin { .. } | Self::ForeignHost { .. } => 403,
        }
    }
}

/// What the client can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepts {
    /// `application/json`
    pub json: bool,
    /// `text/event-stream`
    pub event_stream: bool,
}

/// Reads `Accept`; a request without it accepts everything (RFC 9110, 12.5.1).
#[must_use]
pub fn accepts(headers: &HeaderMap) -> Accepts {
    let _ = headers;
    todo!()
}

/// Checks the headers of a POST: it brings JSON and can take JSON and an event stream.
///
/// # Errors
/// When it does not.
pub fn check_post(headers: &HeaderMap) -> Result<Accepts, Refused> {
    let _ = headers;
    todo!()
}

/// Checks the headers of a GET: it can take an event stream.
///
/// # Errors
/// When it cannot.
pub fn check_get(headers: &HeaderMap) -> Result<(), Refused> {
    let _ = headers;
    todo!()
}

/// Reads `MCP-Protocol-Version`; `None` when it is absent.
///
/// # Errors
/// When it names no revision.
pub fn revision(headers: &HeaderMap) -> Result<Option<Revision>, Refused> {
    let _ = headers;
    todo!()
}

/// Reads `Mcp-Session-Id`.
///
/// # Errors
/// When it is sent twice or has other than visible ASCII characters.
pub fn session_id(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let _ = headers;
    todo!()
}

/// Reads `Last-Event-ID`.
///
/// # Errors
/// When it is sent twice or has other than visible ASCII characters.
pub fn last_event_id(headers: &HeaderMap) -> Result<Option<&str>, Refused> {
    let _ = headers;
    todo!()
}

/// The token of `Authorization: Bearer …`, when there is exactly one such header.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let _ = headers;
    todo!()
}

/// Where requests may come from and what the gate may be called: loopback, and what is added.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Origins beyond loopback, as browsers send them: `https://console.example.com`, or `*` for all.
    pub origins: Vec<String>,
    /// Host names beyond loopback, with or without port, or `*` for all.
    pub hosts: Vec<String>,
}

impl Trust {
    /// Checks `Origin` and `Host`, so that a web page cannot reach the gate through DNS rebinding.
    ///
    /// # Errors
    /// When one of them is foreign, or `Host` is absent.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let _ = headers;
        todo!()
    }
}

/// How long a client is asked to wait before it resumes a stream.
pub const RETRY: Duration = Duration::from_secs(1);
