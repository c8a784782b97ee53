//! `toolgate run`: one agent, one policy, one server, and a ledger shared with other such processes.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use ledger::{Ledger, Options};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

use crate::api;
use crate::config::{Config, ServerConfig};
use crate::gate::{Gate, Loose};
use crate::identity::Caller;
use crate::metrics::Metrics;
use crate::session::Sessions;
use crate::snapshot::{NamedPolicy, Snapshot};
use crate::start::{Run, StartError};
use crate::stdio_front::StdioFront;

pub(crate) async fn run(run: Run) -> Result<(), StartError> {
    let failed = |source| StartError::System { what: "could not listen for signals".to_owned(), source };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let ledger = Ledger::open_shared(&run.data_dir, Options::default())?;
    let caller = Caller::Local(run.grant.as_str().into());
    let server_name = run.server_name.clone();
    let policy = Arc::new(NamedPolicy { name: run.policy_name.clone(), policy: Arc::clone(&run.policy) });
    let gate = Arc::new(gate(run, ledger)?);
    let snapshot = gate.snapshot.load_full();
    let Some(server) = snapshot.servers.get(&server_name).cloned() else {
        let source = std::io::Error::other("the server was not set up");
        return Err(StartError::System { what: "could not start".to_owned(), source });
    };
    let front = StdioFront { gate: Arc::clone(&gate), server, policy, caller };
    tokio::select! {
        () = front.serve(tokio::io::stdin(), tokio::io::stdout()) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    for session in gate.sessions.all() {
        session.end("told to stop").await;
    }
    Ok(gate.ledger.close().await?)
}

fn gate(run: Run, ledger: Ledger) -> Result<Gate, StartError> {
    let metrics = Metrics::new();
    let server = ServerConfig { name: run.server_name, kind: run.server, call_timeout: run.timeouts.call };
    let config = Config {
        data_dir: run.data_dir,
        servers: vec![server],
        timeouts: run.timeouts,
        bounds: run.bounds,
        ..Config::default()
    };
    let started_at = run.clock.now();
    let address = config.listen;
    let children = config.bounds.children;
    Ok(Gate {
        clock: run.clock,
        ledger,
        snapshot: ArcSwap::from_pointee(Snapshot::build(config, Vec::new(), None, &metrics)?),
        sessions: Sessions::default(),
        metrics,
        children: Arc::new(Semaphore::new(children)),
        inherit_environment: run.inherit_environment,
        stopping: AtomicBool::new(false),
        loose: Loose::default(),
        strangers: crate::gate::Sampled::default(),
        api: api::router(),
        // Nobody listens, so nobody can show a token.
        admin_token_sha256: [0; 32],
        address,
        started_at,
    })
}
