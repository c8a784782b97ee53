//! Listing, exporting and verifying what was recorded.

use super::Ledger;
use crate::sqlite::entries::Direction;
use crate::sqlite::{self};
use crate::{Entry, EntryFilter, EntryId, LedgerError, audit};

/// Entries read at a time for an export, and kept ready for a slow reader.
const EXPORT_PAGE: usize = 500;

/// What [`Ledger::verify`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// Every record is as it was written.
    Intact {
        /// How many records there are.
        records: u64,
        /// Hash of the last one.
        head: [u8; 32],
    },
    /// The chain is broken.
    Broken {
        /// The first bad record.
        seq: u64,
        /// The entry it belongs to, where that can be told.
        entry: Option<String>,
        /// What is wrong with it.
        what: String,
    },
}

/// Entries, oldest first, read piece by piece on a connection of their own.
#[derive(Debug)]
pub struct EntryStream {
    entries: tokio::sync::mpsc::Receiver<Result<Entry, LedgerError>>,
}

impl EntryStream {
    /// The next entry; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<Entry, LedgerError>> {
        self.entries.recv().await
    }
}

impl Ledger {
    /// Lists entries, newest first.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn entries(&self, filter: &EntryFilter, limit: usize) -> Result<Vec<Entry>, LedgerError> {
        let filter = filter.clone();
        self.read(move |connection| Ok(sqlite::entries::select(connection, &filter, Direction::NewestFirst, limit)?))
            .await
    }

    /// Reads one entry.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn entry(&self, id: EntryId) -> Result<Option<Entry>, LedgerError> {
        self.read(move |connection| Ok(sqlite::entries::find(connection, id)?)).await
    }

    /// Lists the entries opened after a place in the chain, oldest first, for following along.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn entries_after(&self, seq: u64, filter: &EntryFilter, limit: usize) -> Result<Vec<Entry>, LedgerError> {
        let filter = EntryFilter { after_seq: Some(seq), ..filter.clone() };
        self.read(move |connection| Ok(sqlite::entries::select(connection, &filter, Direction::OldestFirst, limit)?))
            .await
    }

    /// Reads all entries that pass the filter, oldest first, without holding them in memory or the database up.
    ///
    /// # Errors
    /// The reading could not begin.
    pub async fn export(&self, filter: &EntryFilter) -> Result<EntryStream, LedgerError> {
        self.catch_up().await;
        let connection = sqlite::open_reader(self.directory())?;
        let (sender, entries) = tokio::sync::mpsc::channel(EXPORT_PAGE);
        let mut filter = filter.clone();
        tokio::task::spawn_blocking(move || {
            loop {
                let page = match sqlite::entries::select(&connection, &filter, Direction::OldestFirst, EXPORT_PAGE) {
                    Ok(page) => page,
                    Err(error) => {
                        let _reader_left = sender.blocking_send(Err(error.into()));
                        return;
                    }
                };
                let Some(last) = page.last() else { return };
                filter.after_seq = Some(last.opened_seq);
                if page.into_iter().any(|entry| sender.blocking_send(Ok(entry)).is_err()) {
                    return;
                }
            }
        });
        Ok(EntryStream { entries })
    }

    /// Checks the whole chain. `progress` hears (records checked, records in all) now and then.
    ///
    /// # Errors
    /// The records could not be read; a broken chain is not an error but [`Verified::Broken`].
    pub async fn verify(&self, progress: impl FnMut(u64, u64) + Send + 'static) -> Result<Verified, LedgerError> {
        self.read(move |connection| audit::verify(connection, progress)).await
    }
}
