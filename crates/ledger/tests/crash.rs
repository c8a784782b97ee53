//! Processes that are killed at random points, and several that share a directory.
//!
//! The child is this test binary itself, run with one of the ignored tests below; what it prints is what it was told.
//! `TOOLGATE_SOAK=1` runs the long form, `TOOLGATE_SEED=n` repeats one.

#![allow(clippy::unwrap_used, clippy::panic, clippy::wildcard_enum_match_arm, reason = "a test may fail")]

#[path = "support/mod.rs"]
mod support;

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ledger::{
    ApprovalState, ApprovalUse, AskApproval, Decision, Ending, EntryFilter, EntryId, GrantCheck, Intent, Ledger,
    Options, Outcome, Reserved, UpstreamResult,
};

use crate::support::{Backend, House, Limit, NOON, after, answered, ended, intent, records};

const DIRECTORY: &str = "TOOLGATE_TEST_DIRECTORY";
/// The tool whose calls the shared limit counts.
const LIMITED: &str = "limited";
/// Calls of the limit that all rounds of a test share.
const SHARED_MAXIMUM: u64 = 700;

#[test]
fn a_killed_gateway_loses_nothing_it_acknowledged() {
    kill_again_and_again(Backend::Exclusive, "child_gateway", 1);
}

#[test]
fn killed_processes_that_share_lose_nothing_they_acknowledged() {
    kill_again_and_again(Backend::Shared, "child_sharer", 3);
}

#[test]
fn several_processes_pass_exactly_the_maximum() {
    let house = House::new(Backend::Shared);
    drop(house.open());
    let children: Vec<Child> = (0..4).map(|_| spawn("child_contender", &house.path())).collect();
    let passed: usize = children.into_iter().map(|child| child.wait_with_output().unwrap()).map(acknowledged_in).sum();
    assert_eq!(passed, 100);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let ledger = house.open();
        let limited = EntryFilter { outcome: Some(Outcome::Limit), ..EntryFilter::default() };
        assert_eq!(ledger.entries(&limited, 1000).await.unwrap().len(), 4 * 60 - 100);
        assert_eq!(records(&ledger).await, 340);
    });
}

#[test]
#[ignore = "a child of the tests above"]
fn child_gateway() {
    let Some(directory) = child_directory() else { return };
    let ledger = Ledger::open_exclusive(&directory, Options { log_file_bytes: 50_000, ..Options::default() }).unwrap();
    call_until_killed(&ledger, 8);
}

#[test]
#[ignore = "a child of the tests above"]
fn child_sharer() {
    let Some(directory) = child_directory() else { return };
    call_until_killed(&Ledger::open_shared(&directory, Options::default()).unwrap(), 2);
}

#[test]
#[ignore = "a child of the tests above"]
fn child_contender() {
    let Some(directory) = child_directory() else { return };
    let ledger = Ledger::open_shared(&directory, Options::default()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        for _ in 0..60 {
            let limits = [Limit::per_day(100)];
            if let Reserved::Open(ticket) = support::reserve(&ledger, NOON, &limits).await.unwrap() {
                say("open", &ticket.id().to_string());
                ledger.settle(ticket, answered(NOON)).await;
            }
        }
        ledger.close().await.unwrap();
    });
}

fn child_directory() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}

/// One line, whole or not at all, after the ledger has acknowledged what it says.
fn say(word: &str, id: &str) {
    let line = format!("{word} {id}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}

fn call_until_killed(ledger: &Ledger, tasks: u64) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..tasks).map(|task| tokio::spawn(call_forever(ledger.clone(), task))).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

async fn call_forever(ledger: Ledger, task: u64) {
    for round in 0_u64.. {
        let limits = [Limit::per_day(SHARED_MAXIMUM), Limit::per_day(1_000_000).named("all").sliding()];
        let is_limited = round % 3 == 0;
        let charges: Vec<_> = limits.iter().map(Limit::charge).skip(usize::from(!is_limited)).collect();
        let at = after(round % 7);
        let call = Intent { tool: is_limited.then_some(LIMITED), ..intent(at) };
        let reserved = ledger.reserve(call, &charges, GrantCheck::Implicit, None).await.unwrap();
        if let Reserved::Open(ticket) = reserved {
            say("open", &ticket.id().to_string());
            if round % 5 != task % 5 {
                ledger.settle(ticket, answered(at)).await;
            }
        }
        if round % 11 == 0 {
            spend_an_approval(&ledger, task, round).await;
        }
    }
}

async fn spend_an_approval(ledger: &Ledger, task: u64, round: u64) {
    let mut fingerprint = [0; 32];
    fingerprint[..8].copy_from_slice(&(u64::from(std::process::id()) << 32 | task << 24 | round).to_le_bytes());
    let ask = AskApproval {
        grant: "gr_1",
        server: "shop",
        tool: "refund",
        policy: "safe",
        policy_version: "1",
        rule: "/tools/refund",
        fingerprint,
        summary: "refund",
        expires_at: after(3600),
    };
    let approval = ledger.ask(ask, NOON).await.unwrap();
    ledger.decide(&approval.id, Decision::Approve, "bob", None, NOON).await.unwrap();
    say("approved", &approval.id);
    let use_it = ApprovalUse { id: &approval.id, fingerprint: &fingerprint };
    let Reserved::Open(ticket) = ledger.reserve(intent(NOON), &[], GrantCheck::Implicit, Some(use_it)).await.unwrap()
    else {
        panic!("an approval that was given cannot be spent")
    };
    say("spent", &approval.id);
    if round.is_multiple_of(2) {
        ledger.settle(ticket, ended(NOON, Ending::Failed)).await;
    }
}

/// What the killed processes said before they died.
#[derive(Default)]
struct Said {
    open: HashSet<EntryId>,
    approved: HashSet<String>,
    spent: HashSet<String>,
}

impl Said {
    fn hear(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("open", id)) => assert!(self.open.insert(id.parse().unwrap()), "an id was given twice"),
            Some(("approved", id)) => assert!(self.approved.insert(id.to_owned())),
            Some(("spent", id)) => assert!(self.spent.insert(id.to_owned()), "an approval was spent twice"),
            _ => {}
        }
    }
}

fn kill_again_and_again(backend: Backend, child: &str, processes: usize) {
    let seed = seed();
    let directories = if std::env::var_os("TOOLGATE_SOAK").is_some() { 50 } else { 1 };
    let mut random = Random(seed);
    for directory in 0..directories {
        let house = House::new(backend);
        let (mut said, mut was_interrupted) = (Said::default(), false);
        for round in 0..10 {
            let children: Vec<Child> = (0..processes).map(|_| spawn(child, &house.path())).collect();
            let listeners: Vec<_> = children.into_iter().map(|child| listen(child, random.below(400) + 1)).collect();
            for listener in listeners {
                listener.join().unwrap().iter().for_each(|line| said.hear(line));
            }
            // Whoever comes next recovers, in whatever way it opens the directory.
            let next = if random.below(2) == 0 { Backend::Exclusive } else { Backend::Shared };
            let when = format!("seed {seed}, directory {directory}, round {round}, then {next:?}");
            was_interrupted |= recover_and_check(next, &house.path(), &said, &when);
        }
        assert!(was_interrupted && !said.open.is_empty() && !said.spent.is_empty(), "seed {seed}: nothing was tried");
    }
}

fn recover_and_check(backend: Backend, directory: &Path, said: &Said, when: &str) -> bool {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ledger = backend.open(directory).unwrap();
    let was_interrupted = runtime.block_on(check(&ledger, said, when));
    runtime.block_on(ledger.close()).unwrap();
    was_interrupted
}

/// Kills a child once it has said so many things, and returns all it said.
fn listen(mut child: Child, lines: u64) -> std::thread::JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let mut heard = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).split(b'\n') {
            heard.push(String::from_utf8(line.unwrap()).unwrap());
            if heard.len() as u64 == lines {
                child.kill().unwrap();
            }
        }
        // Only the last line can be cut off, and a word that is half an id would not be read.
        assert!(!child.wait().unwrap().success(), "it ended by itself: {heard:?}");
        heard
    })
}

/// Checks everything, and tells whether anybody was killed in the middle of a call.
async fn check(ledger: &Ledger, said: &Said, when: &str) -> bool {
    records(ledger).await;
    let entries = ledger.entries(&EntryFilter::default(), usize::MAX).await.unwrap();
    let opened: HashSet<EntryId> =
        entries.iter().filter(|entry| entry.outcome == Outcome::Allow).map(|entry| entry.id).collect();
    let missing = said.open.difference(&opened).count();
    assert_eq!(missing, 0, "{when}: {missing} of {} acknowledged calls have no entry", said.open.len());
    assert!(entries.iter().all(|entry| entry.outcome != Outcome::Allow || entry.result.is_some()), "{when}: unsettled");
    for id in &said.spent {
        let state = ledger.approval(id, NOON).await.unwrap().state;
        assert_eq!(state, ApprovalState::Spent, "{when}: {id}");
    }
    for id in &said.approved {
        let state = ledger.approval(id, NOON).await.unwrap().state;
        assert!(matches!(state, ApprovalState::Approved | ApprovalState::Spent), "{when}: {id} is {state:?}");
    }
    let spenders: Vec<_> = entries.iter().filter_map(|entry| entry.approval.as_deref()).collect();
    assert_eq!(spenders.len(), spenders.iter().collect::<HashSet<_>>().len(), "{when}: an approval passed twice");
    check_limit(&entries, when);
    entries.iter().any(|entry| entry.result == Some(UpstreamResult::Unknown))
}

/// The shared limit let through no more than its maximum, and no less once it refused somebody.
fn check_limit(entries: &[ledger::Entry], when: &str) {
    let calls = entries.iter().filter(|entry| entry.tool.as_deref() == Some(LIMITED));
    let (passed, refused): (Vec<_>, Vec<_>) = calls.partition(|entry| entry.outcome == Outcome::Allow);
    let passed = passed.len() as u64;
    assert!(passed <= SHARED_MAXIMUM, "{when}: {passed} passed");
    assert!(refused.is_empty() || passed == SHARED_MAXIMUM, "{when}: only {passed} passed before one was refused");
}

fn spawn(test: &str, directory: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]).env(DIRECTORY, directory);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
}

fn acknowledged_in(output: std::process::Output) -> usize {
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().filter(|line| line.contains("open ")).count()
}

fn seed() -> u64 {
    let given = std::env::var("TOOLGATE_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| u64::from(std::process::id()))
}

/// SplitMix64: enough to choose moments.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
