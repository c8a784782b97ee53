//! What can be chosen on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Measures calls through the gate against direct ones
#[derive(Debug, Parser)]
#[command(name = "bench")]
pub(crate) struct Options {
    /// Connections of the closed loops
    #[arg(long, env = "BENCH_CONNECTIONS", value_delimiter = ',', default_value = "1,32,256",
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) connections: Vec<u16>,

    /// Seconds of load in one round
    #[arg(long, env = "BENCH_SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) seconds: f64,

    /// Rounds: each has direct load and load through the gate
    #[arg(long, env = "BENCH_ROUNDS", default_value = "7", value_parser = clap::value_parser!(u16).range(1..=50))]
    pub(crate) rounds: u16,

    /// Calls per second of the open loop
    #[arg(long, env = "BENCH_RATE", default_value = "2000", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub(crate) rate: u32,

    /// Measure only these
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<Part>,

    /// Print the gate's process id, wait 3 seconds, then put load on it, for a profiler; with `--only large`, of large results
    #[arg(long)]
    pub(crate) profile_hint: bool,

    /// Binary of the gate; `toolgate` beside this one if not given
    #[arg(long, env = "TOOLGATE_BIN")]
    pub(crate) gate: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Command {
    /// Serve the MCP server that the load goes to, until standard input closes
    #[command(hide = true)]
    Upstream,
    /// Relay to a server, until standard input closes
    #[command(hide = true)]
    Relay {
        /// Where the server listens
        server: SocketAddr,
    },
}

/// One thing that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Start to first byte
    Start,
    /// Memory of an idle gate, and of idle sessions
    Memory,
    /// As many calls as fit, on each number of connections
    Closed,
    /// Calls at a fixed rate
    Open,
    /// Results of 1 MiB
    Large,
}

impl Options {
    pub(crate) fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.05..=120.0).contains(&seconds) => Ok(seconds),
        _ => Err("give seconds from 0.05 to 120".to_owned()),
    }
}
