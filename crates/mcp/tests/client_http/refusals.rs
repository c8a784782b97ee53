//! Answers that are no success, and sessions that are lost.

use mcp::client::{Incoming, ReplyKind, UpstreamError};

use crate::server::{Answer, Server, answer};
use crate::{Client, DONE, client};

const JSON: (&str, &str) = ("content-type", "application/json");

/// A server that begins a session and then answers everything in one way.
async fn after_initialize(respond: impl Fn() -> Answer + Send + Sync + 'static) -> (Server, Client) {
    let server = Server::start(move |_, seen| match seen.body.contains("initialize") {
        true => answer(200, &[JSON, ("mcp-session-id", "s-1")], DONE),
        false => respond(),
    })
    .await;
    let client = client(&server.url());
    client.initialize().await;
    (server, client)
}

#[tokio::test]
async fn status_404_means_that_the_session_is_lost() {
    let (server, mut client) = after_initialize(|| answer(404, &[], "")).await;
    assert_eq!(client.call().await.unwrap_err(), UpstreamError::SessionLost);
    assert!(client.upstream.is_closed());
    assert_eq!(client.next_incoming().await, Incoming::Closed("the upstream has lost the session".to_owned()));
    assert_eq!(client.upstream.send("{}".into()).await.unwrap_err(), UpstreamError::SessionLost);
    client.upstream.close().await;
    assert_eq!(server.seen().len(), 2, "nothing more is sent in a lost session");
}

#[tokio::test]
async fn status_400_that_explains_it_means_that_the_session_is_lost() {
    for explains in [
        r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"},"id":null}"#,
        r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}}"#,
    ] {
        let (_server, client) = after_initialize(|| answer(400, &[JSON], explains)).await;
        assert_eq!(client.call().await.unwrap_err(), UpstreamError::SessionLost);
    }
}

#[tokio::test]
async fn other_refusals_keep_the_session() {
    let (_server, client) = after_initialize(|| {
        answer(400, &[JSON], r#"{"jsonrpc":"2.0","error":{"code":-32602,"message":"no"},"id":null}"#)
    })
    .await;
    let error = client.call().await.unwrap_err();
    assert!(matches!(error, UpstreamError::Refused { status: 400, .. }), "{error:?}");
    assert!(!client.upstream.is_closed());
}

async fn check_refused(status: u16, headers: &'static [(&str, &str)], says: &str) {
    let server = Server::start(move |_, _| answer(status, headers, "a page")).await;
    let error = client(&server.url()).call().await.unwrap_err();
    assert_eq!(error.to_string(), says);
    let UpstreamError::Refused { status: told, body, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!((told, &body[..]), (status, &b"a page"[..]));
}

#[tokio::test]
async fn refusals_say_what_to_look_at() {
    check_refused(404, &[], "the upstream answered with HTTP status 404 Not Found: check the path of its URL").await;
    check_refused(
        401,
        &[],
        "the upstream answered with HTTP status 401 Unauthorized: check the credentials configured for it",
    )
    .await;
    check_refused(500, &[], "the upstream answered with HTTP status 500 Internal Server Error").await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Server::start(|_, _| answer(200, &[JSON], DONE)).await;
    let location = elsewhere.url();
    let server = Server::start(move |_, _| answer(307, &[("location", &location)], "")).await;
    let error = client(&server.url()).call().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the upstream answered with HTTP status 307 Temporary Redirect: redirects are not followed, configure the address it leads to"
    );
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_reply_beside_an_error_status_is_the_reply() {
    let server =
        Server::start(|_, _| answer(403, &[JSON], r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}"#))
            .await;
    let reply = client(&server.url()).call().await.unwrap();
    assert_eq!(reply.kind(), ReplyKind::Error);
}

#[tokio::test]
async fn a_refused_notification_is_told() {
    let server = Server::start(|_, _| answer(403, &[], "")).await;
    let error = client(&server.url()).upstream.send("{}".into()).await.unwrap_err();
    assert!(matches!(error, UpstreamError::Refused { status: 403, .. }), "{error:?}");
}

#[tokio::test]
async fn an_endless_refusal_is_cut_off() {
    let server = Server::start(|_, _| answer(500, &[], &"x".repeat(1 << 20))).await;
    let error = client(&server.url()).call().await.unwrap_err();
    assert!(matches!(&error, UpstreamError::Refused { body, .. } if body.len() == 64 << 10), "{error:?}");
}
