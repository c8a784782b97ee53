//! Answers that are event streams, and streams that break.

use mcp::client::UpstreamError;
use mcp::client::http::Options;

use crate::server::{Server, answer, events, json};
use crate::{DONE, NOTE, client, client_with, message, reply};

fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

#[tokio::test]
async fn messages_come_before_the_reply() {
    let ask = r#"{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage"}"#;
    let server = Server::start(move |_, _| {
        let (answer, say) = events();
        say.say(format!(": a comment\n\nevent: message\nid: 1\n{}", event(NOTE)));
        say.say(event(ask));
        say.say("event: other\ndata: not for us\n\n");
        say.say(event(DONE));
        answer
    })
    .await;
    let mut exchange = client(&server.url()).request("tools/call").await.unwrap();
    assert_eq!(message(&mut exchange).await, NOTE);
    assert_eq!(message(&mut exchange).await, ask);
    assert_eq!(reply(&mut exchange).await.unwrap().message(), DONE);
}

#[tokio::test]
async fn events_are_put_together_from_any_pieces() {
    let server = Server::start(|_, _| {
        let (answer, say) = events();
        for byte in format!("{}{}", event(NOTE), event(DONE)).chars() {
            say.say(byte);
        }
        answer
    })
    .await;
    let mut exchange = client(&server.url()).request("tools/call").await.unwrap();
    assert_eq!(message(&mut exchange).await, NOTE);
    assert_eq!(reply(&mut exchange).await.unwrap().message(), DONE);
}

#[tokio::test]
async fn replies_to_other_requests_are_passed_over() {
    let server = Server::start(|_, _| {
        let (answer, say) = events();
        say.say(event(r#"{"jsonrpc":"2.0","id":99,"result":{}}"#));
        say.say(event(DONE));
        answer
    })
    .await;
    assert_eq!(client(&server.url()).call().await.unwrap().message(), DONE);
}

#[tokio::test]
async fn a_stream_that_breaks_is_resumed_after_its_last_event() {
    let server = Server::start(|number, _| {
        let (answer, say) = events();
        match number {
            0 => {
                say.say("retry: 1\nid: first\n");
                say.say(event(NOTE));
                say.break_off();
            }
            // The second breaks off too, before it gave an id of its own.
            1 => say.break_off(),
            2 => say.say(format!("id: third\n{}", event(NOTE))),
            _ => say.say(event(DONE)),
        }
        answer
    })
    .await;
    let client = client(&server.url());
    let mut exchange = client.request("tools/call").await.unwrap();
    assert_eq!(message(&mut exchange).await, NOTE);
    assert_eq!(message(&mut exchange).await, NOTE);
    assert_eq!(reply(&mut exchange).await.unwrap().message(), DONE);
    let asked: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| (seen.method.clone(), seen.header("last-event-id").map(str::to_owned)))
        .collect();
    let after = |id: &str| ("GET".to_owned(), Some(id.to_owned()));
    assert_eq!(asked, [("POST".to_owned(), None), after("first"), after("first"), after("third")]);
}

#[tokio::test]
async fn a_stream_that_the_server_closes_to_be_polled_is_resumed() {
    let server = Server::start(|number, _| {
        let (answer, say) = events();
        match number {
            0 => say.say("id: primed\nretry: 1\ndata:\n\n"),
            _ => say.say(event(DONE)),
        }
        answer
    })
    .await;
    assert_eq!(client(&server.url()).call().await.unwrap().message(), DONE);
    assert_eq!(server.seen()[1].header("last-event-id"), Some("primed"));
}

#[tokio::test]
async fn a_stream_without_ids_that_breaks_leaves_the_outcome_open() {
    let server = Server::start(|_, _| {
        let (answer, say) = events();
        say.say(event(NOTE));
        say.break_off();
        answer
    })
    .await;
    let mut exchange = client(&server.url()).request("tools/call").await.unwrap();
    message(&mut exchange).await;
    let error = reply(&mut exchange).await.unwrap_err();
    assert_eq!(error, UpstreamError::Unknown("the upstream closed its answer before the reply".to_owned()));
    assert!(reply(&mut exchange).await.is_err(), "nothing follows an error");
    assert_eq!(server.seen().len(), 1, "a request is never repeated");
}

#[tokio::test]
async fn a_stream_that_cannot_be_resumed_leaves_the_outcome_open() {
    let server = Server::start(|number, _| match number {
        0 => {
            let (answer, say) = events();
            say.say("retry: 1\nid: 1\ndata:\n\n");
            answer
        }
        _ => answer(405, &[], ""),
    })
    .await;
    let error = client(&server.url()).call().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the upstream's answer broke off and could not be resumed: HTTP status 405 Method Not Allowed"
    );
    assert!(!error.nothing_was_sent());
}

#[tokio::test]
async fn resuming_is_not_tried_for_ever() {
    let server = Server::start(|number, _| match number {
        0 => {
            let (answer, say) = events();
            say.say("retry: 1\nid: 1\ndata:\n\n");
            answer
        }
        _ => answer(503, &[], ""),
    })
    .await;
    assert!(client(&server.url()).call().await.is_err());
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn an_event_beyond_the_bound_is_refused() {
    let options = Options { message_bytes: 1000, ..Options::default() };
    let server = Server::start(|_, _| {
        let (answer, say) = events();
        say.say(event(&"x".repeat(5000)));
        answer
    })
    .await;
    let error = client_with(&server.url(), options).call().await.unwrap_err();
    assert_eq!(error, UpstreamError::TooLarge { limit: 1000 });
}

#[tokio::test]
async fn an_event_that_is_no_message_is_refused() {
    let server = Server::start(|_, _| {
        let (answer, say) = events();
        say.say(event("nonsense"));
        answer
    })
    .await;
    let error = client(&server.url()).call().await.unwrap_err();
    assert!(matches!(error, UpstreamError::Nonsense(_)), "{error:?}");
}

#[tokio::test]
async fn dropping_an_exchange_closes_its_stream_and_sends_nothing() {
    let (stream, say) = events();
    let stream = std::sync::Mutex::new(Some(stream));
    let server = Server::start(move |_, _| match stream.lock().unwrap().take() {
        Some(stream) => stream,
        None => json(DONE),
    })
    .await;
    let client = client(&server.url());
    let exchange = client.request("tools/call").await.unwrap();
    drop(exchange);
    crate::until(|| say.is_over()).await;
    assert_eq!(server.seen().len(), 1);
    client.call().await.unwrap();
    assert_eq!(server.connections(), 2);
}
