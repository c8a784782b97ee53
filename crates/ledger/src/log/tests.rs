//! A log on a disk that fills up and breaks.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use policy::limits::Meters as _;
use policy::{Count, Decimal, Scope, Timestamp, Window, WindowKind};

use super::disk::{Disk, LogDirectory, LogFile};
use super::*;
use crate::call::{Attempt, OpenCall, Reservation};
use crate::sqlite::entries::{self, Direction};
use crate::{Charge, CounterKey, Ending, EntryFilter, EntryId, GrantCheck, Intent, Settlement, Verified, audit};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// What is wrong with a disk at the moment.
#[derive(Debug, Default)]
struct Faults {
    /// Takes half of what is written, and then no more.
    full: AtomicBool,
    /// Cannot even shorten a file.
    stuck: AtomicBool,
    unsyncable: AtomicBool,
    syncs: AtomicU64,
}

#[derive(Debug)]
struct FaultyDisk(LogDirectory, Arc<Faults>);

#[derive(Debug)]
struct FaultyFile(Arc<dyn LogFile>, Arc<Faults>);

impl Disk for FaultyDisk {
    fn create(&self, position: u64) -> io::Result<Arc<dyn LogFile>> {
        Ok(Arc::new(FaultyFile(self.0.create(position)?, Arc::clone(&self.1))))
    }
}

impl LogFile for FaultyFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if !self.1.full.load(Ordering::SeqCst) {
            return self.0.write_at(bytes, offset);
        }
        self.0.write_at(&bytes[..bytes.len() / 2], offset)?;
        Err(io::ErrorKind::StorageFull.into())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        if self.1.stuck.load(Ordering::SeqCst) { Err(io::ErrorKind::Other.into()) } else { self.0.truncate(length) }
    }

    fn sync(&self) -> io::Result<()> {
        self.1.syncs.fetch_add(1, Ordering::SeqCst);
        if self.1.unsyncable.load(Ordering::SeqCst) { Err(io::ErrorKind::Other.into()) } else { self.0.sync() }
    }
}

fn open(directory: &Path, options: Options) -> (LogLedger, Arc<Faults>) {
    let faults = Arc::new(Faults::default());
    let opening = directory::begin_opening(directory, options.patience).unwrap();
    let disk = FaultyDisk(LogDirectory(directory::logs(directory)), Arc::clone(&faults));
    (LogLedger::open_on(Box::new(disk), directory, options, &opening).unwrap(), faults)
}

async fn reserve(ledger: &LogLedger, max: u64) -> Result<Reservation, LedgerError> {
    let key = CounterKey { policy: "p", scope: Scope::Gateway, subject: "", counter: "calls" };
    let charge = Charge {
        key,
        window: Window::DAY,
        kind: WindowKind::Fixed,
        max: &Decimal::from(max),
        cost: &Decimal::ONE,
        count: Count::Sent,
        rule: "/limits/0",
        on_deny: "no",
    };
    let intent = Intent {
        id: EntryId::generate(NOW),
        at: NOW,
        grant: "alice",
        client: None,
        session: "s",
        server: "files",
        method: "tools/call",
        tool: None,
        category: None,
        policy: None,
        policy_version: None,
        rule: None,
        argument_keys: &[],
        arguments_hmac: None,
        request_id: None,
        trace_id: None,
    };
    ledger.reserve(&Attempt { intent, charges: &[charge], check: GrantCheck::Implicit, approval: None }).await
}

async fn opened(ledger: &LogLedger, max: u64) -> OpenCall {
    match reserve(ledger, max).await.unwrap() {
        Reservation::Open(call) => call,
        Reservation::Refused(refusal) => panic!("{refusal:?}"),
    }
}

fn settle(ledger: &LogLedger, call: &OpenCall) {
    let ending = Ending::Answered { is_error: false, status: None };
    ledger.settle(call, &Settlement { at: NOW, ending, gateway_us: 1, upstream_us: 1 });
}

/// The number of records, and of entries without an outcome.
async fn kept(ledger: &LogLedger) -> (u64, usize) {
    ledger.flush().await.unwrap();
    let connection = sqlite::open_reader(ledger.directory()).unwrap();
    let Verified::Intact { records, .. } = audit::verify(&connection, |_, _| ()).unwrap() else { panic!("broken") };
    let all = entries::select(&connection, &EntryFilter::default(), Direction::OldestFirst, usize::MAX).unwrap();
    (records, all.iter().filter(|entry| entry.result.is_none()).count())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_takes_nothing_and_is_recovered_from_without_help() {
    for stuck in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let (ledger, faults) = open(directory.path(), Options::default());
        let first = opened(&ledger, 3).await;
        faults.stuck.store(stuck, Ordering::SeqCst);
        faults.full.store(true, Ordering::SeqCst);
        for _ in 0..10 {
            let refused = reserve(&ledger, 3).await.unwrap_err();
            assert!(refused.to_string().starts_with("the ledger cannot be written: "), "{refused}");
            assert!(refused.is_temporary());
        }
        settle(&ledger, &first);
        assert!(ledger.flush().await.is_err(), "the outcome cannot be written yet");
        faults.full.store(false, Ordering::SeqCst);
        settle(&ledger, &opened(&ledger, 3).await);
        settle(&ledger, &opened(&ledger, 3).await);
        assert!(matches!(reserve(&ledger, 3).await, Ok(Reservation::Refused(_))), "exactly three in all");
        assert_eq!(kept(&ledger).await, (7, 1), "three calls of two records, and the limited one");
        ledger.close().unwrap();
        drop(ledger);
        assert_eq!(kept(&open(directory.path(), Options::default()).0).await, (7, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_remains_of_a_failed_write_are_not_recovered() {
    let directory = tempfile::tempdir().unwrap();
    let corpse = tempfile::tempdir().unwrap();
    let (ledger, faults) = open(directory.path(), Options::default());
    settle(&ledger, &opened(&ledger, 3).await);
    faults.stuck.store(true, Ordering::SeqCst);
    faults.full.store(true, Ordering::SeqCst);
    reserve(&ledger, 3).await.unwrap_err();
    copy(directory.path(), corpse.path());
    let (recovered, _) = open(corpse.path(), Options::default());
    let (records, unsettled) = kept(&recovered).await;
    assert_eq!((records, unsettled), (2, 0));
    opened(&recovered, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn full_synchronisation_syncs_before_it_acknowledges() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { synchronous: Synchronous::Full, ..Options::default() };
    let (ledger, faults) = open(directory.path(), options);
    let before = faults.syncs.load(Ordering::SeqCst);
    opened(&ledger, 3).await;
    assert_eq!(faults.syncs.load(Ordering::SeqCst), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_sync_nothing_passes_before_the_database_has_it_all() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { synchronous: Synchronous::Full, ..Options::default() };
    let (ledger, faults) = open(directory.path(), options);
    faults.unsyncable.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert!(matches!(reserve(&ledger, 1).await, Err(LedgerError::Write(_))));
    }
    faults.unsyncable.store(false, Ordering::SeqCst);
    while ledger.shared.lock().unwrap().halted.is_some() {
        tokio::task::yield_now().await;
    }
    opened(&ledger, 1).await;
    assert!(matches!(reserve(&ledger, 1).await, Ok(Reservation::Refused(_))), "what was refused took nothing");
    let (_, unsettled) = kept(&ledger).await;
    assert_eq!(unsettled, 2, "the open call and the limited one");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_wait_for_a_database_that_is_behind() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { log_backlog_bytes: 0, ..Options::default() };
    let (ledger, _) = open(directory.path(), options);
    for _ in 0..20 {
        opened(&ledger, 100).await;
    }
    assert_eq!(kept(&ledger).await, (20, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_written_refuses_in_the_end_and_is_recovered_from_without_help() {
    let directory = tempfile::tempdir().unwrap();
    let patience = std::time::Duration::from_millis(20);
    let options = Options { log_backlog_bytes: 0, patience, ..Options::default() };
    let (ledger, _) = open(directory.path(), options);
    let intruder = rusqlite::Connection::open(sqlite::path_in(directory.path())).unwrap();
    intruder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut passed = 0;
    let refused = loop {
        match reserve(&ledger, 1000).await {
            Ok(_) => passed += 1,
            Err(refused) => break refused,
        }
    };
    assert!(refused.to_string().starts_with("the ledger is too far behind: "), "{refused}");
    intruder.execute_batch("ROLLBACK").unwrap();
    while reserve(&ledger, 1000).await.is_err() {}
    assert_eq!(kept(&ledger).await.0, passed + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_counters_are_forgotten_everywhere() {
    let mut meters = super::meters::MeterTable::default();
    for name in 0_u32..100 {
        let place = meters.place(&name.to_le_bytes());
        let now = NOW.saturating_add(std::time::Duration::from_secs(u64::from(name) * 60));
        let max = Decimal::ONE;
        meters.meter(place).unwrap().take(now, Window::MINUTE, WindowKind::Fixed, &max, &Decimal::ONE).unwrap();
        meters.sweep(now);
    }
    let last = NOW.saturating_add(std::time::Duration::from_secs(99 * 60));
    for _ in 0..100 {
        meters.sweep(last);
    }
    let left = (0_u32..100).filter(|name| meters.find(&name.to_le_bytes()).is_some()).count();
    assert_eq!(left, 1, "only the window that is still running");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for found in std::fs::read_dir(from).unwrap() {
        let found = found.unwrap();
        let target = to.join(found.file_name());
        if found.file_type().unwrap().is_dir() {
            copy(&found.path(), &target);
        } else {
            std::fs::copy(found.path(), target).unwrap();
        }
    }
}
