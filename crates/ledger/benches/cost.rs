//! What one call costs the ledger: reserve with two counters, and settle.
//!
//! `cargo bench -p ledger` prints time and CPU per call, of the whole process and so with the thread that fills the
//! database, for 1 and for 32 callers, in both modes.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark may fail, and its output is what it is for")]

use std::time::{Duration, Instant};

use ledger::{Charge, CounterKey, Ending, EntryId, GrantCheck, Intent, Ledger, Options, Reserved, Settlement};
use policy::{Count, Decimal, Scope, Timestamp, Window, WindowKind};

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for (mode, calls) in [("exclusive", 400_000), ("shared", 20_000)] {
        for callers in [1, 32] {
            let directory = tempfile::tempdir().unwrap();
            let ledger = match mode {
                "exclusive" => Ledger::open_exclusive(directory.path(), Options::default()),
                _ => Ledger::open_shared(directory.path(), Options::default()),
            };
            runtime.block_on(measure(&ledger.unwrap(), mode, callers, calls / callers));
        }
    }
}

async fn measure(ledger: &Ledger, mode: &str, callers: u32, calls: u32) {
    let (begun, cpu) = (Instant::now(), cpu_time());
    let tasks: Vec<_> = (0..callers).map(|_| tokio::spawn(call(ledger.clone(), calls))).collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.append(&mut task.await.unwrap());
    }
    let elapsed = begun.elapsed();
    ledger.flush().await.unwrap();
    let (caught_up, cpu) = (begun.elapsed(), cpu_time() - cpu);
    waits.sort_unstable();
    let at = |permille: usize| waits.get(waits.len() * permille / 1000).copied().unwrap_or_default();
    let all = calls * callers;
    println!(
        "{mode:>9}, {callers:>2} callers: {:>7.0} calls/s, reserve p50 {:>5.1?} p99 {:>6.1?} p99.9 {:>6.1?}, CPU per call {:>5.2} µs, caught up {:.0?} later",
        f64::from(all) / elapsed.as_secs_f64(),
        at(500),
        at(990),
        at(999),
        cpu.as_secs_f64() * 1e6 / f64::from(all),
        caught_up - elapsed,
    );
}

async fn call(ledger: Ledger, calls: u32) -> Vec<Duration> {
    let (max, cost) = (Decimal::from(1_000_000_000), Decimal::ONE);
    let charge = |counter, window| Charge {
        key: CounterKey {
            policy: "browser-safe",
            scope: Scope::Grant,
            subject: "gr_01J0000000000000000000000",
            counter,
        },
        window,
        kind: WindowKind::Fixed,
        max: &max,
        cost: &cost,
        count: Count::Sent,
        rule: "/tools/read_file/limits/0",
        on_deny: "too many",
    };
    let charges = [charge("read_file_rate", Window::MINUTE), charge("daily", Window::DAY)];
    let mut waits = Vec::with_capacity(calls as usize);
    for number in 0..calls {
        let at = Timestamp::from_micros(1_800_000_000_000_000 + i64::from(number) * 100);
        let begun = Instant::now();
        let reserved = ledger.reserve(intent(at), &charges, GrantCheck::Implicit, None).await.unwrap();
        waits.push(begun.elapsed());
        if let Reserved::Open(ticket) = reserved {
            let ending = Ending::Answered { is_error: false, status: Some(200) };
            ledger.settle(ticket, Settlement { at, ending, gateway_us: 25, upstream_us: 180 }).await;
        }
        if number.is_multiple_of(16) {
            tokio::task::yield_now().await;
        }
    }
    waits
}

fn intent(at: Timestamp) -> Intent<'static> {
    Intent {
        id: EntryId::generate(at),
        at,
        grant: "alice-laptop",
        client: Some("an-agent"),
        session: "01J00000000000000000000000",
        server: "files",
        method: "tools/call",
        tool: Some("read_file"),
        category: None,
        policy: Some("browser-safe"),
        policy_version: Some("0123456789abcdef"),
        rule: Some("/tools/read_file"),
        argument_keys: &["path", "encoding"],
        arguments_hmac: Some([7; 32]),
        request_id: Some("1234"),
        trace_id: None,
    }
}

/// User and system time of this process, as Linux counts it: in hundredths of a second.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
