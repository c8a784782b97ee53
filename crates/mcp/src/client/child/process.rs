use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::sync::{oneshot, watch};

use super::Command;

/// The thread only starts, waits and reaps.
const THREAD_STACK_BYTES: usize = 128 << 10;

/// A child that was started; dropping this kills its whole process group.
#[derive(Debug)]
pub(super) struct Process {
    id: u32,
    group: Group,
    exit: watch::Receiver<Option<Exit>>,
}

/// The ends of a child's standard streams.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) stdin: std::process::ChildStdin,
    pub(super) stdout: std::process::ChildStdout,
    pub(super) stderr: std::process::ChildStderr,
}

/// How a child ended, in words: `exited with status 1`.
pub(super) type Exit = Arc<str>;

impl Process {
    /// Starts the child on a thread that lives as long as the child does.
    ///
    /// # Errors
    ///
    /// One sentence that names the program.
    pub(super) async fn start(command: Command) -> Result<(Self, Pipes), String> {
        let (started, start) = oneshot::channel();
        let program = command.program.clone();
        let thread = thread::Builder::new().name("child".to_owned()).stack_size(THREAD_STACK_BYTES);
        thread
            .spawn(move || keep(&command, started))
            .map_err(|error| format!("could not start `{program}`: no thread for it: {error}"))?;
        start.await.unwrap_or_else(|_| Err(format!("could not start `{program}`")))
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// How it ended, if it has.
    pub(super) fn exit(&self) -> Option<Exit> {
        self.exit.borrow().clone()
    }

    /// Something to await its end with.
    pub(super) fn watch(&self) -> watch::Receiver<Option<Exit>> {
        self.exit.clone()
    }

    /// The handle through which its group is signalled.
    pub(super) fn group(&self) -> Group {
        self.group.clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.group.signal(Signal::KILL);
    }
}

/// Waits until a child has ended and been reaped.
pub(super) async fn ended(exit: &mut watch::Receiver<Option<Exit>>) -> Exit {
    match exit.wait_for(Option::is_some).await {
        Ok(exit) => exit.clone().unwrap_or_else(unknown_exit),
        Err(_) => unknown_exit(),
    }
}

fn unknown_exit() -> Exit {
    Exit::from("ended")
}

/// A process group that is signalled only while its id is certainly its own.
#[derive(Debug, Clone)]
pub(super) struct Group(Arc<Mutex<Option<Pid>>>);

impl Group {
    /// Signals every process of the group; does nothing once the child was reaped.
    pub(super) fn signal(&self, signal: Signal) {
        let leader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leader) = *leader {
            // Fails only when no process of the group is left.
            let _ = kill_process_group(leader, signal);
        }
    }

    /// Kills what is left of the group and reaps its leader, whose id is free from then on.
    fn reap(&self, child: &mut Child) -> io::Result<ExitStatus> {
        let mut leader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leader) = leader.take() {
            let _ = kill_process_group(leader, Signal::KILL);
        }
        child.wait()
    }
}

type Started = Result<(Process, Pipes), String>;

/// The life of one child, on its own thread.
fn keep(command: &Command, started: oneshot::Sender<Started>) {
    let mut child = match launch(command) {
        Ok(child) => child,
        Err(error) => {
            let _ = started.send(Err(describe_failure(command, &error)));
            return;
        }
    };
    let leader = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let group = Group(Arc::new(Mutex::new(leader)));
    let (exit, watch) = watch::channel(None);
    let process = Process { id: child.id(), group: group.clone(), exit: watch };
    let pipes = pipes(&mut child).ok_or_else(|| "the child has no standard streams".to_owned());
    // If nobody waits any more, dropping what was to be handed over kills the child.
    let _ = started.send(pipes.map(|pipes| (process, pipes)));
    if let Some(leader) = leader {
        wait_without_reaping(leader);
    }
    let status = group.reap(&mut child);
    exit.send_replace(Some(describe_exit(status)));
}

#[cfg_attr(
    target_os = "linux",
    expect(unsafe_code, reason = "what happens between fork and exec can only be said with `pre_exec`")
)]
fn launch(command: &Command) -> io::Result<Child> {
    let mut child = std::process::Command::new(&command.program);
    child
        .args(&command.args)
        .env_clear()
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Some(cwd) = &command.cwd {
        child.current_dir(cwd);
    }
    #[cfg(target_os = "linux")]
    {
        let parent = rustix::process::getpid();
        // SAFETY: between fork and exec only system calls are made; nothing is allocated and no lock is taken.
        unsafe {
            child.pre_exec(move || die_with(parent));
        }
    }
    child.spawn()
}

/// Asks the system to kill this process when the thread that started it ends, which is when `parent` does.
#[cfg(target_os = "linux")]
fn die_with(parent: Pid) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() == Some(parent) {
        return Ok(());
    }
    Err(io::ErrorKind::Interrupted.into())
}

fn pipes(child: &mut Child) -> Option<Pipes> {
    Some(Pipes { stdin: child.stdin.take()?, stdout: child.stdout.take()?, stderr: child.stderr.take()? })
}

/// Waits for the end of a child but leaves it unreaped, so that its process group's id stays taken.
fn wait_without_reaping(leader: Pid) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while waitid(WaitId::Pid(leader), options).is_err_and(|error| error == rustix::io::Errno::INTR) {}
}

fn describe_failure(command: &Command, error: &io::Error) -> String {
    if let Some(cwd) = &command.cwd
        && !cwd.is_dir()
    {
        return format!("could not start `{}`: its directory `{}` does not exist", command.program, cwd.display());
    }
    if error.kind() == io::ErrorKind::NotFound {
        return format!(
            "could not start `{}`: no such program; give its path, or a PATH that holds it",
            command.program
        );
    }
    format!("could not start `{}`: {error}", command.program)
}

fn describe_exit(status: io::Result<ExitStatus>) -> Exit {
    let Ok(status) = status else {
        return unknown_exit();
    };
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}").into(),
        (None, Some(signal)) => format!("was ended by signal {signal}{}", signal_name(signal)).into(),
        (None, None) => unknown_exit(),
    }
}

fn signal_name(signal: i32) -> &'static str {
    match Signal::from_named_raw(signal) {
        Some(Signal::KILL) => " (SIGKILL)",
        Some(Signal::TERM) => " (SIGTERM)",
        Some(Signal::SEGV) => " (SIGSEGV)",
        Some(Signal::ABORT) => " (SIGABRT)",
        Some(Signal::INT) => " (SIGINT)",
        Some(Signal::PIPE) => " (SIGPIPE)",
        _ => "",
    }
}
