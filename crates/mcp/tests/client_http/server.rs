//! A server for tests: what it answers is a closure, what it saw is kept.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// One request as the server saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A body that is told step by step what to send.
pub(crate) struct Steps {
    steps: mpsc::UnboundedReceiver<Step>,
    /// How often to be asked again before breaking off, so that what was said before is written.
    breaks_in: Option<u8>,
}

pub(crate) enum Step {
    Data(Bytes),
    /// The connection breaks.
    Break,
}

/// Tells a body what to send; dropping it ends the body properly.
#[derive(Debug, Clone)]
pub(crate) struct Say(mpsc::UnboundedSender<Step>);

impl Say {
    pub(crate) fn say(&self, text: impl Into<String>) {
        let _ = self.0.send(Step::Data(text.into().into()));
    }

    pub(crate) fn break_off(&self) {
        let _ = self.0.send(Step::Break);
    }

    /// Whether nobody listens any more.
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_closed()
    }
}

impl Body for Steps {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.breaks_in.is_none() {
            match std::task::ready!(self.steps.poll_recv(cx)) {
                Some(Step::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Some(Step::Break) => self.breaks_in = Some(3),
                None => return Poll::Ready(None),
            }
        }
        self.breaks_in = self.breaks_in.and_then(|times| times.checked_sub(1));
        if self.breaks_in == Some(0) {
            return Poll::Ready(Some(Err(std::io::ErrorKind::BrokenPipe.into())));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

pub(crate) type Answer = Response<Steps>;

/// An answer that is written step by step.
pub(crate) fn stepwise(status: u16, headers: &[(&str, &str)]) -> (Answer, Say) {
    let (say, steps) = mpsc::unbounded_channel();
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    (response.body(Steps { steps, breaks_in: None }).unwrap(), Say(say))
}

pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let (answer, say) = stepwise(status, headers);
    say.say(body);
    answer
}

pub(crate) fn json(body: &str) -> Answer {
    answer(200, &[("content-type", "application/json")], body)
}

pub(crate) fn events() -> (Answer, Say) {
    stepwise(200, &[("content-type", "text/event-stream")])
}

/// What a server does, and what it has seen.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Serves on a free port of `ip`; the closure gets each request with its number, from 0.
    pub(crate) async fn on(ip: &str, respond: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self { address, connections: Arc::default(), seen: Arc::default() };
        let (connections, seen) = (Arc::clone(&server.connections), Arc::clone(&server.seen));
        let respond = Arc::new(respond);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, Arc::clone(&seen), Arc::clone(&respond)));
            }
        });
        server
    }

    pub(crate) async fn start(respond: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static) -> Self {
        Self::on("127.0.0.1", respond).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

pub(crate) async fn serve<F>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    seen: Arc<Mutex<Vec<Seen>>>,
    respond: Arc<F>,
) where
    F: Fn(usize, &Seen) -> Answer + Send + Sync + 'static,
{
    let service = service_fn(|request: Request<Incoming>| {
        let (seen, respond) = (Arc::clone(&seen), Arc::clone(&respond));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let request = Seen {
                method: head.method.to_string(),
                path: head.uri.to_string(),
                headers: head.headers,
                body: String::from_utf8(body.to_vec()).unwrap(),
            };
            let number = {
                let mut seen = seen.lock().unwrap();
                seen.push(request.clone());
                seen.len() - 1
            };
            Ok::<_, hyper::Error>(respond(number, &request))
        }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
