//! The database: what is kept, whatever way it got there.

pub(crate) mod counters;
pub(crate) mod entries;
pub(crate) mod progress;
pub(crate) mod rows;
mod schema;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::{OpenError, Options, Synchronous, directory};

pub(crate) use schema::migrate;

/// Prepared statements kept per connection.
const STATEMENTS: usize = 64;
/// SQLite's own log is moved into the database after so many pages of 4 KiB: each time costs two syncs.
const CHECKPOINT_PAGES: u32 = 4_000;
/// How long a reader waits while the database is being recovered or its log reset.
const READER_PATIENCE: Duration = Duration::from_secs(5);

/// The database of a data directory.
pub(crate) fn path_in(directory: &Path) -> PathBuf {
    directory.join("ledger.db")
}

/// Opens the database for writing.
pub(crate) fn open(directory: &Path, options: &Options) -> Result<Connection, OpenError> {
    // SQLite gives its other files the same permissions.
    directory::private_file(&path_in(directory))?;
    let connection = Connection::open(path_in(directory))?;
    connection.busy_timeout(options.patience)?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        let what = format!("its file system cannot hold a write-ahead log (journal mode `{mode}`)");
        return Err(OpenError::Damaged { path: path_in(directory), what });
    }
    let synchronous = match options.synchronous {
        Synchronous::Normal => "normal",
        Synchronous::Full => "full",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Opens the database for reading only, next to whoever writes.
pub(crate) fn open_reader(directory: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path_in(directory),
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(READER_PATIENCE)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Moves what is in SQLite's own log into the database and syncs it, without waiting for anybody.
///
/// Returns whether everything was moved: only then may the ledger's log be shortened.
pub(crate) fn checkpoint(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        let (busy, in_log, moved): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(busy == 0 && in_log == moved)
    })
}

/// An unsigned number as the database keeps it.
pub(crate) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number of the database that must not be negative.
pub(crate) fn unsigned(column: usize, number: i64) -> rusqlite::Result<u64> {
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// A column that holds something else than this program writes.
pub(crate) fn unexpected(column: usize, kind: rusqlite::types::Type, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, what.into())
}
