//! What a person can do with a running gate: the operations behind the API, the command line and
//! the console. One operation, one function, whoever asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger::{ApprovalFilter, EntryFilter, EntryStream, LedgerError, NewGrant};
use policy::document::Format;
use policy::{Policy, Problem};

use crate::api_types::{self, Approval, ApprovalState, CreateGrant, DecideApproval, DocumentProblem, Entry, Grant};
use crate::config::is_label;
use crate::config::is_policy_name;
use crate::gate::Gate;
use crate::snapshot::{NamedPolicy, Snapshot};

/// Rows of an answer when nobody says how many.
const DEFAULT_ROWS: usize = 100;

/// Why an operation was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    /// What was asked for makes no sense.
    #[error("{message}")]
    Invalid { message: String, help: String },
    /// A policy has problems.
    #[error("the policy has problems")]
    Problems(Vec<Problem>),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// It cannot be done as things stand.
    #[error("{0}")]
    Conflict(String),
    /// The ledger failed.
    #[error("{0}")]
    Ledger(LedgerError),
}

impl From<LedgerError> for ServiceError {
    fn from(error: LedgerError) -> Self {
        if matches!(error, LedgerError::Unknown { .. }) {
            return Self::NotFound(error.to_string());
        }
        let is_conflict = matches!(
            error,
            LedgerError::LabelTaken(_)
                | LedgerError::ReadOnly(_)
                | LedgerError::NotDecidable { .. }
                | LedgerError::TooManyApprovals { .. }
        );
        if is_conflict { Self::Conflict(error.to_string()) } else { Self::Ledger(error) }
    }
}

/// The operations on one gate.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) gate: Arc<Gate>,
}

impl Service {
    pub(crate) async fn grants(&self) -> Result<Vec<Grant>, ServiceError> {
        let now = self.gate.clock.now();
        let grants = self.gate.ledger.grants(true).await?;
        Ok(grants.iter().map(|grant| Grant::of(grant, now)).collect())
    }

    pub(crate) async fn create_grant(&self, new: CreateGrant) -> Result<(Grant, String), ServiceError> {
        if !is_label(&new.label) {
            return Err(invalid(
                format!("`{}` is not a label", new.label),
                "use up to 128 characters, without control characters and without spaces around",
            ));
        }
        let now = self.gate.clock.now();
        let expires = new.expires_at.as_deref().map(api_types::read_time).transpose();
        let expires = expires.map_err(|message| invalid(message, "write it like `2027-01-01T00:00:00Z`"))?;
        if expires.is_some_and(|expires| expires <= now) {
            return Err(invalid("`expires_at` is over already".to_owned(), "give a time to come"));
        }
        self.check_access(&new)?;
        let access = new.access.iter().map(ledger::Access::from).collect();
        let (grant, token) = self.gate.ledger.create_grant(NewGrant { label: new.label, access, expires }, now).await?;
        tracing::info!(grant = %grant.label, "made a grant");
        Ok((Grant::of(&grant, now), token.as_str().to_owned()))
    }

    fn check_access(&self, new: &CreateGrant) -> Result<(), ServiceError> {
        let snapshot = self.gate.snapshot.load();
        if new.access.is_empty() {
            return Err(invalid("the grant opens nothing".to_owned(), "name at least one server and its policy"));
        }
        for (place, access) in new.access.iter().enumerate() {
            if !snapshot.servers.contains_key(&access.server) {
                return Err(invalid(
                    format!("there is no server `{}`", access.server),
                    "add it to the configuration first",
                ));
            }
            if !snapshot.policies.contains_key(&access.policy) {
                return Err(invalid(format!("there is no policy `{}`", access.policy), "add it first"));
            }
            if new.access.iter().take(place).any(|other| other.server == access.server) {
                return Err(invalid(
                    format!("server `{}` is named twice", access.server),
                    "give each server one policy",
                ));
            }
        }
        Ok(())
    }

    pub(crate) async fn rotate_grant(&self, id: &str) -> Result<(Grant, String), ServiceError> {
        let now = self.gate.clock.now();
        let (grant, token) = self.gate.ledger.rotate_grant(id).await?;
        tracing::info!(grant = %grant.label, "gave a grant a new token");
        Ok((Grant::of(&grant, now), token.as_str().to_owned()))
    }

    /// Takes a grant back: its next call is refused, and its sessions end.
    pub(crate) async fn revoke_grant(&self, id: &str) -> Result<Grant, ServiceError> {
        let now = self.gate.clock.now();
        let grant = self.gate.ledger.revoke_grant(id, now).await?;
        tracing::info!(grant = %grant.label, "revoked a grant");
        for session in self.gate.sessions.all().into_iter().filter(|session| session.owner == grant.id) {
            self.gate.sessions.remove(&session.id);
            session.end("its grant was revoked").await;
        }
        Ok(Grant::of(&grant, now))
    }

    pub(crate) async fn approvals(
        &self,
        state: Option<ApprovalState>,
        limit: Option<usize>,
    ) -> Result<Vec<Approval>, ServiceError> {
        let now = self.gate.clock.now();
        let filter = ApprovalFilter { pending_only: state == Some(ApprovalState::Pending), grant: None };
        // The state depends on the time, so it is looked at here, and before the rows are counted.
        let approvals = self.gate.ledger.approvals(&filter, api_types::MAX_ROWS, now).await?;
        let labels = self.labels().await?;
        let shown = approvals.iter().map(|approval| Approval::of(approval, &labels, now));
        let fits = shown.filter(|approval| state.is_none_or(|state| approval.state == state));
        Ok(fits.take(rows(limit)).collect())
    }

    pub(crate) async fn approval(&self, id: &str) -> Result<Approval, ServiceError> {
        let now = self.gate.clock.now();
        let approval = self.gate.ledger.approval(id, now).await?;
        Ok(Approval::of(&approval, &self.labels().await?, now))
    }

    pub(crate) async fn decide(&self, id: &str, said: DecideApproval) -> Result<Approval, ServiceError> {
        let now = self.gate.clock.now();
        let by = said.by.as_deref().unwrap_or("admin");
        let approval = self.gate.ledger.decide(id, said.decision.into(), by, said.reason.as_deref(), now).await?;
        tracing::info!(approval = id, decision = ?said.decision, by, "decided about a call");
        Ok(Approval::of(&approval, &self.labels().await?, now))
    }

    async fn labels(&self) -> Result<BTreeMap<String, String>, ServiceError> {
        let grants = self.gate.ledger.grants(true).await?;
        Ok(grants.iter().map(|grant| (grant.id.clone(), grant.label.clone())).collect())
    }

    pub(crate) async fn entries(&self, query: &api_types::AuditQuery) -> Result<Vec<Entry>, ServiceError> {
        let filter = read_filter(query)?;
        let limit = rows(query.limit);
        let entries = match query.after {
            Some(after) => self.gate.ledger.entries_after(after, &filter, limit).await?,
            None => self.gate.ledger.entries(&filter, limit).await?,
        };
        Ok(entries.iter().map(Entry::from).collect())
    }

    pub(crate) async fn export(&self, query: &api_types::AuditQuery) -> Result<EntryStream, ServiceError> {
        Ok(self.gate.ledger.export(&read_filter(query)?).await?)
    }

    pub(crate) async fn verify(&self) -> Result<api_types::Verification, ServiceError> {
        let verified = self.gate.ledger.verify(|_, _| {}).await?;
        Ok(api_types::Verification::from(&verified))
    }

    pub(crate) async fn policies(&self) -> Result<Vec<api_types::PolicyDocument>, ServiceError> {
        let snapshot = self.gate.snapshot.load_full();
        let mut policies: BTreeMap<String, api_types::PolicyDocument> = BTreeMap::new();
        for stored in self.gate.ledger.policies().await? {
            let Ok(checked) = Policy::parse(&stored.text, stored.format) else { continue };
            let summary = summary(&stored.name, &checked.policy, api_types::Origin::Api, stored.format);
            let warnings = checked.warnings.iter().map(DocumentProblem::from).collect();
            policies.insert(stored.name, api_types::PolicyDocument { summary, text: stored.text, warnings });
        }
        for policy in &snapshot.config.policies {
            let summary = summary(&policy.name, &policy.policy, api_types::Origin::File, policy.format);
            let document = api_types::PolicyDocument { summary, text: policy.text.clone(), warnings: Vec::new() };
            policies.insert(policy.name.clone(), document);
        }
        Ok(policies.into_values().collect())
    }

    pub(crate) async fn policy(&self, name: &str) -> Result<api_types::PolicyDocument, ServiceError> {
        let found = self.policies().await?.into_iter().find(|policy| policy.summary.name == name);
        found.ok_or_else(|| ServiceError::NotFound(format!("there is no policy `{name}`")))
    }

    /// Stores a policy and puts it in force.
    pub(crate) async fn put_policy(
        &self,
        name: &str,
        text: &str,
        format: Format,
    ) -> Result<api_types::PolicyDocument, ServiceError> {
        if !is_policy_name(name) {
            return Err(invalid(
                format!("`{name}` is not a policy's name"),
                "use letters, digits, dots, dashes and underscores",
            ));
        }
        self.refuse_if_from_file(name)?;
        Policy::parse(text, format).map_err(ServiceError::Problems)?;
        self.gate.ledger.put_policy(name, text, format, "admin", self.gate.clock.now()).await?;
        self.reload_policies().await?;
        tracing::info!(policy = name, "stored a policy");
        self.policy(name).await
    }

    pub(crate) async fn remove_policy(&self, name: &str) -> Result<(), ServiceError> {
        self.refuse_if_from_file(name)?;
        let grants = self.gate.ledger.grants(false).await?;
        let user = grants.iter().find(|grant| grant.access.iter().any(|access| access.policy == name));
        if let Some(grant) = user {
            return Err(ServiceError::Conflict(format!(
                "grant `{}` uses policy `{name}`: revoke it first",
                grant.label
            )));
        }
        self.gate.ledger.remove_policy(name).await?;
        self.reload_policies().await
    }

    fn refuse_if_from_file(&self, name: &str) -> Result<(), ServiceError> {
        match self.gate.snapshot.load().config.policy(name) {
            Some(_) => Err(ServiceError::Conflict(format!(
                "policy `{name}` comes from the configuration file: change it there"
            ))),
            None => Ok(()),
        }
    }

    async fn reload_policies(&self) -> Result<(), ServiceError> {
        let before = self.gate.snapshot.load_full();
        let made = made_policies(&self.gate.ledger).await?;
        let snapshot = Snapshot::build(before.config.clone(), made, Some(&before), &self.gate.metrics);
        let snapshot = snapshot.map_err(|error| ServiceError::Conflict(error.to_string()))?;
        self.gate.snapshot.store(Arc::new(snapshot));
        Ok(())
    }
}

/// The policies that were made through the API, read anew.
pub(crate) async fn made_policies(ledger: &ledger::Ledger) -> Result<Vec<NamedPolicy>, LedgerError> {
    let mut made = Vec::new();
    for stored in ledger.policies().await? {
        match Policy::parse(&stored.text, stored.format) {
            Ok(checked) => made.push(NamedPolicy { name: stored.name, policy: Arc::new(checked.policy) }),
            // A grant that names it finds no policy, and everything is denied.
            Err(problems) => {
                tracing::error!(policy = %stored.name, problems = problems.len(), "a stored policy cannot be used");
            }
        }
    }
    Ok(made)
}

fn read_filter(query: &api_types::AuditQuery) -> Result<EntryFilter, ServiceError> {
    query.filter().map_err(|message| invalid(message, "see the API reference for what can be filtered by"))
}

fn summary(name: &str, policy: &Policy, origin: api_types::Origin, format: Format) -> api_types::PolicySummary {
    api_types::PolicySummary {
        name: name.to_owned(),
        version: policy.version().to_owned(),
        origin,
        format: format.into(),
    }
}

fn rows(limit: Option<usize>) -> usize {
    limit.unwrap_or(DEFAULT_ROWS).clamp(1, api_types::MAX_ROWS)
}

fn invalid(message: String, help: &str) -> ServiceError {
    ServiceError::Invalid { message, help: help.to_owned() }
}
