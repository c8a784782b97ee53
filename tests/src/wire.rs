//! HTTP as bytes: one request on a connection of its own, and all that comes back.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
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
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
        let driven = tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", address.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).map_err(std::io::Error::other)?;
        let (parts, body) = sender.send_request(request).await.map_err(std::io::Error::other)?.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        driven.abort();
        Ok(Reply { status: parts.status, headers: parts.headers, body })
    };
    tokio::time::timeout(PATIENCE, whole).await.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?
}
