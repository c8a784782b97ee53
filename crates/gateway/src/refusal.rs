//! Recording what could not be read safely.

use ledger::{EntryId, Intent, LedgerError, Outcome};
use mcp::envelope::Rejected;

use crate::gate::Gate;
use crate::identity::Caller;
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
    let at = gate.clock.now();
    let intent = Intent {
        id: EntryId::generate(at),
        at,
        grant: caller.label(),
        client: session.and_then(|session| session.client_name.as_deref()),
        session: session.map_or("", |session| &session.id),
        server: server.name(),
        method: kept(rejected.method.as_deref()).unwrap_or_default(),
        tool: kept(rejected.name.as_deref()),
        category: None,
        policy: policy.map(|policy| policy.name.as_str()),
        policy_version: policy.map(|policy| policy.policy.version()),
        rule: None,
        argument_keys: &[],
        arguments_hmac: None,
        request_id: kept(rejected.id.as_deref()),
        trace_id: None,
    };
    gate.ledger.refuse(intent, Outcome::Reject, &rejected.message).await.map(drop)
}

fn kept(text: Option<&str>) -> Option<&str> {
    let text = text?;
    let end = (0..=KEPT_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end))?;
    text.get(..end)
}
