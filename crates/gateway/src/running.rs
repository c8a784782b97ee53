//! `toolgate serve`: from a configuration to a gateway that listens, and back to nothing.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use ledger::{FileGrant, Ledger, Options};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tracing::{info, warn};

use crate::config::Config;
use crate::front::workers::{Stage, Workers};
use crate::gate::{Gate, Loose};
use crate::metrics::Metrics;
use crate::session::Sessions;
use crate::snapshot::Snapshot;
use crate::start::{Ready, Serve, StartError};
use crate::watch::Reloader;
use crate::{api, identity, presence, service};

/// How often idle sessions are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

pub(crate) async fn serve(serve: Serve) -> Result<(), StartError> {
    let Serve { config, file, overrides, environment, clock, on_ready, on_reload } = serve;
    let mut signals = Signals::new()?;
    let data_dir = config.data_dir.clone();
    let ledger = Ledger::open_exclusive(&data_dir, Options::default())?;
    let admin_token = presence::admin_token(&data_dir)
        .map_err(|source| StartError::System { what: "could not read the admin token".to_owned(), source })?;
    let listener = listen(&config)?;
    let address = listener.local_addr().map_err(|source| StartError::Listen { address: config.listen, source })?;
    let metrics = Metrics::new();
    let made = service::made_policies(&ledger).await?;
    let connections = config.bounds.connections;
    let children = config.bounds.children;
    let started_at = clock.now();
    ledger.publish_file_grants(&file_grants(&config), started_at).await?;
    let snapshot = Snapshot::build(config, made, None, &metrics)?;
    let gate = Arc::new(Gate {
        clock,
        ledger,
        snapshot: ArcSwap::from_pointee(snapshot),
        sessions: Sessions::default(),
        metrics,
        children: Arc::new(Semaphore::new(children)),
        inherit_environment: false,
        stopping: AtomicBool::new(false),
        loose: Loose::default(),
        strangers: crate::gate::Sampled::default(),
        api: api::router(),
        admin_token_sha256: identity::hash(&admin_token),
        address,
        started_at,
    });
    let (stage, stages) = watch::channel(Stage::Serving);
    let workers = Workers::start(&gate, &stages)
        .map_err(|source| StartError::System { what: "could not start a worker".to_owned(), source })?;
    let announced = presence::announce(&data_dir, address)
        .map_err(|source| StartError::System { what: "could not write to the data directory".to_owned(), source })?;
    tokio::spawn(sweep(Arc::clone(&gate)));
    let reloader = Reloader { gate: Arc::clone(&gate), file, overrides, environment, on_reload };
    let reloading = tokio::spawn(reloader.start());
    on_ready(&Ready { address, data_dir });
    let accepted = tokio::select! {
        accepted = workers.accept(listener, connections, stages) => accepted,
        () = signals.stop() => Ok(()),
    };
    reloading.abort();
    if let Err(error) = accepted {
        warn!(%error, "cannot listen any more");
    }
    stop(&gate, workers, &stage, signals).await;
    drop(announced);
    Ok(gate.ledger.close().await?)
}

fn listen(config: &Config) -> Result<TcpListener, StartError> {
    let address = config.listen;
    let listen = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    listen().map_err(|source| StartError::Listen { address, source })
}

/// The grants of the file, as the ledger keeps them.
pub(crate) fn file_grants(config: &Config) -> Vec<FileGrant> {
    let grants = config.grants.iter().map(|grant| FileGrant {
        label: grant.label.clone(),
        token_sha256: grant.token_sha256,
        access: grant
            .access
            .iter()
            .map(|access| ledger::Access { server: access.server.clone(), policy: access.policy.clone() })
            .collect(),
        expires: grant.expires,
    });
    grants.collect()
}

/// Ends sessions that nobody uses.
async fn sweep(gate: Arc<Gate>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let idle = gate.snapshot.load().config.timeouts.session_idle;
        for session in gate.sessions.stale(gate.clock.now(), idle) {
            gate.sessions.remove(&session.id);
            tokio::spawn(async move { session.end("nobody used it").await });
        }
    }
}

/// Lets running calls finish, then ends sessions, then the workers.
async fn stop(gate: &Arc<Gate>, mut workers: Workers, stage: &watch::Sender<Stage>, mut signals: Signals) {
    info!(sessions = gate.sessions.len(), "stopping: letting running calls finish");
    gate.stopping.store(true, Ordering::Relaxed);
    stage.send_replace(Stage::Draining);
    for session in gate.sessions.all() {
        session.agent.stop_listening();
    }
    let drained = tokio::select! {
        () = workers.drained() => true,
        () = signals.stop() => false,
    };
    if !drained {
        warn!("told to stop a second time: not waiting for running calls");
    }
    let mut ending = tokio::task::JoinSet::new();
    for session in gate.sessions.all() {
        gate.sessions.remove(&session.id);
        ending.spawn(async move { session.end("the gate stops").await });
    }
    while ending.join_next().await.is_some() {}
    stage.send_replace(Stage::Closing);
    if drained {
        workers.join();
    }
}

/// The signals that end the gateway.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, StartError> {
        let listen = |kind| {
            signal(kind)
                .map_err(|source| StartError::System { what: "could not listen for signals".to_owned(), source })
        };
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
