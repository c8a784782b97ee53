//! Answers in JSON, and what a request carries.

use mcp::client::http::{Options, Target};
use mcp::client::{ReplyKind, UpstreamError};

use crate::server::{Server, answer, json, stepwise};
use crate::{DONE, client, client_with};

const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

#[tokio::test]
async fn a_reply_in_json_comes_byte_for_byte() {
    let odd = "\n {\"jsonrpc\": \"2.0\" ,\"id\":1, \"result\" : {\"a\": 1e2,\"a\":[ ]} , \"x\":0}\n ";
    let server = Server::start(|_, _| answer(200, &[JSON], odd)).await;
    let reply = client(&server.url()).call().await.unwrap();
    assert_eq!(reply.message(), odd.trim().as_bytes());
    assert_eq!(reply.outcome(), r#"{"a": 1e2,"a":[ ]}"#);
    assert_eq!(reply.kind(), ReplyKind::Result);
    let other = reply.with_id("\"seven\"");
    assert_eq!(other, odd.trim().replace("\"id\":1", "\"id\":\"seven\""));
}

#[tokio::test]
async fn a_request_carries_what_it_must() {
    let server = Server::start(|_, _| json(DONE)).await;
    let client = client(&format!("http://{}/a%20path/?and=query", server.address));
    client.call().await.unwrap();
    let seen = server.seen().remove(0);
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/a%20path/?and=query"));
    assert_eq!(seen.header("host"), Some(server.address.to_string().as_str()));
    assert_eq!(seen.header("accept"), Some("application/json, text/event-stream"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("x-key"), Some("secret"));
    assert_eq!(seen.header("mcp-session-id"), None);
    assert_eq!(seen.body, r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#);
}

#[tokio::test]
async fn the_session_travels_with_every_request_after_the_first() {
    let server = Server::start(|_, seen| match seen.body.contains("initialize") {
        true => answer(200, &[JSON, ("mcp-session-id", "s-1")], DONE),
        false => answer(200, &[JSON, ("mcp-session-id", "not-ours")], DONE),
    })
    .await;
    let client = client(&server.url());
    client.initialize().await;
    client.call().await.unwrap();
    client.call().await.unwrap();
    client.upstream.send("{}".into()).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].header("mcp-session-id"), None);
    for later in &seen[1..] {
        assert_eq!(later.header("mcp-session-id"), Some("s-1"));
        assert_eq!(later.header("mcp-protocol-version"), Some("2025-11-25"));
    }
}

#[tokio::test]
async fn a_session_id_that_must_not_be_used_is_refused() {
    let server = Server::start(|_, _| answer(200, &[JSON, ("mcp-session-id", "two words")], DONE)).await;
    let error = client(&server.url()).request("initialize").await.unwrap_err();
    assert!(matches!(error, UpstreamError::Nonsense(_)), "{error:?}");
}

#[tokio::test]
async fn a_large_reply_in_many_pieces_is_put_together() {
    let text = "x".repeat(3 << 20);
    let whole = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"text":"{text}"}}}}"#);
    let expected = whole.clone();
    let server = Server::start(move |_, _| {
        let (answer, say) = stepwise(200, &[JSON]);
        for piece in whole.as_bytes().chunks(100_000) {
            say.say(String::from_utf8_lossy(piece));
        }
        answer
    })
    .await;
    let reply = client(&server.url()).call().await.unwrap();
    assert!(reply.message() == expected.as_bytes());
}

#[tokio::test]
async fn reading_an_answer_may_be_given_up_and_taken_up_again() {
    let (answer, say) = stepwise(200, &[JSON]);
    let answer = std::sync::Mutex::new(Some(answer));
    let server = Server::start(move |_, _| answer.lock().unwrap().take().unwrap()).await;
    let mut exchange = client(&server.url()).request("tools/call").await.unwrap();
    let (first, rest) = DONE.split_at(20);
    say.say(first);
    for _ in 0..20 {
        tokio::select! {
            biased;
            outcome = exchange.next() => panic!("{outcome:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    say.say(rest);
    drop(say);
    assert_eq!(crate::reply(&mut exchange).await.unwrap().message(), DONE);
}

#[tokio::test]
async fn an_answer_beyond_the_bound_is_refused() {
    let options = Options { message_bytes: 100, ..Options::default() };
    let long = format!(r#"{{"jsonrpc":"2.0","id":1,"result":"{}"}}"#, "x".repeat(100));
    let length = long.len().to_string();
    let known = long.clone();
    let server = Server::start(move |_, _| answer(200, &[JSON, ("content-length", &length)], &known)).await;
    let error = client_with(&server.url(), options.clone()).call().await.unwrap_err();
    assert_eq!(error, UpstreamError::TooLarge { limit: 100 });

    let server = Server::start(move |_, _| answer(200, &[JSON], &long)).await;
    let error = client_with(&server.url(), options).call().await.unwrap_err();
    assert_eq!(error.to_string(), "the upstream's answer is larger than 100 bytes");
}

async fn check_nonsense(body: &'static str, says: &str) {
    let server = Server::start(move |_, _| json(body)).await;
    let error = client(&server.url()).call().await.unwrap_err();
    assert!(matches!(&error, UpstreamError::Nonsense(words) if words.contains(says)), "{error:?}");
}

#[tokio::test]
async fn what_is_no_reply_to_the_request_is_refused() {
    check_nonsense("not JSON", "cannot be read").await;
    check_nonsense("", "cannot be read").await;
    check_nonsense(r#"{"jsonrpc":"2.0","id":2,"result":{}}"#, "the id of another request").await;
    check_nonsense(r#"{"jsonrpc":"2.0","id":"1","result":{}}"#, "the id of another request").await;
    check_nonsense(r#"{"jsonrpc":"2.0","method":"notifications/x"}"#, "no response").await;
}

#[tokio::test]
async fn an_error_without_an_id_is_the_reply_and_gets_one() {
    let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}"#;
    let server = Server::start(move |_, _| json(error)).await;
    let reply = client(&server.url()).call().await.unwrap();
    assert_eq!(reply.kind(), ReplyKind::Error);
    assert_eq!(reply.with_id("7"), r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32600,"message":"no"}}"#);
}

#[tokio::test]
async fn accepting_a_request_without_answering_it_is_refused() {
    let server = Server::start(|_, _| answer(202, &[], "")).await;
    let error = client(&server.url()).call().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the upstream answered a request with HTTP status 202 Accepted but with neither JSON nor an event stream"
    );
}

#[test]
fn urls_that_cannot_be_used_say_why() {
    let check = |url: &str, says: &str| {
        let error = Target::parse(url, []).unwrap_err().to_string();
        assert!(error.contains(says), "{url}: {error}");
    };
    check("ftp://host/", "must begin with `http://` or `https://`");
    check("/mcp", "must begin with");
    check("http://", "is not a URL");
    check("http://user:pass@host/", "user name or password");
    check("http://host:99999/", "port");
    check("http://host:0/", "port 0");
}

#[test]
fn headers_of_the_transport_cannot_be_configured() {
    let check = |name: &str, value: &str, says: &str| {
        let error = Target::parse("http://host/", [(name, value)]).unwrap_err().to_string();
        assert!(error.contains(says), "{name}: {error}");
    };
    check("Mcp-Session-Id", "x", "is set by the transport");
    check("content-length", "1", "is set by the transport");
    check("two words", "x", "cannot be the name of a header");
    check("x", "a\nb", "characters that a header cannot");
}

#[test]
fn secrets_are_not_printed() {
    let target = Target::parse("https://host/path?key=secret", [("Authorization", "Bearer secret")]).unwrap();
    assert_eq!(format!("{target:?}"), r#"Target("host:443")"#);
}
