//! Load: closed loops, which call again as soon as they are answered, and the open loop, which calls
//! by the clock whether or not it is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::call::Tool;
use crate::samples::Samples;
use crate::session::{Endpoint, Session};

/// How many calls one round makes at most.
const CALLS: u64 = 200_000;
/// Sessions of the open loop.
pub(crate) const OPEN_SESSIONS: usize = 32;
/// Ticks of the open loop that may wait while the load generator is busy.
const WAITING_TICKS: usize = 64;

/// What one round of load brought.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) elapsed: Duration,
    pub(crate) latencies: Samples,
}

/// Opens sessions, each on its own connection.
pub(crate) async fn sessions(endpoint: &Endpoint, count: usize) -> anyhow::Result<Vec<Session>> {
    let mut sessions = Vec::with_capacity(count);
    for _ in 0..count {
        sessions.push(endpoint.session().await.context("cannot open a session")?);
    }
    Ok(sessions)
}

/// Every session calls, again and again, for `time`. The sessions come back for the next round.
pub(crate) async fn closed(sessions: &mut Vec<Session>, tool: Tool, time: Duration) -> anyhow::Result<Loaded> {
    let began = Instant::now();
    let left = Arc::new(AtomicU64::new(CALLS));
    let mut loops = JoinSet::new();
    for session in sessions.drain(..) {
        loops.spawn(closed_loop(session, tool, began + time, Arc::clone(&left)));
    }
    let mut latencies = Samples::default();
    while let Some(ended) = loops.join_next().await {
        let (session, took) = ended??;
        sessions.push(session);
        latencies.extend(took);
    }
    Ok(Loaded { elapsed: began.elapsed(), latencies })
}

async fn closed_loop(
    mut session: Session,
    tool: Tool,
    until: Instant,
    left: Arc<AtomicU64>,
) -> anyhow::Result<(Session, Vec<Duration>)> {
    let mut took = Vec::new();
    let mut now = Instant::now();
    while now < until && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
        session.call(tool).await?;
        let answered = Instant::now();
        took.push(answered - now);
        now = answered;
    }
    Ok((session, took))
}

/// Makes `count` calls on one session.
pub(crate) async fn sequential(session: &mut Session, tool: Tool, count: usize) -> anyhow::Result<Loaded> {
    let began = Instant::now();
    let mut latencies = Samples::default();
    for _ in 0..count {
        let sent = Instant::now();
        session.call(tool).await?;
        latencies.extend([sent.elapsed()]);
    }
    Ok(Loaded { elapsed: began.elapsed(), latencies })
}

/// Sessions that take turns.
#[derive(Debug)]
pub(crate) struct OpenLoop {
    idle: mpsc::UnboundedReceiver<Session>,
    back: mpsc::UnboundedSender<Session>,
}

impl OpenLoop {
    pub(crate) async fn new(endpoint: &Endpoint) -> anyhow::Result<Self> {
        // As many as there are sessions, so never more than that.
        let (back, idle) = mpsc::unbounded_channel();
        for session in sessions(endpoint, OPEN_SESSIONS).await? {
            back.send(session)?;
        }
        Ok(Self { idle, back })
    }

    /// Calls `rate` times a second. A call's time counts from the moment it was due, so a call that
    /// waits for a session to be idle is as late as its agent would find it.
    pub(crate) async fn run(&mut self, rate: u32, time: Duration) -> anyhow::Result<Loaded> {
        let step = Duration::from_secs(1) / rate;
        let calls = u64::from(rate).saturating_mul(u64::try_from(time.as_millis())?) / 1000;
        let mut ticks = Ticks::every(step)?;
        let began = Instant::now();
        let mut running = JoinSet::new();
        let (mut made, mut latencies) = (0_u64, Samples::default());
        while made < calls.min(CALLS) {
            for _ in 0..ticks.next().await? {
                let due = began + step.saturating_mul(u32::try_from(made)?.saturating_add(1));
                let session = self.idle.recv().await.context("a call failed")?;
                running.spawn(one_call(session, due, self.back.clone()));
                made += 1;
            }
            while let Some(ended) = running.try_join_next() {
                latencies.extend([ended??]);
            }
        }
        while let Some(ended) = running.join_next().await {
            latencies.extend([ended??]);
        }
        Ok(Loaded { elapsed: began.elapsed(), latencies })
    }
}

async fn one_call(
    mut session: Session,
    due: Instant,
    back: mpsc::UnboundedSender<Session>,
) -> anyhow::Result<Duration> {
    session.call(Tool::Small).await?;
    let took = due.elapsed();
    back.send(session)?;
    Ok(took)
}

/// A clock of the kernel on a thread of its own: the runtime's steps of a millisecond are too coarse.
struct Ticks(mpsc::Receiver<u64>);

impl Ticks {
    fn every(step: Duration) -> anyhow::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
        let step = Timespec { tv_sec: i64::try_from(step.as_secs())?, tv_nsec: i64::from(step.subsec_nanos()) };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval: step, it_value: step })?;
        let (tick, ticks) = mpsc::channel(WAITING_TICKS);
        std::thread::Builder::new().name("ticks".to_owned()).spawn(move || {
            let mut count = [0_u8; 8];
            while rustix::io::read(&timer, &mut count).is_ok() {
                if tick.blocking_send(u64::from_ne_bytes(count)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self(ticks))
    }

    /// Waits for the next tick; more than one if some were missed.
    async fn next(&mut self) -> anyhow::Result<u64> {
        self.0.recv().await.context("the clock stopped")
    }
}
