//! Sessions with the server behind the gate, and what becomes of them.

use crate::agent::{Session, call, told};
use crate::configuration::Configuration;
use crate::gateway::Gateway;
use crate::upstream::{Reply, Upstream};

fn start(policy: &str) -> (Gateway, Upstream, Session) {
    let upstream = Upstream::start();
    upstream.server("s").has_tools(["t"]);
    let configuration =
        Configuration::default().server("s", &upstream.url("s")).policy("p", policy).grant("a", "s", "p");
    let gateway = Gateway::start(&configuration);
    let session = gateway.agents.open("a", "s");
    (gateway, upstream, session)
}

#[test]
fn an_agent_does_not_notice_that_the_server_has_lost_its_session() {
    let (gateway, upstream, session) =
        start(r#"{"version":"1","default":"allow","tools":{"t":{"rate_limit":"2/minute"}}}"#);
    let server = upstream.server("s");
    session.post(r#"{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"error"}}"#);
    assert_eq!(told(&session.call(2, "t", "{}")), "allow");
    server.forget_sessions();
    let before = server.count();
    assert_eq!(session.call(3, "t", "{}").text(), server.last_answer());
    assert_eq!(server.sessions_opened(), 2);
    let methods: Vec<_> = server.received_after(before).into_iter().map(|message| message.method).collect();
    // What the old session had been told, the new one is told before it is used.
    assert_eq!(methods, ["initialize", "notifications/initialized", "logging/setLevel", "tools/call"]);
    // It was one call, and one session.
    assert_eq!(gateway.entries_after(0).iter().filter(|entry| entry["method"] == "tools/call").count(), 2);
    assert_eq!(told(&session.call(4, "t", "{}")), "limit");
}

#[test]
fn the_names_of_tools_are_found_although_the_server_has_lost_the_session() {
    let (_gateway, upstream, session) = start(r#"{"version":"1","default":"allow","hide":["u"]}"#);
    let server = upstream.server("s");
    server.forget_sessions();
    assert_eq!(told(&session.call(1, "t", "{}")), "allow");
    assert_eq!(session.call(2, "t", "{}").text(), server.last_answer());
    assert_eq!(server.sessions_opened(), 2);
}

#[test]
fn each_session_of_an_agent_has_its_own_with_the_server() {
    let (gateway, upstream, session) = start(r#"{"version":"1","default":"allow"}"#);
    let other = gateway.agents.open("a", "s");
    assert_eq!(upstream.server("s").sessions_opened(), 2);
    assert_ne!(session.id, other.id);
}

#[test]
fn a_server_that_comes_back_is_used_again() {
    let (gateway, upstream, session) = start(r#"{"version":"1","default":"allow"}"#);
    upstream.leave();
    let failed = session.call(1, "t", "{}").json();
    assert_eq!(failed["error"]["code"], -32000, "{failed}");
    assert_eq!(failed["error"]["data"]["dev.toolgate/error"]["origin"], "upstream", "{failed}");
    upstream.come_back();
    assert_eq!(session.call(2, "t", "{}").text(), upstream.server("s").last_answer());
    let settled: Vec<_> = gateway.entries_after(0).iter().map(|entry| entry["settled"].clone()).collect();
    assert_eq!(settled, ["not_sent", "answered"]);
}

#[test]
fn a_server_that_never_answers_is_given_up_and_told_so() {
    let upstream = Upstream::start();
    let server = upstream.server("s");
    let configuration = Configuration::default()
        .impatient_server("s", &upstream.url("s"), "300ms")
        .policy("p", r#"{"version":"1","default":"allow"}"#)
        .grant("a", "s", "p");
    let gateway = Gateway::start(&configuration);
    let session = gateway.agents.open("a", "s");
    server.replies(Reply::Silence);
    let before = server.count();
    let answer = session.call(1, "t", "{}").json();
    assert_eq!(answer["error"]["code"], -32001, "{answer}");
    let received = server.received_after(before);
    assert_eq!(received.len(), 2, "{received:?}");
    assert_eq!(received[1].method, "notifications/cancelled");
    assert!(
        received[1].params.as_deref().is_some_and(|params| params.starts_with(r#"{"requestId":1,"#)),
        "{received:?}"
    );
    assert_eq!(gateway.entries_after(0)[0]["settled"], "timed_out");
}

#[test]
fn a_call_that_the_agent_cancels_is_cancelled_at_a_server_that_does_not_answer() {
    let (gateway, upstream, session) = start(r#"{"version":"1","default":"allow"}"#);
    let server = upstream.server("s");
    server.replies(Reply::Silence);
    let before = server.count();
    session.send(call(1, "t", "{}"));
    while server.calls() == 0 {
        std::thread::yield_now();
    }
    let beside = session.on_its_own_connection(gateway.address);
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    assert_eq!(beside.post(cancelled).status, 202);
    assert_eq!(session.receive().json()["error"]["code"], -32800);
    let methods: Vec<_> = server.received_after(before).into_iter().map(|message| message.method).collect();
    assert_eq!(methods, ["tools/call", "notifications/cancelled"]);
    assert_eq!(gateway.entries_after(0)[0]["settled"], "unknown");
}
