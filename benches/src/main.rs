//! Measures calls through the gate against the same calls straight to the server behind it.
//!
//! One run starts a small MCP server, a relay that does nothing but relay, and the gate, each a
//! process of its own on loopback, and puts load on them in turn, so that whatever else the machine
//! does falls on all alike. Numbers are medians over rounds, with the lowest and the highest beside them: what other processes used
//! meanwhile is printed too, because no number means much without it.
//!
//! It knows nothing of the gate's insides: only its configuration, its endpoints and what the kernel
//! tells of its process. Everything it starts is stopped when it ends, however it ends, and it writes
//! only into a temporary directory.

mod call;
mod compare;
mod gate;
mod load;
mod options;
mod parts;
mod process;
mod relay;
mod report;
mod samples;
mod served;
mod session;
mod upstream;

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Parser as _;
use options::{Command, Options};
use tokio::signal::unix::{SignalKind, signal};

/// How long a whole run may take.
const WHOLE_RUN: Duration = Duration::from_secs(175);

fn main() -> anyhow::Result<()> {
    // One thread: the load must not take both cores of a small machine.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options = Options::parse();
    runtime.block_on(async {
        match options.command {
            Some(Command::Upstream) => upstream::serve().await,
            Some(Command::Relay { server }) => relay::serve(server).await,
            None => interruptible(&options).await,
        }
    })
}

/// Runs to the end, to the time bound or to a signal; dropping the run stops what it started.
async fn interruptible(options: &Options) -> anyhow::Result<()> {
    let mut terminated = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    tokio::select! {
        done = parts::run(options) => done,
        () = tokio::time::sleep(WHOLE_RUN) => {
            Err(anyhow!("the benchmark took longer than {} s; choose fewer rounds or seconds", WHOLE_RUN.as_secs()))
        }
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
        _ = terminated.recv() => Err(anyhow!("terminated")),
    }
}
