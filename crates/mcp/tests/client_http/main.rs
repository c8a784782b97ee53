//! Upstreams over Streamable HTTP: what is sent, what is understood, and what becomes of everything that breaks.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod connections;
mod listening;
mod refusals;
mod replies;
mod server;
mod streams;
mod tls;

use std::time::Duration;

use bytes::Bytes;
use mcp::client::http::{Connection, Options, Pool, Target};
use mcp::client::{Event, Exchange, Incoming, Outgoing, Reply, Upstream, UpstreamError};
use mcp::envelope::IdKey;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// No condition here takes nearly as long; reaching it means that it never comes.
const NEVER: Duration = Duration::from_secs(30);

const DONE: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"ok":true}}"#;
const NOTE: &str = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"n":1}}"#;

struct Client {
    upstream: Upstream,
    incoming: Receiver<Incoming>,
}

fn pool(url: &str, options: Options) -> Pool {
    Pool::new(Target::parse(url, [("X-Key", "secret")]).unwrap(), options).unwrap()
}

fn client(url: &str) -> Client {
    client_with(url, Options::default())
}

fn client_with(url: &str, options: Options) -> Client {
    let (connection, incoming) = Connection::open(pool(url, options));
    Client { upstream: Upstream::Http(connection), incoming }
}

impl Client {
    async fn request(&self, method: &str) -> Result<Exchange, UpstreamError> {
        let body = Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#));
        let call = Outgoing { body, id: IdKey::from(1), method };
        timeout(NEVER, self.upstream.request(call)).await.unwrap()
    }

    async fn call(&self) -> Result<Reply, UpstreamError> {
        let mut exchange = self.request("tools/call").await?;
        reply(&mut exchange).await
    }

    /// The session's first request; what it is answered with must name a session where one is wanted.
    async fn initialize(&self) {
        let mut exchange = self.request("initialize").await.unwrap();
        reply(&mut exchange).await.unwrap();
        self.upstream.negotiated("2025-11-25");
    }

    async fn next_incoming(&mut self) -> Incoming {
        timeout(NEVER, self.incoming.recv()).await.unwrap().unwrap()
    }
}

async fn next(exchange: &mut Exchange) -> Result<Event, UpstreamError> {
    timeout(NEVER, exchange.next()).await.unwrap()
}

async fn reply(exchange: &mut Exchange) -> Result<Reply, UpstreamError> {
    match next(exchange).await? {
        Event::Reply(reply) => Ok(reply),
        Event::Message(message) => panic!("a message where the reply should be: {message:?}"),
    }
}

async fn message(exchange: &mut Exchange) -> Bytes {
    match next(exchange).await.unwrap() {
        Event::Message(message) => message,
        Event::Reply(reply) => panic!("the reply where a message should be: {reply:?}"),
    }
}

/// Waits until the condition holds.
async fn until(mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(NEVER, waiting).await.unwrap();
}
