//! What an agent is told when a call does not go through.
//!
//! A denial is an answer a model can read and adapt to, so `tools/call` gets a *result* with
//! `isError`, and every other method a JSON-RPC error; both carry the same machine-readable
//! decision. What is hidden is answered like what does not exist, without a decision.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use mcp::envelope::answer;

/// JSON-RPC error code for a request that policy did not let through (methods other than `tools/call`).
pub(crate) const POLICY_ERROR: i64 = -32010;
/// JSON-RPC error code for a message that is no acceptable request (JSON-RPC 2.0, section 5.1).
pub(crate) const INVALID_REQUEST: i64 = -32600;
/// JSON-RPC error code for parameters that name nothing known (JSON-RPC 2.0, section 5.1).
pub(crate) const INVALID_PARAMS: i64 = -32602;
/// JSON-RPC error code that MCP uses for a resource that does not exist.
pub(crate) const RESOURCE_NOT_FOUND: i64 = -32002;
/// JSON-RPC error code for a failure inside the gate (JSON-RPC 2.0, section 5.1).
pub(crate) const INTERNAL_ERROR: i64 = -32603;

/// Why a request was stopped, as the agent and the ledger name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// A rule said no, or the call could not be judged.
    Denied,
    /// A limit is used up.
    Limited,
    /// A person has to say yes first.
    Waiting,
}

impl Stopped {
    fn prefix(self) -> &'static str {
        match self {
            Self::Denied => "[POLICY DENIED]",
            Self::Limited => "[RATE LIMITED]",
            Self::Waiting => "[APPROVAL REQUIRED]",
        }
    }

    fn outcome(self) -> &'static str {
        match self {
            Self::Denied => "deny",
            Self::Limited => "limit",
            Self::Waiting => "approve",
        }
    }
}

/// A decision in the shape that travels to the agent.
#[derive(Debug)]
pub(crate) struct Decision<'a> {
    pub(crate) stopped: Stopped,
    pub(crate) reason: Cow<'a, str>,
    pub(crate) rule: &'a str,
    pub(crate) policy: &'a str,
    pub(crate) record: String,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) approval: Option<String>,
}

impl Decision<'_> {
    /// Answers a `tools/call`: a result that a model can read.
    pub(crate) fn as_tool_result(&self, raw_id: &str) -> String {
        let text = format!("{} {}", self.stopped.prefix(), self.reason);
        let result = format!(
            r#"{{"content":[{{"type":"text","text":{}}}],"isError":true,"_meta":{}}}"#,
            answer::escape(&text),
            self.meta(),
        );
        answer::result(raw_id, &result)
    }

    /// Answers any other request: a JSON-RPC error with the decision in `data`.
    pub(crate) fn as_error(&self, raw_id: &str) -> String {
        let text = format!("{} {}", self.stopped.prefix(), self.reason);
        let data = format!(r#"{{"_meta":{}}}"#, self.meta());
        answer::error(raw_id, POLICY_ERROR, &text, Some(&data))
    }

    fn meta(&self) -> String {
        let mut fields = format!(
            r#"{{"outcome":"{}","rule":{},"policy":{},"record":{}"#,
            self.stopped.outcome(),
            answer::escape(self.rule),
            answer::escape(self.policy),
            answer::escape(&self.record),
        );
        if let Some(after) = self.retry_after {
            // Writing to a string cannot fail.
            let _ = write!(fields, r#","retryAfterMs":{}"#, after.as_millis());
        }
        if let Some(approval) = &self.approval {
            let _ = write!(fields, r#","approval":{}"#, answer::escape(approval));
        }
        format!(r#"{{"dev.toolgate/decision":{fields}}}}}"#)
    }
}

/// Answers a call of a tool that is hidden or that the server does not have: the same bytes for both.
pub(crate) fn unknown_tool(raw_id: &str, name: &str) -> String {
    answer::error(raw_id, INVALID_PARAMS, &format!("Unknown tool: {name}"), None)
}

/// Answers a request for a prompt that is hidden or that the server does not have.
pub(crate) fn unknown_prompt(raw_id: &str, name: &str) -> String {
    answer::error(raw_id, INVALID_PARAMS, &format!("Unknown prompt: {name}"), None)
}

/// Answers a request for a hidden resource.
pub(crate) fn unknown_resource(raw_id: &str, uri: &str) -> String {
    answer::error(raw_id, RESOURCE_NOT_FOUND, &format!("Resource not found: {uri}"), None)
}

/// Whose fault a failed call is, as told in the `data` of its error.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin {
    /// The server behind the gate died, hung, flooded or talked nonsense.
    Upstream,
    /// The gate itself could not do its part (the ledger, a bound).
    Gate,
}

/// Answers a call that was let through but failed on the way.
pub(crate) fn failure(
    raw_id: &str,
    code: i64,
    message: &str,
    origin: Origin,
    retry: bool,
    record: Option<&str>,
) -> String {
    let origin = match origin {
        Origin::Upstream => "upstream",
        Origin::Gate => "gate",
    };
    let record = record.map_or_else(|| "null".to_owned(), answer::escape);
    let data = format!(r#"{{"dev.toolgate/error":{{"origin":"{origin}","retry":{retry},"record":{record}}}}}"#);
    answer::error(raw_id, code, message, Some(&data))
}
