//! A small client of the gateway's own API, over a loopback connection.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use gateway::api_types::{ErrorBody, Presence};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

/// The file by which a running gateway is found.
const PRESENCE: &str = "gateway.json";
/// The file that holds the token of its API.
const ADMIN_TOKEN: &str = "admin-token";
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer that is held in memory; exports are streamed and have no bound.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// A client of one gateway.
pub(crate) struct Client {
    address: SocketAddr,
    token: String,
}

impl Client {
    /// The client of the gateway that holds `directory`.
    pub(crate) fn of_directory(directory: &Path) -> anyhow::Result<Self> {
        let read = |name: &str| {
            let file = directory.join(name);
            fs::read_to_string(&file).with_context(|| format!("could not read `{}`", file.display()))
        };
        let presence: Presence =
            serde_json::from_str(&read(PRESENCE)?).with_context(|| format!("`{PRESENCE}` cannot be read"))?;
        let address: SocketAddr = presence.address.parse().with_context(|| format!("`{PRESENCE}` has no address"))?;
        let token = read(ADMIN_TOKEN)?.trim().to_owned();
        Ok(Self { address: reachable(address), token })
    }

    /// Where an agent reaches a server through the gateway.
    pub(crate) fn endpoint(&self, server: &str) -> String {
        format!("http://{}/mcp/{server}", self.address)
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str, query: &impl Serialize) -> anyhow::Result<T> {
        let path = with_query(path, query)?;
        self.answer(self.send(Method::GET, &path, None).await?).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        let body = serde_json::to_vec(body)?;
        self.answer(self.send(Method::POST, path, Some(body)).await?).await
    }

    /// Asks for something long; the caller reads the body piece by piece.
    pub(crate) async fn stream(&self, path: &str, query: &impl Serialize) -> anyhow::Result<Incoming> {
        let path = with_query(path, query)?;
        let response = self.send(Method::GET, &path, None).await?;
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        Err(self.refusal(response).await)
    }

    async fn send(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> anyhow::Result<Response<Incoming>> {
        let connecting = TcpStream::connect(self.address);
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
            .await
            .map_err(|_| anyhow!("it did not answer in time"))
            .and_then(|connected| Ok(connected?))
            .with_context(|| format!("could not connect to the gateway at {}", self.address))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // The connection ends with its one exchange; what goes wrong on it shows in the answer.
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header(HOST, self.address.to_string())
            .header(AUTHORIZATION, format!("Bearer {}", self.token));
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(Bytes::from(body.unwrap_or_default())))?;
        sender.send_request(request).await.context("the gateway closed the connection")
    }

    async fn answer<T: DeserializeOwned>(&self, response: Response<Incoming>) -> anyhow::Result<T> {
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let body = bounded(response.into_body()).await?;
        serde_json::from_slice(&body).context("the gateway's answer cannot be read: is it of another version?")
    }

    async fn refusal(&self, response: Response<Incoming>) -> anyhow::Error {
        let status = response.status();
        let body = bounded(response.into_body()).await.unwrap_or_default();
        match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(ErrorBody { error }) if error.help.is_empty() => anyhow!("{}", error.message),
            Ok(ErrorBody { error }) => anyhow!("{}: {}", error.message, error.help),
            Err(_) => anyhow!("the gateway answered with status {status}"),
        }
    }
}

async fn bounded(body: Incoming) -> anyhow::Result<Bytes> {
    let collected = http_body_util::Limited::new(body, MAX_ANSWER_BYTES).collect().await;
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(why) => bail!("the gateway's answer could not be read: {why}"),
    }
}

/// An address that can be connected to, for one that can only be listened on.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        SocketAddr::V4(_) | SocketAddr::V6(_) => address,
    }
}

/// Appends the members of a flat structure as query parameters.
fn with_query(path: &str, query: &impl Serialize) -> anyhow::Result<String> {
    let mut text = path.to_owned();
    let serde_json::Value::Object(members) = serde_json::to_value(query)? else {
        return Ok(text);
    };
    for (name, value) in members {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.push(if text.contains('?') { '&' } else { '?' });
        text.push_str(&format!("{name}={}", percent_encoded(&value)));
    }
    Ok(text)
}

/// Percent-encodes everything that is not unreserved (RFC 3986).
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_holds_what_is_present() {
        let query = serde_json::json!({"grant": "a b&c", "limit": 5});
        assert_eq!(with_query("/audit", &query).unwrap(), "/audit?grant=a%20b%26c&limit=5");
        assert_eq!(with_query("/audit", &serde_json::json!({})).unwrap(), "/audit");
    }

    #[test]
    fn an_address_that_listens_everywhere_is_reached_on_this_machine() {
        assert_eq!(reachable("0.0.0.0:7400".parse().unwrap()).to_string(), "127.0.0.1:7400");
        assert_eq!(reachable("[::]:7400".parse().unwrap()).to_string(), "[::1]:7400");
        assert_eq!(reachable("10.0.0.1:1".parse().unwrap()).to_string(), "10.0.0.1:1");
    }
}
