//! `toolgate audit`: the record of what was let through and what was refused.

mod export;
mod list;
mod tail;
mod verify;

use clap::{Args, Subcommand};
use gateway::api_types::{AuditQuery, Entry};

use crate::exit::Ended;
use crate::ledger_access::block_on;
use crate::output::shown;
use crate::times;

/// Read and verify the record of all calls
///
/// Works through the running gateway, or directly on the ledger where none runs.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Tail(tail::Tail),
    List(list::List),
    Verify(verify::Verify),
    Export(export::Export),
}

impl Audit {
    pub(crate) fn execute(self) -> anyhow::Result<Ended> {
        block_on(async {
            match self.action {
                Action::Tail(tail) => tail.execute().await,
                Action::List(list) => list.execute().await,
                Action::Verify(verify) => verify.execute().await,
                Action::Export(export) => export.execute().await,
            }
        })
    }
}

/// Which entries are asked for; all of it must hold.
#[derive(Debug, Args)]
struct Filter {
    /// Only entries since then: a time as `2026-07-28T10:00:00Z`, or how long ago as `7d`
    #[arg(long, value_name = "WHEN", value_parser = times::past)]
    since: Option<String>,

    /// Only entries before then
    #[arg(long, value_name = "WHEN", value_parser = times::past)]
    until: Option<String>,

    /// Only entries of this grant
    #[arg(long, value_name = "LABEL")]
    grant: Option<String>,

    /// Only entries of this server
    #[arg(long, value_name = "NAME")]
    server: Option<String>,

    /// Only entries of this tool, resource or prompt
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,

    /// Only entries with this outcome
    #[arg(long, value_parser = ["allow", "deny", "hide", "limit", "approve", "reject"])]
    outcome: Option<String>,

    /// Only entries that this rule decided
    #[arg(long, value_name = "POINTER")]
    rule: Option<String>,
}

impl Filter {
    fn query(self) -> AuditQuery {
        AuditQuery {
            since: self.since,
            until: self.until,
            grant: self.grant,
            server: self.server,
            tool: self.tool,
            outcome: self.outcome,
            rule: self.rule,
            ..AuditQuery::default()
        }
    }
}

const HEAD: [&str; 7] = ["TIME", "OUTCOME", "GRANT", "SERVER", "TOOL", "RULE", "RESULT"];

fn row(entry: &Entry) -> Vec<String> {
    let what = entry.tool.as_deref().unwrap_or(&entry.method);
    vec![
        entry.at.clone(),
        entry.outcome.clone(),
        shown(&entry.grant),
        shown(&entry.server),
        shown(what),
        shown(entry.rule.as_deref().unwrap_or_default()),
        result(entry),
    ]
}

/// What came of a call, or why it was refused.
fn result(entry: &Entry) -> String {
    if let Some(reason) = &entry.reason {
        return shown(reason);
    }
    let Some(settled) = &entry.settled else { return String::new() };
    let error = if entry.is_error == Some(true) { " with an error" } else { "" };
    let time = entry.upstream_us.map_or_else(String::new, |micros| format!(" in {} ms", micros / 1000));
    format!("{}{error}{time}", settled.replace('_', " "))
}
