//! One MCP session on one kept-alive connection.

use std::net::SocketAddr;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::call::Tool;

/// How much of an answer is looked at.
const HEAD_BYTES: usize = 256;
const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// An MCP endpoint: the server itself, or the gate in front of it.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    address: SocketAddr,
    path: Uri,
    headers: HeaderMap,
}

impl Endpoint {
    pub(crate) fn new(address: SocketAddr, path: &str, token: Option<&str>) -> anyhow::Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(&address.to_string())?);
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("mcp-protocol-version", HeaderValue::from_static("2025-11-25"));
        if let Some(token) = token {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}"))?);
        }
        Ok(Self { address, path: path.parse()?, headers })
    }

    pub(crate) async fn connect(&self) -> anyhow::Result<Connection> {
        let socket =
            TcpStream::connect(self.address).await.with_context(|| format!("cannot reach {}", self.address))?;
        socket.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        // Its end shows in the request that fails.
        tokio::spawn(connection);
        Ok(Connection { endpoint: self.clone(), sender })
    }

    /// Opens a session on a connection of its own.
    pub(crate) async fn session(&self) -> anyhow::Result<Session> {
        Session::open(self.connect().await?).await
    }
}

/// A kept-alive connection.
#[derive(Debug)]
pub(crate) struct Connection {
    endpoint: Endpoint,
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    async fn post(&mut self, headers: HeaderMap, body: Bytes) -> anyhow::Result<Response<Incoming>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.path.clone();
        *request.headers_mut() = headers;
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }

    /// Opens a session as every client does; its id is all that is left of it.
    pub(crate) async fn initialize(&mut self) -> anyhow::Result<HeaderMap> {
        let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
        let mut headers = self.endpoint.headers.clone();
        let response = self.post(headers.clone(), Bytes::from_static(initialize.as_bytes())).await?;
        let (status, id) = (response.status(), response.headers().get(SESSION_ID).cloned());
        let text = response.into_body().collect().await?.to_bytes();
        let Some(id) = id.filter(|_| status == StatusCode::OK) else {
            bail!("`initialize` was answered by {status}: {}", String::from_utf8_lossy(&text));
        };
        headers.insert(SESSION_ID, id);
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        let response = self.post(headers.clone(), Bytes::from_static(initialized.as_bytes())).await?;
        let status = response.status();
        response.into_body().collect().await?;
        if status != StatusCode::ACCEPTED {
            bail!("`notifications/initialized` was answered by {status}");
        }
        Ok(headers)
    }
}

/// An open session that calls are made on, one after the other.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    headers: HeaderMap,
    last_id: u64,
}

impl Session {
    async fn open(mut connection: Connection) -> anyhow::Result<Self> {
        let headers = connection.initialize().await?;
        Ok(Self { connection, headers, last_id: 0 })
    }

    /// Calls a tool, reads the whole answer, and fails unless it is the tool's result.
    pub(crate) async fn call(&mut self, tool: Tool) -> anyhow::Result<()> {
        self.last_id += 1;
        let id = self.last_id;
        let response = self.connection.post(self.headers.clone(), tool.request(id)).await?;
        let status = response.status();
        let mut body = response.into_body();
        let (mut head, mut bytes) = (Vec::with_capacity(HEAD_BYTES), 0_usize);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            bytes += data.len();
            let wanted = HEAD_BYTES.saturating_sub(head.len()).min(data.len());
            head.extend_from_slice(data.get(..wanted).unwrap_or_default());
        }
        if status == StatusCode::OK && tool.is_answer(id, &head, bytes) {
            return Ok(());
        }
        Err(anyhow!("a call was answered by {status}: {}", String::from_utf8_lossy(&head)))
    }
}
