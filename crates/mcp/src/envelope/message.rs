//! A message that was read: what it is, and the bytes it was.

use std::borrow::Cow;
use std::ops::Range;

use super::{Id, text};

/// One JSON-RPC message: its own bytes, and what the gate understood of them.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    pub(super) raw: &'a str,
    /// Whether it asks, tells or answers.
    pub kind: Kind<'a>,
    pub(super) id_at: Option<Range<usize>>,
    pub(super) request_id_at: Option<Range<usize>>,
}

/// The three kinds of message.
#[derive(Debug, Clone)]
pub enum Kind<'a> {
    /// Wants an answer.
    Request(Request<'a>),
    /// Wants none.
    Notification(Notification<'a>),
    /// Is one.
    Response(Response<'a>),
}

/// A call that wants an answer.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// A string or an integer.
    pub id: Id<'a>,
    /// The method, escapes resolved.
    pub method: Cow<'a, str>,
    /// Absent when the message has no `params`.
    pub params: Option<Params<'a>>,
}

/// A message that wants no answer.
#[derive(Debug, Clone)]
pub struct Notification<'a> {
    /// The method, escapes resolved.
    pub method: Cow<'a, str>,
    /// Absent when the message has no `params`.
    pub params: Option<Params<'a>>,
}

/// The answer to a request.
#[derive(Debug, Clone)]
pub struct Response<'a> {
    /// `None` only in an upstream's error that could not tell what it answers.
    pub id: Option<Id<'a>>,
    /// The result or the error.
    pub outcome: Outcome<'a>,
    pub(super) is_error: bool,
}

impl Response<'_> {
    /// Whether it is a result that says `"isError": true`: the tool failed although the call was answered.
    #[must_use]
    pub fn is_error_result(&self) -> bool {
        self.is_error
    }
}

/// What a response carries, as raw JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// The raw value of `result`.
    Result(&'a str),
    /// The raw value of `error`.
    Error(&'a str),
}

/// The parameters of a request or notification: raw, plus the few members that the gate has to understand.
///
/// A member is `None` when it is absent, and also when it has another type and the method does not need it.
#[derive(Debug, Clone, Default)]
pub struct Params<'a> {
    /// The whole object as it was written.
    pub raw: &'a str,
    /// `name`, escapes resolved.
    pub name: Option<Cow<'a, str>>,
    /// `uri`, escapes resolved.
    pub uri: Option<Cow<'a, str>>,
    /// The raw object `arguments`.
    pub arguments: Option<&'a str>,
    /// `ref`: what `completion/complete` completes for.
    pub reference: Option<Reference<'a>>,
    /// The raw progress token: `_meta.progressToken`, or the `progressToken` of `notifications/progress`.
    pub progress_token: Option<&'a str>,
    /// `requestId` of `notifications/cancelled`.
    pub request_id: Option<Id<'a>>,
    /// `protocolVersion` of `initialize`.
    pub protocol_version: Option<Cow<'a, str>>,
    /// `clientInfo.name` of `initialize`: what the client calls itself.
    pub client_name: Option<Cow<'a, str>>,
    /// The raw `capabilities` of `initialize`.
    pub capabilities: Option<&'a str>,
}

/// What a completion refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference<'a> {
    /// `{"type": "ref/prompt", "name": …}`
    Prompt(Cow<'a, str>),
    /// `{"type": "ref/resource", "uri": …}`; the URI may be a template.
    Resource(Cow<'a, str>),
}

impl<'a> Message<'a> {
    /// The message as it was written, without white space around it.
    #[must_use]
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// The id of a request or response.
    #[must_use]
    pub fn id(&self) -> Option<Id<'a>> {
        match &self.kind {
            Kind::Request(request) => Some(request.id),
            Kind::Notification(_) => None,
            Kind::Response(response) => response.id,
        }
    }

    /// The method of a request or notification.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        match &self.kind {
            Kind::Request(request) => Some(&request.method),
            Kind::Notification(notification) => Some(&notification.method),
            Kind::Response(_) => None,
        }
    }

    /// The parameters of a request or notification.
    #[must_use]
    pub fn params(&self) -> Option<&Params<'a>> {
        match &self.kind {
            Kind::Request(request) => request.params.as_ref(),
            Kind::Notification(notification) => notification.params.as_ref(),
            Kind::Response(_) => None,
        }
    }

    /// The message with another id; everything else stays byte for byte. A message without an id stays as it is.
    #[must_use]
    pub fn with_id(&self, raw_id: &str) -> String {
        splice(self.raw, self.id_at.as_ref(), raw_id)
    }

    /// The message with another `params.requestId`; a message without one stays as it is.
    #[must_use]
    pub fn with_request_id(&self, raw_id: &str) -> String {
        splice(self.raw, self.request_id_at.as_ref(), raw_id)
    }

    /// The message on one line: line breaks between tokens are removed. Strings hold none, or it would not have been read.
    #[must_use]
    pub fn without_line_breaks(&self) -> Cow<'a, str> {
        text::without_line_breaks(self.raw)
    }
}

fn splice(raw: &str, at: Option<&Range<usize>>, replacement: &str) -> String {
    let parts = at.and_then(|at| Some((raw.get(..at.start)?, raw.get(at.end..)?)));
    let Some((before, after)) = parts else {
        return raw.to_owned();
    };
    let mut spliced = String::with_capacity(before.len() + replacement.len() + after.len());
    spliced.push_str(before);
    spliced.push_str(replacement);
    spliced.push_str(after);
    spliced
}
