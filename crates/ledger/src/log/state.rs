//! What the exclusive owner of a ledger knows by heart.

use std::collections::HashMap;
use std::sync::Arc;

use policy::Timestamp;
use rusqlite::Connection;

use super::meters::MeterTable;
use super::writer::Writer;
use crate::LedgerError;
use crate::approvals::Approval;
use crate::chain::{Hash, Head};
use crate::change::Change;
use crate::facts::Facts;
use crate::frame::put_key;
use crate::grants::{Grant, Held};
use crate::sqlite::{counters, progress, rows};

/// Everything a reservation looks at, behind one mutex.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) head: Head,
    /// The latest time the ledger was told: counters never see an earlier one.
    pub(crate) clock: Timestamp,
    pub(crate) meters: MeterTable,
    pub(crate) memory: Memory,
    pub(crate) writer: Writer,
    /// Why nothing can be written until the log was begun anew.
    pub(crate) halted: Option<String>,
    pub(crate) closed: bool,
    pub(crate) scratch: Scratch,
}

/// Buffers that are used again and again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) record: Vec<u8>,
    pub(crate) keys: Vec<u8>,
}

/// Grants, approvals and what else is looked up by a reservation.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    grants: HashMap<String, Held>,
    approvals: HashMap<String, Approval>,
    by_fingerprint: HashMap<Hash, Vec<String>>,
    revisions: HashMap<String, u64>,
}

impl Memory {
    /// Reads everything from the database, which must hold all of the log.
    pub(crate) fn load(connection: &Connection, clock: Timestamp) -> Result<Self, LedgerError> {
        let mut memory = Self::default();
        for row in rows::grants(connection)? {
            memory.learn(&Change::Grant(row))?;
        }
        for row in rows::live_approvals(connection, clock.as_micros())? {
            memory.learn(&Change::Approval(row))?;
        }
        for row in rows::policies(connection)? {
            memory.revisions.insert(row.name, row.revision);
        }
        Ok(memory)
    }

    /// Takes in a change that was written.
    pub(crate) fn learn(&mut self, change: &Change) -> Result<(), LedgerError> {
        match change {
            Change::Grant(row) => {
                self.grants.insert(row.id.clone(), row.clone().try_into()?);
            }
            Change::Approval(row) => {
                let approval: Approval = row.clone().try_into()?;
                if self.approvals.insert(row.id.clone(), approval).is_none() {
                    self.by_fingerprint.entry(row.fingerprint).or_default().push(row.id.clone());
                }
            }
            Change::Policy(row) => {
                self.revisions.insert(row.name.clone(), row.revision);
            }
            Change::PolicyRemoved { name } => {
                self.revisions.remove(name);
            }
            Change::Meta { .. } => {}
        }
        Ok(())
    }

    /// Forgets the approvals that have lapsed; the database keeps them.
    pub(crate) fn forget_lapsed(&mut self, now: Timestamp) {
        self.approvals.retain(|_, approval| now < approval.expires_at);
        let approvals = &self.approvals;
        self.by_fingerprint.retain(|_, ids| {
            ids.retain(|id| approvals.contains_key(id));
            !ids.is_empty()
        });
    }

    /// The grants that a token can name.
    pub(crate) fn by_token(&self) -> HashMap<Hash, Arc<Grant>> {
        let held = self.grants.values().filter(|held| held.grant.revoked_at.is_none());
        held.map(|held| (held.token_sha256, Arc::clone(&held.grant))).collect()
    }
}

impl Facts for Memory {
    fn grant(&mut self, id: &str) -> Result<Option<Held>, LedgerError> {
        Ok(self.grants.get(id).cloned())
    }

    fn grants(&mut self) -> Result<Vec<Held>, LedgerError> {
        Ok(self.grants.values().cloned().collect())
    }

    fn approval(&mut self, id: &str) -> Result<Option<Approval>, LedgerError> {
        Ok(self.approvals.get(id).cloned())
    }

    fn approvals_of_call(&mut self, fingerprint: &[u8; 32]) -> Result<Vec<Approval>, LedgerError> {
        let ids = self.by_fingerprint.get(fingerprint).into_iter().flatten();
        Ok(ids.filter_map(|id| self.approvals.get(id)).cloned().collect())
    }

    fn pending_approvals(&mut self, grant: &str) -> Result<Vec<Approval>, LedgerError> {
        let pending = self
            .approvals
            .values()
            .filter(|approval| approval.grant == grant && approval.state == crate::ApprovalState::Pending);
        Ok(pending.cloned().collect())
    }

    fn policy_revision(&mut self, name: &str) -> Result<u64, LedgerError> {
        Ok(self.revisions.get(name).copied().unwrap_or(0))
    }
}

impl State {
    /// Reads everything from the database, which must hold all of the log.
    pub(crate) fn load(connection: &Connection, writer: Writer) -> Result<Self, LedgerError> {
        let progress = progress::load(connection)?;
        let mut meters = MeterTable::default();
        let mut key_bytes = Vec::new();
        counters::each(connection, |key, meter| {
            if !meter.is_idle(progress.clock) {
                key_bytes.clear();
                put_key(&mut key_bytes, key);
                meters.insert(&key_bytes, meter);
            }
        })?;
        Ok(Self {
            head: progress.head,
            clock: progress.clock,
            meters,
            memory: Memory::load(connection, progress.clock)?,
            writer,
            halted: None,
            closed: false,
            scratch: Scratch::default(),
        })
    }

    /// Fails unless something can be written.
    pub(crate) fn ready(&self) -> Result<(), LedgerError> {
        match &self.halted {
            _ if self.closed => Err(LedgerError::Closed),
            Some(reason) => Err(LedgerError::Write(std::io::Error::other(reason.clone()))),
            None => Ok(()),
        }
    }

    /// Moves the clock on, never back.
    pub(crate) fn tick(&mut self, now: Timestamp) -> Timestamp {
        self.clock = self.clock.max(now);
        self.clock
    }
}
