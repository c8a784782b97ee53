//! Work that goes on when nobody waits for it any more.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Response;

use super::Body;
use crate::gate::{Gate, Loose};

/// An answer in the making. If it is dropped half-way, because the agent went away, it is brought
/// to its end all the same: on the revisions with a handshake a disconnect is no cancellation
/// (Streamable HTTP, "Sending Messages to the Server"), and a call that was sent has to be settled.
pub(super) struct Persistent {
    gate: Arc<Gate>,
    work: Option<Pin<Box<dyn Future<Output = Response<Body>> + Send>>>,
}

impl Persistent {
    pub(super) fn new(gate: &Arc<Gate>, work: impl Future<Output = Response<Body>> + Send + 'static) -> Self {
        Self { gate: Arc::clone(gate), work: Some(Box::pin(work)) }
    }
}

impl Future for Persistent {
    type Output = Response<Body>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response<Body>> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let done = work.as_mut().poll(context);
        if done.is_ready() {
            self.work = None;
        }
        done
    }
}

impl Drop for Persistent {
    fn drop(&mut self) {
        if let (Some(work), Ok(runtime)) = (self.work.take(), tokio::runtime::Handle::try_current()) {
            let guard = Loose::enter(&self.gate);
            runtime.spawn(async move {
                drop(work.await);
                drop(guard);
            });
        }
    }
}
