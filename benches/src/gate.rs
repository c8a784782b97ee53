//! The processes that are measured: the gate, and the server behind it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::session::Endpoint;
use crate::upstream;

/// How long a process may take until it answers.
const START: Duration = Duration::from_secs(20);
/// How long the gate may take to stop before it is killed.
const STOP: Duration = Duration::from_secs(5);
/// A limit that no run reaches.
const NEVER_FULL: u64 = 1_000_000_000_000;

/// A process that is killed when this is dropped, and by the kernel if this process is.
#[derive(Debug)]
struct Started {
    child: Child,
    pid: u32,
}

impl Started {
    #[expect(unsafe_code, reason = "what happens between fork and exec can only be said with `pre_exec`")]
    fn new(mut command: Command) -> anyhow::Result<Self> {
        command.kill_on_drop(true);
        // SAFETY: `prctl` may be called between fork and exec; nothing is allocated or locked.
        unsafe {
            command.pre_exec(|| Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?));
        }
        let child =
            command.spawn().with_context(|| format!("cannot start `{}`", command.as_std().get_program().display()))?;
        let pid = child.id().context("it ended at once")?;
        Ok(Self { child, pid })
    }
}

/// Another process of this benchmark: the server, or the bare relay in front of it.
#[derive(Debug)]
pub(crate) struct Helper {
    process: Started,
    address: SocketAddr,
}

impl Helper {
    pub(crate) async fn server() -> anyhow::Result<Self> {
        Self::start(&["upstream"]).await.context("the server did not start")
    }

    pub(crate) async fn relay(server: &Self) -> anyhow::Result<Self> {
        Self::start(&["relay", &server.address.to_string()]).await.context("the relay did not start")
    }

    async fn start(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Started::new(command)?;
        let stdout = process.child.stdout.take().context("it has no output")?;
        let mut line = String::new();
        tokio::time::timeout(START, BufReader::new(stdout).read_line(&mut line)).await??;
        Ok(Self { process, address: line.trim().parse().context("it did not say its address")? })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid
    }

    pub(crate) fn endpoint(&self) -> anyhow::Result<Endpoint> {
        Endpoint::new(self.address, upstream::PATH, None)
    }
}

/// A running gate with a directory of its own, which goes with it.
#[derive(Debug)]
pub(crate) struct Gate {
    process: Started,
    address: SocketAddr,
    token: String,
    directory: tempfile::TempDir,
    /// From starting the process to the first byte of an answer.
    pub(crate) first_byte: Duration,
}

impl Gate {
    pub(crate) async fn start(binary: &Path, server: &Helper) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("toolgate-bench-").tempdir()?;
        let address = free_address()?;
        let token = token();
        let file = directory.path().join("toolgate.json");
        let configuration = configuration(address, &directory.path().join("data"), server.address, &token);
        std::fs::write(&file, configuration.to_string())?;
        let log = std::fs::File::create(directory.path().join("log"))?;
        let mut command = Command::new(binary);
        command.arg("serve").arg("--config").arg(&file).env("RUST_LOG", "warn");
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let began = Instant::now();
        let mut process = Started::new(command)?;
        let answered = first_byte(address, &mut process.child, began).await;
        if let Err(error) = answered {
            let log = std::fs::read_to_string(directory.path().join("log")).unwrap_or_default();
            return Err(error.context(format!("the gate did not start; it says:\n{log}")));
        }
        Ok(Self { process, address, token, directory, first_byte: began.elapsed() })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid
    }

    pub(crate) fn endpoint(&self) -> anyhow::Result<Endpoint> {
        Endpoint::new(self.address, "/mcp/upstream", Some(&self.token))
    }

    /// Stops it as an operator would, and kills it if that takes too long.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.process.pid).ok().and_then(Pid::from_raw).context("no process id")?;
        kill_process(pid, Signal::TERM)?;
        if tokio::time::timeout(STOP, self.process.child.wait()).await.is_err() {
            self.process.child.kill().await?;
        }
        self.directory.close()?;
        Ok(())
    }
}

/// The binary that was asked for, or the one beside this.
pub(crate) fn binary(chosen: Option<&Path>) -> anyhow::Result<PathBuf> {
    let binary = match chosen {
        Some(chosen) => chosen.to_owned(),
        None => std::env::current_exe()?.with_file_name("toolgate"),
    };
    if !binary.is_file() {
        bail!("there is no `{}`; build it with `cargo build --release -p toolgate`", binary.display());
    }
    Ok(binary)
}

async fn first_byte(address: SocketAddr, child: &mut Child, began: Instant) -> anyhow::Result<()> {
    while began.elapsed() < START {
        if let Some(status) = child.try_wait()? {
            return Err(anyhow!("it ended with {status}"));
        }
        if let Ok(mut socket) = TcpStream::connect(address).await {
            let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
            socket.write_all(request.as_bytes()).await?;
            socket.read_u8().await?;
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Err(anyhow!("it did not answer within {} s", START.as_secs()))
}

/// An address that nobody listened on a moment ago.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A token that only this run knows.
fn token() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let mut token = "bench_".to_owned();
    for _ in 0..2 {
        token.push_str(&format!("{:016x}", RandomState::new().hash_one(std::process::id())));
    }
    token
}

fn configuration(listen: SocketAddr, data_dir: &Path, server: SocketAddr, token: &str) -> Value {
    json!({
        "listen": listen.to_string(),
        "data_dir": data_dir,
        "servers": { "upstream": { "url": format!("http://{server}{}", upstream::PATH) } },
        "policies": { "bench": policy() },
        "grants": [{ "label": "bench", "token": token, "access": [{ "server": "upstream", "policy": "bench" }] }],
    })
}

/// 20 rules that look at the arguments and let the call pass, and 3 limits that count it.
fn policy() -> Value {
    let conditions = [
        json!({ "path": "args.note", "op": "contains", "value": "DROP TABLE" }),
        json!({ "path": "args.amount", "op": "gt", "value": 50_000 }),
        json!({ "path": "args.currency", "op": "not_in", "value": ["usd", "eur", "gbp"] }),
        json!({ "path": "args.sku", "op": "regex", "value": "^secret-" }),
        json!({ "path": "grant.label", "op": "eq", "value": "guest" }),
    ];
    let rules: Vec<Value> = conditions.iter().cycle().take(20).map(|one| json!({ "conditions": [one] })).collect();
    let limits = json!([
        { "counter": "calls", "window": "minute", "max": NEVER_FULL },
        { "counter": "spend", "window": "day", "max": NEVER_FULL, "cost": "args.amount" },
        { "counter": "all", "window": "hour", "max": NEVER_FULL, "scope": "gateway", "kind": "sliding" },
    ]);
    json!({
        "version": "1",
        "default": "deny",
        "tools": {
            "create_order": { "deny_if": rules, "limits": limits },
            "read_report": {},
        },
    })
}
