//! What the kernel tells of a process and of the machine (proc(5)).

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use rustix::param::clock_ticks_per_second;

/// How long a process may be busy after its load has ended: the ledger is folded behind the calls.
const SETTLE_AT_MOST: Duration = Duration::from_secs(3);
const SETTLE_STEP: Duration = Duration::from_millis(60);

/// CPU time that a process has used, user and system, in seconds.
pub(crate) fn cpu(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("process {pid} is gone"))?;
    // The name, in parentheses, may hold spaces; the fields after it are numbered from 3.
    let (_, after_name) = stat.rsplit_once(')').context("no name in /proc/PID/stat")?;
    let ticks = |field: usize| after_name.split_whitespace().nth(field - 3).and_then(|text| text.parse::<u32>().ok());
    let (user, system) = (ticks(14).context("no user time")?, ticks(15).context("no system time")?);
    Ok(seconds(f64::from(user) + f64::from(system)))
}

/// CPU time of a process once it has come to rest after its load.
pub(crate) async fn cpu_at_rest(pid: u32) -> anyhow::Result<f64> {
    let mut before = cpu(pid)?;
    let began = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(SETTLE_STEP).await;
        let now = cpu(pid)?;
        // One tick is what a process at rest may still use.
        if now - before <= seconds(1.0) || began.elapsed() > SETTLE_AT_MOST {
            return Ok(now);
        }
        before = now;
    }
}

/// CPU time that the whole machine has spent busy, in seconds over all its cores.
pub(crate) fn busy() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().context("/proc/stat is empty")?;
    let fields: Vec<f64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal
    let idle: f64 = fields.iter().skip(3).take(2).sum();
    let all: f64 = fields.iter().take(8).sum();
    Ok(seconds(all - idle))
}

/// Memory that a process holds, in bytes: `VmRSS` now, `VmHWM` at its highest.
pub(crate) fn memory(pid: u32, field: &str) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid} is gone"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u32>().ok());
    Ok(f64::from(kibibytes.with_context(|| format!("no `{field}` in /proc/{pid}/status"))?) * 1024.0)
}

#[expect(clippy::cast_precision_loss, reason = "the clock has 100 ticks a second")]
fn seconds(ticks: f64) -> f64 {
    ticks / clock_ticks_per_second() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_time() {
        let pid = std::process::id();
        assert!(memory(pid, "VmRSS").unwrap() > 0.0);
        assert!(cpu(pid).unwrap() >= 0.0);
        assert!(busy().unwrap() > 0.0);
    }
}
