//! How a ledger is opened.

use std::time::Duration;

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// The death of the process, however sudden. A power cut may lose the last moments.
    #[default]
    Normal,
    /// A power cut as well: an open is acknowledged only after it reached the disk.
    Full,
}

/// Settings of a ledger; the defaults suit everyone but tests.
#[derive(Clone, Debug)]
pub struct Options {
    /// What an acknowledged write survives.
    pub synchronous: Synchronous,
    /// Bytes after which the log continues in a new file.
    pub log_file_bytes: u64,
    /// Bytes of log that may wait for the applier before callers wait for it.
    pub log_backlog_bytes: u64,
    /// The longest a caller waits for the applier, or for another process's transaction, before its call is refused.
    pub patience: Duration,
    /// How many approvals of one grant may wait for a decision at the same time.
    pub pending_approvals_per_grant: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::Normal,
            log_file_bytes: 64 << 20,
            log_backlog_bytes: 256 << 20,
            patience: Duration::from_secs(10),
            pending_approvals_per_grant: 1_000,
        }
    }
}
