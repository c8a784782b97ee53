use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;
use tracing::debug;

use super::answer::Answer;
use super::events::{Events, Stopped};
use super::heads::{self, Content};
use super::session::Session;
use crate::client::reply::{self, Inbound};
use crate::client::{Event, Reply, UpstreamError};
use crate::envelope::IdKey;

/// How often in a row resuming a stream may fail.
const RESUME_ATTEMPTS: u32 = 5;

/// One request over HTTP. Dropping it closes the stream of its answer and sends nothing.
#[derive(Debug)]
pub(in crate::client) struct HttpExchange {
    stage: Stage,
}

/// How far an exchange is.
enum Stage {
    Replied(Reply),
    Json { answer: Answer, id: IdKey, message_bytes: usize },
    Events { events: Box<Events>, call: Call },
    Resuming { call: Call, resumed: Pin<Box<dyn Future<Output = Result<Events, UpstreamError>> + Send + Sync>> },
    Over,
}

/// What is needed to recognise the reply and to resume its stream.
#[derive(Debug)]
struct Call {
    session: Arc<Session>,
    id: IdKey,
}

impl HttpExchange {
    pub(super) fn replied(reply: Reply) -> Box<Self> {
        Box::new(Self { stage: Stage::Replied(reply) })
    }

    pub(super) fn json(session: &Arc<Session>, id: IdKey, answer: Answer) -> Box<Self> {
        let message_bytes = session.message_bytes();
        Box::new(Self { stage: Stage::Json { answer, id, message_bytes } })
    }

    pub(super) fn events(session: &Arc<Session>, id: IdKey, answer: Answer) -> Box<Self> {
        let events = Box::new(Events::new(answer, session.message_bytes()));
        let call = Call { session: Arc::clone(session), id };
        Box::new(Self { stage: Stage::Events { events, call } })
    }

    pub(in crate::client) async fn next(&mut self) -> Result<Event, UpstreamError> {
        let outcome = self.advance().await;
        if !matches!(outcome, Ok(Event::Message(_))) {
            self.finish();
        }
        outcome
    }

    async fn advance(&mut self) -> Result<Event, UpstreamError> {
        loop {
            match &mut self.stage {
                Stage::Replied(reply) => return Ok(Event::Reply(reply.clone())),
                Stage::Json { answer, id, message_bytes } => {
                    let body = answer.collect(*message_bytes).await?;
                    return read_json(&body, id, *message_bytes).map(Event::Reply);
                }
                Stage::Events { events, call } => match events.next().await {
                    Ok(event) => {
                        if let Some(event) = call.recognise(&event.data)? {
                            return Ok(event);
                        }
                    }
                    Err(Stopped::TooLong) => {
                        return Err(UpstreamError::TooLarge { limit: call.session.message_bytes() });
                    }
                    Err(Stopped::Over) => self.resume()?,
                },
                Stage::Resuming { resumed, .. } => {
                    let events = resumed.await?;
                    self.resumed(events);
                }
                Stage::Over => {
                    return Err(UpstreamError::Unknown("nothing more comes for this request".to_owned()));
                }
            }
        }
    }

    /// Goes over to asking for the rest of a stream that ended before the reply.
    fn resume(&mut self) -> Result<(), UpstreamError> {
        let Stage::Events { events, call } = std::mem::replace(&mut self.stage, Stage::Over) else {
            return Ok(());
        };
        let Some(last_id) = events.last_id() else {
            return Err(UpstreamError::Unknown("the upstream closed its answer before the reply".to_owned()));
        };
        let resumed = Box::pin(resume(Arc::clone(&call.session), last_id.to_owned(), events.retry()));
        self.stage = Stage::Resuming { call, resumed };
        Ok(())
    }

    fn resumed(&mut self, events: Events) {
        if let Stage::Resuming { call, .. } = std::mem::replace(&mut self.stage, Stage::Over) {
            self.stage = Stage::Events { events: Box::new(events), call };
        }
    }

    fn finish(&mut self) {
        if let Stage::Events { events, .. } = std::mem::replace(&mut self.stage, Stage::Over) {
            events.finish();
        }
    }
}

impl Call {
    /// What an event of the stream is; `None` for a reply to something else, which is passed over.
    fn recognise(&self, data: &Bytes) -> Result<Option<Event>, UpstreamError> {
        match reply::read(data, self.session.message_bytes()) {
            Ok(Inbound::Message(message)) => Ok(Some(Event::Message(message))),
            Ok(Inbound::Reply(id, reply)) if id.as_ref() == Some(&self.id) || id.is_none() => {
                Ok(Some(Event::Reply(reply)))
            }
            Ok(Inbound::Reply(..)) => {
                debug!("passed over a reply to another request");
                Ok(None)
            }
            Err((_, error)) => Err(error),
        }
    }
}

fn read_json(body: &Bytes, id: &IdKey, message_bytes: usize) -> Result<Reply, UpstreamError> {
    match reply::read(body, message_bytes).map_err(|(_, error)| error)? {
        Inbound::Reply(answered, reply) if answered.as_ref() == Some(id) || answered.is_none() => Ok(reply),
        Inbound::Reply(..) => {
            Err(UpstreamError::Nonsense("the upstream answered with the id of another request".to_owned()))
        }
        Inbound::Message(_) => Err(UpstreamError::Nonsense(
            "the upstream answered a request with a message that is no response".to_owned(),
        )),
    }
}

/// Asks for the rest of a stream, after the wait that the server wishes and up to [`RESUME_ATTEMPTS`] times.
async fn resume(session: Arc<Session>, last_id: String, wait: Duration) -> Result<Events, UpstreamError> {
    let mut failures = 0;
    loop {
        sleep(wait).await;
        let why = match session.get(Some(&last_id)).await {
            Ok(answer) if answer.status().is_success() && heads::content(answer.headers()) == Content::Events => {
                return Ok(Events::continued(answer, session.message_bytes(), last_id));
            }
            Ok(answer) => {
                let status = answer.status();
                let why = format!("HTTP status {status}");
                // Also notes that the session is lost, if that is what is said.
                if session.refused(answer, None).await.is_err() && status.is_client_error() {
                    return Err(cannot_resume(&why));
                }
                why
            }
            Err(UpstreamError::SessionLost) => return Err(cannot_resume("the session is lost")),
            Err(error) => error.to_string(),
        };
        failures += 1;
        if failures == RESUME_ATTEMPTS {
            return Err(cannot_resume(&why));
        }
    }
}

/// The request itself was sent, so whatever happens afterwards leaves open what became of it.
fn cannot_resume(why: &str) -> UpstreamError {
    UpstreamError::Unknown(format!("the upstream's answer broke off and could not be resumed: {why}"))
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Replied(_) => "Replied",
            Self::Json { .. } => "Json",
            Self::Events { .. } => "Events",
            Self::Resuming { .. } => "Resuming",
            Self::Over => "Over",
        })
    }
}
