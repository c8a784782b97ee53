//! Recording what could not be read safely.

use ledger::{Intent, LedgerError, Outcome};
use mcp::envelope::Rejected;

use crate::decision;
use crate::gate::Gate;
use crate::identity::Caller;
use crate::intent;
use crate::metrics::Counted;
use crate::session::Session;
use crate::snapshot::{NamedPolicy, Server};

/// Longest method or name of a rejected message that a record keeps, in bytes.
const KEPT_BYTES: usize = 256;

/// Records a rejected message with what could be read of it.
///
/// # Errors
///
/// If the ledger cannot be written; the message is rejected all the same.
pub(crate) async fn record(
    gate: &Gate,
    server: &Server,
    caller: &Caller,
    policy: Option<&NamedPolicy>,
    session: Option<&Session>,
    rejected: &Rejected,
) -> Result<(), LedgerError> {
    server.metrics.count(Counted::Reject);
    let intent = Intent {
        method: kept(rejected.method.as_deref()).unwrap_or_default(),
        tool: kept(rejected.name.as_deref()),
        request_id: kept(rejected.id.as_deref()),
        ..intent::of(gate, server, caller, policy, session)
    };
    gate.ledger.refuse(intent, Outcome::Reject, &rejected.message).await.map(drop)
}

/// A message that is larger than `bound` bytes, of which nothing else is known.
pub(crate) fn too_large(bound: usize) -> Rejected {
    Rejected {
        code: decision::INVALID_REQUEST,
        status: 413,
        id: None,
        message: format!("the message is larger than {bound} bytes; send less at once"),
        method: None,
        name: None,
    }
}

fn kept(text: Option<&str>) -> Option<&str> {
    let text = text?;
    let end = (0..=KEPT_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end))?;
    text.get(..end)
}
