//! The table `entries`.

use std::time::Duration;

use policy::Timestamp;
use rusqlite::types::{Type, ValueRef};
use rusqlite::{CachedStatement, Connection, Row, ToSql, params};

use super::{integer, unexpected, unsigned};
use crate::chain::{Hash, Head};
use crate::record::{Opened, Settled};
use crate::{Entry, EntryFilter, EntryId, Outcome, UpstreamResult};

const COLUMNS: &str = r#"opened_seq, opened_hash, id, at, instance, outcome, "grant", client, session, server, method, tool, category, policy,
    policy_version, rule, reason, approval, argument_keys, arguments_hmac, request_id, trace_id, settled_seq, settled_hash, settled_at, result,
    upstream_status, is_error, gateway_us, upstream_us"#;

/// Where [`read`] finds the places of an entry's two records.
pub(crate) const OPENED_SEQ: usize = 0;
pub(crate) const SETTLED_SEQ: usize = 22;
const COLUMN_COUNT: usize = 30;

/// Adds entries.
pub(crate) struct Inserter<'c>(CachedStatement<'c>);

impl<'c> Inserter<'c> {
    pub(crate) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        let sql = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        Ok(Self(connection.prepare_cached(sql)?))
    }

    /// Adds an entry, settled or not.
    pub(crate) fn insert(
        &mut self,
        place: &Head,
        opened: &Opened<'_>,
        settled: Option<&(Head, Settled)>,
    ) -> rusqlite::Result<()> {
        let outcome = settled.map(|(_, record)| record);
        self.0.execute(params![
            integer(place.seq),
            place.hash,
            opened.id.to_string(),
            opened.at.as_micros(),
            integer(opened.instance),
            opened.outcome.as_str(),
            opened.grant,
            opened.client,
            opened.session,
            opened.server,
            opened.method,
            opened.tool,
            opened.category,
            opened.policy,
            opened.policy_version,
            opened.rule,
            opened.reason,
            opened.approval,
            opened.argument_keys,
            opened.arguments_hmac,
            opened.request_id,
            opened.trace_id,
            settled.map(|(place, _)| integer(place.seq)),
            settled.map(|(place, _)| place.hash),
            outcome.map(|record| record.at.as_micros()),
            outcome.map(|record| record.result.as_str()),
            outcome.and_then(|record| record.status),
            outcome.and_then(|record| record.is_error),
            outcome.map(|record| integer(record.gateway_us)),
            outcome.map(|record| integer(record.upstream_us)),
        ])?;
        Ok(())
    }
}

/// Adds the settled record to an entry; says whether there was an unsettled one.
pub(crate) fn settle(connection: &Connection, place: &Head, record: &Settled) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "UPDATE entries SET settled_seq = ?, settled_hash = ?, settled_at = ?, result = ?, upstream_status = ?, is_error = ?, gateway_us = ?,
             upstream_us = ? WHERE opened_seq = ? AND settled_seq IS NULL",
    )?;
    let changed = statement.execute(params![
        integer(place.seq),
        place.hash,
        record.at.as_micros(),
        record.result.as_str(),
        record.status,
        record.is_error,
        integer(record.gateway_us),
        integer(record.upstream_us),
        integer(record.opened_seq),
    ])?;
    Ok(changed == 1)
}

/// The instances that have calls without an outcome.
pub(crate) fn unsettled_instances(connection: &Connection) -> rusqlite::Result<Vec<u64>> {
    let mut statement = connection
        .prepare_cached("SELECT DISTINCT instance FROM entries WHERE settled_seq IS NULL AND outcome = 'allow'")?;
    statement.query_map([], |row| unsigned(0, row.get(0)?))?.collect()
}

/// The entries of an instance without an outcome, oldest first.
pub(crate) fn unsettled_of(connection: &Connection, instance: u64) -> rusqlite::Result<Vec<u64>> {
    let mut statement =
        connection.prepare_cached("SELECT opened_seq FROM entries WHERE settled_seq IS NULL AND outcome = 'allow' AND instance = ? ORDER BY opened_seq")?;
    statement.query_map([integer(instance)], |row| unsigned(0, row.get(0)?))?.collect()
}

/// In which direction entries are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    NewestFirst,
    OldestFirst,
}

/// Reads the entries that pass the filter. The newest come by id, which is by time; the oldest in the chain's order.
pub(crate) fn select(
    connection: &Connection,
    filter: &EntryFilter,
    direction: Direction,
    limit: usize,
) -> rusqlite::Result<Vec<Entry>> {
    let order = match direction {
        Direction::NewestFirst => "id DESC",
        Direction::OldestFirst => "opened_seq",
    };
    let conditions = conditions(filter, direction);
    let wanted: Vec<&str> = conditions.iter().map(|(condition, _)| *condition).chain(["1"]).collect();
    let sql = format!("SELECT {COLUMNS} FROM entries WHERE {} ORDER BY {order} LIMIT ?", wanted.join(" AND "));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values: Vec<&dyn ToSql> = conditions.iter().map(|(_, value)| &**value).chain([&limit as &dyn ToSql]).collect();
    let mut statement = connection.prepare(&sql)?;
    statement.query_map(values.as_slice(), read)?.collect()
}

type Condition = (&'static str, Box<dyn ToSql>);

fn conditions(filter: &EntryFilter, direction: Direction) -> Vec<Condition> {
    let mut conditions: Vec<Condition> = Vec::new();
    let mut add = |condition, value: Option<Box<dyn ToSql>>| conditions.extend(value.map(|value| (condition, value)));
    let text = |text: &Option<String>| text.clone().map(|text| Box::new(text) as Box<dyn ToSql>);
    let time = |time: Option<Timestamp>| time.map(|time| Box::new(time.as_micros()) as Box<dyn ToSql>);
    let id = |time: Option<Timestamp>| {
        let time = time.filter(|_| direction == Direction::NewestFirst)?;
        Some(Box::new(EntryId::new(time, 0).to_string()) as Box<dyn ToSql>)
    };
    add("id >= ?", id(filter.since));
    add("at >= ?", time(filter.since));
    add("id < ?", id(filter.until.map(|until| until.saturating_add(Duration::from_millis(1)))));
    add("at < ?", time(filter.until));
    add("\"grant\" = ?", text(&filter.grant));
    add("server = ?", text(&filter.server));
    add("tool = ?", text(&filter.tool));
    add("rule = ?", text(&filter.rule));
    add("outcome = ?", filter.outcome.map(|outcome| Box::new(outcome.as_str()) as Box<dyn ToSql>));
    add("opened_seq > ?", filter.after_seq.map(|seq| Box::new(integer(seq)) as Box<dyn ToSql>));
    conditions
}

/// Reads one entry.
pub(crate) fn find(connection: &Connection, id: EntryId) -> rusqlite::Result<Option<Entry>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM entries WHERE id = ?"))?;
    let mut rows = statement.query_map([id.to_string()], read)?;
    rows.next().transpose()
}

/// The entries whose opened records lie in a part of the chain, in its order.
pub(crate) fn opened_between(connection: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
    connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM entries WHERE opened_seq > ? AND opened_seq <= ? ORDER BY opened_seq LIMIT ?"
    ))
}

/// The last place in the chain that an opened record claims.
pub(crate) fn last_opened_seq(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT coalesce(max(opened_seq), 0) FROM entries", [], |row| row.get(0))
}

/// Tells whether a record claims a place before the first.
pub(crate) fn has_misplaced(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM entries WHERE opened_seq < 1)", [], |row| row.get(0))
}

/// Reads a row of [`COLUMNS`], strictly: a value that this program never writes is an error.
pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let number = |column| -> rusqlite::Result<Option<u64>> {
        row.get::<_, Option<i64>>(column)?.map(|number| unsigned(column, number)).transpose()
    };
    Ok(Entry {
        settled_seq: number(SETTLED_SEQ)?,
        settled_hash: row.get::<_, Option<Hash>>(23)?,
        settled_at: row.get::<_, Option<i64>>(24)?.map(Timestamp::from_micros),
        result: result(row)?,
        upstream_status: row.get(26)?,
        is_error: flag(row)?,
        gateway_us: number(28)?,
        upstream_us: number(29)?,
        ..read_opened(row)?
    })
}

/// Tells whether a row has an outcome, or a part of one, but no settled record.
pub(crate) fn has_stray_outcome(row: &Row<'_>) -> rusqlite::Result<bool> {
    if row.get_ref(SETTLED_SEQ)? != ValueRef::Null {
        return Ok(false);
    }
    for column in SETTLED_SEQ + 1..COLUMN_COUNT {
        if row.get_ref(column)? != ValueRef::Null {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads the columns of the opened record only.
pub(crate) fn read_opened(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        opened_seq: unsigned(0, row.get(0)?)?,
        opened_hash: row.get(1)?,
        id: row.get_ref(2)?.as_str()?.parse().map_err(|_| unexpected(2, Type::Text, "not a record id"))?,
        at: Timestamp::from_micros(row.get(3)?),
        instance: unsigned(4, row.get(4)?)?,
        outcome: Outcome::parse(row.get_ref(5)?.as_str()?)
            .ok_or_else(|| unexpected(5, Type::Text, "not an outcome"))?,
        grant: row.get(6)?,
        client: row.get(7)?,
        session: row.get(8)?,
        server: row.get(9)?,
        method: row.get(10)?,
        tool: row.get(11)?,
        category: row.get(12)?,
        policy: row.get(13)?,
        policy_version: row.get(14)?,
        rule: row.get(15)?,
        reason: row.get(16)?,
        approval: row.get(17)?,
        argument_keys: row.get(18)?,
        arguments_hmac: row.get::<_, Option<Hash>>(19)?,
        request_id: row.get(20)?,
        trace_id: row.get(21)?,
        settled_seq: None,
        settled_hash: None,
        settled_at: None,
        result: None,
        upstream_status: None,
        is_error: None,
        gateway_us: None,
        upstream_us: None,
    })
}

fn result(row: &Row<'_>) -> rusqlite::Result<Option<UpstreamResult>> {
    let word = row.get_ref(25)?.as_str_or_null()?;
    word.map(|word| UpstreamResult::parse(word).ok_or_else(|| unexpected(25, Type::Text, "not a result"))).transpose()
}

fn flag(row: &Row<'_>) -> rusqlite::Result<Option<bool>> {
    match row.get::<_, Option<i64>>(27)? {
        None => Ok(None),
        Some(0) => Ok(Some(false)),
        Some(1) => Ok(Some(true)),
        Some(_) => Err(unexpected(27, Type::Integer, "not a yes or no")),
    }
}
