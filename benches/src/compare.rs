//! The same load sent by several ways, round by round.

use crate::load::Loaded;
use crate::process;
use crate::report::{Table, middle, spread};
use crate::samples::Rounds;

/// The head of every table of a comparison.
pub(crate) const COLUMNS: [&str; 8] =
    ["connections", "calls/s", "p50", "p99", "added p50", "CPU/call", "server CPU/call", "others' CPU"];

/// The processes between the load and its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Between {
    /// What stands in front of the server, if anything does.
    pub(crate) hop: Option<u32>,
    pub(crate) server: u32,
}

/// What one round brought.
#[derive(Debug)]
pub(crate) struct Measured {
    loaded: Loaded,
    hop_cpu: f64,
    server_cpu: f64,
    others: f64,
}

/// CPU time at the beginning of a round.
#[derive(Debug)]
pub(crate) struct Meter {
    between: Between,
    hop: f64,
    server: f64,
    own: f64,
    machine: f64,
    began: tokio::time::Instant,
}

impl Meter {
    pub(crate) async fn start(between: Between) -> anyhow::Result<Self> {
        Ok(Self {
            between,
            hop: hop_at_rest(between).await?,
            server: process::cpu(between.server)?,
            own: process::cpu(std::process::id())?,
            machine: process::busy()?,
            began: tokio::time::Instant::now(),
        })
    }

    /// Everything the hop does for these calls counts, also what it does after their answers.
    pub(crate) async fn stop(self, loaded: Loaded) -> anyhow::Result<Measured> {
        let hop_cpu = hop_at_rest(self.between).await? - self.hop;
        let server_cpu = process::cpu(self.between.server)? - self.server;
        let own = process::cpu(std::process::id())? - self.own;
        let others = process::busy()? - self.machine - own - hop_cpu - server_cpu;
        let others = (others / self.began.elapsed().as_secs_f64()).max(0.0);
        Ok(Measured { loaded, hop_cpu, server_cpu, others })
    }
}

async fn hop_at_rest(between: Between) -> anyhow::Result<f64> {
    match between.hop {
        Some(hop) => process::cpu_at_rest(hop).await,
        None => Ok(0.0),
    }
}

/// All rounds of one way to the server.
#[derive(Debug, Default)]
pub(crate) struct Way {
    name: String,
    rate: Rounds,
    p50: Rounds,
    p99: Rounds,
    added: Rounds,
    ratio: Rounds,
    hop_cpu: Rounds,
    server_cpu: Rounds,
    others: Rounds,
    last_p50: f64,
}

impl Way {
    pub(crate) fn new(name: String) -> Self {
        Self { name, ..Self::default() }
    }

    /// Takes a round in; `direct` is the way without a hop, which has had its round.
    #[expect(clippy::cast_precision_loss, reason = "calls of one round are counted in thousands")]
    pub(crate) fn push(&mut self, mut measured: Measured, direct_p50: Option<f64>) {
        let calls = measured.loaded.latencies.len() as f64;
        self.last_p50 = measured.loaded.latencies.quantile(0.5);
        self.rate.push(calls / measured.loaded.elapsed.as_secs_f64());
        self.p50.push(self.last_p50);
        self.p99.push(measured.loaded.latencies.quantile(0.99));
        self.hop_cpu.push(measured.hop_cpu / calls * 1e6);
        self.server_cpu.push(measured.server_cpu / calls * 1e6);
        self.others.push(measured.others * 100.0);
        if let Some(direct) = direct_p50 {
            self.added.push(self.last_p50 - direct);
            self.ratio.push(self.last_p50 / direct);
        }
    }

    pub(crate) fn last_p50(&self) -> f64 {
        self.last_p50
    }

    /// Its median call, as a multiple of a direct one.
    pub(crate) fn ratio(&self) -> &Rounds {
        &self.ratio
    }

    pub(crate) fn row(&self, table: &mut Table) {
        let compared =
            |rounds: &Rounds, decimals| if self.added.is_empty() { String::new() } else { spread(rounds, decimals) };
        table.row(vec![
            self.name.clone(),
            spread(&self.rate, 0),
            spread(&self.p50, 0),
            spread(&self.p99, 0),
            compared(&self.added, 0),
            if self.hop_cpu.highest() > 0.0 { spread(&self.hop_cpu, 1) } else { String::new() },
            spread(&self.server_cpu, 1),
            format!("{} %", middle(&self.others, 0)),
        ]);
    }
}
