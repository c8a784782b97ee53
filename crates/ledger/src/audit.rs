//! Checking the chain.

use std::iter::Peekable;
use std::vec::IntoIter;

use rusqlite::types::Type;
use rusqlite::{CachedStatement, Connection};

use crate::chain::{Hash, Head, RecordKind, link};
use crate::record::{Length, Opened, Settled, TEXT_BYTES};
use crate::sqlite::{entries, integer, progress, unexpected, unsigned};
use crate::{Entry, LedgerError, Outcome, Verified};

/// Rows read at a time; between them nothing is held.
const PAGE: usize = 1_000;

/// What is wrong with a record.
struct Broken {
    seq: u64,
    entry: Option<String>,
    what: String,
}

/// Checks every record up to the head, in the order in which they were written.
pub(crate) fn verify(connection: &Connection, mut progress_of: impl FnMut(u64, u64)) -> Result<Verified, LedgerError> {
    let transaction = connection.unchecked_transaction()?;
    let head = progress::load(&transaction)?.head;
    let last = entries::last_seq(&transaction)?;
    drop(transaction);
    let mut walk = Walk { before: Head::EMPTY, head };
    let mut opened = Pages::new(RecordKind::Opened, entries::opened_between(connection)?, head.seq);
    let mut settled = Pages::new(RecordKind::Settled, entries::settled_between(connection)?, head.seq);
    while walk.before.seq < head.seq {
        match walk.step(&mut opened, &mut settled)? {
            Ok(next) => walk.before = next,
            Err(broken) => return Ok(broken.into()),
        }
        if walk.before.seq.is_multiple_of(PAGE as u64) {
            progress_of(walk.before.seq, head.seq);
        }
    }
    progress_of(head.seq, head.seq);
    Ok(match walk.end(last) {
        Some(broken) => broken.into(),
        None => Verified::Intact { records: head.seq, head: head.hash },
    })
}

struct Walk {
    before: Head,
    head: Head,
}

impl Walk {
    fn step(&self, opened: &mut Pages<'_>, settled: &mut Pages<'_>) -> Result<Result<Head, Broken>, LedgerError> {
        let seq = self.before.seq + 1;
        let candidates = (opened.at(seq)?, settled.at(seq)?);
        let (entry, kind) = match candidates {
            (Row::Unreadable(what), _) | (_, Row::Unreadable(what)) => {
                return Ok(Err(Broken { seq, entry: None, what }));
            }
            (Row::Entry(entry), Row::None) => (entry, RecordKind::Opened),
            (Row::None, Row::Entry(entry)) => (entry, RecordKind::Settled),
            (Row::None, Row::None) => {
                let what = "the record is missing: it was removed, or moved to another place".to_owned();
                return Ok(Err(Broken { seq, entry: None, what }));
            }
            (Row::Entry(_), Row::Entry(entry)) => {
                let what = "two records claim this place".to_owned();
                return Ok(Err(Broken { seq, entry: Some(entry.id.to_string()), what }));
            }
        };
        let checked = match kind {
            RecordKind::Opened => check_opened(&entry, &self.before),
            RecordKind::Settled => check_settled(&entry, &self.before),
        };
        let bad = |what: &str| Broken { seq, entry: Some(entry.id.to_string()), what: what.to_owned() };
        Ok(checked.map(|hash| Head { seq, hash }).map_err(bad))
    }

    fn end(&self, last: i64) -> Option<Broken> {
        let broken = |seq, what: &str| Some(Broken { seq, entry: None, what: what.to_owned() });
        if self.before.hash != self.head.hash {
            return broken(self.head.seq, "the last record is not the one that was written last");
        }
        // Records that were written since the head was read do not count: `last` was read together with it.
        if last > integer(self.head.seq) {
            broken(self.head.seq + 1, "there is a record after the last one that was written")
        } else {
            None
        }
    }
}

impl From<Broken> for Verified {
    fn from(Broken { seq, entry, what }: Broken) -> Self {
        Self::Broken { seq, entry, what }
    }
}

const EDITED: &str = "the record does not match its hash: it was edited, or a record before it was replaced";

fn check_opened(entry: &Entry, before: &Head) -> Result<Hash, &'static str> {
    let texts = [
        &entry.client,
        &entry.tool,
        &entry.category,
        &entry.policy,
        &entry.policy_version,
        &entry.rule,
        &entry.reason,
        &entry.argument_keys,
    ];
    let too_long = texts
        .into_iter()
        .flatten()
        .chain([&entry.grant, &entry.session, &entry.server, &entry.method])
        .any(|text| text.len() > TEXT_BYTES);
    if too_long {
        return Err(EDITED);
    }
    let mut bytes = Vec::new();
    opened(entry).encode(&mut bytes, Length::AsIs);
    matches(entry.opened_hash, link(&before.hash, before.seq + 1, RecordKind::Opened, &bytes))
}

fn check_settled(entry: &Entry, before: &Head) -> Result<Hash, &'static str> {
    let (Some(at), Some(result), Some(gateway_us), Some(upstream_us), Some(hash)) =
        (entry.settled_at, entry.result, entry.gateway_us, entry.upstream_us, entry.settled_hash)
    else {
        return Err("a part of the record was removed");
    };
    if entry.outcome != Outcome::Allow {
        return Err("a call that was refused has an outcome");
    }
    let record = Settled {
        opened_seq: entry.opened_seq,
        at,
        result,
        status: entry.upstream_status,
        is_error: entry.is_error,
        gateway_us,
        upstream_us,
    };
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    matches(hash, link(&before.hash, before.seq + 1, RecordKind::Settled, &bytes))
}

fn matches(stored: Hash, computed: Hash) -> Result<Hash, &'static str> {
    if stored == computed { Ok(stored) } else { Err(EDITED) }
}

fn opened(entry: &Entry) -> Opened<'_> {
    Opened {
        id: entry.id,
        at: entry.at,
        instance: entry.instance,
        outcome: entry.outcome,
        grant: &entry.grant,
        client: entry.client.as_deref(),
        session: &entry.session,
        server: &entry.server,
        method: &entry.method,
        tool: entry.tool.as_deref(),
        category: entry.category.as_deref(),
        policy: entry.policy.as_deref(),
        policy_version: entry.policy_version.as_deref(),
        rule: entry.rule.as_deref(),
        reason: entry.reason.as_deref(),
        approval: entry.approval.as_deref(),
        argument_keys: entry.argument_keys.as_deref(),
        arguments_hmac: entry.arguments_hmac,
        request_id: entry.request_id.as_deref(),
        trace_id: entry.trace_id.as_deref(),
    }
}

/// What stands at a place of the chain, of one kind of record.
enum Row {
    Entry(Box<Entry>),
    Unreadable(String),
    None,
}

/// Records of one kind in the order of the chain, read page by page.
struct Pages<'c> {
    kind: RecordKind,
    statement: CachedStatement<'c>,
    rows: Peekable<IntoIter<Placed>>,
    is_last: bool,
    /// The place of the last row that was handed on.
    after: u64,
    head: u64,
}

/// A row and the place it claims.
type Placed = (u64, rusqlite::Result<Entry>);

impl<'c> Pages<'c> {
    fn new(kind: RecordKind, statement: CachedStatement<'c>, head: u64) -> Self {
        Self { kind, statement, rows: Vec::new().into_iter().peekable(), is_last: false, after: 0, head }
    }

    fn at(&mut self, seq: u64) -> Result<Row, LedgerError> {
        if self.rows.peek().is_none() && !self.is_last {
            let page = self.read()?;
            self.is_last = page.len() < PAGE;
            self.rows = page.into_iter().peekable();
        }
        let Some((_, row)) = self.rows.next_if(|(place, _)| *place == seq) else {
            return Ok(Row::None);
        };
        self.after = seq;
        Ok(match row {
            Ok(entry) => Row::Entry(Box::new(entry)),
            Err(error) => Row::Unreadable(format!("the record holds what was never written: {error}")),
        })
    }

    fn read(&mut self) -> Result<Vec<Placed>, LedgerError> {
        let kind = self.kind;
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let rows = self.statement.query_map((integer(self.after), integer(self.head), limit), |row| match kind {
            RecordKind::Opened => Ok((unsigned(0, row.get(entries::OPENED_SEQ)?)?, opened_part(row))),
            RecordKind::Settled => Ok((unsigned(0, row.get(entries::SETTLED_SEQ)?)?, entries::read(row))),
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn opened_part(row: &rusqlite::Row<'_>) -> rusqlite::Result<Entry> {
    if entries::has_stray_outcome(row)? {
        return Err(unexpected(entries::SETTLED_SEQ, Type::Null, "an outcome without a settled record"));
    }
    entries::read_opened(row)
}
