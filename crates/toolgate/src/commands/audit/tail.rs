//! `toolgate audit tail`: calls as they come in.

use std::time::Duration;

use clap::Args;
use gateway::api_types::{AuditQuery, Entry};

use super::{Filter, list, row};
use crate::data_dir::LedgerPlace;
use crate::exit::Ended;
use crate::ledger_access::{IfAbsent, LedgerAccess};
use crate::output::{self, Output};

/// How many earlier entries are shown first, unless told otherwise.
const DEFAULT_LIMIT: usize = 10;
/// How many entries are fetched at a time.
const PAGE: usize = 500;
/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(500);

/// Show the latest calls, and go on as they come in
///
/// A call is shown when it is decided, so what comes of a forwarded one may not be known yet. Ends when it is interrupted.
#[derive(Debug, Args)]
pub(super) struct Tail {
    #[command(flatten)]
    filter: Filter,

    /// Show this many earlier calls first
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT, value_parser = output::rows)]
    limit: usize,

    /// Print JSON objects, one a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: LedgerPlace,
}

impl Tail {
    pub(super) async fn execute(self) -> anyhow::Result<Ended> {
        let directory = self.place.resolve()?;
        let ledger = LedgerAccess::open(&directory, IfAbsent::Complain)?;
        let json = self.json;
        let query = self.filter.query();
        // The place to go on from is the newest entry of any kind, also where the filter has none.
        let newest = AuditQuery { limit: Some(1), ..AuditQuery::default() };
        let newest = list::read(&ledger, &newest).await?;
        let mut after = newest.first().map_or(0, |entry| entry.seq);
        let mut out = Output::new();
        let mut earlier = list::read(&ledger, &AuditQuery { limit: Some(self.limit), ..query.clone() }).await?;
        earlier.reverse();
        earlier.retain(|entry| entry.seq <= after);
        show(&mut out, &earlier, json)?;
        loop {
            let query = AuditQuery { after: Some(after), limit: Some(PAGE), ..query.clone() };
            let entries = list::read(&ledger, &query).await?;
            after = entries.last().map_or(after, |entry| entry.seq);
            let full = entries.len() == PAGE;
            show(&mut out, &entries, json)?;
            if !full {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn show(out: &mut Output, entries: &[Entry], json: bool) -> anyhow::Result<()> {
    for entry in entries {
        if json {
            out.json(entry)?;
        } else {
            out.line(row(entry).join("  ").trim_end())?;
        }
    }
    Ok(out.flush()?)
}
