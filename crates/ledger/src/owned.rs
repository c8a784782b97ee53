//! Copies of what a caller lent, for the thread of the shared ledger.

use policy::{Count, Decimal, Scope, Timestamp, Window, WindowKind};

use crate::call::Attempt;
use crate::{ApprovalUse, Charge, CounterKey, EntryId, GrantCheck, Intent};

/// A copy of an [`Intent`].
#[derive(Debug)]
pub(crate) struct OwnedIntent {
    id: EntryId,
    at: Timestamp,
    grant: String,
    client: Option<String>,
    session: String,
    server: String,
    method: String,
    tool: Option<String>,
    category: Option<String>,
    policy: Option<String>,
    policy_version: Option<String>,
    rule: Option<String>,
    argument_keys: Vec<String>,
    arguments_hmac: Option<[u8; 32]>,
    request_id: Option<String>,
    trace_id: Option<String>,
}

/// A copy of an [`Attempt`].
#[derive(Debug)]
pub(crate) struct OwnedAttempt {
    intent: OwnedIntent,
    charges: Vec<OwnedCharge>,
    grant: Option<(String, u64)>,
    approval: Option<(String, [u8; 32])>,
}

#[derive(Debug)]
struct OwnedCharge {
    policy: String,
    scope: Scope,
    subject: String,
    counter: String,
    window: Window,
    kind: WindowKind,
    max: Decimal,
    cost: Decimal,
    count: Count,
    rule: String,
    on_deny: String,
}

impl OwnedIntent {
    pub(crate) fn of(intent: &Intent<'_>) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            id: intent.id,
            at: intent.at,
            grant: intent.grant.to_owned(),
            client: owned(intent.client),
            session: intent.session.to_owned(),
            server: intent.server.to_owned(),
            method: intent.method.to_owned(),
            tool: owned(intent.tool),
            category: owned(intent.category),
            policy: owned(intent.policy),
            policy_version: owned(intent.policy_version),
            rule: owned(intent.rule),
            argument_keys: intent.argument_keys.iter().map(|key| (*key).to_owned()).collect(),
            arguments_hmac: intent.arguments_hmac,
            request_id: owned(intent.request_id),
            trace_id: owned(intent.trace_id),
        }
    }

    pub(crate) fn borrowed<T>(&self, use_it: impl FnOnce(Intent<'_>) -> T) -> T {
        let keys: Vec<&str> = self.argument_keys.iter().map(String::as_str).collect();
        use_it(Intent {
            id: self.id,
            at: self.at,
            grant: &self.grant,
            client: self.client.as_deref(),
            session: &self.session,
            server: &self.server,
            method: &self.method,
            tool: self.tool.as_deref(),
            category: self.category.as_deref(),
            policy: self.policy.as_deref(),
            policy_version: self.policy_version.as_deref(),
            rule: self.rule.as_deref(),
            argument_keys: &keys,
            arguments_hmac: self.arguments_hmac,
            request_id: self.request_id.as_deref(),
            trace_id: self.trace_id.as_deref(),
        })
    }
}

impl OwnedAttempt {
    pub(crate) fn of(attempt: &Attempt<'_>) -> Self {
        Self {
            intent: OwnedIntent::of(&attempt.intent),
            charges: attempt.charges.iter().map(OwnedCharge::of).collect(),
            grant: match attempt.check {
                GrantCheck::Implicit => None,
                GrantCheck::Generation { grant, generation } => Some((grant.to_owned(), generation)),
            },
            approval: attempt.approval.map(|approval| (approval.id.to_owned(), *approval.fingerprint)),
        }
    }

    pub(crate) fn borrowed<T>(&self, use_it: impl FnOnce(&Attempt<'_>) -> T) -> T {
        let charges: Vec<Charge<'_>> = self.charges.iter().map(OwnedCharge::borrowed).collect();
        let check = match &self.grant {
            None => GrantCheck::Implicit,
            Some((grant, generation)) => GrantCheck::Generation { grant, generation: *generation },
        };
        let approval = self.approval.as_ref().map(|(id, fingerprint)| ApprovalUse { id, fingerprint });
        self.intent.borrowed(|intent| use_it(&Attempt { intent, charges: &charges, check, approval }))
    }
}

impl OwnedCharge {
    fn of(charge: &Charge<'_>) -> Self {
        Self {
            policy: charge.key.policy.to_owned(),
            scope: charge.key.scope,
            subject: charge.key.subject.to_owned(),
            counter: charge.key.counter.to_owned(),
            window: charge.window,
            kind: charge.kind,
            max: *charge.max,
            cost: *charge.cost,
            count: charge.count,
            rule: charge.rule.to_owned(),
            on_deny: charge.on_deny.to_owned(),
        }
    }

    fn borrowed(&self) -> Charge<'_> {
        Charge {
            key: CounterKey { policy: &self.policy, scope: self.scope, subject: &self.subject, counter: &self.counter },
            window: self.window,
            kind: self.kind,
            max: &self.max,
            cost: &self.cost,
            count: self.count,
            rule: &self.rule,
            on_deny: &self.on_deny,
        }
    }
}
