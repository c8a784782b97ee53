//! HTTP as bytes: one request on a connection of its own, and all that comes back.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::PATIENCE;

/// All of one HTTP response.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Reply {
    /// The JSON-RPC messages in the body, as they stand, whether it is JSON or an event stream.
    pub fn messages(&self) -> Vec<String> {
        let text = std::str::from_utf8(&self.body).expect("the gate answers in UTF-8");
        let is_stream =
            self.headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        if !is_stream {
            return if text.is_empty() { Vec::new() } else { vec![text.to_owned()] };
        }
        let data = |event: &str| {
            let lines = event.lines().filter_map(|line| line.strip_prefix("data:"));
            let lines: Vec<&str> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
            lines.join("\n")
        };
        text.split("\n\n").map(data).filter(|data| !data.trim().is_empty()).collect()
    }

    /// The last message, which is the answer.
    pub fn message(&self) -> String {
        self.messages().pop().unwrap_or_else(|| panic!("there is no message in {self:?}"))
    }

    /// The last message, read.
    pub fn json(&self) -> Value {
        let message = self.message();
        serde_json::from_str(&message).unwrap_or_else(|error| panic!("{error} in {message}"))
    }
}

/// A response whose body is still being read.
#[derive(Debug)]
pub struct Stream {
    /// Its status.
    pub status: StatusCode,
    body: Incoming,
    unread: String,
    driven: tokio::task::JoinHandle<hyper::Result<()>>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.driven.abort();
    }
}

impl Stream {
    /// The next event that carries a message: its id, and the message.
    pub async fn event(&mut self) -> (String, String) {
        tokio::time::timeout(PATIENCE, self.next_event()).await.expect("an event comes in time")
    }

    async fn next_event(&mut self) -> (String, String) {
        loop {
            while let Some((event, rest)) = self.unread.split_once("\n\n") {
                let field = |name: &str| {
                    let lines = event.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                    lines.map(str::trim_start).collect::<Vec<_>>().join("\n")
                };
                let (id, data) = (field("id"), field("data"));
                self.unread = rest.to_owned();
                if !data.is_empty() {
                    return (id, data);
                }
            }
            let frame = self.body.frame().await.expect("the stream goes on").expect("the stream does not break");
            if let Some(data) = frame.data_ref() {
                self.unread.push_str(std::str::from_utf8(data).expect("the gate writes events in UTF-8"));
            }
        }
    }
}

/// Sends one request and reads the whole response.
///
/// # Errors
///
/// A connection that could not be made, or broke.
pub async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> std::io::Result<Reply> {
    let whole = async {
        let (response, driven) = start(address, method, path, headers, body.into()).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        driven.abort();
        Ok(Reply { status: parts.status, headers: parts.headers, body })
    };
    tokio::time::timeout(PATIENCE, whole).await.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?
}

/// Sends one request and leaves the response's body to be read.
///
/// # Errors
///
/// A connection that could not be made, or broke.
pub async fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> std::io::Result<Stream> {
    let (response, driven) = start(address, "GET", path, headers, Bytes::new()).await?;
    Ok(Stream { status: response.status(), body: response.into_body(), unread: String::new(), driven })
}

type Started = (http::Response<Incoming>, tokio::task::JoinHandle<hyper::Result<()>>);

async fn start(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> std::io::Result<Started> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
    let driven = tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path);
    if headers.iter().all(|(name, _)| *name != "host") {
        request = request.header("host", address.to_string());
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body)).map_err(std::io::Error::other)?;
    let response = sender.send_request(request).await.map_err(std::io::Error::other)?;
    Ok((response, driven))
}
