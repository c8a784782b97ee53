use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body as _, Incoming};
use hyper::header::{HeaderMap, HeaderName};
use hyper::{Response, StatusCode};
use tokio::time::timeout;

use super::pool::Pool;
use super::wire::{Wire, innermost};
use crate::client::UpstreamError;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// How long the end of a stream that has said everything is awaited, to use its connection again.
const END_OF_STREAM: Duration = Duration::from_millis(500);

/// How much may still come that nobody wants, before the connection is closed rather than read out.
const UNREAD_BYTES: usize = 64 << 10;

/// The answer to one HTTP request: its head, and its body as it comes.
///
/// Read to its end it gives its connection back; dropped before, it closes it.
#[derive(Debug)]
pub(super) struct Answer {
    pool: Pool,
    wire: Option<Wire>,
    status: StatusCode,
    headers: HeaderMap,
    body: Incoming,
    collected: BytesMut,
}

impl Answer {
    pub(super) fn new(pool: Pool, wire: Wire, response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        Self { pool, wire: Some(wire), status: head.status, headers: head.headers, body, collected: BytesMut::new() }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The next piece of the body; `None` at its end, after which the connection was given back.
    pub(super) async fn read(&mut self) -> Result<Option<Bytes>, String> {
        let Some(wire) = &mut self.wire else {
            return Ok(None);
        };
        match wire.read(&mut self.body).await {
            Some(Ok(piece)) => Ok(Some(piece)),
            Some(Err(error)) => {
                self.wire = None;
                Err(innermost(&error))
            }
            None => {
                self.give_back();
                Ok(None)
            }
        }
    }

    /// Reads the whole body. May be cancelled and called again.
    ///
    /// # Errors
    ///
    /// When it breaks off, or is longer than `limit`.
    pub(super) async fn collect(&mut self, limit: usize) -> Result<Bytes, UpstreamError> {
        if self.body.size_hint().lower() > limit as u64 {
            return Err(UpstreamError::TooLarge { limit });
        }
        loop {
            let piece = self
                .read()
                .await
                .map_err(|why| UpstreamError::Unknown(format!("the upstream's answer broke off: {why}")))?;
            let Some(piece) = piece else {
                return Ok(self.collected.split().freeze());
            };
            if self.collected.len() + piece.len() > limit {
                return Err(UpstreamError::TooLarge { limit });
            }
            if self.collected.is_empty() && self.body.is_end_stream() {
                self.give_back();
                return Ok(piece);
            }
            if self.collected.is_empty() {
                let rest = usize::try_from(self.body.size_hint().lower()).unwrap_or(0);
                self.collected.reserve(piece.len() + rest);
            }
            self.collected.extend_from_slice(&piece);
        }
    }

    /// The beginning of the body, for a message about it; an answer longer than that costs its connection.
    pub(super) async fn excerpt(mut self, limit: usize) -> Bytes {
        let mut excerpt = BytesMut::new();
        while let Ok(Some(piece)) = self.read().await {
            let room = limit - excerpt.len();
            excerpt.extend_from_slice(piece.get(..room.min(piece.len())).unwrap_or_default());
            if excerpt.len() == limit {
                break;
            }
        }
        excerpt.freeze()
    }

    /// Lets go of an answer that has said everything: keeps the connection if its end is there or comes soon.
    pub(super) fn finish(mut self) {
        let mut room = UNREAD_BYTES;
        let Some(wire) = &mut self.wire else {
            return;
        };
        while let Poll::Ready(piece) = wire.read_now(&mut self.body) {
            match piece {
                Some(Ok(piece)) if piece.len() <= room => room -= piece.len(),
                Some(_) => return,
                None => return self.give_back(),
            }
        }
        tokio::spawn(async move {
            let _ = timeout(END_OF_STREAM, self.read_out(room)).await;
        });
    }

    /// Reads what still comes, up to a bound; beyond it the connection is closed by being dropped.
    async fn read_out(&mut self, mut room: usize) {
        while let Ok(Some(piece)) = self.read().await {
            if piece.len() > room {
                return;
            }
            room -= piece.len();
        }
    }

    fn give_back(&mut self) {
        if let Some(wire) = self.wire.take() {
            let keep = keep(&self.headers);
            self.pool.give_back(wire, keep);
        }
    }
}

/// How long the server says it keeps an unused connection, less a second.
fn keep(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(KEEP_ALIVE)?.to_str().ok()?;
    let seconds = text.split(',').find_map(|part| part.trim().strip_prefix("timeout="))?;
    let seconds: u64 = seconds.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).saturating_sub(Duration::from_secs(1)))
}
