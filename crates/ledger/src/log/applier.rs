//! Brings the log into the database: behind a running ledger, and after a crash before a new one begins.

use std::collections::HashMap;
use std::path::PathBuf;

use policy::limits::Meter;
use rusqlite::{Connection, TransactionBehavior};

use super::disk::LogReader;
use crate::LedgerError;
use crate::bytes::Malformed;
use crate::chain::Head;
use crate::change::Change;
use crate::frame::{self, FRAME_BYTES, Found, Frame, LoggedCharge, read_key};
use crate::record::{Opened, Settled};
use crate::sqlite::progress::Progress;
use crate::sqlite::{self, counters, entries, progress, rows};

/// Bytes of log that go into one transaction.
const BATCH_BYTES: usize = 2 << 20;
/// After so many transactions, counters that hold nothing any more are removed.
const SWEEP_EVERY: u32 = 256;

/// Brings the log into the database.
#[derive(Debug)]
pub(crate) struct Applier {
    connection: Connection,
    log: LogReader,
    meters: HashMap<Box<[u8]>, Cached>,
    progress: Progress,
    transactions: u32,
}

/// A counter as the database will hold it after the transaction.
#[derive(Debug)]
struct Cached {
    meter: Meter,
    is_changed: bool,
}

/// How far a reading of the log came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopped {
    /// Everything read was whole.
    AtEnd,
    /// The next frame has this many bytes.
    WithinFrame(usize),
    AtGarbage,
}

impl Applier {
    pub(crate) fn new(connection: Connection, logs: PathBuf) -> Result<Self, LedgerError> {
        let progress = progress::load(&connection)?;
        Ok(Self { connection, log: LogReader::new(logs), meters: HashMap::new(), progress, transactions: 0 })
    }

    /// Everything of the log before this position is in the database.
    pub(crate) fn position(&self) -> u64 {
        self.progress.log_position
    }

    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Applies the log up to `end`, which is the end of a frame.
    pub(crate) fn apply_to(&mut self, end: u64) -> Result<(), LedgerError> {
        let mut length = BATCH_BYTES;
        while self.position() < end {
            let left = usize::try_from(end - self.position()).unwrap_or(usize::MAX);
            let bytes = self.log.read(self.position(), length.min(left)).map_err(LedgerError::Write)?;
            let (applied, stopped) = self.apply(&bytes)?;
            length = match stopped {
                Stopped::WithinFrame(needed) if applied == 0 && needed > bytes.len() && needed > length => needed,
                Stopped::AtEnd | Stopped::WithinFrame(_) | Stopped::AtGarbage => BATCH_BYTES,
            };
            if applied == 0 && length == BATCH_BYTES && !self.turn_to_next_file()? {
                return Err(LedgerError::Damaged(format!("the log cannot be read at {}", self.position())));
            }
        }
        Ok(())
    }

    /// Applies all of a log that nobody writes any more, and returns how many bytes at its end were no whole frame.
    pub(crate) fn recover(&mut self) -> Result<u64, LedgerError> {
        let mut length = BATCH_BYTES;
        loop {
            let bytes = self.log.read(self.position(), length).map_err(LedgerError::Write)?;
            let (applied, stopped) = self.apply(&bytes)?;
            length = match stopped {
                Stopped::WithinFrame(needed) if applied == 0 && bytes.len() == length && needed <= FRAME_BYTES + 8 => {
                    needed
                }
                Stopped::AtEnd | Stopped::WithinFrame(_) | Stopped::AtGarbage => BATCH_BYTES,
            };
            if applied == 0 && length == BATCH_BYTES && !self.turn_to_next_file()? {
                return self.end_of_log();
            }
        }
    }

    fn turn_to_next_file(&mut self) -> Result<bool, LedgerError> {
        self.log.turn_to(self.progress.log_position).map_err(LedgerError::Write)
    }

    fn end_of_log(&mut self) -> Result<u64, LedgerError> {
        let position = self.position();
        if self.log.next_file(position).map_err(LedgerError::Write)?.is_some() {
            return Err(LedgerError::Damaged(format!("the log lacks what stood at {position}")));
        }
        let torn = self.log.read(position, FRAME_BYTES).map_err(LedgerError::Write)?;
        Ok(torn.len() as u64)
    }

    /// Moves the database's own log into it and removes what is no longer needed of ours.
    pub(crate) fn shorten_log(&mut self) -> Result<(), LedgerError> {
        let position = self.position();
        if self.log.has_finished(position).map_err(LedgerError::Write)? && sqlite::checkpoint(&self.connection)? {
            self.log.remove_before(self.position()).map_err(LedgerError::Write)?;
        }
        Ok(())
    }

    /// Removes the whole log, if the database holds all of it and has it on disk.
    pub(crate) fn remove_log(&mut self) -> Result<(), LedgerError> {
        if sqlite::checkpoint(&self.connection)? {
            self.log.remove_all().map_err(LedgerError::Write)?;
        }
        Ok(())
    }

    fn apply(&mut self, bytes: &[u8]) -> Result<(usize, Stopped), LedgerError> {
        let (frames, length, stopped) = frames(bytes, self.position());
        if !frames.is_empty() {
            let applied = self.apply_frames(frames, length as u64);
            if applied.is_err() {
                // The transaction is undone, and so is what the counters took in it.
                self.meters.clear();
            }
            applied?;
        }
        Ok((length, stopped))
    }

    fn apply_frames(&mut self, frames: Vec<Frame<'_>>, length: u64) -> Result<(), LedgerError> {
        let mut progress = self.progress;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut batch = Batch {
            connection: &transaction,
            meters: &mut self.meters,
            changed: Vec::new(),
            opened: Vec::new(),
            settled: Vec::new(),
        };
        for frame in &frames {
            batch.take(frame, &mut progress)?;
        }
        self.transactions = self.transactions.wrapping_add(1);
        batch.write(progress.clock, self.transactions.is_multiple_of(SWEEP_EVERY))?;
        progress.log_position += length;
        progress::store(&transaction, &progress)?;
        transaction.commit()?;
        self.progress = progress;
        Ok(())
    }
}

/// The whole frames at the front of `bytes`, their length, and why there are no more.
fn frames(bytes: &[u8], position: u64) -> (Vec<Frame<'_>>, usize, Stopped) {
    let mut frames = Vec::new();
    let mut length = 0;
    loop {
        let rest = bytes.get(length..).unwrap_or_default();
        let stopped = match frame::read(rest, position + length as u64) {
            Found::Frame(frame, frame_length) => {
                frames.push(frame);
                length += frame_length;
                continue;
            }
            _ if rest.is_empty() => Stopped::AtEnd,
            Found::Incomplete(needed) => Stopped::WithinFrame(needed),
            Found::Corrupt => Stopped::AtGarbage,
        };
        return (frames, length, stopped);
    }
}

/// A call to be inserted, perhaps with its outcome.
type StagedCall<'b> = (Head, Opened<'b>, Option<(Head, Settled)>);

/// Frames on their way into one transaction. A call that is settled in it is written once.
struct Batch<'b> {
    connection: &'b Connection,
    meters: &'b mut HashMap<Box<[u8]>, Cached>,
    changed: Vec<&'b [u8]>,
    opened: Vec<StagedCall<'b>>,
    settled: Vec<(Head, Settled)>,
}

impl<'b> Batch<'b> {
    fn take(&mut self, frame: &'b Frame<'b>, progress: &mut Progress) -> Result<(), LedgerError> {
        match frame {
            Frame::Opened { place, now, record, charges, changes } => {
                follow(&mut progress.head, place)?;
                progress.clock = progress.clock.max(*now);
                let record = Opened::decode(record).map_err(unreadable)?;
                self.opened.push((*place, record, None));
                charges.iter().try_for_each(|charge| self.charge(charge, *now))?;
                self.change(changes)
            }
            Frame::Settled { place, record, given_back, changes } => {
                follow(&mut progress.head, place)?;
                self.settle(*place, Settled::decode(record).map_err(unreadable)?);
                for (key, taken) in given_back {
                    self.with_meter(key, |meter| meter.give_back(taken))?;
                }
                self.change(changes)
            }
            Frame::Changed { changes } => self.change(changes),
        }
    }

    fn charge(&mut self, charge: &LoggedCharge<'b>, now: policy::Timestamp) -> Result<(), LedgerError> {
        let LoggedCharge { key, window, kind, max, cost } = charge;
        let taken = self.with_meter(key, |meter| meter.take(now, *window, *kind, max, cost))?;
        if taken.is_err() {
            // The charge fitted when it was made. The counter here is full, so nothing passes that should not.
            tracing::error!(counter = ?read_key(key), "a logged charge does not fit into its counter");
        }
        Ok(())
    }

    fn with_meter<T>(&mut self, key: &'b [u8], step: impl FnOnce(&mut Meter) -> T) -> Result<T, LedgerError> {
        if let Some(cached) = self.meters.get_mut(key) {
            if !std::mem::replace(&mut cached.is_changed, true) {
                self.changed.push(key);
            }
            return Ok(step(&mut cached.meter));
        }
        let mut meter = counters::load(self.connection, &read_key(key).map_err(unreadable)?)?;
        let result = step(&mut meter);
        self.meters.insert(key.into(), Cached { meter, is_changed: true });
        self.changed.push(key);
        Ok(result)
    }

    fn settle(&mut self, place: Head, record: Settled) {
        let same = self.opened.binary_search_by_key(&record.opened_seq, |(place, _, _)| place.seq);
        match same.ok().and_then(|index| self.opened.get_mut(index)) {
            Some((_, _, settled)) => *settled = Some((place, record)),
            None => self.settled.push((place, record)),
        }
    }

    fn change(&self, changes: &[Change]) -> Result<(), LedgerError> {
        changes.iter().try_for_each(|change| rows::apply(self.connection, change)).map_err(LedgerError::from)
    }

    fn write(self, clock: policy::Timestamp, sweep: bool) -> Result<(), LedgerError> {
        let mut inserter = entries::Inserter::new(self.connection)?;
        for (place, record, settled) in &self.opened {
            inserter.insert(place, record, settled.as_ref())?;
        }
        for (place, record) in &self.settled {
            if !entries::settle(self.connection, place, record)? {
                return Err(LedgerError::Damaged(format!("record {} settles a call that is not open", place.seq)));
            }
        }
        for key in self.changed {
            if let Some(cached) = self.meters.get_mut(key) {
                counters::store(self.connection, &read_key(key).map_err(unreadable)?, &cached.meter)?;
                cached.is_changed = false;
            }
        }
        if sweep {
            for (key, _) in self.meters.extract_if(|_, cached| cached.meter.is_idle(clock)) {
                counters::remove(self.connection, &read_key(&key).map_err(unreadable)?)?;
            }
        }
        Ok(())
    }
}

fn follow(head: &mut Head, place: &Head) -> Result<(), LedgerError> {
    if place.seq != head.seq + 1 {
        return Err(LedgerError::Damaged(format!("the log continues with record {} after {}", place.seq, head.seq)));
    }
    *head = *place;
    Ok(())
}

pub(crate) fn unreadable(malformed: Malformed) -> LedgerError {
    LedgerError::Damaged(format!("a record cannot be read: {malformed}"))
}
