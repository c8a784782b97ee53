use std::borrow::Cow;

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::target::{Ask, Target};

pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
pub(super) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The longest session id that is kept, in bytes.
const SESSION_ID_BYTES: usize = 4096;

/// The headers of one session's requests, put together once and then copied.
#[derive(Debug, Clone)]
pub(super) struct Heads {
    post: HeaderMap,
}

impl Heads {
    pub(super) fn new(target: &Target) -> Self {
        let mut post = target.headers.clone();
        post.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        post.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self { post }
    }

    /// Messages are posted all the time; what is asked rarely is derived when it is asked.
    pub(super) fn of(&self, ask: Ask) -> Cow<'_, HeaderMap> {
        if ask == Ask::Post {
            return Cow::Borrowed(&self.post);
        }
        let mut head = self.post.clone();
        head.remove(header::CONTENT_TYPE);
        match ask {
            Ask::Get => head.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream")),
            Ask::Post | Ask::Delete => head.remove(header::ACCEPT),
        };
        Cow::Owned(head)
    }

    pub(super) fn has_session(&self) -> bool {
        self.post.contains_key(SESSION_ID)
    }

    /// Adds a header to everything from now on.
    pub(super) fn set(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.post.insert(name.clone(), value.clone());
    }
}

/// The session id of an answer to `initialize`: visible ASCII (MCP 2025-11-25, Session Management).
///
/// # Errors
///
/// When the server sent one that must not be used.
pub(super) fn session_id(answer: &HeaderMap) -> Result<Option<HeaderValue>, &'static str> {
    let Some(id) = answer.get(SESSION_ID) else {
        return Ok(None);
    };
    let bytes = id.as_bytes();
    if bytes.is_empty() || bytes.len() > SESSION_ID_BYTES || !bytes.iter().all(u8::is_ascii_graphic) {
        return Err("the upstream gave a session id that is empty, too long or not visible ASCII");
    }
    Ok(Some(id.clone()))
}

/// What an answer's `Content-Type` promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Json,
    Events,
    Other,
}

pub(super) fn content(head: &HeaderMap) -> Content {
    let value = head.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if essence.eq_ignore_ascii_case(b"application/json") {
        Content::Json
    } else if essence.eq_ignore_ascii_case(b"text/event-stream") {
        Content::Events
    } else {
        Content::Other
    }
}
