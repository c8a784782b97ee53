//! `toolgate audit verify`: is the record as it was written?

use clap::Args;
use gateway::api_types::Verification;

use crate::data_dir::LedgerPlace;
use crate::exit::Ended;
use crate::ledger_access::{IfAbsent, LedgerAccess};
use crate::output::{Output, Progress};

/// Check that no record was edited, removed or reordered
///
/// Exits with 1 and names the first bad record if the chain is broken. Keep the count and the head that it prints somewhere else, and give them back with `--records` and `--head`: that also finds records cut off at the end.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The count that an earlier `verify` printed: there must be at least so many records now
    #[arg(long, value_name = "N", requires = "head")]
    records: Option<u64>,

    /// The head that an earlier `verify` printed, for record N
    #[arg(long, value_name = "HASH", requires = "records", value_parser = hash)]
    head: Option<String>,

    /// Print a JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: LedgerPlace,
}

impl Verify {
    pub(super) async fn execute(self) -> anyhow::Result<Ended> {
        let ledger = LedgerAccess::open(&self.place.resolve()?, IfAbsent::Complain)?;
        let mut verification = verify(&ledger).await?;
        if let (Some(records), Some(head), true) = (self.records, &self.head, verification.intact)
            && let Some(what) = super::export::missing_anchor(&ledger, records, head).await?
        {
            verification.intact = false;
            verification.first_bad = Some(records);
            verification.what = Some(what);
        }
        ledger.close().await?;
        let mut out = Output::new();
        if self.json {
            out.json(&verification)?;
        } else {
            out.line(&sentence(&verification))?;
        }
        out.finish()?;
        Ok(if verification.intact { Ended::Fine } else { Ended::Found })
    }
}

async fn verify(ledger: &LedgerAccess) -> anyhow::Result<Verification> {
    let mut progress = Progress::new();
    match ledger {
        LedgerAccess::Gateway(client) => {
            progress.set(|| "the gateway verifies its records".to_owned());
            client.get("/audit/verify", &()).await
        }
        LedgerAccess::Direct(ledger) => {
            let show = move |done, all| progress.set(|| format!("verified {done} of {all} records"));
            Ok(Verification::from(&ledger.verify(show).await?))
        }
    }
}

fn sentence(verification: &Verification) -> String {
    if verification.intact {
        let records = verification.records.unwrap_or_default();
        let head = verification.head.as_deref().unwrap_or_default();
        return format!("intact: {records} records, head {head}");
    }
    let first_bad = verification.first_bad.unwrap_or_default();
    let entry = verification.entry.as_ref().map_or_else(String::new, |id| format!(" of entry {id}"));
    let what = verification.what.as_deref().unwrap_or("it is not as it was written");
    format!("broken: record {first_bad}{entry}: {what}")
}

fn hash(text: &str) -> Result<String, String> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err("write the 64 hexadecimal digits that `toolgate audit verify` printed".to_owned())
}
