//! What is measured, one after the other.

use std::path::Path;
use std::time::Duration;

use crate::call::Tool;
use crate::compare::{Between, COLUMNS, Meter, Way};
use crate::gate::{self, Gate, Helper};
use crate::load::{self, OpenLoop};
use crate::options::{Options, Part};
use crate::process;
use crate::report::{Table, line, spread};
use crate::samples::Rounds;
use crate::session::Endpoint;

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

/// Everything that runs while load is put on it.
struct Bench<'a> {
    options: &'a Options,
    server: Helper,
    relay: Helper,
    gate: Gate,
}

/// A way to the server.
struct Route {
    name: &'static str,
    endpoint: Endpoint,
    between: Between,
}

/// Measures everything that was asked for.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let binary = gate::binary(options.gate.as_deref())?;
    let server = Helper::server().await?;
    if options.wants(Part::Start) && !options.profile_hint {
        start_to_first_byte(&binary, &server).await?;
    }
    if options.wants(Part::Memory) && !options.profile_hint {
        memory(&binary, &server).await?;
    }
    let relay = Helper::relay(&server).await?;
    let gate = Gate::start(&binary, &server).await?;
    let bench = Bench { options, server, relay, gate };
    if options.profile_hint {
        bench.profile().await?;
    } else {
        bench.loads().await?;
    }
    bench.gate.stop().await
}

async fn start_to_first_byte(binary: &Path, server: &Helper) -> anyhow::Result<()> {
    let mut took = Rounds::default();
    for _ in 0..STARTS {
        let gate = Gate::start(binary, server).await?;
        took.push(gate.first_byte.as_secs_f64() * 1e3);
        gate.stop().await?;
    }
    line(&format!("start to first byte: {} ms, {STARTS} starts\n", spread(&took, 1)))?;
    Ok(())
}

async fn memory(binary: &Path, server: &Helper) -> anyhow::Result<()> {
    let gate = Gate::start(binary, server).await?;
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

    /// The direct way first: the others are compared with it.
    fn routes(&self) -> anyhow::Result<[Route; 3]> {
        let server = self.server.pid();
        let route = |name, endpoint, hop| Route { name, endpoint, between: Between { hop, server } };
        Ok([
            route("direct", self.server.endpoint()?, None),
            route("bare relay", self.relay.endpoint()?, Some(self.relay.pid())),
            self.gate_route()?,
        ])
    }

    fn gate_route(&self) -> anyhow::Result<Route> {
        let between = Between { hop: Some(self.gate.pid()), server: self.server.pid() };
        Ok(Route { name: "the gate", endpoint: self.gate.endpoint()?, between })
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
            let mut ways = Vec::new();
            for route in self.routes()? {
                let mut sessions = load::sessions(&route.endpoint, usize::from(connections)).await?;
                load::closed(&mut sessions, Tool::Small, WARM_UP).await?;
                ways.push((Way::new(format!("{connections} {}", route.name)), route, sessions));
            }
            for _ in 0..self.options.rounds {
                let mut direct = None;
                for (way, route, sessions) in &mut ways {
                    let meter = Meter::start(route.between).await?;
                    let loaded = load::closed(sessions, Tool::Small, self.time()).await?;
                    way.push(meter.stop(loaded).await?, direct);
                    direct = direct.or(Some(way.last_p50()));
                }
            }
            ways.iter().for_each(|(way, _, _)| way.row(&mut table));
        }
        table.print()?;
        line("")?;
        Ok(())
    }

    async fn open(&self) -> anyhow::Result<()> {
        let rate = self.options.rate;
        self.head(&format!("open loop, {rate} small calls a second"))?;
        let mut ways = Vec::new();
        for route in self.routes()? {
            let mut calls = OpenLoop::new(&route.endpoint).await?;
            calls.run(rate, WARM_UP).await?;
            ways.push((Way::new(format!("{} {}", load::OPEN_SESSIONS, route.name)), route, calls));
        }
        for _ in 0..self.options.rounds {
            let mut direct = None;
            for (way, route, calls) in &mut ways {
                let meter = Meter::start(route.between).await?;
                let loaded = calls.run(rate, self.time()).await?;
                way.push(meter.stop(loaded).await?, direct);
                direct = direct.or(Some(way.last_p50()));
            }
        }
        let mut table = Table::new(&COLUMNS);
        ways.iter().for_each(|(way, _, _)| way.row(&mut table));
        table.print()?;
        line("")?;
        Ok(())
    }

    async fn large(&self) -> anyhow::Result<()> {
        let rounds = self.options.rounds;
        line(&format!("results of 1 MiB; median of {rounds} rounds of {LARGE_CALLS} calls each way; times in µs"))?;
        let mut ways = Vec::new();
        for route in self.routes()? {
            let mut session = route.endpoint.session().await?;
            load::sequential(&mut session, Tool::Large, LARGE_CALLS).await?;
            ways.push((Way::new(format!("1 {}", route.name)), route, session));
        }
        let before = process::memory(self.gate.pid(), "VmHWM")?;
        for _ in 0..rounds {
            let mut direct = None;
            for (way, route, session) in &mut ways {
                let meter = Meter::start(route.between).await?;
                let loaded = load::sequential(session, Tool::Large, LARGE_CALLS).await?;
                way.push(meter.stop(loaded).await?, direct);
                direct = direct.or(Some(way.last_p50()));
            }
        }
        let more = (process::memory(self.gate.pid(), "VmHWM")? - before) / MEBIBYTE;
        let mut table = Table::new(&COLUMNS);
        ways.iter().for_each(|(way, _, _)| way.row(&mut table));
        table.print()?;
        for (way, route, _) in ways.iter().skip(1) {
            line(&format!("  {} / direct: {}", route.name, spread(way.ratio(), 2)))?;
        }
        line(&format!("  the gate's peak memory grew by {more:.1} MiB meanwhile\n"))?;
        Ok(())
    }

    /// Load on the gate alone, for a profiler that is attached meanwhile.
    async fn profile(&self) -> anyhow::Result<()> {
        let pid = self.gate.pid();
        let route = self.gate_route()?;
        let connections = self.options.connections.first().copied().unwrap_or(32);
        let tool = if self.options.only.contains(&Part::Large) { Tool::Large } else { Tool::Small };
        let mut through = load::sessions(&route.endpoint, usize::from(connections)).await?;
        load::closed(&mut through, tool, WARM_UP).await?;
        line(&format!("gate: {pid}; in 3 s, {connections} connections for {} s", self.options.seconds))?;
        line(&format!("profile it with `perf record -g -p {pid}`"))?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let meter = Meter::start(route.between).await?;
        let loaded = load::closed(&mut through, tool, self.time()).await?;
        let mut way = Way::new(format!("{connections} {}", route.name));
        way.push(meter.stop(loaded).await?, None);
        let mut table = Table::new(&COLUMNS);
        way.row(&mut table);
        table.print()?;
        Ok(())
    }
}
