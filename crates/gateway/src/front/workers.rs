//! Listens, and spreads connections over one single-threaded runtime a core.
//!
//! A connection, its judging and its upstream connection stay on one thread: no call pays for
//! waking another core. The thread that accepts hands out connections in turn.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tracing::{debug, warn};

use crate::gate::Gate;

/// How far the gate has come on its way to a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// It serves.
    Serving,
    /// Nothing new is taken on; what runs may finish.
    Draining,
    /// Everything has finished or has had its time.
    Closing,
}

/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How large a request's head may be, and how much of a body is read ahead.
const HEAD_BYTES: usize = 64 * 1024;
/// How many headers a request may have.
const HEADERS: usize = 100;
/// How many accepted connections may wait for a worker.
const HANDOVER: usize = 256;

/// The threads that serve connections.
#[derive(Debug)]
pub(crate) struct Workers {
    queues: Vec<mpsc::Sender<std::net::TcpStream>>,
    threads: Vec<JoinHandle<()>>,
    open: Arc<AtomicUsize>,
    drained: mpsc::Receiver<()>,
}

impl Workers {
    /// Starts one thread a core.
    ///
    /// # Errors
    ///
    /// If the system refuses a thread.
    pub(crate) fn start(gate: &Arc<Gate>, stop: &watch::Receiver<Stage>) -> std::io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let open = Arc::new(AtomicUsize::new(0));
        let (report, drained) = mpsc::channel(count);
        let mut queues = Vec::with_capacity(count);
        let mut threads = Vec::with_capacity(count);
        for number in 0..count {
            let (queue, sockets) = mpsc::channel(HANDOVER);
            let worker =
                Worker { gate: Arc::clone(gate), stop: stop.clone(), open: Arc::clone(&open), report: report.clone() };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let thread = std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || runtime.block_on(worker.run(sockets)))?;
            queues.push(queue);
            threads.push(thread);
        }
        Ok(Self { queues, threads, open, drained })
    }

    /// Accepts connections until the gate begins to stop.
    pub(crate) async fn accept(
        &self,
        listener: TcpListener,
        connections: usize,
        mut stop: watch::Receiver<Stage>,
    ) -> std::io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let mut turn = 0_usize;
        loop {
            let socket = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((socket, _)) => socket,
                    Err(error) => {
                        warn!(%error, "could not accept a connection");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
                () = stopping(&mut stop) => return Ok(()),
            };
            if self.open.load(Ordering::Relaxed) >= connections {
                warn!(connections, "refused a connection: as many as `bounds.connections` are open");
                continue;
            }
            turn = (turn + 1) % self.queues.len().max(1);
            if let (Ok(socket), Some(queue)) = (socket.into_std(), self.queues.get(turn)) {
                // A worker only goes away at the stop, when nobody is accepted any more.
                let _ = queue.send(socket).await;
            }
        }
    }

    /// Waits until every worker has let its connections finish.
    pub(crate) async fn drained(&mut self) {
        for _ in 0..self.threads.len() {
            if self.drained.recv().await.is_none() {
                return;
            }
        }
    }

    /// Waits for the threads, which end once the gate is closing.
    pub(crate) fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                warn!("a worker thread ended abnormally");
            }
        }
    }
}

struct Worker {
    gate: Arc<Gate>,
    stop: watch::Receiver<Stage>,
    open: Arc<AtomicUsize>,
    report: mpsc::Sender<()>,
}

impl Worker {
    async fn run(mut self, mut sockets: mpsc::Receiver<std::net::TcpStream>) {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                socket = sockets.recv() => match socket {
                    Some(socket) => {
                        if let Ok(socket) = TcpStream::from_std(socket) {
                            self.open.fetch_add(1, Ordering::Relaxed);
                            connections.spawn(connection(Arc::clone(&self.gate), socket, self.stop.clone(), OpenCount(Arc::clone(&self.open))));
                        }
                    }
                    None => break,
                },
                Some(_) = connections.join_next() => {}
                () = stopping(&mut self.stop) => break,
            }
        }
        let drain = self.gate.snapshot.load().config.timeouts.drain;
        let drained = tokio::time::timeout(drain, async { while connections.join_next().await.is_some() {} }).await;
        if drained.is_err() {
            warn!(connections = connections.len(), "closed connections that did not finish in time");
        }
        // What is left of calls whose client went away settles here.
        self.gate.loose.wait(drain).await;
        // Sessions end while the runtime that their connections live on still runs.
        let _ = self.report.send(()).await;
        let _ = self.stop.wait_for(|stage| *stage == Stage::Closing).await;
    }
}

struct OpenCount(Arc<AtomicUsize>);

impl Drop for OpenCount {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Waits until the gate begins to stop.
async fn stopping(stage: &mut watch::Receiver<Stage>) {
    // An error means that the gate is gone, which is a stop as well.
    let _ = stage.wait_for(|stage| *stage > Stage::Serving).await;
}

async fn connection(gate: Arc<Gate>, socket: TcpStream, mut stop: watch::Receiver<Stage>, _open: OpenCount) {
    if let Err(error) = socket.set_nodelay(true) {
        debug!(%error, "could not turn Nagle's algorithm off");
    }
    let service = service_fn(move |request| {
        let gate = Arc::clone(&gate);
        async move { Ok::<_, std::convert::Infallible>(super::route(&gate, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(socket), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection broke");
    }
}
