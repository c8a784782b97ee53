//! Who may use what: tokens, sessions of others, and grants that are taken back.

use crate::agent::told;
use crate::configuration::{Configuration, token};
use crate::gateway::Gateway;
use crate::upstream::Upstream;

const ALLOW: &str = r#"{"version":"1","default":"allow"}"#;

fn start() -> (Gateway, Upstream) {
    let upstream = Upstream::start();
    upstream.server("s");
    upstream.server("t");
    let configuration = Configuration::default()
        .server("s", &upstream.url("s"))
        .server("t", &upstream.url("t"))
        .policy("p", ALLOW)
        .grant("a", "s", "p")
        .grant("a", "t", "p")
        .grant("b", "s", "p");
    (Gateway::start(&configuration), upstream)
}

/// Makes a grant through the API and gives its token.
fn make_grant(gateway: &Gateway, label: &str) -> String {
    let body = format!(r#"{{"label":"{label}","access":[{{"server":"s","policy":"p"}}]}}"#);
    gateway.tell("/api/v1/grants", &body)["token"].as_str().expect("a token").to_owned()
}

#[test]
fn a_grant_that_is_taken_back_is_refused_at_its_next_call() {
    let (gateway, upstream) = start();
    let token = make_grant(&gateway, "made");
    let session = gateway.agents.open_as(&token, "s", None, "2025-06-18");
    assert_eq!(told(&session.call(1, "t", "{}")), "allow");
    gateway.tell("/api/v1/grants/made/revoke", "");
    let refused = session.call(2, "t", "{}");
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").is_some());
    assert_eq!(refused.json()["id"], serde_json::Value::Null);
    assert_eq!(upstream.server("s").calls(), 1);
}

#[test]
fn a_token_that_was_replaced_is_refused_at_its_next_call() {
    let (gateway, upstream) = start();
    let old = make_grant(&gateway, "made");
    let session = gateway.agents.open_as(&old, "s", None, "2025-06-18");
    assert_eq!(told(&session.call(1, "t", "{}")), "allow");
    let new = gateway.tell("/api/v1/grants/made/rotate", "")["token"].as_str().expect("a token").to_owned();
    assert_eq!(session.call(2, "t", "{}").status, 401);
    assert_eq!(told(&session.claimed_by(&new).call(3, "t", "{}")), "allow");
    assert_eq!(upstream.server("s").calls(), 2);
}

#[test]
fn the_session_of_another_grant_does_not_exist() {
    let (gateway, upstream) = start();
    let session = gateway.agents.open("a", "s");
    let stolen = session.claimed_by(&token("b")).call(1, "t", "{}");
    assert_eq!(stolen.status, 404);
    assert_eq!(stolen.json()["error"]["code"], -32600);
    let mut invented = session.claimed_by(&token("b"));
    invented.id = "x".repeat(session.id.len());
    assert_eq!(invented.call(1, "t", "{}").text(), stolen.text());
    assert_eq!(upstream.server("s").calls(), 0);
    assert_eq!(told(&session.call(2, "t", "{}")), "allow");
}

#[test]
fn the_session_with_another_server_does_not_exist() {
    let (gateway, upstream) = start();
    let here = gateway.agents.open("a", "s");
    let mut there = gateway.agents.open("a", "t");
    there.id = here.id.clone();
    assert_eq!(there.call(1, "t", "{}").status, 404);
    assert_eq!(upstream.server("t").calls() + upstream.server("s").calls(), 0);
}

#[test]
fn a_stranger_learns_nothing_and_leaves_no_record() {
    let (gateway, upstream) = start();
    let session = gateway.agents.open("a", "s");
    let stranger = session.claimed_by(&"z".repeat(40)).call(1, "t", "{}");
    assert_eq!(stranger.status, 401);
    assert_eq!(upstream.server("s").calls(), 0);
    assert!(gateway.entries_after(0).is_empty());
}

#[test]
fn credentials_of_the_agent_stay_with_the_gate() {
    let (gateway, upstream) = start();
    let session = gateway.agents.open("a", "s");
    session.call(1, "t", "{}");
    let seen = upstream.server("s").headers();
    assert!(seen.iter().all(|name| !matches!(name.as_str(), "authorization" | "cookie" | "origin")), "{seen:?}");
}
