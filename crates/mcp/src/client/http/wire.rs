use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

pub(super) type Body = Full<Bytes>;

/// One TCP connection that carries one request at a time.
///
/// It has no task of its own: whoever waits for an answer drives it, so an exchange costs no hop between
/// tasks, and an unused connection costs nothing.
pub(super) struct Wire {
    sender: SendRequest<Body>,
    /// `None` once it has ended.
    driver: Option<Box<Driver>>,
    written: Arc<AtomicU64>,
}

type Driver = http1::Connection<TokioIo<Stream>, Body>;

/// Why a request got no answer.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) nothing_written: bool,
    pub(super) words: String,
}

impl Wire {
    pub(super) async fn new(stream: Stream) -> hyper::Result<Self> {
        let written = stream.written();
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, driver: Some(Box::new(driver)), written })
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>, Broken> {
        let before = self.written.load(Ordering::Relaxed);
        let mut answer = pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        let outcome = std::future::poll_fn(|cx| drive(driver, cx, |cx| answer.as_mut().poll(cx))).await;
        outcome.map_err(|error| Broken {
            nothing_written: self.written.load(Ordering::Relaxed) == before,
            words: innermost(error.error()),
        })
    }

    /// The next piece of an answer's body; trailers are passed over.
    pub(super) async fn read(&mut self, body: &mut Incoming) -> Option<hyper::Result<Bytes>> {
        std::future::poll_fn(|cx| self.poll_read(cx, body)).await
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, body: &mut Incoming) -> Poll<Option<hyper::Result<Bytes>>> {
        if body.is_end_stream() {
            return Poll::Ready(None);
        }
        loop {
            let frame = std::task::ready!(drive(&mut self.driver, cx, |cx| Pin::new(&mut *body).poll_frame(cx)));
            match frame.map(|frame| frame.map(hyper::body::Frame::into_data)) {
                Some(Ok(Err(_trailers))) => {}
                Some(Ok(Ok(data))) => return Poll::Ready(Some(Ok(data))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }

    /// The next piece of an answer's body, if it has arrived already.
    pub(super) fn read_now(&mut self, body: &mut Incoming) -> Poll<Option<hyper::Result<Bytes>>> {
        self.poll_read(&mut Context::from_waker(Waker::noop()), body)
    }

    /// Looks at the connection without waiting: whether it can carry another request.
    pub(super) fn is_usable(&mut self) -> bool {
        step(&mut self.driver, &mut Context::from_waker(Waker::noop()));
        self.driver.is_some() && self.sender.is_ready()
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Wire").field("open", &self.driver.is_some()).finish_non_exhaustive()
    }
}

/// Drives the connection until `wanted`, which only it can bring about, is there.
///
/// `wanted` and the first step get a waker that does nothing: what they would be woken by happens in here.
/// Only a step that ends in waiting leaves the task's own waker behind, with the socket.
fn drive<T>(
    driver: &mut Option<Box<Driver>>,
    cx: &mut Context<'_>,
    mut wanted: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    let mut quiet = Context::from_waker(Waker::noop());
    if let Poll::Ready(value) = wanted(&mut quiet) {
        return Poll::Ready(value);
    }
    step(driver, &mut quiet);
    if let Poll::Ready(value) = wanted(&mut quiet) {
        return Poll::Ready(value);
    }
    step(driver, cx);
    // Here `wanted` gets the task's waker too, so that nothing is missed should the connection have ended.
    wanted(cx)
}

/// One step; a connection that ends is dropped, which tells whoever waits for it.
fn step(driver: &mut Option<Box<Driver>>, cx: &mut Context<'_>) {
    if let Some(connection) = driver
        && Pin::new(connection.as_mut()).poll(cx).is_ready()
    {
        *driver = None;
    }
}

/// What lies at the bottom of an error: `connection reset by peer` rather than `error sending request`.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// A TCP stream, with or without TLS, that counts what was written to the network.
pub(super) enum Stream {
    Plain(Counted),
    Tls(Box<TlsStream<Counted>>),
}

impl Stream {
    fn written(&self) -> Arc<AtomicU64> {
        match self {
            Self::Plain(stream) => Arc::clone(&stream.written),
            Self::Tls(stream) => Arc::clone(&stream.get_ref().0.written),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(&mut stream.stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// A TCP stream that counts the bytes it took.
#[derive(Debug)]
pub(super) struct Counted {
    stream: TcpStream,
    written: Arc<AtomicU64>,
}

impl Counted {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, written: Arc::default() }
    }

    fn count(&self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = outcome {
            self.written.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        outcome
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.count(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.count(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
