use std::time::Duration;

use super::answer::Answer;
use crate::sse::{Decoder, Event};

/// How long to wait before an event stream is asked for again, if the server does not say.
const RETRY: Duration = Duration::from_secs(1);

/// The longest wait that a server may ask for.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// The events of one HTTP answer.
#[derive(Debug)]
pub(super) struct Events {
    answer: Answer,
    decoder: Decoder,
    /// The id that this stream continues after, until it gives one itself.
    continued_after: Option<String>,
}

/// Why a stream gives no more events.
#[derive(Debug)]
pub(super) enum Stopped {
    /// It ended or broke off; it may be resumed.
    Over,
    /// An event is too long.
    TooLong,
}

impl Events {
    pub(super) fn new(answer: Answer, message_bytes: usize) -> Self {
        Self { answer, decoder: Decoder::new(message_bytes), continued_after: None }
    }

    /// The continuation of an earlier stream after the event `last_id`; an empty id is none.
    pub(super) fn continued(answer: Answer, message_bytes: usize, last_id: String) -> Self {
        Self { continued_after: Some(last_id), ..Self::new(answer, message_bytes) }
    }

    /// The next event that carries a message. May be cancelled and called again.
    pub(super) async fn next(&mut self) -> Result<Event, Stopped> {
        loop {
            while let Some(event) = self.decoder.next_event() {
                let is_message = event.event.as_deref().is_none_or(|name| name == "message");
                if is_message && !event.data.is_empty() {
                    return Ok(event);
                }
            }
            match self.answer.read().await {
                Ok(Some(bytes)) => self.decoder.push(&bytes).map_err(|_| Stopped::TooLong)?,
                Ok(None) | Err(_) => return Err(Stopped::Over),
            }
        }
    }

    /// The id after which to resume, if the server gave any.
    pub(super) fn last_id(&self) -> Option<&str> {
        self.decoder.last_event_id().or(self.continued_after.as_deref()).filter(|id| !id.is_empty())
    }

    /// How long to wait before resuming.
    pub(super) fn retry(&self) -> Duration {
        self.decoder.retry().map_or(RETRY, |retry| Duration::from_millis(retry).min(LONGEST_RETRY))
    }

    /// Lets go of a stream after the reply for which it was opened.
    pub(super) fn finish(self) {
        self.answer.finish();
    }
}
