//! An MCP server over Streamable HTTP, inside the test, that records exactly what reached it.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::answers::{self, Message, Reaction};

type Body = Full<Bytes>;

/// One request that reached the upstream.
#[derive(Debug, Clone)]
pub struct Received {
    /// Its HTTP method.
    pub method: Method,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, exactly.
    pub body: Bytes,
}

impl Received {
    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the gate sends UTF-8")
    }

    /// The JSON-RPC method, if there is one.
    pub fn rpc_method(&self) -> Option<String> {
        Some(Message::read(self.text())?.method())
    }
}

#[derive(Debug)]
struct State {
    received: Mutex<Vec<Received>>,
    sessions: Mutex<HashSet<String>>,
    last_session: AtomicU64,
    streams: AtomicBool,
    released: Semaphore,
}

/// The upstream. It stops when it is dropped.
#[derive(Debug)]
pub struct HttpUpstream {
    address: SocketAddr,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for HttpUpstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl HttpUpstream {
    /// Starts one that answers with JSON.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(State {
            received: Mutex::default(),
            sessions: Mutex::default(),
            last_session: AtomicU64::new(0),
            streams: AtomicBool::new(false),
            released: Semaphore::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { address, state, task }
    }

    /// Its MCP endpoint.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// How a gate's configuration names it.
    pub fn server(&self) -> Value {
        serde_json::json!({ "url": self.url() })
    }

    /// Answers with event streams from now on.
    pub fn answer_with_streams(&self) {
        self.state.streams.store(true, Ordering::SeqCst);
    }

    /// Forgets all sessions, as a server does that was started anew.
    pub fn forget_sessions(&self) {
        self.state.sessions.lock().expect("no test panicked here").clear();
    }

    /// Lets one held call go on.
    pub fn release(&self) {
        self.state.released.add_permits(1);
    }

    /// All that reached it.
    pub fn received(&self) -> Vec<Received> {
        self.state.received.lock().expect("no test panicked here").clone()
    }

    /// What reached it with this JSON-RPC method.
    pub fn received_of(&self, method: &str) -> Vec<Received> {
        self.received().into_iter().filter(|one| one.rpc_method().as_deref() == Some(method)).collect()
    }

    /// Forgets what reached it.
    pub fn forget_received(&self) {
        self.state.received.lock().expect("no test panicked here").clear();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(move |request| handle(Arc::clone(&state), request));
            let mut http = hyper::server::conn::http1::Builder::new();
            // How a connection ends is not what is tested here.
            let _ = http.max_buf_size(1024 * 1024).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Breaks the connection instead of answering.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("broken on purpose")
    }
}

impl std::error::Error for Broken {}

async fn handle(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Body>, Broken> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
    let received = Received { method: parts.method.clone(), headers: parts.headers.clone(), body: body.clone() };
    state.received.lock().expect("no test panicked here").push(received);
    let session = parts.headers.get("mcp-session-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    match parts.method {
        Method::POST => post(&state, session, std::str::from_utf8(&body).map_err(|_| Broken)?).await,
        Method::DELETE => {
            state.sessions.lock().expect("no test panicked here").remove(&session.unwrap_or_default());
            Ok(empty(StatusCode::OK))
        }
        _ => Ok(empty(StatusCode::METHOD_NOT_ALLOWED)),
    }
}

async fn post(state: &State, session: Option<String>, text: &str) -> Result<Response<Body>, Broken> {
    let message = Message::read(text);
    if let Some(message) = message.filter(|message| message.method() == "initialize") {
        return Ok(initialize(state, message));
    }
    let is_known = session.is_some_and(|id| state.sessions.lock().expect("no test panicked here").contains(&id));
    if !is_known {
        return Ok(empty(StatusCode::NOT_FOUND));
    }
    let Some((message, id)) = message.and_then(|message| Some((message, message.id()?))) else {
        return Ok(empty(StatusCode::ACCEPTED));
    };
    let ok = format!("\"result\":{}", answers::text_result("ok"));
    match answers::reaction(message) {
        Reaction::Answer(member) => Ok(state.respond(&[answers::reply(id, &member)])),
        Reaction::Progress(steps) => {
            let mut messages: Vec<String> = (1..=steps).map(|step| answers::progress(message, step)).collect();
            messages.push(answers::reply(id, &ok));
            Ok(events(&messages))
        }
        Reaction::Hold => {
            state.released.acquire().await.expect("it is never closed").forget();
            Ok(state.respond(&[answers::reply(id, &ok)]))
        }
        Reaction::Hang => std::future::pending().await,
        Reaction::Nonsense => Ok(json("this is { not a message".to_owned())),
        Reaction::Flood => Ok(json("x".repeat(answers::FLOOD))),
        Reaction::Die | Reaction::Grandchild | Reaction::Announce => Err(Broken),
    }
}

fn initialize(state: &State, message: Message<'_>) -> Response<Body> {
    let session = format!("session-{}", state.last_session.fetch_add(1, Ordering::SeqCst));
    state.sessions.lock().expect("no test panicked here").insert(session.clone());
    let Reaction::Answer(member) = answers::reaction(message) else { unreachable!("it is answered") };
    let mut response = json(answers::reply(message.id().unwrap_or("null"), &member));
    response.headers_mut().insert("mcp-session-id", session.parse().expect("it is a header value"));
    response
}

impl State {
    fn respond(&self, messages: &[String]) -> Response<Body> {
        if self.streams.load(Ordering::SeqCst) { events(messages) } else { json(messages.concat()) }
    }
}

fn full(text: String) -> Body {
    Full::new(Bytes::from(text))
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(full(String::new()));
    *response.status_mut() = status;
    response
}

fn of_type(body: Body, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", http::HeaderValue::from_static(content_type));
    response
}

fn json(text: String) -> Response<Body> {
    of_type(full(text), "application/json")
}

fn events(messages: &[String]) -> Response<Body> {
    let event = |message: &String| {
        let data: String = message.lines().map(|line| format!("data: {line}\n")).collect();
        format!("event: message\n{data}\n")
    };
    of_type(full(messages.iter().map(event).collect()), "text/event-stream")
}
