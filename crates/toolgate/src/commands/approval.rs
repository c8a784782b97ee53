//! `toolgate approval`: calls that wait for a person.

use std::collections::BTreeMap;
use std::env;

use clap::{Args, Subcommand, ValueEnum};
use gateway::Clock;
use gateway::api_types::{self, ApprovalState, Approvals, ApprovalsQuery, DecideApproval, Decision};
use ledger::{ApprovalFilter, Ledger};

use crate::api_client::percent_encoded;
use crate::data_dir::LedgerPlace;
use crate::exit::Ended;
use crate::ledger_access::{IfAbsent, LedgerAccess, block_on};
use crate::output::{self, Output, say, shown};

/// How many approvals a list has at most, unless told otherwise.
const DEFAULT_LIMIT: usize = 100;

/// List and decide calls that wait for a person
///
/// An approved call passes exactly once, when the agent makes it again. Works through the running gateway, or directly on the ledger where none runs, as for `toolgate run`.
#[derive(Debug, Args)]
pub(crate) struct Approval {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List approvals, newest first
    List(List),
    /// Let a call pass once
    Approve(Decide),
    /// Refuse a call
    Deny(Decide),
}

#[derive(Debug, Args)]
struct List {
    /// List approvals in this state
    #[arg(long, value_enum, default_value_t = State::Pending)]
    state: State,

    /// List at most this many
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT, value_parser = output::rows)]
    limit: usize,

    /// Print JSON objects, one a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: LedgerPlace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    Pending,
    Approved,
    Spent,
    Denied,
    Expired,
    All,
}

impl State {
    fn asked(self) -> Option<ApprovalState> {
        match self {
            Self::Pending => Some(ApprovalState::Pending),
            Self::Approved => Some(ApprovalState::Approved),
            Self::Spent => Some(ApprovalState::Spent),
            Self::Denied => Some(ApprovalState::Denied),
            Self::Expired => Some(ApprovalState::Expired),
            Self::All => None,
        }
    }
}

#[derive(Debug, Args)]
struct Decide {
    /// Id of the approval, `apr_…`
    id: String,

    /// Why; kept with the decision
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Who decides [default: the user's name]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,

    /// Print a JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: LedgerPlace,
}

impl Approval {
    pub(crate) fn execute(self) -> anyhow::Result<Ended> {
        block_on(async {
            match self.action {
                Action::List(list) => list.execute().await,
                Action::Approve(decide) => decide.execute(Decision::Approve).await,
                Action::Deny(decide) => decide.execute(Decision::Deny).await,
            }
        })?;
        Ok(Ended::Fine)
    }
}

impl List {
    async fn execute(self) -> anyhow::Result<()> {
        let ledger = LedgerAccess::open(&self.place.resolve()?, IfAbsent::Complain)?;
        let query = ApprovalsQuery { state: self.state.asked(), limit: Some(self.limit) };
        let approvals = match &ledger {
            LedgerAccess::Gateway(client) => client.get::<Approvals>("/approvals", &query).await?.approvals,
            LedgerAccess::Direct(ledger) => list_directly(ledger, &query).await?,
        };
        ledger.close().await?;
        let mut out = Output::new();
        if self.json {
            for approval in &approvals {
                out.json(approval)?;
            }
        } else if approvals.is_empty() {
            say("no approvals");
        } else {
            out.table(
                &["ID", "STATE", "GRANT", "SERVER", "TOOL", "EXPIRES", "SUMMARY"],
                &approvals.iter().map(row).collect::<Vec<_>>(),
            )?;
        }
        out.finish()
    }
}

async fn list_directly(ledger: &Ledger, query: &ApprovalsQuery) -> anyhow::Result<Vec<api_types::Approval>> {
    let now = Clock::System.now();
    let pending_only = query.state == Some(ApprovalState::Pending);
    let filter = ApprovalFilter { pending_only, ..ApprovalFilter::default() };
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    // Other states are chosen here, so the ledger must not stop at the first `limit` of any state.
    let read = if pending_only || query.state.is_none() { limit } else { MOST_APPROVALS };
    let labels = labels(ledger).await?;
    let approvals = ledger.approvals(&filter, read, now).await?;
    let shown = approvals.iter().map(|approval| api_types::Approval::of(approval, &labels, now));
    let asked = |approval: &api_types::Approval| query.state.is_none_or(|state| approval.state == state);
    Ok(shown.filter(asked).take(limit).collect())
}

/// How many approvals are looked through for a state.
const MOST_APPROVALS: usize = 100_000;

async fn labels(ledger: &Ledger) -> anyhow::Result<BTreeMap<String, String>> {
    let grants = ledger.grants(true).await?;
    Ok(grants.iter().map(|grant| (grant.id.clone(), grant.label.clone())).collect())
}

fn row(approval: &api_types::Approval) -> Vec<String> {
    vec![
        approval.id.clone(),
        state_word(approval.state).to_owned(),
        shown(&approval.grant),
        shown(&approval.server),
        shown(&approval.tool),
        approval.expires_at.clone(),
        shown(&approval.summary),
    ]
}

fn state_word(state: ApprovalState) -> &'static str {
    match state {
        ApprovalState::Pending => "pending",
        ApprovalState::Approved => "approved",
        ApprovalState::Spent => "spent",
        ApprovalState::Denied => "denied",
        ApprovalState::Expired => "expired",
    }
}

impl Decide {
    async fn execute(self, decision: Decision) -> anyhow::Result<()> {
        let ledger = LedgerAccess::open(&self.place.resolve()?, IfAbsent::Complain)?;
        let by = self.by.or_else(|| env::var("USER").ok()).filter(|name| !name.is_empty());
        let approval = match &ledger {
            LedgerAccess::Gateway(client) => {
                let path = format!("/approvals/{}", percent_encoded(&self.id));
                client.post(&path, &DecideApproval { decision, reason: self.reason, by }).await?
            }
            LedgerAccess::Direct(ledger) => {
                let now = Clock::System.now();
                let by = by.as_deref().unwrap_or("cli");
                let reason = self.reason.as_deref();
                let decided = ledger.decide(&self.id, decision.into(), by, reason, now).await?;
                api_types::Approval::of(&decided, &labels(ledger).await?, now)
            }
        };
        ledger.close().await?;
        let mut out = Output::new();
        if self.json {
            out.json(&approval)?;
        } else {
            say(&sentence(&approval, decision));
        }
        out.finish()
    }
}

fn sentence(approval: &api_types::Approval, decision: Decision) -> String {
    let tool = shown(&approval.tool);
    let (id, grant) = (&approval.id, shown(&approval.grant));
    match decision {
        Decision::Approve => format!("approved {id}: `{tool}` passes once for grant `{grant}`"),
        Decision::Deny => format!("denied {id}: `{tool}` does not pass for grant `{grant}`"),
    }
}
