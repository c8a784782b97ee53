//! What every test of the ledger needs: a directory, a backend, calls and limits.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use ledger::{
    Charge, CounterKey, Ending, EntryId, GrantCheck, Intent, Ledger, LedgerError, OpenError, Options, Reserved,
    Settlement, Ticket, Verified,
};
use policy::{Count, Decimal, Scope, Timestamp, Window, WindowKind};

/// A moment in the middle of a minute, an hour and a day.
pub const NOON: Timestamp = Timestamp::from_micros(1_800_014_430_000_000);

/// How a ledger is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Exclusive,
    Shared,
}

impl Backend {
    pub fn open(self, directory: &Path) -> Result<Ledger, OpenError> {
        self.open_with(directory, Options::default())
    }

    pub fn open_with(self, directory: &Path, options: Options) -> Result<Ledger, OpenError> {
        match self {
            Self::Exclusive => Ledger::open_exclusive(directory, options),
            Self::Shared => Ledger::open_shared(directory, options),
        }
    }
}

/// A data directory that goes away with the test.
#[derive(Debug)]
pub struct House {
    directory: tempfile::TempDir,
    pub backend: Backend,
}

impl House {
    pub fn new(backend: Backend) -> Self {
        Self { directory: tempfile::tempdir().unwrap(), backend }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub fn open(&self) -> Ledger {
        self.backend.open(&self.path()).unwrap()
    }

    /// Someone with a database tool and no good intentions; the ledger must be closed.
    pub fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path().join("ledger.db")).unwrap()
    }
}

pub fn after(seconds: u64) -> Timestamp {
    NOON.saturating_add(Duration::from_secs(seconds))
}

/// A call that asks for nothing special.
pub fn intent(at: Timestamp) -> Intent<'static> {
    Intent {
        id: EntryId::generate(at),
        at,
        grant: "alice",
        client: Some("a client"),
        session: "session-1",
        server: "files",
        method: "tools/call",
        tool: Some("read_file"),
        category: None,
        policy: Some("safe"),
        policy_version: Some("0123456789abcdef"),
        rule: Some("/tools/read_file"),
        argument_keys: &["path"],
        arguments_hmac: Some([7; 32]),
        request_id: Some("17"),
        trace_id: Some("trace"),
    }
}

/// A limit that tests charge.
#[derive(Clone, Debug)]
pub struct Limit {
    pub counter: String,
    pub window: Window,
    pub kind: WindowKind,
    pub max: Decimal,
    pub cost: Decimal,
    pub count: Count,
}

impl Limit {
    pub fn per_minute(max: u64) -> Self {
        Self {
            counter: "calls".to_owned(),
            window: Window::MINUTE,
            kind: WindowKind::Fixed,
            max: Decimal::from(max),
            cost: Decimal::ONE,
            count: Count::Sent,
        }
    }

    pub fn per_day(max: u64) -> Self {
        Self { window: Window::DAY, ..Self::per_minute(max) }
    }

    pub fn named(self, counter: &str) -> Self {
        Self { counter: counter.to_owned(), ..self }
    }

    pub fn costing(self, cost: &str) -> Self {
        Self { cost: Decimal::parse(cost).unwrap(), ..self }
    }

    pub fn sliding(self) -> Self {
        Self { kind: WindowKind::Sliding, ..self }
    }

    pub fn of_successes(self) -> Self {
        Self { count: Count::Successes, ..self }
    }

    pub fn charge(&self) -> Charge<'_> {
        Charge {
            key: CounterKey { policy: "safe", scope: Scope::Grant, subject: "gr_1", counter: &self.counter },
            window: self.window,
            kind: self.kind,
            max: &self.max,
            cost: &self.cost,
            count: self.count,
            rule: "/tools/read_file/limits/0",
            on_deny: "too many calls",
        }
    }
}

pub async fn reserve(ledger: &Ledger, at: Timestamp, limits: &[Limit]) -> Result<Reserved, LedgerError> {
    let charges: Vec<_> = limits.iter().map(Limit::charge).collect();
    ledger.reserve(intent(at), &charges, GrantCheck::Implicit, None).await
}

/// Reserves what must fit.
pub async fn open(ledger: &Ledger, at: Timestamp, limits: &[Limit]) -> Ticket {
    match reserve(ledger, at, limits).await.unwrap() {
        Reserved::Open(ticket) => ticket,
        refused => panic!("refused: {refused:?}"),
    }
}

/// Whether a call would pass; if so, it did.
pub async fn passes(ledger: &Ledger, at: Timestamp, limits: &[Limit]) -> bool {
    match reserve(ledger, at, limits).await.unwrap() {
        Reserved::Open(ticket) => {
            ledger.settle(ticket, answered(at)).await;
            true
        }
        Reserved::Limited { .. } => false,
        other => panic!("neither passed nor limited: {other:?}"),
    }
}

pub fn ended(at: Timestamp, ending: Ending) -> Settlement {
    Settlement { at, ending, gateway_us: 30, upstream_us: 1200 }
}

pub fn answered(at: Timestamp) -> Settlement {
    ended(at, Ending::Answered { is_error: false, status: Some(200) })
}

/// The number of records of a ledger that must be intact.
pub async fn records(ledger: &Ledger) -> u64 {
    match ledger.verify(|_, _| ()).await.unwrap() {
        Verified::Intact { records, .. } => records,
        broken => panic!("{broken:?}"),
    }
}
