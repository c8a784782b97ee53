//! The methods of the protocol, and what each of them must bring.

use super::fold::differs_only_in_case;

/// What the `params` of a method must have, because the gate judges by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    Name,
    Uri,
    Reference,
}

const REQUESTS: [&str; 23] = [
    "tools/call",
    "tools/list",
    "ping",
    "initialize",
    "prompts/get",
    "prompts/list",
    "resources/read",
    "resources/list",
    "resources/templates/list",
    "resources/subscribe",
    "resources/unsubscribe",
    "completion/complete",
    "logging/setLevel",
    "server/discover",
    "subscriptions/listen",
    "sampling/createMessage",
    "elicitation/create",
    "roots/list",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tasks/update",
    "tasks/cancel",
];

const NOTIFICATIONS: [&str; 13] = [
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/message",
    "notifications/roots/list_changed",
    "notifications/tools/list_changed",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
    "notifications/resources/updated",
    "notifications/elicitation/complete",
    "notifications/subscriptions/acknowledged",
    "notifications/tasks/status",
    "notifications/tasks",
];

/// What a method needs in its `params`.
pub(super) fn needs(method: &str) -> Needs {
    match method {
        "tools/call" | "prompts/get" => Needs::Name,
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => Needs::Uri,
        "completion/complete" => Needs::Reference,
        _ => Needs::Nothing,
    }
}

/// Whether the method is one of the protocol's requests, which need an id to be answered.
pub(super) fn is_request(method: &str) -> bool {
    REQUESTS.contains(&method)
}

/// Whether the method names a notification, which has no id.
pub(super) fn is_notification(method: &str) -> bool {
    method.starts_with("notifications/")
}

/// The known method that this one would be if case were ignored.
pub(super) fn lookalike(method: &str) -> Option<&'static str> {
    REQUESTS.into_iter().chain(NOTIFICATIONS).find(|known| differs_only_in_case(method, known))
}

/// Whether the method is known as it is written.
pub(super) fn is_known(method: &str) -> bool {
    is_request(method) || NOTIFICATIONS.contains(&method)
}
