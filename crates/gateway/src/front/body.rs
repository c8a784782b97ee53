//! Bodies: how requests are read within their bound, and what responses are made of.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::events::EventBody;

/// How much of a body beyond its bound is read and thrown away, so that the client, still
/// writing, gets to see the answer instead of a reset connection.
const DISCARD_FACTOR: usize = 16;

/// A response body.
pub(crate) enum Body {
    /// Everything at once.
    Full(Option<Bytes>),
    /// Server-sent events, as they come.
    Stream(Box<EventBody>),
    /// Text that is made while it is sent.
    Lines(tokio::sync::mpsc::Receiver<Result<Bytes, axum::Error>>),
    /// What the admin API answers.
    Api(axum::body::Body),
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self::Full(None)
    }

    pub(crate) fn lines(lines: tokio::sync::mpsc::Receiver<Result<Bytes, axum::Error>>) -> Self {
        Self::Lines(lines)
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::Full(Some(Bytes::from(text)))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Full(Some(bytes))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut *self {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(events) => events.poll(context).map(|event| event.map(|bytes| Ok(Frame::data(bytes)))),
            Self::Lines(lines) => lines.poll_recv(context).map(|chunk| chunk.map(|bytes| bytes.map(Frame::data))),
            Self::Api(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_none(),
            Self::Stream(_) | Self::Lines(_) => false,
            Self::Api(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(_) | Self::Lines(_) => SizeHint::default(),
            Self::Api(body) => body.size_hint(),
        }
    }
}

/// Why a request body could not be read.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// It is larger than the bound.
    TooLarge,
    /// The connection broke.
    Broken,
}

/// Reads a request body of at most `limit` bytes.
///
/// # Errors
///
/// [`BodyError::TooLarge`] once the bound is passed (what follows is read and dropped, within
/// reason), [`BodyError::Broken`] if the client went away.
pub(crate) async fn read(mut body: Incoming, limit: usize) -> Result<Bytes, BodyError> {
    let declared = body.size_hint().lower();
    if declared > limit as u64 {
        discard(body, limit).await;
        return Err(BodyError::TooLarge);
    }
    let Some(first) = next_data(&mut body).await? else { return Ok(Bytes::new()) };
    if first.len() > limit {
        discard(body, limit).await;
        return Err(BodyError::TooLarge);
    }
    if body.is_end_stream() {
        return Ok(first);
    }
    let mut whole = BytesMut::from(first);
    while let Some(data) = next_data(&mut body).await? {
        if whole.len() + data.len() > limit {
            drop(whole);
            discard(body, limit).await;
            return Err(BodyError::TooLarge);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

async fn next_data(body: &mut Incoming) -> Result<Option<Bytes>, BodyError> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(_)) => return Err(BodyError::Broken),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

async fn discard(mut body: Incoming, limit: usize) {
    let mut left = limit.saturating_mul(DISCARD_FACTOR);
    while let Ok(Some(data)) = next_data(&mut body).await {
        left = left.saturating_sub(data.len());
        if left == 0 {
            return;
        }
    }
}
