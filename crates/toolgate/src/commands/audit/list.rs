//! `toolgate audit list`: the latest calls.

use clap::Args;
use gateway::api_types::{AuditQuery, Entries, Entry};

use super::{Filter, HEAD, row};
use crate::data_dir::LedgerPlace;
use crate::exit::Ended;
use crate::ledger_access::{IfAbsent, LedgerAccess};
use crate::output::{self, Output, say};

/// How many entries a list has at most, unless told otherwise.
const DEFAULT_LIMIT: usize = 50;

/// List calls, newest first
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    filter: Filter,

    /// List at most this many
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT, value_parser = output::rows)]
    limit: usize,

    /// Print JSON objects, one a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: LedgerPlace,
}

impl List {
    pub(super) async fn execute(self) -> anyhow::Result<Ended> {
        let ledger = LedgerAccess::open(&self.place.resolve()?, IfAbsent::Complain)?;
        let query = AuditQuery { limit: Some(self.limit), ..self.filter.query() };
        let entries = read(&ledger, &query).await?;
        ledger.close().await?;
        let mut out = Output::new();
        if self.json {
            for entry in &entries {
                out.json(entry)?;
            }
        } else if entries.is_empty() {
            say("no entries");
        } else {
            out.table(&HEAD, &entries.iter().map(row).collect::<Vec<_>>())?;
        }
        out.finish()?;
        Ok(Ended::Fine)
    }
}

/// Reads entries newest first, or oldest first after a place in the chain.
pub(super) async fn read(ledger: &LedgerAccess, query: &AuditQuery) -> anyhow::Result<Vec<Entry>> {
    let ledger = match ledger {
        LedgerAccess::Gateway(client) => {
            return Ok(client.get::<Entries>("/audit", query).await?.entries);
        }
        LedgerAccess::Direct(ledger) => ledger,
    };
    let filter = query.filter().map_err(anyhow::Error::msg)?;
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    let entries = match query.after {
        Some(seq) => ledger.entries_after(seq, &filter, limit).await?,
        None => ledger.entries(&filter, limit).await?,
    };
    Ok(entries.iter().map(Entry::from).collect())
}
