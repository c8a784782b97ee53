//! Watching the configuration file: a good edit is applied, a bad one is refused and changes nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::config::{Config, FileProblem, Loaded, Overrides};
use crate::gate::Gate;
use crate::running::file_grants;
use crate::service;
use crate::snapshot::Snapshot;
use crate::start::{Reloaded, SharedEnvironment};

/// How long a file has to be left alone before it is read: an editor saves in several steps.
const SETTLE: Duration = Duration::from_millis(150);

/// Applies edits of the configuration file while the gateway runs.
pub(crate) struct Reloader {
    pub(crate) gate: Arc<Gate>,
    pub(crate) file: Option<PathBuf>,
    pub(crate) overrides: Overrides,
    pub(crate) environment: SharedEnvironment,
    pub(crate) on_reload: Box<dyn Fn(&Reloaded) + Send + Sync>,
}

impl Reloader {
    /// Watches from now on, and applies for as long as the result is driven.
    pub(crate) fn start(self) -> impl Future<Output = ()> + Send {
        let (changed, changes) = mpsc::channel::<()>(1);
        let watched = self.file.is_some().then(|| self.watch(&changed)).flatten();
        self.run(watched, changed, changes)
    }

    async fn run(
        self,
        mut watched: Option<notify::RecommendedWatcher>,
        changed: mpsc::Sender<()>,
        mut changes: mpsc::Receiver<()>,
    ) {
        let Some(file) = self.file.clone() else { return };
        let Ok(mut hangups) = signal(SignalKind::hangup()) else {
            warn!("could not listen for SIGHUP; the configuration is not watched");
            return;
        };
        loop {
            tokio::select! {
                Some(()) = changes.recv() => {}
                _ = hangups.recv() => {}
                else => return,
            }
            tokio::time::sleep(SETTLE).await;
            while changes.try_recv().is_ok() {}
            self.reload(&file).await;
            // The edit may name other files now; the old watch ends when the new one has begun.
            let again = self.watch(&changed);
            drop(std::mem::replace(&mut watched, again));
        }
    }

    /// Watches the directories of all files that the configuration was read from: an editor may
    /// replace a file, which then is another one under the same name.
    fn watch(&self, changed: &mpsc::Sender<()>) -> Option<notify::RecommendedWatcher> {
        let snapshot = self.gate.snapshot.load();
        let files: BTreeSet<PathBuf> = snapshot.config.files.iter().map(|file| absolute(file)).collect();
        let directories: BTreeSet<PathBuf> =
            files.iter().filter_map(|file| file.parent().map(Path::to_path_buf)).collect();
        let changed = changed.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            let is_change = event.kind.is_create() || event.kind.is_modify() || event.kind.is_remove();
            if is_change && event.paths.iter().any(|path| files.contains(path)) {
                // One waiting notice is enough.
                let _ = changed.try_send(());
            }
        });
        let watch_all = |mut watcher: notify::RecommendedWatcher| {
            for directory in &directories {
                watcher.watch(directory, RecursiveMode::NonRecursive)?;
            }
            Ok(watcher)
        };
        match watcher.and_then(watch_all) {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                warn!(%error, "could not watch the configuration; send SIGHUP after an edit");
                None
            }
        }
    }

    async fn reload(&self, file: &Path) {
        let file = file.to_path_buf();
        let environment = Arc::clone(&self.environment);
        let loaded = tokio::task::spawn_blocking(move || Config::load(&file, &*environment)).await;
        let outcome = match loaded {
            Ok(Ok(loaded)) => self.apply(loaded).await,
            Ok(Err(problems)) => Reloaded::Refused(problems),
            Err(error) => {
                error!(%error, "reading the configuration failed; the last good one stays");
                return;
            }
        };
        self.gate.metrics.reloaded(match outcome {
            Reloaded::Refused(_) => "refused",
            Reloaded::Applied(_) | Reloaded::NeedsRestart(..) => "applied",
        });
        (self.on_reload)(&outcome);
    }

    async fn apply(&self, loaded: Loaded) -> Reloaded {
        let Loaded { config, warnings } = loaded;
        let mut config = config.overridden(&self.overrides);
        let before = self.gate.snapshot.load_full();
        let needs_restart = keep_what_needs_a_restart(&mut config, &before.config);
        let made = match service::made_policies(&self.gate.ledger).await {
            Ok(made) => made,
            Err(error) => return refused(&error.to_string(), warnings),
        };
        let grants = file_grants(&config);
        let snapshot = match Snapshot::build(config, made, Some(&before), &self.gate.metrics) {
            Ok(snapshot) => Arc::new(snapshot),
            Err(error) => return refused(&error.to_string(), warnings),
        };
        // Grants first: one that was taken out of the file must not see a moment of the new policies.
        if let Err(error) = self.gate.ledger.publish_file_grants(&grants, self.gate.clock.now()).await {
            return refused(&error.to_string(), warnings);
        }
        self.gate.snapshot.store(Arc::clone(&snapshot));
        self.end_orphans(&snapshot).await;
        info!("applied an edit of the configuration");
        if needs_restart.is_empty() {
            Reloaded::Applied(warnings)
        } else {
            Reloaded::NeedsRestart(needs_restart, warnings)
        }
    }

    /// Ends the sessions of servers that are gone or are another server now.
    async fn end_orphans(&self, snapshot: &Snapshot) {
        for session in self.gate.sessions.all() {
            let current = snapshot.servers.get(session.server.name());
            if current.is_none_or(|current| !Arc::ptr_eq(current, &session.server)) {
                self.gate.sessions.remove(&session.id);
                session.end("its server changed in the configuration").await;
            }
        }
    }
}

fn keep_what_needs_a_restart(config: &mut Config, before: &Config) -> Vec<&'static str> {
    let mut fields = Vec::new();
    if config.listen != before.listen {
        config.listen = before.listen;
        fields.push("listen");
    }
    if config.data_dir != before.data_dir {
        config.data_dir.clone_from(&before.data_dir);
        fields.push("data_dir");
    }
    if config.ledger != before.ledger {
        config.ledger = before.ledger;
        fields.push("ledger");
    }
    if config.bounds.children != before.bounds.children {
        config.bounds.children = before.bounds.children;
        fields.push("bounds.children");
    }
    if config.bounds.connections != before.bounds.connections {
        config.bounds.connections = before.bounds.connections;
        fields.push("bounds.connections");
    }
    fields
}

fn refused(why: &str, problems: Vec<FileProblem>) -> Reloaded {
    error!("{why}; the last good configuration stays");
    Reloaded::Refused(problems)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}
