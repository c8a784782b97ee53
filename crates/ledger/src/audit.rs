//! Checking the chain.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::vec::IntoIter;

use rusqlite::{CachedStatement, Connection};

use crate::chain::{Hash, Head, RecordKind, link};
use crate::record::{Length, Opened, Settled, TEXT_BYTES};
use crate::sqlite::{entries, integer, progress, unsigned};
use crate::{Entry, EntryId, LedgerError, Verified};

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
    let (last, misplaced) = (entries::last_opened_seq(&transaction)?, entries::has_misplaced(&transaction)?);
    drop(transaction);
    if misplaced {
        return Ok(Broken::new(1, "there is a record before the first one").into());
    }
    let mut records = Records::new(connection, head.seq)?;
    let mut before = Head::EMPTY;
    while before.seq < head.seq {
        match step(&mut records, &before)? {
            Ok(next) => before = next,
            Err(broken) => return Ok(broken.into()),
        }
        if before.seq.is_multiple_of(PAGE as u64) {
            progress_of(before.seq, head.seq);
        }
    }
    progress_of(head.seq, head.seq);
    // Calls may have been settled since; those places are known only now.
    let now = progress::load(connection)?.head.seq;
    Ok(if before.hash != head.hash {
        Broken::new(head.seq, "the last record is not the one that was written last").into()
    } else if last > integer(head.seq) || records.furthest > now {
        Broken::new(head.seq + 1, "there is a record after the last one that was written").into()
    } else {
        Verified::Intact { records: head.seq, head: head.hash }
    })
}

/// Checks the record after `before`.
fn step(records: &mut Records<'_>, before: &Head) -> Result<Result<Head, Broken>, LedgerError> {
    let seq = before.seq + 1;
    let (entry, checked) = match (records.opened_at(seq)?, records.settled.remove(&seq)) {
        (Some(Err(what)), _) => (None, Err(what)),
        (Some(Ok(entry)), Some(_)) => (Some(entry.id), Err("two records claim this place".to_owned())),
        (Some(Ok(entry)), None) => (Some(entry.id), check_opened(&entry, before)),
        (None, Some(Outcomes::One(outcome))) => (outcome.entry, check_settled(&outcome, before)),
        (None, Some(Outcomes::Many)) => (None, Err("two records claim this place".to_owned())),
        (None, None) => (None, Err("the record is missing: it was removed, or moved to another place".to_owned())),
    };
    let bad = |what| Broken { seq, entry: entry.map(|id| id.to_string()), what };
    Ok(checked.map(|hash| Head { seq, hash }).map_err(bad))
}

impl Broken {
    fn new(seq: u64, what: &str) -> Self {
        Self { seq, entry: None, what: what.to_owned() }
    }
}

impl From<Broken> for Verified {
    fn from(Broken { seq, entry, what }: Broken) -> Self {
        Self::Broken { seq, entry, what }
    }
}

const EDITED: &str = "the record does not match its hash: it was edited, or a record before it was replaced";

fn check_opened(entry: &Entry, before: &Head) -> Result<Hash, String> {
    let texts = [
        &entry.client,
        &entry.tool,
        &entry.category,
        &entry.policy,
        &entry.policy_version,
        &entry.rule,
        &entry.reason,
        &entry.approval,
        &entry.argument_keys,
        &entry.request_id,
        &entry.trace_id,
    ];
    let texts = texts.into_iter().flatten().chain([&entry.grant, &entry.session, &entry.server, &entry.method]);
    if texts.into_iter().any(|text| text.len() > TEXT_BYTES) {
        return Err(EDITED.to_owned());
    }
    let mut bytes = Vec::new();
    opened(entry).encode(&mut bytes, Length::AsIs);
    matches(entry.opened_hash, link(&before.hash, before.seq + 1, RecordKind::Opened, &bytes))
}

fn check_settled(outcome: &Outcome, before: &Head) -> Result<Hash, String> {
    let (hash, record) = outcome.record.as_ref().map_err(Clone::clone)?;
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    matches(*hash, link(&before.hash, before.seq + 1, RecordKind::Settled, &bytes))
}

fn matches(stored: Hash, computed: Hash) -> Result<Hash, String> {
    if stored == computed { Ok(stored) } else { Err(EDITED.to_owned()) }
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

/// All records in the order of the chain, read page by page.
///
/// A call is settled after it was opened, so reading the opened records in order finds every settled one in time; only
/// those of calls that took long are kept meanwhile.
struct Records<'c> {
    statement: CachedStatement<'c>,
    rows: Peekable<IntoIter<Row>>,
    is_last: bool,
    /// The place of the last row that was read.
    read: u64,
    head: u64,
    settled: BTreeMap<u64, Outcomes>,
    /// The last place that a settled record claims.
    furthest: u64,
}

/// What a row says of its two records.
struct Row {
    place: u64,
    opened: Result<Box<Entry>, String>,
    settled: Option<(u64, Outcome)>,
}

/// The settled records that claim a place.
enum Outcomes {
    One(Outcome),
    Many,
}

/// The settled record of an entry.
struct Outcome {
    entry: Option<EntryId>,
    record: Result<(Hash, Settled), String>,
}

impl<'c> Records<'c> {
    fn new(connection: &'c Connection, head: u64) -> Result<Self, LedgerError> {
        Ok(Self {
            statement: entries::opened_between(connection)?,
            rows: Vec::new().into_iter().peekable(),
            is_last: false,
            read: 0,
            head,
            settled: BTreeMap::new(),
            furthest: 0,
        })
    }

    fn opened_at(&mut self, seq: u64) -> Result<Option<Result<Box<Entry>, String>>, LedgerError> {
        if self.rows.peek().is_none() && !self.is_last {
            let page = self.page()?;
            self.is_last = page.len() < PAGE;
            self.read = page.last().map_or(self.read, |row| row.place);
            self.rows = page.into_iter().peekable();
        }
        let Some(row) = self.rows.next_if(|row| row.place == seq) else { return Ok(None) };
        if let Some((place, outcome)) = row.settled {
            self.furthest = self.furthest.max(place);
            let claimed = self.settled.remove(&place).map_or(Outcomes::One(outcome), |_| Outcomes::Many);
            self.settled.insert(place, claimed);
        }
        Ok(Some(row.opened))
    }

    fn page(&mut self) -> Result<Vec<Row>, LedgerError> {
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let rows = self.statement.query_map((integer(self.read), integer(self.head), limit), Row::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Row {
    /// Fails only if the database does; a value that was never written is the record's fault.
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let place = unsigned(entries::OPENED_SEQ, row.get(entries::OPENED_SEQ)?)?;
        let claimed: Option<i64> = row.get(entries::SETTLED_SEQ)?;
        let unwritten = |error: rusqlite::Error| format!("the record holds what was never written: {error}");
        let opened = entries::read_opened(row).map(Box::new).map_err(unwritten);
        let settled_place = claimed.and_then(|claimed| u64::try_from(claimed).ok()).filter(|claimed| *claimed > place);
        let is_stray = match (claimed, settled_place) {
            (None, _) => entries::has_stray_outcome(row)?,
            (Some(_), settled) => settled.is_none(),
        };
        if is_stray && opened.is_ok() {
            let what = "the entry has an outcome without a settled record".to_owned();
            return Ok(Self { place, opened: Err(what), settled: None });
        }
        let settled = settled_place.map(|claimed| {
            let entry = opened.as_ref().ok().map(|entry| entry.id);
            let record = entries::read(row).map_err(unwritten).and_then(|entry| settled_part(&entry));
            (claimed, Outcome { entry, record })
        });
        Ok(Self { place, opened, settled })
    }
}

fn settled_part(entry: &Entry) -> Result<(Hash, Settled), String> {
    let (Some(at), Some(result), Some(gateway_us), Some(upstream_us), Some(hash)) =
        (entry.settled_at, entry.result, entry.gateway_us, entry.upstream_us, entry.settled_hash)
    else {
        return Err("a part of the record was removed".to_owned());
    };
    if entry.outcome != crate::Outcome::Allow {
        return Err("a call that was refused has an outcome".to_owned());
    }
    let (opened_seq, status, is_error) = (entry.opened_seq, entry.upstream_status, entry.is_error);
    Ok((hash, Settled { opened_seq, at, result, status, is_error, gateway_us, upstream_us }))
}
