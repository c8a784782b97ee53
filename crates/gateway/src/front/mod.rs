//! The HTTP side that agents and people see: one address for MCP, the API, health and metrics.

mod body;
mod events;
mod mcp;
mod persistent;
pub(crate) mod workers;

use std::sync::Arc;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;

pub(crate) use body::Body;

use crate::api;
use crate::gate::Gate;

/// Answers one HTTP request.
async fn route(gate: &Arc<Gate>, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path();
    if let Some(server) = path.strip_prefix("/mcp/") {
        let server = server.to_owned();
        return mcp::handle(gate, &server, request).await;
    }
    match (request.method(), path) {
        (&Method::GET | &Method::HEAD, "/healthz") => text(StatusCode::OK, "ok\n"),
        (&Method::GET | &Method::HEAD, "/readyz") if gate.is_stopping() => {
            text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
        }
        (&Method::GET | &Method::HEAD, "/readyz") => text(StatusCode::OK, "ready\n"),
        (&Method::GET, "/metrics") => metrics(gate, &request),
        (_, "/mcp") => not_here("the endpoint of all servers in one, `/mcp`, is not there yet; use `/mcp/{server}`"),
        (_, path) if path.starts_with("/api/") => api::handle(gate, request).await,
        _ => not_here("there is nothing here; MCP is at `/mcp/{server}`, the admin API at `/api/v1`"),
    }
}

fn metrics(gate: &Gate, request: &Request<Incoming>) -> Response<Body> {
    if let Err(refused) = gate.snapshot.load().trust.check(request.headers()) {
        return text(StatusCode::FORBIDDEN, &format!("{refused}\n"));
    }
    gate.metrics.sessions.set(i64::try_from(gate.sessions.len()).unwrap_or(i64::MAX));
    with_type(StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", gate.metrics.text())
}

fn not_here(message: &str) -> Response<Body> {
    text(StatusCode::NOT_FOUND, &format!("{message}\n"))
}

fn text(status: StatusCode, text: &str) -> Response<Body> {
    with_type(status, "text/plain; charset=utf-8", text.to_owned())
}

fn with_type(status: StatusCode, media_type: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// A JSON-RPC message as the whole answer.
fn json(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    with_type(status, "application/json", body)
}
