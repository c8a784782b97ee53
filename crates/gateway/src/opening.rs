//! Opening a session: the agent's `initialize`, passed on to a new upstream connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use mcp::envelope::{Message, Request};
use tracing::{info, warn};

use crate::decision::{self, Origin};
use crate::gate::Gate;
use crate::identity::Caller;
use crate::relay::failure_answer;
use crate::session::{self, Agent, Opened, Opener, Session, SessionPlace, new_id};
use crate::snapshot::Server;

/// How much of the client's name is kept, in characters.
const NAME_CHARACTERS: usize = 256;
/// How long a session has to be idle before it makes room for a new one.
const IDLE_ENOUGH: Duration = Duration::from_secs(60);

/// An agent that wants a session.
pub(crate) struct Newcomer<'a> {
    pub(crate) gate: &'a Arc<Gate>,
    pub(crate) server: &'a Arc<Server>,
    pub(crate) caller: &'a Caller,
    pub(crate) agent: Agent,
}

/// A session that was not opened.
pub(crate) struct NotOpened {
    pub(crate) status: StatusCode,
    pub(crate) answer: String,
}

impl Newcomer<'_> {
    /// Opens the session; without one if the server declines, whose answer the agent then gets.
    ///
    /// # Errors
    ///
    /// [`NotOpened`] if there is no room or the server fails.
    pub(crate) async fn open(
        self,
        message: &Message<'_>,
        request: &Request<'_>,
    ) -> Result<(Option<Arc<Session>>, Bytes), NotOpened> {
        let raw_id = request.id.raw();
        if self.gate.is_stopping() {
            return Err(no_room(raw_id, "the gate is stopping; try again when it is back"));
        }
        let place = place(self.gate, self.server).await.ok_or_else(|| {
            no_room(raw_id, "as many sessions are open as `bounds.sessions` allows; end one, or raise the bound")
        })?;
        let opened = session::open(self.gate, self.server, message).await;
        let accepted = match opened {
            Ok(Opened::Accepted(accepted)) => *accepted,
            Ok(Opened::Declined(reply)) => return Ok((None, reply.with_id(raw_id))),
            Err(error) => {
                warn!(server = self.server.name(), %error, "could not open a session");
                let answer = failure_answer(raw_id, self.server.name(), &error, None);
                return Err(NotOpened { status: StatusCode::BAD_GATEWAY, answer });
            }
        };
        let client_name = request.params.as_ref().and_then(|params| params.client_name.as_deref());
        let opener = Opener {
            id: new_id(),
            owner: self.caller.id().to_owned(),
            agent: self.agent,
            client_name: client_name.map(|name| name.chars().take(NAME_CHARACTERS).collect()),
        };
        let reply = accepted.reply.with_id(raw_id);
        let session = Session::begin(self.gate, Arc::clone(self.server), opener, accepted);
        info!(server = self.server.name(), grant = self.caller.label(), session = %session.id, "opened a session");
        place.fill(&session);
        Ok((Some(session), reply))
    }
}

/// A place for the session; the one that has been idle longest makes room if need be.
async fn place<'a>(gate: &'a Gate, server: &Server) -> Option<SessionPlace<'a>> {
    let bound = gate.snapshot.load().config.bounds.sessions;
    if let Some(place) = gate.sessions.take_place(bound) {
        if server.is_child() && gate.children.available_permits() == 0 {
            end_longest_idle(gate, |session| session.server.is_child()).await;
        }
        return Some(place);
    }
    end_longest_idle(gate, |_| true).await;
    gate.sessions.take_place(bound)
}

async fn end_longest_idle(gate: &Gate, fits: impl Fn(&Session) -> bool) {
    let now = gate.clock.now();
    if let Some(session) = gate.sessions.longest_idle(now, IDLE_ENOUGH, fits) {
        gate.sessions.remove(&session.id);
        session.end("it made room for a new one").await;
    }
}

fn no_room(raw_id: &str, why: &str) -> NotOpened {
    let answer = decision::failure(raw_id, decision::INTERNAL_ERROR, why, Origin::Gate, true, None);
    NotOpened { status: StatusCode::SERVICE_UNAVAILABLE, answer }
}
