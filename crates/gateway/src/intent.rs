//! What every record says of a request, whatever came of it.

use ledger::{EntryId, Intent};

use crate::gate::Gate;
use crate::identity::Caller;
use crate::session::Session;
use crate::snapshot::{NamedPolicy, Server};

/// A record's part that does not depend on what was asked: who, where, when, under which policy.
pub(crate) fn of<'i>(
    gate: &Gate,
    server: &'i Server,
    caller: &'i Caller,
    policy: Option<&'i NamedPolicy>,
    session: Option<&'i Session>,
) -> Intent<'i> {
    let at = gate.clock.now();
    Intent {
        id: EntryId::generate(at),
        at,
        grant: caller.label(),
        client: session.and_then(|session| session.client_name.as_deref()),
        session: session.map_or("", |session| &session.id),
        server: server.name(),
        method: "",
        tool: None,
        category: None,
        policy: policy.map(|policy| policy.name.as_str()),
        policy_version: policy.map(|policy| policy.policy.version()),
        rule: None,
        argument_keys: &[],
        arguments_hmac: None,
        request_id: None,
        trace_id: None,
    }
}
