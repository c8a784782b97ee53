use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::client::{Event, Reply, UpstreamError};
use crate::envelope::IdKey;

/// How many requests to one child are under way at most.
pub(super) const PENDING_REQUESTS: usize = 1024;

/// The requests to one child that have no reply yet.
#[derive(Debug, Default)]
pub(super) struct Pending(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    calls: HashMap<IdKey, Call>,
    registered: u64,
    closed: Option<String>,
}

#[derive(Debug)]
struct Call {
    number: u64,
    written: bool,
    reply: oneshot::Sender<Result<Reply, UpstreamError>>,
}

/// Which registration of an id is meant; ids may be used again.
#[derive(Debug, Clone)]
pub(super) struct Ticket {
    id: IdKey,
    number: u64,
}

/// One request to a child. Dropping it forgets the request; a late reply is passed over.
#[derive(Debug)]
pub(in crate::client) struct ChildExchange {
    pending: Arc<Pending>,
    ticket: Ticket,
    reply: oneshot::Receiver<Result<Reply, UpstreamError>>,
}

impl ChildExchange {
    pub(in crate::client) async fn next(&mut self) -> Result<Event, UpstreamError> {
        match (&mut self.reply).await {
            Ok(outcome) => outcome.map(Event::Reply),
            Err(_) => Err(UpstreamError::Unknown("nothing more comes for this request".to_owned())),
        }
    }

    pub(super) fn ticket(&self) -> Ticket {
        self.ticket.clone()
    }
}

impl Drop for ChildExchange {
    fn drop(&mut self) {
        self.pending.forget(&self.ticket);
    }
}

impl Pending {
    /// Takes a request in before it is written.
    pub(super) fn register(self: &Arc<Self>, id: IdKey) -> Result<ChildExchange, UpstreamError> {
        let mut table = self.table();
        if let Some(reason) = &table.closed {
            return Err(UpstreamError::NotSent(reason.clone()));
        }
        if table.calls.len() >= PENDING_REQUESTS {
            let words = format!("{PENDING_REQUESTS} requests to this upstream are under way already; try again later");
            return Err(UpstreamError::NotSent(words));
        }
        table.registered += 1;
        let number = table.registered;
        let (sender, reply) = oneshot::channel();
        match table.calls.entry(id.clone()) {
            Entry::Occupied(_) => {
                return Err(UpstreamError::NotSent(format!("a request with id {} is under way already", id.to_raw())));
            }
            Entry::Vacant(place) => place.insert(Call { number, written: false, reply: sender }),
        };
        drop(table);
        Ok(ChildExchange { pending: Arc::clone(self), ticket: Ticket { id, number }, reply })
    }

    /// Notes that a request is about to be written; `false` if it was forgotten meanwhile and need not be.
    pub(super) fn writing(&self, ticket: &Ticket) -> bool {
        match self.table().calls.get_mut(&ticket.id) {
            Some(call) if call.number == ticket.number => {
                call.written = true;
                true
            }
            _ => false,
        }
    }

    /// Takes back that a request was written: not a byte of it left.
    pub(super) fn not_written(&self, ticket: &Ticket) {
        if let Some(call) = self.table().calls.get_mut(&ticket.id).filter(|call| call.number == ticket.number) {
            call.written = false;
        }
    }

    /// Hands a reply to whoever waits for it; `false` if nobody does.
    pub(super) fn settle(&self, id: &IdKey, outcome: Result<Reply, UpstreamError>) -> bool {
        let call = self.table().calls.remove(id);
        call.is_some_and(|call| call.reply.send(outcome).is_ok())
    }

    /// Fails one request that could not be written.
    pub(super) fn fail(&self, ticket: &Ticket, error: UpstreamError) {
        if let Some(call) = self.take(ticket) {
            let _ = call.reply.send(Err(error));
        }
    }

    /// Fails every request under way, but takes in new ones.
    pub(super) fn fail_written(&self, error: &UpstreamError) {
        for (_, call) in self.table().calls.extract_if(|_, call| call.written) {
            let _ = call.reply.send(Err(error.clone()));
        }
    }

    /// Fails every request under way and every later one; the first reason stays.
    pub(super) fn close(&self, reason: &str) -> String {
        let mut table = self.table();
        let reason = table.closed.get_or_insert_with(|| reason.to_owned()).clone();
        let calls = std::mem::take(&mut table.calls);
        drop(table);
        for call in calls.into_values() {
            let error = match call.written {
                true => UpstreamError::Unknown(reason.clone()),
                false => UpstreamError::NotSent(reason.clone()),
            };
            let _ = call.reply.send(Err(error));
        }
        reason
    }

    /// Why nothing more can be sent, if so.
    pub(super) fn closed(&self) -> Option<String> {
        self.table().closed.clone()
    }

    fn forget(&self, ticket: &Ticket) {
        drop(self.take(ticket));
    }

    fn take(&self, ticket: &Ticket) -> Option<Call> {
        let mut table = self.table();
        match table.calls.get(&ticket.id) {
            Some(call) if call.number == ticket.number => table.calls.remove(&ticket.id),
            _ => None,
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
