//! What a call costs.

use policy::{Count, Decimal, Scope, Window, WindowKind};

/// Which counter a charge goes to. Editing a policy keeps its counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CounterKey<'a> {
    /// Name of the policy.
    pub policy: &'a str,
    /// What the counter is shared by.
    pub scope: Scope,
    /// Grant id, session id, server name, or nothing, as the scope demands.
    pub subject: &'a str,
    /// The counter's name in the policy.
    pub counter: &'a str,
}

/// One limit and what a call takes from it.
#[derive(Clone, Copy, Debug)]
pub struct Charge<'a> {
    /// The counter.
    pub key: CounterKey<'a>,
    /// The limit's window.
    pub window: Window,
    /// How the window moves.
    pub kind: WindowKind,
    /// The most the counter may hold.
    pub max: &'a Decimal,
    /// What this call takes.
    pub cost: &'a Decimal,
    /// Whether an error answer gives the cost back.
    pub count: Count,
    /// The rule recorded when the limit refuses the call.
    pub rule: &'a str,
    /// The reason recorded when the limit refuses the call.
    pub on_deny: &'a str,
}
