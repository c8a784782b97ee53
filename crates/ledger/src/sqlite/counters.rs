//! The table `counters`.

use policy::Scope;
use policy::limits::Meter;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::{progress, unexpected};
use crate::CounterKey;

/// Reads a counter; one that was never written is empty.
pub(crate) fn load(connection: &Connection, key: &CounterKey<'_>) -> rusqlite::Result<Meter> {
    let mut statement = connection
        .prepare_cached("SELECT meter FROM counters WHERE policy = ? AND scope = ? AND subject = ? AND counter = ?")?;
    let stored = statement
        .query_row((key.policy, key.scope.as_str(), key.subject, key.counter), |row| {
            decode(row.get_ref(0)?.as_str()?, 0)
        })
        .optional()?;
    Ok(stored.unwrap_or_default())
}

/// Writes a counter.
pub(crate) fn store(connection: &Connection, key: &CounterKey<'_>, meter: &Meter) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO counters VALUES (?, ?, ?, ?, ?) ON CONFLICT (policy, scope, subject, counter) DO UPDATE SET meter = excluded.meter",
    )?;
    statement.execute((key.policy, key.scope.as_str(), key.subject, key.counter, meter.encode()))?;
    Ok(())
}

/// Removes a counter that holds nothing any more.
pub(crate) fn remove(connection: &Connection, key: &CounterKey<'_>) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("DELETE FROM counters WHERE policy = ? AND scope = ? AND subject = ? AND counter = ?")?;
    statement.execute((key.policy, key.scope.as_str(), key.subject, key.counter))?;
    Ok(())
}

/// Reads all counters.
pub(crate) fn each(connection: &Connection, mut visit: impl FnMut(&CounterKey<'_>, Meter)) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("SELECT policy, scope, subject, counter, meter FROM counters")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text = |column: usize| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
        let scope = Scope::parse(text(1)?).ok_or_else(|| unexpected(1, Type::Text, "not a scope"))?;
        let key = CounterKey { policy: text(0)?, scope, subject: text(2)?, counter: text(3)? };
        visit(&key, decode(text(4)?, 4)?);
    }
    Ok(())
}

/// Removes all counters that hold nothing any more.
pub(crate) fn remove_idle(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let clock = progress::load(&transaction)?.clock;
    let mut idle = Vec::new();
    each(&transaction, |key, meter| {
        if meter.is_idle(clock) {
            idle.push((key.policy.to_owned(), key.scope, key.subject.to_owned(), key.counter.to_owned()));
        }
    })?;
    for (policy, scope, subject, counter) in &idle {
        remove(&transaction, &CounterKey { policy, scope: *scope, subject, counter })?;
    }
    transaction.commit()
}

fn decode(text: &str, column: usize) -> rusqlite::Result<Meter> {
    Meter::decode(text).map_err(|_| unexpected(column, Type::Text, "not a counter"))
}
