//! Which TCP connections are opened, used again, and replaced.

use std::time::Duration;

use mcp::client::Upstream;
use mcp::client::UpstreamError;
use mcp::client::http::{Connection, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::server::{Server, events, json};
use crate::{Client, DONE, client, client_with, pool};

#[tokio::test]
async fn connections_are_used_again() {
    let server = Server::start(|_, _| json(DONE)).await;
    let client = client(&server.url());
    for _ in 0..5 {
        client.call().await.unwrap();
    }
    client.upstream.send("{}".into()).await.unwrap();
    client.call().await.unwrap();
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn sessions_share_connections() {
    let server = Server::start(|_, _| json(DONE)).await;
    let pool = pool(&server.url(), Options::default());
    for _ in 0..3 {
        let (connection, incoming) = Connection::open(pool.clone());
        Client { upstream: Upstream::Http(connection), incoming }.call().await.unwrap();
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn calls_at_the_same_time_have_connections_of_their_own() {
    let server = Server::start(|_, _| json(DONE)).await;
    let client = client(&server.url());
    let (one, other) = tokio::join!(client.call(), client.call());
    assert!(one.is_ok() && other.is_ok());
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn the_connection_of_an_event_stream_is_used_again() {
    let server = Server::start(|_, _| {
        let (answer, say) = events();
        say.say(format!("data: {DONE}\n\n"));
        answer
    })
    .await;
    let client = client(&server.url());
    for _ in 0..3 {
        client.call().await.unwrap();
        // The end of the stream may come a moment after the reply.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_unused_connection_expires() {
    let server = Server::start(|_, _| json(DONE)).await;
    let client = client_with(&server.url(), Options { keep_idle: Duration::ZERO, ..Options::default() });
    client.call().await.unwrap();
    client.call().await.unwrap();
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_server_may_shorten_how_long_connections_are_kept() {
    let headers = [("content-type", "application/json"), ("keep-alive", "timeout=1, max=100")];
    let server = Server::start(move |_, _| crate::server::answer(200, &headers, DONE)).await;
    let client = client(&server.url());
    client.call().await.unwrap();
    client.call().await.unwrap();
    assert_eq!(server.connections(), 2);
}

/// A server whose connections are handed to the test, which plays it byte for byte.
async fn by_hand() -> (String, mpsc::UnboundedReceiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let (accepted, connections) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = accepted.send(stream);
        }
    });
    (url, connections)
}

async fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
    }
}

async fn answer_by_hand(stream: &mut TcpStream) {
    read_request(stream).await;
    let length = DONE.len();
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{DONE}");
    stream.write_all(answer.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_is_replaced() {
    let (url, mut connections) = by_hand().await;
    let client = client(&url);
    let (first, ()) = tokio::join!(client.call(), async {
        answer_by_hand(&mut connections.recv().await.unwrap()).await;
    });
    first.unwrap();
    // The runtime hears of the close before the next call.
    tokio::task::yield_now().await;
    let (second, ()) = tokio::join!(client.call(), async {
        answer_by_hand(&mut connections.recv().await.unwrap()).await;
    });
    second.unwrap();
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_leaves_the_outcome_open() {
    let (url, mut connections) = by_hand().await;
    let client = client(&url);
    let (outcome, ()) = tokio::join!(client.call(), async {
        read_request(&mut connections.recv().await.unwrap()).await;
    });
    let error = outcome.unwrap_err();
    assert!(matches!(error, UpstreamError::Unknown(_)), "{error:?}");
    assert!(error.to_string().contains("broke the connection before it answered"), "{error}");
    assert!(connections.try_recv().is_err(), "a request is never repeated");
}

#[tokio::test]
async fn an_answer_that_breaks_off_leaves_the_outcome_open() {
    let (url, mut connections) = by_hand().await;
    let client = client(&url);
    let (outcome, ()) = tokio::join!(client.call(), async {
        let mut stream = connections.recv().await.unwrap();
        read_request(&mut stream).await;
        let half = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{";
        stream.write_all(half).await.unwrap();
    });
    let error = outcome.unwrap_err();
    assert!(matches!(error, UpstreamError::Unknown(_)), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_is_no_http_leaves_the_outcome_open() {
    let (url, mut connections) = by_hand().await;
    let client = client(&url);
    let (outcome, ()) = tokio::join!(client.call(), async {
        let mut stream = connections.recv().await.unwrap();
        read_request(&mut stream).await;
        stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n\r\n").await.unwrap();
    });
    assert!(!outcome.unwrap_err().nothing_was_sent());
}

#[tokio::test]
async fn an_endless_head_is_refused() {
    let (url, mut connections) = by_hand().await;
    let client = client(&url);
    let (outcome, ()) = tokio::join!(client.call(), async {
        let mut stream = connections.recv().await.unwrap();
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    });
    assert!(outcome.is_err());
}

#[tokio::test]
async fn a_refused_connection_means_that_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = client(&format!("http://{address}/mcp")).call().await.unwrap_err();
    assert!(error.nothing_was_sent());
    assert!(error.to_string().starts_with(&format!("could not connect to `{address}`: Connection refused")), "{error}");
}

#[tokio::test]
async fn a_name_that_does_not_exist_means_that_nothing_was_sent() {
    let error = client("http://no-such-host.invalid/mcp").call().await.unwrap_err();
    assert!(error.nothing_was_sent());
    assert!(error.to_string().starts_with("could not connect to `no-such-host.invalid:80`:"), "{error}");
}

#[tokio::test]
async fn localhost_is_found_on_either_family() {
    for ip in ["127.0.0.1", "::1"] {
        let server = Server::on(ip, |_, _| json(DONE)).await;
        let client = client(&format!("http://localhost:{}/mcp", server.address.port()));
        client.call().await.unwrap();
        assert_eq!(server.seen()[0].header("host"), Some(format!("localhost:{}", server.address.port()).as_str()));
    }
}

#[tokio::test]
async fn an_ipv6_address_may_stand_in_the_url() {
    let server = Server::on("::1", |_, _| json(DONE)).await;
    client(&format!("http://[::1]:{}/mcp", server.address.port())).call().await.unwrap();
    assert_eq!(server.seen()[0].header("host"), Some(format!("[::1]:{}", server.address.port()).as_str()));
}

#[tokio::test]
async fn each_runtime_thread_has_connections_of_its_own() {
    let server = Server::start(|_, _| json(DONE)).await;
    let pool = pool(&server.url(), Options::default());
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let pool = pool.clone();
            tokio::task::spawn_blocking(move || {
                // Two runtimes, one after the other on one thread: what the first opened is not used by the second.
                for _ in 0..2 {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(async {
                        let (connection, incoming) = Connection::open(pool.clone());
                        let client = Client { upstream: Upstream::Http(connection), incoming };
                        client.call().await.unwrap();
                        client.call().await.unwrap();
                    });
                }
            })
        })
        .collect();
    for thread in threads {
        thread.await.unwrap();
    }
    assert_eq!(server.connections(), 4);
}

#[tokio::test]
async fn one_session_may_be_used_from_several_threads() {
    let server = Server::start(|_, _| json(DONE)).await;
    let client = std::sync::Arc::new(client(&server.url()));
    client.call().await.unwrap();
    let elsewhere = std::sync::Arc::clone(&client);
    let calls = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { elsewhere.call().await.is_ok() })
    });
    assert!(calls.await.unwrap());
    client.call().await.unwrap();
}
