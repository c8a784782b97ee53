//! Calls whose process died before it could say what came of them.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::chain::RecordKind;
use crate::directory::{self, Opening};
use crate::record::Settled;
use crate::sqlite::{entries, progress};
use crate::{LedgerError, Settlement};

/// Settles the calls of dead instances as `unknown`; their quota stays taken. Those of the living, and of `own`, are left alone.
pub(crate) fn settle_all(
    connection: &mut Connection,
    directory: &Path,
    own: Option<u64>,
    opening: &Opening,
) -> Result<u64, LedgerError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut progress = progress::load(&transaction)?;
    let mut settled = 0;
    for instance in entries::unsettled_instances(&transaction)? {
        if Some(instance) == own || directory::is_alive(directory, instance, opening) {
            continue;
        }
        for opened_seq in entries::unsettled_of(&transaction, instance)? {
            let settlement = Settlement::unknown(progress.clock);
            let record = Settled::of(opened_seq, &settlement);
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            progress.head = progress.head.after(RecordKind::Settled, &bytes);
            entries::settle(&transaction, &progress.head, &record)?;
            settled += 1;
        }
    }
    progress::store(&transaction, &progress)?;
    transaction.commit()?;
    directory::remove_dead_leases(directory, opening).map_err(LedgerError::Write)?;
    if settled > 0 {
        tracing::warn!(calls = settled, "settled calls of a process that died as unknown");
    }
    Ok(settled)
}
