//! Reserving, refusing and settling, inline in the caller's task: no thread, no wait.

use std::ops::Range;
use std::sync::Arc;

use policy::Timestamp;
use policy::limits::{Demand, Limited, Meters as _, Taken, take_all};

use super::state::State;
use super::{LogLedger, Shared};
use crate::approvals::{self, Approval};
use crate::call::{Attempt, OpenCall, Refusal, Reservation, gives_back};
use crate::chain::{Head, RecordKind};
use crate::change::Change;
use crate::frame::{FrameWriter, put_key};
use crate::record::{Length, Opened, Settled};
use crate::{Charge, Ending, EntryId, Intent, LedgerError, Outcome, Settlement};

/// Settles wait in memory up to this size even while nothing else is written.
const BUFFERED_BYTES: usize = 256 << 10;

/// The counters that a call is charged to.
struct Picked<'a> {
    charges: &'a [Charge<'a>],
    /// Where each key lies in the scratch buffer.
    keys: Vec<Range<usize>>,
    demands: Vec<Demand<'a>>,
}

/// A reservation that its caller does not have yet. Dropped with it, it was not sent.
struct Unclaimed<'l> {
    ledger: &'l LogLedger,
    reservation: Option<Reservation>,
}

impl Drop for Unclaimed<'_> {
    fn drop(&mut self) {
        if let Some(Reservation::Open(call)) = self.reservation.take() {
            self.ledger.settle(&call, &Settlement::not_sent(call.at));
        }
    }
}

impl LogLedger {
    pub(crate) async fn reserve(&self, attempt: &Attempt<'_>) -> Result<Reservation, LedgerError> {
        if self.shared.is_behind() {
            self.shared.room().await?;
        }
        let (reservation, position) = self.shared.reserve(attempt)?;
        let mut unclaimed = Unclaimed { ledger: self, reservation: Some(reservation) };
        self.shared.durable(position).await?;
        unclaimed.reservation.take().ok_or(LedgerError::Closed)
    }

    pub(crate) async fn refuse(
        &self,
        intent: &Intent<'_>,
        outcome: Outcome,
        reason: &str,
    ) -> Result<EntryId, LedgerError> {
        let position = self.shared.refuse(intent, outcome, reason)?;
        self.shared.durable(position).await?;
        Ok(intent.id)
    }

    /// The record leaves with the next open, or within 5 ms.
    pub(crate) fn settle(&self, call: &OpenCall, settlement: &Settlement) {
        if let Err(error) = self.shared.settle(call, settlement) {
            tracing::error!(record = %call.id, %error, "could not record what came of a call");
        }
    }

    /// Settles a call whose ticket was dropped.
    pub(crate) fn abandon(&self, call: &OpenCall) {
        let at = self.shared.lock().map_or(call.at, |state| state.clock);
        self.settle(call, &Settlement::unknown(at));
    }
}

impl Shared {
    fn reserve(self: &Arc<Self>, attempt: &Attempt<'_>) -> Result<(Reservation, u64), LedgerError> {
        let keys = crate::record::argument_keys(attempt.intent.argument_keys);
        let mut guard = self.lock()?;
        let state = &mut *guard;
        state.ready()?;
        let now = state.tick(attempt.intent.at);
        let judged = attempt.judge(&mut state.memory, now)?;
        let reservation = match judged {
            Err(refusal) => self.record_refusal(state, attempt, &keys, refusal)?,
            Ok(spent) => {
                let picked = state.pick(attempt.charges, now);
                match take_all(&mut state.meters, &picked.demands, now) {
                    Err(limited) => self.record_refusal(state, attempt, &keys, attempt.limited(limited))?,
                    Ok(taken) => Reservation::Open(self.record_open(state, attempt, &keys, &picked, taken, spent)?),
                }
            }
        };
        Ok((reservation, self.added(guard)))
    }

    /// Writes the opened record with all that was taken; gives everything back if it cannot be written.
    fn record_open(
        &self,
        state: &mut State,
        attempt: &Attempt<'_>,
        keys: &str,
        picked: &Picked<'_>,
        taken: Vec<Taken>,
        spent: Option<Approval>,
    ) -> Result<OpenCall, LedgerError> {
        let record = attempt.record(keys, self.instance, Outcome::Allow);
        let changes: Vec<Change> = spent.iter().map(|approval| Change::Approval(approval.into())).collect();
        match state.append_opened(&record, Some(picked), &changes) {
            Ok(place) => {
                self.learn(state, &changes)?;
                let charged = picked.demands.iter().zip(picked.charges).zip(taken);
                let taken = charged.filter_map(|((demand, charge), taken)| {
                    Some((state.meters.key(demand.meter)?, charge.count, taken))
                });
                Ok(OpenCall {
                    id: attempt.intent.id,
                    opened_seq: place.seq,
                    at: attempt.intent.at,
                    taken: taken.collect(),
                    approval: spent.map(|approval| approval.id),
                })
            }
            Err(error) => {
                for (demand, taken) in picked.demands.iter().zip(&taken).rev() {
                    if let Some(meter) = state.meters.meter(demand.meter) {
                        meter.give_back(taken);
                    }
                }
                Err(error)
            }
        }
    }

    fn record_refusal(
        &self,
        state: &mut State,
        attempt: &Attempt<'_>,
        keys: &str,
        refusal: Refusal,
    ) -> Result<Reservation, LedgerError> {
        let record = attempt.refused(keys, self.instance, &refusal);
        state.append_opened(&record, None, &[])?;
        Ok(Reservation::Refused(refusal))
    }

    fn refuse(&self, intent: &Intent<'_>, outcome: Outcome, reason: &str) -> Result<u64, LedgerError> {
        let keys = crate::record::argument_keys(intent.argument_keys);
        let record = Opened { reason: Some(reason), ..Opened::of(intent, &keys, self.instance, outcome) };
        let mut guard = self.lock()?;
        guard.ready()?;
        guard.tick(intent.at);
        guard.append_opened(&record, None, &[])?;
        Ok(self.added(guard))
    }

    fn settle(&self, call: &OpenCall, settlement: &Settlement) -> Result<(), LedgerError> {
        let mut guard = self.lock()?;
        let state = &mut *guard;
        if state.closed {
            return Err(LedgerError::Closed);
        }
        let now = state.tick(settlement.at);
        let record = Settled::of(call.opened_seq, settlement);
        let due = call.taken.iter().filter(|(_, count, _)| gives_back(settlement.ending, *count));
        let given_back: Vec<(&[u8], &Taken)> = due.map(|(key, _, taken)| (&**key, taken)).collect();
        let returned = match (&call.approval, settlement.ending) {
            (Some(approval), Ending::NotSent) => approvals::give_back(&mut state.memory, approval, call.id, now)?,
            _ => None,
        };
        let changes: Vec<Change> = returned.iter().map(|approval| Change::Approval(approval.into())).collect();
        state.append_settled(&record, &given_back, &changes)?;
        for (key, taken) in given_back {
            if let Some(meter) = state.meters.find(key) {
                meter.give_back(taken);
            }
        }
        self.learn(state, &changes)?;
        if state.writer.buffered() > BUFFERED_BYTES {
            // It stays in the buffer if this fails, and the next open says so.
            let _written = state.writer.write_out();
        }
        self.added(guard);
        Ok(())
    }
}

impl State {
    fn pick<'a>(&mut self, charges: &'a [Charge<'a>], now: Timestamp) -> Picked<'a> {
        self.meters.sweep(now);
        self.scratch.keys.clear();
        let mut keys = Vec::with_capacity(charges.len());
        let mut demands = Vec::with_capacity(charges.len());
        for charge in charges {
            let start = self.scratch.keys.len();
            put_key(&mut self.scratch.keys, &charge.key);
            let key = start..self.scratch.keys.len();
            let meter = self.meters.place(self.scratch.keys.get(key.clone()).unwrap_or_default());
            keys.push(key);
            demands.push(Demand {
                meter,
                window: charge.window,
                kind: charge.kind,
                max: charge.max,
                cost: charge.cost,
            });
        }
        Picked { charges, keys, demands }
    }

    fn append_opened(
        &mut self,
        record: &Opened<'_>,
        picked: Option<&Picked<'_>>,
        changes: &[Change],
    ) -> Result<Head, LedgerError> {
        let Self { head, clock, writer, scratch, .. } = self;
        scratch.record.clear();
        record.encode(&mut scratch.record, Length::Bounded);
        let place = head.after(RecordKind::Opened, &scratch.record);
        let buffered = writer.buffered();
        let charges = picked.map_or(0, |picked| picked.charges.len());
        writer.push(|out, position| {
            let frame = FrameWriter::opened(out, &place, *clock, &scratch.record, charges);
            let each = picked.iter().flat_map(|picked| picked.keys.iter().zip(picked.charges));
            let frame = each.fold(frame, |frame, (key, charge)| {
                frame.charge(scratch.keys.get(key.clone()).unwrap_or_default(), charge)
            });
            frame.end(changes, position)
        })?;
        if let Err(error) = writer.write_out() {
            writer.truncate(buffered);
            return Err(LedgerError::Write(error));
        }
        *head = place;
        Ok(place)
    }

    fn append_settled(
        &mut self,
        record: &Settled,
        given_back: &[(&[u8], &Taken)],
        changes: &[Change],
    ) -> Result<(), LedgerError> {
        let Self { head, writer, scratch, .. } = self;
        scratch.record.clear();
        record.encode(&mut scratch.record);
        let place = head.after(RecordKind::Settled, &scratch.record);
        writer.push(|out, position| {
            FrameWriter::settled(out, &place, &scratch.record, given_back).end(changes, position)
        })?;
        *head = place;
        Ok(())
    }
}

impl Attempt<'_> {
    fn limited(&self, limited: Limited) -> Refusal {
        Refusal::Limited { index: limited.index, retry_after: limited.retry_after }
    }
}
