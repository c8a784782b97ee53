use std::ops::Range;

use bytes::Bytes;

use super::UpstreamError;
use crate::envelope::{Bounds, IdKey, Kind, Outcome, read_reply};

/// The complete JSON-RPC response to a request: read once, kept as it came.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The message, without white space around it.
    message: Bytes,
    id: Range<usize>,
    outcome: Range<usize>,
    kind: ReplyKind,
}

/// What a reply says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyKind {
    /// A result.
    Result,
    /// A result with `"isError": true`: the tool failed although the call was answered.
    ErrorResult,
    /// A JSON-RPC error.
    Error,
}

/// What a message from an upstream turned out to be.
#[derive(Debug)]
pub(super) enum Inbound {
    /// A response and what it answers; without an id it answers nothing.
    Reply(Option<IdKey>, Reply),
    /// A request or notification.
    Message(Bytes),
}

impl Reply {
    /// What it says.
    #[must_use]
    pub fn kind(&self) -> ReplyKind {
        self.kind
    }

    /// The whole message as it was written, without white space around it.
    #[must_use]
    pub fn message(&self) -> &Bytes {
        &self.message
    }

    /// The raw JSON of `result` or `error`.
    #[must_use]
    pub fn outcome(&self) -> Bytes {
        slice(&self.message, self.outcome.clone())
    }

    /// What stands before and after the id, so that another one can be put between without copying.
    #[must_use]
    pub fn around_id(&self) -> (Bytes, Bytes) {
        (slice(&self.message, 0..self.id.start), slice(&self.message, self.id.end..self.message.len()))
    }

    /// The message with another id; everything else stays byte for byte.
    #[must_use]
    pub fn with_id(&self, raw_id: &str) -> Bytes {
        let (before, after) = self.around_id();
        let mut message = Vec::with_capacity(before.len() + raw_id.len() + after.len());
        message.extend_from_slice(&before);
        message.extend_from_slice(raw_id.as_bytes());
        message.extend_from_slice(&after);
        message.into()
    }
}

/// Reads a message from an upstream; the error names what is wrong and, where known, which id it has.
pub(super) fn read(bytes: &Bytes, limit: usize) -> Result<Inbound, (Option<IdKey>, UpstreamError)> {
    let bounds = Bounds { bytes: limit, ..Bounds::REPLY };
    let message = read_reply(bytes, &bounds).map_err(|rejected| {
        let id = rejected.id.as_deref().and_then(IdKey::from_raw);
        (id, UpstreamError::Nonsense(format!("the upstream's answer cannot be read: {rejected}")))
    })?;
    let place = |part: &str| range_in(bytes, part);
    let whole = place(message.raw());
    let Kind::Response(response) = &message.kind else {
        return Ok(Inbound::Message(slice(bytes, whole)));
    };
    let within = |part: &str| {
        let part = place(part);
        part.start.saturating_sub(whole.start)..part.end.saturating_sub(whole.start)
    };
    let (raw_outcome, kind) = match response.outcome {
        Outcome::Result(raw) if response.is_error_result() => (raw, ReplyKind::ErrorResult),
        Outcome::Result(raw) => (raw, ReplyKind::Result),
        Outcome::Error(raw) => (raw, ReplyKind::Error),
    };
    let Some(id) = response.id else {
        return Ok(Inbound::Reply(None, without_id(raw_outcome)));
    };
    let reply =
        Reply { id: within(id.raw()), outcome: within(raw_outcome), kind, message: slice(bytes, whole.clone()) };
    Ok(Inbound::Reply(Some(id.key()), reply))
}

/// An error of a server that could not tell what it answers, with a place for the id that it lacks.
fn without_id(raw_error: &str) -> Reply {
    const BEFORE_ID: &str = r#"{"jsonrpc":"2.0","id":"#;
    const ID: &str = "null";
    const BEFORE_ERROR: &str = r#","error":"#;
    let id_end = BEFORE_ID.len() + ID.len();
    let error_start = id_end + BEFORE_ERROR.len();
    Reply {
        message: format!("{BEFORE_ID}{ID}{BEFORE_ERROR}{raw_error}}}").into(),
        id: BEFORE_ID.len()..id_end,
        outcome: error_start..error_start + raw_error.len(),
        kind: ReplyKind::Error,
    }
}

/// Where `part`, which was cut out of `whole`, stands in it.
fn range_in(whole: &Bytes, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    start..start + part.len()
}

/// A part without copying; empty when it is none.
fn slice(bytes: &Bytes, range: Range<usize>) -> Bytes {
    if range.start <= range.end && range.end <= bytes.len() {
        return bytes.slice(range);
    }
    Bytes::new()
}
