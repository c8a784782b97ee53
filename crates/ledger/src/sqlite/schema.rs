//! Numbered migrations, each applied once and in order.

use rusqlite::{Connection, TransactionBehavior};

use crate::OpenError;

/// The n-th entry leads from schema n to schema n + 1. Entries are only ever added.
const MIGRATIONS: &[&str] = &[include_str!("0001_ledger.sql")];

/// Brings the database to this build's schema.
///
/// # Errors
/// The database is newer than this build.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let missing = usize::try_from(found).ok().and_then(|found| MIGRATIONS.get(found..));
    let Some(missing) = missing else {
        return Err(OpenError::Newer { found, known });
    };
    for migration in missing {
        transaction.execute_batch(migration)?;
    }
    if !missing.is_empty() {
        transaction.pragma_update(None, "user_version", known)?;
    }
    transaction.commit()?;
    Ok(())
}
