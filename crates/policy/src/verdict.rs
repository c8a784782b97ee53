//! What is asked of a policy, and what it answers.

use std::borrow::Cow;
use std::time::Duration;

use crate::decimal::Decimal;
use crate::model::Limit;

/// What a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target<'a> {
    /// `tools/call` of this tool.
    Tool(&'a str),
    /// `resources/read`, `resources/subscribe` or `resources/unsubscribe` of this URI.
    Resource(&'a str),
    /// `prompts/get` of this prompt.
    Prompt(&'a str),
    /// `completion/complete` for this resource or resource template.
    CompleteResource(&'a str),
    /// `completion/complete` for this prompt.
    CompletePrompt(&'a str),
    /// Any other method, known or not.
    Method(&'a str),
}

/// A request to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// What the request names.
    pub target: Target<'a>,
    /// The text of the `arguments` object, already known to be well-formed and without duplicate keys.
    pub arguments: Option<&'a str>,
    /// The label of the grant that the request came with.
    pub grant_label: &'a str,
    /// What the client calls itself, if it said so.
    pub client_name: Option<&'a str>,
}

/// What a policy says to a call, before any limit has been looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<'p> {
    /// The call may pass if all charges can be taken.
    Allow {
        /// The rule that decided: the pointer of the tool's rule, `/default`, or empty for methods that no policy governs.
        rule: &'p str,
        /// What to take, in the order in which limits are checked.
        charges: Vec<Charge<'p>>,
    },
    /// The call must not pass.
    Deny {
        /// The rule that decided.
        rule: &'p str,
        /// What to tell the agent.
        reason: Cow<'p, str>,
    },
    /// The call must be answered as if there were no such thing.
    Hide {
        /// The rule that decided.
        rule: &'p str,
    },
    /// The call may pass once a person has approved it and all charges can be taken.
    Approve {
        /// The rule that asks.
        rule: &'p str,
        /// What to tell the agent, if the policy says.
        reason: Option<&'p str>,
        /// How long the approval stays open.
        timeout: Duration,
        /// How long to wait for a decision before answering.
        hold: Duration,
        /// What to take once it is approved, in the order in which limits are checked.
        charges: Vec<Charge<'p>>,
    },
}

/// What one limit takes for one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge<'p> {
    /// The limit that asks for it.
    pub limit: &'p Limit,
    /// The counter to take it from, unique within the policy and the limit's scope.
    pub counter: Cow<'p, str>,
    /// How much to take; never negative.
    pub cost: Decimal,
}

/// How a verdict came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation<'p> {
    /// What was looked at, in order.
    pub steps: Vec<Step>,
    /// What came of it; the same as [`crate::Policy::judge`] says.
    pub verdict: Verdict<'p>,
}

/// One thing that was looked at on the way to a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The JSON pointer of the rule, entry, condition or limit.
    pub rule: String,
    /// What was looked at, in words.
    pub looked_at: String,
    /// What came of it, in words.
    pub result: String,
}
