//! Answering with an event stream: when a request has more to say than its answer, and for GET.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use mcp::server::streams::{StreamId, Streams, Subscription};
use mcp::sse;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::{Body, json};
use crate::decision::{self, Origin};
use crate::gate::{Gate, Loose};
use crate::relay::{Relay, Step};
use crate::session::{Agent, Session};

/// How long an agent is asked to wait before it resumes a broken stream, in milliseconds.
const RETRY_MILLIS: u64 = 1000;
/// How often a silent stream shows that it is alive.
const ALIVE_EVERY: Duration = Duration::from_secs(25);

/// The events of one stream, as a response body.
#[derive(Debug)]
pub(crate) struct EventBody {
    subscription: Subscription,
    alive: Interval,
    first: bool,
}

impl EventBody {
    fn new(subscription: Subscription) -> Self {
        let mut alive = interval_at(Instant::now() + ALIVE_EVERY, ALIVE_EVERY);
        alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { subscription, alive, first: true }
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Poll::Ready(event) = self.subscription.poll_next(context) {
            return Poll::Ready(event.map(|event| self.encode(event)));
        }
        if Pin::new(&mut self.alive).poll_tick(context).is_ready() {
            return Poll::Ready(Some(Bytes::from_static(b": alive\n\n")));
        }
        Poll::Pending
    }

    fn encode(&mut self, event: mcp::server::streams::Event) -> Bytes {
        let retry = std::mem::take(&mut self.first).then_some(RETRY_MILLIS);
        sse::encode(&sse::Event { id: Some(event.id), event: None, data: event.data, retry })
    }
}

/// Answers a request by a stream of its own: what the server says meanwhile, then the answer.
pub(super) fn stream(
    gate: &Arc<Gate>,
    session: &Arc<Session>,
    relays: Vec<(String, Relay)>,
    first: Vec<Bytes>,
) -> Response<Body> {
    let Agent::Http { streams, .. } = &session.agent else {
        return too_many(relays, "the session has no streams");
    };
    let opened = streams.open().and_then(|stream| {
        if session.revision().primes_streams() {
            streams.push(stream, Bytes::new())?;
        }
        for message in first {
            streams.push(stream, message)?;
        }
        Ok((stream, streams.subscribe(stream)?))
    });
    let (stream, subscription) = match opened {
        Ok(opened) => opened,
        Err(error) => return too_many(relays, &error.to_string()),
    };
    let left = Arc::new(Unfinished { streams: streams.clone(), stream });
    for (_, relay) in relays {
        let guard = Loose::enter(gate);
        tokio::spawn(pump(relay, Arc::clone(&left), guard));
    }
    response(subscription)
}

/// Finishes the stream when the last request that writes to it is done.
struct Unfinished {
    streams: Streams,
    stream: StreamId,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.streams.finish(self.stream);
    }
}

async fn pump(mut relay: Relay, to: Arc<Unfinished>, _guard: crate::gate::LooseGuard) {
    loop {
        let step = relay.next(None).await;
        let (message, is_last) = match step {
            Some(Step::Message(message)) => (message, false),
            Some(Step::Done(answer)) => (answer, true),
            None => return,
        };
        to.streams.room(to.stream).await;
        // A stream that was closed with its session has no reader; the entry is settled all the same.
        let _ = to.streams.push(to.stream, message);
        if is_last {
            return;
        }
    }
}

/// Answers with a subscription.
pub(super) fn response(subscription: Subscription) -> Response<Body> {
    let mut response = Response::new(Body::Stream(Box::new(EventBody::new(subscription))));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn too_many(relays: Vec<(String, Relay)>, why: &str) -> Response<Body> {
    let raw_id = relays.first().map_or("null", |(id, _)| id);
    let answer = decision::failure(raw_id, decision::INTERNAL_ERROR, why, Origin::Gate, true, None);
    json(StatusCode::SERVICE_UNAVAILABLE, answer)
}
