//! A small MCP server over HTTP: it does what it is told, and remembers what reached it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// One address, and the servers at its paths.
pub(crate) struct Upstream {
    address: SocketAddr,
    servers: Servers,
    commands: tokio::sync::mpsc::UnboundedSender<Command>,
}

type Servers = Arc<Mutex<HashMap<String, Arc<Server>>>>;

/// What a server does with a request other than the handshake and the lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// A result.
    Ok,
    /// A result that says it is an error.
    IsError,
    /// A JSON-RPC error.
    Error,
    /// Nothing, ever.
    Silence,
}

/// One message that reached a server.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    /// The id, as it was written.
    pub(crate) id: Option<String>,
    /// The parameters, as they were written.
    pub(crate) params: Option<String>,
}

/// One server.
#[derive(Default)]
pub(crate) struct Server {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The pages of each list, each a whole result.
    lists: BTreeMap<String, Vec<String>>,
    reply: Option<Reply>,
    received: Vec<Received>,
    sessions: BTreeSet<String>,
    opened: usize,
    last_answer: String,
    /// The names of all headers that came.
    headers: BTreeSet<String>,
}

/// The parts of a message, read by another reader than the gate's.
#[derive(Deserialize)]
struct Parts<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

enum Command {
    Leave(mpsc::Sender<()>),
    ComeBack(mpsc::Sender<()>),
}

impl Upstream {
    pub(crate) fn start() -> Self {
        let (told, address) = mpsc::channel();
        let (commands, orders) = tokio::sync::mpsc::unbounded_channel();
        let servers = Servers::default();
        let serving = Arc::clone(&servers);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                told.send(listener.local_addr().unwrap()).unwrap();
                serve(listener, serving, orders).await;
            });
        });
        Self { address: address.recv().expect("it listens"), servers, commands }
    }

    pub(crate) fn url(&self, server: &str) -> String {
        format!("http://{}/{server}", self.address)
    }

    /// The server at the path `name`, made if there is none.
    pub(crate) fn server(&self, name: &str) -> Arc<Server> {
        Arc::clone(self.servers.lock().unwrap().entry(name.to_owned()).or_default())
    }

    /// Stops listening and drops every connection.
    pub(crate) fn leave(&self) {
        self.command(Command::Leave);
    }

    /// Listens again, where it listened before.
    pub(crate) fn come_back(&self) {
        self.command(Command::ComeBack);
    }

    fn command(&self, command: impl FnOnce(mpsc::Sender<()>) -> Command) {
        let (done, wait) = mpsc::channel();
        assert!(self.commands.send(command(done)).is_ok(), "the server runs");
        wait.recv().expect("it is done");
    }
}

async fn serve(listener: TcpListener, servers: Servers, mut orders: tokio::sync::mpsc::UnboundedReceiver<Command>) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    let mut away = None;
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = accepted => { connections.spawn(connection(accepted.unwrap().0, Arc::clone(&servers))); }
            order = orders.recv() => match order {
                None => return,
                Some(Command::Leave(done)) => {
                    listener = None;
                    connections.shutdown().await;
                    // A socket that is bound and does not listen keeps the port, and connecting to it fails.
                    let socket = TcpSocket::new_v4().unwrap();
                    socket.set_reuseaddr(true).unwrap();
                    socket.bind(address).unwrap();
                    away = Some(socket);
                    done.send(()).unwrap();
                }
                Some(Command::ComeBack(done)) => {
                    listener = away.take().map(|socket| socket.listen(1024).unwrap());
                    done.send(()).unwrap();
                }
            }
        }
    }
}

async fn connection(stream: TcpStream, servers: Servers) {
    let service = service_fn(|request: Request<Incoming>| {
        let name = request.uri().path().trim_start_matches('/').to_owned();
        let server = servers.lock().unwrap().get(&name).cloned();
        async move { Ok::<_, Infallible>(server.expect("a known server").answer(request).await) }
    });
    // Whoever is at the other end may go at any moment.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl Server {
    /// Sets the names of its tools.
    pub(crate) fn has_tools<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        let tools: Vec<_> =
            names.into_iter().map(|name| serde_json::json!({"name": name, "inputSchema": {}})).collect();
        self.lists("tools/list", vec![serde_json::json!({ "tools": tools }).to_string()]);
    }

    /// Sets the names of its prompts.
    pub(crate) fn has_prompts<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        let prompts: Vec<_> = names.into_iter().map(|name| serde_json::json!({ "name": name })).collect();
        self.lists("prompts/list", vec![serde_json::json!({ "prompts": prompts }).to_string()]);
    }

    /// Sets the pages of a list, each a whole result; the cursors are `page-1`, `page-2` and so on.
    pub(crate) fn lists(&self, method: &str, pages: Vec<String>) {
        self.state.lock().unwrap().lists.insert(method.to_owned(), pages);
    }

    pub(crate) fn replies(&self, reply: Reply) {
        self.state.lock().unwrap().reply = Some(reply);
    }

    /// Forgets its sessions; requests that name one of them are answered by 404.
    pub(crate) fn forget_sessions(&self) {
        self.state.lock().unwrap().sessions.clear();
    }

    /// How often a session was opened.
    pub(crate) fn sessions_opened(&self) -> usize {
        self.state.lock().unwrap().opened
    }

    /// How many messages reached it.
    pub(crate) fn count(&self) -> usize {
        self.state.lock().unwrap().received.len()
    }

    /// The messages that reached it, but for the first `skipped`.
    pub(crate) fn received_after(&self, skipped: usize) -> Vec<Received> {
        self.state.lock().unwrap().received[skipped..].to_vec()
    }

    /// The calls of tools that reached it.
    pub(crate) fn calls(&self) -> usize {
        self.received_after(0).iter().filter(|message| message.method == "tools/call").count()
    }

    /// The names of all headers that came with messages.
    pub(crate) fn headers(&self) -> BTreeSet<String> {
        self.state.lock().unwrap().headers.clone()
    }

    /// The last answer that it gave, as it was sent.
    pub(crate) fn last_answer(&self) -> String {
        self.state.lock().unwrap().last_answer.clone()
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        if head.method != Method::POST {
            return plain(if head.method == Method::DELETE { 200 } else { 405 }, "");
        }
        self.state.lock().unwrap().headers.extend(head.headers.keys().map(ToString::to_string));
        let Ok(body) = body.collect().await else { return plain(400, "") };
        let body = body.to_bytes();
        let parts: Parts<'_> = serde_json::from_slice(&body).expect("a message");
        let session = head.headers.get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned());
        let id = parts.id.map(RawValue::get);
        let (status, answer, opened) = self.take(&parts, id, session.as_deref());
        let Some(answer) = answer else { return std::future::pending().await };
        let mut response = plain(status, &answer);
        if let Some(opened) = opened {
            response.headers_mut().insert("mcp-session-id", opened.parse().unwrap());
        }
        response
    }

    /// Takes a message: the status, the body unless there never is one, and the id of a new session.
    fn take(
        &self,
        parts: &Parts<'_>,
        id: Option<&str>,
        session: Option<&str>,
    ) -> (u16, Option<String>, Option<String>) {
        let mut state = self.state.lock().unwrap();
        let method = parts.method.as_deref().unwrap_or_default();
        if method != "initialize" && !session.is_some_and(|session| state.sessions.contains(session)) {
            return (404, Some(String::new()), None);
        }
        let params = parts.params.map(|params| params.get().to_owned());
        state.received.push(Received { method: method.to_owned(), id: id.map(ToOwned::to_owned), params });
        let Some(id) = id else { return (202, Some(String::new()), None) };
        if method == "initialize" {
            state.opened += 1;
            let opened = format!("session-{}", state.opened);
            state.sessions.insert(opened.clone());
            let result = greeting(parts.params);
            return (200, Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)), Some(opened));
        }
        let outcome = match state.page(method, parts.params) {
            Some(page) => Some(format!(r#""result": {page}"#)),
            None => state.outcome(),
        };
        // Spacing and unknown members, for nothing on the way may touch them.
        let answer = outcome.map(|outcome| format!(r#"{{ "jsonrpc":"2.0","id":{id} ,"x":[ ], {outcome} }}"#));
        state.last_answer = answer.clone().unwrap_or_default();
        (200, answer, None)
    }
}

impl State {
    fn page(&self, method: &str, params: Option<&RawValue>) -> Option<String> {
        let pages = self.lists.get(method)?;
        let params: serde_json::Value =
            params.map(|params| serde_json::from_str(params.get()).unwrap()).unwrap_or_default();
        let cursor = params["cursor"].as_str().and_then(|cursor| cursor.strip_prefix("page-"));
        let number = cursor.map_or(0, |number| number.parse::<usize>().unwrap());
        Some(pages[number].clone())
    }

    fn outcome(&self) -> Option<String> {
        let serial = self.received.len();
        Some(match self.reply.unwrap_or(Reply::Ok) {
            Reply::Ok => {
                format!(r#""result":{{"content":[ {{"type":"text","text":"done"}} ],"serial":{serial} , "n":1.0e2}}"#)
            }
            Reply::IsError => format!(r#""result":{{"content":[],"serial":{serial} , "isError":true}}"#),
            Reply::Error => format!(r#""error":{{"code":-32050,"message":"no","data":{serial} }}"#),
            Reply::Silence => return None,
        })
    }
}

/// The answer to `initialize`: whatever revision was asked for.
fn greeting(params: Option<&RawValue>) -> String {
    let params: serde_json::Value = serde_json::from_str(params.map_or("{}", RawValue::get)).unwrap();
    let revision = &params["protocolVersion"];
    format!(
        r#"{{"protocolVersion":{revision},"capabilities":{{"tools":{{}},"prompts":{{}},"resources":{{"subscribe":true}}}},"serverInfo":{{"name":"s","version":"1"}}}}"#
    )
}

fn plain(status: u16, body: &str) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap()
}
