//! The tables of grants, approvals, policies, settings and instances.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{integer, unexpected, unsigned};
use crate::change::{ApprovalRow, Change, GrantRow, PolicyRow};
use crate::{Access, ApprovalFilter};

/// Applies one change; applying it again changes nothing.
pub(crate) fn apply(connection: &Connection, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::Grant(row) => store_grant(connection, row),
        Change::Approval(row) => store_approval(connection, row),
        Change::Policy(row) => store_policy(connection, row),
        Change::PolicyRemoved { name } => {
            connection.prepare_cached("DELETE FROM policies WHERE name = ?")?.execute([name]).map(|_| ())
        }
        Change::Meta { key, value } => {
            let mut statement = connection.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?, ?)")?;
            statement.execute((key, value)).map(|_| ())
        }
    }
}

fn store_grant(connection: &Connection, row: &GrantRow) -> rusqlite::Result<()> {
    let access =
        serde_json::to_string(&row.access).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let mut statement =
        connection.prepare_cached("INSERT OR REPLACE INTO grants VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    let GrantRow { id, label, expires, created_at, revoked_at, generation, origin, token_sha256, .. } = row;
    statement.execute(params![
        id,
        label,
        access,
        expires,
        created_at,
        revoked_at,
        integer(*generation),
        origin,
        token_sha256
    ])?;
    Ok(())
}

fn store_approval(connection: &Connection, row: &ApprovalRow) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("INSERT OR REPLACE INTO approvals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    statement.execute(params![
        row.id,
        row.state,
        row.grant,
        row.server,
        row.tool,
        row.policy,
        row.policy_version,
        row.rule,
        row.fingerprint,
        row.summary,
        row.asked_at,
        row.expires_at,
        row.decided_at,
        row.decided_by,
        row.decision_reason,
        row.spent_by,
    ])?;
    Ok(())
}

fn store_policy(connection: &Connection, row: &PolicyRow) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("INSERT OR REPLACE INTO policies VALUES (?, ?, ?, ?, ?, ?)")?;
    let PolicyRow { name, revision, text, format, stored_at, stored_by } = row;
    statement.execute((name, integer(*revision), text, format, stored_at, stored_by))?;
    Ok(())
}

/// All grants.
pub(crate) fn grants(connection: &Connection) -> rusqlite::Result<Vec<GrantRow>> {
    let mut statement = connection.prepare_cached("SELECT * FROM grants ORDER BY label, id")?;
    statement.query_map([], read_grant)?.collect()
}

/// The grant with this id.
pub(crate) fn grant(connection: &Connection, id: &str) -> rusqlite::Result<Option<GrantRow>> {
    connection.prepare_cached("SELECT * FROM grants WHERE id = ?")?.query_row([id], read_grant).optional()
}

/// The approval with this id.
pub(crate) fn approval(connection: &Connection, id: &str) -> rusqlite::Result<Option<ApprovalRow>> {
    connection.prepare_cached("SELECT * FROM approvals WHERE id = ?")?.query_row([id], read_approval).optional()
}

/// The approvals asked for with this fingerprint.
pub(crate) fn approvals_of_call(connection: &Connection, fingerprint: &[u8; 32]) -> rusqlite::Result<Vec<ApprovalRow>> {
    let mut statement = connection.prepare_cached("SELECT * FROM approvals WHERE fingerprint = ?")?;
    statement.query_map([fingerprint], read_approval)?.collect()
}

/// The approvals of a grant that are recorded as pending.
pub(crate) fn pending_approvals(connection: &Connection, grant: &str) -> rusqlite::Result<Vec<ApprovalRow>> {
    let mut statement =
        connection.prepare_cached("SELECT * FROM approvals WHERE state = 'pending' AND \"grant\" = ?")?;
    statement.query_map([grant], read_approval)?.collect()
}

/// The approvals that have not lapsed at `clock`, decided or not.
pub(crate) fn live_approvals(connection: &Connection, clock: i64) -> rusqlite::Result<Vec<ApprovalRow>> {
    let mut statement = connection.prepare("SELECT * FROM approvals WHERE expires_at > ?")?;
    statement.query_map([clock], read_approval)?.collect()
}

/// Approvals by filter, newest first; `now` tells which of the pending ones have lapsed.
pub(crate) fn approvals(
    connection: &Connection,
    filter: &ApprovalFilter,
    limit: usize,
    now: i64,
) -> rusqlite::Result<Vec<ApprovalRow>> {
    let sql = "SELECT * FROM approvals WHERE (NOT ?1 OR (state = 'pending' AND expires_at > ?2)) AND (?3 IS NULL OR \"grant\" = ?3)
               ORDER BY asked_at DESC, id DESC LIMIT ?4";
    let mut statement = connection.prepare(sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    statement.query_map((filter.pending_only, now, &filter.grant, limit), read_approval)?.collect()
}

/// The latest revision of every policy.
pub(crate) fn policies(connection: &Connection) -> rusqlite::Result<Vec<PolicyRow>> {
    let mut statement = connection.prepare(
        "SELECT * FROM policies AS this WHERE revision = (SELECT max(revision) FROM policies WHERE name = this.name) ORDER BY name",
    )?;
    statement.query_map([], read_policy)?.collect()
}

/// The latest revision of one policy.
pub(crate) fn policy(connection: &Connection, name: &str) -> rusqlite::Result<Option<PolicyRow>> {
    let mut statement =
        connection.prepare_cached("SELECT * FROM policies WHERE name = ? ORDER BY revision DESC LIMIT 1")?;
    statement.query_row([name], read_policy).optional()
}

/// One setting.
pub(crate) fn meta(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    connection.prepare_cached("SELECT value FROM meta WHERE key = ?")?.query_row([key], |row| row.get(0)).optional()
}

/// Registers a process and returns its number, which no other process ever had.
pub(crate) fn new_instance(connection: &Connection, pid: u32) -> rusqlite::Result<u64> {
    connection.execute("INSERT INTO instances (pid) VALUES (?)", [pid])?;
    unsigned(0, connection.last_insert_rowid())
}

fn read_grant(row: &Row<'_>) -> rusqlite::Result<GrantRow> {
    let access: Vec<Access> = serde_json::from_str(row.get_ref(2)?.as_str()?)
        .map_err(|_| unexpected(2, Type::Text, "not a list of servers and policies"))?;
    Ok(GrantRow {
        id: row.get(0)?,
        label: row.get(1)?,
        access,
        expires: row.get(3)?,
        created_at: row.get(4)?,
        revoked_at: row.get(5)?,
        generation: unsigned(6, row.get(6)?)?,
        origin: row.get(7)?,
        token_sha256: row.get(8)?,
    })
}

fn read_approval(row: &Row<'_>) -> rusqlite::Result<ApprovalRow> {
    Ok(ApprovalRow {
        id: row.get(0)?,
        state: row.get(1)?,
        grant: row.get(2)?,
        server: row.get(3)?,
        tool: row.get(4)?,
        policy: row.get(5)?,
        policy_version: row.get(6)?,
        rule: row.get(7)?,
        fingerprint: row.get(8)?,
        summary: row.get(9)?,
        asked_at: row.get(10)?,
        expires_at: row.get(11)?,
        decided_at: row.get(12)?,
        decided_by: row.get(13)?,
        decision_reason: row.get(14)?,
        spent_by: row.get(15)?,
    })
}

fn read_policy(row: &Row<'_>) -> rusqlite::Result<PolicyRow> {
    Ok(PolicyRow {
        name: row.get(0)?,
        revision: unsigned(1, row.get(1)?)?,
        text: row.get(2)?,
        format: row.get(3)?,
        stored_at: row.get(4)?,
        stored_by: row.get(5)?,
    })
}
