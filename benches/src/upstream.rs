//! The MCP server behind the gate: as little Streamable HTTP as the load needs, as fast as it goes.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use memchr::memmem;
use tokio::net::TcpListener;

use crate::call::{self, LARGE, RESULT};
use crate::served;

/// The path of its endpoint.
pub(crate) const PATH: &str = "/mcp";

/// Says its address on standard output, and serves until standard input closes.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let large = large_result();
    served::announced(&listener, async |listener| {
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            let large = large.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| answer(request, large.clone()));
                // A connection that breaks is for whoever put load on it to notice.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
            });
        }
    })
    .await
}

async fn answer(request: Request<Incoming>, large: Bytes) -> Result<Response<Parts>, Infallible> {
    match *request.method() {
        Method::POST => {}
        Method::DELETE => return Ok(status(StatusCode::OK)),
        _ => return Ok(status(StatusCode::METHOD_NOT_ALLOWED)),
    }
    let Ok(body) = request.into_body().collect().await else { return Ok(status(StatusCode::BAD_REQUEST)) };
    let body = body.to_bytes();
    let Some(id) = call::raw_id(&body) else { return Ok(status(StatusCode::ACCEPTED)) };
    let begin = [br#"{"jsonrpc":"2.0","id":"#.as_slice(), id].concat();
    let has = |text: &str| memmem::find(&body, text.as_bytes()).is_some();
    if has(r#""name":"create_order""#) {
        return Ok(json(Parts::one([begin.as_slice(), b",", RESULT.as_bytes(), br#"a few words"}]}}"#].concat())));
    }
    if has(r#""name":"read_report""#) {
        return Ok(json(Parts::two(begin, large)));
    }
    if has(r#""method":"initialize""#) {
        return Ok(initialized(&begin));
    }
    Ok(json(Parts::one([begin.as_slice(), br#","result":{}}"#].concat())))
}

fn initialized(begin: &[u8]) -> Response<Parts> {
    static LAST: AtomicU64 = AtomicU64::new(0);
    const RESULT: &str = r#","result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1"}}}"#;
    let mut response = json(Parts::one([begin, RESULT.as_bytes()].concat()));
    let session = LAST.fetch_add(1, Ordering::Relaxed);
    response.headers_mut().insert("mcp-session-id", HeaderValue::from(session));
    response
}

fn large_result() -> Bytes {
    let line = b"a line of a report, with nothing in it that JSON escapes; ";
    let text: Vec<u8> = line.iter().copied().cycle().take(LARGE).collect();
    Bytes::from([b",", RESULT.as_bytes(), &text, br#""}]}}"#].concat())
}

fn status(status: StatusCode) -> Response<Parts> {
    let mut response = Response::new(Parts::default());
    *response.status_mut() = status;
    response
}

fn json(body: Parts) -> Response<Parts> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A body in up to two pieces, so that a large text is never copied to follow an id.
#[derive(Debug, Default)]
struct Parts {
    first: Bytes,
    second: Bytes,
}

impl Parts {
    fn one(first: Vec<u8>) -> Self {
        Self { first: first.into(), second: Bytes::new() }
    }

    fn two(first: Vec<u8>, second: Bytes) -> Self {
        Self { first: first.into(), second }
    }
}

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut next = std::mem::take(&mut self.first);
        if next.is_empty() {
            next = std::mem::take(&mut self.second);
        }
        Poll::Ready((!next.is_empty()).then(|| Ok(Frame::data(next))))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_empty() && self.second.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.first.len() + self.second.len();
        SizeHint::with_exact(u64::try_from(left).unwrap_or(u64::MAX))
    }
}
