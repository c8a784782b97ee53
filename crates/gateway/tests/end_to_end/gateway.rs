//! A gateway in a thread of the test.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use ::gateway::config::{Config, Overrides};
use ::gateway::{Clock, Ready, Reloaded, Serve};
use serde_json::Value;
use tempfile::TempDir;

use crate::agent::Agents;
use crate::configuration::Configuration;
use crate::http::Connection;

/// 2026-01-01T00:00:00Z, where the clock begins, in microseconds.
pub(crate) const START: i64 = 1_767_225_600_000_000;
/// After how long a test that waits for the gateway fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A gateway that listens. It ends with the test's process.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) agents: Agents,
    clock: Arc<AtomicI64>,
    directory: TempDir,
    reloads: mpsc::Receiver<Reloaded>,
    admin: Mutex<Connection>,
    admin_token: String,
}

impl Gateway {
    pub(crate) fn start(configuration: &Configuration) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), configuration)
    }

    /// Starts in a directory that has something in it already.
    pub(crate) fn start_in(directory: TempDir, configuration: &Configuration) -> Self {
        let file = file(directory.path());
        write(&file, &configuration.text());
        let config = Config::load(&file, &|_| None).unwrap_or_else(|problems| panic!("{problems:#?}")).config;
        let clock = Arc::new(AtomicI64::new(START));
        let (ready, readied) = mpsc::channel::<Ready>();
        let (reloaded, reloads) = mpsc::channel();
        let serve = Serve {
            config,
            file: Some(file),
            overrides: Overrides::default(),
            environment: Arc::new(|_| None),
            clock: Clock::Manual(Arc::clone(&clock)),
            on_ready: Box::new(move |now| ready.send(now.clone()).unwrap()),
            // The test may be over.
            on_reload: Box::new(move |outcome| drop(reloaded.send(outcome.clone()))),
        };
        let thread = std::thread::spawn(move || ::gateway::serve(serve));
        let Ok(ready) = readied.recv() else { panic!("the gateway did not start: {:?}", thread.join()) };
        let admin_token = std::fs::read_to_string(ready.data_dir.join("admin-token")).expect("the admin's token");
        Self {
            address: ready.address,
            agents: Agents::connect(ready.address),
            clock,
            directory,
            reloads,
            admin: Mutex::new(Connection::open(ready.address)),
            admin_token: admin_token.trim().to_owned(),
        }
    }

    /// Sets the clock, in microseconds after [`START`].
    pub(crate) fn set_clock(&self, micros: i64) {
        self.clock.store(START + micros, Ordering::SeqCst);
    }

    /// Asks the admin API something.
    pub(crate) fn get(&self, path: &str) -> Value {
        self.ask("GET", path, "")
    }

    /// Tells the admin API something.
    pub(crate) fn tell(&self, path: &str, body: &str) -> Value {
        self.ask("POST", path, body)
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let bearer = format!("Bearer {}", self.admin_token);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let response = self.admin.lock().unwrap().exchange(method, path, &headers, body.as_bytes());
        assert_eq!(response.status, 200, "{method} {path}: {}", response.text());
        response.json()
    }

    /// The entries of the ledger after the one numbered `seq`, oldest first.
    pub(crate) fn entries_after(&self, seq: u64) -> Vec<Value> {
        let answer = self.get(&format!("/api/v1/audit?after={seq}&limit=1000"));
        answer["entries"].as_array().expect("entries").clone()
    }

    /// Fails unless the whole chain of records is good.
    pub(crate) fn verify(&self) {
        let verified = self.get("/api/v1/audit/verify");
        assert_eq!(verified["intact"], true, "{verified}");
    }

    /// Replaces the configuration file, as an editor does.
    pub(crate) fn edit(&self, text: &str) {
        write(&file(self.directory.path()), text);
    }

    /// What came of an edit.
    pub(crate) fn reloaded(&self) -> Reloaded {
        self.reloads.recv_timeout(PATIENCE).expect("the edit is noticed")
    }
}

/// The directory that a gateway started in `directory` keeps its ledger in.
pub(crate) fn data_dir(directory: &Path) -> PathBuf {
    directory.join("data")
}

fn file(directory: &Path) -> PathBuf {
    directory.join("toolgate.json")
}

fn write(file: &Path, text: &str) {
    let beside = file.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, file).unwrap();
}
