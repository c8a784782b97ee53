//! What is measured, one after the other.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use crate::call::Tool;
use crate::gate::{self, Gate, Upstream};
use crate::load::{self, Loaded, OpenLoop};
use crate::options::{Options, Part};
use crate::process;
use crate::report::{Table, line, middle, spread};
use crate::samples::Rounds;

/// How often the gate is started to see how long that takes.
const STARTS: usize = 5;
/// Idle sessions that are weighed, after some that are not: what the first ones touch is not theirs.
const SESSIONS: u32 = 1_000;
const FIRST_SESSIONS: u32 = 100;
/// Load that nobody measures, before each measurement.
const WARM_UP: Duration = Duration::from_millis(300);
/// Large results in one round.
const LARGE_CALLS: usize = 60;
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// Both ends of the comparison.
struct Bench<'a> {
    options: &'a Options,
    upstream: Upstream,
    gate: Gate,
}

/// Measures everything that was asked for.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let binary = gate::binary(options.gate.as_deref())?;
    let upstream = Upstream::start().await.context("the server did not start")?;
    if options.wants(Part::Start) && !options.profile_hint {
        start_to_first_byte(&binary, &upstream).await?;
    }
    if options.wants(Part::Memory) && !options.profile_hint {
        memory(&binary, &upstream).await?;
    }
    let gate = Gate::start(&binary, &upstream).await?;
    let bench = Bench { options, upstream, gate };
    if options.profile_hint {
        bench.profile().await?;
    } else {
        bench.loads().await?;
    }
    bench.gate.stop().await
}

async fn start_to_first_byte(binary: &Path, upstream: &Upstream) -> anyhow::Result<()> {
    let mut took = Rounds::default();
    for _ in 0..STARTS {
        let gate = Gate::start(binary, upstream).await?;
        took.push(gate.first_byte.as_secs_f64() * 1e3);
        gate.stop().await?;
    }
    line(&format!("start to first byte: {} ms, {STARTS} starts\n", spread(&took, 1)))?;
    Ok(())
}

async fn memory(binary: &Path, upstream: &Upstream) -> anyhow::Result<()> {
    let gate = Gate::start(binary, upstream).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let idle = process::memory(gate.pid(), "VmRSS")?;
    let mut connection = gate.endpoint()?.connect().await?;
    for _ in 0..FIRST_SESSIONS {
        connection.initialize().await?;
    }
    let before = process::memory(gate.pid(), "VmRSS")?;
    for _ in 0..SESSIONS {
        connection.initialize().await?;
    }
    process::cpu_at_rest(gate.pid()).await?;
    let after = process::memory(gate.pid(), "VmRSS")?;
    let each = (after - before) / f64::from(SESSIONS) / 1024.0;
    let idle = idle / MEBIBYTE;
    line(&format!("resident memory: {idle:.1} MiB idle, {each:.1} KiB for each of {SESSIONS} idle sessions\n"))?;
    gate.stop().await
}

impl Bench<'_> {
    async fn loads(&self) -> anyhow::Result<()> {
        if self.options.wants(Part::Closed) {
            self.closed().await?;
        }
        if self.options.wants(Part::Open) {
            self.open().await?;
        }
        if self.options.wants(Part::Large) {
            self.large().await?;
        }
        Ok(())
    }

    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.options.seconds)
    }

    fn head(&self, what: &str) -> anyhow::Result<()> {
        let (rounds, seconds) = (self.options.rounds, self.options.seconds);
        line(&format!("{what}; median of {rounds} rounds of {seconds} s each way (lowest–highest); times in µs"))?;
        Ok(())
    }

    async fn closed(&self) -> anyhow::Result<()> {
        self.head("closed loop, small calls")?;
        let mut table = Table::new(&COLUMNS);
        for &connections in &self.options.connections {
            let count = usize::from(connections);
            let mut direct = load::sessions(&self.upstream.endpoint()?, count).await?;
            let mut through = load::sessions(&self.gate.endpoint()?, count).await?;
            load::closed(&mut direct, Tool::Small, WARM_UP).await?;
            load::closed(&mut through, Tool::Small, WARM_UP).await?;
            let mut both = Both::default();
            for _ in 0..self.options.rounds {
                let meter = Meter::start(self).await?;
                let loaded = load::closed(&mut direct, Tool::Small, self.time()).await?;
                both.direct.push(meter.stop(loaded).await?);
                let meter = Meter::start(self).await?;
                let loaded = load::closed(&mut through, Tool::Small, self.time()).await?;
                both.through.push(meter.stop(loaded).await?);
                both.compare();
            }
            both.rows(&connections.to_string(), &mut table);
        }
        table.print()?;
        line("")?;
        Ok(())
    }

    async fn open(&self) -> anyhow::Result<()> {
        let rate = self.options.rate;
        self.head(&format!("open loop, {rate} small calls a second"))?;
        let mut direct = OpenLoop::new(&self.upstream.endpoint()?).await?;
        let mut through = OpenLoop::new(&self.gate.endpoint()?).await?;
        direct.run(rate, WARM_UP).await?;
        through.run(rate, WARM_UP).await?;
        let mut both = Both::default();
        for _ in 0..self.options.rounds {
            let meter = Meter::start(self).await?;
            let loaded = direct.run(rate, self.time()).await?;
            both.direct.push(meter.stop(loaded).await?);
            let meter = Meter::start(self).await?;
            let loaded = through.run(rate, self.time()).await?;
            both.through.push(meter.stop(loaded).await?);
            both.compare();
        }
        let mut table = Table::new(&COLUMNS);
        both.rows("32", &mut table);
        table.print()?;
        line("")?;
        Ok(())
    }

    async fn large(&self) -> anyhow::Result<()> {
        let mut direct = self.upstream.endpoint()?.session().await?;
        let mut through = self.gate.endpoint()?.session().await?;
        load::sequential(&mut direct, Tool::Large, LARGE_CALLS).await?;
        load::sequential(&mut through, Tool::Large, LARGE_CALLS).await?;
        let before = process::memory(self.gate.pid(), "VmHWM")?;
        let mut both = Both::default();
        let mut ratio = Rounds::default();
        for _ in 0..self.options.rounds {
            let meter = Meter::start(self).await?;
            let loaded = load::sequential(&mut direct, Tool::Large, LARGE_CALLS).await?;
            both.direct.push(meter.stop(loaded).await?);
            let meter = Meter::start(self).await?;
            let loaded = load::sequential(&mut through, Tool::Large, LARGE_CALLS).await?;
            both.through.push(meter.stop(loaded).await?);
            both.compare();
            ratio.push(both.through.last_p50 / both.direct.last_p50);
        }
        let more = (process::memory(self.gate.pid(), "VmHWM")? - before) / MEBIBYTE;
        let rounds = self.options.rounds;
        line(&format!(
            "results of 1 MiB, one connection; median of {rounds} rounds of {LARGE_CALLS} calls each way; times in µs"
        ))?;
        let mut table = Table::new(&COLUMNS);
        both.rows("1", &mut table);
        table.print()?;
        let ratio = spread(&ratio, 2);
        line(&format!("  through the gate / direct: {ratio}; the gate's peak memory grew by {more:.1} MiB\n"))?;
        Ok(())
    }

    /// Load on the gate alone, for a profiler that is attached meanwhile.
    async fn profile(&self) -> anyhow::Result<()> {
        let pid = self.gate.pid();
        let connections = self.options.connections.first().copied().unwrap_or(32);
        let mut through = load::sessions(&self.gate.endpoint()?, usize::from(connections)).await?;
        load::closed(&mut through, Tool::Small, WARM_UP).await?;
        line(&format!("gate: {pid}; in 3 s, {connections} connections for {} s", self.options.seconds))?;
        line(&format!("profile it with `perf record -g -p {pid}`"))?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let meter = Meter::start(self).await?;
        let loaded = load::closed(&mut through, Tool::Small, self.time()).await?;
        let measured = meter.stop(loaded).await?;
        let mut one = Way::default();
        one.push(measured);
        let mut table = Table::new(&COLUMNS);
        table.row(one.cells(format!("{connections} through the gate"), "".to_owned()));
        table.print()?;
        Ok(())
    }
}

const COLUMNS: [&str; 8] =
    ["connections", "calls/s", "p50", "p99", "added p50", "gate CPU/call", "server CPU/call", "others' CPU"];

/// What one round brought.
struct Measured {
    loaded: Loaded,
    gate_cpu: f64,
    upstream_cpu: f64,
    others: f64,
}

/// CPU time at the beginning of a round.
struct Meter {
    gate: (u32, f64),
    upstream: (u32, f64),
    own: f64,
    machine: f64,
    began: tokio::time::Instant,
}

impl Meter {
    async fn start(bench: &Bench<'_>) -> anyhow::Result<Self> {
        let (gate, upstream) = (bench.gate.pid(), bench.upstream.pid());
        Ok(Self {
            gate: (gate, process::cpu_at_rest(gate).await?),
            upstream: (upstream, process::cpu(upstream)?),
            own: process::cpu(std::process::id())?,
            machine: process::busy()?,
            began: tokio::time::Instant::now(),
        })
    }

    /// Everything the gate does for these calls counts, also what it does after their answers.
    async fn stop(self, loaded: Loaded) -> anyhow::Result<Measured> {
        let gate_cpu = process::cpu_at_rest(self.gate.0).await? - self.gate.1;
        let upstream_cpu = process::cpu(self.upstream.0)? - self.upstream.1;
        let own = process::cpu(std::process::id())? - self.own;
        let others = process::busy()? - self.machine - own - gate_cpu - upstream_cpu;
        let others = (others / self.began.elapsed().as_secs_f64()).max(0.0);
        Ok(Measured { loaded, gate_cpu, upstream_cpu, others })
    }
}

/// Rounds of one way to the server.
#[derive(Default)]
struct Way {
    rate: Rounds,
    p50: Rounds,
    p99: Rounds,
    gate_cpu: Rounds,
    upstream_cpu: Rounds,
    others: Rounds,
    last_p50: f64,
}

impl Way {
    #[expect(clippy::cast_precision_loss, reason = "calls of one round are counted in thousands")]
    fn push(&mut self, mut measured: Measured) {
        let calls = measured.loaded.latencies.len() as f64;
        self.last_p50 = measured.loaded.latencies.quantile(0.5);
        self.rate.push(calls / measured.loaded.elapsed.as_secs_f64());
        self.p50.push(self.last_p50);
        self.p99.push(measured.loaded.latencies.quantile(0.99));
        self.gate_cpu.push(measured.gate_cpu / calls * 1e6);
        self.upstream_cpu.push(measured.upstream_cpu / calls * 1e6);
        self.others.push(measured.others * 100.0);
    }

    fn cells(&self, name: String, added: String) -> Vec<String> {
        let gate = if self.gate_cpu.highest() < 0.5 { "-".to_owned() } else { spread(&self.gate_cpu, 1) };
        vec![
            name,
            spread(&self.rate, 0),
            spread(&self.p50, 0),
            spread(&self.p99, 0),
            added,
            gate,
            spread(&self.upstream_cpu, 1),
            format!("{} %", middle(&self.others, 0)),
        ]
    }
}

/// Both ways to the server, round by round.
#[derive(Default)]
struct Both {
    direct: Way,
    through: Way,
    added: Rounds,
}

impl Both {
    fn compare(&mut self) {
        self.added.push(self.through.last_p50 - self.direct.last_p50);
    }

    fn rows(&self, name: &str, table: &mut Table) {
        table.row(self.direct.cells(format!("{name} direct"), String::new()));
        table.row(self.through.cells(format!("{name} through the gate"), spread(&self.added, 0)));
    }
}
