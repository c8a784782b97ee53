//! The stream of what the server says unasked, and the end of a session.

use std::sync::Mutex;

use mcp::client::Incoming;

use crate::server::{Answer, Server, answer, events};
use crate::{Client, DONE, NOTE, client, until};

const SESSION: [(&str, &str); 2] = [("content-type", "application/json"), ("mcp-session-id", "s-1")];

/// A server with a session whose GET requests are answered by the closure, which gets their number.
async fn listening(listen: impl Fn(usize) -> Answer + Send + Sync + 'static) -> (Server, Client) {
    let asked = Mutex::new(0);
    let server = Server::start(move |_, seen| match seen.method.as_str() {
        "GET" => {
            let mut asked = asked.lock().unwrap();
            *asked += 1;
            listen(*asked - 1)
        }
        "DELETE" => answer(200, &[], ""),
        _ if seen.body.contains("\"id\"") => answer(200, &SESSION, DONE),
        _ => answer(202, &[], ""),
    })
    .await;
    let client = client(&server.url());
    client.initialize().await;
    client.upstream.listen();
    (server, client)
}

fn requests(server: &Server, method: &str) -> Vec<crate::server::Seen> {
    server.seen().into_iter().filter(|seen| seen.method == method).collect()
}

#[tokio::test]
async fn what_the_server_says_unasked_is_heard_also_after_the_stream_broke() {
    let (server, mut client) = listening(|number| {
        let (answer, say) = events();
        match number {
            0 => {
                say.say(format!("retry: 1\nid: a\ndata: {NOTE}\n\n"));
                say.break_off();
            }
            1 => say.say(format!("retry: 1\ndata: {NOTE}\n\n")),
            _ => {
                say.say(format!("data: {NOTE}\n\n"));
                std::mem::forget(say);
            }
        }
        answer
    })
    .await;
    for _ in 0..3 {
        assert_eq!(client.next_incoming().await, Incoming::Message(NOTE.into()));
    }
    let asked = requests(&server, "GET");
    assert_eq!(asked[0].header("accept"), Some("text/event-stream"));
    assert_eq!(asked[0].header("mcp-session-id"), Some("s-1"));
    assert_eq!(asked[0].header("mcp-protocol-version"), Some("2025-11-25"));
    assert_eq!(asked[0].header("last-event-id"), None);
    assert_eq!(asked[1].header("last-event-id"), Some("a"));
    assert_eq!(asked[2].header("last-event-id"), Some("a"));
}

#[tokio::test]
async fn a_server_without_such_a_stream_is_not_asked_again() {
    let (server, client) = listening(|_| answer(405, &[], "")).await;
    until(|| requests(&server, "GET").len() == 1).await;
    client.call().await.unwrap();
    client.upstream.listen();
    client.call().await.unwrap();
    assert_eq!(requests(&server, "GET").len(), 1);
    assert!(!client.upstream.is_closed());
}

#[tokio::test]
async fn a_lost_session_is_noticed_while_listening() {
    check_lost(|| answer(404, &[], "")).await;
    let explains = r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"No valid session ID provided"}}"#;
    check_lost(move || answer(400, &[("content-type", "application/json")], explains)).await;
}

async fn check_lost(refuse: impl Fn() -> Answer + Send + Sync + 'static) {
    let (_server, mut client) = listening(move |_| refuse()).await;
    assert_eq!(client.next_incoming().await, Incoming::Closed("the upstream has lost the session".to_owned()));
    assert!(client.upstream.is_closed());
}

#[tokio::test]
async fn closing_ends_the_session_at_the_server() {
    let (answer, say) = events();
    let answer = Mutex::new(Some(answer));
    let (server, client) = listening(move |_| answer.lock().unwrap().take().unwrap()).await;
    until(|| requests(&server, "GET").len() == 1).await;
    client.upstream.close().await;
    let ended = requests(&server, "DELETE");
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].header("mcp-session-id"), Some("s-1"));
    until(|| say.is_over()).await;
    assert!(client.call().await.unwrap_err().nothing_was_sent());
    client.upstream.close().await;
    assert_eq!(requests(&server, "DELETE").len(), 1);
}

#[tokio::test]
async fn a_session_without_an_id_ends_without_a_word() {
    let server = Server::start(|_, _| crate::server::json(DONE)).await;
    let client = client(&server.url());
    client.initialize().await;
    client.upstream.close().await;
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn dropping_the_connection_stops_listening() {
    let (answer, say) = events();
    let answer = Mutex::new(Some(answer));
    let (server, client) = listening(move |_| answer.lock().unwrap().take().unwrap()).await;
    until(|| requests(&server, "GET").len() == 1).await;
    drop(client);
    until(|| say.is_over()).await;
}
