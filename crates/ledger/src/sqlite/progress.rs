//! The one row that says where the ledger stands.

use policy::Timestamp;
use rusqlite::Connection;

use super::{integer, unsigned};
use crate::chain::Head;

/// Where the ledger stands, in the database's view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) head: Head,
    /// The latest time the ledger was told.
    pub(crate) clock: Timestamp,
    /// Everything of the log before this position is in the database.
    pub(crate) log_position: u64,
}

pub(crate) fn load(connection: &Connection) -> rusqlite::Result<Progress> {
    let mut statement =
        connection.prepare_cached("SELECT head_seq, head_hash, clock, log_position FROM progress WHERE one = 1")?;
    statement.query_row([], |row| {
        Ok(Progress {
            head: Head { seq: unsigned(0, row.get(0)?)?, hash: row.get(1)? },
            clock: Timestamp::from_micros(row.get(2)?),
            log_position: unsigned(3, row.get(3)?)?,
        })
    })
}

pub(crate) fn store(connection: &Connection, progress: &Progress) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("UPDATE progress SET head_seq = ?, head_hash = ?, clock = ?, log_position = ? WHERE one = 1")?;
    let Progress { head, clock, log_position } = progress;
    statement.execute((integer(head.seq), head.hash, clock.as_micros(), integer(*log_position)))?;
    Ok(())
}
