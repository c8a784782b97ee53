use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use tokio::time::sleep;
use tracing::debug;

use super::events::{Events, Stopped};
use super::heads::{self, Content};
use super::session::Session;
use crate::client::reply::{self, Inbound};
use crate::client::{Incoming, UpstreamError};

/// The wait after the first failure; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// The longest wait between attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Hands on what a server says unasked, through a GET stream that is opened again whenever it ends.
///
/// Ends when the server has no such stream, when the session is lost, or when nobody reads any more.
pub(super) async fn listen(session: Arc<Session>) {
    let mut last_id: Option<String> = None;
    let mut wait = FIRST_WAIT;
    while !session.incoming.is_closed() {
        // What is needed only while asking is let go of while listening.
        match Box::pin(attempt(&session, last_id.as_deref())).await {
            Attempt::Opened(mut events) => {
                let heard = relay(&session, &mut events).await;
                last_id = events.last_id().map(str::to_owned);
                wait = if heard { events.retry() } else { wait.max(events.retry()) };
                sleep(wait).await;
            }
            Attempt::None => {
                debug!("the upstream offers no stream to listen to");
                return;
            }
            Attempt::Lost => return,
            Attempt::Failed => sleep(wait).await,
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// What came of asking for the stream.
enum Attempt {
    Opened(Box<Events>),
    /// The server offers no stream.
    None,
    Lost,
    Failed,
}

async fn attempt(session: &Session, last_id: Option<&str>) -> Attempt {
    let answer = match session.get(last_id).await {
        Ok(answer) => answer,
        Err(error) => {
            debug!(%error, "could not listen to the upstream");
            return Attempt::Failed;
        }
    };
    if answer.status().is_success() && heads::content(answer.headers()) == Content::Events {
        let last_id = last_id.unwrap_or_default().to_owned();
        let events = Events::continued(answer, session.message_bytes(), last_id);
        return Attempt::Opened(Box::new(events));
    }
    let status = answer.status();
    if status.is_success() {
        return Attempt::None;
    }
    let passes = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::CONFLICT;
    match session.refused(answer, None).await {
        Err(UpstreamError::SessionLost) => Attempt::Lost,
        _ if passes => Attempt::Failed,
        _ => Attempt::None,
    }
}

/// Hands on the messages of one stream; whether there was any.
async fn relay(session: &Session, events: &mut Events) -> bool {
    let mut heard = false;
    loop {
        match events.next().await {
            Ok(event) => {
                heard = true;
                match reply::read(&event.data, session.message_bytes()) {
                    Ok(Inbound::Message(message)) => {
                        if session.incoming.send(Incoming::Message(message)).await.is_err() {
                            return heard;
                        }
                    }
                    Ok(Inbound::Reply(..)) => {
                        debug!("passed over a reply on the stream for unasked messages")
                    }
                    Err((_, error)) => debug!(%error, "passed over an unasked message"),
                }
            }
            Err(Stopped::Over) => return heard,
            Err(Stopped::TooLong) => {
                debug!("gave up a stream whose event is too long");
                return heard;
            }
        }
    }
}
