//! Why the ledger could not do what it was asked.

use std::path::PathBuf;

/// Why a data directory could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another gateway owns the directory.
    #[error("the data directory `{0}` is in use by a running gateway: stop it, or talk to it through its API")]
    HeldByGateway(PathBuf),
    /// Processes that share the directory are running.
    #[error(
        "the data directory `{0}` is in use by `toolgate run` or another command: wait for it to end, or give the gateway a directory of its own"
    )]
    HeldByOthers(PathBuf),
    /// Another process has been opening the directory for too long.
    #[error("another process is still opening the data directory `{0}`: try again")]
    Busy(PathBuf),
    /// The database was written by a later version.
    #[error(
        "the ledger was written by a newer toolgate (schema {found}, this one knows {known}): use that version, or another data directory"
    )]
    Newer {
        /// Schema version in the database.
        found: i64,
        /// The latest schema this build knows.
        known: i64,
    },
    /// The contents of the directory do not fit together.
    #[error("the ledger in `{path}` is damaged: {what}")]
    Damaged {
        /// The file concerned.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Reading or writing a file failed.
    #[error("cannot use `{path}`: {source}")]
    Io {
        /// The file concerned.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// SQLite refused.
    #[error("cannot use the ledger's database: {0}")]
    Database(#[from] rusqlite::Error),
}

/// Why an operation was refused. Whatever the reason, nothing was taken and nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The log could not be written, for example because the disk is full.
    #[error("the ledger cannot be written: {0}")]
    Write(std::io::Error),
    /// SQLite refused; a full disk shows here for shared directories.
    #[error("the ledger's database refused: {0}")]
    Database(#[from] rusqlite::Error),
    /// The applier, or another process, kept the caller waiting for longer than [`crate::Options::patience`].
    #[error("the ledger is too far behind: {0}")]
    Behind(&'static str),
    /// What was read does not make sense.
    #[error("the ledger is damaged: {0}")]
    Damaged(String),
    /// The ledger was closed.
    #[error("the ledger is closed")]
    Closed,
    /// There is no such thing.
    #[error("there is no {what} `{name}`")]
    Unknown {
        /// The kind of thing that was looked for.
        what: &'static str,
        /// What it was called.
        name: String,
    },
    /// The label belongs to another grant.
    #[error("there is a grant called `{0}` already: revoke it first, or choose another label")]
    LabelTaken(String),
    /// The thing comes from the configuration file.
    #[error("grant `{0}` comes from the configuration file: change it there")]
    ReadOnly(String),
    /// The approval was decided already, spent, or has expired.
    #[error("approval `{id}` cannot be decided: {reason}")]
    NotDecidable {
        /// The approval's id.
        id: String,
        /// Why not.
        reason: String,
    },
    /// The grant has too many approvals waiting.
    #[error("grant `{grant}` has {count} approvals waiting for a decision: decide some of them first")]
    TooManyApprovals {
        /// The grant's id.
        grant: String,
        /// How many wait.
        count: usize,
    },
}

impl LedgerError {
    /// Tells whether the same operation may succeed later without anybody changing the request.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Write(_) | Self::Database(_) | Self::Behind(_))
    }
}

/// Why an approval could not be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalGone {
    /// There is none of this id.
    Unknown,
    /// It was given for another call.
    OtherCall,
    /// Nobody has decided yet.
    Pending,
    /// It was denied.
    Denied,
    /// Its time is over.
    Expired,
    /// It has been used.
    Spent,
}

impl ApprovalGone {
    /// The reason as it is recorded.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "the approval does not exist",
            Self::OtherCall => "the approval was given for another call",
            Self::Pending => "the approval has not been decided",
            Self::Denied => "the approval was denied",
            Self::Expired => "the approval has expired",
            Self::Spent => "the approval has been used",
        }
    }
}
